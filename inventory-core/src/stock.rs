//! Counts of units: what is there, what is promised, and what is left.

use std::fmt;

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::ids::{LocationId, OperationId, Quantity, Reason, ReservationId, Sku};

/// Orders the states of a stock level: by the epoch, then by the number.
///
/// The number rises by one with each change of the level. The epoch is raised by an operator
/// after a restore or a failover that lost its tail, so that numbers which run backwards are not
/// taken for old news.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version {
    /// Raised by an operator's command.
    pub epoch: u32,
    /// Raised by each change.
    pub number: u64,
}

impl Version {
    /// That number in that epoch.
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

/// The three counts of a stock level, which always fit together:
/// `reserved + escrowed <= physical <= 2^53 - 1`.
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
    /// The most units of one level: 2^53 - 1, which JSON numbers hold exactly.
    pub const MAX: u64 = (1 << 53) - 1;

    /// Checks that the counts fit together.
    ///
    /// # Errors
    /// [`InventoryError::Damaged`], as counts come from a store.
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

    /// Units that are there.
    #[must_use]
    pub const fn physical(&self) -> u64 {
        self.physical
    }

    /// Units promised to reservations.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Units set aside in hot lanes, and not yet promised.
    #[must_use]
    pub const fn escrowed(&self) -> u64 {
        self.escrowed
    }

    /// Units that nobody was promised: what is published and shown.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.physical - self.reserved
    }

    /// Units that a reservation may take: those available and not set aside.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.physical - self.reserved - self.escrowed
    }

    /// The counts after a change, or `None` where they would not fit together.
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
    /// Both changes together; saturates.
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
    /// What is counted.
    pub sku: Sku,
    /// Where.
    pub location: LocationId,
    /// How many units.
    #[serde(flatten)]
    pub counts: Counts,
    /// Rises with each change.
    pub version: Version,
    /// When it last changed, on the store's clock.
    pub changed_at: Timestamp,
}

impl StockLevel {
    /// A level as a store holds it.
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

/// The stock of one SKU at all its locations, as one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<StockLevel>", into = "Vec<StockLevel>")]
pub struct SkuStock(Vec<StockLevel>);

impl SkuStock {
    /// Puts the levels of one SKU together; they have to be of one snapshot.
    ///
    /// # Errors
    /// [`InventoryError::Damaged`] without a level, with levels of several SKUs, or with two of
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

    /// The levels, at least one, by the name of their location.
    #[must_use]
    pub fn levels(&self) -> &[StockLevel] {
        &self.0
    }

    /// Units at all locations.
    #[must_use]
    pub fn physical(&self) -> u64 {
        self.sum(Counts::physical)
    }

    /// Units promised to reservations, at all locations.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.sum(Counts::reserved)
    }

    /// Units set aside in hot lanes, at all locations.
    #[must_use]
    pub fn escrowed(&self) -> u64 {
        self.sum(Counts::escrowed)
    }

    /// Units that nobody was promised, at all locations.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.sum(Counts::available)
    }

    /// The SKU's version, which rises with that of any location: the newest epoch, and the sum of
    /// the numbers. A location's row is never deleted, so the sum can not fall.
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

    /// When any location last changed.
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

/// One change of one stock level. The movements of a level, from its first, add up to its three
/// counts; where old ones were purged, the first is the opening balance that stands for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Movement {
    /// The SKU.
    pub sku: Sku,
    /// The location.
    pub location: LocationId,
    /// The version that the level has since.
    pub version: Version,
    /// When, on the store's clock.
    pub at: Timestamp,
    /// By how much.
    pub delta: Delta,
    /// Why.
    pub cause: MovementCause,
}

impl Movement {
    /// A movement as a store holds it.
    #[must_use]
    pub fn new(
        sku: Sku,
        location: LocationId,
        version: Version,
        at: Timestamp,
        delta: Delta,
        cause: MovementCause,
    ) -> Self {
        Self {
            sku,
            location,
            version,
            at,
            delta,
            cause,
        }
    }

    /// The opening balance that takes this movement's place, and stands for it and for all before
    /// it at its level, which add up to `before`.
    #[must_use]
    pub fn into_opening_balance(self, before: Delta) -> Self {
        Self {
            delta: before.plus(self.delta),
            cause: MovementCause::OpeningBalance,
            ..self
        }
    }

    /// Whether it stands for movements that were purged.
    #[must_use]
    pub fn is_opening_balance(&self) -> bool {
        self.cause == MovementCause::OpeningBalance
    }
}

/// Why a stock level changed.
///
/// Exhaustive: a store that does not know a cause must not compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementCause {
    /// Units were promised to a reservation.
    Reserved(ReservationId),
    /// A held reservation was given up.
    Released(ReservationId),
    /// A held reservation ran out of time.
    Expired(ReservationId),
    /// A confirmed reservation was given up.
    Cancelled(ReservationId),
    /// The units of a confirmed reservation left.
    Fulfilled(ReservationId),
    /// Somebody counted, received or corrected stock.
    Adjusted {
        /// The id of the adjustment.
        operation: OperationId,
        /// What was asked for.
        change: StockChange,
        /// Why.
        reason: Reason,
    },
    /// The sum of all movements of the level up to this one's version and time, which were purged
    /// by a [`StockRetention`](crate::StockRetention). It is the first of its level.
    OpeningBalance,
}

/// What an adjustment does to the physical count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockChange {
    /// So many units came in.
    Receive(Quantity),
    /// The count was off by so many units, up or down; not 0.
    Correct(i64),
    /// So many units are there.
    Set(u64),
}
