//! What one member reads.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use stockade_change_feed::{
    Headers, Message, PollLimits, Record, Route, Start, Topic, TopicPartition,
};

use super::FeedHarness;
use super::reader::{Reader, from, limits, number, numbers, publish, text, texts};

const LONG: Duration = Duration::from_secs(20);

pub(super) async fn records_come_back_as_they_were<H: FeedHarness>(h: H) {
    let topic = h.create_topic(1).await;
    let every_byte: Bytes = (0..=u8::MAX).collect();
    let headers = Headers::new()
        .with("name", "first")
        .with("other-name", "second")
        .with("empty", "")
        .with("binary", every_byte.clone())
        .with("not_ascii", "ß");
    let message = |key: Option<Bytes>, value: Option<Bytes>, headers: &Headers| Message {
        route: Route::Partition(0),
        key,
        value,
        headers: headers.clone(),
    };
    let (none, empty) = (Headers::new(), Some(Bytes::new()));
    let messages = vec![
        Message::keyed("key", "value"),
        message(Some(every_byte.clone()), Some(every_byte.clone()), &headers),
        message(Some("tombstone".into()), None, &none),
        message(Some("empty".into()), empty, &none),
        message(None, Some("without key".into()), &headers),
        message(Some("🧢".into()), Some(vec![0; 100_000].into()), &none),
    ];
    let positions = publish(&h, &topic, messages.clone()).await;
    let records = Reader::join(&h, "g", &[topic])
        .await
        .read(messages.len())
        .await;
    for ((message, position), record) in messages.iter().zip(positions).zip(records) {
        let at = &record.position;
        assert_eq!(
            (&at.partition, at.offset),
            (&position.partition, position.offset)
        );
        assert_eq!(record.key, message.key);
        assert_eq!(
            record.value, message.value,
            "the value of {:?}",
            message.key
        );
        assert_eq!(record.headers, message.headers);
    }
}

pub(super) async fn records_are_in_order_within_a_partition<H: FeedHarness>(h: H) {
    const KEYS: usize = 9;
    let topic = h.create_topic(3).await;
    let message = |n: usize| Message::keyed(format!("key-{}", n % KEYS), n.to_string());
    publish(&h, &topic, (0..100).map(message).collect()).await;
    publish(&h, &topic, (100..180).map(message).collect()).await;
    let mut reader = Reader::join(&h, "g", &[topic]).await;
    let mut records: Vec<Record> = Vec::new();
    while records.len() < 180 {
        records.extend(reader.read(7.min(180 - records.len())).await);
    }
    reader.expect_nothing("all 180 records were read").await;
    let (mut offsets, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for record in records {
        let position = record.position.clone();
        if let Some(before) = offsets.insert(position.partition.clone(), position.offset) {
            assert!(position.offset > before, "{position} came after {before}");
        }
        let n: usize = text(&record).parse().expect("values are numbers");
        let expected = keys
            .insert(record.key, n)
            .map_or(n % KEYS, |before| before + KEYS);
        assert_eq!(
            n, expected,
            "records of one key, in the order in which they were published"
        );
    }
}

pub(super) async fn several_topics_are_read_together<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(2).await, h.create_topic(1).await];
    let unread = h.create_topic(1).await;
    number(&h, &topics[0], 1, 0..3).await;
    number(&h, &topics[1], 0, 3..6).await;
    number(&h, &unread, 0, 6..9).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let mut read = texts(&reader.read(6).await);
    read.sort();
    assert_eq!(read, numbers(0..6));
    assert_eq!(reader.owned.len(), 3, "the partitions of both topics");
    reader
        .expect_nothing("the other topic is not subscribed to")
        .await;
}

pub(super) async fn a_poll_keeps_to_its_number_of_records<H: FeedHarness>(h: H) {
    let topic = h.create_topic(2).await;
    for partition in [0, 1] {
        number(&h, &topic, partition, 0..10).await;
    }
    let mut reader = Reader::join(&h, "g", &[topic]).await;
    let mut read = 0;
    for _ in 0..100 {
        let records = reader.poll(&limits(3)).await;
        assert!(
            records.len() <= 3,
            "a poll for at most 3 records returned {}",
            records.len()
        );
        read += records.len();
        if read >= 20 {
            break;
        }
    }
    assert_eq!(read, 20, "records in polls of at most 3");
}

