//! `/stock`.

use std::num::NonZeroI64;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use stockade_inventory_core::{
    Adjustment, Cursor, Effect, InventoryError, LocationId, Movement, OperationId, Quantity,
    Reason, Sku, SkuStock, StockChange,
};

use super::extract::{Body, Params, Segment, limit};
use super::problem::Problem;
use super::time;
use crate::shop::Shop;

pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    Segment(sku): Segment,
) -> Result<Json<Value>, Problem> {
    let sku = Sku::new(sku)?;
    let found = shop.inventory.stock(std::slice::from_ref(&sku)).await?;
    match found.into_iter().next().flatten() {
        Some(stock) => Ok(Json(json(&stock))),
        None => {
            Err(Problem::not_found(format!("no stock is kept of SKU {sku}")).with("field", "sku"))
        }
    }
}

pub(super) async fn movements(
    State(shop): State<Arc<Shop>>,
    Segment(sku): Segment,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let params = params.only(&["after", "limit"])?;
    let after = params.get("after").map(|after| Cursor(after.to_owned()));
    let page = shop
        .inventory
        .movements(&Sku::new(sku)?, after.as_ref(), limit(&params, 100)?)
        .await?;
    Ok(Json(json!({
        "movements": page.movements.iter().map(movement).collect::<Vec<_>>(),
        "next": page.next,
    })))
}

/// One of `set`, `receive` and `correct`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdjustBody {
    sku: Sku,
    location: Option<LocationId>,
    set: Option<u64>,
    receive: Option<Quantity>,
    correct: Option<NonZeroI64>,
    reason: Reason,
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

pub(super) async fn adjust(
    State(shop): State<Arc<Shop>>,
    Body(body): Body<AdjustBody>,
) -> Result<Json<Value>, Problem> {
    let change = body.change()?;
    let field = match change {
        StockChange::Set(_) => "set",
        StockChange::Receive(_) => "receive",
        StockChange::Correct(_) => "correct",
    };
    let location = body.location.unwrap_or_default();
    let adjustment = Adjustment::new(body.operation_id, body.sku, change, body.reason).at(location);
    let mut outcomes = shop.inventory.adjust(&[adjustment]).await;
    let adjusted = match outcomes.pop() {
        // What inventory calls the stock is what the request called by one of three names.
        Some(Err(InventoryError::Invalid { reason, .. })) => {
            return Err(Problem::invalid(field, reason));
        }
        Some(outcome) => outcome?,
        None => return Err(Problem::busy(std::time::Duration::from_secs(1))),
    };
    Ok(Json(json!({
        "level": level(&adjusted.level),
        "movement": movement(&adjusted.movement),
        "repeated": adjusted.effect == Effect::Repeated,
    })))
}

fn json(stock: &SkuStock) -> Value {
    json!({
        "sku": stock.sku(),
        "physical": stock.physical(),
        "reserved": stock.reserved(),
        "escrowed": stock.escrowed(),
        "available": stock.available(),
        "version": stock.version(),
        "changed_at": time(stock.changed_at()),
        "locations": stock.levels().iter().map(level).collect::<Vec<_>>(),
    })
}

fn level(level: &stockade_inventory_core::StockLevel) -> Value {
    json!({
        "sku": level.sku,
        "location": level.location,
        "physical": level.counts.physical(),
        "reserved": level.counts.reserved(),
        "escrowed": level.counts.escrowed(),
        "available": level.counts.available(),
        "version": level.version,
        "changed_at": time(level.changed_at),
    })
}

fn movement(movement: &Movement) -> Value {
    json!({
        "location": movement.location,
        "version": movement.version,
        "at": time(movement.at),
        "physical": movement.delta.physical,
        "reserved": movement.delta.reserved,
        "escrowed": movement.delta.escrowed,
        "cause": movement.cause,
    })
}
