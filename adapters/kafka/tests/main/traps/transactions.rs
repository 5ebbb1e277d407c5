//! Markers take offsets, and aborted records are in the log as well.

use stockade_change_feed::{Feed as _, Group, TopicPartition};
use stockade_kafka::{GroupProtocol, TopicSettings};

use crate::harness::{bootstrap, client, create, unique};
use crate::member::{Member, behind, feed, limits, number, texts};
use crate::raw::{self, End};

#[tokio::test]
async fn a_marker_after_the_last_record_leaves_no_lag() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    let at = TopicPartition::new(topic.clone(), 0);
    raw::transaction(&bootstrap, &at, &["a", "b"], End::Committed).await;
    let mut member = Member::join(&feed, &group, &topic).await;
    let read = member.read(2).await;
    assert_eq!(texts(&read), ["a", "b"]);
    member.commit(&read[1].position).await;
    assert_eq!(
        behind(&feed, &group, &topic).await,
        0,
        "the marker is passed"
    );
}

#[tokio::test]
async fn aborted_records_are_left_out_and_passed_without_anybody_committing_them() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        let (feed, group) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(1)).await;
        let at = TopicPartition::new(topic.clone(), 0);
        number(&client, &topic, 0, 0..1).await;
        raw::transaction(&bootstrap, &at, &["aborted", "aborted"], End::Aborted).await;
        let mut member = Member::join(&feed, &group, &topic).await;
        let read = member.read(1).await;
        assert_eq!(texts(&read), ["0"]);
        member.expect_nothing().await;
        assert_eq!(
            behind(&feed, &group, &topic).await,
            4,
            "the first record is not finished"
        );
        member.commit(&read[0].position).await;
        assert_eq!(behind(&feed, &group, &topic).await, 0);

        raw::transaction(&bootstrap, &at, &["aborted"], End::Aborted).await;
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while behind(&feed, &group, &topic).await > 0 {
            assert!(
                std::time::Instant::now() < until,
                "nothing but aborted records is a lag"
            );
            member.expect_nothing().await;
        }
        number(&client, &topic, 0, 1..2).await;
        assert_eq!(texts(&member.read(1).await), ["1"]);
    }
}

#[tokio::test]
async fn an_open_transaction_is_not_read_and_not_passed() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    let at = TopicPartition::new(topic.clone(), 0);
    let transaction = raw::begin(&bootstrap, &at, &["in doubt"]).await;
    number(&client, &topic, 0, 0..1).await;
    let mut member = Member::join(&feed, &group, &topic).await;
    member.settle(1).await;
    member.expect_nothing().await;
    let lags = feed
        .lag(&Group::new(&group).unwrap(), std::slice::from_ref(&topic))
        .await
        .unwrap();
    assert_eq!(
        lags[0].records,
        Some(2),
        "both are there, and nobody may read them yet"
    );
    assert_eq!(lags[0].age, None);
    transaction.end(End::Committed).await;
    assert_eq!(texts(&member.read(2).await), ["in doubt", "0"]);
}

#[tokio::test]
async fn a_poll_of_nothing_but_markers_is_no_record() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (feed, group) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let topic = create(&client, &TopicSettings::new(1)).await;
    let at = TopicPartition::new(topic.clone(), 0);
    for _ in 0..3 {
        raw::transaction(&bootstrap, &at, &["aborted"], End::Aborted).await;
    }
    let mut member = Member::join(&feed, &group, &topic).await;
    member.settle(1).await;
    let polled = member.subscription.poll(&limits(10)).await.unwrap();
    assert_eq!(texts(&polled.records), [] as [&str; 0]);
    member.expect_nothing().await;
    assert_eq!(behind(&feed, &group, &topic).await, 0);
}
