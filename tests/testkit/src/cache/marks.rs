//! The heartbeats of partitions.

use stockade_catalog_core::{Completeness, Coverage, MarkWrite};

use super::CacheHarness;
use super::desk::{Desk, complete, entry, heartbeat, sku};

impl Desk {
    /// Applies heartbeats, and returns their outcomes.
    async fn hear(&self, heartbeats: &[(u32, Completeness)]) -> Vec<MarkWrite> {
        let advances: Vec<_> = heartbeats
            .iter()
            .map(|(partition, complete)| heartbeat(*partition, *complete))
            .collect();
        let outcomes = self.advance(&advances).await.into_iter();
        outcomes
            .map(|advanced| advanced.complete.expect("a heartbeat has an outcome"))
            .collect()
    }
}

pub(super) async fn heartbeats_are_kept_by_partition<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    assert_eq!(desk.complete().await, []);
    desk.begun(12).await;
    assert_eq!(desk.complete().await, []);
    desk.hear(&[(2, complete(12, 5)), (0, complete(12, 3))])
        .await;
    desk.hear(&[(11, complete(12, 9)), (1, complete(12, 0))])
        .await;
    desk.hear(&[(0, complete(12, 4))]).await;
    let expected = [(0, 4), (1, 0), (2, 5), (11, 9)];
    assert_eq!(
        desk.complete().await,
        expected.map(|(partition, second)| (partition, complete(12, second))),
        "a heartbeat of one partition does not affect another"
    );
}

pub(super) async fn an_older_heartbeat_changes_nothing<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(2).await;
    desk.hear(&[(0, complete(2, 5)), (1, complete(2, 5))]).await;
    let outcomes = desk.hear(&[(0, complete(3, 4)), (1, complete(2, 6))]).await;
    assert_eq!(
        outcomes,
        [MarkWrite::NotNewer, MarkWrite::Stored],
        "a mark went backwards"
    );
    let expected = [(0, complete(2, 5)), (1, complete(2, 6))];
    assert_eq!(desk.complete().await, expected, "a mark went backwards");
    let again = desk.hear(&expected).await;
    assert_eq!(again, [MarkWrite::NotNewer; 2]);
    desk.hear(&[(0, complete(2, 9)), (0, complete(2, 7))]).await;
    let expected = [(0, complete(2, 9)), (1, complete(2, 6))];
    assert_eq!(desk.complete().await, expected);
}

pub(super) async fn a_heartbeat_of_an_older_epoch_is_refused_and_reported<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    let in_epoch = |epoch, second| {
        let complete = complete(1, second);
        (0, Completeness { epoch, ..complete })
    };
    desk.hear(&[in_epoch(1, 5)]).await;
    // The clock of the restored server is behind: its heartbeats count all the same.
    let restored = desk.hear(&[in_epoch(2, 1), in_epoch(1, 9)]).await;
    let older = MarkWrite::OlderEpoch { kept: 2 };
    assert_eq!(
        restored,
        [MarkWrite::Stored, older],
        "a heartbeat of an older epoch won, or was not reported"
    );
    assert_eq!(desk.complete().await, [in_epoch(2, 1)]);
}

pub(super) async fn a_newer_heartbeat_says_how_many_partitions_there_are<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    desk.hear(&[(0, complete(2, 1))]).await;
    desk.hear(&[(0, complete(4, 2))]).await;
    let grown = [(0, complete(4, 2))];
    assert_eq!(desk.complete().await, grown, "the topic has grown");
}

pub(super) async fn marks_come_with_every_read<H: CacheHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    desk.write_one(entry("tee", 5, 3)).await;
    desk.hear(&[(0, complete(1, 1))]).await;
    for skus in [vec![], vec![sku("tee")], vec![sku("nothing"), sku("tee")]] {
        let read = desk.read(&skus).await;
        assert_eq!(read.marks.len(), 1);
        assert_eq!(read.marks[0].complete, Some(complete(1, 1)));
        assert_eq!(read.coverage, Coverage::Filled);
    }
}
