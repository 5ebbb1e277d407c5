//! Changing stock and reservations.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::InventoryError;
use crate::model::{
    Adjusted, Adjustment, Expiry, ExtendRequest, Movement, Reservation, ReservationId,
    ReserveRequest, Reserved, Sku, Sweep, TransitionRequest, Transitioned,
};
use crate::store::cursor::Cursor;
use crate::store::source::StockSource;

/// Keeps stock and reservations. Hosts call it through [`Inventory`](crate::Inventory).
///
/// The rules of stock are in [`Book`](crate::book::Book): a store loads the rows that a call
/// names, lets the book decide on them, and writes what changed.
///
/// Every method promises:
///
/// - **Durable.** An effect that was returned as `Ok` survives the end of the process, and whatever
///   else the store promises.
/// - **Once.** An effect takes place once, however often the call is repeated with the same ids.
/// - **Serializable.** Concurrent calls have the same outcomes as if they were made one by one in
///   some order. A call may fail because of a conflict with another call.
/// - **Atomic.** A call takes effect completely or not at all, also when its future is dropped.
/// - **Errors are exact.** When [`retry`](InventoryError::retry) is `Never`, `After` or
///   `RestartTransaction`, the call changed nothing, except that refusing a late step expires the
///   reservation. A store that does not know whether the commit took place returns
///   `OutcomeUnknown`. [`Inventory`](crate::Inventory) repeats calls by this rule.
/// - **The store's clock.** Deadlines and times use the store's clock: the clock of its server, or
///   of its process if it has no server. The clock is read after the rows are locked, so the times
///   of a level's movements never decrease while the clock does not go back. The book does not
///   correct a clock that is set back. Times have microsecond precision. When several processes use
///   their own clocks, the difference between these must be small compared to the time for which
///   reservations are held; see also
///   [`StockOutbox::unpublished`](crate::StockOutbox::unpublished).
/// - **Shared.** Any number of processes may open the same data. An effect that one process
///   returned is visible to the others. A store that only one process can open says so.
///
/// For a store inside a transaction of its host, all of this holds from the moment of the host's
/// commit. If the host rolls back after [`InventoryError::WrongState`], the expiry that the error
/// reported is undone. The reservation is then still overdue, and expires later.
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait InventoryStore: StockSource {
    /// Decides on each request as if they came one by one, in this order, and returns their
    /// outcomes in the same order.
    ///
    /// - All lines of a request are granted, or none. `available` never falls below 0.
    /// - A request whose id was granted before finds that reservation, in its present state, with
    ///   [`Effect::Repeated`](crate::Effect::Repeated), even when stock is short. This holds until
    ///   a [`StockRetention`](crate::StockRetention) removes the reservation.
    /// - The content of a request is its owner and its lines. A line without a location matches the
    ///   units of its SKU at any location. The same id with other content is a
    ///   [`ReservationConflict`](InventoryError::ReservationConflict).
    /// - A refusal is not stored: a later attempt with the same id is decided as a new request.
    /// - The deadline is counted from the grant, on the store's clock.
    /// - The store may grant the requests in one transaction. If that fails, all of them fail. A
    ///   damaged row fails only the requests that need it, each with
    ///   [`Damaged`](InventoryError::Damaged).
    /// - A store whose transactions have a size limit may refuse a request with more lines than the
    ///   store's limit, which is at least 20, with [`Invalid`](InventoryError::Invalid) for the
    ///   field `lines`.
    ///
    /// Outcomes: [`Insufficient`](InventoryError::Insufficient) with every short line,
    /// [`UnknownSku`](InventoryError::UnknownSku) with every unknown SKU,
    /// [`ReservationConflict`](InventoryError::ReservationConflict).
    ///
    /// # Errors
    /// When the call failed as a whole, in the same way for each request.
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError>;

    /// Takes a reservation one step further. A step to the reservation's present state succeeds and
    /// changes nothing. So does confirming a fulfilled reservation.
    ///
    /// Confirming, cancelling or fulfilling after the deadline expires the reservation instead: the
    /// units come back, and the error says that it is expired. Releasing after the deadline
    /// releases it. When an expiry and a step happen at the same time, one of them takes effect.
    ///
    /// # Errors
    /// [`InventoryError::WrongState`] with the actual state, [`InventoryError::NotOwner`],
    /// [`InventoryError::UnknownReservation`].
    async fn transition(&self, request: &TransitionRequest)
    -> Result<Transitioned, InventoryError>;

    /// Moves the deadline of a held reservation to a later time, at most 30 days from now. An
    /// earlier time changes nothing and succeeds.
    ///
    /// After the deadline, this expires the reservation instead, as confirming does.
    ///
    /// # Errors
    /// As for [`transition`](InventoryStore::transition), and [`InventoryError::Invalid`].
    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError>;

    /// Expires each of `ids` that is held and overdue on the store's clock. Returns an [`Expiry`]
    /// for each id, in their order. The units come back once, however many workers expire the
    /// reservation.
    ///
    /// A damaged reservation, or one whose level is damaged, has its own error and does not affect
    /// the others.
    ///
    /// # Errors
    /// As for [`reserve`](InventoryStore::reserve).
    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError>;

    /// Expires at most `limit` overdue reservations, the longest overdue first. The store finds
    /// them by an index on state and deadline.
    ///
    /// - [`Sweep::rest`] says whether there are more to expire. A store may expire fewer than
    ///   `limit` in a call and return [`Rest::More`](crate::Rest::More).
    /// - Concurrent sweeps share the work: a sweep may skip rows that another sweep has locked.
    /// - A **damaged** reservation, one whose rows can not be read or contradict each other, does
    ///   not count towards the limit: the sweep skips it and expires the next one. It is reported
    ///   as an error if fewer than `limit` reservations expired, so there are never more than
    ///   `limit` outcomes. Damaged reservations are not counted as a rest.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors. Then the call expired nothing.
    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError>;

    /// Changes physical stock, each adjustment on its own, and returns an outcome for each, in
    /// their order. The first adjustment of a SKU at a location creates its level.
    ///
    /// An adjustment whose operation id was used before finds the earlier movement, with
    /// [`Effect::Repeated`](crate::Effect::Repeated), until a
    /// [`StockRetention`](crate::StockRetention) purges that movement. The content of an adjustment
    /// is its SKU, location and change. The first reason is kept.
    ///
    /// Outcomes: [`BelowPromised`](InventoryError::BelowPromised);
    /// [`OperationConflict`](InventoryError::OperationConflict) for an id with other content;
    /// [`Invalid`](InventoryError::Invalid) when the count would be outside 0 to 2^53 - 1.
    ///
    /// # Errors
    /// As for [`reserve`](InventoryStore::reserve).
    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError>;

    /// A reservation in its present state. An overdue reservation stays held until it is expired.
    ///
    /// # Errors
    /// [`InventoryError::UnknownReservation`].
    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError>;

    /// At most `limit` movements of a SKU after `after`. Those of one location come in the order in
    /// which they took effect. An unknown SKU has none.
    ///
    /// A cursor stays valid while old movements are purged: the listing continues with the
    /// remaining movements after it. An opening balance in the listing is the sum of all earlier
    /// movements of the level, including those that the reader has already seen.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for a cursor that is not from this store.
    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError>;
}

/// A page of movements of a SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MovementPage {
    /// The movements.
    pub movements: Vec<Movement>,
    /// The position of the next page. None on the last page.
    pub next: Option<Cursor>,
}

impl MovementPage {
    /// A page, and the position of the next one.
    #[must_use]
    pub fn new(movements: Vec<Movement>, next: Option<Cursor>) -> Self {
        Self { movements, next }
    }
}
