//! Entries are stored if they are newer, and are returned unchanged.

use stockade_catalog_core::{CacheEntry, CacheWrite, Coverage};
use stockade_inventory_core::{Sku, Version};

use super::CacheHarness;
use super::desk::{Desk, entry, in_epoch, known, sku};

pub(super) async fn a_fresh_cache_knows_nothing<H: CacheHarness>(h: H) {
    let read = Desk::open(&h).read(&[sku("tee"), sku("cap")]).await;
    assert_eq!(read.entries, [None, None]);
    assert_eq!(read.marks, []);
    assert_eq!(read.coverage, Coverage::Unfilled, "no fill has finished");
}

pub(super) async fn entries_are_read_in_the_requested_order<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let written = desk
        .write(&[entry("tee", 3, 7), entry("cap", 0, 1), entry("mug", 9, 2)])
        .await;
    assert_eq!(written, [CacheWrite::Stored; 3]);
    let read = desk
        .entries(&["mug", "nothing", "tee", "cap", "tee", "nothing"])
        .await;
    let (tee, nothing) = (known(3, 7), None);
    assert_eq!(read, [known(9, 2), nothing, tee, known(0, 1), tee, nothing]);
}

pub(super) async fn a_newer_version_is_stored<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    for (available, number) in [(5, 1), (4, 2), (0, 9), (7, 10), (7, 100)] {
        let outcome = desk.write_one(entry("tee", available, number)).await;
        assert_eq!(outcome, CacheWrite::Stored, "version {number}");
        assert_eq!(desk.entry("tee").await, known(available, number));
    }
}

pub(super) async fn an_older_or_equal_version_is_not_stored<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 10)).await;
    for (available, number) in [(8, 9), (6, 10), (4, 10), (5, 10), (5, 2), (0, 0)] {
        let outcome = desk.write_one(entry("tee", available, number)).await;
        assert_eq!(
            desk.entry("tee").await,
            known(5, 10),
            "an older or equal version was stored: {number} over 10"
        );
        assert_eq!(outcome, CacheWrite::NotNewer, "{number} over 10");
    }
}

pub(super) async fn each_entry_has_its_own_outcome<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write(&[
        entry("older", 1, 5),
        entry("newer", 1, 5),
        in_epoch("epoch", 1, Version::new(2, 5)),
    ])
    .await;
    let outcomes = desk
        .write(&[
            entry("older", 2, 4),
            entry("newer", 2, 6),
            entry("fresh", 2, 1),
            entry("epoch", 2, 6),
        ])
        .await;
    let refused = CacheWrite::OlderEpoch {
        cached: Version::new(2, 5),
    };
    let (stored, not_newer) = (CacheWrite::Stored, CacheWrite::NotNewer);
    assert_eq!(outcomes, [not_newer, stored, stored, refused]);
    let read = desk.entries(&["older", "newer", "fresh"]).await;
    assert_eq!(read, [known(1, 5), known(2, 6), known(2, 1)]);
    assert_eq!(desk.write(&[]).await, []);
}

pub(super) async fn one_call_may_hold_a_sku_twice<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let outcomes = desk
        .write(&[entry("tee", 1, 1), entry("tee", 3, 3), entry("tee", 2, 2)])
        .await;
    assert_eq!(outcomes[1], CacheWrite::Stored, "the newest of them");
    assert_eq!(desk.entry("tee").await, known(3, 3));
}

pub(super) async fn numbers_are_exact<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    // Where numbers are floating point somewhere, neighbours are taken for equal.
    const BIG: u64 = 1 << 53;
    let rising = [
        (BIG - 1, BIG),
        (BIG, BIG + 1),
        (1, u64::MAX - 1),
        (2, u64::MAX),
    ];
    for (available, number) in rising {
        let outcome = desk.write_one(entry("tee", available, number)).await;
        assert_eq!(outcome, CacheWrite::Stored, "version {number}");
        assert_eq!(desk.entry("tee").await, known(available, number));
    }
    let version = Version::new(u32::MAX, 0);
    let outcome = desk.write_one(in_epoch("tee", u64::MAX, version)).await;
    assert_eq!(outcome, CacheWrite::Stored, "a newer epoch");
    let available = u64::MAX;
    let expected = CacheEntry::Known { available, version };
    assert_eq!(desk.entry("tee").await, Some(expected));
}

/// Valid SKUs with characters that are special to databases, key spaces, shells or file systems.
const ODD: [&str; 20] = [
    "it's \"quoted\"",
    "100%",
    "a_b",
    "a:b",
    "a:b:c",
    "a/../b",
    "a\\b",
    "{a}",
    "{a}b",
    "*",
    "?[a-z]",
    "a,b;c|d",
    "two  spaces",
    "0",
    "null",
    "tee",
    "TEE",
    "帽子",
    "🧢",
    "e\u{301} é",
];

pub(super) async fn odd_skus_are_kept_apart<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let longest = ["x", "é", "🧢"].map(|letter| letter.repeat(128 / letter.len()));
    let odd: Vec<&str> = ODD
        .into_iter()
        .chain(longest.iter().map(String::as_str))
        .collect();
    for (number, of) in (1..).zip(&odd) {
        desk.write_one(entry(of, number, number)).await;
    }
    for ((number, of), read) in (1..).zip(&odd).zip(desk.entries(&odd).await) {
        assert_eq!(read, known(number, number), "{of:?}");
    }
}

pub(super) async fn a_thousand_skus_in_one_call<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let name = |number: u64| format!("sku-{number}");
    let entries: Vec<_> = (0..1_000).map(|n| entry(&name(n), n, n + 1)).collect();
    let outcomes = desk.write(&entries).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == CacheWrite::Stored)
    );
    let skus: Vec<Sku> = (0..1_000).rev().map(|n| sku(&name(n))).collect();
    let read = desk.read(&skus).await;
    for (number, read) in (0..1_000).rev().zip(read.entries) {
        assert_eq!(read, known(number, number + 1));
    }
}
