use std::num::NonZeroUsize;

use stockade_change_feed::{ManualClock, Retry, Timestamp};
use stockade_inventory_core::Sku;

use super::*;
use crate::availability::testing::{Mode, ScriptedCache, ScriptedSource, changed};
use crate::memory::MemoryAvailabilityCache;

fn refill(
    skus: u64,
) -> (
    Arc<MemoryAvailabilityCache>,
    Arc<ScriptedSource>,
    AvailabilityRefill,
) {
    let cache = Arc::new(MemoryAvailabilityCache::new());
    let stock = (0..skus).map(|n| changed(&format!("sku{n:05}"), n, 0, 1));
    let source = Arc::new(ScriptedSource::new(stock));
    let refill = AvailabilityRefill::new(cache.clone(), source.clone());
    (cache, source, refill)
}

async fn coverage(cache: &MemoryAvailabilityCache) -> Coverage {
    cache.read(&[]).await.unwrap().coverage
}

/// Takes one step, and says whether a scan is under way.
async fn step(refill: &AvailabilityRefill, scan: &mut Option<Scan>) -> bool {
    refill.step(scan).await.unwrap();
    scan.is_some()
}

#[tokio::test]
async fn all_pages_are_written_before_it_counts_as_filled() {
    let (cache, source, refill) = refill(2_500);
    let mut scan = None;
    for _ in 0..3 {
        assert!(step(&refill, &mut scan).await);
        assert_eq!(coverage(&cache).await, Coverage::Unfilled);
    }
    assert!(!step(&refill, &mut scan).await);
    assert_eq!(coverage(&cache).await, Coverage::Filled);
    let all: Vec<Sku> = source
        .scan(None, NonZeroUsize::MAX)
        .await
        .unwrap()
        .stock
        .iter()
        .map(|s| s.sku().clone())
        .collect();
    let read = cache.read(&all).await.unwrap();
    assert!(read.entries.iter().all(Option::is_some));
    assert!(!step(&refill, &mut scan).await, "nothing more to do");
}

#[tokio::test]
async fn a_cache_that_is_emptied_during_the_scan_is_not_taken_for_filled() {
    let (cache, _, refill) = refill(1_500);
    let mut scan = None;
    step(&refill, &mut scan).await;
    step(&refill, &mut scan).await;
    cache.clear();
    while step(&refill, &mut scan).await {}
    assert_eq!(coverage(&cache).await, Coverage::Unfilled);
    while step(&refill, &mut scan).await {}
    assert_eq!(coverage(&cache).await, Coverage::Filled);
}

#[tokio::test]
async fn a_failed_scan_goes_on_where_it_was() {
    let (_, source, refill) = refill(1_500);
    let mut scan = None;
    step(&refill, &mut scan).await;
    step(&refill, &mut scan).await;
    source.set(Mode::Fails);
    assert!(refill.step(&mut scan).await.is_err());
    let after = scan.as_ref().and_then(|scan| scan.after.clone());
    assert_eq!(after.unwrap().0, "sku00999");
    source.set(Mode::Works);
    while step(&refill, &mut scan).await {}
}

#[tokio::test]
async fn an_inventory_without_stock_fills_at_once() {
    let (cache, _, refill) = refill(0);
    let mut scan = None;
    while step(&refill, &mut scan).await {}
    assert_eq!(coverage(&cache).await, Coverage::Filled);
}

#[tokio::test]
async fn a_scan_whose_cursor_is_no_longer_known_begins_anew() {
    let (cache, source, refill) = refill(1_500);
    let mut scan = None;
    step(&refill, &mut scan).await;
    step(&refill, &mut scan).await;
    source.set(Mode::ForgetsCursors);
    assert!(refill.step(&mut scan).await.is_err());
    assert!(scan.is_none());
    assert_eq!(coverage(&cache).await, Coverage::Unfilled);
    source.set(Mode::Works);
    while step(&refill, &mut scan).await {}
    assert_eq!(coverage(&cache).await, Coverage::Filled);
}

#[tokio::test]
async fn a_cache_that_does_not_say_what_it_wrote_is_not_taken_for_filled() {
    let cache = Arc::new(ScriptedCache::new());
    let source = Arc::new(ScriptedSource::new([changed("tee", 1, 0, 1)]));
    let refill = AvailabilityRefill::new(cache.clone(), source);
    cache.set(Mode::WritesWithoutOutcomes);
    let mut scan = None;
    step(&refill, &mut scan).await;
    let error = refill.step(&mut scan).await.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    assert_eq!(coverage(&cache.inner).await, Coverage::Unfilled);
}

#[tokio::test]
async fn a_page_whose_reply_is_lost_is_written_again() {
    let cache = Arc::new(ScriptedCache::new());
    let stock = (0..1_500).map(|n| changed(&format!("sku{n:05}"), n, 0, 1));
    let refill = AvailabilityRefill::new(cache.clone(), Arc::new(ScriptedSource::new(stock)));
    let mut scan = None;
    step(&refill, &mut scan).await;
    cache.set(Mode::LosesReplies);
    for _ in 0..2 {
        assert!(refill.step(&mut scan).await.is_err());
    }
    cache.set(Mode::Works);
    assert!(step(&refill, &mut scan).await);
    assert!(!step(&refill, &mut scan).await);
    assert_eq!(coverage(&cache.inner).await, Coverage::Filled);
}

#[tokio::test]
async fn a_cache_that_falls_back_during_the_scan_is_filled_from_its_beginning() {
    let (cache, _, refill) = refill(2_500);
    let mut scan = None;
    step(&refill, &mut scan).await;
    step(&refill, &mut scan).await;
    let shortened = cache.save();
    step(&refill, &mut scan).await;
    cache.restore(shortened);
    assert!(!step(&refill, &mut scan).await, "a page is lost");
    assert_eq!(coverage(&cache).await, Coverage::Unfilled);
    for _ in 0..4 {
        step(&refill, &mut scan).await;
    }
    assert_eq!(coverage(&cache).await, Coverage::Filled);
}

#[tokio::test]
async fn pages_are_written_with_pauses_between_them() {
    let (cache, _, refill) = refill(3_000);
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let run = refill.with_clock(clock.clone());
    let filled = async {
        while coverage(&cache).await != Coverage::Filled {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_millis(1));
        }
    };
    run.run(filled).await;
    assert!(clock.monotonic() >= Duration::from_millis(15));
}
