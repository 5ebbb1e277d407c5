//! `/stock`.

use std::num::{NonZeroI64, NonZeroUsize};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stockade_inventory_core::{
    Adjustment, Cursor, Effect, InventoryError, LocationId, Movement, MovementCause, OperationId,
    Quantity, Reason, Sku, SkuStock, StockChange, StockLevel, Version,
};
use utoipa::ToSchema;

use super::{Desk, rfc3339};
use crate::extract::{Body, Query, Segment};
use crate::problem::Problem;

/// The most movements on a page.
const PAGE: NonZeroUsize = NonZeroUsize::new(100).expect("it is not 0");

/// The stock of a SKU at all its locations.
#[derive(Serialize, ToSchema)]
#[schema(as = Stock)]
pub(super) struct StockBody {
    #[schema(value_type = String, example = "lamp-one-off")]
    sku: Sku,
    /// Units in stock.
    physical: u64,
    /// Physical units that are promised to reservations.
    reserved: u64,
    /// Physical units that are set aside for future reservations.
    escrowed: u64,
    /// Physical minus reserved units.
    available: u64,
    #[schema(value_type = VersionBody)]
    version: Version,
    #[schema(format = DateTime)]
    changed_at: String,
    /// The stock at each location.
    locations: Vec<LevelBody>,
}

/// The stock of a SKU at one location.
#[derive(Serialize, ToSchema)]
#[schema(as = Level)]
struct LevelBody {
    #[schema(value_type = String, example = "lamp-one-off")]
    sku: Sku,
    #[schema(value_type = String, example = "default")]
    location: LocationId,
    physical: u64,
    reserved: u64,
    escrowed: u64,
    available: u64,
    #[schema(value_type = VersionBody)]
    version: Version,
    #[schema(format = DateTime)]
    changed_at: String,
}

/// Orders the changes of a stock level: by epoch, then by number.
#[derive(Serialize, ToSchema)]
#[schema(as = StockVersion)]
#[allow(dead_code, reason = "only its schema is used")]
struct VersionBody {
    epoch: u32,
    number: u64,
}

/// A change of a stock level.
#[derive(Serialize, ToSchema)]
#[schema(as = Movement)]
struct MovementBody {
    #[schema(value_type = String, example = "default")]
    location: LocationId,
    #[schema(value_type = VersionBody)]
    version: Version,
    #[schema(format = DateTime)]
    at: String,
    /// The change of the physical units.
    physical: i64,
    /// The change of the reserved units.
    reserved: i64,
    /// The change of the escrowed units.
    escrowed: i64,
    /// The cause: `{"reserved": id}` and so on for a change of a reservation, or
    /// `{"adjusted": {…}}`.
    #[schema(value_type = Object)]
    cause: MovementCause,
}

/// A page of movements.
#[derive(Serialize, ToSchema)]
#[schema(as = Movements)]
pub(super) struct MovementsBody {
    movements: Vec<MovementBody>,
    /// The `after` of the next page; null on the last page.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// The effect of an adjustment.
#[derive(Serialize, ToSchema)]
#[schema(as = Adjusted)]
pub(super) struct AdjustedBody {
    /// The current stock level.
    level: LevelBody,
    /// The change that the adjustment made.
    movement: MovementBody,
    /// Whether the adjustment took effect earlier, with the same `operation_id`.
    repeated: bool,
}

/// Get the stock of a SKU
#[utoipa::path(get, path = "/stock/{sku}", tag = "stock", operation_id = "getStock",
    params(("sku" = String, Path, example = "lamp-one-off")),
    responses(
        (status = 200, description = "The stock of the SKU", body = StockBody),
        (status = 404, description = "No stock is kept of the SKU"),
    ),
)]
pub(super) async fn show(
    State(desk): State<Desk>,
    Segment(sku): Segment,
) -> Result<Json<StockBody>, Problem> {
    let sku = Sku::new(sku)?;
    let found = desk.inventory.stock(std::slice::from_ref(&sku)).await?;
    match found.into_iter().next().flatten() {
        Some(stock) => Ok(Json(body(&stock))),
        None => {
            Err(Problem::not_found(format!("no stock is kept of SKU {sku}")).with("field", "sku"))
        }
    }
}

