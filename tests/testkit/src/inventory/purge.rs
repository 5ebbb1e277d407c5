//! A shop whose old rows are purged.

use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::Retry;
use stockade_inventory_core::{
    InventoryError, Movement, Purged, ReservationId, Rest, StockRetention, Transition,
};

use super::StockRetentionHarness;
use super::ledger::{all_movements, check_purged_ledger};
use super::shop::{PAST_SHORT, Shop, at_most, id, sku};

/// How long cases keep rows.
pub(super) const KEEP: Duration = Duration::from_secs(5);
/// The shortest time on a store's clock.
pub(super) const SHORTEST: Duration = Duration::from_micros(1);
/// A pause after which rows are old enough to be purged.
pub(super) const PAST_KEEP: Duration = Duration::from_millis(5_200);

/// A shop, and the retention of its store.
#[derive(Clone)]
pub(super) struct Purging {
    pub(super) shop: Shop,
    retention: Arc<dyn StockRetention>,
}

impl Purging {
    pub(super) async fn open<H: StockRetentionHarness>(h: &H, stock: &[(&str, u64)]) -> Self {
        Self {
            shop: Shop::open(h, stock).await,
            retention: h.retention(),
        }
    }

    /// Purges all old reservations, and returns how many.
    pub(super) async fn reservations(&self) -> usize {
        all(|| self.reservations_once(9)).await
    }

    /// Replaces all old movements, and returns how many.
    pub(super) async fn movements(&self) -> usize {
        all(|| self.movements_once(9)).await
    }

    /// Purges at most this many reservations, in one call.
    pub(super) async fn reservations_once(&self, limit: usize) -> Purged {
        let purge = || self.retention.purge_reservations(KEEP, at_most(limit));
        within(limit, persistently(purge).await)
    }

    /// Replaces at most this many movements, in one call.
    pub(super) async fn movements_once(&self, limit: usize) -> Purged {
        let purge = || self.retention.purge_movements(KEEP, at_most(limit));
        within(limit, persistently(purge).await)
    }

    /// Purges one reservation: the one that finished first.
    pub(super) async fn one_reservation(&self) {
        one(|| self.reservations_once(1)).await;
    }

    /// Replaces one movement: the oldest of its level.
    pub(super) async fn one_movement(&self) {
        one(|| self.movements_once(1)).await;
    }

    pub(super) async fn movements_of(&self, of: &str) -> Vec<Movement> {
        all_movements(self.shop.store.as_ref(), &sku(of)).await
    }

    pub(super) async fn is_unknown(&self, reservation: &str) -> bool {
        let found = self.shop.store.reservation(&id(reservation)).await;
        matches!(found, Err(InventoryError::UnknownReservation { .. }))
    }

    /// Ends a case: checks the ledger, in which these reservations are known.
    pub(super) async fn ledger(&self, reservations: &[&str]) {
        let ids: Vec<ReservationId> = reservations.iter().map(|name| id(name)).collect();
        check_purged_ledger(self.shop.store.as_ref(), &ids).await;
    }
}

/// Calls until the store says that nothing is left.
pub(super) async fn all<F: Future<Output = Purged>>(purge: impl Fn() -> F) -> usize {
    let mut count = 0;
    for _ in 0..1_000 {
        let purged = purge().await;
        count += purged.count;
        if purged.rest == Rest::None {
            return count;
        }
    }
    panic!("the store says after 1000 calls, which purged {count}, that there is more to purge");
}

/// Calls until one row is purged.
async fn one<F: Future<Output = Purged>>(purge: impl Fn() -> F) {
    for _ in 0..100 {
        let purged = purge().await;
        if purged.count == 1 {
            return;
        }
        assert_eq!(purged.rest, Rest::More, "a row is old, and was not purged");
    }
    panic!("the store says after 100 calls, which purged nothing, that there is more to purge");
}

fn within(limit: usize, purged: Purged) -> Purged {
    assert!(
        purged.count <= limit,
        "a purge of at most {limit} purged {}: the limit is {limit}",
        purged.count
    );
    purged
}

/// Repeats a purge that failed because of other calls.
async fn persistently<F>(purge: impl Fn() -> F) -> Purged
where
    F: Future<Output = Result<Purged, InventoryError>>,
{
    for _ in 0..200 {
        match purge().await {
            Ok(purged) => return purged,
            Err(error) if error.retry() == Retry::Never => panic!("purging failed: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    panic!("a purge failed 200 times");
}

const LIVES: [(&str, &[Transition]); 5] = [
    ("held", &[]),
    ("confirmed", &[Transition::Confirm]),
    ("released", &[Transition::Release]),
    ("cancelled", &[Transition::Confirm, Transition::Cancel]),
    ("fulfilled", &[Transition::Confirm, Transition::Fulfil]),
];

/// A reservation in every state, of one tee each.
pub(super) async fn every_state<H: StockRetentionHarness>(h: &H) -> Purging {
    let purging = Purging::open(h, &[("tee", 9)]).await;
    purging.shop.hold_shortly("expired", "tee", 1).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(purging.shop.sweep(9).await.len(), 1);
    for (reservation, steps) in LIVES {
        purging.shop.hold(reservation, "tee", 1).await;
        for step in steps {
            purging.shop.must(reservation, *step).await;
        }
    }
    purging
}
