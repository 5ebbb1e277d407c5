//! A cache that was emptied is unfilled, so that a refill starts.

use stockade_catalog_core::{CacheWrite, Coverage};

use super::EmptyingHarness;
use super::desk::{Desk, LONG, complete, entry, following, gap, heartbeat, known, sku};

pub(super) async fn an_emptied_cache_is_no_longer_filled<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 3)).await;
    desk.write_absent("cap", LONG).await;
    desk.begun(1).await;
    desk.advance(&[heartbeat(0, complete(1, 1))]).await;
    h.empty().await;
    let read = desk.read(&[sku("tee"), sku("cap")]).await;
    assert_eq!(read.entries, [None, None]);
    assert_eq!(
        read.coverage,
        Coverage::Unfilled,
        "it was emptied, but says that it is filled"
    );
    assert_eq!(read.marks, [], "it is complete as of no time");
}

pub(super) async fn an_emptied_cache_can_be_filled_again<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 3)).await;
    desk.begun(1).await;
    h.empty().await;
    let outcome = desk.write_one(entry("tee", 5, 3)).await;
    assert_eq!(outcome, CacheWrite::Stored, "the same version once more");
    assert_eq!(desk.entry("tee").await, known(5, 3));
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
    desk.begun(1).await;
    assert_eq!(desk.coverage().await, Coverage::Filled);
}

pub(super) async fn records_after_it_was_emptied_are_a_gap<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    desk.advance(&[following(0, 0, 5)]).await;
    h.empty().await;
    let advanced = desk.advance(&[following(0, 5, 6)]).await;
    assert_eq!(advanced, [gap(None)]);
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
}

pub(super) async fn a_fill_of_a_cache_that_was_emptied_does_not_count<H: EmptyingHarness>(h: H) {
    let desk = Desk::open(&h);
    let first = desk.begin_fill().await;
    let second = desk.page(&first, &[entry("tee", 5, 3)]).await;
    h.empty().await;
    assert_eq!(
        desk.end_fill(&second).await,
        Coverage::Unfilled,
        "entries from before the cache was emptied are gone"
    );
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
    let again = desk.begin_fill().await;
    for old in [&first, &second] {
        assert_eq!(desk.fill(old, &[]).await.next, None);
        assert_eq!(desk.end_fill(old).await, Coverage::Unfilled);
    }
    assert_eq!(desk.end_fill(&again).await, Coverage::Filled);
}
