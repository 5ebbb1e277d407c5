//! Topics are created as they have to be, and those that exist are checked.

use std::time::Duration;

use stack::KafkaTool;
use stockade_change_feed::{
    Feed as _, FeedError, Group, Message, Publisher as _, SubscribeOptions, Topic,
};
use stockade_kafka::{GroupProtocol, KafkaPublisher, TopicSettings};

use crate::harness::{bootstrap, client, create, rskafka, unique};
use crate::member::{feed, number};

#[tokio::test]
async fn a_topic_is_as_it_was_told_to_be() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let settings = TopicSettings::new(3)
        .with_replicas(1)
        .with_min_in_sync(1)
        .with_retention(Duration::from_secs(3_600))
        .with_setting("max.message.bytes", "2000000");
    let topic = create(&client, &settings).await;
    let described = KafkaTool::Topics
        .run(&bootstrap, &["--describe", "--topic", topic.as_str()])
        .unwrap();
    for told in [
        "PartitionCount: 3",
        "ReplicationFactor: 1",
        "cleanup.policy=delete",
        "retention.ms=3600000",
        "max.message.bytes=2000000",
        "unclean.leader.election.enable=false",
    ] {
        assert!(described.contains(told), "{told} is not in {described}");
    }
    assert_eq!(
        client.ensure_topic(&topic, &settings).await.unwrap(),
        [],
        "once more"
    );
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_named_with_what_changes_it() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(2)).await;
    let wanted = TopicSettings::new(4)
        .with_replicas(3)
        .with_retention(Duration::from_secs(60));
    let problems = client.ensure_topic(&topic, &wanted).await.unwrap();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{told:?}");
    for (setting, change) in [
        ("partitions=2", "--partitions"),
        ("replicas=1", "kafka-reassign-partitions"),
        ("retention.ms=604800000", "'retention.ms=60000'"),
    ] {
        let found = told.iter().find(|told| told.contains(setting)).unwrap();
        assert!(found.contains(change), "{found}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_so_and_not_made() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = Topic::new(unique("missing")).unwrap();
    let unknown = |error: FeedError| {
        assert!(
            matches!(&error, FeedError::UnknownTopic { topic: told } if *told == topic),
            "{error}"
        );
    };
    let publisher = KafkaPublisher::new(client.clone());
    unknown(
        publisher
            .publish(&topic, vec![Message::keyed("k", "v")])
            .await
            .unwrap_err(),
    );
    unknown(publisher.partitions(&topic).await.unwrap_err());
    unknown(
        client
            .check_topic(&topic, &TopicSettings::new(1))
            .await
            .unwrap_err(),
    );
    let (feed, group) = (
        feed(&client, GroupProtocol::Newest),
        Group::new("g").unwrap(),
    );
    let topics = [topic.clone()];
    let joined = feed
        .subscribe(&group, &topics, SubscribeOptions::default())
        .await;
    unknown(joined.map(drop).unwrap_err());
    unknown(feed.lag(&group, &topics).await.unwrap_err());
}

#[tokio::test]
async fn a_topic_that_is_deleted_under_a_publisher_is_unknown() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    number(&client, &topic, 0, 0..1).await;
    let publisher = KafkaPublisher::new(client).with_timeout(Duration::from_secs(10));
    publisher
        .publish(&topic, vec![Message::keyed("k", "v")])
        .await
        .unwrap();
    let controller = rskafka(&bootstrap).await.controller_client().unwrap();
    controller
        .delete_topic(topic.as_str(), 5_000)
        .await
        .unwrap();
    let outcome = publisher
        .publish(&topic, vec![Message::keyed("k", "v")])
        .await;
    let error = outcome
        .map(|mut outcomes| outcomes.remove(0))
        .and_then(|outcome| outcome);
    let error = error.unwrap_err();
    assert!(matches!(error, FeedError::UnknownTopic { .. }), "{error}");
}
