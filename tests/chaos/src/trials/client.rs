//! The client is killed in the midst of its calls.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use fastrand::Rng;

use crate::site::{Commits, Report, Site};
use crate::trials::process::Victim;

/// Customers and a relay in a process of their own, killed with SIGKILL at a moment that the seed
/// decides.
///
/// # Errors
/// Where the server can't be reached, and where the process ends by itself.
pub async fn kill_the_client(program: &Path, url: &str, seed: u64) -> anyhow::Result<Report> {
    let mut rng = Rng::with_seed(seed);
    let site = Site::open(url, seed, Commits::Kept).await?;
    site.client(1).await?.stock_up().await?;

    let (history, log) = (site.history(), site.log());
    let mut client = Victim::start(
        program,
        &[
            "customers",
            "--url",
            url,
            "--schema",
            site.schema(),
            "--seed",
            &seed.to_string(),
            "--history",
            &history.to_string_lossy(),
            "--log",
            &log.to_string_lossy(),
        ],
    )?;
    // By what it has done, so that it is busy on a slow machine, too.
    let some = fs::metadata(&history)?.len() + rng.u64(500..60_000);
    while fs::metadata(&history)?.len() < some {
        ensure!(client.is_running()?, "the client ended by itself");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_micros(rng.u64(0..5_000))).await;
    client.kill()?;
    site.conclude().await
}
