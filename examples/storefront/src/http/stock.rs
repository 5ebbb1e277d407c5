//! `/stock`.

use std::num::NonZeroI64;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stockade_inventory_core::{
    Adjustment, Cursor, Effect, InventoryError, LocationId, Movement, MovementCause, OperationId,
    Quantity, Reason, Sku, SkuStock, StockChange, StockLevel, Version,
};
use utoipa::ToSchema;

use super::extract::{Body, Params, Segment, limit};
use super::problem::Problem;
use super::time;
use crate::shop::Shop;

/// The stock of a SKU, at all its locations.
#[derive(Serialize, ToSchema)]
#[schema(as = Stock)]
pub(super) struct StockBody {
    #[schema(value_type = String, example = "lamp-one-off")]
    sku: Sku,
    /// Units that are there.
    physical: u64,
    /// Of these, promised to reservations.
    reserved: u64,
    /// Of these, set aside and not yet promised.
    escrowed: u64,
    /// Physical without reserved.
    available: u64,
    #[schema(value_type = VersionBody)]
    version: Version,
    #[schema(format = DateTime)]
    changed_at: String,
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

/// Orders the states of a level: by the epoch, then by the number.
#[derive(Serialize, ToSchema)]
#[schema(as = StockVersion)]
#[allow(dead_code, reason = "only its schema is used")]
struct VersionBody {
    epoch: u32,
    number: u64,
}

/// A change of a level.
#[derive(Serialize, ToSchema)]
#[schema(as = Movement)]
struct MovementBody {
    #[schema(value_type = String, example = "default")]
    location: LocationId,
    #[schema(value_type = VersionBody)]
    version: Version,
    #[schema(format = DateTime)]
    at: String,
    /// By how much the counts changed.
    physical: i64,
    reserved: i64,
    escrowed: i64,
    /// Why: `{"reserved": id}` and so on by the reservation's step, or `{"adjusted": {...}}`.
    #[schema(value_type = Object)]
    cause: MovementCause,
}

/// Some movements of a SKU.
#[derive(Serialize, ToSchema)]
#[schema(as = Movements)]
pub(super) struct MovementsBody {
    movements: Vec<MovementBody>,
    /// Where the next page begins (`after`); null on the last.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// What an adjustment did.
#[derive(Serialize, ToSchema)]
#[schema(as = Adjusted)]
pub(super) struct AdjustedBody {
    /// The level as it is now.
    level: LevelBody,
    /// What the adjustment did, when it took effect.
    movement: MovementBody,
    /// Whether it took effect before, under the same `operation_id`.
    repeated: bool,
}

/// How many units there are
#[utoipa::path(get, path = "/stock/{sku}", tag = "stock", operation_id = "stock",
    params(("sku" = String, Path, example = "lamp-one-off")),
    responses(
        (status = 200, description = "The stock of the SKU", body = StockBody),
        (status = 404, description = "No stock is kept of it"),
    ),
)]
pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    Segment(sku): Segment,
) -> Result<Json<StockBody>, Problem> {
    let sku = Sku::new(sku)?;
    let found = shop.inventory.stock(std::slice::from_ref(&sku)).await?;
    match found.into_iter().next().flatten() {
        Some(stock) => Ok(Json(body(&stock))),
        None => {
            Err(Problem::not_found(format!("no stock is kept of SKU {sku}")).with("field", "sku"))
        }
    }
}

/// Why there are so many
///
/// Those of one location in the order in which they took effect; those of an unknown SKU are none.
#[utoipa::path(get, path = "/stock/{sku}/movements", tag = "stock",
    params(
        ("sku" = String, Path, example = "lamp-one-off"),
        ("after" = Option<String>, Query, description = "Where the page before ended: its `next`"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 100, description = "Most movements: 100 if not said"),
    ),
    responses((status = 200, description = "A page of movements", body = MovementsBody)),
)]
pub(super) async fn movements(
    State(shop): State<Arc<Shop>>,
    Segment(sku): Segment,
    params: Params,
) -> Result<Json<MovementsBody>, Problem> {
    let params = params.only(&["after", "limit"])?;
    let after = params.get("after").map(|after| Cursor(after.to_owned()));
    let page = shop
        .inventory
        .movements(&Sku::new(sku)?, after.as_ref(), limit(&params, 100)?)
        .await?;
    Ok(Json(MovementsBody {
        movements: page.movements.into_iter().map(movement).collect(),
        next: page.next,
    }))
}

/// A change of stock: exactly one of `set`, `receive` and `correct`.
#[derive(Deserialize, ToSchema)]
#[schema(as = Adjust, example = json!({"sku": "lamp-one-off", "receive": 5, "reason": "delivery", "operation_id": "delivery-17"}))]
#[serde(deny_unknown_fields)]
pub(super) struct AdjustBody {
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    sku: Sku,
    /// `default` if not said.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    location: Option<LocationId>,
    /// So many units are there.
    #[schema(maximum = 9007199254740991_i64)]
    set: Option<u64>,
    /// So many units came in.
    #[schema(value_type = Option<u64>, minimum = 1)]
    receive: Option<Quantity>,
    /// The count was off by so many, up or down.
    #[schema(value_type = Option<i64>)]
    correct: Option<NonZeroI64>,
    /// Why, for people who read the movements.
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    reason: Reason,
    /// The same id takes effect once, however often it is sent.
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
                "exactly one of set, receive and correct is needed",
            )),
        }
    }
}

/// Count, receive or correct units
#[utoipa::path(post, path = "/stock", tag = "stock", request_body = AdjustBody, responses(
    (status = 200, description = "It took effect, now or before", body = AdjustedBody),
    (status = 409, description = "More units are promised"),
    (status = 422, description = "The operation id stands for another adjustment"),
))]
pub(super) async fn adjust(
    State(shop): State<Arc<Shop>>,
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
    let mut outcomes = shop.inventory.adjust(&[adjustment]).await?;
    let adjusted = match outcomes.pop() {
        // What inventory calls the stock is what the request called by one of three names.
        Some(Err(InventoryError::Invalid { reason, .. })) => {
            return Err(Problem::invalid(field, reason));
        }
        Some(outcome) => outcome?,
        None => return Err(Problem::busy(std::time::Duration::from_secs(1))),
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
        changed_at: time(stock.changed_at()),
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
        changed_at: time(level.changed_at),
    }
}

fn movement(movement: Movement) -> MovementBody {
    MovementBody {
        location: movement.location,
        version: movement.version,
        at: time(movement.at),
        physical: movement.delta.physical,
        reserved: movement.delta.reserved,
        escrowed: movement.delta.escrowed,
        cause: movement.cause,
    }
}
