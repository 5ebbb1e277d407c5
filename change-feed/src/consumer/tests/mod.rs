//! What a [`Consumer`] promises, with a scripted handler and a clock that is moved by hand.

mod deadlines;
mod faulty;
mod hanging;
mod script;
mod waiting;

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use self::faulty::Faulty;
use self::script::{Fixture, STEP, Say, Script, retry};
use super::*;
use crate::feed::OnLostOffset;
use crate::memory::MemoryFeed;
use crate::record::{Message, Offset, TopicPartition};

#[tokio::test]
async fn what_is_handled_is_committed_and_the_group_left() {
    let f = Fixture::new(2);
    f.append(0, &["a", "b"]);
    f.append(1, &["c"]);
    let script = Script::done();
    let stop = f.until(|| script.seen().len() == 3);
    f.consumer(&script).run(stop).await.unwrap();
    assert_eq!(f.lag().await, [0, 0]);
    // Others need not wait for a session timeout.
    f.append(0, &["d"]);
    let limits = PollLimits {
        wait: Duration::ZERO,
        ..PollLimits::default()
    };
    let topics = std::slice::from_ref(&f.topic);
    let mut next = f
        .feed
        .subscribe(&f.group, topics, SubscribeOptions::default())
        .await
        .unwrap();
    assert_eq!(next.poll(&limits).await.unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_crash_between_effect_and_commit_delivers_again() {
    let f = Fixture::new(1);
    f.append(0, &["a"]);
    let first = Script::new(|_, _| Say::AtGate);
    tokio::select! {
        _ = f.consumer(&first).run(pending()) => panic!("it never stops"),
        () = f.until(|| first.seen() == ["a"]) => {}
    }
    let second = Script::done();
    f.consumer(&second)
        .run(f.until(|| second.seen() == ["a"]))
        .await
        .unwrap();
    assert_eq!(f.lag().await, [0]);
}

#[tokio::test]
async fn failing_records_are_retried_in_order_and_the_rest_is_not() {
    let f = Fixture::new(1);
    f.append(0, &["a", "bad 1", "b", "bad 2", "c"]);
    let script = Script::new(
        |value, before| match value.starts_with("bad") && before < 2 {
            true => retry(),
            false => Say::Now(Disposition::Done),
        },
    );
    f.consumer(&script)
        .run(f.until(|| script.times("bad 2") == 3))
        .await
        .unwrap();
    let bad = ["bad 1", "bad 2"].as_slice();
    let all = ["a", "bad 1", "b", "bad 2", "c"].as_slice();
    assert_eq!(script.batches(), [all, bad, bad]);
    assert_eq!(f.lag().await, [0]);
}

#[tokio::test]
async fn only_the_finished_prefix_is_committed() {
    let f = Fixture::new(2);
    f.append(0, &["a", "bad", "b"]);
    f.append(1, &["c", "d"]);
    let script = Script::new(|value, _| match value {
        "bad" => retry(),
        _ => Say::Now(Disposition::Done),
    });
    let consumer = f.consumer(&script).with_attempts(NonZeroU32::MAX);
    consumer
        .run(f.until(|| script.times("bad") == 3))
        .await
        .unwrap();
    assert_eq!(f.lag().await, [2, 0]);
}

#[tokio::test]
async fn a_poison_record_is_dead_lettered_and_blocks_nobody_else() {
    let f = Fixture::new(3);
    f.append(0, &["bad", "after it"]);
    f.append(1, &["never"]);
    let script = Script::new(|value, _| match value {
        "bad" => retry(),
        "never" => Say::Now(Disposition::DeadLetter {
            reason: "no such thing".to_owned(),
        }),
        _ => Say::Now(Disposition::Done),
    });
    let consumer = f
        .consumer(&script)
        .with_attempts(NonZeroU32::new(3).unwrap())
        .with_backoff(Duration::from_secs(10), Duration::from_secs(60))
        .with_dead_letters(f.dead_letters());
    let stop = async {
        f.until(|| script.times("bad") == 1).await;
        // Read and finished while the bad one waits.
        for n in 0..50 {
            let value = format!("later {n}");
            f.append(2, &[&value]);
            f.append(1, &[&value]);
            f.until(|| script.times(&value) == 2).await;
        }
        assert_eq!(script.times("bad"), 1);
        f.append(0, &["last"]);
        f.until(|| script.times("last") == 1).await;
    };
    consumer.run(stop).await.unwrap();
    assert_eq!(script.times("bad"), 3);
    assert_eq!(script.times("after it"), 1);
    assert_eq!(f.lag().await, [0, 0, 0]);
    let mut letters = f.buried().await;
    letters.sort_by_key(|letter| letter.attempts);
    let reasons: Vec<_> = letters
        .iter()
        .map(|l| (l.attempts, l.reason.as_str()))
        .collect();
    assert_eq!(reasons, [(1, "no such thing"), (3, "not yet")]);
    let bad = letters[1].record.as_ref().unwrap();
    assert_eq!(bad.value.as_deref(), Some("bad".as_bytes()));
    assert_eq!(bad.position.partition.partition, 0);
    assert_eq!(letters[1].group, f.group);
}

#[tokio::test]
async fn without_dead_letters_a_poison_record_stops_it() {
    let f = Fixture::new(1);
    f.append(0, &["a", "bad", "b"]);
    let script = Script::new(|value, _| match value {
        "bad" => Say::Now(Disposition::DeadLetter {
            reason: "no such thing".to_owned(),
        }),
        _ => Say::Now(Disposition::Done),
    });
    let error = f.consumer(&script).run(pending()).await.unwrap_err();
    let FeedError::Poisoned { position, reason } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (position.offset, reason.as_str()),
        (Offset(1), "no such thing")
    );
    assert_eq!(f.lag().await, [2]);
}

#[tokio::test]
async fn a_log_that_fails_for_a_while_is_tried_again() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let faulty = Arc::new(Faulty::new(&f.feed, 3));
    let script = Script::done();
    let stop = f.until(|| faulty.commits.load(Ordering::SeqCst) == 0);
    f.consumer_of(faulty.clone(), &script)
        .run(stop)
        .await
        .unwrap();
    assert_eq!((script.seen().len(), f.lag().await), (2, vec![0]));
}

