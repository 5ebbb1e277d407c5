//! Committed offsets that are no longer in the log.

use std::time::Duration;

use stockade_change_feed::{
    FeedError, Offset, OnLostOffset, PollLimits, Position, Start, SubscribeOptions, Topic,
    TopicPartition,
};

use super::RetentionHarness;
use super::lag::lag;
use super::reader::{Reader, limits, number, numbers, texts};

fn on_loss(on_lost_offset: OnLostOffset) -> SubscribeOptions {
    let start = Start::Earliest;
    SubscribeOptions {
        start,
        on_lost_offset,
    }
}

/// A topic of ten records, of which the group `g` has finished 0 to 2.
async fn three_of_ten<H: RetentionHarness>(h: &H) -> ([Topic; 1], Vec<Position>) {
    let topics = [h.create_topic(1).await];
    number(h, &topics[0], 0, 0..10).await;
    let mut reader = Reader::join(h, "g", &topics).await;
    let records = reader.read(10).await;
    reader.commit(&records[2].position).await;
    reader.close().await;
    let positions = records.into_iter().map(|record| record.position).collect();
    (topics, positions)
}

async fn trim<H: RetentionHarness>(h: &H, before: &Position) {
    h.trim(&before.partition, before.offset).await;
}

/// Polls until it fails.
async fn failure<H: RetentionHarness>(reader: &mut Reader<'_, H>) -> FeedError {
    for _ in 0..50 {
        match reader.try_poll(&limits(10)).await {
            Ok(records) => assert!(
                records.is_empty(),
                "the committed offset is lost, but reading continued with {:?}",
                texts(&records)
            ),
            Err(error) => return error,
        }
    }
    panic!("the committed offset is lost, but polling does not fail");
}

pub(super) async fn removing_finished_records_loses_nothing<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[3]).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    assert_eq!(texts(&reader.read(7).await), numbers(3..10));
    assert_eq!(reader.resets, []);
}

pub(super) async fn a_lost_offset_stops_the_group<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    for _ in 0..2 {
        match failure(&mut reader).await {
            FeedError::OffsetLost {
                topic,
                partition,
                wanted,
                earliest,
            } => {
                assert_eq!((&topic, partition), (&topics[0], 0));
                assert!(wanted >= positions[2].offset && wanted < earliest);
                assert!(earliest <= positions[6].offset);
            }
            other => panic!("the committed offset is lost, but polling returned {other}"),
        }
    }
}

/// A topic of two partitions, of which the group `g` has lost its offset in the first one, and
/// finished all of the second.
async fn one_of_two_lost<H: RetentionHarness>(h: &H) -> [Topic; 1] {
    let topics = [h.create_topic(2).await];
    number(h, &topics[0], 0, 0..10).await;
    number(h, &topics[0], 1, 10..12).await;
    let mut reader = Reader::join(h, "g", &topics).await;
    let records = reader.read(12).await;
    let of = |partition| {
        let positions = records.iter().map(|record| &record.position);
        positions.filter(move |position| position.partition.partition == partition)
    };
    let first: Vec<&Position> = of(0).collect();
    reader.commit(first[2]).await;
    reader.commit(of(1).next_back().expect("2 were read")).await;
    trim(h, first[6]).await;
    reader.close().await;
    topics
}

pub(super) async fn a_lost_offset_stops_only_its_partition<H: RetentionHarness>(h: H) {
    let topics = one_of_two_lost(&h).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    failure(&mut reader).await;
    number(&h, &topics[0], 1, 12..14).await;
    let paused = PollLimits {
        paused: vec![TopicPartition::new(topics[0].clone(), 0)],
        ..limits(10)
    };
    let mut read = Vec::new();
    for _ in 0..50 {
        read.extend(reader.poll(&paused).await);
        if read.len() >= 2 {
            break;
        }
    }
    assert_eq!(
        texts(&read),
        numbers(12..14),
        "records of the other partition"
    );
    failure(&mut reader).await;
}

