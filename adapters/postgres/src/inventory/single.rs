//! A request of one line, in one round trip.

use std::time::Duration;

use sqlx::{PgConnection, Row};
use stockade_inventory_core::{
    Durability, Effect, InventoryError, Line, LocationId, Reservation, ReserveRequest, Reserved,
    ReservedLine,
};

use crate::error::{PostgresError, committing, failed, violated};
use crate::inventory::rows::{self, damaged, signed};
use crate::inventory::tables::{Tables, current_trace};
use crate::inventory::time::Time;
use crate::session::Pooled;

const OPERATION: &str = "reserve";

/// Reserves one line with one statement that commits itself. If that grants nothing, a second
/// statement finds the earlier grant or the reason for the refusal. `None` when neither decides the
/// request; then nothing was changed.
pub(crate) async fn reserve(
    tables: &Tables,
    pooled: &Pooled,
    request: &ReserveRequest,
    line: &Line,
) -> Result<Option<Result<Reserved, InventoryError>>, PostgresError> {
    let lock_timeout = pooled.timeouts.lock;
    let asking = async |connection: &mut PgConnection| match grant(
        tables,
        request,
        line,
        lock_timeout,
        connection,
    )
    .await?
    {
        Some(reserved) => Ok(Some(Ok(reserved))),
        None => look(tables, request, line, connection).await,
    };
    pooled.ask(OPERATION, asking).await
}

/// Grants a request of one line, with one statement that commits itself. `None` when it was granted
/// before or stock is short; then nothing was changed.
async fn grant(
    tables: &Tables,
    request: &ReserveRequest,
    line: &Line,
    lock_timeout: Duration,
    connection: &mut PgConnection,
) -> Result<Option<Reserved>, PostgresError> {
    let ttl = u64::try_from(request.ttl.get().as_micros()).unwrap_or(u64::MAX);
    let granted = sqlx::query(tables.statements.reserve_one.clone())
        .bind(request.id.as_str())
        .bind(request.owner.as_str())
        .bind(line.sku.as_str())
        .bind(line.location.as_ref().map(LocationId::as_str))
        .bind(signed(line.quantity.get()))
        .bind(Duration::from_micros(ttl))
        .bind(lock_timeout.as_millis().to_string())
        .bind(current_trace())
        .fetch_optional(connection)
        .await;
    let granted = match granted {
        // The same id at the same time: the other one is committed.
        Err(error) if violated(&error) == Some("reservations_pkey") => return Ok(None),
        granted => granted.map_err(committing(OPERATION))?,
    };
    let Some(row) = granted else {
        return Ok(None);
    };
    let failed = failed(OPERATION);
    let location: String = row.try_get("location").map_err(failed)?;
    let location = LocationId::new(location).map_err(damaged)?;
    let deadline: Time = row.try_get("deadline").map_err(failed)?;
    let created_at: Time = row.try_get("created_at").map_err(failed)?;
    let lines = vec![ReservedLine {
        sku: line.sku.clone(),
        location,
        quantity: line.quantity,
    }];
    let (id, owner) = (request.id.clone(), request.owner.clone());
    let reservation = Reservation::new(id, owner, lines, deadline.0, created_at.0);
    let (effect, durability) = (Effect::Applied, Durability::Committed);
    Ok(Some(Reserved::new(
        reservation,
        effect,
        created_at.0,
        durability,
    )))
}

/// Decides a request of one line from one snapshot, without changing anything: it was granted
/// before, or is refused. `None` when it would be granted.
async fn look(
    tables: &Tables,
    request: &ReserveRequest,
    line: &Line,
    connection: &mut PgConnection,
) -> Result<Option<Result<Reserved, InventoryError>>, PostgresError> {
    let found = sqlx::query(tables.statements.peek.clone())
        .bind(request.id.as_str())
        .bind(line.sku.as_str())
        .fetch_all(connection)
        .await
        .map_err(failed(OPERATION))?;
    let Some(first) = found.first() else {
        return Ok(None);
    };
    // Nothing is written, so the epoch does not matter.
    let mut book = tables.book((rows::now(first)?, 0), &found)?;
    if let Some(reservation) = rows::reservation(first)? {
        book.load_reservation(reservation);
    }
    let outcome = book.reserve(request);
    let changes = book.into_changes();
    Ok(changes.movements.is_empty().then_some(outcome))
}
