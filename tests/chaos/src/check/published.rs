//! What was published, and what is there.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use stockade_inventory_core::{Sku, StockChanged, StockOutbox, Version};

use crate::check::Findings;
use crate::check::ledger::Ledger;

pub(super) async fn check(
    published: &[StockChanged],
    ledger: &Ledger,
    outbox: &dyn StockOutbox,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let waiting = unpublished(outbox).await?;
    let mut newest: HashMap<&Sku, Version> = HashMap::new();
    for event in published {
        let seen = newest.entry(&event.sku).or_insert(event.version);
        *seen = event.version.max(*seen);
    }
    for account in ledger.accounts() {
        let sku = &account.sku;
        let available = account.available();
        for event in published.iter().filter(|event| event.sku == *sku) {
            let then = available.get(&event.version);
            findings.expect(then == Some(&event.new_stock_count), || {
                format!("{event:?} was published, and at that version it was {then:?}")
            });
        }
        let Some(stock) = &account.stock else {
            continue;
        };
        let newest = newest.get(sku).copied();
        let safe = newest == Some(stock.version()) || waiting.contains(sku);
        findings.expect(safe, || {
            let version = stock.version();
            format!("{sku}: an event is lost: at {version:?}, published up to {newest:?}")
        });
    }
    Ok(())
}

async fn unpublished(outbox: &dyn StockOutbox) -> anyhow::Result<HashSet<Sku>> {
    const PAGE: NonZeroUsize = NonZeroUsize::new(500).expect("it is not 0");
    let (mut skus, mut after) = (HashSet::new(), None);
    loop {
        let page = outbox.unpublished(after.as_ref(), PAGE).await?;
        skus.extend(page.changes.into_iter().map(|change| change.sku));
        after = page.next;
        if after.is_none() {
            return Ok(skus);
        }
    }
}
