//! The traits that a store of stock implements.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::events::StockChanged;
use crate::ids::{ReservationId, Sku};
use crate::reservation::{
    Adjusted, Adjustment, Expiry, ExtendRequest, Reservation, ReserveRequest, Reserved,
    TransitionRequest, Transitioned,
};
use crate::stock::{Movement, SkuStock, Version};

/// Tells stock to whoever asks: in process or over a network.
#[async_trait]
pub trait StockSource: Send + Sync {
    /// The stock of each of `skus`, in their order; `None` for what is not known. The levels of
    /// one SKU are of one snapshot; different SKUs may be of different moments.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like, for all of them together.
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError>;

    /// At most `limit` SKUs (at least 1) in some fixed order, after `after`. A SKU that is there
    /// during the whole scan is in it once.
    ///
    /// # Errors
    /// As for [`stock`](StockSource::stock), and [`InventoryError::Invalid`] for a cursor that
    /// this store can't have given.
    async fn scan(&self, after: Option<&Cursor>, limit: usize)
    -> Result<StockPage, InventoryError>;
}

/// Keeps stock and reservations.
///
/// The decisions are in [`Book`](crate::book::Book), which a store can use: it loads the rows
/// that a call names, decides on them, and writes what changed. What the store adds is that
/// nobody else changes those rows in between, and that all of it is written or nothing.
///
/// For every method: what was answered with `Ok` is durable; an effect takes place once, however
/// often the call is repeated with the same ids; concurrent calls have the same outcomes as some
/// order of them one by one; a call whose future is dropped takes effect whole or not at all. A
/// store may refuse a call that lost against others with an error that can be retried, as long
/// as nothing of it took effect; [`Inventory`](crate::Inventory) repeats it.
///
/// The store's clock is its server's, or that of its process where the server has none; then the
/// clocks of its processes have to agree better than reservations' deadlines matter.
///
/// A store inside a transaction of its host's promises all of this for the moment that the host
/// commits. A host that rolls back after [`InventoryError::WrongState`] undoes an expiry that it
/// was told of; the reservation is still overdue, and expires again.
#[async_trait]
pub trait InventoryStore: StockSource {
    /// Decides each request as if they came one by one, in this order, and returns their outcomes
    /// in the same order.
    ///
    /// - All lines of a request are granted or none: `available` never falls below 0.
    /// - The id of a granted reservation finds it again: [`Effect::Repeated`], whatever state it
    ///   is in by now, and also where stock is short, until a [`StockRetention`] forgets it. The
    ///   content is the owner and the lines, a line without location being the units of its SKU
    ///   wherever they were granted; other content is [`ReservationConflict`]. A refusal leaves
    ///   nothing behind, so a later attempt with the same id is decided afresh.
    /// - Deadlines are counted on the store's clock, read after locks are taken.
    /// - The requests may be granted in one transaction; then a failure of it is everybody's.
    /// - A store whose transactions are bounded may refuse requests of more than some number of
    ///   lines, at least 20, with [`Invalid`](InventoryError::Invalid) naming `lines`.
    ///
    /// Outcomes: [`Insufficient`] with every short line, [`UnknownSku`] with every unknown one,
    /// [`ReservationConflict`].
    ///
    /// [`Effect::Repeated`]: crate::Effect::Repeated
    /// [`ReservationConflict`]: InventoryError::ReservationConflict
    /// [`Insufficient`]: InventoryError::Insufficient
    /// [`UnknownSku`]: InventoryError::UnknownSku
    ///
    /// # Errors
    /// Where the call failed as a whole, in the same way for each request.
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError>;

    /// Takes a reservation one step further. Asking for the state that it is in succeeds and
    /// changes nothing; so does confirming what is fulfilled.
    ///
    /// Confirming after the deadline expires the reservation instead: the units come back, and
    /// the error says that it is expired. So do the other steps, but release, which gives the
    /// units back itself. A racing expiry and confirmation have one winner.
    ///
    /// # Errors
    /// [`InventoryError::WrongState`] with the actual state, [`InventoryError::NotOwner`],
    /// [`InventoryError::UnknownReservation`].
    async fn transition(&self, request: &TransitionRequest)
    -> Result<Transitioned, InventoryError>;

