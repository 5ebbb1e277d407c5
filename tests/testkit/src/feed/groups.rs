//! How members of a group share partitions, commit and take over.

use std::collections::BTreeMap;
use std::time::Duration;

use stockade_change_feed::{
    FeedError, Message, Position, Published, Start, Timestamp, Topic, TopicPartition,
};

use super::FeedHarness;
use super::reader::{Reader, from, limits, number, numbers, publish, settle_both, text, texts};

pub(super) async fn each_group_reads_everything<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..5).await;
    for name in ["one", "two"] {
        let mut reader = Reader::join(&h, name, &topics).await;
        let records = reader.read(5).await;
        assert_eq!(texts(&records), numbers(0..5));
        reader.commit(&records[4].position).await;
    }
}

pub(super) async fn members_share_the_partitions<H: FeedHarness>(h: H) {
    const RECORDS: usize = 100;
    let topics = [h.create_topic(4).await];
    let mut a = Reader::join(&h, "g", &topics).await;
    let mut b = Reader::join(&h, "g", &topics).await;
    settle_both(&mut a, &mut b, 4).await;
    let message = |n: usize| Message::to_partition(n as u32 % 4, n.to_string());
    publish(&h, &topics[0], (0..RECORDS).map(message).collect()).await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut idle = 0;
    while idle < 4 {
        let mut records = a.poll(&limits(10)).await;
        records.extend(b.poll(&limits(10)).await);
        idle = if records.is_empty() { idle + 1 } else { 0 };
        for text in texts(&records) {
            *seen.entry(text).or_default() += 1;
        }
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(
        twice.is_empty(),
        "records that came to a group of two more than once: {twice:?}"
    );
    assert_eq!(seen.len(), RECORDS, "records that came to a group of two");
}

pub(super) async fn a_group_continues_after_its_commit<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..10).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(8).await;
    reader.commit(&records[4].position).await;
    reader.close().await;
    let mut next = Reader::join(&h, "g", &topics).await;
    assert_eq!(
        texts(&next.read(5).await),
        numbers(5..10),
        "0 to 4 are finished"
    );
}

pub(super) async fn the_start_option_is_only_for_new_groups<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..4).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(2).await;
    reader.commit(&records[1].position).await;
    reader.close().await;
    let mut next = Reader::join_with(&h, "g", &topics, from(Start::Latest)).await;
    assert_eq!(
        texts(&next.read(2).await),
        numbers(2..4),
        "a known group continues"
    );
}

pub(super) async fn the_latest_start_is_determined_once<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..2).await;
    let mut a = Reader::join_with(&h, "g", &topics, from(Start::Latest)).await;
    number(&h, &topics[0], 0, 2..4).await;
    a.settle(1).await;
    a.expect_nothing("it starts after the records that existed at its first poll")
        .await;
    number(&h, &topics[0], 0, 4..7).await;
    // It crashes, and has committed nothing.
    drop(a);
    let mut b = Reader::join_with(&h, "g", &topics, from(Start::Latest)).await;
    b.settle(1).await;
    number(&h, &topics[0], 0, 7..8).await;
    assert_eq!(
        texts(&b.read(4).await),
        numbers(4..8),
        "records after the newest that the first member of the group found"
    );
}

pub(super) async fn a_member_that_never_polled_takes_no_partition<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    let mut a = Reader::join(&h, "g", &topics).await;
    a.settle(2).await;
    let b = Reader::join(&h, "g", &topics).await;
    for partition in [0, 1] {
        number(&h, &topics[0], partition, 0..3).await;
    }
    let mut read = 0;
    for _ in 0..5 {
        read += a.poll(&limits(100)).await.len();
        assert_eq!(a.owned.len(), 2, "the other one has not polled yet");
    }
    assert_eq!(read, 6, "records of both partitions");
    b.close().await;
}

pub(super) async fn unfinished_records_are_delivered_again_after_a_close<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    number(&h, &topics[0], 0, 0..3).await;
    let mut a = Reader::join(&h, "g", &topics).await;
    assert_eq!(texts(&a.read(3).await), numbers(0..3));
    let mut b = Reader::join(&h, "g", &topics).await;
    a.close().await;
    b.settle(2).await;
    assert_eq!(
        texts(&b.read(3).await),
        numbers(0..3),
        "read by a member that left, and not committed"
    );
}

pub(super) async fn unfinished_records_are_delivered_again_after_a_crash<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..4).await;
    let mut a = Reader::join(&h, "g", &topics).await;
    let records = a.read(4).await;
    a.commit(&records[0].position).await;
    drop(a);
    let mut b = Reader::join(&h, "g", &topics).await;
    b.settle(1).await;
    assert_eq!(
        texts(&b.read(3).await),
        numbers(1..4),
        "read by a member that crashed"
    );
}

