//! The requests of callers.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::model::{
    LocationId, OperationId, OwnerId, Quantity, Reason, ReservationId, Sku, StockChange,
};

/// Units of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU.
    pub sku: Sku,
    /// The location that the units are taken from. Without one, the store takes the first location
    /// by priority that has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationId>,
    /// How many.
    pub quantity: Quantity,
}

impl Line {
    /// `quantity` units of a SKU, from any one location.
    #[must_use]
    pub fn new(sku: Sku, quantity: Quantity) -> Self {
        Self {
            sku,
            location: None,
            quantity,
        }
    }

    /// The same units, from this location only.
    #[must_use]
    pub fn at(mut self, location: LocationId) -> Self {
        self.location = Some(location);
        self
    }
}

/// The lines of a request, ordered by SKU and location, which is the order in which a store takes
/// locks. There is at least one. Lines of the same SKU and location are added up.
///
/// ```
/// use stockade_inventory_core::{Line, Lines, Quantity, Sku};
///
/// let tee = Sku::new("tee-m")?;
/// let lines = Lines::new([
///     Line::new(tee.clone(), Quantity::ONE),
///     Line::new(tee, Quantity::new(2)?),
/// ])?;
/// assert_eq!(lines.as_slice()[0].quantity.get(), 3);
/// # Ok::<(), stockade_inventory_core::InventoryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// The most lines of one reservation.
    pub const MAX: usize = 100;

    /// Adds up the lines and orders them.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] without a line, with more than [`Lines::MAX`], when a sum is
    /// over [`Quantity::MAX`], or when some lines of a SKU name a location and others do not.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, InventoryError> {
        let mut sums: BTreeMap<(Sku, Option<LocationId>), u64> = BTreeMap::new();
        for (count, line) in lines.into_iter().enumerate() {
            if count == Self::MAX {
                let reason = "a reservation has at most 100 lines";
                return Err(InventoryError::invalid(
                    "lines",
                    "more than 100 lines",
                    reason,
                ));
            }
            let sum = sums.entry((line.sku, line.location)).or_default();
            *sum = sum.saturating_add(line.quantity.get());
        }
        let lines = sums
            .into_iter()
            .map(|((sku, location), sum)| {
                let quantity = Quantity::new(sum).map_err(|_| {
                    let value = format!("{sum} of {sku}");
                    let reason = "the lines of a SKU add up to 1 to 1000000000 units";
                    InventoryError::invalid("quantity", value, reason)
                })?;
                Ok(Line {
                    sku,
                    location,
                    quantity,
                })
            })
            .collect::<Result<Vec<_>, InventoryError>>()?;
        if lines.is_empty() {
            let reason = "a reservation has at least one line";
            return Err(InventoryError::invalid("lines", "[]", reason));
        }
        // After ordering, a line without a location precedes the lines of its SKU with one.
        if let Some(pair) = lines
            .windows(2)
            .find(|pair| pair[0].sku == pair[1].sku && pair[0].location.is_none())
        {
            let reason = "either all lines of a SKU name a location, or none does";
            return Err(InventoryError::invalid(
                "lines",
                pair[0].sku.as_str(),
                reason,
            ));
        }
        Ok(Self(lines))
    }

    /// The lines, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Line] {
        &self.0
    }
}

/// The time for which a reservation is held: 1 second to 30 days, 15 minutes by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(Duration);

impl Ttl {
    /// The shortest time: 1 second.
    pub const MIN: Self = Self(Duration::from_secs(1));
    /// The longest time: 30 days.
    pub const MAX: Self = Self(Duration::from_secs(30 * 24 * 3600));

    /// Checks a time to live.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for less than one second and for more than 30 days.
    pub fn new(ttl: Duration) -> Result<Self, InventoryError> {
        if ttl < Self::MIN.0 || ttl > Self::MAX.0 {
            let reason = "it has to be 1 second to 30 days (2592000 seconds)";
            return Err(InventoryError::invalid("ttl", format!("{ttl:?}"), reason));
        }
        Ok(Self(ttl))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self(Duration::from_secs(15 * 60))
    }
}