    /// Moves the deadline of a held reservation, never back. At most 30 days from now.
    ///
    /// After the deadline it expires the reservation instead, as confirming does.
    ///
    /// # Errors
    /// As for [`transition`](InventoryStore::transition), and [`InventoryError::Invalid`].
    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError>;

    /// Expires each of `ids` that is held and overdue on the store's clock, and returns what
    /// became of each, in their order. Units come back once, however many workers try.
    ///
    /// # Errors
    /// As for [`reserve`](InventoryStore::reserve).
    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError>;

    /// Finds at most `limit` overdue reservations (at least 1), the longest overdue first, by an
    /// index on state and deadline, expires them, and returns what became of each. Concurrent
    /// sweeps share the work. One that can't be expired, because its rows are damaged, stands in
    /// no other's way.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like, where none was found.
    async fn expire_overdue(
        &self,
        limit: usize,
    ) -> Result<Vec<Result<Reservation, InventoryError>>, InventoryError>;

    /// Changes physical stock, each adjustment for itself, and returns an outcome for each. The
    /// first adjustment of a SKU at a location begins its level.
    ///
    /// The operation id finds what it did before: [`Effect::Repeated`](crate::Effect::Repeated),
    /// until a [`StockRetention`] purges its movement.
    /// The content is the SKU, the location and the change; the first reason stands.
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

    /// One reservation, in the state that it is in. One that is overdue and not yet expired is
    /// still held.
    ///
    /// # Errors
    /// [`InventoryError::UnknownReservation`].
    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError>;

    /// At most `limit` movements (at least 1) of a SKU, after `after`: those of one location in
    /// the order in which they took effect. Those of an unknown SKU are none.
    ///
    /// A cursor stays good while old movements are purged: what follows it and is still there
    /// follows. Where a level goes on with an opening balance, that stands for all of the level
    /// up to there, those that the reader had before included.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for a cursor that this store can't have given.
    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<MovementPage, InventoryError>;
}

/// A place in a listing: made by a store, and understood by it only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Some of the stock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StockPage {
    /// The stock of each SKU at all its locations.
    pub stock: Vec<SkuStock>,
    /// Where the next page begins; none on the last.
    pub next: Option<Cursor>,
}

impl StockPage {
    /// A page.
    #[must_use]
    pub fn new(stock: Vec<SkuStock>, next: Option<Cursor>) -> Self {
        Self { stock, next }
    }
}

/// Some movements of a SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MovementPage {
    /// The movements.
    pub movements: Vec<Movement>,
    /// Where the next page begins; none on the last.
    pub next: Option<Cursor>,
}

impl MovementPage {
    /// A page.
    #[must_use]
    pub fn new(movements: Vec<Movement>, next: Option<Cursor>) -> Self {
        Self { movements, next }
    }
}

/// What changed and is not yet published, as the newest state of each SKU: bounded by the number
/// of SKUs, whatever the number of changes.
#[async_trait]
pub trait StockOutbox: Send + Sync {
    /// At most `limit` (at least 1) of the SKUs whose newest version is not marked as published,
    /// in some fixed order, after `after`.
    ///
    /// A change that was committed before the page's `complete_as_of` and is not in this page,
    /// nor before it in order, nor after it, is published. So a caller that publishes all pages
    /// from the first to the last knows that everything is published that was committed before
    /// the first page's time, also while changes go on.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like, and [`InventoryError::Invalid`] for a cursor
    /// that this store can't have given.
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<OutboxPage, InventoryError>;

    /// Marks each SKU as published up to a version. A SKU that has changed since stays
    /// unpublished. Marking twice, or an older version, changes nothing.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like; then the SKUs are published again, which is
    /// harmless.
    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError>;
}

