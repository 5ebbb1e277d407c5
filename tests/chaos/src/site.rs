//! Where a trial takes place: a schema of its own on some server, and a folder.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use stockade_inventory_core::Inventory;
use stockade_inventory_core::workers::OutboxRelay;
use stockade_postgres::{PostgresInventory, Schema};
use tempfile::TempDir;

use crate::check::{Findings, check};
use crate::customers::Client;
use crate::history::History;
use crate::log::FileLog;

/// So small that a pass of the relay has several pages.
const BATCH: NonZeroUsize = NonZeroUsize::new(2).expect("it is not 0");

/// How long the server may take to finish what nobody waits for any more.
const QUIET: Duration = Duration::from_secs(60);

/// A server, and whether it keeps what it acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commits {
    /// As it does by itself.
    #[default]
    Kept,
    /// With `synchronous_commit=off`, where it acknowledges before it has written: for the proof
    /// that this is noticed.
    Promised,
}

/// A shop of its own for one round of a trial.
#[derive(Debug)]
pub struct Site {
    url: String,
    schema: String,
    commits: Commits,
    folder: TempDir,
}

/// What came of a round.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many calls were made.
    pub calls: usize,
    /// How many of them had no clear answer, and were asked again.
    pub unclear: usize,
    /// How many events were published.
    pub published: usize,
    /// What is wrong.
    pub findings: Findings,
}

impl Site {
    /// An empty shop on this server.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn open(url: &str, seed: u64, commits: Commits) -> anyhow::Result<Self> {
        let started = std::time::UNIX_EPOCH.elapsed()?.as_micros();
        let site = Self {
            url: url.to_owned(),
            schema: format!("chaos_{started}_{seed:x}"),
            commits,
            folder: TempDir::with_prefix("stockade-chaos-")?,
        };
        site.store(1).await?.migrate().await?;
        Ok(site)
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The file of its history.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.folder.path().join("history")
    }

    /// The file of its published events.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Its store, over a pool of so many connections.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn store(&self, connections: u32) -> anyhow::Result<PostgresInventory> {
        store(&self.url, &self.schema, connections, self.commits).await
    }

    /// A client over so many connections, that notes what it does.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn client(&self, connections: u32) -> anyhow::Result<Client> {
        let store = Arc::new(self.store(connections).await?);
        Ok(Client::new(
            Inventory::new(store),
            History::append(&self.history())?,
        ))
    }

    /// Resolves what is unclear, checks that no event is lost by then, publishes what is left, and
    /// checks everything again.
    ///
    /// # Errors
    /// Where the server can't be reached, or something can't be resolved.
    pub async fn conclude(&self) -> anyhow::Result<Report> {
        self.until_quiet().await?;
        let unclear = self
            .client(1)
            .await?
            .resolve(&History::read(&self.history())?)
            .await?;
        let history = History::read(&self.history())?;
        let store = self.store(2).await?;
        let before = FileLog::read(&self.log())?;
        let mut findings = check(&history, &before, &store).await?;

        let pass = relay(&store, &self.log())?.pass().await?;
        ensure!(pass.failed == 0, "a file takes every event: {pass:?}");
        let after = FileLog::read(&self.log())?;
        findings.0.extend(check(&history, &after, &store).await?.0);
        let left = still_waiting(&store).await?;
        if left > 0 {
            findings
                .0
                .push(format!("{left} SKUs wait after a pass of the relay"));
        }
        findings.0.sort_unstable();
        findings.0.dedup();
        Ok(Report {
            calls: history.len(),
            unclear,
            published: after.len(),
            findings,
        })
    }

    /// What a dead client has asked for is done or undone by then.
    async fn until_quiet(&self) -> anyhow::Result<()> {
        let pool = pool(&self.url, 1, Commits::Kept).await?;
        let busy = "SELECT count(*) FROM pg_stat_activity \
                    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
                    AND state <> 'idle'";
        let quiet = async {
            while sqlx::query_scalar::<_, i64>(busy).fetch_one(&pool).await? > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(QUIET, quiet).await?
    }
}

/// A store on a server, over a pool of so many connections.
///
/// # Errors
/// Where the server can't be reached.
pub(crate) async fn store(
    url: &str,
    schema: &str,
    connections: u32,
    commits: Commits,
) -> anyhow::Result<PostgresInventory> {
    let pool = pool(url, connections, commits).await?;
    Ok(PostgresInventory::new(pool).with_schema(Schema::new(schema)?))
}

/// A relay from a store to a file.
///
/// # Errors
/// Where the file can't be written.
pub(crate) fn relay(store: &PostgresInventory, log: &Path) -> anyhow::Result<OutboxRelay> {
    let store = Arc::new(store.clone());
    let relay = OutboxRelay::new(store.clone(), store, Arc::new(FileLog::append(log)?));
    Ok(relay
        .with_interval(Duration::from_millis(5))
        .with_batch(BATCH))
}

async fn pool(url: &str, connections: u32, commits: Commits) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?;
    let options = match commits {
        Commits::Kept => options,
        Commits::Promised => options.options([("synchronous_commit", "off")]),
    };
    let pool = PgPoolOptions::new().max_connections(connections);
    Ok(pool.connect_with(options).await?)
}

async fn still_waiting(store: &PostgresInventory) -> anyhow::Result<usize> {
    use stockade_inventory_core::StockOutbox as _;
    Ok(store
        .unpublished(None, NonZeroUsize::MAX)
        .await?
        .changes
        .len())
}
