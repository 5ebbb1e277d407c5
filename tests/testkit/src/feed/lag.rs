//! How far a group is behind.

use std::time::Duration;

use stockade_change_feed::{PartitionLag, Timestamp, Topic};

use super::FeedHarness;
use super::reader::{Reader, group, number};

pub(super) async fn lag<H: FeedHarness>(h: &H, topics: &[Topic]) -> Vec<PartitionLag> {
    let lag = h.feed().lag(&group("g"), topics).await;
    let mut lag = lag.unwrap_or_else(|error| panic!("reading the lag failed: {error}"));
    lag.sort_by(|a, b| a.partition.cmp(&b.partition));
    lag
}

/// Expects a number of records, if the log can count them.
fn assert_behind(lag: &PartitionLag, records: u64) {
    let counted = lag.records.unwrap_or(records);
    assert_eq!(counted, records, "unfinished records of {}", lag.partition);
    match lag.age {
        Some(age) if records == 0 => assert_eq!(age, Duration::ZERO, "without unfinished records"),
        Some(_) | None => {}
    }
}

pub(super) async fn lag_counts_unfinished_records<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..10).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(10).await;
    for (finished, behind) in [(3, 6), (3, 6), (8, 1), (9, 0)] {
        reader.commit(&records[finished].position).await;
        assert_behind(&lag(&h, &topics).await[0], behind);
    }
    number(&h, &topics[0], 0, 10..12).await;
    assert_behind(&lag(&h, &topics).await[0], 2);
    reader.close().await;
    assert_behind(&lag(&h, &topics).await[0], 2);
}

pub(super) async fn a_new_group_lags_by_all_records<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..7).await;
    assert_behind(&lag(&h, &topics).await[0], 7);
    let mut reader = Reader::join(&h, "g", &topics).await;
    reader.read(7).await;
    assert_behind(&lag(&h, &topics).await[0], 7);
}

pub(super) async fn lag_has_every_partition<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(3).await, h.create_topic(1).await];
    number(&h, &topics[0], 1, 0..4).await;
    let mut reader = Reader::join(&h, "g", &topics[..1]).await;
    let records = reader.read(4).await;
    reader.commit(&records[1].position).await;
    // One of the topics is not read by anybody.
    let found = lag(&h, &topics).await;
    assert_eq!(found.len(), 4, "the partitions of both topics: {found:?}");
    for lag in found {
        let committed = lag.partition.topic == topics[0] && lag.partition.partition == 1;
        assert_behind(&lag, if committed { 2 } else { 0 });
    }
}

pub(super) async fn the_age_of_the_lag_grows<H: FeedHarness>(h: H) {
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..2).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(2).await;
    reader.commit(&records[0].position).await;
    h.pass_time(Duration::from_millis(500)).await;
    let found = lag(&h, &topics).await.remove(0);
    assert_behind(&found, 1);
    if let Some(age) = found.age {
        let expected = Duration::from_millis(400)..Duration::from_secs(60);
        assert!(
            expected.contains(&age),
            "the age must be a little over half a second, not {age:?}"
        );
    }
    reader.commit(&records[1].position).await;
    assert_behind(&lag(&h, &topics).await[0], 0);
}

pub(super) async fn the_age_of_the_lag_is_that_of_the_first_unfinished_record<H: FeedHarness>(
    h: H,
) {
    const BETWEEN: Duration = Duration::from_secs(5);
    let topics = [h.create_topic(1).await];
    number(&h, &topics[0], 0, 0..1).await;
    h.pass_time(BETWEEN).await;
    number(&h, &topics[0], 0, 1..2).await;
    let mut reader = Reader::join(&h, "g", &topics).await;
    let records = reader.read(2).await;
    reader.commit(&records[0].position).await;
    let found = lag(&h, &topics).await.remove(0);
    assert_behind(&found, 1);
    if let Some(age) = found.age {
        let written = records.iter().map(|record| record.position.timestamp);
        let [first, second]: [Timestamp; 2] = written.collect::<Vec<_>>().try_into().expect("two");
        let between = second.since(first).unwrap_or_default();
        assert!(
            age < between,
            "the only unfinished record was published {between:?} after the finished one, but the \
             age is {age:?}"
        );
    }
}
