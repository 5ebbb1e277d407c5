//! How fresh a cache is.

use stockade_catalog_core::Coverage;

use super::CacheHarness;
use super::desk::{Desk, entry, mark, sku};

pub(super) async fn marks_are_kept_by_partition<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.mark(&[]).await;
    assert_eq!(desk.marks().await, []);
    let first = [mark(2, 12, 5), mark(0, 12, 3)];
    desk.mark(&first).await;
    desk.mark(&[mark(11, 12, 9), mark(1, 12, 0)]).await;
    desk.mark(&[mark(0, 12, 4)]).await;
    let expected = [(0, 4), (1, 0), (2, 5), (11, 9)].map(|(p, second)| mark(p, 12, second));
    assert_eq!(
        desk.marks().await,
        expected,
        "one partition says nothing of another"
    );
}

pub(super) async fn an_older_mark_changes_nothing<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.mark(&[mark(0, 2, 5), mark(1, 2, 5)]).await;
    desk.mark(&[mark(0, 3, 4), mark(1, 2, 6)]).await;
    let expected = [mark(0, 2, 5), mark(1, 2, 6)];
    assert_eq!(desk.marks().await, expected, "a mark went backwards");
    desk.mark(&expected).await;
    assert_eq!(desk.marks().await, expected);
    desk.mark(&[mark(0, 2, 9), mark(0, 2, 7)]).await;
    assert_eq!(desk.marks().await, [mark(0, 2, 9), mark(1, 2, 6)]);
}

pub(super) async fn a_newer_mark_tells_how_many_partitions_there_are<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.mark(&[mark(0, 2, 1)]).await;
    desk.mark(&[mark(0, 4, 2)]).await;
    assert_eq!(desk.marks().await, [mark(0, 4, 2)], "the topic has grown");
}

pub(super) async fn marks_come_with_every_read<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 3)).await;
    desk.mark(&[mark(0, 1, 1)]).await;
    for skus in [vec![], vec![sku("tee")], vec![sku("nothing"), sku("tee")]] {
        let read = desk.read(&skus).await;
        assert_eq!(read.marks, [mark(0, 1, 1)]);
        assert_eq!(read.coverage, Coverage::Unfilled, "a mark does not fill it");
    }
}

pub(super) async fn a_filled_cache_says_so<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.write_one(entry("tee", 5, 3)).await;
    assert_eq!(desk.coverage().await, Coverage::Unfilled);
    for _ in 0..2 {
        desk.mark_filled().await;
        assert_eq!(desk.coverage().await, Coverage::Filled);
    }
    desk.write_one(entry("tee", 4, 4)).await;
    desk.mark(&[mark(0, 1, 1)]).await;
    let read = desk.read(&[sku("tee")]).await;
    assert_eq!(read.coverage, Coverage::Filled, "it was not emptied since");
}
