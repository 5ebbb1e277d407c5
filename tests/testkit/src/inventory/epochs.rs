//! A raised epoch is in every version, page and heartbeat, and is newer than every older epoch.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockade_change_feed::{
    FeedError, Message, Offset, Position, Published, Publisher, Record, Timestamp, Topic,
    TopicPartition,
};
use stockade_inventory_core::workers::OutboxRelay;
use stockade_inventory_core::{StockEvent, Transition, Version, inventory_updates};

use super::EpochHarness;
use super::ledger::{all_movements, all_stock};
use super::outbox::{mark, page, publish_all, unpublished};
use super::shop::{Shop, sku};

const NAMES: [&str; 3] = ["cap", "mug", "tee"];

/// A shop in epoch 0, with all changes published, before the epoch is raised.
async fn open<H: EpochHarness>(h: &H) -> Shop {
    let shop = Shop::open(h, &[("cap", 1), ("mug", 2), ("tee", 5)]).await;
    shop.hold("r", "tee", 1).await;
    publish_all(h.outbox().as_ref()).await;
    shop
}

pub(super) async fn every_level_carries_the_raised_epoch<H: EpochHarness>(h: H) {
    let shop = open(&h).await;
    let before = all_stock(shop.store.as_ref()).await;
    let movements = all_movements(shop.store.as_ref(), &sku("tee")).await;
    h.raise_epoch().await;
    let after = all_stock(shop.store.as_ref()).await;
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        for (before, after) in before.levels().iter().zip(after.levels()) {
            assert_eq!(
                after.version,
                Version::new(before.version.epoch + 1, before.version.number),
                "the version of {} after its epoch was raised",
                before.sku
            );
            assert_eq!(
                (after.counts, after.changed_at),
                (before.counts, before.changed_at),
                "raising the epoch changes no count and no time"
            );
        }
    }
    assert_eq!(
        all_movements(shop.store.as_ref(), &sku("tee")).await,
        movements,
        "raising the epoch changes no movement"
    );
    shop.ledger().await;
}

pub(super) async fn later_changes_carry_the_raised_epoch<H: EpochHarness>(h: H) {
    let shop = open(&h).await;
    let epoch = shop.stock("tee").await.version().epoch + 1;
    h.raise_epoch().await;
    shop.must("r", Transition::Release).await;
    shop.receive("cap", 1).await;
    shop.receive("new", 1).await;
    for of in ["tee", "cap", "new"] {
        let level = shop.stock(of).await.version();
        let movements = all_movements(shop.store.as_ref(), &sku(of)).await;
        let last = movements.last().map(|movement| movement.version);
        assert_eq!(
            (level.epoch, last.map(|version| version.epoch)),
            (epoch, Some(epoch)),
            "the epochs of {of} and of its last movement, after a change in epoch {epoch}"
        );
    }
    shop.ledger().await;
}

pub(super) async fn every_sku_is_published_again_in_the_raised_epoch<H: EpochHarness>(h: H) {
    let shop = open(&h).await;
    let outbox = h.outbox();
    let epoch = page(outbox.as_ref(), None, 10).await.epoch;
    h.raise_epoch().await;
    let page = page(outbox.as_ref(), None, 10).await;
    assert_eq!(
        page.epoch,
        epoch + 1,
        "the outbox's page names the epoch, which was raised from {epoch}"
    );
    let changes = unpublished(outbox.as_ref()).await;
    let names: Vec<&str> = changes.iter().map(|change| change.sku.as_str()).collect();
    assert_eq!(
        names, NAMES,
        "every SKU must be published again after the epoch was raised"
    );
    for change in changes {
        let now = shop.stock(change.sku.as_str()).await;
        assert_eq!(
            (change.version, change.new_stock_count),
            (now.version(), now.available())
        );
        assert_eq!(
            change.version.epoch,
            epoch + 1,
            "published in the raised epoch"
        );
    }
    publish_all(outbox.as_ref()).await;
    let empty = super::outbox::page(outbox.as_ref(), None, 10).await;
    assert_eq!(
        (empty.changes.len(), empty.epoch),
        (0, epoch + 1),
        "an empty page names the epoch as well"
    );
}