pub(super) async fn each_commit_has_its_own_outcome<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    for partition in [0, 1] {
        number(&h, &topics[0], partition, 0..3).await;
    }
    let other = h.create_topic(1).await;
    let Published { partition, offset } = number(&h, &other, 0, 0..1).await.remove(0);
    let foreign = Position {
        partition,
        offset,
        timestamp: Timestamp::EPOCH,
    };
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(6).await;
    assert!(
        reader
            .subscription
            .commit(&[])
            .await
            .expect("the call as a whole succeeds")
            .is_empty()
    );
    let last = |partition| {
        let at = TopicPartition::new(topics[0].clone(), partition);
        let mut read = records.iter().rev().map(|record| &record.position);
        read.find(|position| position.partition == at)
            .cloned()
            .expect("6 records were read")
    };
    let outcomes = reader
        .subscription
        .commit(&[last(0), foreign, last(1)])
        .await
        .expect("the call as a whole succeeds");
    let committed: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(committed, [true, false, true], "{outcomes:?}");
    not_assigned(&outcomes[1], &other, 0);
    reader.close().await;
    let mut next = Reader::join(&h, "g", &topics).await;
    next.settle(2).await;
    next.expect_nothing("both partitions are finished").await;
}

pub(super) async fn a_commit_of_an_earlier_position_changes_nothing<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..6).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(6).await;
    for finished in [3, 1, 3, 0] {
        reader.commit(&records[finished].position).await;
    }
    reader.close().await;
    let mut next = Reader::join(&h, "g", &topics).await;
    assert_eq!(
        texts(&next.read(2).await),
        numbers(4..6),
        "committed up to 3, also after later commits"
    );
}

pub(super) async fn of_several_positions_the_furthest_counts<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..6).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(6).await;
    let position = |n: usize| records[n].position.clone();
    let finished = [position(1), position(3), position(0)];
    let outcomes = reader.subscription.commit(&finished).await;
    let outcomes = outcomes.expect("the call as a whole succeeds");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    reader.close().await;
    let mut next = Reader::join(&h, "g", &topics).await;
    assert_eq!(
        texts(&next.read(2).await),
        numbers(4..6),
        "finished up to 3, by one commit of 1, 3 and 0"
    );
}

pub(super) async fn a_commit_of_a_revoked_partition_is_refused<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await];
    for partition in [0, 1] {
        number(&h, &topics[0], partition, 0..3).await;
    }
    let mut a = Reader::join(&h, "g", &topics).await;
    let records = a.read(6).await;
    let mut b = Reader::join(&h, "g", &topics).await;
    settle_both(&mut a, &mut b, 2).await;
    let lost = b
        .owned
        .first()
        .cloned()
        .expect("the second member reads a partition");
    let read: Vec<Position> = records.into_iter().map(|record| record.position).collect();
    let last = read
        .iter()
        .rev()
        .find(|position| position.partition == lost);
    let last = last.expect("the first member had read both").clone();
    let outcomes = a
        .subscription
        .commit(&[last])
        .await
        .expect("the call as a whole succeeds");
    not_assigned(&outcomes[0], &lost.topic, lost.partition);
    assert_eq!(
        texts(&b.read(3).await),
        numbers(0..3),
        "nothing was finished for the new owner"
    );
}

pub(super) async fn a_dropped_commit_can_be_made_again<H: FeedHarness>(h: H) {
    const RECORDS: usize = 30;
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..RECORDS).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(RECORDS).await;
    let finished: Vec<Position> = records.into_iter().map(|record| record.position).collect();
    for (n, position) in finished.iter().enumerate() {
        let patience = Duration::from_micros(100 * (n as u64 % 10));
        let commit = reader.subscription.commit(std::slice::from_ref(position));
        let _ = tokio::time::timeout(patience, commit).await;
    }
    // Whichever of them took effect, none of them has gone further than it was told to.
    reader.commit(&finished[RECORDS - 3]).await;
    number(&h, &topics[0], 0, RECORDS..RECORDS + 2).await;
    assert_eq!(texts(&reader.read(2).await), numbers(RECORDS..RECORDS + 2));
    reader.close().await;
    let mut next = Reader::join(&h, "g", &topics).await;
    let first = text(&next.read(1).await[0]).parse::<usize>();
    let first = first.expect("values are numbers");
    assert!(
        (RECORDS - 2..=RECORDS).contains(&first),
        "{first} is read next, but all up to {} was committed",
        RECORDS - 1
    );
}

pub(super) async fn an_expired_member_commits_nothing<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..4).await;
    let mut silent = Reader::join(&h, "g", &topics).await;
    let records = silent.read(4).await;
    silent.commit(&records[0].position).await;
    let mut other = Reader::join(&h, "g", &topics).await;
    other.settle(1).await;
    let late = &records[3].position;
    let outcomes = silent.subscription.commit(std::slice::from_ref(late)).await;
    let outcomes = outcomes.expect("the call as a whole succeeds");
    not_assigned(&outcomes[0], &topics[0], 0);
    let again = other.read(3).await;
    assert_eq!(
        texts(&again),
        numbers(1..4),
        "read by a member that was silent"
    );
    other.commit(&again[1].position).await;
    other.close().await;
    // It finds out that the partition was somebody else's in between.
    let rest = silent.read(1).await;
    assert_eq!(texts(&rest), numbers(3..4), "the new owner continues");
    silent.commit(&rest[0].position).await;
}

fn not_assigned(outcome: &Result<(), FeedError>, of: &Topic, number: u32) {
    match outcome {
        Err(FeedError::NotAssigned { topic, partition }) => {
            assert_eq!((topic, *partition), (of, number));
        }
        other => {
            panic!("{of}/{number} is not assigned to this member; a commit returned {other:?}")
        }
    }
}
