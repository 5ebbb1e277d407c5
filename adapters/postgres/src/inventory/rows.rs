//! Converts rows of the database to values of the core.

use std::collections::HashMap;
use std::fmt::Display;

use sqlx::Row;
use sqlx::postgres::PgRow;
use stockade_change_feed::{Timestamp, TraceContext};
use stockade_inventory_core::{
    Counts, Delta, LocationId, Movement, MovementCause, OperationId, OwnerId, Quantity, Reason,
    Reservation, ReservationId, Sku, SkuStock, StockChange, StockLevel, Version,
};

use crate::error::PostgresError;
use crate::inventory::time::Time;

/// The columns of a level, in the order in which [`level`] reads them by name.
pub(crate) const LEVEL: &str =
    "l.sku, l.location, l.physical, l.reserved, l.escrowed, l.epoch, l.number, l.changed_at";
/// The columns of a reservation. Its lines are read as text, so that a damaged row does not affect
/// others.
pub(crate) const RESERVATION: &str = "r.id, r.owner, r.state, r.deadline, r.created_at, \
     r.changed_at AS settled_at, r.lines::text AS lines";
/// The columns of a movement.
pub(crate) const MOVEMENT: &str = "m.sku, m.location, m.number, m.epoch, m.moved_at, m.physical, \
     m.reserved, m.escrowed, m.cause, m.cause_id, (m.asked).change, (m.asked).amount, \
     (m.asked).reason";

/// Why a row can not be read: an error of the driver or of the core.
type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// The time in a row, as the server read it.
pub(crate) fn now(found: &PgRow) -> Result<Timestamp, PostgresError> {
    let now = found.try_get::<Time, _>("now");
    now.map(|now| now.0).map_err(damaged)
}

pub(crate) fn damaged(what: impl Display) -> PostgresError {
    let what = what.to_string();
    PostgresError::Damaged { what }
}

fn row<T>(name: &str, read: Result<T, Unreadable>) -> Result<T, PostgresError> {
    read.map_err(|error| damaged(format!("a row of {name}: {error}")))
}

/// A level, if this row of an outer join has one.
pub(crate) fn level(found: &PgRow) -> Result<Option<StockLevel>, PostgresError> {
    let read = || -> Result<Option<StockLevel>, Unreadable> {
        let Some(sku) = found.try_get::<Option<String>, _>("sku")? else {
            return Ok(None);
        };
        let counts = Counts::new(
            count(found, "physical")?,
            count(found, "reserved")?,
            count(found, "escrowed")?,
        )?;
        Ok(Some(StockLevel::new(
            Sku::new(sku)?,
            LocationId::new(found.try_get::<String, _>("location")?)?,
            counts,
            version(found)?,
            found.try_get::<Time, _>("changed_at")?.0,
        )))
    };
    row("levels", read())
}

/// Groups levels by SKU; the levels of a SKU are next to each other.
pub(crate) fn stock(found: &[PgRow]) -> Result<Vec<SkuStock>, PostgresError> {
    let levels = found.iter().filter_map(|row| level(row).transpose());
    let levels = levels.collect::<Result<Vec<_>, _>>()?;
    levels
        .chunk_by(|a, b| a.sku == b.sku)
        .map(|levels| SkuStock::new(levels.to_vec()).map_err(damaged))
        .collect()
}

/// The traces in rows of levels, each with its SKU and the time of its change.
pub(crate) fn traces(
    found: &[PgRow],
) -> Result<HashMap<(String, Timestamp), TraceContext>, PostgresError> {
    let mut traces = HashMap::new();
    for row in found {
        let trace: Option<String> = row.try_get("trace").map_err(damaged)?;
        // A trace of another form ends here.
        if let Some(trace) = trace.and_then(|text| text.parse().ok()) {
            let sku = row.try_get("sku").map_err(damaged)?;
            let at: Time = row.try_get("changed_at").map_err(damaged)?;
            traces.insert((sku, at.0), trace);
        }
    }
    Ok(traces)
}

/// A reservation, if this row of an outer join has one.
pub(crate) fn reservation(found: &PgRow) -> Result<Option<Reservation>, PostgresError> {
    let read = || -> Result<Option<Reservation>, Unreadable> {
        let Some(id) = found.try_get::<Option<String>, _>("id")? else {
            return Ok(None);
        };
        let reservation = Reservation::new(
            ReservationId::new(id)?,
            OwnerId::new(found.try_get::<String, _>("owner")?)?,
            serde_json::from_str(&found.try_get::<String, _>("lines")?)?,
            found.try_get::<Time, _>("deadline")?.0,
            found.try_get::<Time, _>("created_at")?.0,
        );
        let state = found.try_get::<String, _>("state")?.parse()?;
        let changed_at = found.try_get::<Time, _>("settled_at")?.0;
        Ok(Some(reservation.with_state(state, changed_at)))
    };
    let id = || found.try_get::<String, _>("id").unwrap_or_default();
    read().map_err(|error| damaged(format!("reservation {}: {error}", id())))
}

