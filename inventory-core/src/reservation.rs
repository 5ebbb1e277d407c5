//! Reservations: what is asked for, what is granted, and the states that it goes through.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::ids::{LocationId, OperationId, OwnerId, Quantity, Reason, ReservationId, Sku};
use crate::stock::{Movement, StockChange, StockLevel};

/// Units of one SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU.
    pub sku: Sku,
    /// Where to take them; without one, the first location by priority that holds all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationId>,
    /// How many.
    pub quantity: Quantity,
}

impl Line {
    /// So many units of a SKU, from any location.
    #[must_use]
    pub fn new(sku: Sku, quantity: Quantity) -> Self {
        Self {
            sku,
            location: None,
            quantity,
        }
    }

    /// Taken from this location only.
    #[must_use]
    pub fn at(mut self, location: LocationId) -> Self {
        self.location = Some(location);
        self
    }
}

/// The lines of a request: at least one, those of one SKU added up, in the order of SKU and
/// location. That order is the one in which a store takes locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// The most lines of one reservation.
    pub const MAX: usize = 100;

    /// Adds up and orders the lines.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] without a line, with more than [`Lines::MAX`], where a sum is
    /// over [`Quantity::MAX`], or where lines of one SKU both name and don't name a location.
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
        // Ordered, a line without location stands right before those of its SKU with one.
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

/// How long a reservation is held: 1 second to 30 days, 15 minutes by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(Duration);

impl Ttl {
    /// The shortest.
    pub const MIN: Self = Self(Duration::from_secs(1));
    /// The longest.
    pub const MAX: Self = Self(Duration::from_secs(30 * 24 * 3600));

    /// Checks a time to live.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for less than a second and for more than 30 days.
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

/// How safe a grant is when it is answered.
///
/// Exhaustive: a store that does not know a durability must not compile.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Answered after the commit: what was answered survives whatever the store survives.
    #[default]
    Committed,
}

/// A request for units, to be granted whole or not at all.
///
/// Exhaustive: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveRequest {
    /// Repeating a request with the same id finds the first grant.
    pub id: ReservationId,
    /// For whom.
    pub owner: OwnerId,
    /// What.
    pub lines: Lines,
    /// For how long, from the moment of the grant on the store's clock.
    pub ttl: Ttl,
    /// The least durability that is accepted.
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

    /// The request that an owner's idempotency key stands for: sent again with the same key, it
    /// finds its first grant. See [`ReservationId::derived`].
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for a key without a character in it, and as for [`Lines::new`].
    pub fn repeatable(
        owner: OwnerId,
        idempotency_key: &str,
        lines: impl IntoIterator<Item = Line>,
    ) -> Result<Self, InventoryError> {
        if idempotency_key.trim().is_empty() {
            let reason = "the sender has to choose one for each request, and keep it";
            return Err(InventoryError::invalid(
                "idempotency_key",
                idempotency_key,
                reason,
            ));
        }
        let id = ReservationId::derived(&owner, idempotency_key);
        Ok(Self::new(id, owner, Lines::new(lines)?))
    }

    /// Held for this long.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = ttl;
        self
    }

    /// At least this durable.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// Where a reservation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// Units are promised until the deadline.
    Held,
    /// Units are promised without a deadline, as after payment.
    Confirmed,
    /// The units left.
    Fulfilled,
    /// Given up while held.
    Released,
    /// Ran out of time while held.
    Expired,
    /// Given up after it was confirmed.
    Cancelled,
}

impl ReservationState {
    /// The name as it is stored and published, such as `held`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Fulfilled => "fulfilled",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether units are promised to the reservation in this state.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed)
    }
}

impl FromStr for ReservationState {
    type Err = InventoryError;

    /// Reads the name back.
    fn from_str(name: &str) -> Result<Self, InventoryError> {
        let all = [
            Self::Held,
            Self::Confirmed,
            Self::Fulfilled,
            Self::Released,
            Self::Expired,
            Self::Cancelled,
        ];
        let named = all.into_iter().find(|state| state.as_str() == name);
        named.ok_or_else(|| InventoryError::Damaged {
            what: format!("a reservation in the state {name:?}"),
        })
    }
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step in the life of a reservation that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// From held to confirmed. What is fulfilled counts as confirmed.
    Confirm,
    /// From held to released.
    Release,
    /// From confirmed to cancelled.
    Cancel,
    /// From confirmed to fulfilled: physical and reserved both fall.
    Fulfil,
}

/// What was asked of a reservation, in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A step in its life.
    Transition(Transition),
    /// A later deadline.
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

/// Who may act on a reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ActingFor {
    /// Anybody who knows its id.
    #[default]
    Anyone,
    /// Only this owner; for another's reservation it is [`InventoryError::NotOwner`].
    Owner(OwnerId),
}

/// A step asked for.
///
/// Exhaustive: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRequest {
    /// Of which reservation.
    pub id: ReservationId,
    /// Which step.
    pub transition: Transition,
    /// On whose behalf.
    pub acting_for: ActingFor,
}

