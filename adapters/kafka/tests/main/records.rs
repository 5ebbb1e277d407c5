//! What other clients write, as it is read.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record, TimestampType,
};
use stockade_change_feed::{Headers, Timestamp, TopicPartition};
use stockade_kafka::{GroupProtocol, TopicSettings};

use crate::harness::{bootstrap, client, create, unique};
use crate::member::{Member, feed, texts};
use crate::raw;

/// September 2001.
const LONG_AGO: i64 = 1_000_000_000_000;

fn record(value: &'static str) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: NO_SEQUENCE,
        timestamp: LONG_AGO,
        key: None,
        value: Some(Bytes::from_static(value.as_bytes())),
        headers: Default::default(),
    }
}

#[tokio::test]
async fn a_header_without_value_is_an_empty_one() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    let at = TopicPartition::new(topic.clone(), 0);
    let mut marked = record("marked");
    marked
        .headers
        .insert(StrBytes::from_static_str("trace"), None);
    raw::produce(&bootstrap, &at, &[marked], None).await;
    let feed = feed(&client, GroupProtocol::Newest);
    let read = Member::join(&feed, &unique("group"), &topic)
        .await
        .read(1)
        .await;
    assert_eq!(texts(&read), ["marked"]);
    assert_eq!(read[0].headers, Headers::new().with("trace", Bytes::new()));
}

#[tokio::test]
async fn the_time_of_a_record_is_the_one_that_its_topic_keeps() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for (kept, is_old) in [("CreateTime", true), ("LogAppendTime", false)] {
        let settings = TopicSettings::new(1)
            .with_setting("message.timestamp.type", kept)
            // Old records stay for a while all the same.
            .with_setting("retention.ms", "-1");
        let topic = create(&client, &settings).await;
        let at = TopicPartition::new(topic.clone(), 0);
        raw::produce(&bootstrap, &at, &[record("old")], None).await;
        let feed = feed(&client, GroupProtocol::Newest);
        let read = Member::join(&feed, &unique("group"), &topic)
            .await
            .read(1)
            .await;
        let time = read[0].position.timestamp;
        let sent = Timestamp::from_millis(LONG_AGO);
        assert_eq!(time == sent, is_old, "{kept}: {time:?}");
    }
}

#[cfg(feature = "rskafka")]
#[tokio::test]
async fn what_goes_through_rskafka_comes_back() {
    use std::sync::Arc;

    use stockade_change_feed::{Message, Publisher as _};
    use stockade_kafka::RskafkaPublisher;

    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    let headers = Headers::new().with("a", "first").with("b", "");
    let messages = vec![
        Message::keyed("key", "value").with_headers(headers),
        Message {
            value: None,
            ..Message::keyed("tombstone", "")
        },
        Message::to_partition(0, vec![b'x'; 100_000]),
    ];
    let publisher = RskafkaPublisher::new(Arc::new(crate::harness::rskafka(&bootstrap).await));
    for outcome in publisher.publish(&topic, messages.clone()).await.unwrap() {
        outcome.unwrap();
    }
    let feed = feed(&client, GroupProtocol::Newest);
    let read = Member::join(&feed, &unique("group"), &topic)
        .await
        .read(3)
        .await;
    for (sent, read) in messages.iter().zip(read) {
        assert_eq!(
            (&sent.key, &sent.value, &sent.headers),
            (&read.key, &read.value, &read.headers)
        );
    }
}
