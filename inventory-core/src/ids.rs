//! The names of things.

use serde::{Deserialize, Serialize};
use stockade_change_feed::text_newtype;
use uuid::Uuid;

use crate::error::InventoryError;

text_newtype! {
    /// A stock keeping unit: what is counted, reserved and sold.
    Sku, "sku", 128, InventoryError
}

text_newtype! {
    /// A place that holds stock, such as a warehouse. Who has only one never mentions it.
    LocationId, "location", 64, InventoryError
}

impl Default for LocationId {
    /// `main`, the location of who has only one.
    fn default() -> Self {
        Self::new("main").expect("the constant follows the rule")
    }
}

text_newtype! {
    /// Who holds a reservation: a customer, a cart or a service.
    OwnerId, "owner", 128, InventoryError
}

text_newtype! {
    /// The id of a reservation, known before the first attempt so that an attempt can be repeated.
    ReservationId, "reservation_id", 128, InventoryError
}

/// Separates our derived ids from everybody else's.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_9d36_61a9_4f0e_9a3f_6f0d_5e7b_2c41);

impl ReservationId {
    /// The id that an owner's idempotency key stands for: the same pair gives the same id on
    /// every machine, and two owners never share one.
    #[must_use]
    pub fn derived(owner: &OwnerId, idempotency_key: &str) -> Self {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        let name = format!("{}:{owner}{idempotency_key}", owner.as_str().len());
        Self::of(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// An id that nobody had before. Without keeping it, an attempt can not be repeated safely.
    #[must_use]
    pub fn random() -> Self {
        Self::of(Uuid::new_v4())
    }

    fn of(uuid: Uuid) -> Self {
        Self::new(uuid.hyphenated().to_string()).expect("a UUID follows the rule")
    }
}

text_newtype! {
    /// The id of an adjustment of stock, so that repeating it changes nothing.
    OperationId, "operation_id", 128, InventoryError
}

text_newtype! {
    /// Why stock was adjusted, for people who read the movements.
    Reason, "reason", 256, InventoryError
}

/// A number of units that is moved: 1 to 1,000,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Quantity(u64);

impl Quantity {
    /// One unit.
    pub const ONE: Self = Self(1);
    /// The most units that are moved at once.
    pub const MAX: Self = Self(1_000_000_000);

    /// Checks a number of units.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for 0 and for more than [`Quantity::MAX`].
    pub fn new(units: u64) -> Result<Self, InventoryError> {
        if units == 0 || units > Self::MAX.0 {
            let reason = "it has to be 1 to 1000000000 units";
            return Err(InventoryError::invalid(
                "quantity",
                units.to_string(),
                reason,
            ));
        }
        Ok(Self(units))
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Quantity {
    type Error = InventoryError;

    fn try_from(units: u64) -> Result<Self, InventoryError> {
        Self::new(units)
    }
}

impl From<Quantity> for u64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}
