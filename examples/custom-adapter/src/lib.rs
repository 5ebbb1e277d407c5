//! A store of one's own: inventory in a file, over the key-value store `redb`.
//!
//! It shows what writing an adapter takes. [`Book`] decides on the rules of stock. What is left is
//! to load rows, to write what changed in one transaction, and to turn the driver's errors into the
//! core's. `rows.rs` has the tables, `purge.rs` what is removed from them, this file the traits.
//! `tests/main.rs` runs the conformance suites over it.

mod purge;
mod rows;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redb::{Database, ReadableDatabase};
use rows::{Rows, Snapshot};
use stockade_change_feed::{Clock, Failure};
use stockade_inventory_core::book::{Book, LocationPriority};
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, OutboxPage, Purged, Reservation, ReservationId, ReserveRequest, Reserved, Rest,
    Sku, SkuStock, StockChanged, StockOutbox, StockPage, StockRetention, StockSource, Sweep,
    TransitionRequest, Transitioned, Version,
};

/// Inventory in a `redb` file, which one process can open. Clones share it.
///
/// One call writes at a time, and each write is synced to the disk before it is answered. Takes
/// `redb` 4.
#[derive(Clone, Debug)]
pub struct RedbInventory {
    database: Arc<Database>,
    clock: Arc<dyn Clock>,
}

impl RedbInventory {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] where the file can't be opened, or is open elsewhere.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, InventoryError> {
        let database = Database::create(path).map_err(failed("open"))?;
        Self::over(Arc::new(database), clock)
    }

    /// Inventory in a database that the host has open, in tables of its own.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] where the tables can't be created.
    pub fn over(database: Arc<Database>, clock: Arc<dyn Clock>) -> Result<Self, InventoryError> {
        let transaction = database.begin_write().map_err(failed("open"))?;
        rows::create_tables(&transaction)?;
        transaction.commit().map_err(failed("open"))?;
        Ok(Self { database, clock })
    }

    /// Loads rows, decides on them and writes what changed, in one transaction. It runs to its
    /// end also when the caller's future is dropped, so a call takes effect whole or not at all.
    async fn decide<T: Send + 'static>(
        &self,
        operation: &'static str,
        decide: impl FnOnce(&Rows<'_>, &mut Book) -> Result<T, InventoryError> + Send + 'static,
    ) -> Result<T, InventoryError> {
        let Self { database, clock } = self.clone();
        blocking(operation, move || {
            let transaction = database.begin_write().map_err(failed(operation))?;
            let outcome = {
                let mut rows = Rows::open(&transaction)?;
                // The transaction is the lock, so the clock is read after it has begun.
                let mut book = Book::new(clock.now(), rows.epoch()?, LocationPriority::default());
                let outcome = decide(&rows, &mut book)?;
                rows.write(book.into_changes())?;
                outcome
            };
            // After a failed commit the transaction is in the file or not: only its ids tell.
            transaction
                .commit()
                .map_err(|error| Failure::outcome_unknown(operation, error))?;
            Ok(outcome)
        })
        .await
    }

    /// Raises the epoch, and returns it: for an operator, after the file was restored from a backup.
    /// See [`Version`].
    ///
    /// # Errors
    /// [`InventoryError::Failed`] where the file can't be written.
    pub async fn raise_epoch(&self) -> Result<u32, InventoryError> {
        self.write("raise_epoch", |rows: &mut Rows<'_>| rows.raise_epoch())
            .await
    }

    /// Changes rows in one transaction, where there is nothing to decide.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        write: impl FnOnce(&mut Rows<'_>) -> Result<T, InventoryError> + Send + 'static,
    ) -> Result<T, InventoryError> {
        let database = self.database.clone();
        blocking(operation, move || {
            let transaction = database.begin_write().map_err(failed(operation))?;
            let outcome = write(&mut Rows::open(&transaction)?)?;
            transaction
                .commit()
                .map_err(|error| Failure::outcome_unknown(operation, error))?;
            Ok(outcome)
        })
        .await
    }

    /// Reads one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Snapshot) -> Result<T, InventoryError> + Send + 'static,
    ) -> Result<T, InventoryError> {
        let database = self.database.clone();
        blocking(operation, move || {
            let transaction = database.begin_read().map_err(failed(operation))?;
            read(&Snapshot::open(&transaction)?)
        })
        .await
    }
}

#[async_trait]
impl StockSource for RedbInventory {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let skus = skus.to_vec();
        self.read("stock", move |snapshot| {
            skus.iter().map(|sku| snapshot.stock(sku)).collect()
        })
        .await
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let after = after.cloned();
        self.read("scan", move |snapshot| snapshot.scan(after.as_ref(), limit))
            .await
    }
}

