//! Compares what was promised with what is there.

mod ledger;
mod promises;
mod published;

use stockade_inventory_core::{InventoryStore, Sku, StockChanged, StockOutbox};

use crate::history::Entry;
use ledger::Ledger;

/// What is wrong: nothing, where every promise is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(pub Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        self.0.push(finding);
    }

    /// Adds one, unless it holds.
    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.add(otherwise());
        }
    }
}

/// Checks a history, in which everything is resolved, against a store that nobody uses meanwhile.
///
/// - What was acknowledged is there, whole and once; what was refused is not; nothing is there
///   that nobody asked for.
/// - The movements of each level have rising versions and add up to its counts, which were valid
///   at each step; what is reserved is the sum of the live reservations.
/// - What was published was true at its version, and the newest state of each SKU is published,
///   or in the outbox, from where it will be.
///
/// # Errors
/// Where the store can't be read.
pub async fn check<S: InventoryStore + StockOutbox>(
    history: &[Entry],
    published: &[StockChanged],
    store: &S,
) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let skus = skus(history);
    let ledger = Ledger::read(store, &skus).await?;
    ledger.check(&mut findings);
    promises::check(history, &ledger, store, &mut findings).await?;
    published::check(published, &ledger, store, &mut findings).await?;
    Ok(findings)
}

fn skus(history: &[Entry]) -> Vec<Sku> {
    use crate::calls::Call;
    let mut skus: Vec<Sku> = history
        .iter()
        .flat_map(|entry| match &entry.call {
            Call::Receive { sku, .. } => vec![sku.clone()],
            Call::Reserve { lines, .. } => lines.iter().map(|(sku, _)| sku.clone()).collect(),
            Call::Go { .. } => Vec::new(),
        })
        .collect();
    skus.sort_unstable();
    skus.dedup();
    skus
}
