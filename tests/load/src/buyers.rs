//! Many buyers at once.

use std::time::{Duration, Instant};

use crate::shop::Shop;
use crate::site::{Build, Site};
use crate::verdict;

pub(crate) async fn run(short: bool) -> anyhow::Result<()> {
    let (buyers, lasts) = if short { (50, 5) } else { (500, 60) };
    let site = tokio::task::block_in_place(Site::start)?;
    let inventory = site.inventory(&Build::This)?;
    let catalog = site.catalog(&Build::This, "all", &inventory, &[])?;
    let shop = Shop::open(&inventory).await?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(lasts);
    shop.buyers(buyers, until).await??;
    let took = begun.elapsed();
    verdict::say(&shop, &site.database(), &catalog, took).await?;
    for process in [catalog, inventory] {
        process.stop();
    }
    Ok(())
}
