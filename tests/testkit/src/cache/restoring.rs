//! A cache that falls back to an earlier state is not trusted as complete.

use std::sync::Arc;
use std::time::Duration;

use stockade_catalog_core::{
    Availability, AvailabilityRefill, AvailabilityWorker, CacheEntry, CircuitState, Coverage,
    FillToken, Origin, Stock,
};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{
    Batch, Beginning, Disposition, Feed, Group, Handler, ManualClock, PollLimits, ReadFrom,
    SubscribeOptions, Subscription, Timestamp,
};
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::workers::OutboxRelay;
use stockade_inventory_core::{
    Adjustment, InventoryStore, OperationId, Quantity, Reason, StockChange, inventory_updates,
};

use super::RestoringHarness;
use super::desk::{CONTINUOUS, Desk, entry, following, gap, known, sku};

pub(super) async fn a_cache_restored_to_an_old_state_notices_lost_records<H: RestoringHarness>(
    h: H,
) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    desk.apply(&[entry("tee", 9, 1)], &[following(0, 0, 1)])
        .await;
    let aged = h.save().await;
    for number in 2..50 {
        let next = following(0, (number - 1).into(), number.into());
        desk.apply(&[entry("tee", 9, number)], &[next]).await;
    }
    h.restore(aged).await;
    assert_eq!(desk.entry("tee").await, known(9, 1), "it fell back");
    let advanced = desk.advance(&[following(0, 49, 50)]).await;
    assert_eq!(advanced, [gap(Some(1))], "49 records are lost");
    assert_eq!(
        desk.coverage().await,
        Coverage::Unfilled,
        "a cache that misses records says that it is filled"
    );
}

pub(super) async fn a_cache_without_its_last_record_notices_the_loss<H: RestoringHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(2).await;
    desk.apply(&[entry("tee", 9, 1)], &[following(0, 0, 1)])
        .await;
    let shortened = h.save().await;
    desk.apply(&[entry("tee", 8, 2)], &[following(0, 1, 2)])
        .await;
    h.restore(shortened).await;
    let other = desk.advance(&[following(1, 0, 1)]).await;
    assert_eq!(
        other,
        [CONTINUOUS],
        "the other partition has lost no records"
    );
    let advanced = desk.advance(&[following(0, 2, 3)]).await;
    assert_eq!(advanced, [gap(Some(1))], "the last record is lost");
    assert_eq!(
        desk.coverage().await,
        Coverage::Unfilled,
        "a cache that misses records says that it is filled"
    );
}

pub(super) async fn a_fill_that_lost_a_page_does_not_count<H: RestoringHarness>(h: H) {
    let desk = Desk::open(&h);
    let first = desk.begin_fill().await;
    let second = desk.page(&first, &[entry("tee", 9, 1)]).await;
    let shortened = h.save().await;
    let third = desk.page(&second, &[entry("cap", 9, 1)]).await;
    h.restore(shortened).await;
    assert_eq!(
        desk.end_fill(&third).await,
        Coverage::Unfilled,
        "a fill with a lost page counted"
    );
    assert_eq!(desk.fill(&third, &[]).await.next, None);
}

pub(super) async fn a_fill_id_is_not_reused<H: RestoringHarness>(h: H) {
    let desk = Desk::open(&h);
    let before = h.save().await;
    let lost = desk.begin_fill().await;
    let lost_next = desk.page(&lost, &[entry("tee", 9, 1)]).await;
    h.restore(before).await;
    let other = desk.begin_fill().await;
    desk.page(&other, &[]).await;
    for token in [&lost, &lost_next] {
        let ended = desk.end_fill(token).await;
        let next = desk.fill(token, &[]).await.next;
        assert_eq!(
            (ended, next),
            (Coverage::Unfilled, None),
            "the token of a lost fill is accepted for a later fill"
        );
    }
}

