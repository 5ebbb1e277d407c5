//! Helpers for the cases of inventory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    ActingFor, Adjusted, Adjustment, Effect, Expiry, ExtendRequest, InventoryError, InventoryStore,
    Line, Lines, LocationId, OperationId, OwnerId, Quantity, Reason, Reservation, ReservationId,
    ReservationState, ReserveRequest, Reserved, Sku, SkuStock, StockChange, Transition,
    TransitionRequest, Transitioned, Ttl,
};

use super::InventoryHarness;
use super::ledger::check_ledger;
use super::persistent::Persistent;

/// The time to live of reservations that a case lets expire.
pub(super) const SHORT: Duration = Duration::from_secs(1);
/// A pause after which they are overdue.
pub(super) const PAST_SHORT: Duration = Duration::from_millis(1_200);

pub(super) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("cases use valid SKUs")
}

pub(super) fn id(text: &str) -> ReservationId {
    ReservationId::new(text).expect("cases use valid ids")
}

pub(super) fn operation(text: &str) -> OperationId {
    OperationId::new(text).expect("cases use valid ids")
}

pub(super) fn owner(text: &str) -> OwnerId {
    OwnerId::new(text).expect("cases use valid owners")
}

pub(super) fn place(text: &str) -> LocationId {
    LocationId::new(text).expect("cases use valid locations")
}

pub(super) fn reason(text: &str) -> Reason {
    Reason::new(text).expect("cases use valid reasons")
}

pub(super) fn units(units: u64) -> Quantity {
    Quantity::new(units).expect("cases move valid quantities")
}

/// A limit of a call.
pub(super) fn at_most(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).expect("cases use limits above 0")
}

pub(super) fn short_lived() -> Ttl {
    Ttl::new(SHORT).expect("a second is the shortest time to live")
}

pub(super) fn line(of: &str, quantity: u64) -> Line {
    Line::new(sku(of), units(quantity))
}

/// A request of Ann's for these lines.
pub(super) fn wants(reservation: &str, lines: impl IntoIterator<Item = Line>) -> ReserveRequest {
    let lines = Lines::new(lines).expect("cases ask for valid lines");
    ReserveRequest::new(id(reservation), owner("ann"), lines)
}

/// A request of Ann's for units of one SKU.
pub(super) fn want(reservation: &str, of: &str, quantity: u64) -> ReserveRequest {
    wants(reservation, [line(of, quantity)])
}

/// An adjustment at the default location.
pub(super) fn adjustment(named: &str, of: &str, change: StockChange) -> Adjustment {
    Adjustment::new(operation(named), sku(of), change, reason("counted"))
}

pub(super) fn receive(quantity: u64) -> StockChange {
    StockChange::Receive(units(quantity))
}

/// The only outcome of a call with one request.
pub(super) fn only<T>(mut outcomes: Vec<T>) -> T {
    assert_eq!(outcomes.len(), 1, "one request has one outcome");
    outcomes.remove(0)
}

pub(super) type Outcomes<T> = Vec<Result<T, InventoryError>>;

fn one_for_each<I, T>(items: &[I], answer: Result<Outcomes<T>, InventoryError>) -> Outcomes<T> {
    let outcomes = answer.unwrap_or_else(|error| panic!("a call failed as a whole: {error}"));
    assert_eq!(outcomes.len(), items.len(), "each item has an outcome");
    outcomes
}

/// A store, and short calls of it.
#[derive(Clone)]
pub(super) struct Shop {
    pub(super) store: Arc<dyn InventoryStore>,
    operations: Arc<AtomicU64>,
}

impl Shop {
    /// Calls are repeated where their errors allow it.
    pub(super) fn new(store: Arc<dyn InventoryStore>) -> Self {
        let store = Arc::new(Persistent(store));
        Self {
            store,
            operations: Arc::default(),
        }
    }

    /// The shop of a harness, with this stock at the default location.
    pub(super) async fn open(harness: &impl InventoryHarness, stock: &[(&str, u64)]) -> Self {
        let shop = Self::new(harness.store());
        for (of, quantity) in stock {
            shop.receive(of, *quantity).await;
        }
        shop
    }

    /// Receives units at the default location under an operation id of their own.
    pub(super) async fn receive(&self, of: &str, quantity: u64) -> Adjusted {
        self.receive_at(of, &LocationId::default(), quantity).await
    }

    pub(super) async fn receive_at(
        &self,
        of: &str,
        location: &LocationId,
        quantity: u64,
    ) -> Adjusted {
        let number = self.operations.fetch_add(1, Ordering::Relaxed);
        let adjustment = adjustment(&format!("receive-{number}"), of, receive(quantity));
        let adjusted = self.adjust(&adjustment.at(location.clone())).await;
        adjusted.unwrap_or_else(|error| panic!("receiving {quantity} of {of} failed: {error}"))
    }