#[tokio::test]
async fn a_dead_letter_that_can_not_be_stored_holds_the_offset() {
    let f = Fixture::new(1);
    f.append(0, &["bad", "b"]);
    let script = Script::new(|value, _| match value {
        "bad" => Say::Now(Disposition::DeadLetter {
            reason: "no such thing".to_owned(),
        }),
        _ => Say::Now(Disposition::Done),
    });
    let publisher = Arc::new(Faulty::new(&f.feed, u32::MAX));
    let dead_letters = DeadLetters::new(publisher.clone(), Topic::new("dead").unwrap());
    let stop = async {
        f.until(|| publisher.publishes.load(Ordering::SeqCst) < u32::MAX - 3)
            .await;
        assert_eq!(f.lag().await, [2]);
        publisher.publishes.store(0, Ordering::SeqCst);
        f.append(0, &["c"]);
        f.until(|| script.times("c") == 1).await;
    };
    f.consumer(&script)
        .with_dead_letters(dead_letters)
        .run(stop)
        .await
        .unwrap();
    assert_eq!((script.times("bad"), f.lag().await), (1, vec![0]));
    assert_eq!(f.buried().await.len(), 1);
}

#[tokio::test]
async fn two_consumers_share_the_partitions() {
    let f = Fixture::new(4);
    let scripts = [Script::done(), Script::done()];
    let count = |script: &Script| script.seen().into_iter().collect::<BTreeSet<_>>().len();
    let stopping = Notify::new();
    let work = |script| f.consumer(script).run(stopping.notified());
    let driver = async {
        let mut n = 0;
        while scripts.iter().any(|script| count(script) < 20) {
            f.append(n % 4, &[&format!("{n}")]);
            n += 1;
            f.clock.advance(STEP);
            tokio::task::yield_now().await;
        }
        let all = || {
            scripts
                .iter()
                .flat_map(|script| script.seen())
                .collect::<BTreeSet<_>>()
        };
        f.until(|| all().len() == n as usize).await;
        stopping.notify_waiters();
    };
    let (a, b, ()) = tokio::join!(work(&scripts[0]), work(&scripts[1]), driver);
    a.and(b).unwrap();
    assert_eq!(f.lag().await, [0; 4]);
}

