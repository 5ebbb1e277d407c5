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

pub(super) async fn a_fill_of_a_cache_that_was_emptied_does_not_count<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    let overtaken = desk.begin_fill().await;
    desk.write_one(entry("tee", 5, 3)).await;
    h.empty().await;
    assert_eq!(
        desk.finish_fill(&overtaken).await,
        Coverage::Unfilled,
        "what was written before it was emptied is gone"
    );
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
    let anew = desk.begin_fill().await;
    assert_eq!(desk.finish_fill(&overtaken).await, Coverage::Unfilled);
    assert_eq!(desk.finish_fill(&anew).await, Coverage::Filled);
}
