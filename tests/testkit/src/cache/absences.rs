//! An absence is stored for a while, and never replaces a known SKU.

use stockade_catalog_core::{CacheEntry, CacheWrite};

use super::CacheHarness;
use super::desk::{Desk, LONG, PAST_SHORT, SHORT, entry, known};

const ABSENT: Option<CacheEntry> = Some(CacheEntry::Absent);

pub(super) async fn an_absence_expires_after_its_time<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_absent("long", LONG).await;
    desk.write_absent("short", SHORT).await;
    let skus = ["short", "long", "never"];
    assert_eq!(desk.entries(&skus).await, [ABSENT, ABSENT, None]);
    h.pass_time(PAST_SHORT).await;
    let read = desk.entries(&skus).await;
    assert_eq!(read, [None, ABSENT, None], "one absence has expired");
}

pub(super) async fn an_absence_may_be_renewed<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_absent("tee", SHORT).await;
    h.pass_time(SHORT / 2).await;
    desk.write_absent("tee", LONG).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(desk.entry("tee").await, ABSENT);
}

pub(super) async fn a_known_sku_replaces_an_absence<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_absent("tee", LONG).await;
    let outcome = desk.write_one(entry("tee", 5, 0)).await;
    assert_eq!(outcome, CacheWrite::Stored, "any version beats an absence");
    assert_eq!(desk.entry("tee").await, known(5, 0));
    let outcome = desk.write_one(entry("tee", 4, 0)).await;
    assert_eq!(outcome, CacheWrite::NotNewer);
}

pub(super) async fn a_known_sku_does_not_expire_with_its_absence<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_absent("before", SHORT).await;
    desk.write_one(entry("before", 5, 3)).await;
    desk.write_one(entry("after", 6, 4)).await;
    desk.write_absent("after", SHORT).await;
    h.pass_time(PAST_SHORT).await;
    let read = desk.entries(&["before", "after"]).await;
    assert_eq!(read, [known(5, 3), known(6, 4)], "known SKUs stay");
    let outcome = desk.write_one(entry("after", 9, 3)).await;
    assert_eq!(outcome, CacheWrite::NotNewer, "its version stays too");
}

pub(super) async fn an_absence_never_replaces_a_known_sku<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    for (name, available) in [("tee", 5), ("sold-out", 0)] {
        desk.write_one(entry(name, available, 3)).await;
        desk.write_absent(name, LONG).await;
        let read = desk.entry(name).await;
        assert_eq!(read, known(available, 3), "{name} is known");
    }
}
