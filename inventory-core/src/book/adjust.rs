//! Adjusting physical stock.

use std::collections::BTreeMap;

use crate::book::{Book, units};
use crate::error::InventoryError;
use crate::model::{
    Adjusted, Adjustment, Counts, Delta, Effect, Movement, MovementCause, StockChange,
};

impl Book {
    /// Changes physical stock, or finds the movement that an earlier call with this operation id
    /// made.
    ///
    /// The content of an operation is its SKU, location and change. The reason is for people; the
    /// first reason is kept. Every adjustment makes a movement, even one that sets the count to its
    /// present value, so that the operation id is known.
    ///
    /// # Errors
    /// As for [`InventoryStore::adjust`](crate::InventoryStore::adjust).
    pub fn adjust(&mut self, adjustment: &Adjustment) -> Result<Adjusted, InventoryError> {
        if let Some(earlier) = self.operations.get(&adjustment.operation) {
            return self.repeated(adjustment, earlier.clone());
        }
        let delta = Delta {
            physical: self.change(adjustment)?,
            ..Delta::default()
        };
        let Adjustment {
            operation,
            sku,
            location,
            change,
            reason,
        } = adjustment.clone();
        let cause = MovementCause::Adjusted {
            operation: operation.clone(),
            change,
            reason,
        };
        let deltas = BTreeMap::from([((sku, location), delta)]);
        let movement = self.move_units(deltas, &cause)?.remove(0);
        self.load_operation(operation, movement.clone());
        self.adjusted(movement, Effect::Applied)
    }

    fn repeated(
        &self,
        adjustment: &Adjustment,
        earlier: Movement,
    ) -> Result<Adjusted, InventoryError> {
        let same_change = matches!(
            &earlier.cause,
            MovementCause::Adjusted { change, .. } if *change == adjustment.change
        );
        let same_place = earlier.sku == adjustment.sku && earlier.location == adjustment.location;
        if !(same_change && same_place) {
            let id = adjustment.operation.clone();
            return Err(InventoryError::OperationConflict { id });
        }
        self.adjusted(earlier, Effect::Repeated)
    }

    fn adjusted(&self, movement: Movement, effect: Effect) -> Result<Adjusted, InventoryError> {
        let Some(level) = self.level(&movement.sku, &movement.location).cloned() else {
            let (sku, location) = (&movement.sku, &movement.location);
            let what = format!("{sku} at {location} was adjusted, and has no level");
            return Err(InventoryError::Damaged { what });
        };
        Ok(Adjusted::new(movement, level, effect))
    }

    /// By how many units the physical count changes.
    fn change(&self, adjustment: &Adjustment) -> Result<i64, InventoryError> {
        let level = self.level(&adjustment.sku, &adjustment.location);
        let counts = level.map(|level| level.counts).unwrap_or_default();
        let before = units(counts.physical());
        let after = match adjustment.change {
            StockChange::Receive(quantity) => i128::from(before) + i128::from(quantity.get()),
            StockChange::Set(count) => i128::from(count),
            StockChange::Correct(0) => {
                let reason = "a correction must be at least one unit, up or down";
                return Err(InventoryError::invalid("change", "0", reason));
            }
            StockChange::Correct(by) if by < 0 && level.is_none() => {
                let skus = vec![adjustment.sku.clone()];
                return Err(InventoryError::UnknownSku { skus });
            }
            StockChange::Correct(by) => i128::from(before) + i128::from(by),
        };
        let Some(after) = u64::try_from(after)
            .ok()
            .filter(|after| *after <= Counts::MAX)
        else {
            let reason = format!("the physical count must stay within 0 to {}", Counts::MAX);
            return Err(InventoryError::invalid("stock", after.to_string(), reason));
        };
        let promised = counts.reserved() + counts.escrowed();
        if after < promised {
            return Err(InventoryError::BelowPromised {
                sku: adjustment.sku.clone(),
                location: adjustment.location.clone(),
                promised,
                short: promised - after,
            });
        }
        Ok(units(after) - before)
    }
}
