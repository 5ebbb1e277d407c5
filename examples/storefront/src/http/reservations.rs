//! `/reserve` and `/reservations`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use stockade_inventory_core::{
    ActingFor, Effect, Line, Lines, OwnerId, Reservation, ReservationId, ReservationState,
    ReserveRequest, Transition, Transitioned, Ttl,
};

use super::extract::{Body, Segment};
use super::problem::Problem;
use super::time;
use crate::shop::Shop;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveBody {
    lines: Vec<Line>,
    owner: OwnerId,
    ttl_seconds: Option<u64>,
}

pub(super) async fn reserve(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    Body(body): Body<ReserveBody>,
) -> Result<Response, Problem> {
    let id = match headers.get("idempotency-key") {
        None => ReservationId::random(),
        Some(key) => ReservationId::derived(&body.owner, idempotency_key(key)?),
    };
    let request = ReserveRequest::new(id, body.owner, Lines::new(body.lines)?)
        .with_ttl(ttl(body.ttl_seconds)?);
    let reserved = shop.inventory.reserve(request).await?;
    let location = format!("/reservations/{}", reserved.reservation.id);
    // A repeated request finds the reservation in whatever state it is by now.
    let (status, replayed) = match reserved.effect {
        Effect::Applied => (StatusCode::CREATED, "false"),
        Effect::Repeated => (StatusCode::OK, "true"),
    };
    let headers = [
        (header::LOCATION, location),
        (REPLAYED, replayed.to_owned()),
    ];
    Ok((
        status,
        headers,
        Json(json(&reserved.reservation, reserved.remaining)),
    )
        .into_response())
}

fn idempotency_key(value: &HeaderValue) -> Result<&str, Problem> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(key),
        _ => Err(Problem::invalid(
            "Idempotency-Key",
            "it has to be 1 to 255 bytes of UTF-8",
        )),
    }
}

fn ttl(seconds: Option<u64>) -> Result<Ttl, Problem> {
    let Some(seconds) = seconds else {
        return Ok(Ttl::default());
    };
    Ttl::new(Duration::from_secs(seconds))
        .map_err(|_| Problem::invalid("ttl_seconds", "it has to be 1 to 2592000 (30 days)"))
}

pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
) -> Result<Json<Value>, Problem> {
    let reservation = shop.inventory.reservation(&ReservationId::new(id)?).await?;
    let remaining = reservation.deadline.since(shop.now()).unwrap_or_default();
    Ok(Json(json(&reservation, remaining)))
}

/// The body of a step: on whose behalf, if it matters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    owner: Option<OwnerId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendBody {
    owner: Option<OwnerId>,
    ttl_seconds: Option<u64>,
}

fn acting_for(owner: Option<OwnerId>) -> ActingFor {
    owner.map_or(ActingFor::Anyone, ActingFor::Owner)
}

pub(super) async fn confirm(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<Value>, Problem> {
    step(&shop, id, Transition::Confirm, body).await
}

pub(super) async fn release(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<Value>, Problem> {
    step(&shop, id, Transition::Release, body).await
}

pub(super) async fn cancel(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<Value>, Problem> {
    step(&shop, id, Transition::Cancel, body).await
}

pub(super) async fn fulfil(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<Value>, Problem> {
    step(&shop, id, Transition::Fulfil, body).await
}

async fn step(
    shop: &Shop,
    id: String,
    transition: Transition,
    body: StepBody,
) -> Result<Json<Value>, Problem> {
    let id = ReservationId::new(id)?;
    let acting_for = acting_for(body.owner);
    let inventory = &shop.inventory;
    let done = match transition {
        Transition::Confirm => inventory.confirm(&id, acting_for).await,
        Transition::Release => inventory.release(&id, acting_for).await,
        Transition::Cancel => inventory.cancel(&id, acting_for).await,
        Transition::Fulfil => inventory.fulfil(&id, acting_for).await,
    }?;
    Ok(Json(transitioned(&done)))
}

pub(super) async fn extend(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<ExtendBody>,
) -> Result<Json<Value>, Problem> {
    let until = shop.now().plus(ttl(body.ttl_seconds)?.get());
    let id = ReservationId::new(id)?;
    let done = shop
        .inventory
        .extend(&id, until, acting_for(body.owner))
        .await?;
    Ok(Json(transitioned(&done)))
}

fn transitioned(done: &Transitioned) -> Value {
    json(&done.reservation, done.remaining)
}

fn json(reservation: &Reservation, remaining: Duration) -> Value {
    let remaining = match reservation.state {
        ReservationState::Held => remaining,
        _ => Duration::ZERO,
    };
    json!({
        "id": reservation.id,
        "owner": reservation.owner,
        "state": reservation.state,
        "lines": reservation.lines,
        "deadline": time(reservation.deadline),
        "remaining_seconds": remaining.as_secs_f64(),
        "created_at": time(reservation.created_at),
        "changed_at": time(reservation.changed_at),
    })
}