pub(super) async fn no_copy_has_an_advance_without_its_entries<H: RestoringHarness>(h: H) {
    let desk = Desk::open(&h);
    desk.begun(1).await;
    let writer = desk.clone();
    let writing = tokio::spawn(async move {
        for number in 1.. {
            let next = following(0, u128::from(number) - 1, number.into());
            let entries = ["first", "second"].map(|name| entry(name, number, number));
            writer.apply(&entries, &[next]).await;
            tokio::task::yield_now().await;
        }
    });
    let mut copies = Vec::new();
    for _ in 0..20 {
        copies.push(h.save().await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    writing.abort();
    let _ = writing.await;
    for copy in copies {
        h.restore(copy).await;
        let read = desk.read(&[sku("first"), sku("second")]).await;
        let upto = read.marks[0].upto.0;
        for entry in read.entries {
            assert!(
                version_of(entry) >= upto,
                "a copy has advanced to {upto} without the entries up to there: {entry:?}"
            );
        }
    }
}

pub(super) async fn no_copy_has_a_page_counted_without_its_entries<H: RestoringHarness>(h: H) {
    let desk = Desk::open(&h);
    let first = desk.begin_fill().await;
    let (writer, mut token) = (desk.clone(), first.clone());
    let writing = tokio::spawn(async move {
        for number in 1..=40 {
            token = writer.page(&token, &[entry("tee", 1, number)]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        token.step
    });
    let mut copies = Vec::new();
    while !writing.is_finished() {
        copies.push(h.save().await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let pages = writing.await.expect("all pages are written");
    for copy in copies {
        h.restore(copy).await;
        let written = version_of(desk.entry("tee").await);
        // Only the token of the last page ends a fill, so it tells how many pages were counted.
        for step in (0..=pages).filter(|&step| u128::from(step) > written) {
            let id = first.id.clone();
            let coverage = desk.end_fill(&FillToken { id, step }).await;
            assert_eq!(
                coverage,
                Coverage::Unfilled,
                "a copy has counted {step} pages, and has the entries of {written}"
            );
        }
    }
}

fn version_of(entry: Option<CacheEntry>) -> u128 {
    match entry {
        Some(CacheEntry::Known { version, .. }) => version.number.into(),
        Some(CacheEntry::Absent) | None => 0,
    }
}

/// A shop in memory with the tested cache.
struct Shop {
    clock: Arc<ManualClock>,
    inventory: Arc<MemoryInventory>,
    relay: OutboxRelay,
    desk: Desk,
    worker: AvailabilityWorker,
    reader: Box<dyn Subscription>,
    pages: Availability,
}

impl Shop {
    async fn open<H: RestoringHarness>(h: &H) -> Self {
        let desk = Desk::open(h);
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_764_000_000_000)));
        let inventory = Arc::new(MemoryInventory::new(clock.clone()));
        let feed = Arc::new(MemoryFeed::new(clock.clone()).with_partitions(2));
        let group = Group::new("availability").expect("a valid name");
        let (topics, options) = ([inventory_updates()], SubscribeOptions::default());
        let reader = feed.subscribe(&group, &topics, options).await;
        Self {
            relay: OutboxRelay::new(inventory.clone(), inventory.clone(), feed)
                .with_clock(clock.clone()),
            worker: AvailabilityWorker::new(desk.cache()).with_clock(clock.clone()),
            reader: reader.unwrap_or_else(|error| panic!("subscribing failed: {error}")),
            pages: Availability::new(desk.cache(), inventory.clone()).with_clock(clock.clone()),
            desk,
            inventory,
            clock,
        }
    }

    /// Receives this many units of a SKU.
    async fn receive(&mut self, name: &str, units: u64) {
        let quantity = Quantity::new(units).expect("a quantity");
        let operation = OperationId::new(format!("{name}-{units}")).expect("a valid id");
        let adjustment = Adjustment::new(
            operation,
            sku(name),
            StockChange::Receive(quantity),
            Reason::new("delivery").expect("a reason"),
        );
        let outcomes = self.inventory.adjust(&[adjustment]).await;
        let outcomes = outcomes.unwrap_or_else(|error| panic!("receiving failed: {error}"));
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }

    /// Publishes the changes with a heartbeat, and applies all of it to the cache.
    async fn follow(&mut self) {
        let passed = self.relay.pass().await;
        passed.unwrap_or_else(|error| panic!("publishing failed: {error}"));
        loop {
            let limits = PollLimits {
                wait: Duration::ZERO,
                ..PollLimits::default()
            };
            let polled = self.reader.poll(&limits).await;
            let polled = polled.unwrap_or_else(|error| panic!("polling failed: {error}"));
            let begun = polled.gained.into_iter().map(|gained| Beginning {
                partition: gained.partition,
                from: gained.committed.map_or(ReadFrom::Start, ReadFrom::After),
            });
            let begun: Vec<Beginning> = begun.collect();
            if polled.records.is_empty() && begun.is_empty() {
                return;
            }
            let batch = Batch::of(&polled.records).with_beginnings(&begun);
            let ended = self.worker.handle(batch).await;
            let done = |ended: &Disposition| *ended == Disposition::Done;
            assert!(ended.iter().all(done), "{ended:?}");
        }
    }

    async fn refill(&mut self) {
        let refill = AvailabilityRefill::new(self.desk.cache(), self.inventory.clone());
        let filled = async {
            while self.desk.coverage().await != Coverage::Filled {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        refill.run(filled).await;
    }

    /// Lets time pass and reads pages, until they trust the cache.
    async fn until_trusted(&mut self) {
        for _ in 0..10 {
            self.clock.advance(Duration::from_secs(1));
            self.follow().await;
            if self.pages.of(&[]).await.circuit == CircuitState::Closed {
                return;
            }
        }
        panic!("the cache is filled and fresh, but no page trusts it");
    }

    /// The stock that a page shows, and where it is from.
    async fn shown(&mut self, name: &str) -> (Stock, Origin, Option<Duration>) {
        let page = self.pages.of(&[sku(name)]).await;
        (page.items[0].stock, page.items[0].origin, page.items[0].age)
    }
}

pub(super) async fn no_page_shows_old_stock_as_fresh<H: RestoringHarness>(h: H) {
    let mut shop = Shop::open(&h).await;
    shop.receive("lamp", 5).await;
    shop.follow().await;
    shop.refill().await;
    shop.until_trusted().await;
    let shown = shop.shown("lamp").await;
    assert_eq!((shown.0, shown.1), (Stock::Available(5), Origin::Cache));

    let aged = h.save().await;
    shop.receive("lamp", 2).await;
    shop.follow().await;
    let shown = shop.shown("lamp").await;
    assert_eq!((shown.0, shown.1), (Stock::Available(7), Origin::Cache));

    // The lamps that came in are lost, and what follows is not.
    h.restore(aged).await;
    let waited = Duration::from_secs(20);
    shop.clock.advance(waited);
    let (stock, origin, age) = shop.shown("lamp").await;
    if (stock, origin) == (Stock::Available(5), Origin::Cache) {
        assert!(age >= Some(waited), "old stock is shown as fresh: {age:?}");
    }
    for tees in 1..=5 {
        shop.receive("tee", tees).await;
        shop.follow().await;
        let (stock, origin, _) = shop.shown("lamp").await;
        assert_eq!(
            (stock, origin),
            (Stock::Available(7), Origin::Inventory),
            "old stock is shown as fresh"
        );
        shop.clock.advance(Duration::from_secs(1));
    }

    shop.refill().await;
    shop.until_trusted().await;
    let shown = shop.shown("lamp").await;
    assert_eq!((shown.0, shown.1), (Stock::Available(7), Origin::Cache));
}
