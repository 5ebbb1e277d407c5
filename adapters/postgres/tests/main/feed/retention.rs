//! Records that are forgotten, and groups that begin again.

use std::time::Duration;

use stockade_change_feed::{
    Feed, FeedError, Group, Message, OnLostOffset, Publisher, Record, Subscription, Timestamp,
    Topic, TopicPartition,
};
use stockade_postgres::ResetTo;

use super::host::{Host, feed_over, poll, topic};

fn numbers(numbers: std::ops::Range<u32>) -> Vec<Message> {
    let message = |n: u32| Message::to_partition(0, n.to_string());
    numbers.map(message).collect()
}

/// The records that are there.
async fn all(reader: &mut dyn Subscription) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let polled = poll(reader).await.unwrap();
        if polled.records.is_empty() && polled.gained.is_empty() {
            return records;
        }
        records.extend(polled.records);
    }
}

fn offsets(records: &[Record]) -> Vec<u128> {
    let offsets = records.iter().map(|record| record.position.offset.0);
    offsets.collect()
}

#[tokio::test]
async fn trimming_keeps_nobody_from_publishing() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.feed.publish(&topic(), numbers(0..10)).await.unwrap();
    // A record that can not be deleted yet.
    let mut holding = host.pool.begin().await.unwrap();
    let hold = "SELECT FROM feed.records WHERE \"offset\" = 5 FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut *holding).await.unwrap();
    let feed = host.feed.clone();
    let trimming = tokio::spawn(async move { feed.trim_older(&topic(), Duration::ZERO).await });
    host.until_blocked().await;
    for outcome in host.feed.publish(&topic(), numbers(10..12)).await.unwrap() {
        outcome.unwrap();
    }
    holding.rollback().await.unwrap();
    trimming.await.unwrap().unwrap();
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let left = offsets(&all(reader.as_mut()).await);
    assert_eq!(left, [10, 11], "what is younger");
}

/// More records than are forgotten at once, by a pool of a single connection, which is kept.
#[tokio::test]
async fn trimming_takes_one_connection_and_leaves_nothing() {
    let Some(host) = Host::open().await else {
        return;
    };
    let pool = host.narrow_pool();
    let feed = feed_over(pool.clone());
    let backend = "SELECT pg_backend_pid()";
    let before: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
    let kept = async || -> Vec<i64> {
        let kept = "SELECT \"offset\" FROM feed.records ORDER BY 1";
        sqlx::query_scalar(kept)
            .fetch_all(&host.pool)
            .await
            .unwrap()
    };
    let at = TopicPartition::new(topic(), 0);
    for outcome in feed.publish(&topic(), numbers(0..5_000)).await.unwrap() {
        outcome.unwrap();
    }
    feed.trim(&at, 2_500).await.unwrap();
    assert_eq!(kept().await, (2_500..5_000).collect::<Vec<_>>());
    let grown_old = "UPDATE feed.records SET published_at = published_at - interval '1 hour' \
        WHERE \"offset\" < 4800";
    host.sql(grown_old).await;
    feed.trim_older(&topic(), Duration::from_secs(1_800))
        .await
        .unwrap();
    assert_eq!(kept().await, (4_800..5_000).collect::<Vec<_>>());
    feed.delete_topic(&topic()).await.unwrap();
    assert_eq!(kept().await, Vec::<i64>::new());
    let after: i32 = sqlx::query_scalar(backend).fetch_one(&pool).await.unwrap();
    assert_eq!(after, before, "the same connection");
}

#[tokio::test]
async fn a_group_begins_again_where_it_is_told() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.feed.publish(&topic(), numbers(0..10)).await.unwrap();
    host.sql("UPDATE feed.records SET published_at = to_timestamp(1000000 + \"offset\")")
        .await;
    let (group, topics) = (Group::new("g").unwrap(), [topic()]);
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let last = all(reader.as_mut()).await.pop().unwrap();
    assert!(reader.commit(&[last.position]).await.unwrap()[0].is_ok());

    let refused = host.feed.reset_group(&group, &topics, ResetTo::Earliest);
    let refused = refused.await.unwrap_err();
    let active = matches!(refused, FeedError::GroupActive { members: 1, .. });
    assert!(active, "{refused}");
    reader.close().await.unwrap();
    let lag = host.feed.lag(&group, &topics).await.unwrap();
    assert_eq!(lag[0].records, Some(0), "it is as it was");
    let unknown = [topic(), Topic::new("unknown").unwrap()];
    let refused = host.feed.reset_group(&group, &unknown, ResetTo::Earliest);
    let refused = refused.await.unwrap_err();
    let named = matches!(&refused, FeedError::UnknownTopic { topic } if *topic == unknown[1]);
    assert!(named, "{refused}");

    let at = |second: i64| ResetTo::Since(Timestamp::from_millis(1_000_000_000 + second * 1_000));
    for (to, expected) in [
        (ResetTo::Latest, 10..10),
        (ResetTo::Earliest, 0..10),
        (at(4), 4..10),
        (at(100), 10..10),
        (at(-100), 0..10),
    ] {
        host.feed.reset_group(&group, &topics, to).await.unwrap();
        let mut reader = host.reader("g", OnLostOffset::Fail).await;
        let read = offsets(&all(reader.as_mut()).await);
        assert_eq!(read, expected.collect::<Vec<u128>>(), "{to:?}");
        reader.close().await.unwrap();
    }
}

#[tokio::test]
async fn who_was_silent_keeps_no_group_from_beginning_again() {
    let Some(host) = Host::open().await else {
        return;
    };
    let silence = Duration::from_secs(1);
    let feed = host.feed.clone().with_session_timeout(silence);
    feed.publish(&topic(), numbers(0..10)).await.unwrap();
    let (group, topics) = (Group::new("g").unwrap(), [topic()]);
    let mut stalled = host.reader("g", OnLostOffset::Fail).await;
    let last = all(stalled.as_mut()).await.pop().unwrap();
    tokio::time::sleep(silence + Duration::from_millis(100)).await;
    feed.reset_group(&group, &topics, ResetTo::Since(Timestamp::EPOCH))
        .await
        .unwrap();
    let late = stalled.commit(&[last.position]).await.unwrap().remove(0);
    assert!(
        matches!(late, Err(FeedError::NotAssigned { .. })),
        "{late:?}"
    );
    let again = offsets(&all(stalled.as_mut()).await);
    assert_eq!(again, (0..10).collect::<Vec<u128>>());
}
