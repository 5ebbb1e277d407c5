//! Counts of units: physical, promised and available.

use std::fmt;

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::model::{LocationId, Sku};

/// The version of a stock level or of a SKU. Versions are compared by epoch first, then by number.
///
/// **The number** rises by one with each change of a level. A SKU's number is the sum over its
/// locations. Readers of stock events keep the highest version and ignore the others.
///
/// **The epoch** is for the one case in which numbers run backwards: the store lost changes that
/// readers have seen, because it was restored from a backup, or failed over to a replica that
/// missed the last writes. Its numbers are then lower than those that readers keep. Readers would
/// ignore every change until the numbers have caught up.
///
/// - An operator raises the epoch, by a command of the store, after every such restore or failover
///   and before the store takes calls again.
/// - The store keeps the epoch durably with the levels, so that both are backed up and restored
///   together.
/// - Raising the epoch is one transaction: nobody sees the new epoch without all SKUs in the outbox.
///   It gives every level a version of the new epoch, with the number that it has,
///   and puts every SKU into the outbox, so that readers get all of them. Counts, times and earlier
///   movements do not change. Later changes, pages of the outbox and heartbeats have the new epoch.
/// - Readers, and [`mark_published`](crate::StockOutbox::mark_published), treat a version of an
///   older epoch as older, whatever its number.
/// - A store that can not lose acknowledged changes stays in epoch 0 for ever. So does a store that
///   starts empty with its process.
///
/// ```
/// use stockade_inventory_core::Version;
///
/// // After a restore, number 7 of epoch 1 wins over number 9 of epoch 0.
/// assert!(Version::new(1, 7) > Version::new(0, 9));
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version {
    /// The epoch. An operator raises it after a restore.
    pub epoch: u32,
    /// The number. Each change raises it.
    pub number: u64,
}

impl Version {
    /// A number in an epoch.
    #[must_use]
    pub const fn new(epoch: u32, number: u64) -> Self {
        Self { epoch, number }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

/// The three counts of a stock level. Always `reserved + escrowed <= physical <= 2^53 - 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawCounts")]
pub struct Counts {
    physical: u64,
    reserved: u64,
    escrowed: u64,
}

#[derive(Deserialize)]
struct RawCounts {
    physical: u64,
    reserved: u64,
    escrowed: u64,
}

impl TryFrom<RawCounts> for Counts {
    type Error = InventoryError;

    fn try_from(raw: RawCounts) -> Result<Self, InventoryError> {
        Self::new(raw.physical, raw.reserved, raw.escrowed)
    }
}

impl Counts {
    /// The most units of one level: 2^53 - 1, the largest integer that every JSON reader keeps exactly.
    pub const MAX: u64 = (1 << 53) - 1;

    /// Checks the counts.
    ///
    /// # Errors
    /// [`InventoryError::Damaged`] when they break the rule, because counts come from a store.
    pub fn new(physical: u64, reserved: u64, escrowed: u64) -> Result<Self, InventoryError> {
        let promised = reserved.checked_add(escrowed);
        if physical > Self::MAX || promised.is_none_or(|promised| promised > physical) {
            let what =
                format!("counts physical {physical}, reserved {reserved}, escrowed {escrowed}");
            return Err(InventoryError::Damaged { what });
        }
        Ok(Self {
            physical,
            reserved,
            escrowed,
        })
    }

    /// Units in stock, promised or not.
    #[must_use]
    pub const fn physical(&self) -> u64 {
        self.physical
    }

    /// Units promised to reservations.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Units that are set aside for a sale and not promised yet.
    #[must_use]
    pub const fn escrowed(&self) -> u64 {
        self.escrowed
    }

    /// Units that are not promised to a reservation: the count that is published and shown.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.physical - self.reserved
    }

    /// Units that a reservation can take: available and not set aside.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.physical - self.reserved - self.escrowed
    }

    /// The counts after a change, or `None` when they would break the rule.
    #[must_use]
    pub fn after(&self, delta: Delta) -> Option<Self> {
        Self::new(
            self.physical.checked_add_signed(delta.physical)?,
            self.reserved.checked_add_signed(delta.reserved)?,
            self.escrowed.checked_add_signed(delta.escrowed)?,
        )
        .ok()
    }
}

