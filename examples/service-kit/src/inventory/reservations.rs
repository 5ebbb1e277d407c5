//! `/reserve` and `/reservations`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stockade_inventory_core::{
    ActingFor, Effect, Line, Lines, LocationId, OwnerId, Quantity, Reservation, ReservationId,
    ReservationState, ReserveRequest, Sku, Transition, Transitioned, Ttl,
};
use utoipa::ToSchema;

use super::{Desk, rfc3339};
use crate::extract::{Body, IdempotencyKey, Segment};
use crate::problem::Problem;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What to reserve, and for whom.
#[derive(Deserialize, ToSchema)]
#[schema(as = Reserve, example = json!({"lines": [{"sku": "lamp-one-off", "quantity": 1}], "owner": "ada"}))]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveBody {
    /// All lines are reserved, or none.
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<LineBody>,
    /// Who the units are reserved for.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    owner: OwnerId,
    /// Time until the reservation expires, in seconds; 900 by default.
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
    /// Where to take the units; by default the first location that has enough of them.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    location: Option<LocationId>,
    /// How many units.
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
    /// The reserved units, and the location of each line.
    lines: Vec<LineBody>,
    /// When the reservation expires, unless it is confirmed before.
    #[schema(format = DateTime)]
    deadline: String,
    /// Time until the deadline, in seconds; 0 unless the state is `held`.
    #[schema(minimum = 0)]
    remaining_seconds: f64,
    #[schema(format = DateTime)]
    created_at: String,
    /// When the state or the deadline changed last.
    #[schema(format = DateTime)]
    changed_at: String,
}

/// The state of a reservation.
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

/// Reserve units
///
/// All lines are reserved, or none. A request with an `Idempotency-Key` can be repeated, for
/// example after its answer was lost: it returns the reservation of the first request.
#[utoipa::path(post, path = "/reserve", tag = "reservations", operation_id = "reserve",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Names the request; unique for each request of the owner")),
    request_body = ReserveBody,
    responses(
        (status = 201, description = "The units are reserved", body = ReservationBody,
            headers(("Location" = String, description = "The path of the reservation"), ("Idempotent-Replayed" = bool, description = "`false`"))),
        (status = 200, description = "Already reserved by an earlier request with this key; the body has the current state", body = ReservationBody,
            headers(("Location" = String, description = "The path of the reservation"), ("Idempotent-Replayed" = bool, description = "`true`"))),
        (status = 409, description = "There is too little stock: `shortages` has the lines"),
        (status = 422, description = "A SKU is unknown, or the key was used for another request"),
    ),
)]
pub(super) async fn reserve(
    State(desk): State<Desk>,
    IdempotencyKey(key): IdempotencyKey,
    Body(body): Body<ReserveBody>,
) -> Result<Response, Problem> {
    let id = match key {
        None => ReservationId::random(),
        Some(key) => ReservationId::derived(&body.owner, &key),
    };
    let lines = body.lines.into_iter().map(|line| Line {
        sku: line.sku,
        location: line.location,
        quantity: line.quantity,
    });
    let lines = Lines::new(lines)?;
    let request = ReserveRequest::new(id, body.owner, lines).with_ttl(ttl(body.ttl_seconds)?);
    let reserved = desk.inventory.reserve(request).await?;
    let location = format!("/reservations/{}", reserved.reservation.id);
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

fn ttl(seconds: Option<u64>) -> Result<Ttl, Problem> {
    let Some(seconds) = seconds else {
        return Ok(Ttl::default());
    };
    Ttl::new(Duration::from_secs(seconds)).map_err(|_| {
        Problem::invalid(
            "ttl_seconds",
            format!("it must be 1 to 2592000 (30 days); got {seconds}"),
        )
    })
}

/// Get a reservation
#[utoipa::path(get, path = "/reservations/{id}", tag = "reservations", operation_id = "getReservation",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The reservation", body = ReservationBody),
        (status = 404, description = "The reservation does not exist"),
    ),
)]
pub(super) async fn show(
    State(desk): State<Desk>,
    Segment(id): Segment,
) -> Result<Json<ReservationBody>, Problem> {
    let reservation = desk.inventory.reservation(&ReservationId::new(id)?).await?;
    let remaining = reservation
        .deadline
        .since(desk.clock.now())
        .unwrap_or_default();
    Ok(Json(body_of(reservation, remaining)))
}

/// The owner of a reservation whose state changes.
#[derive(Deserialize, ToSchema)]
#[schema(as = Step)]
#[serde(deny_unknown_fields)]
pub(super) struct StepBody {
    /// If given, the reservation must belong to this owner.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    owner: Option<OwnerId>,
}

