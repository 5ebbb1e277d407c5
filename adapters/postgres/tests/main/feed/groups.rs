//! Groups whose members come, go, read and commit at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use stockade_change_feed::{
    Feed, FeedError, Group, Message, OnLostOffset, PollLimits, Publisher, SubscribeOptions,
};
use stockade_postgres::PostgresFeed;
use stockade_testkit::together;

use super::host::{Host, poll, topic};

#[tokio::test]
async fn a_poll_that_can_not_read_keeps_its_report() {
    let Some(host) = Host::open().await else {
        return;
    };
    let message = Message::to_partition(0, "a");
    host.feed.publish(&topic(), vec![message]).await.unwrap();
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    // The member joins and gains the partition, and then finds no records to read.
    host.sql("ALTER TABLE feed.records RENAME TO away").await;
    for _ in 0..2 {
        poll(reader.as_mut()).await.unwrap_err();
    }
    host.sql("ALTER TABLE feed.away RENAME TO records").await;
    let polled = poll(reader.as_mut()).await.unwrap();
    assert_eq!((polled.gained.len(), polled.records.len()), (1, 1));
}

#[tokio::test]
async fn a_topic_that_is_deleted_is_lost_and_gained_when_it_is_back() {
    let Some(host) = Host::open().await else {
        return;
    };
    let feed = host
        .feed
        .clone()
        .with_session_timeout(Duration::from_secs(1));
    let message = || vec![Message::to_partition(0, "a")];
    feed.publish(&topic(), message()).await.unwrap();
    let group = Group::new("g").unwrap();
    let options = SubscribeOptions {
        on_lost_offset: OnLostOffset::Earliest,
        ..SubscribeOptions::default()
    };
    let mut reader = feed.subscribe(&group, &[topic()], options).await.unwrap();
    let polled = poll(reader.as_mut()).await.unwrap();
    assert_eq!((polled.gained.len(), polled.records.len()), (1, 1));
    let finished = [polled.records[0].position.clone()];
    assert!(reader.commit(&finished).await.unwrap()[0].is_ok());

    feed.delete_topic(&topic()).await.unwrap();
    let (mut lost, mut gained, mut resets) = (0, 0, 0);
    for _ in 0..10 {
        let polled = poll(reader.as_mut()).await.unwrap();
        assert_eq!(polled.records, []);
        lost += polled.lost.len();
    }
    feed.publish(&topic(), message()).await.unwrap();
    let mut records = Vec::new();
    for _ in 0..10 {
        let polled = poll(reader.as_mut()).await.unwrap();
        gained += polled.gained.len();
        resets += polled.resets.len();
        records.extend(polled.records);
    }
    assert_eq!((lost, gained, resets, records.len()), (1, 1, 1, 1));
}

/// A member for a while: it reads and commits, and says what it has committed.
async fn follow(feed: PostgresFeed, polls: usize) -> Result<BTreeSet<String>, FeedError> {
    let (group, options) = (Group::new("g").unwrap(), SubscribeOptions::default());
    let mut reader = feed.subscribe(&group, &[topic()], options).await?;
    let limits = PollLimits {
        records: 3,
        wait: Duration::from_millis(5),
        ..PollLimits::default()
    };
    let mut committed = BTreeSet::new();
    for _ in 0..polls {
        let records = reader.poll(&limits).await?.records;
        let positions: Vec<_> = records
            .iter()
            .map(|record| record.position.clone())
            .collect();
        let outcomes = reader.commit(&positions).await?;
        for (record, outcome) in records.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    committed.insert(record.position.to_string());
                }
                Err(FeedError::NotAssigned { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    reader.close().await?;
    Ok(committed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_go_finish_everything_and_block_nobody() {
    const RECORDS: u32 = 300;
    let Some(host) = Host::open().await else {
        return;
    };
    let feed = PostgresFeed::new(host.pool.clone()).with_partitions(4);
    let message = |n: u32| Message::to_partition(n % 4, n.to_string());
    feed.publish(&topic(), (0..RECORDS).map(message).collect())
        .await
        .unwrap();
    let members = (1..=5).map(|n| {
        let feed = feed.clone();
        async move {
            let mut committed = BTreeSet::new();
            for _ in 0..4 {
                committed.extend(follow(feed.clone(), 4 * n).await?);
            }
            Ok::<_, FeedError>(committed)
        }
    });
    let mut committed = BTreeSet::new();
    for of_member in together(members).await {
        committed.extend(of_member.unwrap());
    }
    committed.extend(
        follow(feed.clone(), RECORDS as usize / 3 + 10)
            .await
            .unwrap(),
    );
    assert_eq!(committed.len(), RECORDS as usize);
    let lag = feed
        .lag(&Group::new("g").unwrap(), &[topic()])
        .await
        .unwrap();
    assert!(lag.iter().all(|lag| lag.records == Some(0)), "{lag:?}");
}
