//! Legal steps, and the units that they move.

use std::collections::BTreeMap;

use crate::book::{Book, put, units};
use crate::error::InventoryError;
use crate::model::{
    ActingFor, Asked, Delta, Effect, Expiry, ExtendRequest, LocationId, MovementCause, Reservation,
    ReservationId, ReservationState, Sku, Transition, TransitionRequest, Transitioned, Ttl,
};

/// The effect of a transition in a state.
enum Step {
    To(ReservationState),
    AlreadyThere,
    Illegal,
}

fn step(from: ReservationState, transition: Transition) -> Step {
    use ReservationState::{Cancelled, Confirmed, Fulfilled, Held, Released};
    match (transition, from) {
        (Transition::Confirm, Held) => Step::To(Confirmed),
        (Transition::Release, Held) => Step::To(Released),
        (Transition::Cancel, Confirmed) => Step::To(Cancelled),
        (Transition::Fulfil, Confirmed) => Step::To(Fulfilled),
        (Transition::Confirm, Confirmed | Fulfilled)
        | (Transition::Release, Released)
        | (Transition::Cancel, Cancelled)
        | (Transition::Fulfil, Fulfilled) => Step::AlreadyThere,
        _ => Step::Illegal,
    }
}

impl Book {
    /// Takes a reservation one step further.
    ///
    /// After the deadline, every step except release expires the reservation instead. A release
    /// gives the units back anyway.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`](crate::InventoryStore::transition).
    pub fn transition(
        &mut self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        let TransitionRequest {
            id,
            transition,
            acting_for,
        } = request;
        let asked = Asked::Transition(*transition);
        let mut reservation = self.owned(id, acting_for)?.clone();
        if *transition != Transition::Release {
            self.refuse_overdue(&reservation, asked)?;
        }
        let effect = match step(reservation.state, *transition) {
            Step::To(state) => {
                reservation = self.settle(reservation, state)?;
                Effect::Applied
            }
            Step::AlreadyThere => Effect::Repeated,
            Step::Illegal => return Err(wrong_state(&reservation, asked)),
        };
        Ok(Transitioned::new(reservation, effect, self.now))
    }

    /// Moves a deadline to a later time.
    ///
    /// # Errors
    /// As for [`InventoryStore::extend`](crate::InventoryStore::extend).
    pub fn extend(&mut self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        let ExtendRequest {
            id,
            until,
            acting_for,
        } = request;
        let mut reservation = self.owned(id, acting_for)?.clone();
        self.refuse_overdue(&reservation, Asked::Extend)?;
        if reservation.state != ReservationState::Held {
            return Err(wrong_state(&reservation, Asked::Extend));
        }
        if *until <= reservation.deadline {
            return Ok(Transitioned::new(reservation, Effect::Repeated, self.now));
        }
        let latest = self.now.plus(Ttl::MAX.get());
        if *until > latest {
            let (value, reason) = (until.to_string(), format!("it has to be at most {latest}"));
            return Err(InventoryError::invalid("until", value, reason));
        }
        reservation.deadline = *until;
        reservation.changed_at = self.now;
        let id = reservation.id.clone();
        put(&mut self.reservations, id, reservation.clone());
        Ok(Transitioned::new(reservation, Effect::Applied, self.now))
    }

    /// Expires a reservation if it is held and overdue.
    ///
    /// # Errors
    /// [`InventoryError::Damaged`] when a level of its lines is missing or too small.
    pub fn expire(&mut self, id: &ReservationId) -> Result<Expiry, InventoryError> {
        let Some(reservation) = self.reservation(id) else {
            return Ok(Expiry::Unknown);
        };
        if reservation.state != ReservationState::Held {
            return Ok(Expiry::Settled(reservation.state));
        }
        if !reservation.is_overdue(self.now) {
            let remaining = reservation.deadline.since(self.now).unwrap_or_default();
            return Ok(Expiry::NotDue { remaining });
        }
        self.settle(reservation.clone(), ReservationState::Expired)
            .map(Expiry::Expired)
    }

    fn owned(
        &self,
        id: &ReservationId,
        acting_for: &ActingFor,
    ) -> Result<&Reservation, InventoryError> {
        let Some(reservation) = self.reservation(id) else {
            return Err(InventoryError::UnknownReservation { id: id.clone() });
        };
        match acting_for {
            ActingFor::Owner(owner) if *owner != reservation.owner => {
                Err(InventoryError::NotOwner { id: id.clone() })
            }
            ActingFor::Owner(_) | ActingFor::Anyone => Ok(reservation),
        }
    }

    /// Expires an overdue reservation, and returns the error that says so.
    fn refuse_overdue(
        &mut self,
        reservation: &Reservation,
        asked: Asked,
    ) -> Result<(), InventoryError> {
        if !reservation.is_overdue(self.now) {
            return Ok(());
        }
        let expired = self.settle(reservation.clone(), ReservationState::Expired)?;
        Err(wrong_state(&expired, asked))
    }

    /// Brings a reservation into a state, and moves its units accordingly.
    fn settle(
        &mut self,
        reservation: Reservation,
        state: ReservationState,
    ) -> Result<Reservation, InventoryError> {
        if let Some(cause) = cause(state, &reservation.id) {
            self.move_units(given_back(&reservation, state), &cause)?;
        }
        let reservation = reservation.with_state(state, self.now);
        let id = reservation.id.clone();
        put(&mut self.reservations, id, reservation.clone());
        Ok(reservation)
    }
}

/// The cause of the movements when a reservation comes into a state. None where no units move.
fn cause(state: ReservationState, id: &ReservationId) -> Option<MovementCause> {
    match state {
        ReservationState::Held | ReservationState::Confirmed => None,
        ReservationState::Released => Some(MovementCause::Released(id.clone())),
        ReservationState::Expired => Some(MovementCause::Expired(id.clone())),
        ReservationState::Cancelled => Some(MovementCause::Cancelled(id.clone())),
        ReservationState::Fulfilled => Some(MovementCause::Fulfilled(id.clone())),
    }
}

fn given_back(
    reservation: &Reservation,
    state: ReservationState,
) -> BTreeMap<(Sku, LocationId), Delta> {
    let mut deltas: BTreeMap<_, Delta> = BTreeMap::new();
    for line in &reservation.lines {
        let place = (line.sku.clone(), line.location.clone());
        let delta = deltas.entry(place).or_default();
        delta.reserved -= units(line.quantity.get());
        if state == ReservationState::Fulfilled {
            delta.physical -= units(line.quantity.get());
        }
    }
    deltas
}

fn wrong_state(reservation: &Reservation, asked: Asked) -> InventoryError {
    InventoryError::WrongState {
        id: reservation.id.clone(),
        asked,
        actual: reservation.state,
    }
}
