//! Row changes, from a replication slot into the log.

mod changes;
mod page;
mod pgoutput;
mod problems;
mod slot;
mod snapshot;
mod state;
mod table;
mod values;
mod worker;

use std::time::Duration;

#[cfg(feature = "catalog")]
use crate::catalog::PostgresCatalog;
use crate::error::PostgresError;
use crate::names::CaptureName;

pub use self::slot::SlotStatus;
pub use self::table::CapturedTable;
use super::PostgresFeed;

/// Captures row changes from a logical replication slot into a [`PostgresFeed`], as the envelopes
/// that Debezium writes: change capture without Debezium or Kafka.
///
/// - Each transaction is in the log once, whole and in the order of commits, whatever crashes:
///   its records and the place of its commit are written together, and what the slot tells again
///   is left out.
/// - What was in the tables before the slot comes first, as snapshot reads.
/// - A slot holds the write-ahead log back only until its changes are in the log, however slow
///   readers are; [`status`](Self::status) says how far.
/// - A slot that is missing or lost is created anew. The records before it are then forgotten, so
///   that every group learns of its lost offset, and a snapshot follows.
/// - Several may run: one captures, the others stand by on an advisory lock.
///
/// Gauges with the label `slot`: `stockade_capture_retained_bytes`,
/// `stockade_capture_behind_bytes`.
///
/// ```no_run
/// use stockade_postgres::{PostgresCapture, PostgresCatalog, PostgresFeed, connect};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = connect("postgres://shop@localhost/shop").await?;
/// let catalog = PostgresCatalog::new(pool.clone());
/// let capture = PostgresCapture::of_catalog(PostgresFeed::new(pool), &catalog)?;
/// for problem in capture.problems().await? {
///     eprintln!("{problem}"); // with the SQL that mends it
/// }
/// let stop = std::future::pending(); // a service stops it at a signal
/// capture.run(stop).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresCapture {
    pub(super) feed: PostgresFeed,
    slot: CaptureName,
    publication: CaptureName,
    tables: Vec<CapturedTable>,
    interval: Duration,
    batch: u32,
    patience: Duration,
}

impl PostgresCapture {
    /// Captures the changes of a catalogue in the same database as the log, by its publication,
    /// `catalog_changes` where its schema is `catalog`, and the slot `stockade_catalog`.
    ///
    /// # Errors
    /// [`PostgresError::Invalid`] where the schema's name is too long for the slot's.
    #[cfg(feature = "catalog")]
    pub fn of_catalog(
        feed: PostgresFeed,
        catalog: &PostgresCatalog,
    ) -> Result<Self, PostgresError> {
        let schema = catalog.schema();
        let slot = format!("stockade_{schema}");
        let publication = format!("{schema}_changes");
        Self::new(feed, slot, publication, CapturedTable::of_catalog(schema))
    }

    /// Captures the changes of these tables, which the publication has to name. Both names are
    /// lower-case letters, digits and underscores.
    ///
    /// # Errors
    /// [`PostgresError::Invalid`] for other names.
    pub fn new(
        feed: PostgresFeed,
        slot: impl Into<String>,
        publication: impl Into<String>,
        tables: Vec<CapturedTable>,
    ) -> Result<Self, PostgresError> {
        Ok(Self {
            feed,
            slot: CaptureName::new("slot", slot)?,
            publication: CaptureName::new("publication", publication)?,
            tables,
            interval: Duration::from_millis(50),
            batch: 20_000,
            patience: Duration::from_secs(600),
        })
    }

    /// By this slot: two databases of one server can not have slots of one name.
    ///
    /// # Errors
    /// [`PostgresError::Invalid`] for a name that is not of lower-case letters, digits and
    /// underscores.
    pub fn with_slot(mut self, slot: impl Into<String>) -> Result<Self, PostgresError> {
        self.slot = CaptureName::new("slot", slot)?;
        Ok(self)
    }

    /// Looks for changes this often (50 ms). Where decoding takes longer, it rests three times as
    /// long as that took.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Takes about this many changes in one transaction (20,000), in whole transactions of the
    /// source.
    #[must_use]
    pub fn with_batch(mut self, changes: u32) -> Self {
        self.batch = changes.max(1);
        self
    }

    /// Gives up on a server that is silent for so long (10 minutes; at least a millisecond). One
    /// look into the slot is such a silence, and takes longer the more was changed by one
    /// transaction. A capture that makes progress may take as long as it likes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience.max(Duration::from_millis(1));
        self
    }
}
