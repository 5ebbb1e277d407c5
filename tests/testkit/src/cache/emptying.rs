//! A cache that was emptied says so, so that somebody fills it.

use stockade_catalog_core::{CacheWrite, Coverage};

use super::EmptyingHarness;
use super::desk::{Desk, LONG, entry, known, mark, sku};

pub(super) async fn an_emptied_cache_is_no_longer_filled<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 3)).await;
    desk.write_absent("cap", LONG).await;
    desk.mark(&[mark(0, 1, 1)]).await;
    desk.mark_filled().await;
    h.empty().await;
    let read = desk.read(&[sku("tee"), sku("cap")]).await;
    assert_eq!(read.entries, [None, None]);
    assert_eq!(
        read.coverage,
        Coverage::Unfilled,
        "it was emptied, and says that it holds all SKUs"
    );
    assert_eq!(read.marks, [], "it is complete as of no time");
}

pub(super) async fn an_emptied_cache_is_filled_anew<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 3)).await;
    desk.mark_filled().await;
    h.empty().await;
    let outcome = desk.write_one(entry("tee", 5, 3)).await;
    assert_eq!(outcome, CacheWrite::Stored, "the same version once more");
    assert_eq!(desk.entry("tee").await, known(5, 3));
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
    desk.mark_filled().await;
    assert_eq!(desk.coverage().await, Coverage::Filled);
}
