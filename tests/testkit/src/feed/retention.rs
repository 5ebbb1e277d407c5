//! Committed offsets that are no longer in the log.

use std::time::Duration;

use stockade_change_feed::{
    FeedError, Offset, OnLostOffset, PollLimits, Position, Start, SubscribeOptions, Topic,
    TopicPartition,
};

use super::RetentionHarness;
use super::reader::{Reader, limits, number, numbers, texts};

fn on_loss(on_lost_offset: OnLostOffset) -> SubscribeOptions {
    let start = Start::Earliest;
    SubscribeOptions {
        start,
        on_lost_offset,
    }
}

/// A topic of ten records, of which the group `g` has finished 0 to 2.
async fn three_of_ten<H: RetentionHarness>(h: &H) -> ([Topic; 1], Vec<Position>) {
    let topics = [h.create_topic(1).await];
    number(h, &topics[0], 0, 0..10).await;
    let mut reader = Reader::join(h, "g", &topics).await;
    let records = reader.read(10).await;
    reader.commit(&records[2].position).await;
    reader.close().await;
    let positions = records.into_iter().map(|record| record.position).collect();
    (topics, positions)
}

async fn trim<H: RetentionHarness>(h: &H, before: &Position) {
    h.trim(&before.partition, before.offset).await;
}

/// Polls until it fails.
async fn failure<H: RetentionHarness>(reader: &mut Reader<'_, H>) -> FeedError {
    for _ in 0..50 {
        match reader.try_poll(&limits(10)).await {
            Ok(records) => assert!(
                records.is_empty(),
                "the committed offset is lost, but reading continued with {:?}",
                texts(&records)
            ),
            Err(error) => return error,
        }
    }
    panic!("the committed offset is lost, but polling does not fail");
}

pub(super) async fn removing_finished_records_loses_nothing<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[3]).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    assert_eq!(texts(&reader.read(7).await), numbers(3..10));
    assert_eq!(reader.resets, []);
}

pub(super) async fn a_lost_offset_stops_the_group<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    for _ in 0..2 {
        match failure(&mut reader).await {
            FeedError::OffsetLost {
                topic,
                partition,
                wanted,
                earliest,
            } => {
                assert_eq!((&topic, partition), (&topics[0], 0));
                assert!(wanted >= positions[2].offset && wanted < earliest);
                assert!(earliest <= positions[6].offset);
            }
            other => panic!("the committed offset is lost, but polling returned {other}"),
        }
    }
}

/// A topic of two partitions, of which the group `g` has lost its offset in the first one, and
/// finished all of the second.
async fn one_of_two_lost<H: RetentionHarness>(h: &H) -> [Topic; 1] {
    let topics = [h.create_topic(2).await];
    number(h, &topics[0], 0, 0..10).await;
    number(h, &topics[0], 1, 10..12).await;
    let mut reader = Reader::join(h, "g", &topics).await;
    let records = reader.read(12).await;
    let of = |partition| {
        let positions = records.iter().map(|record| &record.position);
        positions.filter(move |position| position.partition.partition == partition)
    };
    let first: Vec<&Position> = of(0).collect();
    reader.commit(first[2]).await;
    reader.commit(of(1).next_back().expect("2 were read")).await;
    trim(h, first[6]).await;
    reader.close().await;
    topics
}

pub(super) async fn a_lost_offset_stops_only_its_partition<H: RetentionHarness>(h: H) {
    let topics = one_of_two_lost(&h).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    failure(&mut reader).await;
    number(&h, &topics[0], 1, 12..14).await;
    let paused = PollLimits {
        paused: vec![TopicPartition::new(topics[0].clone(), 0)],
        ..limits(10)
    };
    let mut read = Vec::new();
    for _ in 0..50 {
        read.extend(reader.poll(&paused).await);
        if read.len() >= 2 {
            break;
        }
    }
    assert_eq!(
        texts(&read),
        numbers(12..14),
        "records of the other partition"
    );
    failure(&mut reader).await;
}

pub(super) async fn a_poll_that_fails_loses_no_report<H: RetentionHarness>(h: H) {
    let topics = one_of_two_lost(&h).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    for _ in 0..2 {
        failure(&mut reader).await;
    }
    // Polls for no records, which do not fail.
    reader.settle(2).await;
}

pub(super) async fn a_lost_offset_continues_at_the_oldest_record<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    assert_eq!(texts(&reader.read(4).await), numbers(6..10));
    assert_reported(&reader, &positions[2], positions[6].offset);
}

pub(super) async fn a_lost_offset_continues_after_the_newest_record<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Latest)).await;
    for _ in 0..50 {
        let records = reader.poll(&limits(10)).await;
        assert!(
            records.is_empty(),
            "after the newest there is {:?}",
            texts(&records)
        );
        if !reader.resets.is_empty() {
            break;
        }
    }
    let new = number(&h, &topics[0], 0, 10..12).await;
    assert_eq!(texts(&reader.read(2).await), numbers(10..12));
    assert_reported(&reader, &positions[2], new[0].offset);
}

/// Asserts that reading did not continue after `committed`, but at `next`.
fn assert_reported<H>(reader: &Reader<'_, H>, committed: &Position, next: Offset) {
    match reader.resets.as_slice() {
        [reset] => {
            assert_eq!(reset.partition, committed.partition);
            assert_eq!(reset.committed, committed.offset);
            let resumed = reset.resumed_at;
            assert!(resumed > committed.offset && resumed <= next, "{reset:?}");
        }
        other => panic!("reading continued at another place once, but the reports are {other:?}"),
    }
}

pub(super) async fn a_topic_created_again_is_noticed<H: RetentionHarness>(h: H) {
    let (topics, _) = three_of_ten(&h).await;
    h.pass_time(Duration::from_secs(1)).await;
    h.recreate(&topics[0]).await;
    // As many records as before: only their times tell that they are others.
    number(&h, &topics[0], 0, 20..30).await;
    let mut stopped = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Fail)).await;
    let error = failure(&mut stopped).await;
    assert!(matches!(error, FeedError::OffsetLost { .. }), "{error}");
    stopped.close().await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    assert_eq!(
        texts(&reader.read(10).await),
        numbers(20..30),
        "all records of the new topic"
    );
    assert_eq!(reader.resets.len(), 1, "{:?}", reader.resets);
}
