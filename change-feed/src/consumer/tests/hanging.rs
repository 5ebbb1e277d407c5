//! A handler that hangs can be seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};

use super::script::{Fixture, Say, Script};

/// Keeps the gauge of the batch in hand.
#[derive(Default)]
struct InHand(Arc<AtomicU64>);

impl InHand {
    fn age(&self) -> Duration {
        Duration::from_secs_f64(f64::from_bits(self.0.load(Ordering::SeqCst)))
    }
}

impl Recorder for InHand {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        assert_eq!(key.name(), "stockade_feed_batch_in_hand_seconds");
        Gauge::from_arc(self.0.clone())
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn how_long_a_batch_is_in_hand_is_told_until_it_is_finished() {
    let in_hand = InHand::default();
    let _recording = set_default_local_recorder(&in_hand);
    let f = Fixture::new(1);
    f.append(0, &["a", "b"]);
    let script = Script::new(|_, _| Say::AtGate);
    let stop = async {
        f.until(|| in_hand.age() > Duration::from_secs(60)).await;
        assert_eq!(script.batches().len(), 1, "it is not ended");
        script.gate.notify_one();
        f.until(|| in_hand.age() > Duration::from_secs(90)).await;
        script.gate.notify_one();
        f.until(|| in_hand.age().is_zero()).await;
    };
    f.consumer(&script).run(stop).await.unwrap();
    assert_eq!((script.seen().len(), f.lag().await), (2, vec![0]));
}

#[tokio::test]
async fn a_handler_that_is_dropped_has_nothing_in_hand() {
    let in_hand = InHand::default();
    let _recording = set_default_local_recorder(&in_hand);
    let f = Fixture::new(1);
    f.append(0, &["a"]);
    let script = Script::new(|_, _| Say::AtGate);
    let stop = f.until(|| !in_hand.age().is_zero());
    let consumer = f.consumer(&script).with_grace(Duration::from_secs(1));
    let passing = async {
        loop {
            f.until(|| true).await;
            f.clock.advance(super::STEP);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = consumer.run(stop) => outcome.unwrap(),
        () = passing => {}
    }
    assert!(in_hand.age().is_zero());
}
