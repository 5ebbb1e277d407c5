//! An earlier build and this one, side by side for a while.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::shop::Shop;
use crate::site::{Build, Site};
use crate::verdict;

/// Buyers shop while each process of the build `before` is replaced by one of this build. The
/// tables are made by the earlier build and migrated by this one, under the earlier one's feet.
pub(crate) async fn run(short: bool, before: &Build) -> anyhow::Result<()> {
    let (buyers, stage) = if short { (20, 3) } else { (100, 20) };
    let stage = Duration::from_secs(stage);
    let this = &Build::This;
    let site = tokio::task::block_in_place(Site::start)?;
    let old_inventory = site.inventory(before)?;
    let old_catalog = site.catalog(before, "all", &old_inventory, &[])?;
    let shop = Shop::open(&old_inventory).await?;
    let begun = Instant::now();
    let shopping = shop.buyers(buyers, begun + 4 * stage);
    sleep(stage).await;

    let inventory = site.inventory(this)?;
    shop.moves_to(&[&old_inventory, &inventory]);
    let catalog = site.catalog(this, "all", &inventory, &[])?;
    sleep(stage).await;

    shop.moves_to(&[&inventory]);
    old_inventory.stop();
    sleep(stage).await;

    old_catalog.stop();
    shopping.await??;
    let took = begun.elapsed();
    verdict::say(&shop, &site.database(), &catalog, took).await?;
    for process in [catalog, inventory] {
        process.stop();
    }
    Ok(())
}