#[tokio::test]
async fn a_slow_handler_keeps_its_partitions() {
    let f = Fixture::new(1);
    f.append(0, &["a"]);
    let (slow, other) = (Script::new(|_, _| Say::AtGate), Script::done());
    let stopping = Notify::new();
    let driver = async {
        f.until(|| slow.seen().len() == 1).await;
        let until = f.clock.monotonic() + Duration::from_secs(300);
        f.until(|| f.clock.monotonic() > until).await;
        slow.gate.notify_one();
        stopping.notify_waiters();
    };
    let later = async {
        f.until(|| slow.seen().len() == 1).await;
        f.consumer(&other).run(stopping.notified()).await
    };
    let (a, b, ()) = tokio::join!(f.consumer(&slow).run(stopping.notified()), later, driver);
    a.and(b).unwrap();
    assert_eq!((other.seen().len(), f.lag().await), (0, vec![0]));
}

#[tokio::test]
async fn a_stalled_member_is_fenced() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let stalled = Script::new(|_, before| if before == 0 { Say::AtGate } else { retry() });
    let mut running = std::pin::pin!(f.consumer(&stalled).run(pending()));
    tokio::select! {
        _ = &mut running => panic!("it never stops"),
        () = f.until(|| stalled.seen().len() == 2) => {}
    }
    // Nobody drives it any more, and so it is silent.
    f.clock.advance(Duration::from_secs(30));
    let other = Script::new(|value, _| match value {
        "a" => Say::Now(Disposition::Done),
        _ => retry(),
    });
    f.consumer(&other)
        .run(f.until(|| other.times("b") == 2))
        .await
        .unwrap();
    assert_eq!(f.lag().await, [1]);
    let third = Script::new(|_, _| Say::AtGate);
    let mut third_running = std::pin::pin!(f.consumer(&third).run(pending()));
    tokio::select! {
        _ = &mut third_running => panic!("it never stops"),
        () = f.until(|| third.seen() == ["b"]) => {}
    }
    // It wakes up, and finishes what is no longer its own.
    for _ in 0..2 {
        stalled.gate.notify_one();
        tokio::select! {
            _ = &mut running => panic!("being fenced is no error"),
            () = async { for _ in 0..50 { tokio::task::yield_now().await } } => {}
        }
    }
    assert_eq!((stalled.seen().len(), f.lag().await), (2, vec![1]));
}

#[tokio::test]
async fn the_stop_lets_the_handler_finish() {
    let f = Fixture::new(1);
    f.append(0, &["a"]);
    let script = Script::new(|_, _| Say::AtGate);
    let stopped = Notify::new();
    let stop = async {
        f.until(|| script.seen().len() == 1).await;
        stopped.notify_one();
    };
    let later = async {
        stopped.notified().await;
        f.append(0, &["not read any more"]);
        f.clock.advance(Duration::from_secs(4));
        script.gate.notify_one();
    };
    let (outcome, ()) = tokio::join!(f.consumer(&script).run(stop), later);
    outcome.unwrap();
    assert_eq!((script.seen().len(), f.lag().await), (1, vec![1]));
}

#[tokio::test]
async fn the_grace_ends() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let script = Script::new(|_, _| Say::AtGate);
    let stop = f.until(|| script.seen().len() == 2);
    let limits = PollLimits {
        records: 2,
        ..PollLimits::default()
    };
    let consumer = f.consumer(&script).with_limits(limits);
    let ((), outcome) = tokio::join!(
        async {
            f.until(|| script.seen().len() == 2).await;
            tokio::task::yield_now().await;
            for _ in 0..6 {
                f.clock.advance(Duration::from_secs(1));
                tokio::task::yield_now().await;
            }
        },
        consumer.run(stop)
    );
    outcome.unwrap();
    assert_eq!(f.lag().await, [2]);
}

