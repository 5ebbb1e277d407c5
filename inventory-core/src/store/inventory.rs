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
/// - **Durable.** What was answered with `Ok` survives the end of the process, or whatever else
///   the store says that it survives.
/// - **Once.** An effect takes place once, however often the call is repeated with the same ids.
/// - **In some order.** Concurrent calls have the same outcomes as if they were made one by one in
///   some order. A call may fail because it lost against another call.
/// - **Whole.** A call takes effect whole or not at all, also when its future is dropped.
/// - **Errors are true.** Where [`retry`](InventoryError::retry) is `Never`, `After` or
///   `RestartTransaction`, the call changed nothing, except that refusing a late step expires the
///   reservation. A store that does not know whether the commit took place answers
///   `OutcomeUnknown`. [`Inventory`](crate::Inventory) repeats calls by this rule.
/// - **The store's clock.** Deadlines and times are those of the store: the clock of its server,
///   or of its process where it has no server. It is read after the rows are locked, so the
///   movements of a level do not run back in time. Times keep their microseconds. Where several
///   processes have clocks of their own, the clocks have to agree better than the deadlines of
///   reservations matter; see also [`StockOutbox::unpublished`](crate::StockOutbox::unpublished).
/// - **Shared.** Any number of processes may open the same data. What one has answered, the others
///   see; a store that only one process can open says so.
///
/// A store inside a transaction of its host promises all of this for the moment of the host's
/// commit. If the host rolls back after [`InventoryError::WrongState`], the expiry that the error
/// reported is undone. The reservation is still overdue, and expires later.
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait InventoryStore: StockSource {
    /// Decides on each request as if they came one by one, in this order, and returns their
    /// outcomes in the same order.
    ///
    /// - All lines of a request are granted, or none. `available` never falls below 0.
    /// - A request whose id was granted before finds that reservation, in its present state, with
    ///   [`Effect::Repeated`](crate::Effect::Repeated), also where stock is short. This holds until
    ///   a [`StockRetention`](crate::StockRetention) removes the reservation.
    /// - The content of a request is its owner and its lines; a line without a location stands for
    ///   the units of its SKU at whichever location they were granted. The same id with other
    ///   content is a [`ReservationConflict`](InventoryError::ReservationConflict).
    /// - A refusal leaves nothing behind: a later attempt with the same id is decided afresh.
    /// - The deadline is counted from the grant, on the store's clock.
    /// - The store may grant the requests in one transaction. If that fails, all of them fail.
    /// - A store with bounded transactions may refuse a request with more than a number of lines,
    ///   at least 20, with [`Invalid`](InventoryError::Invalid) naming `lines`.
    ///
    /// Outcomes: [`Insufficient`](InventoryError::Insufficient) with every short line,
    /// [`UnknownSku`](InventoryError::UnknownSku) with every unknown SKU,
    /// [`ReservationConflict`](InventoryError::ReservationConflict).
    ///
    /// # Errors
    /// Where the call failed as a whole, in the same way for each request.
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError>;

    /// Takes a reservation one step further. A step to the state that the reservation is in
    /// succeeds and changes nothing. So does confirming a fulfilled reservation.
    ///
    /// Confirming, cancelling or fulfilling after the deadline expires the reservation instead: the
    /// units come back, and the error says that it is expired. Releasing after the deadline
    /// releases it. Where an expiry and a step race, one of them wins.
    ///
    /// # Errors
    /// [`InventoryError::WrongState`] with the actual state, [`InventoryError::NotOwner`],
    /// [`InventoryError::UnknownReservation`].
    async fn transition(&self, request: &TransitionRequest)
    -> Result<Transitioned, InventoryError>;

    /// Moves the deadline of a held reservation to a later time, at most 30 days from now. An
    /// earlier time changes nothing and succeeds.
    ///
    /// After the deadline it expires the reservation instead, as confirming does.
    ///
    /// # Errors
    /// As for [`transition`](InventoryStore::transition), and [`InventoryError::Invalid`].
    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError>;

    /// Expires each of `ids` that is held and overdue on the store's clock, and returns what was
    /// found for each, in their order. The units come back once, however many workers try.
    ///
    /// A damaged reservation is an error of its own and does not affect the others.
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
    /// - The answer says whether there are more to expire. A store may expire fewer than `limit`
    ///   in a call and say that there are more.
    /// - Concurrent sweeps share the work: a sweep may leave out what another one has locked.
    /// - A **damaged** reservation, one whose rows can not be read or do not fit together, takes no
    ///   place within the limit: the sweep passes over it and expires the next. It is reported as
    ///   an error where fewer than `limit` reservations expired, so an answer never has more than
    ///   `limit` outcomes. Damaged reservations are not counted as a rest.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like, where the call expired nothing.
    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError>;

    /// Changes physical stock, each adjustment by itself, and returns an outcome for each, in
    /// their order. The first adjustment of a SKU at a location begins its level.
    ///
    /// An adjustment whose operation id was used before finds its movement, with
    /// [`Effect::Repeated`](crate::Effect::Repeated), until a
    /// [`StockRetention`](crate::StockRetention) purges that movement. The content of an
    /// adjustment is its SKU, location and change. The first reason is kept.
    ///
    /// Outcomes: [`BelowPromised`](InventoryError::BelowPromised);
    /// [`OperationConflict`](InventoryError::OperationConflict) for an id with other content;
    /// [`Invalid`](InventoryError::Invalid) where the count would leave 0 to 2^53 - 1.
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
    /// A cursor stays valid while old movements are purged: the listing goes on with the movements
    /// that follow it and are still there. Where it meets an opening balance, that is the sum of
    /// all earlier movements of the level, including those that the reader has already seen.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for a cursor that this store can not have made.
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
