//! A model of stock and reservations that is too simple to be wrong.

use std::collections::BTreeMap;

use stockade_change_feed::Timestamp;

use crate::error::{InventoryError as Error, Shortage};
use crate::model::*;

/// A request of any kind.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Reserve(ReserveRequest),
    Step(TransitionRequest),
    Extend(ExtendRequest),
    Expire(ReservationId),
    Adjust(Adjustment),
}

/// The comparable result of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Reservation(Effect, Reservation),
    Expiry(Expiry),
    Stock(Effect, u64),
    Refused(String),
}

pub(super) fn refused(error: &Error) -> Told {
    Told::Refused(error.to_string())
}

type Place = (Sku, LocationId);

/// Computes the expected result of a request, from physical counts and the list of reservations.
#[derive(Default)]
pub(super) struct Model {
    /// The order of the locations when a line names none.
    tried: Vec<LocationId>,
    physical: BTreeMap<Place, i64>,
    reservations: BTreeMap<ReservationId, Reservation>,
    operations: BTreeMap<OperationId, (Place, StockChange)>,
}

impl Model {
    pub(super) fn new(tried: impl Into<Vec<LocationId>>) -> Self {
        Self {
            tried: tried.into(),
            ..Self::default()
        }
    }

    fn open(&self, place: &Place) -> i64 {
        let live = self.reservations.values().filter(|r| r.state.is_live());
        let lines = live.flat_map(|r| &r.lines);
        let here = lines.filter(|l| l.sku == place.0 && l.location == place.1);
        self.physical[place] - here.map(|l| l.quantity.get() as i64).sum::<i64>()
    }

    pub(super) fn told(&mut self, now: Timestamp, ask: &Ask) -> Told {
        let done = match ask {
            Ask::Reserve(request) => self.reserve(now, request),
            Ask::Step(request) => self.step(now, request),
            Ask::Extend(request) => self.extend(now, request),
            Ask::Expire(id) => Ok(Told::Expiry(self.expire(now, id))),
            Ask::Adjust(adjustment) => self.adjust(adjustment),
        };
        done.unwrap_or_else(|error| refused(&error))
    }

    fn reserve(&mut self, now: Timestamp, request: &ReserveRequest) -> Result<Told, Error> {
        let lines = request.lines.as_slice();
        if let Some(earlier) = self.reservations.get(&request.id) {
            let mut left = earlier.lines.clone();
            let taken = lines.iter().all(|line| {
                let (taken, rest) = left.drain(..).partition::<Vec<_>, _>(|got| {
                    let there = line.location.as_ref().unwrap_or(&got.location);
                    got.sku == line.sku && got.location == *there
                });
                left = rest;
                let units: u64 = taken.iter().map(|got| got.quantity.get()).sum();
                units == line.quantity.get()
            });
            let same = taken && left.is_empty() && earlier.owner == request.owner;
            let conflict = Error::ReservationConflict {
                id: request.id.clone(),
            };
            let repeated = Told::Reservation(Effect::Repeated, earlier.clone());
            return if same { Ok(repeated) } else { Err(conflict) };
        }
        let (mut granted, mut unknown, mut short) = (vec![], vec![], vec![]);
        for line in lines {
            let tried: Vec<LocationId> = match &line.location {
                Some(location) => vec![location.clone()],
                None => self.tried.clone(),
            };
            let places = tried
                .into_iter()
                .map(|location| (line.sku.clone(), location));
            let places: Vec<Place> = places.filter(|p| self.physical.contains_key(p)).collect();
            let wanted = line.quantity.get() as i64;
            let place = places.iter().find(|place| self.open(place) >= wanted);
            match (place, places.iter().map(|place| self.open(place)).max()) {
                (_, None) => unknown.push(line.sku.clone()),
                (None, Some(open)) => short.push(Shortage::new(
                    line.sku.clone(),
                    line.location.clone(),
                    line.quantity.get(),
                    open as u64,
                )),
                (Some((sku, location)), _) => granted.push(ReservedLine {
                    sku: sku.clone(),
                    location: location.clone(),
                    quantity: line.quantity,
                }),
            }
        }
        unknown.dedup();
        if !unknown.is_empty() {
            return Err(Error::UnknownSku { skus: unknown });
        }
        if !short.is_empty() {
            return Err(Error::Insufficient { shortages: short });
        }
        let deadline = now.plus(request.ttl.get());
        let (id, owner) = (request.id.clone(), request.owner.clone());
        let reservation = Reservation::new(id.clone(), owner, granted, deadline, now);
        self.reservations.insert(id, reservation.clone());
        Ok(Told::Reservation(Effect::Applied, reservation))
    }