/// A later deadline asked for.
///
/// Exhaustive: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendRequest {
    /// Of which reservation.
    pub id: ReservationId,
    /// The deadline, on the store's clock. One that is not later than the present one changes
    /// nothing, so that extensions may arrive twice or in any order.
    pub until: Timestamp,
    /// On whose behalf.
    pub acting_for: ActingFor,
}

/// Units granted to a reservation, at one location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedLine {
    /// The SKU.
    pub sku: Sku,
    /// Where they are taken from.
    pub location: LocationId,
    /// How many.
    pub quantity: Quantity,
}

/// A reservation as a store holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reservation {
    /// Its id.
    pub id: ReservationId,
    /// Its owner.
    pub owner: OwnerId,
    /// What it holds, in the order of SKU and location.
    pub lines: Vec<ReservedLine>,
    /// Where it is in its life.
    pub state: ReservationState,
    /// When it expires while held, on the store's clock.
    pub deadline: Timestamp,
    /// When it was granted.
    pub created_at: Timestamp,
    /// When its state or deadline last changed.
    pub changed_at: Timestamp,
}

impl Reservation {
    /// A reservation that is held since `created_at`.
    #[must_use]
    pub fn new(
        id: ReservationId,
        owner: OwnerId,
        lines: Vec<ReservedLine>,
        deadline: Timestamp,
        created_at: Timestamp,
    ) -> Self {
        let state = ReservationState::Held;
        Self {
            id,
            owner,
            lines,
            state,
            deadline,
            created_at,
            changed_at: created_at,
        }
    }

    /// In this state since then.
    #[must_use]
    pub fn with_state(mut self, state: ReservationState, changed_at: Timestamp) -> Self {
        self.state = state;
        self.changed_at = changed_at;
        self
    }

    /// Whether it should have expired by `now`: held, and the deadline is reached.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == ReservationState::Held && self.deadline <= now
    }
}

/// Whether a call made its change, or found it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// This call made it.
    Applied,
    /// An earlier one did; this one changed nothing.
    Repeated,
}

/// A reserve that was granted, now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reserved {
    /// The reservation as it is now.
    pub reservation: Reservation,
    /// Whether this call made it.
    pub effect: Effect,
    /// Time to the deadline on the store's clock; zero when it has passed, and without meaning
    /// when the reservation is not held.
    pub remaining: Duration,
    /// How safe it is.
    pub durability: Durability,
}

impl Reserved {
    /// A grant with the time that remained at `now`.
    #[must_use]
    pub fn new(
        reservation: Reservation,
        effect: Effect,
        now: Timestamp,
        durability: Durability,
    ) -> Self {
        let remaining = reservation.deadline.since(now).unwrap_or_default();
        Self {
            reservation,
            effect,
            remaining,
            durability,
        }
    }

    /// Whether the units are still its owner's: it is held and has time left, or is confirmed or
    /// fulfilled. A request that is sent again finds its first grant, which may be over by now.
    #[must_use]
    pub fn stands(&self) -> bool {
        match self.reservation.state {
            ReservationState::Held => !self.remaining.is_zero(),
            ReservationState::Confirmed | ReservationState::Fulfilled => true,
            ReservationState::Released
            | ReservationState::Expired
            | ReservationState::Cancelled => false,
        }
    }
}

/// A transition or an extension that succeeded, now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transitioned {
    /// The reservation as it is now.
    pub reservation: Reservation,
    /// Whether this call changed it.
    pub effect: Effect,
    /// Time to the deadline on the store's clock; zero when it has passed, and without meaning
    /// when the reservation is not held.
    pub remaining: Duration,
}

impl Transitioned {
    /// An outcome with the time that remained at `now`.
    #[must_use]
    pub fn new(reservation: Reservation, effect: Effect, now: Timestamp) -> Self {
        let remaining = reservation.deadline.since(now).unwrap_or_default();
        Self {
            reservation,
            effect,
            remaining,
        }
    }
}

/// What became of a reservation that was asked to expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It expired by this call.
    Expired(Reservation),
    /// It is held, and its deadline has not come.
    NotDue {
        /// Time to the deadline on the store's clock.
        remaining: Duration,
    },
    /// It had left the held state before.
    Settled(ReservationState),
    /// The store has no such reservation.
    Unknown,
}

/// A change of physical stock.
///
/// Exhaustive: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Repeating an adjustment with the same id changes nothing.
    pub operation: OperationId,
    /// Of what.
    pub sku: Sku,
    /// Where.
    pub location: LocationId,
    /// By or to how much.
    pub change: StockChange,
    /// Why.
    pub reason: Reason,
}

impl Adjustment {
    /// A change at the default location.
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

    /// At this location.
    #[must_use]
    pub fn at(mut self, location: LocationId) -> Self {
        self.location = location;
        self
    }
}

/// An adjustment that took effect, now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adjusted {
    /// What it did, when it took effect.
    pub movement: Movement,
    /// The level as it is now.
    pub level: StockLevel,
    /// Whether this call made the change.
    pub effect: Effect,
}

impl Adjusted {
    /// The outcome of an adjustment.
    #[must_use]
    pub fn new(movement: Movement, level: StockLevel, effect: Effect) -> Self {
        Self {
            movement,
            level,
            effect,
        }
    }
}
