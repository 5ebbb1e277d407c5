//! Granting requests.

use std::collections::BTreeMap;

use crate::book::{Book, put, units};
use crate::error::{InventoryError, Shortage};
use crate::model::{
    Delta, Durability, Effect, Line, MovementCause, Reservation, ReserveRequest, Reserved,
    ReservedLine, StockLevel,
};

/// The reason for which a line is not granted.
enum Refused {
    Unknown,
    Short(Shortage),
}

impl Book {
    /// Grants all lines of a request, finds its earlier grant, or refuses the request.
    ///
    /// The earlier grant has the same content if it has the same owner and the units that the lines
    /// ask for. A line without a location asks for units of its SKU at any location.
    ///
    /// # Errors
    /// As for [`InventoryStore::reserve`](crate::InventoryStore::reserve).
    pub fn reserve(&mut self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        let ReserveRequest {
            id,
            owner,
            lines,
            ttl,
            durability: durability @ Durability::Committed,
        } = request;
        // Before the stock: a caller that repeats its request may have taken the last unit.
        if let Some(earlier) = self.reservation(id) {
            if earlier.owner != *owner || !has_the_same(lines.as_slice(), &earlier.lines) {
                return Err(InventoryError::ReservationConflict { id: id.clone() });
            }
            let (earlier, effect) = (earlier.clone(), Effect::Repeated);
            return Ok(Reserved::new(earlier, effect, self.now, *durability));
        }
        let granted = self.grant(lines.as_slice())?;
        let deltas = granted
            .iter()
            .map(|line| {
                let reserved = units(line.quantity.get());
                let delta = Delta {
                    reserved,
                    ..Delta::default()
                };
                ((line.sku.clone(), line.location.clone()), delta)
            })
            .collect();
        self.move_units(deltas, &MovementCause::Reserved(id.clone()))?;
        let deadline = self.now.plus(ttl.get());
        let reservation = Reservation::new(id.clone(), owner.clone(), granted, deadline, self.now);
        put(&mut self.reservations, id.clone(), reservation.clone());
        let effect = Effect::Applied;
        Ok(Reserved::new(reservation, effect, self.now, *durability))
    }

    /// Finds a location for every line, or collects all reasons for a refusal.
    ///
    /// No two lines take from the same level, so each line is checked on its own.
    fn grant(&self, lines: &[Line]) -> Result<Vec<ReservedLine>, InventoryError> {
        let mut granted = Vec::with_capacity(lines.len());
        let (mut unknown, mut shortages) = (Vec::new(), Vec::new());
        for line in lines {
            match self.place(line) {
                Ok(level) => granted.push(ReservedLine {
                    sku: line.sku.clone(),
                    location: level.location.clone(),
                    quantity: line.quantity,
                }),
                Err(Refused::Unknown) => unknown.push(line.sku.clone()),
                Err(Refused::Short(shortage)) => shortages.push(shortage),
            }
        }
        if !unknown.is_empty() {
            unknown.dedup();
            return Err(InventoryError::UnknownSku { skus: unknown });
        }
        if !shortages.is_empty() {
            return Err(InventoryError::Insufficient { shortages });
        }
        Ok(granted)
    }

    /// The first level by priority that has all units of the line.
    fn place(&self, line: &Line) -> Result<&StockLevel, Refused> {
        let candidates = || {
            let levels = self.levels.get(&line.sku).into_iter();
            levels
                .flat_map(BTreeMap::values)
                .map(|entry| &entry.now)
                .filter(|level| {
                    line.location
                        .as_ref()
                        .is_none_or(|at| *at == level.location)
                })
        };
        let Some(open) = candidates().map(|level| level.counts.open()).max() else {
            return Err(Refused::Unknown);
        };
        let requested = line.quantity.get();
        candidates()
            .filter(|level| level.counts.open() >= requested)
            .min_by_key(|level| self.priority.rank(&level.location))
            .ok_or_else(|| {
                let (sku, location) = (line.sku.clone(), line.location.clone());
                Refused::Short(Shortage::new(sku, location, requested, open))
            })
    }
}

/// Whether these lines ask for exactly the units that were granted.
fn has_the_same(requested: &[Line], granted: &[ReservedLine]) -> bool {
    let fits = |line: &Line, got: &ReservedLine| {
        line.sku == got.sku && line.location.as_ref().is_none_or(|at| *at == got.location)
    };
    let nothing_else = granted
        .iter()
        .all(|got| requested.iter().any(|line| fits(line, got)));
    nothing_else
        && requested.iter().all(|line| {
            let got = granted.iter().filter(|got| fits(line, got));
            got.map(|got| got.quantity.get()).sum::<u64>() == line.quantity.get()
        })
}