pub(super) async fn a_poll_that_fails_loses_no_report<H: RetentionHarness>(h: H) {
    let topics = one_of_two_lost(&h).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    for _ in 0..2 {
        failure(&mut reader).await;
    }
    // Polls for no records, which do not fail.
    reader.settle(2).await;
}

pub(super) async fn a_poll_that_fails_loses_no_record<H: RetentionHarness>(h: H) {
    let topics = one_of_two_lost(&h).await;
    number(&h, &topics[0], 1, 12..14).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    // Polls before the first failure may return records of the other partition.
    let (mut read, mut failures) = (Vec::new(), 0);
    for _ in 0..50 {
        match reader.try_poll(&limits(10)).await {
            Ok(records) => read.extend(records),
            Err(_) => failures += 1,
        }
        if failures == 3 {
            break;
        }
    }
    assert_eq!(
        failures, 3,
        "the committed offset is lost, but polls succeed"
    );
    let paused = PollLimits {
        paused: vec![TopicPartition::new(topics[0].clone(), 0)],
        ..limits(10)
    };
    for _ in 0..10 {
        if read.len() >= 2 {
            break;
        }
        read.extend(reader.poll(&paused).await);
    }
    assert_eq!(
        texts(&read),
        numbers(12..14),
        "records of the other partition, which were there when polls failed"
    );
}

pub(super) async fn records_removed_ahead_of_a_member_are_not_skipped_silently<
    H: RetentionHarness,
>(
    h: H,
) {
    let topics = [h.create_topic(1).await];
    let published = number(&h, &topics[0], 0, 0..10).await;
    let mut stopped = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    let mut goes_on = Reader::join_with(&h, "h", &topics, on_loss(OnLostOffset::Earliest)).await;
    for reader in [&mut stopped, &mut goes_on] {
        assert_eq!(texts(&reader.read(3).await), numbers(0..3));
    }
    h.trim(&published[6].partition, published[6].offset).await;
    match read_on(&mut stopped, 3).await {
        // It had read them before they were removed.
        Ok(()) => {}
        Err(FeedError::OffsetLost { topic, .. }) => assert_eq!(topic, topics[0]),
        Err(error) => {
            panic!("records were removed ahead of a member, and polling returned {error}")
        }
    }
    assert_eq!(stopped.resets, [], "its option is to fail");
    if let Err(error) = read_on(&mut goes_on, 3).await {
        panic!("polling failed: {error}");
    }
}

/// Reads the rest of ten records. None may be skipped without a report.
async fn read_on<H: RetentionHarness>(
    reader: &mut Reader<'_, H>,
    mut next: usize,
) -> Result<(), FeedError> {
    for _ in 0..50 {
        for text in texts(&reader.try_poll(&limits(3)).await?) {
            let number: usize = text.parse().expect("values are numbers");
            assert!(
                number == next || !reader.resets.is_empty(),
                "records from {next} on were removed ahead of the member, and it continues with \
                 {number} without a report"
            );
            next = number + 1;
        }
        if next == 10 {
            return Ok(());
        }
    }
    panic!("record 9 is in the log, but after 50 polls record {next} was not read");
}

pub(super) async fn a_lost_offset_continues_at_the_oldest_record<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    assert_eq!(texts(&reader.read(4).await), numbers(6..10));
    assert_reported(&reader, &positions[2], positions[6].offset);
}

pub(super) async fn a_lost_offset_continues_after_the_newest_record<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Latest)).await;
    for _ in 0..50 {
        let records = reader.poll(&limits(10)).await;
        assert!(
            records.is_empty(),
            "after the newest there is {:?}",
            texts(&records)
        );
        if !reader.resets.is_empty() {
            break;
        }
    }
    let new = number(&h, &topics[0], 0, 10..12).await;
    assert_eq!(texts(&reader.read(2).await), numbers(10..12));
    assert_reported(&reader, &positions[2], new[0].offset);
}

