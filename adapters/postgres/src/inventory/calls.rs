//! The calls: which rows each one locks, and what it decides.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use stockade_change_feed::Timestamp;
use stockade_inventory_core::book::Book;
use stockade_inventory_core::{
    Adjusted, Adjustment, Expiry, ExtendRequest, InventoryError, MovementCause, Reservation,
    ReservationId, ReservationState, ReserveRequest, Reserved, Transition, TransitionRequest,
    Transitioned,
};

use crate::error::{PostgresError, failed};
use crate::inventory::rows;
use crate::inventory::tables::{Call, Tables, moment};

type Outcomes<T> = Vec<Result<T, InventoryError>>;

pub(crate) struct Reserve<'a>(pub(crate) &'a [ReserveRequest]);

#[async_trait]
impl Call for Reserve<'_> {
    const OPERATION: &'static str = "reserve";
    type Outcome = Outcomes<Reserved>;
    type Found = ();

    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, ()), PostgresError> {
        let lines = self.0.iter().flat_map(|request| request.lines.as_slice());
        let skus: BTreeSet<&str> = lines.map(|line| line.sku.as_str()).collect();
        let levels = tables.lock_skus(Self::OPERATION, skus, connection).await?;
        // Only now: whoever took the last unit may ask again, and has committed by now.
        let ids: Vec<&str> = self.0.iter().map(|request| request.id.as_str()).collect();
        let known = sqlx::query(tables.statements.find_reservations.clone())
            .bind(ids)
            .fetch_all(connection)
            .await
            .map_err(failed(Self::OPERATION))?;
        let mut book = tables.book(moment(&known)?, &levels)?;
        for row in &known {
            if let Some(reservation) = rows::reservation(row)? {
                book.load_reservation(reservation);
            }
        }
        Ok((book, ()))
    }

    fn decide(&self, book: &mut Book, (): ()) -> Self::Outcome {
        self.0.iter().map(|request| book.reserve(request)).collect()
    }
}

pub(crate) struct Adjust<'a>(pub(crate) &'a [Adjustment]);

#[async_trait]
impl Call for Adjust<'_> {
    const OPERATION: &'static str = "adjust";
    type Outcome = Outcomes<Adjusted>;
    type Found = ();

    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, ()), PostgresError> {
        let skus = self.0.iter().map(|adjustment| adjustment.sku.as_str());
        let levels = tables
            .lock_skus(Self::OPERATION, skus.collect(), connection)
            .await?;
        let ids = self
            .0
            .iter()
            .map(|adjustment| adjustment.operation.as_str());
        let known = sqlx::query(tables.statements.find_operations.clone())
            .bind(ids.collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .map_err(failed(Self::OPERATION))?;
        let mut book = tables.book(moment(&known)?, &levels)?;
        for row in &known {
            if let Some(movement) = rows::movement(row)?
                && let MovementCause::Adjusted { operation, .. } = &movement.cause
            {
                book.load_operation(operation.clone(), movement);
            }
        }
        Ok((book, ()))
    }

    fn decide(&self, book: &mut Book, (): ()) -> Self::Outcome {
        let adjustments = self.0.iter();
        adjustments
            .map(|adjustment| book.adjust(adjustment))
            .collect()
    }
}

#[async_trait]
impl Call for TransitionRequest {
    const OPERATION: &'static str = "transition";
    type Outcome = Result<Transitioned, InventoryError>;
    type Found = ();

    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, ()), PostgresError> {
        let moves_units = self.transition != Transition::Confirm;
        let book = load_one(Self::OPERATION, tables, &self.id, moves_units, connection).await?;
        Ok((book, ()))
    }

    fn decide(&self, book: &mut Book, (): ()) -> Self::Outcome {
        book.transition(self)
    }
}

#[async_trait]
impl Call for ExtendRequest {
    const OPERATION: &'static str = "extend";
    type Outcome = Result<Transitioned, InventoryError>;
    type Found = ();

    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, ()), PostgresError> {
        let book = load_one(Self::OPERATION, tables, &self.id, false, connection).await?;
        Ok((book, ()))
    }

    fn decide(&self, book: &mut Book, (): ()) -> Self::Outcome {
        book.extend(self)
    }
}

/// A book with one reservation, and with its levels if units move or its deadline has passed.
async fn load_one(
    operation: &'static str,
    tables: &Tables,
    id: &ReservationId,
    moves_units: bool,
    connection: &mut PgConnection,
) -> Result<Book, PostgresError> {
    let (found, moment) = lock_reservations(operation, tables, [id], connection).await?;
    let reservation = found.into_iter().next().map(|found| found.read);
    let reservation = reservation.transpose()?;
    // A deadline that comes after this moment has not come yet, whatever is waited for now.
    let moving = reservation
        .as_ref()
        .filter(|reservation| moves_units || reservation.is_overdue(moment.0));
    let mut book = tables
        .lock_levels(operation, moment, moving, connection)
        .await?;
    if let Some(reservation) = reservation {
        book.load_reservation(reservation);
    }
    Ok(book)
}

/// Locks reservations by their ids, and reads each one that can be read.
async fn lock_reservations(
    operation: &'static str,
    tables: &Tables,
    ids: impl IntoIterator<Item = &ReservationId>,
    connection: &mut PgConnection,
) -> Result<(Vec<Found>, (Timestamp, u32)), PostgresError> {
    let ids: Vec<&str> = ids.into_iter().map(ReservationId::as_str).collect();
    let locked = sqlx::query(tables.statements.lock_reservations.clone())
        .bind(ids)
        .fetch_all(connection)
        .await
        .map_err(failed(operation))?;
    let found = locked.iter().filter_map(|row| Found::of(row).transpose());
    let found = found.collect::<Result<_, _>>().map_err(failed(operation))?;
    Ok((found, moment(&locked)?))
}

/// A stored reservation, which may be damaged.
struct Found {
    id: String,
    read: Result<Reservation, PostgresError>,
}

impl Found {
    fn of(row: &PgRow) -> sqlx::Result<Option<Self>> {
        let id: Option<String> = row.try_get("id")?;
        let read = rows::reservation(row).transpose();
        Ok(id.zip(read).map(|(id, read)| Self { id, read }))
    }
}

pub(crate) struct Expire<'a>(pub(crate) &'a [ReservationId]);

#[async_trait]
impl Call for Expire<'_> {
    const OPERATION: &'static str = "expire";
    type Outcome = Outcomes<Expiry>;
    type Found = HashMap<String, PostgresError>;

    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, Self::Found), PostgresError> {
        let (found, moment) =
            lock_reservations(Self::OPERATION, tables, self.0, connection).await?;
        let (mut readable, mut damaged) = (Vec::new(), HashMap::new());
        for Found { id, read } in found {
            match read {
                Ok(reservation) => readable.push(reservation),
                Err(error) => drop(damaged.insert(id, error)),
            }
        }
        // Some may come due while locks are waited for.
        let held = readable
            .iter()
            .filter(|reservation| reservation.state == ReservationState::Held);
        let mut book = tables
            .lock_levels(Self::OPERATION, moment, held, connection)
            .await?;
        for reservation in readable {
            book.load_reservation(reservation);
        }
        Ok((book, damaged))
    }

    fn decide(&self, book: &mut Book, damaged: Self::Found) -> Self::Outcome {
        let ids = self.0.iter();
        ids.map(|id| match damaged.get(id.as_str()) {
            Some(error) => Err(error.clone().into()),
            None => book.expire(id),
        })
        .collect()
    }
}