    /// The reservation, if it exists and belongs to the caller.
    fn find(&self, id: &ReservationId, acting_for: &ActingFor) -> Result<Reservation, Error> {
        let id = id.clone();
        match (self.reservations.get(&id), acting_for) {
            (None, _) => Err(Error::UnknownReservation { id }),
            (Some(r), ActingFor::Owner(owner)) if r.owner != *owner => Err(Error::NotOwner { id }),
            (Some(r), _) => Ok(r.clone()),
        }
    }

    fn put(&mut self, now: Timestamp, r: Reservation, state: ReservationState) -> Reservation {
        let r = r.with_state(state, now);
        if state == ReservationState::Fulfilled {
            for line in &r.lines {
                let place = (line.sku.clone(), line.location.clone());
                *self.physical.get_mut(&place).unwrap() -= line.quantity.get() as i64;
            }
        }
        self.reservations.insert(r.id.clone(), r.clone());
        r
    }

    fn step(&mut self, now: Timestamp, request: &TransitionRequest) -> Result<Told, Error> {
        use ReservationState::*;
        let (id, asked) = (request.id.clone(), Asked::Transition(request.transition));
        let found = self.find(&id, &request.acting_for)?;
        let (from, to) = match request.transition {
            Transition::Confirm => (Held, Confirmed),
            Transition::Release => (Held, Released),
            Transition::Cancel => (Confirmed, Cancelled),
            Transition::Fulfil => (Confirmed, Fulfilled),
        };
        if found.is_overdue(now) && to != Released {
            let actual = self.put(now, found, Expired).state;
            return Err(Error::WrongState { id, asked, actual });
        }
        if found.state == to || (to == Confirmed && found.state == Fulfilled) {
            return Ok(Told::Reservation(Effect::Repeated, found));
        }
        if found.state != from {
            let actual = found.state;
            return Err(Error::WrongState { id, asked, actual });
        }
        Ok(Told::Reservation(Effect::Applied, self.put(now, found, to)))
    }

    fn extend(&mut self, now: Timestamp, request: &ExtendRequest) -> Result<Told, Error> {
        let (id, asked) = (request.id.clone(), Asked::Extend);
        let mut found = self.find(&id, &request.acting_for)?;
        if found.is_overdue(now) {
            found = self.put(now, found, ReservationState::Expired);
        }
        if found.state != ReservationState::Held {
            let actual = found.state;
            return Err(Error::WrongState { id, asked, actual });
        }
        if request.until <= found.deadline {
            return Ok(Told::Reservation(Effect::Repeated, found));
        }
        found.deadline = request.until;
        let found = self.put(now, found, ReservationState::Held);
        Ok(Told::Reservation(Effect::Applied, found))
    }

    fn expire(&mut self, now: Timestamp, id: &ReservationId) -> Expiry {
        match self.reservations.get(id).cloned() {
            None => Expiry::Unknown,
            Some(r) if r.is_overdue(now) => {
                Expiry::Expired(self.put(now, r, ReservationState::Expired))
            }
            Some(r) if r.state == ReservationState::Held => Expiry::NotDue {
                remaining: r.deadline.since(now).unwrap(),
            },
            Some(r) => Expiry::Settled(r.state),
        }
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> Result<Told, Error> {
        let place = (adjustment.sku.clone(), adjustment.location.clone());
        let content = (place.clone(), adjustment.change);
        let id = adjustment.operation.clone();
        if let Some(earlier) = self.operations.get(&id) {
            if *earlier != content {
                return Err(Error::OperationConflict { id });
            }
            return Ok(Told::Stock(Effect::Repeated, self.physical[&place] as u64));
        }
        let before = self.physical.get(&place).copied();
        let after = match adjustment.change {
            StockChange::Receive(quantity) => before.unwrap_or(0) + quantity.get() as i64,
            StockChange::Set(count) => count as i64,
            StockChange::Correct(0) => {
                let reason = "a correction must be at least one unit, up or down";
                return Err(Error::invalid("change", "0", reason));
            }
            StockChange::Correct(by) if before.is_none() && by < 0 => {
                return Err(Error::UnknownSku {
                    skus: vec![place.0],
                });
            }
            StockChange::Correct(by) => before.unwrap_or(0) + by,
        };
        if after < 0 {
            let reason = format!("the physical count must stay within 0 to {}", Counts::MAX);
            return Err(Error::invalid("stock", after.to_string(), reason));
        }
        let promised = before.map_or(0, |before| before - self.open(&place));
        if after < promised {
            let (sku, location) = place;
            let (promised, short) = (promised as u64, (promised - after) as u64);
            return Err(Error::BelowPromised {
                sku,
                location,
                promised,
                short,
            });
        }
        self.physical.insert(place, after);
        self.operations.insert(id, content);
        Ok(Told::Stock(Effect::Applied, after as u64))
    }
}
