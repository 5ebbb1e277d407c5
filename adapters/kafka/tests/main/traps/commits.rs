//! A coordinator takes commits of partitions that are others', that go backwards, and that lie
//! beyond the end. So whose they are, and in which order, is checked here.

use stockade_change_feed::{FeedError, Offset, Position, Start, Timestamp, TopicPartition};
use stockade_kafka::{GroupProtocol, TopicSettings};

use crate::harness::{bootstrap, client, create, unique};
use crate::member::{Member, behind, feed, number, numbers, options, share, texts};
use crate::raw;

const BOTH: [GroupProtocol; 2] = [GroupProtocol::Newest, GroupProtocol::Classic];

fn next(committed: &[raw::Committed], at: &TopicPartition) -> Option<i64> {
    committed
        .iter()
        .find(|committed| committed.at == *at)
        .map(|committed| committed.next)
}

#[tokio::test]
async fn a_commit_is_never_of_anothers_partition_nor_backwards_nor_beyond() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in BOTH {
        let (feed, group) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(2)).await;
        for partition in [0, 1] {
            number(&client, &topic, partition, 0..5).await;
        }
        let mut a = Member::join(&feed, &group, &topic).await;
        let read = a.read(10).await;
        let mut b = Member::join(&feed, &group, &topic).await;
        share(&mut a, &mut b, 2).await;

        let theirs = b.owned.first().unwrap().clone();
        let last = |at: &TopicPartition| {
            let mut read = read.iter().rev().map(|record| record.position.clone());
            read.find(|position| position.partition == *at).unwrap()
        };
        let refused = a.try_commit(&last(&theirs)).await.unwrap_err();
        assert!(
            matches!(refused, FeedError::NotAssigned { .. }),
            "{refused}"
        );

        let mine = a.owned.first().unwrap().clone();
        a.commit(&last(&mine)).await;
        let first = read
            .iter()
            .find(|record| record.position.partition == mine)
            .unwrap();
        a.commit(&first.position).await;
        let beyond = Position {
            offset: Offset(1_000_000),
            ..last(&mine)
        };
        let refused = a.try_commit(&beyond).await.unwrap_err();
        assert!(
            matches!(refused, FeedError::NotAssigned { .. }),
            "{refused}"
        );

        let committed = raw::committed(&bootstrap, &group).await;
        assert_eq!(next(&committed, &mine), Some(5), "{committed:?}");
        assert_eq!(next(&committed, &theirs), None, "{committed:?}");
    }
}

#[tokio::test]
async fn what_is_committed_while_a_rebalance_is_prepared_counts() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Classic), unique("group"));
    let topic = create(&client, &TopicSettings::new(2)).await;
    for partition in [0, 1] {
        number(&client, &topic, partition, 0..5).await;
    }
    let mut a = Member::join(&feed, &group, &topic).await;
    let read = a.read(10).await;
    // Its request to join waits for the first member.
    let mut b = Member::join(&feed, &group, &topic).await;
    b.poll(0).await;
    for at in a.owned.clone() {
        let last = read
            .iter()
            .rev()
            .find(|record| record.position.partition == at)
            .unwrap();
        a.commit(&last.position).await;
    }
    share(&mut a, &mut b, 2).await;
    b.expect_nothing().await;
    assert_eq!(behind(&feed, &group, &topic).await, 0);
}

#[tokio::test]
async fn a_commit_does_not_wait_for_a_join() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Classic), unique("group"));
    let topic = create(&client, &TopicSettings::new(2)).await;
    number(&client, &topic, 0, 0..5).await;
    number(&client, &topic, 1, 0..5).await;
    let mut a = Member::join(&feed, &group, &topic).await;
    let mut b = Member::join(&feed, &group, &topic).await;
    share(&mut a, &mut b, 2).await;
    let read = a.read(5).await;
    // A third one joins, the first one joins again, and both wait for the second.
    let mut c = Member::join(&feed, &group, &topic).await;
    for _ in 0..5 {
        c.poll(0).await;
        a.poll(0).await;
    }
    let started = std::time::Instant::now();
    a.commit(&read[4].position).await;
    assert!(
        started.elapsed().as_millis() < 1_000,
        "took {:?}",
        started.elapsed()
    );
    let committed = raw::committed(&bootstrap, &group).await;
    assert_eq!(next(&committed, &read[4].position.partition), Some(5));
    drop((b, c));
}

#[tokio::test]
async fn a_revocation_is_acknowledged_in_the_next_poll_only() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(2)).await;
    for partition in [0, 1] {
        number(&client, &topic, partition, 0..5).await;
    }
    let mut a = Member::join(&feed, &group, &topic).await;
    let read = a.read(10).await;
    let mut b = Member::join(&feed, &group, &topic).await;
    // Both say to the group that they live, until the first is told what to let go of.
    let told = async {
        while a.lost.is_empty() {
            a.poll(0).await;
        }
    };
    let waiting = async {
        loop {
            b.poll(0).await;
            assert_eq!(b.owned.len(), 0, "nobody has let go of anything");
        }
    };
    tokio::select! {
        () = told => {}
        () = waiting => {}
    }
    let lost = a.lost[0].clone();
    for _ in 0..5 {
        b.poll(0).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(
        b.owned.len(),
        0,
        "it was reported, and nothing was said to the group yet"
    );
    let last = read
        .iter()
        .rev()
        .find(|record| record.position.partition == lost)
        .unwrap();
    a.commit(&last.position).await;
    share(&mut a, &mut b, 2).await;
    b.expect_nothing().await;
    let late = a.try_commit(&last.position).await.unwrap_err();
    assert!(matches!(late, FeedError::NotAssigned { .. }), "{late}");
}

#[tokio::test]
async fn a_start_after_the_newest_is_committed_at_once() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in BOTH {
        let (feed, group) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(1)).await;
        number(&client, &topic, 0, 0..3).await;
        let latest = options(Start::Latest, Default::default());
        let mut a = Member::join_with(&feed, &group, &topic, latest.clone()).await;
        a.settle(1).await;
        let newest = Some(Offset(2));
        assert_eq!(
            a.committed,
            [(TopicPartition::new(topic.clone(), 0), newest)]
        );
        a.close().await;
        // Nobody has read these, though somebody had begun to read before them.
        number(&client, &topic, 0, 3..5).await;
        let mut b = Member::join_with(&feed, &group, &topic, latest).await;
        assert_eq!(texts(&b.read(2).await), numbers(3..5));
    }
}

#[tokio::test]
async fn the_committed_offset_comes_with_a_partition() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    number(&client, &topic, 0, 0..3).await;
    let at = TopicPartition::new(topic.clone(), 0);
    let mut a = Member::join(&feed, &group, &topic).await;
    let read = a.read(3).await;
    assert_eq!(a.committed, [(at.clone(), None)]);
    a.commit(&read[1].position).await;
    a.close().await;
    let mut b = Member::join(&feed, &group, &topic).await;
    b.settle(1).await;
    assert_eq!(b.committed, [(at, Some(Offset(1)))]);
}

#[tokio::test]
async fn a_position_that_was_not_read_here_is_refused() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    number(&client, &topic, 0, 0..3).await;
    let mut a = Member::join(&feed, &group, &topic).await;
    a.settle(1).await;
    let partition = TopicPartition::new(topic, 0);
    let position = Position {
        partition,
        offset: Offset(0),
        timestamp: Timestamp::EPOCH,
    };
    let refused = a.try_commit(&position).await.unwrap_err();
    assert!(
        matches!(refused, FeedError::NotAssigned { .. }),
        "{refused}"
    );
}