pub(super) async fn a_poll_keeps_to_its_bytes<H: FeedHarness>(h: H) {
    let topic = h.create_topic(1).await;
    let sizes = [1_000, 1_000, 1_000, 50_000, 1_000, 1_000];
    let messages = sizes
        .iter()
        .map(|size| Message::to_partition(0, vec![b'x'; *size]));
    publish(&h, &topic, messages.collect()).await;
    let mut reader = Reader::join(&h, "g", &[topic]).await;
    let bounded = PollLimits {
        bytes: 2_500,
        ..limits(100)
    };
    let mut read = Vec::new();
    for _ in 0..100 {
        let records = reader.poll(&bounded).await;
        let bytes: usize = records.iter().map(Record::bytes).sum();
        assert!(
            bytes <= 2_500 || records.len() == 1,
            "a poll for at most 2500 bytes returned {} records of {bytes}",
            records.len()
        );
        read.extend(records.iter().map(Record::bytes));
        if read.len() >= sizes.len() {
            break;
        }
    }
    assert_eq!(read, sizes, "the large record is returned too, and alone");
}

pub(super) async fn keys_and_headers_count_as_bytes<H: FeedHarness>(h: H) {
    const RECORDS: usize = 3;
    let topic = h.create_topic(1).await;
    let large = vec![b'x'; 1_000];
    let message = |n: usize| Message {
        route: Route::Partition(0),
        key: Some(large.clone().into()),
        value: Some(n.to_string().into()),
        headers: Headers::new().with("large", large.clone()),
    };
    publish(&h, &topic, (0..RECORDS).map(message).collect()).await;
    let mut reader = Reader::join(&h, "g", &[topic]).await;
    let limits = PollLimits {
        bytes: 2_500,
        ..limits(10)
    };
    let mut read: Vec<Record> = Vec::new();
    for _ in 0..50 {
        let records = reader.poll(&limits).await;
        assert!(
            records.len() <= 1,
            "each record has a key and a header of 1000 bytes, but a poll for at most 2500 bytes \
             returned {} records",
            records.len()
        );
        read.extend(records);
        if read.len() >= RECORDS {
            break;
        }
    }
    assert_eq!(texts(&read), numbers(0..RECORDS));
}

pub(super) async fn a_poll_for_no_records_fetches_nothing<H: FeedHarness>(h: H) {
    let topic = h.create_topic(2).await;
    number(&h, &topic, 0, 0..5).await;
    let mut reader = Reader::join(&h, "g", &[topic]).await;
    // It polls for 0 records, and expects none.
    reader.settle(2).await;
    for _ in 0..3 {
        assert!(reader.poll(&limits(0)).await.is_empty());
    }
    assert_eq!(
        texts(&reader.read(5).await),
        numbers(0..5),
        "after polls for no records"
    );
}

pub(super) async fn paused_partitions_are_left_out_and_kept<H: FeedHarness>(h: H) {
    let topic = h.create_topic(2).await;
    number(&h, &topic, 0, 0..5).await;
    number(&h, &topic, 1, 5..10).await;
    let mut reader = Reader::join(&h, "g", std::slice::from_ref(&topic)).await;
    reader.settle(2).await;
    let paused = PollLimits {
        paused: vec![TopicPartition::new(topic.clone(), 0)],
        ..limits(100)
    };
    let mut read: Vec<Record> = Vec::new();
    for _ in 0..50 {
        read.extend(reader.poll(&paused).await);
        if read.len() >= 5 {
            break;
        }
    }
    read.extend(reader.poll(&paused).await);
    assert_eq!(texts(&read), numbers(5..10), "partition 0 is paused");
    assert_eq!(reader.owned.len(), 2, "a paused partition stays assigned");
    assert_eq!(
        texts(&reader.read(5).await),
        numbers(0..5),
        "no longer paused"
    );
}

