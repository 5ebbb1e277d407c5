//! Batches of all codecs, both ways, and records up to the brokers' limit.

use std::collections::BTreeMap;

use rskafka::client::partition::{Compression as Codec, OffsetAt, UnknownTopicHandling};
use rskafka::record::Record;
use stockade_change_feed::{FeedError, Message, Publisher as _, Retry};
use stockade_kafka::{Compression, GroupProtocol, KafkaPublisher, TopicSettings};

use crate::harness::{bootstrap, client, create, rskafka, unique};
use crate::member::{Member, feed, texts};

#[tokio::test]
async fn another_client_reads_every_compression() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    let reader = rskafka(&bootstrap).await;
    let reader = reader.partition_client(topic.as_str(), 0, UnknownTopicHandling::Error);
    let reader = reader.await.unwrap();
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let from = reader.get_offset(OffsetAt::Latest).await.unwrap();
        let publisher = KafkaPublisher::new(client.clone()).with_compression(compression);
        let value = |n: usize| format!("{compression:?} {n} {}", "x".repeat(2_000));
        let messages = (0..100)
            .map(|n| Message::to_partition(0, value(n)))
            .collect();
        for outcome in publisher.publish(&topic, messages).await.unwrap() {
            outcome.unwrap();
        }
        let (read, _) = reader
            .fetch_records(from, 1..10_000_000, 1_000)
            .await
            .unwrap();
        let read: Vec<_> = read
            .into_iter()
            .map(|read| read.record.value.unwrap())
            .collect();
        assert_eq!(
            read,
            (0..100).map(|n| value(n).into_bytes()).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn every_compression_of_another_client_is_read() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let topic = create(&client, &TopicSettings::new(1)).await;
    let writer = rskafka(&bootstrap).await;
    let writer = writer.partition_client(topic.as_str(), 0, UnknownTopicHandling::Error);
    let writer = writer.await.unwrap();
    let mut expected = Vec::new();
    for codec in [
        Codec::NoCompression,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let value = |n: usize| format!("{codec:?} {n} {}", "x".repeat(2_000));
        let record = |n| Record {
            key: None,
            value: Some(value(n).into_bytes()),
            headers: BTreeMap::from([("codec".to_owned(), b"".to_vec())]),
            timestamp: chrono::Utc::now(),
        };
        writer
            .produce((0..50).map(record).collect(), codec)
            .await
            .unwrap();
        expected.extend((0..50).map(value));
    }
    let feed = feed(&client, GroupProtocol::Newest);
    let read = Member::join(&feed, &unique("group"), &topic)
        .await
        .read(expected.len())
        .await;
    assert_eq!(texts(&read), expected);
}

#[tokio::test]
async fn a_record_may_have_the_brokers_limit_and_not_a_byte_more() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for most in ["2000", "1048588", "3000000"] {
        let settings = TopicSettings::new(1).with_setting("max.message.bytes", most);
        let topic = create(&client, &settings).await;
        let publisher = KafkaPublisher::new(client.clone());
        let message = |bytes| Message::to_partition(0, vec![b'x'; bytes]);
        let most: usize = most.parse().unwrap();
        let outcome = publisher
            .publish(&topic, vec![message(most)])
            .await
            .unwrap()
            .remove(0);
        let Err(FeedError::TooLarge { bytes, limit, .. }) = outcome else {
            panic!("{most} bytes are too many beside what a batch needs: {outcome:?}");
        };
        assert_eq!(bytes, most);
        assert!(limit < most && limit > most - 200, "{limit} of {most}");

        let outcomes = publisher
            .publish(&topic, vec![message(limit), message(limit + 1)])
            .await;
        let outcomes = outcomes.unwrap();
        assert!(outcomes[0].is_ok(), "{:?}", outcomes[0]);
        let error = outcomes[1].as_ref().unwrap_err();
        assert!(matches!(error, FeedError::TooLarge { .. }), "{error}");
        assert_eq!(error.retry(), Retry::Never);
        assert!(error.to_string().contains(&limit.to_string()), "{error}");

        let feed = feed(&client, GroupProtocol::Newest);
        let read = Member::join(&feed, &unique("group"), &topic)
            .await
            .read(1)
            .await;
        assert_eq!(read[0].bytes(), limit);
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_sent_in_parts() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let settings = TopicSettings::new(1).with_setting("max.message.bytes", "5000");
    let topic = create(&client, &settings).await;
    let publisher = KafkaPublisher::new(client.clone());
    let value = |n: usize| format!("{n:04}{}", "x".repeat(500));
    let mut messages: Vec<Message> = (0..100)
        .map(|n| Message::to_partition(0, value(n)))
        .collect();
    messages.insert(50, Message::to_partition(0, vec![b'x'; 6_000]));
    let mut outcomes = publisher.publish(&topic, messages).await.unwrap();
    let refused = outcomes.remove(50).unwrap_err();
    assert!(matches!(refused, FeedError::TooLarge { .. }), "{refused}");
    let offsets: Vec<u128> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().offset.0)
        .collect();
    assert_eq!(
        offsets,
        (0..100).collect::<Vec<_>>(),
        "in their order, and each once"
    );
}

#[tokio::test]
async fn a_compacted_topic_refuses_what_has_no_key_and_nothing_else() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let compacted = TopicSettings::new(1).with_setting("cleanup.policy", "compact");
    let topic = create(&client, &compacted).await;
    let publisher = KafkaPublisher::new(client.clone());
    let messages = vec![
        Message::keyed("a", "1"),
        Message::to_partition(0, "without a key"),
        Message::keyed("b", "2"),
    ];
    let outcomes = publisher.publish(&topic, messages).await.unwrap();
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true], "{outcomes:?}");
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.to_string().contains("key"), "{error}");
    // And it is said before.
    let problems = client
        .check_topic(&topic, &TopicSettings::new(1))
        .await
        .unwrap();
    let problem = problems[0].to_string();
    assert!(problem.contains("cleanup.policy=compact"), "{problem}");
}
