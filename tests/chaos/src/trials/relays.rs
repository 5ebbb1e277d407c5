//! Two relays, of which one is killed and the other one stalls.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use stockade_inventory_core::StockOutbox as _;

use crate::customers::Customers;
use crate::site::{Commits, Report, Site};
use crate::trials::process::Victim;

/// How long a relay may take to publish the rest.
const CAUGHT_UP: Duration = Duration::from_secs(60);

/// Two relays in processes of their own beside customers. One is paused, the other one killed
/// meanwhile, and the first goes on and has to publish everything.
///
/// # Errors
/// Where the server can't be reached, and where the relay does not catch up within a minute.
pub async fn hurt_the_relays(program: &Path, url: &str, seed: u64) -> anyhow::Result<Report> {
    let mut rng = Rng::with_seed(seed);
    let mut pause = || Duration::from_millis(rng.u64(50..400));
    let site = Site::open(url, seed, Commits::Kept).await?;
    let client = site.client(16).await?;
    client.stock_up().await?;

    let log = site.log();
    let log = log.to_string_lossy();
    let arguments = [
        "relay",
        "--url",
        url,
        "--schema",
        site.schema(),
        "--log",
        &log,
    ];
    let stalling = Victim::start(program, &arguments)?;
    let dying = Victim::start(program, &arguments)?;
    let customers = Customers::start(&client, seed, 8);
    tokio::time::sleep(pause()).await;
    stalling.pause()?;
    tokio::time::sleep(pause()).await;
    dying.kill()?;
    tokio::time::sleep(pause()).await;
    stalling.resume()?;
    tokio::time::sleep(pause()).await;
    customers.stop().await?;

    let store = site.store(1).await?;
    let caught_up = async {
        while !store
            .unpublished(None, NonZeroUsize::MIN)
            .await?
            .changes
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(CAUGHT_UP, caught_up).await??;
    drop(stalling);
    site.conclude().await
}
