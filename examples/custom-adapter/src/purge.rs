//! Removing old rows.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use redb::ReadableTable;
use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    Delta, InventoryError, LocationId, Movement, MovementCause, Purged, Rest,
};

use crate::failed;
use crate::rows::{Rows, decode, encode};

/// The movement at a place in the listing of its SKU.
type Placed = ((String, u64), Movement);

impl Rows<'_> {
    /// Removes at most `limit` reservations that finished by `until`.
    pub(crate) fn purge_reservations(
        &mut self,
        until: Timestamp,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let failed = failed("purge_reservations");
        let old = ..(until.as_micros().saturating_add(1), "");
        let mut count = 0;
        for entry in self
            .finished
            .extract_from_if(old, |_, ()| true)
            .map_err(&failed)?
            .take(limit.get())
        {
            let (key, _) = entry.map_err(&failed)?;
            self.reservations.remove(key.value().1).map_err(&failed)?;
            count += 1;
        }
        let next = self.finished.range(old).map_err(&failed)?.next();
        Ok(Purged::new(count, Rest::more_if(next.is_some())))
    }

    /// Replaces at most `limit` movements that took effect by `until` by the opening balances of
    /// their levels.
    ///
    /// It reads the listings from their beginning, past the opening balances, as a file can.
    pub(crate) fn purge_movements(
        &mut self,
        until: Timestamp,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let failed = failed("purge_movements");
        let (openings, old) = self.old_movements(until, limit)?;
        let mut sums: HashMap<(String, LocationId), (Delta, u64)> = openings
            .into_iter()
            .map(|((sku, place), opening)| ((sku, opening.location), (opening.delta, place)))
            .collect();
        let count = old.len();
        for ((sku, place), movement) in old {
            if let MovementCause::Adjusted { operation, .. } = &movement.cause {
                self.operations
                    .remove(operation.as_str())
                    .map_err(&failed)?;
            }
            let level = (sku.clone(), movement.location.clone());
            let before = sums.get(&level).copied();
            let sum = before.map(|(sum, _)| sum).unwrap_or_default();
            let opening = movement.into_opening_balance(sum);
            self.movements
                .insert((sku.as_str(), place), encode(&opening).as_slice())
                .map_err(&failed)?;
            if let Some((_, earlier)) = before {
                let earlier = (sku.as_str(), earlier);
                self.movements.remove(earlier).map_err(&failed)?;
            }
            sums.insert(level, (opening.delta, place));
        }
        Ok(Purged::new(count, Rest::more_if(count == limit.get())))
    }

    /// The opening balances, and at most `limit` movements that took effect by `until`: of each
    /// SKU those before the first that is younger.
    fn old_movements(
        &self,
        until: Timestamp,
        limit: NonZeroUsize,
    ) -> Result<(Vec<Placed>, Vec<Placed>), InventoryError> {
        let failed = failed("purge_movements");
        let (mut openings, mut old) = (Vec::new(), Vec::new());
        let mut start = (String::new(), 0);
        while old.len() < limit.get() {
            let from = (start.0.as_str(), start.1);
            let next = self.movements.range(from..).map_err(&failed)?.next();
            let Some(next) = next.transpose().map_err(&failed)? else {
                break;
            };
            let (sku, place) = next.0.value();
            let (sku, movement) = (sku.to_owned(), decode::<Movement>(next.1.value())?);
            if movement.at > until {
                // The first key after all of this SKU.
                start = (format!("{sku}\0"), 0);
                continue;
            }
            start = (sku.clone(), place + 1);
            let found = if movement.is_opening_balance() {
                &mut openings
            } else {
                &mut old
            };
            found.push(((sku, place), movement));
        }
        Ok((openings, old))
    }
}
