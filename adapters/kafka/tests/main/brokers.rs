//! Three brokers that come and go, under readers and writers who notice nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stack::{KafkaCluster, KafkaOptions, KafkaTool, Server as _};
use stockade_change_feed::{
    FeedError, Message, OnLostOffset, Publisher as _, Record, Start, Topic, TopicPartition,
};
use stockade_kafka::{GroupProtocol, KafkaClient, KafkaPublisher, TopicSettings};

use crate::harness::{client, create, unique};
use crate::member::{Member, feed, limits, number, numbers, options, text, texts};

const PARTITIONS: u32 = 6;

/// Hurts a cluster, on a thread where that may block.
async fn hurt<T: Send + 'static>(
    cluster: KafkaCluster,
    work: impl FnOnce(&mut KafkaCluster) -> T + Send + 'static,
) -> (KafkaCluster, T) {
    let working = move || {
        let mut cluster = cluster;
        let done = work(&mut cluster);
        (cluster, done)
    };
    tokio::task::spawn_blocking(working).await.unwrap()
}

async fn start(options: KafkaOptions) -> Option<KafkaCluster> {
    tokio::task::spawn_blocking(|| options.cluster_for_test())
        .await
        .unwrap()
}

/// Publishes numbers until it is told to stop, and returns how many.
async fn write(client: KafkaClient, topic: Topic, stop: Arc<AtomicBool>) -> usize {
    let publisher = KafkaPublisher::new(client);
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let message = |n: usize| Message::to_partition(n as u32 % PARTITIONS, n.to_string());
        let messages = (written..written + 30).map(message).collect();
        let outcomes = publisher.publish(&topic, messages).await.unwrap();
        for outcome in outcomes {
            outcome.unwrap_or_else(|error| panic!("publishing number {written} or so: {error}"));
        }
        written += 30;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    written
}

/// Reads and commits until it is told to stop and has read all, and returns what it read.
async fn read(mut member: Member, stop: Arc<AtomicBool>) -> Vec<Record> {
    let mut read = Vec::new();
    let mut quiet = 0;
    while quiet < 10 {
        let records = member.poll(500).await;
        let stopped = stop.load(Ordering::Relaxed);
        quiet = if stopped && records.is_empty() {
            quiet + 1
        } else {
            0
        };
        let mut last: BTreeMap<TopicPartition, _> = BTreeMap::new();
        for record in &records {
            last.insert(record.position.partition.clone(), record.position.clone());
        }
        for position in last.into_values() {
            member.commit(&position).await;
        }
        read.extend(records);
    }
    assert_eq!(member.resets, []);
    assert_eq!(member.lost, [], "it was a member all the time");
    member.close().await;
    read
}

/// Every number came once, and those of a partition in their order.
fn check(read: &[Record], written: usize) {
    let mut next: BTreeMap<u32, usize> = (0..PARTITIONS).map(|n| (n, n as usize)).collect();
    for record in read {
        let number: usize = text(record).parse().unwrap();
        let partition = record.position.partition.partition;
        let expected = next.get_mut(&partition).unwrap();
        assert_eq!(number, *expected, "in partition {partition}");
        *expected += PARTITIONS as usize;
    }
    assert_eq!(read.len(), written);
}

