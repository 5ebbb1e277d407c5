//! What [`MemoryFeed`] promises.

use super::*;
use crate::error::FeedError;
use crate::feed::{Gained, OnLostOffset, PollLimits, Polled, Start};
use crate::record::{Headers, Record};
use crate::time::{ManualClock, Timestamp};

struct Fixture {
    clock: Arc<ManualClock>,
    feed: MemoryFeed,
    group: Group,
    topic: Topic,
}

type Member = Box<dyn Subscription>;

impl Fixture {
    fn new(partitions: u32) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
        let feed = MemoryFeed::new(clock.clone()).with_partitions(partitions);
        let (group, topic) = (Group::new("g").unwrap(), Topic::new("t").unwrap());
        Self {
            clock,
            feed,
            group,
            topic,
        }
    }

    fn append(&self, partition: u32, value: &str) -> Position {
        let message = Message::to_partition(partition, value.to_owned());
        self.feed.append(&self.topic, message).unwrap()
    }

    async fn join(&self, options: SubscribeOptions) -> Member {
        self.feed
            .subscribe(&self.group, std::slice::from_ref(&self.topic), options)
            .await
            .unwrap()
    }

    async fn lag(&self) -> Vec<(Option<u64>, Option<Duration>)> {
        let lags = self
            .feed
            .lag(&self.group, std::slice::from_ref(&self.topic))
            .await
            .unwrap();
        lags.into_iter().map(|lag| (lag.records, lag.age)).collect()
    }

    fn partition(&self, number: u32) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), number)
    }
}

fn now() -> PollLimits {
    PollLimits {
        wait: Duration::ZERO,
        ..PollLimits::default()
    }
}

fn values(polled: &Polled) -> Vec<String> {
    let text = |record: &Record| String::from_utf8(record.value.clone().unwrap().into()).unwrap();
    polled.records.iter().map(text).collect()
}

fn lost_policy(on_lost_offset: OnLostOffset) -> SubscribeOptions {
    SubscribeOptions {
        start: Start::Earliest,
        on_lost_offset,
    }
}

fn partitions(gained: &[Gained]) -> Vec<TopicPartition> {
    gained
        .iter()
        .map(|gained| gained.partition.clone())
        .collect()
}

#[tokio::test]
async fn a_record_keeps_all_it_was_given() {
    let f = Fixture::new(1);
    let headers = Headers::new().with("a", "1").with("a", "2");
    let message = Message::keyed("k", "v").with_headers(headers.clone());
    let position = f.feed.append(&f.topic, message).unwrap();
    let polled = f
        .join(SubscribeOptions::default())
        .await
        .poll(&now())
        .await
        .unwrap();
    let expected = Record::new(position)
        .with_key(Some("k".into()))
        .with_value(Some("v".into()))
        .with_headers(headers);
    assert_eq!(polled.records, [expected]);
}

#[tokio::test]
async fn bad_messages_are_refused() {
    let f = Fixture::new(2);
    let feed = f.feed.clone().with_max_message_bytes(10);
    let outcomes = feed
        .publish(
            &f.topic,
            vec![
                Message::to_partition(2, "x"),
                Message::keyed("12345", "123456"),
                Message::keyed("12345", "12345"),
            ],
        )
        .await
        .unwrap();
    assert!(matches!(
        outcomes[0],
        Err(FeedError::UnknownPartition {
            partition: 2,
            partitions: 2,
            ..
        })
    ));
    assert!(matches!(
        outcomes[1],
        Err(FeedError::TooLarge {
            bytes: 11,
            limit: 10,
            ..
        })
    ));
    assert!(outcomes[2].is_ok());
}