    pub(super) async fn adjust(&self, adjustment: &Adjustment) -> Result<Adjusted, InventoryError> {
        only(self.store.adjust(std::slice::from_ref(adjustment)).await?)
    }

    /// Adjusts in a call that must have an outcome for each.
    pub(super) async fn adjust_all(&self, adjustments: &[Adjustment]) -> Outcomes<Adjusted> {
        one_for_each(adjustments, self.store.adjust(adjustments).await)
    }

    pub(super) async fn reserve(
        &self,
        request: &ReserveRequest,
    ) -> Result<Reserved, InventoryError> {
        only(self.store.reserve(std::slice::from_ref(request)).await?)
    }

    /// Reserves in a call that must have an outcome for each.
    pub(super) async fn reserve_all(&self, requests: &[ReserveRequest]) -> Outcomes<Reserved> {
        one_for_each(requests, self.store.reserve(requests).await)
    }

    /// Reserves what must be granted, now.
    pub(super) async fn grant(&self, request: &ReserveRequest) -> Reservation {
        let granted = self.reserve(request).await;
        let granted = granted
            .unwrap_or_else(|error| panic!("{} was not granted its request: {error}", request.id));
        assert_eq!(
            granted.effect,
            Effect::Applied,
            "{} is a new request, so this call makes the grant",
            request.id
        );
        granted.reservation
    }

    /// Reserves units that must be granted.
    pub(super) async fn hold(&self, reservation: &str, of: &str, quantity: u64) -> Reservation {
        self.grant(&want(reservation, of, quantity)).await
    }

    /// Reserves units for a second.
    pub(super) async fn hold_shortly(
        &self,
        reservation: &str,
        of: &str,
        quantity: u64,
    ) -> Reservation {
        let request = want(reservation, of, quantity).with_ttl(short_lived());
        self.grant(&request).await
    }

    pub(super) async fn step(
        &self,
        reservation: &str,
        transition: Transition,
    ) -> Result<Transitioned, InventoryError> {
        let request = TransitionRequest {
            id: id(reservation),
            transition,
            acting_for: ActingFor::Anyone,
        };
        self.store.transition(&request).await
    }

    /// Takes a step that must be legal.
    pub(super) async fn must(&self, reservation: &str, transition: Transition) -> Transitioned {
        let stepped = self.step(reservation, transition).await;
        stepped.unwrap_or_else(|error| panic!("{transition:?} of {reservation} failed: {error}"))
    }

    pub(super) async fn extend(
        &self,
        reservation: &str,
        until: Timestamp,
    ) -> Result<Transitioned, InventoryError> {
        let request = ExtendRequest {
            id: id(reservation),
            until,
            acting_for: ActingFor::Anyone,
        };
        self.store.extend(&request).await
    }

    pub(super) async fn expire(&self, reservation: &str) -> Expiry {
        let expiry = self.store.expire(&[id(reservation)]).await.and_then(only);
        expiry.unwrap_or_else(|error| panic!("expiring {reservation} failed: {error}"))
    }

    /// Expires in a call that must have an outcome for each.
    pub(super) async fn expire_all(&self, ids: &[ReservationId]) -> Outcomes<Expiry> {
        one_for_each(ids, self.store.expire(ids).await)
    }

    /// Expires at most `limit` overdue reservations, none of them damaged.
    pub(super) async fn sweep(&self, limit: usize) -> Vec<Reservation> {
        let swept = self.store.expire_overdue(at_most(limit)).await;
        let swept = swept.and_then(|sweep| sweep.outcomes.into_iter().collect());
        swept.unwrap_or_else(|error| panic!("expire_overdue failed: {error}"))
    }

    pub(super) async fn stock(&self, of: &str) -> SkuStock {
        let stock = self.store.stock(&[sku(of)]).await;
        let stock = stock.unwrap_or_else(|error| panic!("reading {of} failed: {error}"));
        only(stock).unwrap_or_else(|| panic!("{of} is unknown, and stock of it was received"))
    }

    /// Physical and reserved units of a SKU at all locations.
    pub(super) async fn counts(&self, of: &str) -> (u64, u64) {
        let stock = self.stock(of).await;
        (stock.physical(), stock.reserved())
    }

    pub(super) async fn reservation(&self, reservation: &str) -> Reservation {
        let found = self.store.reservation(&id(reservation)).await;
        found.unwrap_or_else(|error| panic!("reading reservation {reservation} failed: {error}"))
    }

    pub(super) async fn state(&self, reservation: &str) -> ReservationState {
        self.reservation(reservation).await.state
    }

    /// Ends a case: checks the ledger.
    pub(super) async fn ledger(&self) {
        check_ledger(self.store.as_ref()).await;
    }
}
