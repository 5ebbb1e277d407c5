//! How the store of the self-tests forgets.

use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Timestamp;
use stockade_inventory_core::{InventoryError, Reservation, ReservationState, StockRetention};

use crate::flawed_store::{Flaw, FlawedStore, Rows};

#[async_trait]
impl StockRetention for FlawedStore {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: usize,
    ) -> Result<usize, InventoryError> {
        let limit = self.limit(limit)?;
        let until = self.clock.now().minus(keep);
        let mut rows = self.rows();
        let mut old: Vec<_> = rows
            .reservations
            .values()
            .filter(|reservation| self.is_finished(reservation))
            .map(|reservation| (self.finished_at(reservation), reservation.id.clone()))
            .filter(|(at, _)| *at <= until)
            .collect();
        old.sort();
        old.truncate(limit);
        for (_, id) in &old {
            rows.reservations.remove(id);
        }
        Ok(old.len())
    }

    async fn purge_movements(&self, keep: Duration, limit: usize) -> Result<usize, InventoryError> {
        let limit = self.limit(limit)?;
        let until = self.clock.now().minus(keep);
        let mut rows = self.rows();
        let old: Vec<u64> = rows
            .movements
            .iter()
            .filter(|(_, movement)| !movement.is_opening_balance() && movement.at <= until)
            .map(|(place, _)| *place)
            .take(limit)
            .collect();
        for place in &old {
            self.purge_movement(&mut rows, *place);
        }
        if self.flaw == Flaw::MovesCursors {
            let movements = std::mem::take(&mut rows.movements).into_values();
            rows.movements = (0..).zip(movements).collect();
        }
        Ok(old.len())
    }
}

impl FlawedStore {
    fn limit(&self, limit: usize) -> Result<usize, InventoryError> {
        match limit {
            0 => Err(InventoryError::invalid(
                "limit",
                "0",
                "at least 1 is purged",
            )),
            _ if self.flaw == Flaw::IgnoresTheLimit => Ok(usize::MAX),
            _ => Ok(limit),
        }
    }

    fn is_finished(&self, reservation: &Reservation) -> bool {
        let confirmed = reservation.state == ReservationState::Confirmed;
        !reservation.state.is_live() || confirmed && self.flaw == Flaw::PurgesTheConfirmed
    }

    fn finished_at(&self, reservation: &Reservation) -> Timestamp {
        match self.flaw {
            Flaw::PurgesByTheGrant => reservation.created_at,
            _ => reservation.changed_at,
        }
    }

    fn purge_movement(&self, rows: &mut Rows, place: u64) {
        let Some(movement) = rows.movements.remove(&place) else {
            return;
        };
        if self.flaw == Flaw::LeavesNoBalance {
            return;
        }
        let earlier = rows.movements.iter().find(|(_, earlier)| {
            let here = self.flaw == Flaw::MixesLocations || earlier.location == movement.location;
            earlier.is_opening_balance() && earlier.sku == movement.sku && here
        });
        let earlier = earlier.map(|(place, opening)| (*place, opening.delta));
        let before = earlier.map(|(_, delta)| delta).unwrap_or_default();
        if let Some((earlier, _)) = earlier {
            rows.movements.remove(&earlier);
        }
        let mut opening = movement.into_opening_balance(before);
        if self.flaw == Flaw::ForgetsThePromised {
            opening.delta.reserved = 0;
        }
        rows.movements.insert(place, opening);
    }
}
