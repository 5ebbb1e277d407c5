//! Records and commits survive the end of the process.

use stockade_change_feed::Topic;

use super::lag::lag;
use super::reader::{Reader, number, numbers, texts};
use super::{FeedHarness, RetentionHarness};
use crate::Reopen;

pub(super) async fn records_survive<H: FeedHarness + Reopen>(h: H) {
    let topics: [Topic; 1] = [h.create_topic(2).await];
    let published = number(&h, &topics[0], 1, 0..20).await;
    let h = h.reopen().await;
    let records = Reader::join(&h, "g", &topics).await.read(20).await;
    assert_eq!(texts(&records), numbers(0..20));
    let read: Vec<_> = records
        .iter()
        .map(|record| record.position.offset)
        .collect();
    let expected: Vec<_> = published.iter().map(|position| position.offset).collect();
    assert_eq!(read, expected, "records keep their positions");
}

pub(super) async fn commits_survive<H: FeedHarness + Reopen>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..6).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(6).await;
    reader.commit(&records[3].position).await;
    reader.close().await;
    let h = h.reopen().await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    assert_eq!(
        texts(&reader.read(2).await),
        numbers(4..6),
        "0 to 3 are finished"
    );
}

pub(super) async fn offsets_continue<H: FeedHarness + Reopen>(h: H) {
    let topics = [h.create_topic(1).await];
    let before = number(&h, &topics[0], 0, 0..3).await;
    let h = h.reopen().await;
    let after = number(&h, &topics[0], 0, 3..5).await;
    assert!(
        after[0].offset > before[2].offset,
        "offsets rise, also over a restart"
    );
    let records = Reader::join(&h, "g", &topics).await.read(5).await;
    assert_eq!(texts(&records), numbers(0..5));
}

pub(super) async fn removed_records_stay_removed<H: RetentionHarness + Reopen>(h: H) {
    let topics = [h.create_topic(1).await];
    let before = number(&h, &topics[0], 0, 0..10).await;
    h.trim(&before[6].partition, before[6].offset).await;
    let h = h.reopen().await;
    let found = lag(&h, &topics).await.remove(0);
    assert_eq!(
        found.records.unwrap_or(4),
        4,
        "6 of 10 records were removed before the log was closed: unfinished records of {}",
        found.partition
    );
    let after = number(&h, &topics[0], 0, 10..12).await;
    assert!(
        after[0].offset > before[9].offset,
        "offsets rise, also when older records were removed"
    );
    let records = Reader::join(&h, "g", &topics).await.read(6).await;
    assert_eq!(
        texts(&records),
        numbers(6..12),
        "records that were not removed before the log was closed"
    );
}