async fn under_traffic(
    cluster: KafkaCluster,
    protocol: GroupProtocol,
    trouble: impl FnOnce(&mut KafkaCluster) + Send + 'static,
) -> KafkaCluster {
    let bootstrap = cluster.url();
    let client = client(&bootstrap).await;
    let settings = TopicSettings::new(PARTITIONS)
        .with_replicas(3)
        .with_min_in_sync(2);
    let topic = create(&client, &settings).await;
    let mut member = Member::join(&feed(&client, protocol), &unique("group"), &topic).await;
    member.settle(PARTITIONS as usize).await;
    let (writing, reading) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let writer = tokio::spawn(write(client.clone(), topic, writing.clone()));
    let reader = tokio::spawn(read(member, reading.clone()));
    let (cluster, ()) = hurt(cluster, trouble).await;
    writing.store(true, Ordering::Relaxed);
    let written = writer.await.unwrap();
    reading.store(true, Ordering::Relaxed);
    check(&reader.await.unwrap(), written);
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_is_not_noticed() {
    let Some(mut cluster) = start(KafkaOptions::new()).await else {
        return;
    };
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        cluster = under_traffic(cluster, protocol, |cluster| {
            // Each leads some partitions, coordinates some groups, and one of them is the
            // controller.
            for id in 1..=3 {
                cluster.broker(id).stop().unwrap();
                cluster.broker(id).restart().unwrap();
                cluster.agreed().unwrap();
                in_sync(cluster);
            }
        })
        .await;
    }
    hurt(cluster, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_killed_lose_nothing() {
    let Some(cluster) = start(KafkaOptions::new()).await else {
        return;
    };
    let cluster = under_traffic(cluster, GroupProtocol::Newest, |cluster| {
        for id in 1..=3 {
            cluster.broker(id).kill();
            std::thread::sleep(Duration::from_secs(5));
            cluster.broker(id).restart().unwrap();
            cluster.agreed().unwrap();
            in_sync(cluster);
        }
    })
    .await;
    hurt(cluster, |_| ()).await;
}

/// Waits until all copies are in sync, without which the next broker must not go.
fn in_sync(cluster: &KafkaCluster) {
    let until = Instant::now() + Duration::from_secs(60);
    let behind = ["--describe", "--under-replicated-partitions"];
    while !KafkaTool::Topics
        .run(&cluster.url(), &behind)
        .unwrap()
        .trim()
        .is_empty()
    {
        assert!(Instant::now() < until, "copies stay behind");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// An election that loses what was acknowledged: the records that a member has read are replaced
/// by others of the same offsets.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_off_is_a_reset_and_not_silence() {
    let Some(mut cluster) = start(KafkaOptions::new()).await else {
        return;
    };
    let client = client(&cluster.url()).await;
    for policy in [OnLostOffset::Fail, OnLostOffset::Earliest] {
        let topic = Topic::new(unique("topic")).unwrap();
        let name = topic.to_string();
        (cluster, ()) = hurt(cluster, move |cluster| create_on_two(cluster, &name)).await;
        number(&client, &topic, 0, 0..5).await;

        let name = topic.to_string();
        (cluster, ()) = hurt(cluster, move |cluster| {
            cluster.broker(2).kill();
            wait(cluster, &name, "Isr: 1\t");
        })
        .await;
        number(&client, &topic, 0, 5..10).await;
        let feed = feed(&client, GroupProtocol::Newest);
        let options = options(Start::Earliest, policy);
        let mut member = Member::join_with(&feed, &unique("group"), &topic, options).await;
        let read = member.read(10).await;
        member.commit(&read[9].position).await;

        let name = topic.to_string();
        (cluster, ()) = hurt(cluster, move |cluster| {
            cluster.broker(1).kill();
            cluster.broker(2).restart().unwrap();
            wait(cluster, &name, "Leader: 2\t");
        })
        .await;
        // More than there were, so that the committed offset is in the log again.
        let published = number(&client, &topic, 0, 20..30).await;
        assert_eq!(published[0].offset.0, 5, "five records are lost");
        if policy == OnLostOffset::Earliest {
            assert_eq!(
                texts(&member.read(10).await),
                numbers(20..30),
                "from where it was cut off"
            );
            let reset = &member.resets[0];
            assert_eq!((reset.committed.0, reset.resumed_at.0), (9, 5));
        } else {
            let error = loop {
                match member.try_poll(&limits(10)).await {
                    Ok(records) => assert!(records.is_empty(), "{:?}", texts(&records)),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, FeedError::OffsetLost { .. }), "{error}");
        }
        (cluster, ()) = hurt(cluster, |cluster| {
            cluster.broker(1).restart().unwrap();
            cluster.agreed().unwrap();
            in_sync(cluster);
        })
        .await;
    }
    hurt(cluster, |_| ()).await;
}

fn create_on_two(cluster: &KafkaCluster, topic: &str) {
    let unclean = "unclean.leader.election.enable=true";
    let create = [
        "--create",
        "--topic",
        topic,
        "--replica-assignment",
        "1:2",
        "--config",
        unclean,
    ];
    KafkaTool::Topics.run(&cluster.url(), &create).unwrap();
}

/// Waits until a topic is described so.
fn wait(cluster: &KafkaCluster, topic: &str, expected: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let told = KafkaTool::Topics.run(&cluster.url(), &["--describe", "--topic", topic]);
        let told = told.unwrap();
        if told.contains(expected) {
            return;
        }
        assert!(Instant::now() < until, "{expected} does not come: {told}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
