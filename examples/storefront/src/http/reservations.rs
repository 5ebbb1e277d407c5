//! `/reserve` and `/reservations`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stockade_inventory_core::{
    ActingFor, Effect, Line, Lines, LocationId, OwnerId, Quantity, Reservation, ReservationId,
    ReservationState, ReserveRequest, Sku, Transition, Transitioned, Ttl,
};
use utoipa::ToSchema;

use super::extract::{Body, Segment};
use super::problem::Problem;
use super::time;
use crate::shop::Shop;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What to hold, and for whom.
#[derive(Deserialize, ToSchema)]
#[schema(as = Reserve, example = json!({"lines": [{"sku": "lamp-one-off", "quantity": 1}], "owner": "ada"}))]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveBody {
    /// All of them or none.
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<LineBody>,
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    owner: OwnerId,
    /// 900 if not said.
    #[schema(minimum = 1, maximum = 2592000)]
    ttl_seconds: Option<u64>,
}

/// Units of one SKU.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = Line)]
#[serde(deny_unknown_fields)]
struct LineBody {
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    sku: Sku,
    /// Where to take them; if not said, the first location that holds all of them.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    location: Option<LocationId>,
    #[schema(value_type = u64, minimum = 1, maximum = 9007199254740991_i64)]
    quantity: Quantity,
}

/// A reservation.
#[derive(Serialize, ToSchema)]
#[schema(as = Reservation)]
pub(super) struct ReservationBody {
    #[schema(value_type = String)]
    id: ReservationId,
    #[schema(value_type = String, example = "ada")]
    owner: OwnerId,
    #[schema(value_type = StateBody)]
    state: ReservationState,
    /// What it holds, and where each is taken from.
    lines: Vec<LineBody>,
    #[schema(format = DateTime)]
    deadline: String,
    /// Until the deadline; 0 unless it is held.
    #[schema(minimum = 0)]
    remaining_seconds: f64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
}

/// Where a reservation is in its life.
#[derive(Serialize, ToSchema)]
#[schema(as = ReservationState)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
enum StateBody {
    Held,
    Confirmed,
    Fulfilled,
    Released,
    Expired,
    Cancelled,
}

/// Hold units
///
/// All lines are granted or none. With an `Idempotency-Key`, a request whose answer was lost can
/// be sent again: it finds its first grant.
#[utoipa::path(post, path = "/reserve", tag = "reservations",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Names the request among the owner's")),
    request_body = ReserveBody,
    responses(
        (status = 201, description = "Granted", body = ReservationBody,
            headers(("Location" = String, description = "The reservation"), ("Idempotent-Replayed" = bool))),
        (status = 200, description = "Granted before: the reservation as it is by now", body = ReservationBody,
            headers(("Location" = String, description = "The reservation"), ("Idempotent-Replayed" = bool))),
        (status = 409, description = "Too few units are open: `shortages` says of what"),
        (status = 422, description = "A SKU is unknown, or the key stands for another request"),
    ),
)]
pub(super) async fn reserve(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    Body(body): Body<ReserveBody>,
) -> Result<Response, Problem> {
    let id = match headers.get("idempotency-key") {
        None => ReservationId::random(),
        Some(key) => ReservationId::derived(&body.owner, idempotency_key(key)?),
    };
    let lines = Lines::new(body.lines.into_iter().map(LineBody::line))?;
    let request = ReserveRequest::new(id, body.owner, lines).with_ttl(ttl(body.ttl_seconds)?);
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
    let body = Json(body_of(reserved.reservation, reserved.remaining));
    Ok((status, headers, body).into_response())
}

impl LineBody {
    fn line(self) -> Line {
        let line = Line::new(self.sku, self.quantity);
        match self.location {
            Some(location) => line.at(location),
            None => line,
        }
    }
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

/// See a reservation
#[utoipa::path(get, path = "/reservations/{id}", tag = "reservations", operation_id = "reservation",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "As it is", body = ReservationBody),
        (status = 404, description = "There is none of this id"),
    ),
)]
pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
) -> Result<Json<ReservationBody>, Problem> {
    let reservation = shop.inventory.reservation(&ReservationId::new(id)?).await?;
    let remaining = reservation.deadline.since(shop.now()).unwrap_or_default();
    Ok(Json(body_of(reservation, remaining)))
}

/// The body of a step: on whose behalf, if it matters.
#[derive(Deserialize, ToSchema)]
#[schema(as = Step)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    /// Only if the reservation is this owner's.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    owner: Option<OwnerId>,
}

