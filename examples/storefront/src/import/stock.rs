//! Sets the stock of an import, once for each file.

use std::num::NonZeroUsize;

use sha2::{Digest, Sha256};
use stockade_inventory_core::{
    Adjusted, Adjustment, Effect, InventoryError, MovementCause, OperationId, Reason, Sku,
    StockChange,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};
use uuid::Uuid;

use crate::shop::Shop;

/// Movements of a SKU that are read at once.
const PAGE: NonZeroUsize = NonZeroUsize::new(1000).expect("it is not 0");

/// Identifies what is imported by a digest of its content, so that the name of a file has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source(String);

/// The stock of one SKU in a line.
pub(super) struct SetStock {
    pub(super) line: usize,
    /// The position in the line.
    pub(super) index: usize,
    pub(super) sku: Sku,
    pub(super) units: u64,
}

impl Source {
    /// Reads all of `input`, and rewinds it.
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

    /// The generator, which makes the same products every time.
    pub(super) fn generated() -> Self {
        Self("import-generated".to_owned())
    }

    fn named(digest: &[u8]) -> Self {
        // 16 bytes are enough to tell files apart.
        let half = Uuid::from_slice(&digest[..16]).expect("a digest has 32 bytes");
        Self(format!("import-{}", half.simple()))
    }

    /// The adjustment that sets the stock of a line. `run` counts how often this source did it.
    fn adjustment(&self, set: &SetStock, run: usize) -> Adjustment {
        let id = format!("{}-{run}-{}-{}", self.0, set.line, set.index);
        let operation = OperationId::new(id).expect("hexadecimal digits follow the rule");
        let reason = Reason::new("import").expect("the constant follows the rule");
        let change = StockChange::Set(set.units);
        Adjustment::new(operation, set.sku.clone(), change, reason)
    }

    /// Whether this source did the operation.
    fn did(&self, operation: &OperationId) -> bool {
        operation.as_str().starts_with(&self.0)
    }
}

/// Sets the stock of each line. If this source was the last import that set the stock of a SKU,
/// the stock is kept, so that importing a file again undoes no sale. If another import has set it
/// since, it is set again.
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
