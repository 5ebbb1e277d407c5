//! What is published, and what a heartbeat claims.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{Clock, FeedError, Message, Published, Publisher, Timestamp, Topic};
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay};
use stockade_inventory_core::*;

use crate::faults::{Fault, Faulty, Log};
use crate::shop::*;

fn relay(shop: &Shop, log: &Log) -> OutboxRelay {
    let store = Arc::new(shop.store.clone());
    OutboxRelay::new(store.clone(), store, Arc::new(log.clone())).with_clock(shop.clock.clone())
}

/// The events as `sku count`, and the times of the heartbeats.
fn read(log: &Log) -> (Vec<String>, Vec<Timestamp>) {
    let (mut changes, mut heartbeats) = (Vec::new(), Vec::new());
    for event in log.take() {
        match event {
            StockEvent::Changed(changed) => {
                changes.push(format!("{} {}", changed.sku, changed.new_stock_count));
            }
            StockEvent::Heartbeat(heartbeat) => heartbeats.push(heartbeat.complete_as_of),
            other => panic!("unknown event {other:?}"),
        }
    }
    (changes, heartbeats)
}

#[tokio::test]
async fn a_pass_publishes_everything_and_sends_every_heartbeat() {
    let (shop, log) = (
        Shop::with(&[("a", 1), ("b", 2), ("c", 3)]).await,
        Log::default(),
    );
    let relay = relay(&shop, &log).with_batch(at_most(2));
    let pass = relay.pass().await.unwrap();
    let now = shop.clock.now();
    assert_eq!(
        (pass.published, pass.failed, pass.complete_as_of),
        (3, 0, Some(now))
    );
    let published = vec!["a 1".to_owned(), "b 2".into(), "c 3".into()];
    assert_eq!(read(&log), (published, vec![now; 3]));

    shop.clock.advance(seconds(1));
    let pass = relay.pass().await.unwrap();
    assert_eq!(
        (pass.published, pass.complete_as_of),
        (0, Some(shop.clock.now()))
    );
    assert_eq!(read(&log), (vec![], vec![shop.clock.now(); 3]));
    assert!(*log.largest_batch.lock().unwrap() <= 3);
}

#[tokio::test]
async fn no_heartbeat_is_sent_while_an_event_fails() {
    let (shop, log) = (
        Shop::with(&[("a", 1), ("b", 2), ("c", 3)]).await,
        Log::default(),
    );
    log.refuse(&["a"]);
    let relay = relay(&shop, &log).with_batch(at_most(1));
    let pass = relay.pass().await.unwrap();
    assert_eq!(
        (pass.published, pass.failed, pass.complete_as_of),
        (2, 1, None)
    );
    assert_eq!(read(&log), (vec!["b 2".to_owned(), "c 3".into()], vec![]));
    log.refuse(&[]);
    let pass = relay.pass().await.unwrap();
    assert_eq!((pass.published, pass.failed), (1, 0));
    assert_eq!(
        read(&log),
        (vec!["a 1".to_owned()], vec![shop.clock.now(); 3])
    );
}

#[tokio::test]
async fn a_failed_heartbeat_fails_the_pass() {
    let (shop, log) = (Shop::with(&[]).await, Log::default());
    log.refuse(&["heartbeat-2"]);
    assert!(matches!(
        relay(&shop, &log).pass().await,
        Err(InventoryError::Feed(_))
    ));
}

#[tokio::test]
async fn a_change_during_a_pass_is_left_to_the_next() {
    let (shop, log) = (
        Shop::with(&[("a", 1), ("b", 2), ("c", 3)]).await,
        Log::default(),
    );
    let started = shop.clock.now();
    let (clock, store) = (shop.clock.clone(), shop.store.clone());
    // While `b` is on its way, and `c` still to be read: `a`, which the pass is beyond, and `b`
    // itself change.
    *log.hook.lock().unwrap() = Some(Box::new(move |message| {
        if message.key.as_deref() == Some(b"b") {
            clock.advance(seconds(1));
            let (store, changes) = (store.clone(), [set("a-2", "a", 11), set("b-2", "b", 12)]);
            let adjusted = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                runtime.block_on(async { store.adjust(&changes).await })
            });
            let adjusted = adjusted.join().unwrap().unwrap();
            assert!(adjusted.iter().all(Result::is_ok));
        }
    }));
    let relay = relay(&shop, &log).with_batch(at_most(1));
    let pass = relay.pass().await.unwrap();
    assert_eq!(pass.complete_as_of, Some(started));
    assert_eq!(
        read(&log),
        (
            vec!["a 1".to_owned(), "b 2".into(), "c 3".into()],
            vec![started; 3]
        )
    );
    *log.hook.lock().unwrap() = None;
    relay.pass().await.unwrap();
    assert_eq!(read(&log).0, ["a 11", "b 12"]);
}