/// Some of what is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxPage {
    /// The newest state of each SKU.
    pub changes: Vec<StockChanged>,
    /// The store's epoch, in which `complete_as_of` was read.
    pub epoch: u32,
    /// A time on the store's clock, read before the snapshot was taken: what was committed before
    /// it is in the snapshot.
    pub complete_as_of: Timestamp,
    /// Where the next page begins; none on the last.
    pub next: Option<Cursor>,
}

impl OutboxPage {
    /// A page.
    #[must_use]
    pub fn new(
        changes: Vec<StockChanged>,
        epoch: u32,
        complete_as_of: Timestamp,
        next: Option<Cursor>,
    ) -> Self {
        Self {
            changes,
            epoch,
            complete_as_of,
            next,
        }
    }
}

/// Forgets what is long over, so that a store does not grow with every sale that it ever saw.
///
/// Nothing else changes: no count, no version, nothing to publish. Each call is one transaction
/// of bounded size, and takes effect whole or not at all. Concurrent calls share the work, where
/// one may leave out what another has at hand. A call that is repeated finds less to do, or
/// nothing.
///
/// **With what is purged, its id is forgotten**, and a request that is sent again after that is
/// decided afresh: it may reserve, or receive, a second time. So everything has to be kept longer
/// than anybody repeats a request. How long is the caller's decision;
/// [`Retention`](crate::workers::Retention) keeps everything for a day at least.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait StockRetention: Send + Sync {
    /// Removes at most `limit` (at least 1) of the reservations that were fulfilled, released,
    /// expired or cancelled at least `keep` ago on the store's clock, and returns how many. The
    /// longest finished go first, found by an index on that time.
    ///
    /// What is held or confirmed is never removed, however old, nor what is overdue and has not
    /// yet expired. A removed reservation is [unknown](InventoryError::UnknownReservation); the
    /// movements that it caused stay.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like, and [`InventoryError::Invalid`] for a limit
    /// of 0.
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: usize,
    ) -> Result<usize, InventoryError>;

    /// Puts at most `limit` (at least 1) movements that took effect at least `keep` ago on the
    /// store's clock behind the opening balances of their levels, and returns how many. Earlier
    /// opening balances that are put behind new ones don't count.
    ///
    /// Of each level the oldest go first. The last that goes is replaced, in its place in the
    /// listing, by the
    /// [opening balance](crate::Movement::into_opening_balance) of all up to it, and the others
    /// are removed; so a level has one opening balance at most, in front, its movements add up to
    /// its counts, and their versions rise by one. A movement after one that has to stay stays,
    /// and a store may let it stay where that one is of another location.
    ///
    /// The ids of the operations behind them are forgotten. Reservations are not.
    ///
    /// # Errors
    /// As for [`purge_reservations`](StockRetention::purge_reservations).
    async fn purge_movements(&self, keep: Duration, limit: usize) -> Result<usize, InventoryError>;
}

/// Wakes the expiry worker when a reservation's time is up.
///
/// A timer is a hint: it may come late, twice or never, and survives a crash only where the
/// implementation says so. The store decides what is overdue.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ReservationTimer: Send + Sync {
    /// Sets a timer for each reservation, that long from now, in place of the one it had.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like; a sweep then finds what is overdue.
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError>;

    /// Removes the timers of these reservations, where there are any.
    ///
    /// # Errors
    /// As for [`arm`](ReservationTimer::arm); the timers then come, and find nothing to do.
    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError>;

    /// Waits until at least one timer is due, and returns at most `limit` (at least 1) of those
    /// that are; returns none after `wait`. A timer that was returned is gone: who takes it acts
    /// on it or arms it again. Several callers share the due ones, as far as the timer can; what
    /// a dropped call had taken may be lost, and a sweep finds it.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like.
    async fn due(&self, limit: usize, wait: Duration)
    -> Result<Vec<ReservationId>, InventoryError>;
}
