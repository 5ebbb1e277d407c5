use super::*;
use crate::memory::MemoryAvailabilityCache;
use crate::testing::{Mode, ScriptedSource, changed};

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
    for _ in 0..4 {
        assert!(step(&refill, &mut scan).await);
        assert_eq!(coverage(&cache).await, Coverage::Unfilled);
    }
    assert!(!step(&refill, &mut scan).await);
    assert_eq!(coverage(&cache).await, Coverage::Filled);
    let all: Vec<Sku> = source
        .scan(None, 9_999)
        .await
        .unwrap()
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
    assert_eq!(after.unwrap().as_str(), "sku00999");
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