#[tokio::test]
async fn polls_are_bounded_and_miss_nothing() {
    let f = Fixture::new(2);
    for n in 0..10 {
        f.append(n % 2, &format!("{n:04}"));
    }
    let mut member = f.join(SubscribeOptions::default()).await;
    let mut seen = Vec::new();
    let limits = PollLimits {
        records: 3,
        bytes: 9,
        ..now()
    };
    while seen.len() < 10 {
        let polled = member.poll(&limits).await.unwrap();
        assert_eq!(
            polled.records.len(),
            2.min(10 - seen.len()),
            "two of 4 bytes fit into 9"
        );
        seen.extend(values(&polled));
    }
    let even: Vec<_> = seen
        .iter()
        .filter(|v| v.ends_with(['0', '2', '4', '6', '8']))
        .collect();
    assert!(even.is_sorted(), "{seen:?}");
    let limits = PollLimits { bytes: 0, ..now() };
    f.append(0, "bigger than nothing");
    assert_eq!(member.poll(&limits).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn paused_partitions_and_zero_records_fetch_nothing() {
    let f = Fixture::new(2);
    f.append(0, "a");
    f.append(1, "b");
    let mut member = f.join(SubscribeOptions::default()).await;
    let none = member
        .poll(&PollLimits {
            records: 0,
            ..now()
        })
        .await
        .unwrap();
    assert_eq!((none.gained.len(), none.records.len()), (2, 0));
    let paused = PollLimits {
        paused: vec![f.partition(0)],
        ..now()
    };
    assert_eq!(values(&member.poll(&paused).await.unwrap()), ["b"]);
    assert_eq!(values(&member.poll(&now()).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn a_waiting_poll_wakes_on_append_and_gives_up_by_the_clock() {
    let f = Fixture::new(1);
    let mut member = f.join(SubscribeOptions::default()).await;
    member.poll(&now()).await.unwrap();
    let limits = PollLimits {
        wait: Duration::from_secs(60),
        ..PollLimits::default()
    };
    let (polled, _) = tokio::join!(member.poll(&limits), async {
        tokio::task::yield_now().await;
        f.append(0, "a")
    });
    assert_eq!(values(&polled.unwrap()), ["a"]);
    let (polled, ()) = tokio::join!(member.poll(&limits), async {
        for _ in 0..60 {
            tokio::task::yield_now().await;
            f.clock.advance(Duration::from_secs(1));
        }
    });
    assert!(polled.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_dropped_poll_loses_nothing() {
    let f = Fixture::new(1);
    let mut member = f.join(SubscribeOptions::default()).await;
    member.poll(&now()).await.unwrap();
    let limits = PollLimits {
        wait: Duration::from_secs(60),
        ..PollLimits::default()
    };
    tokio::select! {
        biased;
        _ = member.poll(&limits) => panic!("nothing is there"),
        () = tokio::task::yield_now() => {}
    }
    f.append(0, "a");
    assert_eq!(values(&member.poll(&now()).await.unwrap()), ["a"]);
}

#[tokio::test]
async fn commits_are_kept_and_never_go_back() {
    let f = Fixture::new(1);
    let positions = [f.append(0, "a"), f.append(0, "b"), f.append(0, "c")];
    let mut member = f.join(SubscribeOptions::default()).await;
    member.poll(&now()).await.unwrap();
    assert!(matches!(
        member.commit(&[positions[1].clone()]).await.unwrap()[..],
        [Ok(())]
    ));
    assert!(matches!(
        member.commit(&[positions[0].clone()]).await.unwrap()[..],
        [Ok(())]
    ));
    member.close().await.unwrap();
    let mut member = f.join(SubscribeOptions::default()).await;
    assert_eq!(values(&member.poll(&now()).await.unwrap()), ["c"]);
    let beyond = Position {
        offset: Offset(3),
        ..positions[2].clone()
    };
    let outcome = member.commit(&[beyond]).await.unwrap();
    assert!(matches!(outcome[0], Err(FeedError::NotAssigned { .. })));
}

#[tokio::test]
async fn members_share_and_hand_over_when_they_poll() {
    let f = Fixture::new(4);
    let mut a = f.join(SubscribeOptions::default()).await;
    assert_eq!(a.poll(&now()).await.unwrap().gained.len(), 4);
    let mut b = f.join(SubscribeOptions::default()).await;
    assert_eq!(b.poll(&now()).await.unwrap().gained, [], "a has not let go");
    let lost = a.poll(&now()).await.unwrap().lost;
    assert_eq!(lost.len(), 2);
    assert_eq!(partitions(&b.poll(&now()).await.unwrap().gained), lost);
    b.close().await.unwrap();
    assert_eq!(partitions(&a.poll(&now()).await.unwrap().gained), lost);
}

#[tokio::test]
async fn a_silent_member_is_fenced_and_may_come_back() {
    let f = Fixture::new(1);
    let position = f.append(0, "a");
    let mut a = f.join(SubscribeOptions::default()).await;
    a.poll(&now()).await.unwrap();
    let mut b = f.join(SubscribeOptions::default()).await;
    b.poll(&now()).await.unwrap();
    f.clock.advance(Duration::from_secs(30));
    let polled = b.poll(&now()).await.unwrap();
    assert_eq!(
        (polled.gained.len(), values(&polled)),
        (1, vec!["a".to_owned()])
    );
    let fenced = a.commit(std::slice::from_ref(&position)).await.unwrap();
    assert!(matches!(
        fenced[0],
        Err(FeedError::NotAssigned { partition: 0, .. })
    ));
    assert!(matches!(b.commit(&[position]).await.unwrap()[..], [Ok(())]));
    assert_eq!(a.poll(&now()).await.unwrap().lost.len(), 1);
    b.close().await.unwrap();
    let back = a.poll(&now()).await.unwrap();
    assert_eq!(
        (back.gained.len(), back.records.len()),
        (1, 0),
        "b had finished the record"
    );
}

#[tokio::test]
async fn a_partition_that_went_and_came_back_is_lost_and_gained() {
    let f = Fixture::new(1);
    let position = f.append(0, "a");
    let mut a = f.join(SubscribeOptions::default()).await;
    a.poll(&now()).await.unwrap();
    f.clock.advance(Duration::from_secs(30));
    let mut b = f.join(SubscribeOptions::default()).await;
    assert_eq!(values(&b.poll(&now()).await.unwrap()), ["a"]);
    b.close().await.unwrap();
    let stale = a.commit(&[position]).await.unwrap();
    assert!(matches!(stale[0], Err(FeedError::NotAssigned { .. })));
    let polled = a.poll(&now()).await.unwrap();
    assert_eq!((polled.lost.len(), polled.gained.len()), (1, 1));
    assert_eq!(values(&polled), ["a"]);
}

#[tokio::test]
async fn a_dropped_member_leaves_at_the_session_timeout() {
    let f = Fixture::new(1);
    let mut a = f.join(SubscribeOptions::default()).await;
    a.poll(&now()).await.unwrap();
    drop(a);
    let mut b = f.join(SubscribeOptions::default()).await;
    f.clock.advance(Duration::from_secs(29));
    assert_eq!(b.poll(&now()).await.unwrap().gained, []);
    f.clock.advance(Duration::from_secs(1));
    assert_eq!(b.poll(&now()).await.unwrap().gained.len(), 1);
}

#[tokio::test]
async fn latest_starts_once() {
    let f = Fixture::new(1);
    f.append(0, "old");
    let latest = SubscribeOptions {
        start: Start::Latest,
        ..SubscribeOptions::default()
    };
    let mut a = f.join(latest.clone()).await;
    assert!(a.poll(&now()).await.unwrap().records.is_empty());
    assert_eq!(f.lag().await, [(Some(0), Some(Duration::ZERO))]);
    f.append(0, "new");
    a.close().await.unwrap();
    let mut b = f.join(latest).await;
    assert_eq!(values(&b.poll(&now()).await.unwrap()), ["new"]);
}

#[tokio::test]
async fn lag_counts_records_and_age() {
    let f = Fixture::new(2);
    let first = f.append(0, "a");
    f.clock.advance(Duration::from_secs(5));
    f.append(0, "b");
    f.clock.advance(Duration::from_secs(2));
    let (none, secs) = ((Some(0), Some(Duration::ZERO)), Duration::from_secs);
    assert_eq!(f.lag().await, [(Some(2), Some(secs(7))), none]);
    let mut member = f.join(SubscribeOptions::default()).await;
    member.poll(&now()).await.unwrap();
    assert_eq!(
        f.lag().await,
        [(Some(2), Some(secs(7))), none],
        "read is not finished"
    );
    member.commit(&[first]).await.unwrap();
    assert_eq!(f.lag().await, [(Some(1), Some(secs(2))), none]);
    f.clock.step_to(Timestamp::EPOCH);
    assert_eq!(
        f.lag().await,
        [(Some(1), None), none],
        "a clock set back can't tell"
    );
}

/// Commits offset 1 of 0..=2, and returns the fixture.
async fn two_of_three_finished() -> Fixture {
    let f = Fixture::new(1);
    f.append(0, "a");
    let finished = f.append(0, "b");
    f.append(0, "c");
    let mut member = f.join(SubscribeOptions::default()).await;
    member.poll(&now()).await.unwrap();
    member.commit(&[finished]).await.unwrap();
    member.close().await.unwrap();
    f
}

#[tokio::test]
async fn trimming_what_is_finished_loses_nothing() {
    let f = two_of_three_finished().await;
    f.feed.trim(&f.partition(0), Offset(2));
    let mut member = f.join(SubscribeOptions::default()).await;
    let polled = member.poll(&now()).await.unwrap();
    assert_eq!(
        (values(&polled), polled.resets),
        (vec!["c".to_owned()], vec![])
    );
}

#[tokio::test]
async fn a_lost_offset_fails_until_somebody_decides() {
    let f = two_of_three_finished().await;
    f.append(0, "d");
    f.feed.trim(&f.partition(0), Offset(3));
    let mut member = f.join(SubscribeOptions::default()).await;
    for _ in 0..2 {
        let error = member.poll(&now()).await.unwrap_err();
        assert!(
            matches!(
                error,
                FeedError::OffsetLost {
                    wanted: Offset(2),
                    earliest: Offset(3),
                    ..
                }
            ),
            "{error}"
        );
    }
    member.close().await.unwrap();
    let mut member = f.join(lost_policy(OnLostOffset::Earliest)).await;
    let polled = member.poll(&now()).await.unwrap();
    assert_eq!(values(&polled), ["d"]);
    assert_eq!(
        (polled.resets[0].committed, polled.resets[0].resumed_at),
        (Offset(1), Offset(3))
    );
    assert_eq!(polled.gained.len(), 1);
}

#[tokio::test]
async fn a_topic_created_anew_is_told_by_its_offsets() {
    let f = two_of_three_finished().await;
    f.feed.delete_topic(&f.topic);
    let again = f.append(0, "x");
    let mut member = f.join(lost_policy(OnLostOffset::Earliest)).await;
    let polled = member.poll(&now()).await.unwrap();
    assert_eq!(
        (values(&polled), polled.resets.len()),
        (vec!["x".to_owned()], 1)
    );
    member.commit(&[again]).await.unwrap();
    assert_eq!(
        f.lag().await,
        [(Some(0), Some(Duration::ZERO))],
        "the new offsets count"
    );
}

#[tokio::test]
async fn a_topic_created_anew_is_told_by_its_times() {
    let f = two_of_three_finished().await;
    f.feed.delete_topic(&f.topic);
    f.clock.advance(Duration::from_secs(1));
    for value in ["x", "y", "z"] {
        f.append(0, value);
    }
    let mut failing = f.join(SubscribeOptions::default()).await;
    assert!(matches!(
        failing.poll(&now()).await,
        Err(FeedError::OffsetLost { .. })
    ));
    failing.close().await.unwrap();
    let mut member = f.join(lost_policy(OnLostOffset::Latest)).await;
    let polled = member.poll(&now()).await.unwrap();
    assert_eq!(
        (polled.records.len(), polled.resets[0].resumed_at),
        (0, Offset(3))
    );
    f.append(0, "new");
    assert_eq!(values(&member.poll(&now()).await.unwrap()), ["new"]);
}
