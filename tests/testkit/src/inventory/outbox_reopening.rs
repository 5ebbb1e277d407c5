//! The outbox survives a close of its store.

use super::outbox::{page, publish_all, unpublished};
use super::shop::{Shop, adjustment, receive, sku};
use super::{EpochHarness, OutboxHarness};
use crate::Reopen;

pub(super) async fn unpublished_skus_survive<H: OutboxHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("mug", 2), ("tee", 5)]).await;
    shop.hold("r", "tee", 1).await;
    let before = unpublished(h.outbox().as_ref()).await;
    assert_eq!(before.len(), 3);
    drop(shop);
    let h = h.reopen().await;
    assert_eq!(
        unpublished(h.outbox().as_ref()).await,
        before,
        "the outbox after it was opened again"
    );
}

pub(super) async fn marks_survive<H: OutboxHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("tee", 5)]).await;
    publish_all(h.outbox().as_ref()).await;
    shop.hold("r", "tee", 1).await;
    drop(shop);
    let h = h.reopen().await;
    let changes = unpublished(h.outbox().as_ref()).await;
    let names: Vec<&str> = changes.iter().map(|change| change.sku.as_str()).collect();
    assert_eq!(
        names,
        ["tee"],
        "of two SKUs that were marked, one has changed since"
    );
    publish_all(h.outbox().as_ref()).await;
    let shop = Shop::new(h.store());
    let received = shop.adjust(&adjustment("after", "cap", receive(1))).await;
    assert!(received.is_ok(), "{received:?}");
    assert_eq!(unpublished(h.outbox().as_ref()).await.len(), 1);
}

pub(super) async fn the_raised_epoch_survives<H: EpochHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let epoch = shop.stock("tee").await.version().epoch + 1;
    h.raise_epoch().await;
    drop(shop);
    let h = h.reopen().await;
    let shop = Shop::new(h.store());
    let received = shop.adjust(&adjustment("after", "cap", receive(1))).await;
    assert!(received.is_ok(), "{received:?}");
    for of in ["tee", "cap"] {
        assert_eq!(
            shop.stock(of).await.version().epoch,
            epoch,
            "the epoch of {of} after the store was opened again"
        );
    }
    let page = page(h.outbox().as_ref(), None, 10).await;
    assert_eq!(page.epoch, epoch, "the epoch of the outbox");
    assert!(page.changes.iter().any(|change| change.sku == sku("tee")));
    shop.ledger().await;
}