pub(super) async fn marks_of_an_older_epoch_change_nothing<H: EpochHarness>(h: H) {
    let shop = open(&h).await;
    let outbox = h.outbox();
    let before = shop.stock("tee").await.version();
    h.raise_epoch().await;
    let older = [
        (sku("tee"), before),
        (
            sku("tee"),
            Version::new(before.epoch, before.number + 1_000),
        ),
    ];
    mark(outbox.as_ref(), &older).await;
    let changes = unpublished(outbox.as_ref()).await;
    assert!(
        changes.iter().any(|change| change.sku == sku("tee")),
        "a relay of epoch {} marked a SKU that is in epoch {} now; the SKU must stay unpublished",
        before.epoch,
        before.epoch + 1
    );
}

pub(super) async fn heartbeats_carry_the_raised_epoch<H: EpochHarness>(h: H) {
    let shop = open(&h).await;
    let epoch = shop.stock("tee").await.version().epoch + 1;
    h.raise_epoch().await;
    let log = Arc::new(Log::default());
    let relay = OutboxRelay::new(h.outbox(), h.store(), log.clone());
    let pass = relay.pass().await;
    pass.unwrap_or_else(|error| panic!("a pass of the relay failed: {error}"));
    let events = log.events();
    let heartbeats: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            StockEvent::Heartbeat(heartbeat) => Some(heartbeat.epoch),
            _ => None,
        })
        .collect();
    assert_eq!(
        heartbeats, [epoch; PARTITIONS as usize],
        "epochs of heartbeats"
    );
    let mut changed: Vec<(String, u32)> = events
        .iter()
        .filter_map(|event| match event {
            StockEvent::Changed(change) => Some((change.sku.to_string(), change.version.epoch)),
            _ => None,
        })
        .collect();
    changed.sort();
    let expected = NAMES.map(|name| (name.to_owned(), epoch));
    assert_eq!(changed, expected, "epochs of events");
}

const PARTITIONS: u32 = 2;

/// Keeps what is published.
#[derive(Default)]
struct Log(Mutex<Vec<Message>>);

impl Log {
    fn events(&self) -> Vec<StockEvent> {
        let messages = self.0.lock().expect("no panic while the lock is held");
        let event = |message: &Message| {
            let record = Record::new(Position {
                partition: TopicPartition::new(inventory_updates(), 0),
                offset: Offset(0),
                timestamp: Timestamp::EPOCH,
            });
            let record = record
                .with_value(message.value.clone())
                .with_headers(message.headers.clone());
            StockEvent::from_record(&record)
        };
        let events = messages.iter().map(event);
        events
            .map(|event| {
                let event = event.unwrap_or_else(|error| panic!("no stock event: {error}"));
                event.expect("the relay publishes no tombstone")
            })
            .collect()
    }
}

#[async_trait]
impl Publisher for Log {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let published = || Published {
            partition: TopicPartition::new(topic.clone(), 0),
            offset: Offset(0),
        };
        let outcomes = messages.iter().map(|_| Ok(published())).collect();
        let mut kept = self.0.lock().expect("no panic while the lock is held");
        kept.extend(messages);
        Ok(outcomes)
    }

    async fn partitions(&self, _: &Topic) -> Result<u32, FeedError> {
        Ok(PARTITIONS)
    }
}

pub(super) async fn a_page_of_the_raised_epoch_has_every_sku<H: EpochHarness>(h: H) {
    const SKUS: usize = 50;
    let shop = Shop::new(h.store());
    for n in 0..SKUS {
        shop.receive(&format!("sku-{n}"), 1).await;
    }
    publish_all(h.outbox().as_ref()).await;
    let outbox = h.outbox();
    let before = page(outbox.as_ref(), None, 2 * SKUS).await.epoch;
    // A task of its own, so that it reads while the epoch is raised.
    let reading = tokio::spawn(async move {
        loop {
            let page = page(outbox.as_ref(), None, 2 * SKUS).await;
            if page.epoch > before {
                return page;
            }
            tokio::task::yield_now().await;
        }
    });
    h.raise_epoch().await;
    let page = reading.await.expect("the outbox can be read");
    assert_eq!(
        page.changes.len(),
        SKUS,
        "SKUs on the first page that names the raised epoch: raising it must be one transaction"
    );
    let epochs = page.changes.iter().map(|change| change.version.epoch);
    assert!(
        epochs.clone().all(|epoch| epoch == before + 1),
        "epochs of the versions on that page: {:?}",
        epochs.collect::<Vec<_>>()
    );
}
