//! Live stock: passes stock events to the pages that show their SKUs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use stockade_change_feed::{Batch, Disposition, Handler};
use stockade_inventory_core::{Sku, StockChanged, StockEvent};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// The most pages that watch at once.
const WATCHERS: usize = 1000;

/// Passes each stock event to the pages that watch its SKU.
///
/// For each page it keeps only the newest event of each SKU, until the page takes it. So a page
/// that reads slowly uses little memory, and skips outdated events.
#[derive(Debug)]
pub struct LiveStock {
    places: Arc<Semaphore>,
    waiting: Mutex<HashMap<Sku, Vec<Weak<Mailbox>>>>,
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Mailbox {
    newest: Mutex<BTreeMap<Sku, StockChanged>>,
    changed: Notify,
}

/// A page that watches, until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    live: Arc<LiveStock>,
    skus: BTreeSet<Sku>,
    mailbox: Arc<Mailbox>,
    ended: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

impl LiveStock {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(WATCHERS)),
            waiting: Mutex::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// Watches these SKUs from now on; none if 1000 pages watch already.
    #[must_use]
    pub fn watch(self: &Arc<Self>, skus: BTreeSet<Sku>) -> Option<Watcher> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let mailbox = Arc::new(Mailbox::default());
        let mut waiting = locked(&self.waiting);
        for sku in &skus {
            let watchers = waiting.entry(sku.clone()).or_default();
            watchers.push(Arc::downgrade(&mailbox));
        }
        drop(waiting);
        Some(Watcher {
            live: self.clone(),
            skus,
            mailbox,
            ended: self.ended.subscribe(),
            _place: place,
        })
    }

    /// Ends all watchers, so that the shop can stop.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    fn announce(&self, event: &StockChanged) {
        let waiting = locked(&self.waiting);
        let watchers = waiting.get(&event.sku).into_iter().flatten();
        for mailbox in watchers.filter_map(Weak::upgrade) {
            mailbox.put(event);
        }
    }
}

impl Mailbox {
    fn put(&self, event: &StockChanged) {
        let mut newest = locked(&self.newest);
        let known = newest.get(&event.sku);
        if known.is_none_or(|known| known.version < event.version) {
            newest.insert(event.sku.clone(), event.clone());
            self.changed.notify_one();
        }
    }

    fn take(&self) -> BTreeMap<Sku, StockChanged> {
        std::mem::take(&mut locked(&self.newest))
    }
}

impl Watcher {
    /// The SKUs that it watches.
    #[must_use]
    pub fn skus(&self) -> &BTreeSet<Sku> {
        &self.skus
    }

    /// Waits until a SKU has changed, and returns the newest event of each SKU that has; none once
    /// live stock has [ended](LiveStock::end). Cancel-safe.
    pub async fn changes(&mut self) -> Option<Vec<StockChanged>> {
        loop {
            let newest = self.mailbox.take();
            if !newest.is_empty() {
                return Some(newest.into_values().collect());
            }
            tokio::select! {
                () = self.mailbox.changed.notified() => {}
                _ = self.ended.wait_for(|ended| *ended) => return None,
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut waiting = locked(&self.live.waiting);
        for sku in &self.skus {
            if let Some(watchers) = waiting.get_mut(sku) {
                watchers.retain(|one| !std::ptr::eq(one.as_ptr(), Arc::as_ptr(&self.mailbox)));
                if watchers.is_empty() {
                    waiting.remove(sku);
                }
            }
        }
    }
}

#[async_trait]
impl Handler for LiveStock {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let records = batch.records;
        let handle = |record| match StockEvent::from_record(record) {
            Ok(Some(StockEvent::Changed(event))) => {
                self.announce(&event);
                Disposition::Done
            }
            Ok(_) => Disposition::Done,
            Err(error) => Disposition::DeadLetter {
                reason: error.to_string(),
            },
        };
        records.iter().map(handle).collect()
    }
}

/// Nothing panics while it holds a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use stockade_change_feed::Timestamp;
    use stockade_inventory_core::Version;

    use super::*;

    fn sku(name: &str) -> Sku {
        Sku::new(name).unwrap()
    }

    fn event(name: &str, number: u64) -> StockChanged {
        StockChanged::new(sku(name), number, Version::new(0, number), Timestamp::EPOCH)
    }

    #[tokio::test]
    async fn a_slow_watcher_holds_the_newest_of_each_sku_and_no_more() {
        let live = Arc::new(LiveStock::new());
        let mut watcher = live.watch(BTreeSet::from([sku("a"), sku("b")])).unwrap();
        for number in (0..10_000).chain(0..5) {
            live.announce(&event("a", number));
            live.announce(&event("other", number));
        }
        live.announce(&event("b", 3));
        assert_eq!(locked(&watcher.mailbox.newest).len(), 2);
        let changes = watcher.changes().await.unwrap();
        assert_eq!(changes, [event("a", 9_999), event("b", 3)]);
    }

    #[tokio::test]
    async fn a_watcher_that_goes_leaves_nothing_and_gives_its_place_back() {
        let live = Arc::new(LiveStock::new());
        let one = || live.watch(BTreeSet::from([sku("a")]));
        let watchers: Vec<_> = (0..WATCHERS).map_while(|_| one()).collect();
        assert_eq!(watchers.len(), WATCHERS);
        assert!(one().is_none());
        drop(watchers);
        assert!(locked(&live.waiting).is_empty());
        assert!(one().is_some());
    }

    #[tokio::test]
    async fn the_end_is_told_to_those_who_wait_and_to_those_who_come_later() {
        let live = Arc::new(LiveStock::new());
        let mut before = live.watch(BTreeSet::from([sku("a")])).unwrap();
        live.end();
        assert_eq!(before.changes().await, None);
        let mut after = live.watch(BTreeSet::from([sku("a")])).unwrap();
        assert_eq!(after.changes().await, None);
    }
}