/// A change of the three counts, or the sum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delta {
    /// Change of the physical count.
    pub physical: i64,
    /// Change of the reserved count.
    pub reserved: i64,
    /// Change of the escrowed count.
    pub escrowed: i64,
}

impl Delta {
    /// The sum of both changes. It saturates.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            physical: self.physical.saturating_add(other.physical),
            reserved: self.reserved.saturating_add(other.reserved),
            escrowed: self.escrowed.saturating_add(other.escrowed),
        }
    }
}

/// The stock of one SKU at one location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StockLevel {
    /// The SKU.
    pub sku: Sku,
    /// The location.
    pub location: LocationId,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// The version. Each change raises it.
    pub version: Version,
    /// The time of the last change, on the store's clock.
    pub changed_at: Timestamp,
}

impl StockLevel {
    /// A level as a store keeps it.
    #[must_use]
    pub fn new(
        sku: Sku,
        location: LocationId,
        counts: Counts,
        version: Version,
        changed_at: Timestamp,
    ) -> Self {
        Self {
            sku,
            location,
            counts,
            version,
            changed_at,
        }
    }
}

/// The stock of one SKU at all its locations, in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<StockLevel>", into = "Vec<StockLevel>")]
pub struct SkuStock(Vec<StockLevel>);

impl SkuStock {
    /// Combines the levels of one SKU. They must be from one snapshot.
    ///
    /// # Errors
    /// [`InventoryError::Damaged`] for no level, for levels of several SKUs, and for two levels of
    /// one location.
    pub fn new(mut levels: Vec<StockLevel>) -> Result<Self, InventoryError> {
        levels.sort_by(|a, b| a.location.cmp(&b.location));
        let damaged = |what: String| Err(InventoryError::Damaged { what });
        let Some(first) = levels.first() else {
            return damaged("stock of a SKU without any level".to_owned());
        };
        if let Some(other) = levels.iter().find(|level| level.sku != first.sku) {
            return damaged(format!(
                "levels of {} and {} as one SKU's",
                first.sku, other.sku
            ));
        }
        if let Some(pair) = levels
            .windows(2)
            .find(|pair| pair[0].location == pair[1].location)
        {
            return damaged(format!(
                "two levels of {} at {}",
                first.sku, pair[0].location
            ));
        }
        Ok(Self(levels))
    }

    /// The SKU.
    #[must_use]
    pub fn sku(&self) -> &Sku {
        &self.0[0].sku
    }

    /// The levels, ordered by the name of their location. There is at least one.
    #[must_use]
    pub fn levels(&self) -> &[StockLevel] {
        &self.0
    }

    /// Units in stock at all locations, promised or not.
    #[must_use]
    pub fn physical(&self) -> u64 {
        self.sum(Counts::physical)
    }

    /// Units promised to reservations, at all locations.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.sum(Counts::reserved)
    }

    /// Units set aside for a sale, at all locations.
    #[must_use]
    pub fn escrowed(&self) -> u64 {
        self.sum(Counts::escrowed)
    }

    /// Units that are not promised to a reservation, at all locations.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.sum(Counts::available)
    }

    /// The SKU's version: the newest epoch, and the sum of the numbers. It rises with the version
    /// of any location. A level is never deleted, so the sum never falls.
    #[must_use]
    pub fn version(&self) -> Version {
        let epoch = self
            .0
            .iter()
            .map(|level| level.version.epoch)
            .max()
            .unwrap_or(0);
        let numbers = self.0.iter().map(|level| level.version.number);
        let number = numbers.fold(0, u64::saturating_add);
        Version::new(epoch, number)
    }

    /// The time of the last change at any location.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.0
            .iter()
            .map(|level| level.changed_at)
            .max()
            .unwrap_or(Timestamp::EPOCH)
    }

    fn sum(&self, count: impl Fn(&Counts) -> u64) -> u64 {
        let counts = self.0.iter().map(|level| count(&level.counts));
        counts.fold(0, u64::saturating_add)
    }
}

impl TryFrom<Vec<StockLevel>> for SkuStock {
    type Error = InventoryError;

    fn try_from(levels: Vec<StockLevel>) -> Result<Self, InventoryError> {
        Self::new(levels)
    }
}

impl From<SkuStock> for Vec<StockLevel> {
    fn from(stock: SkuStock) -> Self {
        stock.0
    }
}