#[tokio::test]
async fn unmarked_events_are_published_again() {
    let (shop, log) = (Shop::with(&[("a", 1)]).await, Log::default());
    let outbox = Faulty::new(shop.store.clone());
    outbox.script.add(&[Fault::Refused]);
    let source = Arc::new(shop.store.clone());
    let relay = OutboxRelay::new(Arc::new(outbox), source, Arc::new(log.clone()));
    for expected in [vec!["a 1".to_owned()], vec!["a 1".to_owned()], vec![]] {
        let pass = relay.pass().await.unwrap();
        assert!(
            pass.complete_as_of.is_some(),
            "it was acknowledged, marked or not"
        );
        assert_eq!(read(&log).0, expected);
    }
}

#[tokio::test]
async fn a_running_relay_recovers_and_republishes() {
    let (shop, log) = (Shop::with(&[("a", 1), ("b", 2)]).await, Log::default());
    log.refuse(&["a", "b"]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(relay(&shop, &log).with_batch(at_most(1)).run(async {
        let _ = stopped.await;
    }));
    shop.pass_time(seconds(20)).await;
    assert_eq!(read(&log), (vec![], vec![]));
    log.refuse(&[]);
    shop.pass_time(seconds(60)).await;
    let (changes, heartbeats) = read(&log);
    assert_eq!(changes, ["a 1", "b 2"], "each once, as nothing changes");
    assert!(heartbeats.is_sorted() && heartbeats.len() > 100);
    shop.pass_time(seconds(900)).await;
    assert_eq!(read(&log).0[..2], ["a 1", "b 2"]);
    stop.send(()).unwrap();
    running.await.unwrap();
}

/// One that looks every minute where it has nothing to do, and never publishes all stock.
fn rare(shop: &Shop, log: &Log) -> OutboxRelay {
    let relay = relay(shop, log).with_interval(seconds(60));
    relay.with_republish_interval(seconds(1_000_000))
}

/// Lets some milliseconds pass, one by one.
async fn tick(shop: &Shop, milliseconds: u64) {
    for _ in 0..milliseconds {
        shop.clock.advance(Duration::from_millis(1));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_relay_that_has_nothing_to_do_looks_at_its_interval() {
    let (shop, log) = (Shop::with(&[("a", 1)]).await, Log::default());
    let relay = rare(&shop, &log);
    let _running = tokio::spawn(relay.run(std::future::pending()));
    shop.pass_time(seconds(600)).await;
    read(&log);
    shop.set("again", "a", 2).await;
    tick(&shop, 100).await;
    assert_eq!(read(&log).0, Vec::<String>::new());
    shop.pass_time(seconds(61)).await;
    assert_eq!(read(&log).0, ["a 2"]);
}

#[tokio::test]
async fn a_relay_looks_again_soon_after_a_change() {
    let (shop, log) = (Shop::with(&[("a", 1)]).await, Log::default());
    let relay = rare(&shop, &log);
    let _running = tokio::spawn(relay.run(std::future::pending()));
    tick(&shop, 1).await;
    for count in 2..50 {
        read(&log);
        shop.set(&format!("count-{count}"), "a", count).await;
        // A pause of 10 ms, and one of 20 after a pass that found nothing.
        tick(&shop, 25).await;
        assert_eq!(read(&log).0, [format!("a {count}")]);
    }
}

#[tokio::test]
async fn a_woken_relay_publishes_at_once() {
    let (shop, log) = (Shop::with(&[("a", 9)]).await, Log::default());
    let relay = rare(&shop, &log);
    let store: Arc<dyn InventoryStore> = Arc::new(shop.store.clone());
    let inventory = shop.inventory(store.clone()).with_wake(relay.wake());
    let expiry = ExpiryWorker::new(store, Arc::new(shop.timer.clone()))
        .with_wake(relay.wake())
        .with_clock(shop.clock.clone());
    let _running = tokio::spawn(relay.run(std::future::pending()));
    let changed = async |expected: &str| {
        tick(&shop, 1).await;
        assert_eq!(read(&log).0, [expected]);
        // So that it is idle again.
        shop.pass_time(seconds(600)).await;
        read(&log);
    };
    shop.pass_time(seconds(600)).await;
    read(&log);

    inventory.reserve(request("one", "a", 1)).await.unwrap();
    changed("a 8").await;
    // It was due while time passed.
    expiry.sweep().await.unwrap();
    changed("a 9").await;
    inventory.reserve(request("two", "a", 2)).await.unwrap();
    tick(&shop, 20).await;
    read(&log);
    inventory
        .release(&id("two"), ActingFor::Anyone)
        .await
        .unwrap();
    tick(&shop, 20).await;
    assert_eq!(read(&log).0, ["a 9"]);
    inventory.adjust(&[set("more", "a", 12)]).await.unwrap();
    changed("a 12").await;
}

#[tokio::test]
async fn heartbeats_are_a_second_apart_however_often_stock_changes() {
    let (shop, log) = (Shop::with(&[("a", 1)]).await, Log::default());
    let _running = tokio::spawn(relay(&shop, &log).run(std::future::pending()));
    for count in 2..202 {
        shop.set(&format!("count-{count}"), "a", count).await;
        tick(&shop, 20).await;
    }
    let (changes, heartbeats) = read(&log);
    assert!(changes.len() >= 200, "{}", changes.len());
    // One for each of three partitions, in four seconds.
    let times: BTreeSet<_> = heartbeats.iter().collect();
    assert!((4..=5).contains(&times.len()), "{times:?}");
    assert_eq!(heartbeats.len(), 3 * times.len());
}

#[tokio::test]
async fn it_publishes_to_a_log_in_memory() {
    let shop = Shop::with(&[("a", 1)]).await;
    let feed = MemoryFeed::new(shop.clock.clone());
    let store = Arc::new(shop.store.clone());
    let relay = OutboxRelay::new(store.clone(), store, Arc::new(feed.clone()));
    let pass = relay.pass().await.unwrap();
    assert_eq!(
        (pass.published, pass.complete_as_of),
        (1, Some(shop.clock.now()))
    );
    assert_eq!(feed.partitions(&inventory_updates()).await.unwrap(), 4);
}

/// A log that never answers for a key, as where its partition is down.
struct Hangs {
    inner: Log,
    key: &'static str,
}

#[async_trait]
impl Publisher for Hangs {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let hangs = messages
            .iter()
            .any(|message| message.key.as_deref() == Some(self.key.as_bytes()));
        if hangs {
            std::future::pending::<()>().await;
        }
        self.inner.publish(topic, messages).await
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        self.inner.partitions(topic).await
    }
}

#[tokio::test]
async fn a_call_that_hangs_fails_only_its_own_events() {
    let shop = Shop::with(&[("a", 1), ("b", 2), ("c", 3)]).await;
    let (log, store) = (Log::default(), Arc::new(shop.store.clone()));
    let hangs = Hangs {
        inner: log.clone(),
        key: "a",
    };
    let relay = OutboxRelay::new(store.clone(), store, Arc::new(hangs))
        .with_batch(at_most(1))
        .with_timeout(std::time::Duration::from_millis(50));
    let pass = relay.pass().await.unwrap();
    assert_eq!(
        (pass.published, pass.failed, pass.complete_as_of),
        (2, 1, None)
    );
    assert_eq!(read(&log), (vec!["b 2".to_owned(), "c 3".into()], vec![]));
    let rest = shop.store.unpublished(None, at_most(9)).await.unwrap();
    assert_eq!(rest.changes.len(), 1, "what was acknowledged is marked");
}

/// Keeps the value of one gauge.
struct OneGauge {
    name: &'static str,
    bits: Arc<AtomicU64>,
}

impl Recorder for OneGauge {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match key.name() == self.name {
            true => Gauge::from_arc(self.bits.clone()),
            false => Gauge::noop(),
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn the_age_rises_while_a_pass_hangs() {
    let bits = Arc::new(AtomicU64::new(0));
    let recorder = OneGauge {
        name: "stockade_inventory_relay_complete_age_seconds",
        bits: bits.clone(),
    };
    let _recording = metrics::set_default_local_recorder(&recorder);
    let age = || f64::from_bits(bits.load(Ordering::Relaxed));
    let (shop, log) = (Shop::with(&[]).await, Log::default());
    let store = Arc::new(shop.store.clone());
    let hangs = Hangs {
        inner: log,
        key: "a",
    };
    let relay = OutboxRelay::new(store.clone(), store, Arc::new(hangs))
        .with_clock(shop.clock.clone())
        .with_timeout(seconds(3_600));
    let _running = tokio::spawn(relay.run(std::future::pending()));
    shop.pass_time(seconds(60)).await;
    assert!(age() <= 1.0, "{}", age());
    for outcome in shop.store.adjust(&[set("1", "a", 1)]).await.unwrap() {
        outcome.unwrap();
    }
    shop.pass_time(seconds(100)).await;
    assert!(age() >= 90.0, "{}", age());
}
