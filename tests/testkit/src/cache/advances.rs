//! A cache notices missing records.

use stockade_catalog_core::{Advance, CacheWrite, Continuity, Coverage};
use stockade_change_feed::{Offset, ReadFrom};

use super::CacheHarness;
use super::desk::{CONTINUOUS, Desk, complete, entry, following, gap, known, start};

pub(super) async fn continuous_records_keep_the_cache_filled<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(2).await;
    for (after, upto, reached) in [(0, 5, 5), (5, 9, 9), (5, 7, 9), (9, 9, 9), (2, 12, 12)] {
        let advanced = desk.advance(&[following(0, after, upto)]).await;
        assert_eq!(advanced, [CONTINUOUS], "after {after}");
        let expected = [(0, reached), (1, 0)];
        assert_eq!(desk.upto().await, expected, "an advance went backwards");
    }
    assert_eq!(desk.coverage().await, Coverage::Filled);
}

pub(super) async fn records_that_are_not_continuous_are_a_gap<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(2).await;
    desk.advance(&[following(0, 0, 5)]).await;
    let advanced = desk
        .advance(&[following(0, 6, 8), following(1, 0, 1)])
        .await;
    assert_eq!(
        advanced,
        [gap(Some(5)), CONTINUOUS],
        "record 6 was never applied, and no gap was noticed"
    );
    assert_eq!(
        desk.coverage().await,
        Coverage::Unfilled,
        "a cache that misses records says that it is filled"
    );
    assert_eq!(
        desk.upto().await,
        [(0, 8), (1, 1)],
        "it continues from here"
    );
    assert_eq!(desk.advance(&[following(0, 8, 9)]).await, [CONTINUOUS]);
    assert_eq!(desk.coverage().await, Coverage::Unfilled, "not yet");
    desk.filled().await;
    assert_eq!(desk.coverage().await, Coverage::Filled);
}

pub(super) async fn a_partition_that_begins_is_a_gap<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    let first = desk.advance(&[following(1, 3, 4)]).await;
    assert_eq!(first, [gap(None)], "the cache has no mark of the partition");
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
    for from in [ReadFrom::Start, ReadFrom::Elsewhere] {
        desk.filled().await;
        // A topic that was created again counts from 0.
        let again = desk.advance(&[Advance::empty(1, from, Offset(2))]).await;
        assert_eq!(again, [gap(Some(4))], "{from:?}");
        assert_eq!(desk.coverage().await, Coverage::Unfilled, "{from:?}");
        assert_eq!(desk.upto().await, [(0, 0), (1, 2)], "{from:?}");
        assert_eq!(desk.advance(&[following(1, 2, 4)]).await, [CONTINUOUS]);
    }
}

pub(super) async fn entries_are_stored_with_their_advance<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    desk.write_one(entry("newer", 1, 5)).await;
    let entries = [entry("tee", 3, 7), entry("newer", 2, 4)];
    let applied = desk.apply(&entries, &[following(0, 0, 2)]).await;
    let expected = [CacheWrite::Stored, CacheWrite::NotNewer];
    assert_eq!(applied.entries, expected, "each entry has its own outcome");
    assert_eq!(
        desk.entries(&["tee", "newer"]).await,
        [known(3, 7), known(1, 5)]
    );
    desk.apply(&[entry("tee", 2, 8)], &[following(0, 4, 5)])
        .await;
    assert_eq!(desk.entry("tee").await, known(2, 8), "also at a gap");
    assert_eq!(desk.apply(&[], &[]).await.entries, []);
}

pub(super) async fn heartbeats_count_at_a_gap<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    let mut advance = following(0, 3, 4);
    advance.complete = Some(complete(1, 7));
    desk.advance(&[advance]).await;
    assert_eq!(desk.complete().await, [(0, complete(1, 7))]);
    advance = following(0, 4, 5);
    desk.advance(&[advance]).await;
    let kept = desk.complete().await;
    assert_eq!(kept, [(0, complete(1, 7))], "none came since");
}

pub(super) async fn offsets_are_exact<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.advance(&[start(0, 9)]).await;
    // Neither floating point nor 64 bits nor text that is not padded keeps these in order.
    let rising = [
        10,
        100,
        (1 << 53) + 1,
        u128::from(u64::MAX) + 1,
        u128::MAX - 1,
    ];
    let mut reached = 9;
    for upto in rising {
        assert_eq!(
            desk.advance(&[following(0, reached, upto)]).await,
            [CONTINUOUS]
        );
        assert_eq!(desk.upto().await, [(0, upto)]);
        let beyond = desk.advance(&[following(0, upto + 1, upto + 1)]).await;
        assert_eq!(
            beyond,
            [gap(Some(upto))],
            "{upto} and the next offset are different"
        );
        reached = upto + 1;
    }
}

pub(super) async fn one_call_may_hold_many_partitions<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(100).await;
    let advances: Vec<Advance> = (0..100)
        .rev()
        .map(|n| following(n, 0, u128::from(n)))
        .collect();
    let advanced = desk.advance(&advances).await;
    let all = |of: Continuity| advanced.iter().all(|advanced| advanced.continuity == of);
    assert!(all(Continuity::Continuous), "{advanced:?}");
    let expected: Vec<_> = (0..100).map(|n| (n, u128::from(n))).collect();
    assert_eq!(desk.upto().await, expected);
    let twice = [following(0, 0, 1), following(0, 1, 2)];
    assert_eq!(
        desk.advance(&twice).await,
        [CONTINUOUS; 2],
        "in their order"
    );
}
