//! What customers ask, and what they are answered.

use serde::{Deserialize, Serialize};
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    ActingFor, Adjustment, Inventory, InventoryError, Line, Lines, OperationId, OwnerId, Quantity,
    Reason, ReservationId, ReserveRequest, Sku, StockChange,
};

/// Something asked of an inventory, with the id that makes it safe to ask twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Call {
    /// Units come in.
    Receive {
        /// Its id.
        operation: OperationId,
        /// Of what.
        sku: Sku,
        /// How many.
        units: u64,
    },
    /// Units of several SKUs, all or none.
    Reserve {
        /// Its id.
        id: ReservationId,
        /// Of what, and how many.
        lines: Vec<(Sku, u64)>,
    },
    /// A reservation goes on.
    Go {
        /// Which.
        id: ReservationId,
        /// Where to.
        step: Step,
    },
}

/// A step in the life of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// It is paid.
    Confirm,
    /// It is given up before that.
    Release,
    /// It is given up after that.
    Cancel,
    /// Its units leave.
    Fulfil,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done, for good.
    Done,
    /// It is not done.
    Refused(String),
    /// It may be done or not.
    Unknown(String),
    /// An answer that says neither, nor to ask again.
    Senseless(String),
}

impl Call {
    /// The reservation that it is about.
    #[must_use]
    pub fn reservation(&self) -> Option<&ReservationId> {
        match self {
            Self::Receive { .. } => None,
            Self::Reserve { id, .. } | Self::Go { id, .. } => Some(id),
        }
    }

    /// Makes the call.
    pub async fn make(&self, inventory: &Inventory) -> Answer {
        let outcome = match self {
            Self::Receive {
                operation,
                sku,
                units,
            } => receive(inventory, operation, sku, *units).await,
            Self::Reserve { id, lines } => reserve(inventory, id, lines).await,
            Self::Go { id, step } => go(inventory, id, *step).await,
        };
        outcome.map_or_else(Answer::from, |()| Answer::Done)
    }
}

impl From<InventoryError> for Answer {
    /// Whatever may be repeated is taken for unknown: a call makes several attempts, and its error
    /// tells of the last.
    fn from(error: InventoryError) -> Self {
        match &error {
            InventoryError::Insufficient { .. }
            | InventoryError::UnknownReservation { .. }
            | InventoryError::WrongState { .. } => Self::Refused(error.to_string()),
            _ if error.retry() == Retry::Never => Self::Senseless(error.to_string()),
            _ => Self::Unknown(error.to_string()),
        }
    }
}

async fn receive(
    inventory: &Inventory,
    operation: &OperationId,
    sku: &Sku,
    units: u64,
) -> Result<(), InventoryError> {
    let change = StockChange::Receive(Quantity::new(units)?);
    let reason = Reason::new("delivery")?;
    let adjustment = Adjustment::new(operation.clone(), sku.clone(), change, reason);
    for outcome in inventory.adjust(&[adjustment]).await? {
        outcome?;
    }
    Ok(())
}

async fn reserve(
    inventory: &Inventory,
    id: &ReservationId,
    lines: &[(Sku, u64)],
) -> Result<(), InventoryError> {
    let line = |(sku, units): &(Sku, u64)| Ok(Line::new(sku.clone(), Quantity::new(*units)?));
    let lines = lines
        .iter()
        .map(line)
        .collect::<Result<Vec<_>, InventoryError>>()?;
    let request = ReserveRequest::new(id.clone(), OwnerId::new("ada")?, Lines::new(lines)?);
    inventory.reserve(request).await.map(drop)
}

async fn go(inventory: &Inventory, id: &ReservationId, step: Step) -> Result<(), InventoryError> {
    let anyone = ActingFor::Anyone;
    let done = match step {
        Step::Confirm => inventory.confirm(id, anyone).await,
        Step::Release => inventory.release(id, anyone).await,
        Step::Cancel => inventory.cancel(id, anyone).await,
        Step::Fulfil => inventory.fulfil(id, anyone).await,
    };
    done.map(drop)
}
