//! The movements of a store in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;

use stockade_change_feed::Timestamp;

use crate::model::{Delta, LocationId, Movement, MovementCause, OperationId, Purged, Rest, Sku};

/// The movements of every SKU, and the index of operation ids.
#[derive(Debug, Default)]
pub(super) struct Journals {
    by_sku: HashMap<Sku, Journal>,
    /// The position of the movement of each operation.
    operations: HashMap<OperationId, (Sku, u64)>,
    /// The time of the oldest movement of each SKU that is no opening balance.
    oldest: BTreeSet<(Timestamp, Sku)>,
}

/// The movements of one SKU: first at most one opening balance of each location, then the others.
#[derive(Debug, Default)]
struct Journal {
    /// By position. A position is never used again.
    movements: BTreeMap<u64, Movement>,
    /// The position of the first movement that is no opening balance, or else the end.
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

    /// The movements of a SKU from a position on, each with its position.
    pub(super) fn from(&self, sku: &Sku, start: u64) -> impl Iterator<Item = (u64, &Movement)> {
        let journal = self.by_sku.get(sku).into_iter();
        journal
            .flat_map(move |journal| journal.movements.range(start..))
            .map(|(place, movement)| (*place, movement))
    }

    /// The position of the next movement of a SKU.
    pub(super) fn end(&self, sku: &Sku) -> u64 {
        self.by_sku.get(sku).map_or(0, |journal| journal.end)
    }

    /// Replaces at most `limit` movements that took effect by `until` by opening balances: SKU by
    /// SKU, of each SKU the movements before the first younger one.
    pub(super) fn purge(&mut self, until: Timestamp, limit: NonZeroUsize) -> Purged {
        let is_old = |(at, _): &(Timestamp, Sku)| *at <= until;
        let (mut count, limit) = (0, limit.get());
        while count < limit
            && self.oldest.first().is_some_and(is_old)
            && let Some((_, sku)) = self.oldest.pop_first()
        {
            count += self.purge_sku(sku, until, limit - count);
        }
        Purged::new(
            count,
            Rest::more_if(self.oldest.first().is_some_and(is_old)),
        )
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
