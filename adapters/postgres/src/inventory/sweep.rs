//! Finds overdue reservations, and expires them.

use async_trait::async_trait;
use sqlx::{PgConnection, Row};
use stockade_change_feed::Timestamp;
use stockade_inventory_core::book::Book;
use stockade_inventory_core::{Expiry, InventoryError, Reservation};

use crate::error::{PostgresError, failed};
use crate::inventory::rows;
use crate::inventory::tables::{Call, Tables, moment};
use crate::inventory::time::Time;

/// One page of the overdue reservations, after a place in their order.
pub(crate) struct Sweep {
    pub(crate) limit: usize,
    pub(crate) after: Overdue,
}

/// Where a page begins: after this deadline and id, in the order of overdue reservations.
#[derive(Clone, Debug)]
pub(crate) struct Overdue(Timestamp, String);

impl Overdue {
    /// Before all of them.
    pub(crate) fn first() -> Self {
        // Long before there were shops, and within what Postgres can keep.
        Self(Timestamp::EPOCH, String::new())
    }
}

/// The result of a page.
pub(crate) struct Swept {
    pub(crate) expired: Vec<Reservation>,
    pub(crate) damaged: Vec<InventoryError>,
    /// Where the next page begins, if this one was full.
    pub(crate) next: Option<Overdue>,
}

#[async_trait]
impl Call for Sweep {
    const OPERATION: &'static str = "expire_overdue";
    type Outcome = Swept;
    type Found = (Vec<Result<Reservation, PostgresError>>, Option<Overdue>);

    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, Self::Found), PostgresError> {
        let locked = sqlx::query(tables.statements.lock_overdue.clone())
            .bind(i64::try_from(self.limit).unwrap_or(i64::MAX))
            .bind(Time(self.after.0))
            .bind(&self.after.1)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed(Self::OPERATION))?;
        let moment = moment(&locked)?;
        let mut found = Vec::with_capacity(locked.len());
        let mut next = None;
        for row in &locked {
            let id: Option<String> = row.try_get("id").map_err(failed(Self::OPERATION))?;
            if let Some(id) = id {
                let deadline: Time = row.try_get("deadline").map_err(failed(Self::OPERATION))?;
                next = Some(Overdue(deadline.0, id));
                found.extend(rows::reservation(row).transpose());
            }
        }
        let next = next.filter(|_| found.len() == self.limit);
        let readable = found.iter().flatten();
        let mut book = tables
            .lock_levels(Self::OPERATION, moment, readable, connection)
            .await?;
        for reservation in found.iter().flatten() {
            book.load_reservation(reservation.clone());
        }
        Ok((book, (found, next)))
    }

    fn decide(&self, book: &mut Book, (found, next): Self::Found) -> Swept {
        let (mut expired, mut damaged) = (Vec::new(), Vec::new());
        for found in found {
            let outcome = found.map_err(InventoryError::from);
            match outcome.and_then(|found| book.expire(&found.id)) {
                Ok(Expiry::Expired(reservation)) => expired.push(reservation),
                Ok(_) => {}
                Err(error) => damaged.push(error),
            }
        }
        Swept {
            expired,
            damaged,
            next,
        }
    }
}
