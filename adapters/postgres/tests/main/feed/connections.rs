//! Connections that are lent, kept and closed.

use std::collections::BTreeSet;
use std::time::Duration;

use stockade_change_feed::{Feed, Group, Message, PollLimits, Publisher, Retry, SubscribeOptions};

use super::host::{Host, feed_over, topic};

/// As a server that is the primary no more: the pool has to find the new one.
#[tokio::test]
async fn a_connection_that_can_not_write_is_not_lent_again() {
    let Some(host) = Host::open().await else {
        return;
    };
    let pool = host.narrow_pool();
    let feed = feed_over(pool.clone());
    let message = || vec![Message::to_partition(0, "a")];
    let published = feed.publish(&topic(), message()).await.unwrap().remove(0);
    let at = published.unwrap().partition;
    let demote = async || {
        let demote = "SET default_transaction_read_only TO on";
        sqlx::raw_sql(demote).execute(&pool).await.unwrap();
    };

    demote().await;
    let refused = feed.publish(&topic(), message()).await.unwrap_err();
    assert!(matches!(refused.retry(), Retry::After(_)), "{refused}");
    let published = feed.publish(&topic(), message()).await.unwrap().remove(0);
    published.unwrap();

    demote().await;
    feed.trim(&at, 1).await.unwrap_err();
    feed.trim(&at, 1).await.unwrap();

    let (group, options) = (Group::new("g").unwrap(), SubscribeOptions::default());
    let mut reader = feed.subscribe(&group, &[topic()], options).await.unwrap();
    let mut records = Vec::new();
    while records.is_empty() {
        let polled = reader.poll(&PollLimits::default()).await.unwrap();
        records = polled.records;
    }
    let position = [records.remove(0).position];
    demote().await;
    assert!(reader.commit(&position).await.is_err());
    assert!(reader.commit(&position).await.unwrap()[0].is_ok());
}

#[tokio::test]
async fn who_stands_by_does_not_connect_again_and_again() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    let running = || tokio::spawn(host.capture.clone().run(std::future::pending()));
    let both = [running(), running()];
    let backends = async || -> BTreeSet<i32> {
        // A vacuum of the server's own comes and goes.
        let pids = "SELECT pid FROM pg_stat_activity \
            WHERE datname = current_database() AND backend_type = 'client backend'";
        let pids: Vec<i32> = sqlx::query_scalar(pids)
            .fetch_all(&host.pool)
            .await
            .unwrap();
        pids.into_iter().collect()
    };
    // Until the pool has replaced what they took of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (settled, mut seen) = (backends().await, BTreeSet::new());
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen.extend(backends().await);
    }
    both.iter().for_each(tokio::task::JoinHandle::abort);
    let new: Vec<_> = seen.difference(&settled).collect();
    assert!(new.is_empty(), "{} connections were made", new.len());
}