/// How long to extend a reservation.
#[derive(Deserialize, ToSchema)]
#[schema(as = Extend)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendBody {
    /// If given, the reservation must belong to this owner.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    owner: Option<OwnerId>,
    /// Time from now until the reservation expires, in seconds; 900 by default.
    #[schema(minimum = 1, maximum = 2592000)]
    ttl_seconds: Option<u64>,
}

fn acting_for(owner: Option<OwnerId>) -> ActingFor {
    owner.map_or(ActingFor::Anyone, ActingFor::Owner)
}

/// Confirm a reservation, for example after payment
///
/// A confirmed reservation does not expire. After the deadline, a held reservation can not be
/// confirmed: it expires, and the answer is 409.
#[utoipa::path(post, path = "/reservations/{id}/confirm", tag = "reservations", operation_id = "confirmReservation",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "Done, or already done earlier", body = ReservationBody),
        (status = 403, description = "The reservation belongs to another owner"),
        (status = 404, description = "The reservation does not exist"),
        (status = 409, description = "The state of the reservation, in `state`, does not allow this"),
    ),
)]
pub(super) async fn confirm(
    State(desk): State<Desk>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&desk, id, Transition::Confirm, body).await
}

/// Release a held reservation: its units are available again
///
/// A confirmed reservation can't be released; cancel it instead.
#[utoipa::path(post, path = "/reservations/{id}/release", tag = "reservations", operation_id = "releaseReservation",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "Done, or already done earlier", body = ReservationBody),
        (status = 403, description = "The reservation belongs to another owner"),
        (status = 404, description = "The reservation does not exist"),
        (status = 409, description = "The state of the reservation, in `state`, does not allow this"),
    ),
)]
pub(super) async fn release(
    State(desk): State<Desk>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&desk, id, Transition::Release, body).await
}

/// Cancel a confirmed reservation: its units are available again
#[utoipa::path(post, path = "/reservations/{id}/cancel", tag = "reservations", operation_id = "cancelReservation",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "Done, or already done earlier", body = ReservationBody),
        (status = 403, description = "The reservation belongs to another owner"),
        (status = 404, description = "The reservation does not exist"),
        (status = 409, description = "The state of the reservation, in `state`, does not allow this"),
    ),
)]
pub(super) async fn cancel(
    State(desk): State<Desk>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&desk, id, Transition::Cancel, body).await
}

/// Fulfil a confirmed reservation: its units were shipped
///
/// Physical and reserved stock both decrease.
#[utoipa::path(post, path = "/reservations/{id}/fulfil", tag = "reservations", operation_id = "fulfilReservation",
    params(("id" = String, Path)),
    request_body = Option<StepBody>,
    responses(
        (status = 200, description = "Done, or already done earlier", body = ReservationBody),
        (status = 403, description = "The reservation belongs to another owner"),
        (status = 404, description = "The reservation does not exist"),
        (status = 409, description = "The state of the reservation, in `state`, does not allow this"),
    ),
)]
pub(super) async fn fulfil(
    State(desk): State<Desk>,
    Segment(id): Segment,
    Body(body): Body<StepBody>,
) -> Result<Json<ReservationBody>, Problem> {
    step(&desk, id, Transition::Fulfil, body).await
}

async fn step(
    desk: &Desk,
    id: String,
    transition: Transition,
    body: StepBody,
) -> Result<Json<ReservationBody>, Problem> {
    let id = ReservationId::new(id)?;
    let acting_for = acting_for(body.owner);
    let inventory = &desk.inventory;
    let done = match transition {
        Transition::Confirm => inventory.confirm(&id, acting_for).await,
        Transition::Release => inventory.release(&id, acting_for).await,
        Transition::Cancel => inventory.cancel(&id, acting_for).await,
        Transition::Fulfil => inventory.fulfil(&id, acting_for).await,
    }?;
    Ok(Json(transitioned(done)))
}

/// Extend a held reservation
///
/// The deadline becomes later, never earlier.
#[utoipa::path(post, path = "/reservations/{id}/extend", tag = "reservations", operation_id = "extendReservation",
    params(("id" = String, Path)),
    request_body = Option<ExtendBody>,
    responses(
        (status = 200, description = "Done, or already done earlier", body = ReservationBody),
        (status = 403, description = "The reservation belongs to another owner"),
        (status = 404, description = "The reservation does not exist"),
        (status = 409, description = "The state of the reservation, in `state`, does not allow this"),
    ),
)]
pub(super) async fn extend(
    State(desk): State<Desk>,
    Segment(id): Segment,
    Body(body): Body<ExtendBody>,
) -> Result<Json<ReservationBody>, Problem> {
    let until = desk.clock.now().plus(ttl(body.ttl_seconds)?.get());
    let id = ReservationId::new(id)?;
    let done = desk
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
        deadline: rfc3339(reservation.deadline),
        remaining_seconds: remaining.as_secs_f64(),
        created_at: rfc3339(reservation.created_at),
        changed_at: rfc3339(reservation.changed_at),
    }
}
