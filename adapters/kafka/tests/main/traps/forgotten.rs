//! What was committed may be gone, may be somebody else's, or may be of a topic that is gone.

use stack::KafkaTool;
use stockade_change_feed::{
    FeedError, Group, Offset, OnLostOffset, Start, Timestamp, TopicPartition,
};
use stockade_kafka::{GroupProtocol, KafkaClient, ResetTo, TopicSettings};

use crate::harness::{bootstrap, client, create, rskafka, unique};
use crate::member::{Member, feed, limits, number, numbers, options, texts};
use crate::raw;

/// Deletes a topic, and creates another one of its name.
async fn recreate(bootstrap: &str, client: &KafkaClient, at: &TopicPartition) {
    let settings = TopicSettings::new(1);
    let controller = rskafka(bootstrap).await.controller_client().unwrap();
    controller
        .delete_topic(at.topic.as_str(), 5_000)
        .await
        .unwrap();
    while client.check_topic(&at.topic, &settings).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    client.ensure_topic(&at.topic, &settings).await.unwrap();
}

#[tokio::test]
async fn a_topic_that_is_created_anew_under_a_member_is_noticed() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        for policy in [OnLostOffset::Fail, OnLostOffset::Earliest] {
            let (feed, group) = (feed(&client, protocol), unique("group"));
            let topic = create(&client, &TopicSettings::new(1)).await;
            let at = TopicPartition::new(topic.clone(), 0);
            number(&client, &topic, 0, 0..5).await;
            let options = options(Start::Earliest, policy);
            let mut member = Member::join_with(&feed, &group, &topic, options).await;
            let read = member.read(5).await;
            member.commit(&read[4].position).await;
            recreate(&bootstrap, &client, &at).await;
            // More than there were, so that their offsets alone tell nothing.
            number(&client, &topic, 0, 10..20).await;
            if policy == OnLostOffset::Earliest {
                assert_eq!(texts(&member.read(10).await), numbers(10..20));
                assert_eq!(member.resets.len(), 1, "{:?}", member.resets);
                continue;
            }
            let error = loop {
                match member.try_poll(&limits(10)).await {
                    Ok(records) => assert!(records.is_empty(), "{:?}", texts(&records)),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, FeedError::OffsetLost { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn what_kafka_forgot_with_the_topic_is_a_new_group() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    let at = TopicPartition::new(topic.clone(), 0);
    number(&client, &topic, 0, 0..5).await;
    let mut member = Member::join(&feed, &group, &topic).await;
    let read = member.read(5).await;
    member.commit(&read[4].position).await;
    member.close().await;
    recreate(&bootstrap, &client, &at).await;
    number(&client, &topic, 0, 10..12).await;
    let mut member = Member::join(&feed, &group, &topic).await;
    assert_eq!(texts(&member.read(2).await), numbers(10..12));
    assert_eq!(member.committed, [(at, None)]);
}

#[tokio::test]
async fn an_offset_that_an_operator_has_set_is_followed() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    number(&client, &topic, 0, 0..5).await;
    let mut member = Member::join(&feed, &group, &topic).await;
    let read = member.read(5).await;
    member.commit(&read[4].position).await;
    member.close().await;
    let arguments = [
        "--group",
        &group,
        "--topic",
        topic.as_str(),
        "--reset-offsets",
        "--to-offset",
        "2",
        "--execute",
    ];
    KafkaTool::ConsumerGroups
        .run(&bootstrap, &arguments)
        .unwrap();
    let committed = raw::committed(&bootstrap, &group).await;
    assert_eq!((committed[0].next, committed[0].metadata.as_str()), (2, ""));
    let mut member = Member::join(&feed, &group, &topic).await;
    assert_eq!(texts(&member.read(3).await), numbers(2..5));
    assert_eq!(member.resets, []);
    assert_eq!(member.committed[0].1, Some(Offset(1)));
}

#[tokio::test]
async fn a_group_that_kafka_has_forgotten_is_a_new_one() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    number(&client, &topic, 0, 0..5).await;
    let mut member = Member::join(&feed, &group, &topic).await;
    let read = member.read(5).await;
    member.commit(&read[4].position).await;
    member.close().await;
    // As `offsets.retention.minutes` does with a group that nobody has read for.
    KafkaTool::ConsumerGroups
        .run(&bootstrap, &["--group", &group, "--delete"])
        .unwrap();
    let mut member = Member::join(&feed, &group, &topic).await;
    assert_eq!(texts(&member.read(5).await), numbers(0..5));
    assert_eq!(member.committed[0].1, None);
}

#[tokio::test]
async fn a_group_begins_again_where_it_is_told_unless_it_has_members() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        let (feed, name) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(1)).await;
        number(&client, &topic, 0, 0..3).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let since = Timestamp::from(std::time::SystemTime::now());
        number(&client, &topic, 0, 3..5).await;
        let (group, topics) = (Group::new(&name).unwrap(), [topic.clone()]);
        let mut member = Member::join(&feed, &name, &topic).await;
        member.settle(1).await;
        let refused = feed
            .reset_group(&group, &topics, ResetTo::Latest)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, FeedError::GroupActive { members: 1, .. }),
            "{refused}"
        );
        member.close().await;
        for (to, expected) in [
            (ResetTo::Since(since), numbers(3..5)),
            (ResetTo::Earliest, numbers(0..5)),
            (ResetTo::Latest, Vec::new()),
        ] {
            feed.reset_group(&group, &topics, to).await.unwrap();
            let mut member = Member::join(&feed, &name, &topic).await;
            assert_eq!(
                texts(&member.read(expected.len()).await),
                expected,
                "{to:?}"
            );
            member.expect_nothing().await;
            assert_eq!(member.resets, []);
            member.close().await;
        }
    }
}