#[tokio::test]
async fn the_wrong_number_of_dispositions_commits_nothing() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let script = Script::new(|value, _| match value {
        "b" => Say::Nothing,
        _ => Say::Now(Disposition::Done),
    });
    let error = f.consumer(&script).run(pending()).await.unwrap_err();
    assert!(
        matches!(
            error,
            FeedError::Invalid {
                field: "dispositions",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(f.lag().await, [2]);
}

#[tokio::test]
async fn no_more_in_hand_than_the_limits_allow() {
    let f = Fixture::new(2);
    let values: Vec<String> = (0..200).map(|n| format!("{n:03}")).collect();
    for (n, value) in (0..).zip(&values) {
        f.append(n % 2, &[value]);
    }
    let script = Script::new(|value, before| match value.ends_with('7') && before < 2 {
        true => retry(),
        false => Say::Now(Disposition::Done),
    });
    let limits = PollLimits {
        records: 5,
        bytes: 12,
        ..PollLimits::default()
    };
    let consumer = f.consumer(&script).with_limits(limits);
    consumer
        .run(f.until(|| script.seen().len() == 240))
        .await
        .unwrap();
    assert!(
        script.batches().iter().all(|batch| batch.len() <= 4),
        "12 bytes are 4 records"
    );
    assert_eq!(f.lag().await, [0, 0]);
    assert_eq!(
        script.seen().into_iter().collect::<BTreeSet<_>>(),
        values.into_iter().collect()
    );
}

#[tokio::test]
async fn lost_offsets_end_it_or_are_resumed_as_the_policy_says() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b", "c"]);
    let script = Script::done();
    f.consumer(&script)
        .run(f.until(|| script.seen().len() == 3))
        .await
        .unwrap();
    f.append(0, &["d", "e"]);
    f.feed
        .trim(&TopicPartition::new(f.topic.clone(), 0), Offset(4));
    let error = f.consumer(&script).run(pending()).await.unwrap_err();
    assert!(matches!(error, FeedError::OffsetLost { .. }), "{error}");
    let on_lost_offset = OnLostOffset::Earliest;
    let options = SubscribeOptions {
        on_lost_offset,
        ..SubscribeOptions::default()
    };
    let consumer = f.consumer(&script).with_options(options);
    consumer
        .run(f.until(|| script.times("e") == 1))
        .await
        .unwrap();
    assert_eq!((script.times("d"), f.lag().await), (0, vec![0]));
}

#[tokio::test]
async fn a_topic_that_is_deleted_under_the_handler_is_resumed_as_the_policy_says() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b", "c"]);
    let script = Script::new(|value, _| match value {
        "a" => Say::AtGate,
        _ => Say::Now(Disposition::Done),
    });
    let options = SubscribeOptions {
        on_lost_offset: OnLostOffset::Earliest,
        ..SubscribeOptions::default()
    };
    let stop = async {
        f.until(|| script.seen().len() == 3).await;
        f.feed.delete_topic(&f.topic);
        f.append(0, &["x", "y"]);
        script.gate.notify_one();
        f.until(|| script.times("y") == 1).await;
    };
    let consumer = f.consumer(&script).with_options(options);
    consumer.run(stop).await.unwrap();
    assert_eq!((script.times("x"), f.lag().await), (1, vec![0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_spawned_on_the_machines_clock() {
    let (topic, group) = (Topic::new("t").unwrap(), Group::new("g").unwrap());
    let feed = MemoryFeed::new(Arc::new(SystemClock::new()));
    let script = Script::done();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let topics = vec![topic.clone()];
    let consumer = Consumer::new(Arc::new(feed.clone()), group, topics, script.clone());
    let running = tokio::spawn(consumer.run(async {
        let _ = stopped.await;
    }));
    for n in 0..100 {
        feed.append(&topic, Message::keyed(format!("{n}"), format!("{n}")))
            .unwrap();
    }
    while script.seen().len() < 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handler_hears_where_its_records_begin_before_they_come() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let run = async |values: &'static [&str]| {
        let script = Script::done();
        let stop = f.until(|| script.seen() == values);
        f.consumer(&script).run(stop).await.unwrap();
        let beginnings = script.beginnings.lock().unwrap();
        beginnings
            .iter()
            .map(|begins| begins.from)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(&["a", "b"]).await, [ReadFrom::Start]);
    f.append(0, &["c"]);
    assert_eq!(run(&["c"]).await, [ReadFrom::After(Offset(1))]);
    f.append(0, &["d", "e"]);
    f.feed
        .trim(&TopicPartition::new(f.topic.clone(), 0), Offset(4));
    let script = Script::done();
    let options = SubscribeOptions {
        on_lost_offset: OnLostOffset::Earliest,
        ..SubscribeOptions::default()
    };
    let stop = f.until(|| script.seen() == ["e"]);
    f.consumer(&script)
        .with_options(options)
        .run(stop)
        .await
        .unwrap();
    let last = script.beginnings.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last.from, ReadFrom::Elsewhere);
}
