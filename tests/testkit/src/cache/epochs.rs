//! An epoch that an operator has ended never wins.

use stockade_catalog_core::{CacheEntry, CacheWrite};
use stockade_inventory_core::Version;

use super::CacheHarness;
use super::desk::{Desk, in_epoch};

pub(super) async fn an_older_epoch_is_refused_and_reported<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let cached = Version::new(3, 10);
    desk.write_one(in_epoch("tee", 5, cached)).await;
    for older in [
        Version::new(2, 11),
        Version::new(2, 10),
        Version::new(2, 1),
        Version::new(0, u64::MAX),
    ] {
        let outcome = desk.write_one(in_epoch("tee", 9, older)).await;
        let stored = desk.entry("tee").await;
        let expected = CacheEntry::Known {
            available: 5,
            version: cached,
        };
        assert_eq!(
            stored,
            Some(expected),
            "an older epoch won: {older} over {cached}"
        );
        assert_eq!(
            outcome,
            CacheWrite::OlderEpoch { cached },
            "{older} over {cached}: an older epoch is reported"
        );
    }
    // The same epoch goes on as ever.
    let outcome = desk.write_one(in_epoch("tee", 4, Version::new(3, 9))).await;
    assert_eq!(outcome, CacheWrite::NotNewer);
    let outcome = desk
        .write_one(in_epoch("tee", 4, Version::new(3, 11)))
        .await;
    assert_eq!(outcome, CacheWrite::Stored);
}

pub(super) async fn a_newer_epoch_wins_with_a_lower_number<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    for version in [
        Version::new(0, 1_000),
        Version::new(1, 3),
        Version::new(2, 2),
        Version::new(10, 1),
        Version::new(11, 0),
    ] {
        let outcome = desk.write_one(in_epoch("tee", 5, version)).await;
        assert_eq!(outcome, CacheWrite::Stored, "a newer epoch: {version}");
        let available = 5;
        let expected = CacheEntry::Known { available, version };
        assert_eq!(desk.entry("tee").await, Some(expected));
    }
}