/// List the stock movements of a SKU
///
/// Movements of one location are in the order in which they took effect. An unknown SKU has none.
#[utoipa::path(get, path = "/stock/{sku}/movements", tag = "stock", operation_id = "listStockMovements",
    params(
        ("sku" = String, Path, example = "lamp-one-off"),
        ("after" = Option<String>, Query, description = "The `next` of the previous page"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 100, description = "The most movements on the page; 100 by default"),
    ),
    responses((status = 200, description = "A page of movements", body = MovementsBody)),
)]
pub(super) async fn movements(
    State(desk): State<Desk>,
    Segment(sku): Segment,
    params: Query,
) -> Result<Json<MovementsBody>, Problem> {
    let params = params.only(&["after", "limit"], &[])?;
    let limit = params.number_within("limit", 1..=PAGE.get())?;
    let limit = limit.and_then(NonZeroUsize::new).unwrap_or(PAGE);
    let after = params.get("after").map(|after| Cursor(after.to_owned()));
    let page = desk
        .inventory
        .movements(&Sku::new(sku)?, after.as_ref(), limit)
        .await?;
    Ok(Json(MovementsBody {
        movements: page.movements.into_iter().map(movement).collect(),
        next: page.next,
    }))
}

/// An adjustment of a stock level: exactly one of `set`, `receive` and `correct`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Adjust, example = json!({"sku": "lamp-one-off", "receive": 5, "reason": "delivery", "operation_id": "delivery-17"}))]
#[serde(deny_unknown_fields)]
pub(super) struct AdjustBody {
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    sku: Sku,
    /// The location; `default` by default.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    location: Option<LocationId>,
    /// Set the physical units to this number.
    #[schema(maximum = 9007199254740991_i64)]
    set: Option<u64>,
    /// Add this number of physical units.
    #[schema(value_type = Option<u64>, minimum = 1)]
    receive: Option<Quantity>,
    /// Correct the physical units by this number, which may be negative.
    #[schema(value_type = Option<i64>)]
    correct: Option<NonZeroI64>,
    /// The reason, for people who read the movements.
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    reason: Reason,
    /// Identifies the adjustment, which takes effect once even if the request is repeated.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    operation_id: OperationId,
}

impl AdjustBody {
    fn change(&self) -> Result<StockChange, Problem> {
        match (self.set, self.receive, self.correct) {
            (Some(units), None, None) => Ok(StockChange::Set(units)),
            (None, Some(quantity), None) => Ok(StockChange::Receive(quantity)),
            (None, None, Some(units)) => Ok(StockChange::Correct(units.get())),
            _ => Err(Problem::invalid(
                "set",
                "exactly one of set, receive and correct must be given",
            )),
        }
    }
}

/// Set, receive or correct stock
#[utoipa::path(post, path = "/stock", tag = "stock", operation_id = "adjustStock", request_body = AdjustBody, responses(
    (status = 200, description = "Done, or already done earlier", body = AdjustedBody),
    (status = 409, description = "More units are promised than would be left"),
    (status = 422, description = "The operation id was used for another adjustment"),
))]
pub(super) async fn adjust(
    State(desk): State<Desk>,
    Body(body): Body<AdjustBody>,
) -> Result<Json<AdjustedBody>, Problem> {
    let change = body.change()?;
    let field = match change {
        StockChange::Set(_) => "set",
        StockChange::Receive(_) => "receive",
        StockChange::Correct(_) => "correct",
    };
    let location = body.location.unwrap_or_default();
    let adjustment = Adjustment::new(body.operation_id, body.sku, change, body.reason).at(location);
    let mut outcomes = desk.inventory.adjust(&[adjustment]).await?;
    let adjusted = match outcomes.pop() {
        // Inventory has one name for the number that the request has under one of three.
        Some(Err(InventoryError::Invalid { reason, .. })) => {
            return Err(Problem::invalid(field, reason));
        }
        Some(outcome) => outcome?,
        None => return Err(Problem::overloaded(std::time::Duration::from_secs(1))),
    };
    Ok(Json(AdjustedBody {
        level: level(&adjusted.level),
        movement: movement(adjusted.movement),
        repeated: adjusted.effect == Effect::Repeated,
    }))
}

fn body(stock: &SkuStock) -> StockBody {
    StockBody {
        sku: stock.sku().clone(),
        physical: stock.physical(),
        reserved: stock.reserved(),
        escrowed: stock.escrowed(),
        available: stock.available(),
        version: stock.version(),
        changed_at: rfc3339(stock.changed_at()),
        locations: stock.levels().iter().map(level).collect(),
    }
}

fn level(level: &StockLevel) -> LevelBody {
    LevelBody {
        sku: level.sku.clone(),
        location: level.location.clone(),
        physical: level.counts.physical(),
        reserved: level.counts.reserved(),
        escrowed: level.counts.escrowed(),
        available: level.counts.available(),
        version: level.version,
        changed_at: rfc3339(level.changed_at),
    }
}

fn movement(movement: Movement) -> MovementBody {
    MovementBody {
        location: movement.location,
        version: movement.version,
        at: rfc3339(movement.at),
        physical: movement.delta.physical,
        reserved: movement.delta.reserved,
        escrowed: movement.delta.escrowed,
        cause: movement.cause,
    }
}
