//! Nothing remote is waited for without end.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::faulty::Faulty;
use super::script::{Fixture, Say, Script};
use crate::consumer::Disposition;
use crate::dead_letter::DeadLetters;
use crate::record::Topic;
use crate::time::Clock;

const TIMEOUT: Duration = Duration::from_secs(4);

async fn pass(f: &Fixture, duration: Duration) {
    let until = f.clock.monotonic() + duration;
    f.until(|| f.clock.monotonic() > until).await;
}

#[tokio::test]
async fn a_log_that_hangs_for_a_while_is_tried_again() {
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let faulty = Arc::new(Faulty::hanging(&f.feed, 3));
    let script = Script::done();
    let stop = async {
        f.until(|| faulty.commits.load(Ordering::SeqCst) == 0).await;
        pass(&f, 2 * TIMEOUT).await;
    };
    let consumer = f.consumer_of(faulty.clone(), &script).with_timeout(TIMEOUT);
    consumer.run(stop).await.unwrap();
    assert_eq!((script.seen().len(), f.lag().await), (2, vec![0]));
}

#[tokio::test]
async fn a_commit_that_hangs_stops_neither_work_nor_heartbeats() {
    let f = Fixture::new(1);
    f.append(0, &["0"]);
    let faulty = Arc::new(Faulty::hanging(&f.feed, 0));
    faulty.commits.store(u32::MAX, Ordering::SeqCst);
    let (script, other) = (Script::done(), Script::done());
    let stop = async {
        for n in 1..=20 {
            f.until(|| script.seen().len() == n).await;
            f.append(0, &[&n.to_string()]);
        }
        faulty.commits.store(0, Ordering::SeqCst);
        pass(&f, 2 * TIMEOUT).await;
    };
    let consumer = f.consumer_of(faulty.clone(), &script).with_timeout(TIMEOUT);
    let later = async {
        f.until(|| !script.seen().is_empty()).await;
        f.consumer(&other).run(pending()).await
    };
    tokio::select! {
        outcome = consumer.run(stop) => outcome.unwrap(),
        _ = later => panic!("it never stops"),
    }
    assert_eq!((script.seen().len(), other.seen().len()), (21, 0));
    assert_eq!(f.lag().await, [0]);
}

#[tokio::test]
async fn a_dead_letter_that_hangs_keeps_its_record_unfinished() {
    let f = Fixture::new(2);
    f.append(0, &["bad"]);
    let script = Script::new(|value, _| match value {
        "bad" => Say::Now(Disposition::DeadLetter {
            reason: "no such thing".to_owned(),
        }),
        _ => Say::Now(Disposition::Done),
    });
    let publisher = Arc::new(Faulty::hanging(&f.feed, u32::MAX));
    let dead_letters = DeadLetters::new(publisher.clone(), Topic::new("dead").unwrap());
    let tried = || u32::MAX - publisher.publishes.load(Ordering::SeqCst);
    let stop = async {
        f.until(|| tried() == 3).await;
        f.append(1, &["a"]);
        f.until(|| script.times("a") == 1 && tried() == 5).await;
        assert_eq!(f.lag().await, [1, 0]);
        publisher.publishes.store(0, Ordering::SeqCst);
        pass(&f, Duration::from_secs(60)).await;
    };
    let consumer = f
        .consumer(&script)
        .with_dead_letters(dead_letters)
        .with_timeout(TIMEOUT);
    consumer.run(stop).await.unwrap();
    assert_eq!((script.times("bad"), f.lag().await), (1, vec![0, 0]));
    assert_eq!(f.buried().await.len(), 1);
}
