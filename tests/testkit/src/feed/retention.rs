//! What happens when a committed offset is no longer what it was.

use std::time::Duration;

use stockade_change_feed::{FeedError, OnLostOffset, Position, Start, SubscribeOptions, Topic};

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
                "the committed offset is lost, and reading went on with {:?}",
                texts(&records)
            ),
            Err(error) => return error,
        }
    }
    panic!("the committed offset is lost, and polling never says so");
}

pub(super) async fn removing_what_is_finished_loses_nothing<H: RetentionHarness>(h: H) {
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
            other => panic!("the committed offset is lost, and polling says {other}"),
        }
    }
}

pub(super) async fn a_lost_offset_goes_on_at_the_oldest<H: RetentionHarness>(h: H) {
    let (topics, positions) = three_of_ten(&h).await;
    trim(&h, &positions[6]).await;
    let mut reader = Reader::join_with(&h, "g", &topics, on_loss(OnLostOffset::Earliest)).await;
    assert_eq!(texts(&reader.read(4).await), numbers(6..10));
    assert_reported(&reader, &positions[2], &positions[6]);
}

pub(super) async fn a_lost_offset_goes_on_after_the_newest<H: RetentionHarness>(h: H) {
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
    assert_reported(&reader, &positions[2], &new[0]);
}

/// That reading did not go on after `committed`, but at `next`.
fn assert_reported<H>(reader: &Reader<'_, H>, committed: &Position, next: &Position) {
    match reader.resets.as_slice() {
        [reset] => {
            assert_eq!(reset.partition, committed.partition);
            assert_eq!(reset.committed, committed.offset);
            let resumed = reset.resumed_at;
            assert!(
                resumed > committed.offset && resumed <= next.offset,
                "{reset:?}"
            );
        }
        other => panic!("reading went on elsewhere once, and the reports are {other:?}"),
    }
}

pub(super) async fn a_topic_created_anew_is_noticed<H: RetentionHarness>(h: H) {
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
