//! Groups that have just been made, are of both protocols, grow, or have silent members.

use std::time::{Duration, Instant};

use stack::{KafkaOptions, Server as _};
use stockade_change_feed::{FeedError, PollLimits};
use stockade_kafka::{GroupProtocol, KafkaFeed, TopicSettings};

use crate::harness::{bootstrap, client, create, unique};
use crate::member::{Member, feed, number, numbers, share, texts};
use crate::raw;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_group_of_a_cluster_joins_without_an_error() {
    let kafka = tokio::task::spawn_blocking(|| KafkaOptions::new().for_test());
    let Some(kafka) = kafka.await.unwrap() else {
        return;
    };
    let client = client(&kafka.url()).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    number(&client, &topic, 0, 0..3).await;
    for protocol in [GroupProtocol::Classic, GroupProtocol::Newest] {
        // Until the topic of groups is made, there is no coordinator, or one that says it is none.
        let mut member = Member::join(&feed(&client, protocol), &unique("group"), &topic).await;
        assert_eq!(texts(&member.read(3).await), numbers(0..3));
    }
    tokio::task::spawn_blocking(move || drop(kafka))
        .await
        .unwrap();
}

#[tokio::test]
async fn members_of_both_protocols_share_a_group() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(4)).await;
    let group = unique("group");
    let mut newest = Member::join(&feed(&client, GroupProtocol::Newest), &group, &topic).await;
    newest.settle(4).await;
    let mut classic = Member::join(&feed(&client, GroupProtocol::Classic), &group, &topic).await;
    share(&mut newest, &mut classic, 4).await;
    for partition in 0..4 {
        number(&client, &topic, partition, 0..5).await;
    }
    let mut read = newest.read(5 * newest.owned.len()).await;
    read.extend(classic.read(5 * classic.owned.len()).await);
    assert_eq!(read.len(), 20);
    for record in &read {
        let at = &record.position.partition;
        let member = if newest.owned.contains(at) {
            &mut newest
        } else {
            &mut classic
        };
        member.commit(&record.position).await;
    }
    newest.close().await;
    classic.settle(4).await;
    classic.expect_nothing().await;
}

#[tokio::test]
async fn a_member_comes_back_to_a_group_that_has_turned_classic() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(2)).await;
    let group = unique("group");
    let mut newest = Member::join(&feed(&client, GroupProtocol::Newest), &group, &topic).await;
    newest.settle(2).await;
    let mut classic = Member::join(&feed(&client, GroupProtocol::Classic), &group, &topic).await;
    share(&mut newest, &mut classic, 2).await;
    // The only member of the newer protocol is silent, until the group has none.
    classic.settle(2).await;
    share(&mut newest, &mut classic, 2).await;
    assert_eq!(
        newest.lost.len() + newest.owned.len(),
        3,
        "it had lost what it had: {:?}",
        newest.lost
    );
}

#[tokio::test]
async fn in_a_group_of_kafka_4_the_brokers_session_timeout_counts() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    let group = unique("group");
    let patient = KafkaFeed::new(client.clone()).with_session_timeout(Duration::from_secs(3600));
    let mut silent = Member::join(&patient, &group, &topic).await;
    silent.settle(1).await;
    let mut other = Member::join(&patient, &group, &topic).await;
    let started = Instant::now();
    other.settle(1).await;
    let took = started.elapsed();
    assert!(
        (3..20).contains(&took.as_secs()),
        "the broker says 6 s, and it took {took:?}"
    );
}

#[tokio::test]
async fn who_comes_back_after_its_session_delivers_nothing_that_is_others() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        let (feed, group) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(1)).await;
        number(&client, &topic, 0, 0..10).await;
        let mut paused = Member::join(&feed, &group, &topic).await;
        // The others are read ahead.
        assert_eq!(texts(&paused.read(1).await), numbers(0..1));
        let mut other = Member::join(&feed, &group, &topic).await;
        let read = other.read(10).await;
        other.commit(&read[9].position).await;
        paused.expect_nothing().await;
        assert_eq!(paused.lost.len(), 1);
    }
}

#[tokio::test]
async fn partitions_that_are_added_are_read() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        let (feed, group) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(1)).await;
        let mut member = Member::join(&feed, &group, &topic).await;
        member.settle(1).await;
        raw::grow(&bootstrap, &topic, 3).await;
        number(&client, &topic, 2, 0..3).await;
        assert_eq!(texts(&member.read(3).await), numbers(0..3));
        member.settle(3).await;
    }
}

#[tokio::test]
async fn a_session_timeout_that_the_brokers_do_not_allow_is_named() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    let feed = KafkaFeed::new(client)
        .with_protocol(GroupProtocol::Classic)
        .with_session_timeout(Duration::from_secs(36_000));
    let mut member = Member::join(&feed, &unique("group"), &topic).await;
    let limits = PollLimits {
        wait: Duration::from_secs(10),
        ..PollLimits::default()
    };
    let error = member.try_poll(&limits).await.unwrap_err();
    assert!(matches!(error, FeedError::Failed(_)), "{error}");
    assert!(
        error.to_string().contains("group.max.session.timeout.ms"),
        "{error}"
    );
}
