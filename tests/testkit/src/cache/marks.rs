//! How fresh a cache is.

use stockade_catalog_core::{Coverage, MarkWrite, PartitionMark};

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
    let outcomes = desk.mark(&[mark(0, 3, 4), mark(1, 2, 6)]).await;
    assert_eq!(
        outcomes,
        [MarkWrite::NotNewer, MarkWrite::Stored],
        "a mark went backwards"
    );
    let expected = [mark(0, 2, 5), mark(1, 2, 6)];
    assert_eq!(desk.marks().await, expected, "a mark went backwards");
    desk.mark(&expected).await;
    assert_eq!(desk.marks().await, expected);
    desk.mark(&[mark(0, 2, 9), mark(0, 2, 7)]).await;
    assert_eq!(desk.marks().await, [mark(0, 2, 9), mark(1, 2, 6)]);
}

pub(super) async fn a_mark_of_an_older_epoch_is_refused_and_told<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    let in_epoch = |epoch, second| PartitionMark {
        epoch,
        ..mark(0, 1, second)
    };
    desk.mark(&[in_epoch(1, 5)]).await;
    // The clock of the restored server is behind: its marks count all the same.
    let restored = desk.mark(&[in_epoch(2, 1), in_epoch(1, 9)]).await;
    let older = MarkWrite::OlderEpoch { cached: 2 };
    assert_eq!(
        restored,
        [MarkWrite::Stored, older],
        "a mark of an older epoch won, or nobody was told"
    );
    assert_eq!(desk.marks().await, [in_epoch(2, 1)]);
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
