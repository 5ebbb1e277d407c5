//! The server: connecting by a URL, and checking its settings.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use tokio::time::timeout;

use crate::error::{PostgresError, failed, unreached};

/// The oldest supported server version.
const OLDEST: i32 = 140_000;
/// How long to wait for a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Creates a pool of up to 16 connections, for hosts that have none yet. Connections are not tested
/// before each call, which saves a round trip. If one is broken, the call fails and may be
/// repeated.
///
/// It connects to the server once, so that problems are reported at once.
///
/// # Errors
/// [`PostgresError::Invalid`] when the URL can not be parsed; the error does not show it, because
/// it may contain a password. [`PostgresError::Failed`], with the address and the reason, when the
/// server is not reached, is starting, has not answered within 5 seconds, or does not accept the
/// role, password or database.
pub async fn connect(url: &str) -> Result<PgPool, PostgresError> {
    // PgBouncer refuses connections that set `extra_float_digits`, and nothing here is a float.
    let options = options(url)?
        .application_name("stockade")
        .extra_float_digits(None);
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
        value: "a URL that is not shown".to_owned(),
        reason: format!("{why}; write postgres://USER@HOST:PORT/DATABASE"),
    })
}

/// Connects once. A pool would retry for half a minute when no server listens, and then only report
/// that it took too long.
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

/// The server's settings that the guarantees depend on, as far as a client can read them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerSettings {
    /// The version, such as `150006` for 15.6.
    pub version: i32,
    /// Whether the server does not accept writes, like a standby.
    pub read_only: bool,
    /// With `off`, a crash of the server can lose the last commits.
    pub synchronous_commit: String,
    /// With `off`, a crash of the machine can lose everything.
    pub fsync: String,
    /// Must be `logical` for change capture from a replication slot.
    pub wal_level: String,
}

impl ServerSettings {
    /// Reads the settings on a connection of this pool, and logs a warning for each that breaks a
    /// guarantee. A client can not check whether a standby has every acknowledged commit, and
    /// whether disks keep what they acknowledge.
    ///
    /// # Errors
    /// When the server can not be reached.
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

    /// The settings that break a guarantee, each with the fix.
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
            problems.push("the server does not accept writes; connect to the primary".to_owned());
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
            "Postgres: settings were read; replication and disks can not be checked"
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
