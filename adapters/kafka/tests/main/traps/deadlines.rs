//! Brokers that do not answer, and those that never will.

use std::time::{Duration, Instant};

use stack::{KafkaOptions, Listener, Port, Proxy, Server as _};
use stockade_change_feed::{
    Feed as _, Group, Message, PollLimits, Publisher as _, Retry, SubscribeOptions, Topic,
};
use stockade_kafka::{
    GroupProtocol, KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, Sasl, TopicSettings,
};

use crate::harness::{client, create};
use crate::member::{Member, number};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_delays_nobody_beyond_the_deadline() {
    let kafka = tokio::task::spawn_blocking(|| KafkaOptions::new().for_test());
    let Some(kafka) = kafka.await.unwrap() else {
        return;
    };
    let url = kafka.url();
    let topic = create(&client(&url).await, &TopicSettings::new(1)).await;
    number(&client(&url).await, &topic, 0, 0..3).await;
    let config = KafkaConfig::new([&url])
        .unwrap()
        .with_connect_timeout(Duration::from_secs(1))
        .with_request_timeout(Duration::from_secs(1));
    let hurried = KafkaClient::connect(config).await.unwrap();
    let feed = KafkaFeed::new(hurried.clone())
        .with_protocol(GroupProtocol::Classic)
        .with_patience(Duration::from_secs(4));
    let publisher = KafkaPublisher::new(hurried).with_timeout(Duration::from_secs(2));
    // The first group of a cluster takes its time.
    let patient = KafkaFeed::new(client(&url).await);
    Member::join(&patient, "first", &topic).await.read(3).await;
    let mut member = Member::join(&feed, "g", &topic).await;
    let read = member.read(3).await;
    number(&client(&url).await, &topic, 0, 0..1).await;
    publisher
        .publish(&topic, vec![Message::keyed("k", "v")])
        .await
        .unwrap();

    kafka.pause();
    let limit = Duration::from_secs(5);
    let started = Instant::now();
    let outcome = publisher
        .publish(&topic, vec![Message::keyed("k", "v")])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(outcome.unwrap_err().retry(), Retry::OutcomeUnknown);
    assert!(
        started.elapsed() < limit,
        "publishing took {:?}",
        started.elapsed()
    );

    let started = Instant::now();
    let group = Group::new("g").unwrap();
    let error = feed
        .lag(&group, std::slice::from_ref(&topic))
        .await
        .unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(
        started.elapsed() < limit,
        "the lag took {:?}",
        started.elapsed()
    );

    let started = Instant::now();
    let error = member.try_commit(&read[0].position).await.unwrap_err();
    assert_ne!(error.retry(), Retry::Never, "{error}");
    assert!(
        started.elapsed() < limit * 2,
        "a commit took {:?}",
        started.elapsed()
    );

    let started = Instant::now();
    let limits = PollLimits {
        wait: Duration::from_millis(200),
        ..PollLimits::default()
    };
    loop {
        let poll = Instant::now();
        let failed = member.try_poll(&limits).await.is_err();
        assert!(
            poll.elapsed() < Duration::from_secs(2),
            "a poll took {:?}",
            poll.elapsed()
        );
        if failed {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "such trouble is worth telling"
        );
    }

    kafka.resume();
    let started = Instant::now();
    while member.try_poll(&limits).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "it is back");
    }
    let outcome = publisher
        .publish(&topic, vec![Message::keyed("k", "v")])
        .await
        .unwrap()
        .remove(0);
    outcome.unwrap();
    tokio::task::spawn_blocking(move || drop((kafka, member)))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_an_error_at_once() {
    let kafka = tokio::task::spawn_blocking(|| KafkaOptions::new().user("ada", "right").for_test());
    let Some(kafka) = kafka.await.unwrap() else {
        return;
    };
    let address = kafka.address(Listener::Sasl).to_string();
    for sasl in [
        Sasl::plain("ada", "wrong"),
        Sasl::scram_sha_256("ada", "wrong"),
        Sasl::scram_sha_512("nobody", "right"),
    ] {
        let config = KafkaConfig::new([&address]).unwrap().with_sasl(sasl);
        let started = Instant::now();
        let error = KafkaClient::connect(config.clone()).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Never, "{error}");
        let topic = Topic::new("t").unwrap();
        let publisher = KafkaPublisher::new(KafkaClient::lazy(config.clone()));
        let error = publisher
            .publish(&topic, vec![Message::keyed("k", "v")])
            .await
            .unwrap_err();
        assert_eq!(error.retry(), Retry::Never, "{error}");
        let feed = KafkaFeed::new(KafkaClient::lazy(config));
        let group = Group::new("g").unwrap();
        let joined = feed
            .subscribe(&group, &[topic], SubscribeOptions::default())
            .await;
        assert_eq!(joined.map(drop).unwrap_err().retry(), Retry::Never);
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "took {:?}",
            started.elapsed()
        );
    }
    tokio::task::spawn_blocking(move || drop(kafka))
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    // Taken, and nobody listens on it.
    let port = Port::take().unwrap();
    let address = port.address().to_string();
    let config = KafkaConfig::new([&address]).unwrap();
    let started = Instant::now();
    let error = KafkaClient::connect(config).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_lost_doubles_nothing() {
    let port = Port::take().unwrap();
    let proxy = Proxy::start(port.address()).await.unwrap();
    let address = proxy.address();
    let kafka =
        tokio::task::spawn_blocking(move || KafkaOptions::new().proxied(port, address).for_test());
    let Some(kafka) = kafka.await.unwrap() else {
        return;
    };
    let direct = client(&kafka.url()).await;
    let topic = create(&direct, &TopicSettings::new(1)).await;
    let hurt = client(&address.to_string()).await;
    let publisher = KafkaPublisher::new(hurt);
    publisher
        .publish(&topic, vec![Message::keyed("k", "0")])
        .await
        .unwrap();
    for n in 1..=3 {
        let value = format!("number {n}");
        proxy.lose_reply_to(value.clone());
        let outcomes = publisher
            .publish(&topic, vec![Message::keyed("k", value)])
            .await
            .unwrap();
        let published = outcomes.into_iter().next().unwrap().unwrap();
        assert_eq!(
            published.offset.0, n,
            "in the log once, where it was appended first"
        );
        proxy.clear();
    }
    tokio::task::spawn_blocking(move || drop(kafka))
        .await
        .unwrap();
}
