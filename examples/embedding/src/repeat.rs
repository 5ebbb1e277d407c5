use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use stockade_inventory_core::*;

use crate::answer::{Answer, Refusal};

/// The same customer and key are the same request, however often it is sent.
pub fn request(
    owner: OwnerId,
    headers: &HeaderMap,
    lines: Vec<Line>,
) -> Result<ReserveRequest, Refusal> {
    let key = headers
        .get("Idempotency-Key")
        .and_then(|key| key.to_str().ok());
    let missing = || {
        Refusal(
            StatusCode::BAD_REQUEST,
            "Idempotency-Key is missing".to_owned(),
        )
    };
    let id = ReservationId::derived(&owner, key.ok_or_else(missing)?);
    Ok(ReserveRequest::new(id, owner, Lines::new(lines)?))
}

/// A request that is sent again finds its first grant, which may be over by now.
pub fn answer(reserved: Reserved) -> Answer<Reservation> {
    let Reservation { id, state, .. } = &reserved.reservation;
    let good = match state {
        ReservationState::Held => !reserved.remaining.is_zero(),
        ReservationState::Confirmed | ReservationState::Fulfilled => true,
        _ => false,
    };
    if good {
        return Ok(Json(reserved.reservation));
    }
    let over = format!("reservation {id} is over; ask again with a new Idempotency-Key");
    Err(Refusal(StatusCode::CONFLICT, over))
}
