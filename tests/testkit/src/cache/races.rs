//! Concurrent writers, and nothing goes backwards.

use std::collections::HashSet;
use std::pin::Pin;

use stockade_catalog_core::{CacheEntry, CacheWrite, Completeness, Coverage};
use stockade_inventory_core::Version;

use super::CacheHarness;
use super::desk::{Desk, LONG, complete, entry, following, in_epoch, known};
use crate::together;

const WRITERS: u64 = 16;
const ROUNDS: u64 = 12;

/// Numbers from 1 on, each once, in a mixed order.
fn jumbled(writer: u64) -> impl Iterator<Item = u64> {
    (0..ROUNDS).map(move |round| 1 + ((round * 7 + writer) % ROUNDS) * WRITERS + writer)
}

fn version(read: Option<CacheEntry>) -> Option<Version> {
    match read {
        Some(CacheEntry::Known { version, .. }) => Some(version),
        Some(CacheEntry::Absent) | None => None,
    }
}

/// Runs writers that write versions of one SKU, while a reader reads.
async fn race(desk: &Desk, versions: impl Fn(u64) -> Vec<Version>) {
    let looker = desk.clone();
    let looking = tokio::spawn(async move {
        let mut last = None;
        loop {
            let read = version(looker.entry("tee").await);
            assert!(
                read >= last,
                "an older version was stored: {last:?} was read, and then {read:?}"
            );
            last = read;
            tokio::task::yield_now().await;
        }
    });
    together((0..WRITERS).map(|writer| {
        let (desk, versions) = (desk.clone(), versions(writer));
        async move {
            for version in versions {
                desk.write_one(in_epoch("tee", version.number, version))
                    .await;
                let read = self::version(desk.entry("tee").await);
                assert!(
                    read >= Some(version),
                    "an older version was stored: {version} was written, and {read:?} read"
                );
                tokio::task::yield_now().await;
            }
        }
    }))
    .await;
    looking.abort();
    if let Err(ended) = looking.await
        && let Ok(panic) = ended.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

pub(super) async fn concurrent_writers_never_go_backwards<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let versions = |writer| jumbled(writer).map(|n| Version::new(0, n)).collect();
    race(&desk, versions).await;
    let newest = WRITERS * ROUNDS;
    assert_eq!(desk.entry("tee").await, known(newest, newest));
}

pub(super) async fn concurrent_epochs_never_go_backwards<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    // The higher the epoch, the lower the number.
    let of = |number: u64| Version::new(u32::try_from(number % 5).unwrap_or(0), 1_000 - number);
    let versions = |writer| jumbled(writer).map(of).collect();
    race(&desk, versions).await;
    let newest = (1..=WRITERS * ROUNDS).map(of).max();
    assert_eq!(version(desk.entry("tee").await), newest);
}

pub(super) async fn one_of_many_writers_of_a_version_stores_it<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    for number in 1..=10 {
        let outcomes = together((0..WRITERS).map(|_| {
            let desk = desk.clone();
            async move { desk.write_one(entry("tee", number, number)).await }
        }))
        .await;
        let stored = outcomes.iter().filter(|o| **o == CacheWrite::Stored);
        assert_eq!(
            stored.count(),
            1,
            "a write is compared and stored in one step: {outcomes:?}"
        );
    }
}

pub(super) async fn a_known_sku_survives_racing_absences<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    for round in 0..20 {
        let name = format!("tee-{round}");
        together((0..8).map(|writer| {
            let (desk, name) = (desk.clone(), name.clone());
            async move {
                if writer == 4 {
                    desk.write_one(entry(&name, 5, 1)).await;
                } else {
                    desk.write_absent(&name, LONG).await;
                }
            }
        }))
        .await;
        let read = desk.entry(&name).await;
        assert_eq!(read, known(5, 1), "an absence replaced a known SKU");
    }
}

pub(super) async fn concurrent_marks_never_go_backwards<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    together((0..WRITERS).map(|writer| {
        let desk = desk.clone();
        async move {
            for number in jumbled(writer) {
                let second = i64::try_from(number).unwrap_or(0);
                let mut advance = following(0, 0, number.into());
                advance.complete = Some(complete(1, second));
                desk.advance(&[advance]).await;
                let read = desk.read(&[]).await.marks[0];
                assert!(
                    read.upto >= advance.upto && is_at_least(read.complete, advance.complete),
                    "a mark went backwards: {advance:?} was applied, and {read:?} read"
                );
                tokio::task::yield_now().await;
            }
        }
    }))
    .await;
    let newest = i64::try_from(WRITERS * ROUNDS).unwrap_or(0);
    assert_eq!(desk.complete().await, [(0, complete(1, newest))]);
    assert_eq!(desk.upto().await, [(0, (WRITERS * ROUNDS).into())]);
    assert_eq!(desk.coverage().await, Coverage::Filled);
}

fn is_at_least(read: Option<Completeness>, written: Option<Completeness>) -> bool {
    let time = |of: Option<Completeness>| of.map(|of| of.complete_as_of);
    time(read) >= time(written)
}

pub(super) async fn a_fill_that_races_a_gap_does_not_count<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    for round in 0..30 {
        desk.begun(1).await;
        let token = desk.begin_fill().await;
        let (ending, advancing) = (desk.clone(), desk.clone());
        let race: [Pin<Box<dyn Future<Output = ()> + Send>>; 2] = [
            Box::pin(async move {
                ending.end_fill(&token).await;
            }),
            Box::pin(async move {
                advancing.advance(&[following(0, 7, 8)]).await;
            }),
        ];
        together(race).await;
        assert_eq!(
            desk.coverage().await,
            Coverage::Unfilled,
            "a fill that began before the gap counted, in round {round}"
        );
    }
}

pub(super) async fn every_fill_has_its_own_id<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let tokens = together((0..WRITERS).map(|_| {
        let desk = desk.clone();
        async move { desk.begin_fill().await }
    }))
    .await;
    let ids: HashSet<&str> = tokens.iter().map(|token| token.id.as_str()).collect();
    assert_eq!(ids.len(), tokens.len(), "two fills have one id: {tokens:?}");
}
