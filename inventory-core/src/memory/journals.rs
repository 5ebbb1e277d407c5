//! The movements of a store in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stockade_change_feed::Timestamp;

use crate::ids::{LocationId, OperationId, Sku};
use crate::stock::{Delta, Movement, MovementCause};

/// The movements of every SKU, those of an operation found by its id.
#[derive(Debug, Default)]
pub(super) struct Journals {
    by_sku: HashMap<Sku, Journal>,
    /// Where the movement of an operation is.
    operations: HashMap<OperationId, (Sku, u64)>,
    /// When the oldest movement of each SKU that is no opening balance took effect.
    oldest: BTreeSet<(Timestamp, Sku)>,
}

/// The movements of one SKU: first an opening balance of each location at most, then all others.
#[derive(Debug, Default)]
struct Journal {
    /// By their place, which no other movement ever gets.
    movements: BTreeMap<u64, Movement>,
    /// The place of the first that is no opening balance, or of the next that is written.
    oldest: u64,
    end: u64,
}

impl Journals {
    pub(super) fn write(&mut self, movement: Movement) {
        let sku = movement.sku.clone();
        let journal = self.by_sku.entry(sku.clone()).or_default();
        let place = journal.end;
        if let MovementCause::Adjusted { operation, .. } = &movement.cause {
            self.operations
                .insert(operation.clone(), (sku.clone(), place));
        }
        if journal.oldest == place {
            self.oldest.insert((movement.at, sku));
        }
        journal.movements.insert(place, movement);
        journal.end += 1;
    }

    pub(super) fn operation(&self, id: &OperationId) -> Option<&Movement> {
        let (sku, place) = self.operations.get(id)?;
        self.by_sku.get(sku)?.movements.get(place)
    }

    /// The movements of a SKU from a place on, each with its place.
    pub(super) fn from(&self, sku: &Sku, start: u64) -> impl Iterator<Item = (u64, &Movement)> {
        let journal = self.by_sku.get(sku).into_iter();
        journal
            .flat_map(move |journal| journal.movements.range(start..))
            .map(|(place, movement)| (*place, movement))
    }

    /// The place that the next movement of a SKU gets.
    pub(super) fn end(&self, sku: &Sku) -> u64 {
        self.by_sku.get(sku).map_or(0, |journal| journal.end)
    }

    /// Puts at most `limit` movements that took effect by `until` behind opening balances, and
    /// returns how many: SKU by SKU, of each those up to the first that is younger.
    pub(super) fn purge(&mut self, until: Timestamp, limit: usize) -> usize {
        let mut purged = 0;
        while purged < limit
            && self.oldest.first().is_some_and(|(at, _)| *at <= until)
            && let Some((_, sku)) = self.oldest.pop_first()
        {
            purged += self.purge_sku(sku, until, limit - purged);
        }
        purged
    }

    fn purge_sku(&mut self, sku: Sku, until: Timestamp, limit: usize) -> usize {
        let Some(journal) = self.by_sku.get_mut(&sku) else {
            return 0;
        };
        let purged = journal.purge(until, limit);
        for movement in &purged {
            if let MovementCause::Adjusted { operation, .. } = &movement.cause {
                self.operations.remove(operation);
            }
        }
        if let Some(oldest) = journal.movements.get(&journal.oldest) {
            self.oldest.insert((oldest.at, sku));
        }
        purged.len()
    }
}

impl Journal {
    /// Replaces the oldest movements by opening balances, and returns them.
    fn purge(&mut self, until: Timestamp, limit: usize) -> Vec<Movement> {
        let mut sums: BTreeMap<LocationId, (Delta, u64)> = self
            .movements
            .range(..self.oldest)
            .map(|(place, opening)| (opening.location.clone(), (opening.delta, *place)))
            .collect();
        let mut purged = Vec::new();
        while purged.len() < limit
            && let Some(movement) = self.movements.get_mut(&self.oldest)
            && movement.at <= until
        {
            let place = self.oldest;
            self.oldest += 1;
            let before = sums.get(&movement.location).copied();
            let opening = movement
                .clone()
                .into_opening_balance(before.map(|(sum, _)| sum).unwrap_or_default());
            sums.insert(opening.location.clone(), (opening.delta, place));
            purged.push(std::mem::replace(movement, opening));
            if let Some((_, earlier)) = before {
                self.movements.remove(&earlier);
            }
        }
        purged
    }
}
