//! What waits because something is unavailable.

use std::time::Duration;

use super::script::{Fixture, Say, Script, retry, unavailable};
use crate::consumer::Disposition;
use crate::feed::PollLimits;
use crate::time::Clock;

#[tokio::test]
async fn what_is_unavailable_is_waited_for_without_limit() {
    let f = Fixture::new(1);
    f.append(0, &["a"]);
    let script = Script::new(|_, _| unavailable());
    let started = f.clock.monotonic();
    let consumer = f.consumer(&script).with_dead_letters(f.dead_letters());
    consumer
        .run(f.until(|| script.seen().len() == 20))
        .await
        .unwrap();
    assert!(
        f.clock.monotonic() - started >= Duration::from_secs(19),
        "it asked for 1 s each"
    );
    assert_eq!((f.lag().await, f.buried().await), (vec![1], vec![]));
}

/// Every few milliseconds one more healthy record on partition 1, while partition 0 waits.
async fn goes_on_beside_what_waits(waiting: &[&str], limits: PollLimits) {
    let f = Fixture::new(2);
    f.append(0, waiting);
    let script = Script::new(|value, _| match value.starts_with("stuck") {
        true => unavailable(),
        false => Say::Now(Disposition::Done),
    });
    let stop = async {
        f.until(|| script.times("stuck") >= 2).await;
        for n in 0..500 {
            f.append(1, &[&format!("{n}")]);
            f.clock.advance(Duration::from_millis(5));
            tokio::task::yield_now().await;
        }
        let healthy = |seen: &String| !seen.starts_with("stuck") && seen != "after it";
        f.until(|| script.seen().into_iter().filter(healthy).count() == 500)
            .await;
        f.until(|| script.times("stuck") >= 8).await;
    };
    let consumer = f
        .consumer(&script)
        .with_limits(limits)
        .with_dead_letters(f.dead_letters());
    consumer.run(stop).await.unwrap();
    assert_eq!(f.lag().await, [waiting.len() as u64, 0]);
    assert_eq!(f.buried().await, []);
}

#[tokio::test]
async fn what_is_unavailable_to_one_record_keeps_no_other_partition() {
    goes_on_beside_what_waits(&["stuck"], PollLimits::default()).await;
}

#[tokio::test]
async fn a_hand_full_of_what_waits_leaves_room_for_others() {
    let limits = PollLimits {
        records: 3,
        ..PollLimits::default()
    };
    goes_on_beside_what_waits(&["stuck", "stuck too", "stuck as well"], limits.clone()).await;
    goes_on_beside_what_waits(&["stuck", "after it", "after it"], limits).await;
}

#[tokio::test]
async fn what_is_unavailable_to_one_record_pauses_its_partition() {
    let f = Fixture::new(1);
    f.append(0, &["stuck", "bad"]);
    let script = Script::new(|value, before| match value {
        "stuck" if before < 3 => unavailable(),
        "bad" if before < 3 => retry(),
        _ => Say::Now(Disposition::Done),
    });
    let consumer = f
        .consumer(&script)
        .with_backoff(Duration::from_millis(1), Duration::from_millis(1));
    consumer
        .run(f.until(|| script.times("bad") == 4))
        .await
        .unwrap();
    let both = ["stuck", "bad"].as_slice();
    assert_eq!(script.batches(), [both; 4]);
    assert_eq!(f.lag().await, [0]);
}
