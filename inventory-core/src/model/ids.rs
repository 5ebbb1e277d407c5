//! Names and quantities.

use serde::{Deserialize, Serialize};
use stockade_change_feed::text_newtype;
use stockade_change_feed::time::chance;
use uuid::Uuid;

use crate::error::InventoryError;

text_newtype! {
    /// A stock keeping unit: what is counted, reserved and sold.
    Sku, "sku", 128, InventoryError
}

text_newtype! {
    /// A place that holds stock, such as a warehouse. A host with one location never names it:
    /// the default is `main`.
    LocationId, "location", 64, InventoryError
}

impl Default for LocationId {
    /// `main`, for hosts with one location.
    fn default() -> Self {
        Self::new("main").expect("the constant follows the rule")
    }
}

text_newtype! {
    /// The holder of a reservation: a customer, a cart or a service.
    OwnerId, "owner", 128, InventoryError
}

text_newtype! {
    /// The id of a reservation. The caller chooses it before the first attempt, so that the attempt
    /// can be repeated.
    ReservationId, "reservation_id", 128, InventoryError
}

/// Keeps the derived ids apart from other version 5 UUIDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_9d36_61a9_4f0e_9a3f_6f0d_5e7b_2c41);

impl ReservationId {
    /// The id for an owner's idempotency key. The same pair gives the same id on every machine,
    /// and two owners never share an id.
    ///
    /// ```
    /// use stockade_inventory_core::{OwnerId, ReservationId};
    ///
    /// let ada = OwnerId::new("ada")?;
    /// let id = ReservationId::derived(&ada, "cart-1");
    /// assert_eq!(id, ReservationId::derived(&ada, "cart-1"));
    /// assert_ne!(id, ReservationId::derived(&OwnerId::new("ben")?, "cart-1"));
    /// # Ok::<(), stockade_inventory_core::InventoryError>(())
    /// ```
    #[must_use]
    pub fn derived(owner: &OwnerId, idempotency_key: &str) -> Self {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        let name = format!("{}:{owner}{idempotency_key}", owner.as_str().len());
        Self::of(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// A random id, from the operating system unless the thread is
    /// [seeded](stockade_change_feed::time::chance::seed_thread). Keep the id: an attempt can be
    /// repeated safely only with the same id.
    #[must_use]
    pub fn random() -> Self {
        Self::of(uuid::Builder::from_random_bytes(chance::bits().to_be_bytes()).into_uuid())
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
    /// The reason of an adjustment, for people who read the movements.
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