/// Asserts that reading did not continue after `committed`, but at `next`.
fn assert_reported<H>(reader: &Reader<'_, H>, committed: &Position, next: Offset) {
    match reader.resets.as_slice() {
        [reset] => {
            assert_eq!(reset.partition, committed.partition);
            assert_eq!(reset.committed, committed.offset);
            let resumed = reset.resumed_at;
            assert!(resumed > committed.offset && resumed <= next, "{reset:?}");
        }
        other => panic!("reading continued at another place once, but the reports are {other:?}"),
    }
}

pub(super) async fn a_topic_created_again_is_noticed<H: RetentionHarness>(h: H) {
    let (topics, _) = three_of_ten(&h).await;
    h.pass_time(Duration::from_secs(1)).await;
    h.recreate(&topics[0]).await;
    // As many records as before: only their times tell that they are others.
    number(&h, &topics[0], 0, 20..30).await;
    let mut stopped = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    let error = failure(&mut stopped).await;
    assert!(matches!(error, FeedError::OffsetLost { .. }), "{error}");
    stopped.close().await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    assert_eq!(
        texts(&reader.read(10).await),
        numbers(20..30),
        "all records of the new topic"
    );
    assert_eq!(reader.resets.len(), 1, "{:?}", reader.resets);
}

pub(super) async fn a_position_in_a_deleted_topic_commits_nothing<H: RetentionHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..10).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    let records = reader.read(10).await;
    h.pass_time(Duration::from_secs(1)).await;
    h.recreate(&topics[0]).await;
    // As many records as before, so that the new topic has a record at each old position.
    number(&h, &topics[0], 0, 20..30).await;
    commit_nothing(&mut reader, &records[4].position).await;
    reader.close().await;
    assert_nothing_finished(&h, &topics).await;
}

pub(super) async fn a_position_in_a_deleted_topic_commits_nothing_after_a_reset<
    H: RetentionHarness,
>(
    h: H,
) {
    if !H::COMPARES_POSITIONS {
        return;
    }
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..10).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    let records = reader.read(10).await;
    h.pass_time(Duration::from_secs(1)).await;
    h.recreate(&topics[0]).await;
    number(&h, &topics[0], 0, 20..30).await;
    // The member reads the new topic by now, and still has a position in the old one.
    assert_eq!(texts(&reader.read(10).await), numbers(20..30));
    commit_nothing(&mut reader, &records[4].position).await;
    reader.close().await;
    assert_nothing_finished(&h, &topics).await;
}

async fn assert_nothing_finished<H: RetentionHarness>(h: &H, topics: &[Topic]) {
    let mut next = Reader::join_with(h, "g", topics, on_loss(OnLostOffset::Earliest)).await;
    assert_eq!(
        texts(&next.read(10).await),
        numbers(20..30),
        "all records of the new topic: nothing in it is finished"
    );
}

/// Commits a position in a topic that was deleted. It should be refused; a log that finds out later
/// may return `Ok`, and what counts is that the commit has no effect on the new topic.
async fn commit_nothing<H>(reader: &mut Reader<'_, H>, old: &Position) {
    let outcomes = reader.subscription.commit(std::slice::from_ref(old)).await;
    if let Ok([Err(error)]) = outcomes.as_deref() {
        assert!(
            matches!(error, FeedError::NotAssigned { .. } | FeedError::Failed(_)),
            "a commit of a record of the deleted topic returned {error}"
        );
    }
}

pub(super) async fn lag_counts_no_removed_records<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let found = lag(&h, &topics).await.remove(0);
    let counted = found.records.unwrap_or(4);
    assert_eq!(
        counted, 4,
        "3 of 10 records are finished, and the oldest 6 were removed: unfinished records of {}",
        found.partition
    );
}
