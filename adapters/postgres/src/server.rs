//! The server: reaching it by a URL, and what it is set to.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use tokio::time::timeout;

use crate::error::{PostgresError, failed, unreached};

/// The oldest server that the statements are written for.
const OLDEST: i32 = 140_000;
/// How long a server is waited for that says nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pool of up to 16 connections, for who has none yet. They are not tested before each call,
/// which saves a round trip; where one is broken, the call fails and may be repeated.
///
/// The server is asked once, so that what keeps it from being used is told at once.
///
/// # Errors
/// [`PostgresError::Invalid`] where the URL can't be read, which is not shown: it may hold a
/// password. Others name the server and say what it said: [`PostgresError::Failed`] where it
/// is not reached, is starting, or has not answered within 5 seconds, and
/// [`PostgresError::Failed`] where it knows no such role, password or database.
pub async fn connect(url: &str) -> Result<PgPool, PostgresError> {
    let options = options(url)?.application_name("stockade");
    reach(&options).await?;
    Ok(PgPoolOptions::new()
        .max_connections(16)
        .test_before_acquire(false)
        .connect_lazy_with(options))
}

fn options(url: &str) -> Result<PgConnectOptions, PostgresError> {
    let is_ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = match is_ours {
        true => PgConnectOptions::from_str(url).map_err(|error| error.to_string()),
        false => Err("another scheme, or none".to_owned()),
    };
    options.map_err(|why| PostgresError::Invalid {
        field: "the URL of Postgres",
        value: "a text that is not shown".to_owned(),
        reason: format!("{why}; write postgres://USER@HOST:PORT/DATABASE"),
    })
}

/// Connects once. The pool would go on trying for half a minute where nobody listens, and then
/// say only that it took too long.
async fn reach(options: &PgConnectOptions) -> Result<(), PostgresError> {
    let connecting = async { options.connect().await?.close().await };
    let silent = || io::Error::other(format!("no answer within {PATIENCE:?}"));
    let reached = timeout(PATIENCE, connecting).await;
    let reached = reached.unwrap_or_else(|_| Err(silent().into()));
    reached.map_err(|error| unreached(address(options), error))
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// What the guarantees rest on, as a client can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// As `150006` for 15.6.
    pub version: i32,
    /// Whether the server takes no writes, as a standby.
    pub read_only: bool,
    /// `off` lets a crash of the server lose answers of its last moments.
    pub synchronous_commit: String,
    /// `off` lets a crash of the machine lose everything.
    pub fsync: String,
    /// A change feed from a replication slot needs `logical`.
    pub wal_level: String,
}

impl ServerSettings {
    /// Reads them on a connection of this pool, and logs a warning for each that breaks a promise.
    /// What no client can read stays unchecked: whether a standby has what was acknowledged, and
    /// whether disks keep what they say they wrote.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn read(pool: &PgPool) -> Result<Self, PostgresError> {
        type Row = (i32, bool, String, String, String);
        let row: Row = sqlx::query_as(
            "SELECT current_setting('server_version_num')::int, \
             pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, \
             current_setting('synchronous_commit'), current_setting('fsync'), \
             current_setting('wal_level')",
        )
        .fetch_one(pool)
        .await
        .map_err(failed("read settings"))?;
        let (version, read_only, synchronous_commit, fsync, wal_level) = row;
        let settings = Self {
            version,
            read_only,
            synchronous_commit,
            fsync,
            wal_level,
        };
        settings.report();
        Ok(settings)
    }

    /// What of it breaks a promise, and what mends it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.version < OLDEST {
            let (version, oldest) = (self.version / 10_000, OLDEST / 10_000);
            problems.push(format!(
                "Postgres {version} is older than {oldest}; upgrade it"
            ));
        }
        if self.read_only {
            problems.push("the server takes no writes; connect to the primary".to_owned());
        }
        for (setting, value, loss) in [
            (
                "synchronous_commit",
                &self.synchronous_commit,
                "of the server",
            ),
            ("fsync", &self.fsync, "of the machine"),
        ] {
            if value == "off" {
                problems.push(format!(
                    "{setting} is off: a crash {loss} loses what was acknowledged; turn it on"
                ));
            }
        }
        problems
    }

    fn report(&self) {
        for problem in self.problems() {
            tracing::warn!("Postgres: {problem}");
        }
        tracing::info!(
            version = self.version,
            synchronous_commit = self.synchronous_commit,
            wal_level = self.wal_level,
            "Postgres: replication and disks are unchecked"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_promise_is_told() {
        let mut settings = ServerSettings {
            version: 150_006,
            read_only: false,
            synchronous_commit: "on".to_owned(),
            fsync: "on".to_owned(),
            wal_level: "replica".to_owned(),
        };
        assert!(settings.problems().is_empty());
        settings.version = 130_000;
        settings.read_only = true;
        settings.synchronous_commit = "off".to_owned();
        settings.fsync = "off".to_owned();
        let problems = settings.problems().join("\n");
        for word in ["Postgres 13", "primary", "synchronous_commit", "fsync"] {
            assert!(problems.contains(word), "{word}: {problems}");
        }
    }
}