/// How long to hold it from now.
#[derive(Deserialize, ToSchema)]
#[schema(as = Extend)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendBody {
    /// Only if the reservation is this owner's.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    owner: Option<OwnerId>,
    /// 900 if not said.
    #[schema(minimum = 1, maximum = 2592000)]
    ttl_seconds: Option<u64>,
}

fn acting_for(owner: Option<OwnerId>) -> ActingFor {
    owner.map_or(ActingFor::Anyone, ActingFor::Owner)
}

/// Keep the units for good, as after payment
///
/// Past the deadline it expires instead, and the answer says so.
#[utoipa::path(post, path = "/reservations/{id}/confirm", tag = "reservations",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "So it is, now or before", body = ReservationBody),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "There is none of this id"),
        (status = 409, description = "Its `state` does not allow that"),
    ),
)]
pub(super) async fn confirm(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&shop, id, Transition::Confirm, body).await
}

/// Give a held reservation up
///
/// One that was confirmed is not touched.
#[utoipa::path(post, path = "/reservations/{id}/release", tag = "reservations",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "So it is, now or before", body = ReservationBody),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "There is none of this id"),
        (status = 409, description = "Its `state` does not allow that"),
    ),
)]
pub(super) async fn release(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&shop, id, Transition::Release, body).await
}

/// Give a confirmed reservation up
#[utoipa::path(post, path = "/reservations/{id}/cancel", tag = "reservations",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "So it is, now or before", body = ReservationBody),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "There is none of this id"),
        (status = 409, description = "Its `state` does not allow that"),
    ),
)]
pub(super) async fn cancel(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&shop, id, Transition::Cancel, body).await
}

/// Send the units out
///
/// Physical and reserved stock both fall.
#[utoipa::path(post, path = "/reservations/{id}/fulfil", tag = "reservations",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "So it is, now or before", body = ReservationBody),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "There is none of this id"),
        (status = 409, description = "Its `state` does not allow that"),
    ),
)]
pub(super) async fn fulfil(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&shop, id, Transition::Fulfil, body).await
}

async fn step(
    shop: &Shop,
    id: String,
    transition: Transition,
    body: StepBody,
) -> Result<Json<ReservationBody>, Problem> {
    let id = ReservationId::new(id)?;
    let acting_for = acting_for(body.owner);
    let inventory = &shop.inventory;
    let done = match transition {
        Transition::Confirm => inventory.confirm(&id, acting_for).await,
        Transition::Release => inventory.release(&id, acting_for).await,
        Transition::Cancel => inventory.cancel(&id, acting_for).await,
        Transition::Fulfil => inventory.fulfil(&id, acting_for).await,
    }?;
    Ok(Json(transitioned(done)))
}

/// Hold it longer
///
/// The deadline never moves back.
#[utoipa::path(post, path = "/reservations/{id}/extend", tag = "reservations",
    params(("id" = String, Path)),
    request_body = Option<ExtendBody>,
    responses(
        (status = 200, description = "So it is, now or before", body = ReservationBody),
        (status = 403, description = "It is somebody else's"),
        (status = 404, description = "There is none of this id"),
        (status = 409, description = "Its `state` does not allow that"),
    ),
)]
pub(super) async fn extend(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<ExtendBody>,
) -> Result<Json<ReservationBody>, Problem> {
    let until = shop.now().plus(ttl(body.ttl_seconds)?.get());
    let id = ReservationId::new(id)?;
    let done = shop
        .inventory
        .extend(&id, until, acting_for(body.owner))
        .await?;
    Ok(Json(transitioned(done)))
}

fn transitioned(done: Transitioned) -> ReservationBody {
    body_of(done.reservation, done.remaining)
}

fn body_of(reservation: Reservation, remaining: Duration) -> ReservationBody {
    let remaining = match reservation.state {
        ReservationState::Held => remaining,
        _ => Duration::ZERO,
    };
    let lines = reservation.lines.into_iter().map(|line| LineBody {
        sku: line.sku,
        location: Some(line.location),
        quantity: line.quantity,
    });
    ReservationBody {
        id: reservation.id,
        owner: reservation.owner,
        state: reservation.state,
        lines: lines.collect(),
        deadline: time(reservation.deadline),
        remaining_seconds: remaining.as_secs_f64(),
        created_at: time(reservation.created_at),
        changed_at: time(reservation.changed_at),
    }
}
