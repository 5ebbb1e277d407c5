//! Setting stock as an import says, once for each file.

use sha2::{Digest, Sha256};
use stockade_inventory_core::{
    Adjusted, Adjustment, Effect, InventoryError, MovementCause, OperationId, Reason, Sku,
    StockChange,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};
use uuid::Uuid;

use crate::shop::Shop;

/// Movements of a SKU that are read at once.
const PAGE: usize = 1000;

/// Names what is imported: by its content, so that a file is the same whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source(String);

/// A line's stock of one SKU.
pub(super) struct SetStock {
    pub(super) line: usize,
    /// Its place in the line.
    pub(super) index: usize,
    pub(super) sku: Sku,
    pub(super) units: u64,
}

impl Source {
    /// Reads all of `input`, and goes back to its beginning.
    pub(super) async fn of(
        input: &mut (impl AsyncRead + AsyncSeek + Unpin),
    ) -> std::io::Result<Self> {
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = input.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            digest.update(&buffer[..read]);
        }
        input.rewind().await?;
        Ok(Self::named(&digest.finalize()))
    }

    /// The generator, which says the same of a product every time.
    pub(super) fn generated() -> Self {
        Self("import-generated".to_owned())
    }

    fn named(digest: &[u8]) -> Self {
        // Half of it is enough that two files never meet.
        let half = Uuid::from_slice(&digest[..16]).expect("a digest has 32 bytes");
        Self(format!("import-{}", half.simple()))
    }

    /// The setting of a line's stock, the `run`th time that this source does it.
    fn adjustment(&self, set: &SetStock, run: usize) -> Adjustment {
        let id = format!("{}-{run}-{}-{}", self.0, set.line, set.index);
        let operation = OperationId::new(id).expect("hexadecimal digits follow the rule");
        let reason = Reason::new("import").expect("the constant follows the rule");
        let change = StockChange::Set(set.units);
        Adjustment::new(operation, set.sku.clone(), change, reason)
    }

    /// Whether it is this source that did an operation.
    fn did(&self, operation: &OperationId) -> bool {
        operation.as_str().starts_with(&self.0)
    }
}

/// Sets the stock of each line. What this source was the last to set stays as it is by now, so
/// that importing a file again undoes no sale; what another has set since is set again.
pub(super) async fn set(
    shop: &Shop,
    source: &Source,
    stock: &[SetStock],
) -> Vec<(usize, InventoryError)> {
    let first: Vec<_> = stock.iter().map(|set| source.adjustment(set, 0)).collect();
    let outcomes = match shop.inventory.adjust(&first).await {
        Ok(outcomes) => outcomes,
        Err(error) => return stock.iter().map(|set| (set.line, error.clone())).collect(),
    };
    let mut failures = Vec::new();
    for (set, outcome) in stock.iter().zip(outcomes) {
        let done = match outcome {
            Ok(adjusted) if has_moved_since(&adjusted) => set_again(shop, source, set).await,
            other => other.map(|_| ()),
        };
        failures.extend(done.err().map(|error| (set.line, error)));
    }
    failures
}

fn has_moved_since(adjusted: &Adjusted) -> bool {
    adjusted.effect == Effect::Repeated && adjusted.level.version != adjusted.movement.version
}

async fn set_again(shop: &Shop, source: &Source, set: &SetStock) -> Result<(), InventoryError> {
    let (mut runs, mut ours_is_last, mut after) = (0, true, None);
    loop {
        let inventory = &shop.inventory;
        let page = inventory.movements(&set.sku, after.as_ref(), PAGE).await?;
        for movement in page.movements {
            let MovementCause::Adjusted { operation, .. } = movement.cause else {
                continue;
            };
            let ours = source.did(&operation);
            if ours && !ours_is_last {
                runs += 1;
            }
            if operation.as_str().starts_with("import-") {
                ours_is_last = ours;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if ours_is_last {
        return Ok(());
    }
    let again = source.adjustment(set, runs + 1);
    let mut outcomes = shop.inventory.adjust(&[again]).await?;
    outcomes.pop().transpose().map(|_| ())
}
