//! Three brokers that come and go, under readers and writers who notice nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use stack::{KafkaCluster, KafkaOptions, Server as _};
use stockade_change_feed::{
    FeedError, Message, OnLostOffset, Position, Publisher as _, Record, Retry, Start, Topic,
    TopicPartition,
};
use stockade_kafka::{GroupProtocol, KafkaClient, KafkaFeed, KafkaPublisher, TopicSettings};
use tokio::runtime::Handle;

use crate::harness::{client, create, unique};
use crate::member::{Member, limits, number, numbers, options, text, texts};
use crate::raw::{self, Copies};

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

/// What is tested here is not how long a member may be silent: on a busy machine it is so for a
/// while.
const SESSION: Duration = Duration::from_secs(45);

fn feed(client: &KafkaClient, protocol: GroupProtocol) -> KafkaFeed {
    KafkaFeed::new(client.clone())
        .with_protocol(protocol)
        .with_session_timeout(SESSION)
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
async fn read(mut member: Member, stop: Arc<AtomicBool>, wait: Duration) -> Vec<Record> {
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
            commit(&mut member, &position, wait).await;
        }
        read.extend(records);
    }
    assert_eq!(member.resets, []);
    assert_eq!(member.lost, [], "it was a member all the time");
    member.close().await;
    read
}

/// Commits, and again for so long where the answer is that it may succeed later.
async fn commit(member: &mut Member, position: &Position, wait: Duration) {
    let until = Instant::now() + wait;
    while let Err(error) = member.try_commit(position).await {
        let later = matches!(error.retry(), Retry::After(_));
        assert!(later && Instant::now() < until, "committing: {error}");
        member.poll(0).await;
    }
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

/// Readers of both protocols and writers work while brokers come and go, and notice nothing but
/// commits that have to be made again for so long.
async fn under_traffic(
    cluster: KafkaCluster,
    wait: Duration,
    trouble: impl FnOnce(&mut KafkaCluster) + Send + 'static,
) -> KafkaCluster {
    let client = client(&cluster.url()).await;
    let settings = TopicSettings::new(PARTITIONS)
        .with_replicas(3)
        .with_min_in_sync(2);
    let (writing, reading) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (mut writers, mut readers) = (Vec::new(), Vec::new());
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        let topic = create(&client, &settings).await;
        let mut member = Member::join(&feed(&client, protocol), &unique("group"), &topic).await;
        member.settle(PARTITIONS as usize).await;
        writers.push(tokio::spawn(write(client.clone(), topic, writing.clone())));
        readers.push(tokio::spawn(read(member, reading.clone(), wait)));
    }
    let (cluster, ()) = hurt(cluster, trouble).await;
    writing.store(true, Ordering::Relaxed);
    let written = join_all(writers).await;
    reading.store(true, Ordering::Relaxed);
    for (read, written) in join_all(readers).await.into_iter().zip(written) {
        check(&read.unwrap(), written.unwrap());
    }
    cluster
}

/// One cluster for all of it, since it takes a while to start.
#[tokio::test(flavor = "multi_thread")]
async fn brokers_come_and_go() {
    let start = || {
        KafkaOptions::new()
            .set(
                "group.consumer.session.timeout.ms",
                &SESSION.as_millis().to_string(),
            )
            .cluster_for_test()
    };
    let Some(cluster) = tokio::task::spawn_blocking(start).await.unwrap() else {
        return;
    };
    let cluster = a_rolling_restart_is_not_noticed(cluster).await;
    let cluster = brokers_that_are_killed_lose_nothing(cluster).await;
    let cluster = a_log_that_was_cut_off_is_a_reset_and_not_silence(cluster).await;
    hurt(cluster, |_| ()).await;
}

async fn a_rolling_restart_is_not_noticed(cluster: KafkaCluster) -> KafkaCluster {
    under_traffic(cluster, Duration::ZERO, |cluster| {
        // Each leads some partitions, coordinates some groups, and one of them is the controller.
        for id in 1..=3 {
            cluster.broker(id).stop().unwrap();
            cluster.broker(id).restart().unwrap();
            cluster.agreed().unwrap();
            in_sync(cluster);
        }
    })
    .await
}

async fn brokers_that_are_killed_lose_nothing(cluster: KafkaCluster) -> KafkaCluster {
    under_traffic(cluster, Duration::from_secs(60), |cluster| {
        for id in 1..=3 {
            cluster.broker(id).kill();
            std::thread::sleep(Duration::from_secs(5));
            cluster.broker(id).restart().unwrap();
            cluster.agreed().unwrap();
            in_sync(cluster);
        }
    })
    .await
}

/// Waits until all copies are in sync, without which the next broker must not go.
fn in_sync(cluster: &KafkaCluster) {
    let met = |copies: &Copies| copies.replicas.len() == copies.in_sync.len();
    wait(cluster, None, "copies stay behind", |copies| {
        copies.iter().all(met)
    });
}

/// An election that loses what was acknowledged: the records that a member has read are replaced
/// by others of the same offsets.
async fn a_log_that_was_cut_off_is_a_reset_and_not_silence(
    mut cluster: KafkaCluster,
) -> KafkaCluster {
    let client = client(&cluster.url()).await;
    let feed = feed(&client, GroupProtocol::Newest);
    let policies = [OnLostOffset::Fail, OnLostOffset::Earliest];
    let topics = policies.map(|_| Topic::new(unique("topic")).unwrap());
    for topic in &topics {
        raw::create_on(&cluster.url(), topic, &[1, 2]).await;
        number(&client, topic, 0, 0..5).await;
    }
    let of = topics.clone();
    (cluster, ()) = hurt(cluster, move |cluster| {
        cluster.broker(2).kill();
        for topic in &of {
            wait(cluster, Some(topic), "it stays in sync", |copies| {
                copies[0].in_sync == [1]
            });
        }
    })
    .await;
    let mut members = Vec::new();
    for (topic, policy) in topics.iter().zip(policies) {
        number(&client, topic, 0, 5..10).await;
        let options = options(Start::Earliest, policy);
        let mut member = Member::join_with(&feed, &unique("group"), topic, options).await;
        let read = member.read(10).await;
        member.commit(&read[9].position).await;
        members.push(member);
    }

    let of = topics.clone();
    (cluster, ()) = hurt(cluster, move |cluster| {
        cluster.broker(1).kill();
        cluster.broker(2).restart().unwrap();
        for topic in &of {
            wait(cluster, Some(topic), "it does not lead", |copies| {
                copies[0].leader == 2
            });
        }
    })
    .await;
    for topic in &topics {
        // More than there were, so that the committed offset is in the log again.
        let published = number(&client, topic, 0, 20..30).await;
        assert_eq!(published[0].offset.0, 5, "five records are lost");
    }
    for (member, policy) in members.iter_mut().zip(policies) {
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
    }
    cluster
}

/// Waits until the partitions of a topic, or of all, are as they should be.
fn wait(
    cluster: &KafkaCluster,
    topic: Option<&Topic>,
    otherwise: &str,
    met: impl Fn(&[Copies]) -> bool,
) {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let copies = Handle::current().block_on(raw::copies(&cluster.url(), topic));
        if met(&copies) {
            return;
        }
        assert!(Instant::now() < until, "{otherwise}: {copies:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