pub(super) async fn no_partition_starves<H: FeedHarness>(h: H) {
    const POLLS: usize = 20;
    let topic = h.create_topic(2).await;
    for partition in [0, 1] {
        number(&h, &topic, partition, 0..100).await;
    }
    let mut reader = Reader::join(&h, "g", std::slice::from_ref(&topic)).await;
    reader.settle(2).await;
    let mut read: BTreeMap<u32, usize> = BTreeMap::new();
    for _ in 0..POLLS {
        for record in reader.poll(&limits(3)).await {
            *read.entry(record.position.partition.partition).or_default() += 1;
        }
    }
    assert_eq!(
        read.len(),
        2,
        "of two partitions with 100 records each, {POLLS} polls for 3 records read {read:?}"
    );
}

pub(super) async fn a_topic_named_twice_is_read_once<H: FeedHarness>(h: H) {
    let topic = h.create_topic(2).await;
    number(&h, &topic, 0, 0..3).await;
    let mut reader = Reader::join(&h, "g", &[topic.clone(), topic]).await;
    assert_eq!(texts(&reader.read(3).await), numbers(0..3));
    reader.expect_nothing("all 3 records were read").await;
    reader.settle(2).await;
}

pub(super) async fn a_poll_ends_after_its_wait<H: FeedHarness>(h: H) {
    let topic = h.create_topic(1).await;
    let mut reader = Reader::join(&h, "g", &[topic]).await;
    reader.settle(1).await;
    let polled = tokio::time::timeout(LONG, reader.expect_nothing("the topic is empty")).await;
    assert!(
        polled.is_ok(),
        "three polls of 200 ms were not over after {LONG:?}"
    );
}

pub(super) async fn a_poll_ends_with_the_first_record<H: FeedHarness>(h: H) {
    let topic = h.create_topic(1).await;
    let mut reader = Reader::join(&h, "g", std::slice::from_ref(&topic)).await;
    reader.settle(1).await;
    let patient = PollLimits {
        wait: Duration::from_secs(3600),
        ..limits(10)
    };
    let publishing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        number(&h, &topic, 0, 0..1).await;
    };
    let waiting = tokio::time::timeout(LONG, reader.subscription.poll(&patient));
    let (polled, ()) = futures::join!(waiting, publishing);
    match polled {
        Ok(Ok(polled)) => assert_eq!(texts(&polled.records), ["0"]),
        Ok(Err(error)) => panic!("polling failed: {error}"),
        Err(_) => panic!("a record was published, but a poll still waits after {LONG:?}"),
    }
}

pub(super) async fn a_dropped_poll_loses_nothing<H: FeedHarness>(h: H) {
    let topic = h.create_topic(2).await;
    number(&h, &topic, 0, 0..40).await;
    let mut reader = Reader::join(&h, "g", std::slice::from_ref(&topic)).await;
    let mut records: Vec<Record> = Vec::new();
    let one = PollLimits {
        records: 1,
        ..PollLimits::default()
    };
    for n in 0..60 {
        let patience = Duration::from_micros(100 * (n % 20));
        let poll = reader.subscription.poll(&one);
        if let Ok(polled) = tokio::time::timeout(patience, poll).await {
            let polled = polled.unwrap_or_else(|error| panic!("polling failed: {error}"));
            records.extend(reader.note(polled));
        }
    }
    records.extend(reader.read(40 - records.len()).await);
    assert_eq!(
        texts(&records),
        numbers(0..40),
        "after polls that were dropped"
    );
    reader.settle(2).await;
}

pub(super) async fn a_new_group_starts_at_its_start_option<H: FeedHarness>(h: H) {
    let topic = h.create_topic(2).await;
    number(&h, &topic, 0, 0..3).await;
    let topics: [Topic; 1] = [topic.clone()];
    let mut oldest = Reader::join_with(&h, "oldest", &topics, from(Start::Earliest)).await;
    let mut newest = Reader::join_with(&h, "newest", &topics, from(Start::Latest)).await;
    newest.settle(2).await;
    newest
        .expect_nothing("it starts after the existing records")
        .await;
    number(&h, &topic, 0, 3..5).await;
    assert_eq!(
        texts(&newest.read(2).await),
        numbers(3..5),
        "after the newest"
    );
    assert_eq!(
        texts(&oldest.read(5).await),
        numbers(0..5),
        "from the oldest on"
    );
}