/// What a grant survives after it was returned.
///
/// Exhaustive, so that a store which does not handle a durability does not compile.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The grant is returned after the commit: it survives whatever the store survives.
    #[default]
    Committed,
}

/// A request for units. The store grants all lines or none.
///
/// Exhaustive, so that a store which ignores a field does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveRequest {
    /// The id. A repeated request with the same id finds the first grant.
    pub id: ReservationId,
    /// The holder.
    pub owner: OwnerId,
    /// The units.
    pub lines: Lines,
    /// The time until the deadline, counted from the grant on the store's clock.
    pub ttl: Ttl,
    /// The least durability that the caller accepts.
    pub durability: Durability,
}

impl ReserveRequest {
    /// A request with the default time to live and durability.
    #[must_use]
    pub fn new(id: ReservationId, owner: OwnerId, lines: Lines) -> Self {
        Self {
            id,
            owner,
            lines,
            ttl: Ttl::default(),
            durability: Durability::default(),
        }
    }

    /// A request whose id is derived from its owner and an idempotency key: a repeated request with
    /// the same key finds the first grant. See [`ReservationId::derived`].
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for an empty or blank key, and as for [`Lines::new`].
    pub fn repeatable(
        owner: OwnerId,
        idempotency_key: &str,
        lines: impl IntoIterator<Item = Line>,
    ) -> Result<Self, InventoryError> {
        if idempotency_key.trim().is_empty() {
            let reason = "the key must not be empty; choose one for each request, and keep it";
            return Err(InventoryError::invalid(
                "idempotency_key",
                idempotency_key,
                reason,
            ));
        }
        let id = ReservationId::derived(&owner, idempotency_key);
        Ok(Self::new(id, owner, Lines::new(lines)?))
    }

    /// The same request, held for this long.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same request, with at least this durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// A step that a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// From held to confirmed. A fulfilled reservation counts as confirmed.
    Confirm,
    /// From held to released.
    Release,
    /// From confirmed to cancelled.
    Cancel,
    /// From confirmed to fulfilled: the physical and the reserved count both fall.
    Fulfil,
}

/// The step that an error refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A transition.
    Transition(Transition),
    /// An extension of the deadline.
    Extend,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transition(Transition::Confirm) => "be confirmed",
            Self::Transition(Transition::Release) => "be released",
            Self::Transition(Transition::Cancel) => "be cancelled",
            Self::Transition(Transition::Fulfil) => "be fulfilled",
            Self::Extend => "be extended",
        })
    }
}

/// On whose behalf a call acts on a reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ActingFor {
    /// Any owner: the caller has checked the right to act.
    #[default]
    Anyone,
    /// This owner: a reservation of another owner is refused with [`InventoryError::NotOwner`].
    Owner(OwnerId),
}

/// A request for a transition.
///
/// Exhaustive, so that a store which ignores a field does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRequest {
    /// The reservation.
    pub id: ReservationId,
    /// The step.
    pub transition: Transition,
    /// On whose behalf.
    pub acting_for: ActingFor,
}

/// A request for a later deadline.
///
/// Exhaustive, so that a store which ignores a field does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendRequest {
    /// The reservation.
    pub id: ReservationId,
    /// The new deadline, on the store's clock. A deadline that is not later than the present one
    /// changes nothing, so extensions may arrive twice and in any order.
    pub until: Timestamp,
    /// On whose behalf.
    pub acting_for: ActingFor,
}

/// A change of physical stock.
///
/// Exhaustive, so that a store which ignores a field does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The id of the operation. A repeated adjustment with the same id changes nothing.
    pub operation: OperationId,
    /// The SKU.
    pub sku: Sku,
    /// The location.
    pub location: LocationId,
    /// What happens to the physical count.
    pub change: StockChange,
    /// The reason, for people.
    pub reason: Reason,
}

impl Adjustment {
    /// An adjustment at the default location.
    #[must_use]
    pub fn new(operation: OperationId, sku: Sku, change: StockChange, reason: Reason) -> Self {
        Self {
            operation,
            sku,
            location: LocationId::default(),
            change,
            reason,
        }
    }

    /// The same adjustment at this location.
    #[must_use]
    pub fn at(mut self, location: LocationId) -> Self {
        self.location = location;
        self
    }
}