/// A movement, if this row of an outer join has one.
pub(crate) fn movement(found: &PgRow) -> Result<Option<Movement>, PostgresError> {
    let read = || -> Result<Option<Movement>, Unreadable> {
        let Some(sku) = found.try_get::<Option<String>, _>("sku")? else {
            return Ok(None);
        };
        Ok(Some(Movement::new(
            Sku::new(sku)?,
            LocationId::new(found.try_get::<String, _>("location")?)?,
            version(found)?,
            found.try_get::<Time, _>("moved_at")?.0,
            Delta {
                physical: found.try_get("physical")?,
                reserved: found.try_get("reserved")?,
                escrowed: found.try_get("escrowed")?,
            },
            cause(found)?,
        )))
    };
    row("movements", read())
}

fn cause(found: &PgRow) -> Result<MovementCause, Unreadable> {
    let id = || found.try_get::<String, _>("cause_id");
    let reservation = || -> Result<_, Unreadable> { Ok(ReservationId::new(id()?)?) };
    Ok(match found.try_get::<&str, _>("cause")? {
        "reserved" => MovementCause::Reserved(reservation()?),
        "released" => MovementCause::Released(reservation()?),
        "expired" => MovementCause::Expired(reservation()?),
        "cancelled" => MovementCause::Cancelled(reservation()?),
        "fulfilled" => MovementCause::Fulfilled(reservation()?),
        "opening_balance" => MovementCause::OpeningBalance,
        "adjusted" => MovementCause::Adjusted {
            operation: OperationId::new(id()?)?,
            change: change(found)?,
            reason: Reason::new(found.try_get::<String, _>("reason")?)?,
        },
        other => return Err(format!("the cause {other:?}").into()),
    })
}

fn change(found: &PgRow) -> Result<StockChange, Unreadable> {
    let amount: i64 = found.try_get("amount")?;
    Ok(match found.try_get::<&str, _>("change")? {
        "receive" => StockChange::Receive(Quantity::new(u64::try_from(amount)?)?),
        "correct" => StockChange::Correct(amount),
        "set" => StockChange::Set(u64::try_from(amount)?),
        other => return Err(format!("the change {other:?}").into()),
    })
}

/// The columns of a cause.
pub(crate) struct CauseColumns<'a> {
    pub(crate) name: &'static str,
    /// Empty when the cause has none.
    pub(crate) id: &'a str,
    /// The kind, the amount and the reason of an adjustment.
    pub(crate) asked: Option<(&'static str, i64, &'a str)>,
}

impl<'a> CauseColumns<'a> {
    pub(crate) fn of(cause: &'a MovementCause) -> Self {
        let of = |name, id: &'a ReservationId| Self {
            name,
            id: id.as_str(),
            asked: None,
        };
        match cause {
            MovementCause::Reserved(id) => of("reserved", id),
            MovementCause::Released(id) => of("released", id),
            MovementCause::Expired(id) => of("expired", id),
            MovementCause::Cancelled(id) => of("cancelled", id),
            MovementCause::Fulfilled(id) => of("fulfilled", id),
            MovementCause::Adjusted {
                operation,
                change,
                reason,
            } => {
                let (change, amount) = match change {
                    StockChange::Receive(quantity) => ("receive", signed(quantity.get())),
                    StockChange::Correct(by) => ("correct", *by),
                    StockChange::Set(count) => ("set", signed(*count)),
                };
                Self {
                    name: "adjusted",
                    id: operation.as_str(),
                    asked: Some((change, amount, reason.as_str())),
                }
            }
            MovementCause::OpeningBalance => Self {
                name: "opening_balance",
                id: "",
                asked: None,
            },
        }
    }
}

fn version(found: &PgRow) -> Result<Version, Unreadable> {
    let epoch: i64 = found.try_get("epoch")?;
    Ok(Version::new(u32::try_from(epoch)?, count(found, "number")?))
}

fn count(found: &PgRow, column: &str) -> Result<u64, Unreadable> {
    Ok(u64::try_from(found.try_get::<i64, _>(column)?)?)
}

/// Counts stay below 2^53, and the numbers of versions below 2^63.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
