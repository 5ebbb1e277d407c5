//! The retention of the store of the self-tests.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    InventoryError, Purged, Reservation, ReservationState, StockRetention,
};

use super::rows::Rows;
use super::store::{Flaw, FlawedStore};

#[async_trait]
impl StockRetention for FlawedStore {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let until = self.now().minus(keep);
        let mut rows = self.rows();
        let mut old: Vec<_> = rows
            .reservations
            .values()
            .filter(|reservation| self.is_finished(reservation))
            .map(|reservation| (self.finished_at(reservation), reservation.id.clone()))
            .filter(|(at, _)| self.is_old(*at, until))
            .collect();
        old.sort();
        let all = old.len();
        old.truncate(self.step(limit));
        for (_, id) in &old {
            rows.reservations.remove(id);
        }
        Ok(Purged::new(old.len(), self.rest(old.len() < all)))
    }

    async fn purge_movements(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let until = self.now().minus(keep);
        let mut rows = self.rows();
        let old = rows.movements.iter().filter(|(_, movement)| {
            !movement.is_opening_balance() && self.is_old(movement.at, until)
        });
        let mut old: Vec<u64> = old.map(|(position, _)| *position).collect();
        let all = old.len();
        old.truncate(self.step(limit));
        for position in &old {
            self.purge_movement(&mut rows, *position);
        }
        if self.flaw == Flaw::MovesCursors {
            let movements = std::mem::take(&mut rows.movements).into_values();
            rows.movements = (0..).zip(movements).collect();
        }
        Ok(Purged::new(old.len(), self.rest(old.len() < all)))
    }
}

impl FlawedStore {
    fn is_finished(&self, reservation: &Reservation) -> bool {
        let confirmed = reservation.state == ReservationState::Confirmed;
        !reservation.state.is_live() || confirmed && self.flaw == Flaw::PurgesTheConfirmed
    }

    fn is_old(&self, at: Timestamp, until: Timestamp) -> bool {
        at < until || at == until && self.flaw != Flaw::KeepsTheExact
    }

    fn finished_at(&self, reservation: &Reservation) -> Timestamp {
        match self.flaw {
            Flaw::PurgesByTheGrant => reservation.created_at,
            _ => reservation.changed_at,
        }
    }

    fn purge_movement(&self, rows: &mut Rows, position: u64) {
        let Some(movement) = rows.movements.remove(&position) else {
            return;
        };
        if self.flaw == Flaw::LeavesNoBalance {
            return;
        }
        let earlier = rows.movements.iter().find(|(_, earlier)| {
            let here = self.flaw == Flaw::MixesLocations || earlier.location == movement.location;
            earlier.is_opening_balance() && earlier.sku == movement.sku && here
        });
        let earlier = earlier.map(|(position, opening)| (*position, opening.delta));
        let before = earlier.map(|(_, delta)| delta).unwrap_or_default();
        if let Some((earlier, _)) = earlier {
            rows.movements.remove(&earlier);
        }
        let mut opening = movement.into_opening_balance(before);
        if self.flaw == Flaw::ForgetsThePromised {
            opening.delta.reserved = 0;
        }
        rows.movements.insert(position, opening);
    }
}
