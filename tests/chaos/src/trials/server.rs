//! The server is killed under its callers.

use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use stack::{Postgres, Server as _};
use stockade_inventory_core::{ReservationId, Sku};
use tokio::task::JoinSet;

use crate::calls::{Answer, Call};
use crate::customers::{Client, Customers};
use crate::history::History;
use crate::site::{Commits, Report, Site};

/// The SKU of which there is one unit.
pub const LAST: &str = "last-one";
/// So many connections do their callers share.
const CONNECTIONS: u32 = 64;

/// So many callers at once for the last unit, on a server that nobody hurts. Returns how many
/// have it.
///
/// # Errors
/// Where the server can't be reached.
pub async fn last_unit(server: &Postgres, seed: u64, callers: usize) -> anyhow::Result<Report> {
    let site = Site::open(&server.url(), seed, Commits::Kept).await?;
    let client = site.client(CONNECTIONS).await?;
    client.receive(LAST, 1).await?;
    rush(&client, callers).await?;
    one_winner(&site).await
}

/// Callers for the last unit and customers, and the server killed with SIGKILL among them at a
/// moment that the seed decides, and started again.
///
/// # Errors
/// Where the server does not start again, or can't be reached then.
pub async fn kill_the_server(
    server: &mut Postgres,
    seed: u64,
    callers: usize,
    commits: Commits,
) -> anyhow::Result<Report> {
    let mut rng = Rng::with_seed(seed);
    let site = Site::open(&server.url(), seed, commits).await?;
    let client = site.client(CONNECTIONS).await?;
    client.stock_up().await?;
    client.receive(LAST, 1).await?;

    // By what is answered, so that the kill meets as many on a slow machine.
    let customers = Customers::start(&client, seed, 16);
    client.until_answered(rng.u64(50..300)).await;
    let rushing = tokio::spawn({
        let client = client.clone();
        async move { rush(&client, callers).await }
    });
    client.until_answered(rng.u64(1..600)).await;
    tokio::task::block_in_place(|| server.kill());
    tokio::time::sleep(Duration::from_millis(rng.u64(0..300))).await;
    tokio::task::block_in_place(|| server.restart())?;
    client.until_answered(100).await;
    rushing.await??;
    customers.stop().await?;
    drop(client);
    one_winner(&site).await
}

/// All callers at once, each with an id of its own.
async fn rush(client: &Client, callers: usize) -> anyhow::Result<()> {
    let mut calls = JoinSet::new();
    for number in 0..callers {
        let client = client.clone();
        let call = Call::Reserve {
            id: ReservationId::new(format!("caller-{number}"))?,
            lines: vec![(Sku::new(LAST)?, 1)],
        };
        calls.spawn(async move { client.make(call).await });
    }
    while let Some(made) = calls.join_next().await {
        made??;
    }
    Ok(())
}

async fn one_winner(site: &Site) -> anyhow::Result<Report> {
    let mut report = site
        .conclude()
        .await
        .context("after the server was killed")?;
    let mut winners: Vec<ReservationId> = History::read(&site.history())?
        .into_iter()
        .filter(|entry| entry.answer == Answer::Done)
        .filter_map(|entry| match entry.call {
            Call::Reserve { id, lines } if lines[0].0.as_str() == LAST => Some(id),
            _ => None,
        })
        .collect();
    winners.sort_unstable();
    winners.dedup();
    if winners.len() != 1 {
        let finding = format!("the last unit was granted to {winners:?}");
        report.findings.0.push(finding);
    }
    Ok(report)
}