#[async_trait]
impl InventoryStore for RedbInventory {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        let requests = requests.to_vec();
        self.decide("reserve", move |rows, book| {
            let mut outcomes = Vec::with_capacity(requests.len());
            for request in &requests {
                let mut loaded = rows.load_reservation(book, &request.id);
                for line in request.lines.as_slice() {
                    loaded = loaded.and_then(|()| rows.load_sku(book, &line.sku));
                }
                match loaded.and_then(|()| book.reserve(request)) {
                    Err(error @ InventoryError::Failed(_)) => return Err(error),
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        })
        .await
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        let request = request.clone();
        // The inner outcome is given back with the changes written: refusing a late confirmation
        // expires the reservation.
        self.decide("transition", move |rows, book| {
            rows.load_reservation(book, &request.id)?;
            Ok(book.transition(&request))
        })
        .await?
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        let request = request.clone();
        self.decide("extend", move |rows, book| {
            rows.load_reservation(book, &request.id)?;
            Ok(book.extend(&request))
        })
        .await?
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        let ids = ids.to_vec();
        self.decide("expire", move |rows, book| {
            let mut expiries = Vec::with_capacity(ids.len());
            for id in &ids {
                let loaded = rows.load_reservation(book, id);
                match loaded.and_then(|()| book.expire(id)) {
                    Err(error) if !is_damage(&error) => return Err(error),
                    expiry => expiries.push(expiry),
                }
            }
            Ok(expiries)
        })
        .await
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        let clock = self.clock.clone();
        self.decide("expire_overdue", move |rows, book| {
            let mut overdue = rows.overdue(clock.now())?;
            let (mut expired, mut damaged) = (Vec::new(), Vec::new());
            // A damaged reservation takes no place: the sweep passes over it.
            while expired.len() < limit.get()
                && let Some(id) = overdue.next().transpose()?
            {
                let loaded = rows.load_reservation(book, &id);
                match loaded.and_then(|()| book.expire(&id)) {
                    Ok(Expiry::Expired(reservation)) => expired.push(Ok(reservation)),
                    Ok(_) => {}
                    Err(error) if is_damage(&error) => damaged.push(Err(error)),
                    Err(error) => return Err(error),
                }
            }
            let rest = Rest::more_if(overdue.next().transpose()?.is_some());
            damaged.truncate(limit.get() - expired.len());
            expired.append(&mut damaged);
            Ok(Sweep::new(expired, rest))
        })
        .await
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        let adjustments = adjustments.to_vec();
        self.decide("adjust", move |rows, book| {
            let mut outcomes = Vec::with_capacity(adjustments.len());
            for adjustment in &adjustments {
                let loaded = rows
                    .load_operation(book, &adjustment.operation)
                    .and_then(|()| rows.load_sku(book, &adjustment.sku));
                match loaded.and_then(|()| book.adjust(adjustment)) {
                    Err(error @ InventoryError::Failed(_)) => return Err(error),
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        })
        .await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let id = id.clone();
        self.read("reservation", move |snapshot| {
            let found = snapshot.reservation(&id)?;
            found.ok_or(InventoryError::UnknownReservation { id })
        })
        .await
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        let start = match after {
            None => 0,
            Some(cursor) => cursor.0.parse().map_err(|_| {
                let reason = "it must come from an earlier page";
                InventoryError::invalid("cursor", &cursor.0, reason)
            })?,
        };
        let sku = sku.clone();
        self.read("movements", move |snapshot| {
            snapshot.movements(&sku, start, limit)
        })
        .await
    }
}

#[async_trait]
impl StockOutbox for RedbInventory {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        // Read before the snapshot is taken: what is committed in between is in it, and younger.
        let complete_as_of = self.clock.now();
        let after = after.cloned();
        self.read("unpublished", move |snapshot| {
            let page = snapshot.unpublished(after.as_ref(), limit)?;
            let changes = page.stock.iter().map(StockChanged::from).collect();
            let epoch = snapshot.epoch()?;
            Ok(OutboxPage::new(changes, epoch, complete_as_of, page.next))
        })
        .await
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        let published = published.to_vec();
        self.write("mark_published", move |rows| {
            rows.mark_published(&published)
        })
        .await
    }
}

#[async_trait]
impl StockRetention for RedbInventory {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let until = self.clock.now().minus(keep);
        self.write("purge_reservations", move |rows| {
            rows.purge_reservations(until, limit)
        })
        .await
    }

    async fn purge_movements(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let until = self.clock.now().minus(keep);
        self.write("purge_movements", move |rows| {
            rows.purge_movements(until, limit)
        })
        .await
    }
}

/// Runs a blocking call on a thread for them. It goes on when its caller is dropped.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    run: impl FnOnce() -> Result<T, InventoryError> + Send + 'static,
) -> Result<T, InventoryError> {
    match tokio::task::spawn_blocking(run).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Failure::outcome_unknown(operation, error).into()),
    }
}

/// Damage is of one row. Everything else fails the transaction.
fn is_damage(error: &InventoryError) -> bool {
    matches!(error, InventoryError::Damaged { .. })
}

fn failed<E: Into<redb::Error>>(operation: &'static str) -> impl Fn(E) -> InventoryError {
    move |error| Failure::refused(operation, error.into()).into()
}

/// The examples of the guide, which are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-an-adapter.md")]
struct Guide;
