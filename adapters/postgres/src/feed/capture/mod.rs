//! Captures row changes from a replication slot into the log.

mod changes;
mod pgoutput;
mod problems;
mod slot;
mod snapshot;
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
/// - Each transaction is in the log exactly once, whole and in the order of commits, also after a
///   crash: its records and the position of its commit are written in one transaction, and changes
///   that the slot returns again are skipped.
/// - The rows that were in the tables before the slot come first, as snapshot reads.
/// - A slot holds back the write-ahead log only until its changes are in the log. Slow readers do
///   not matter. [`status`](Self::status) returns how much it holds back.
/// - A slot that is missing or lost is created again. Then all earlier records are deleted, so that
///   every group gets a lost offset, and a snapshot follows.
/// - Several captures may run: one captures, the others wait for an advisory lock.
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
    /// Captures the changes of a catalogue in the same database as the log. The publication is
    /// `catalog_changes` for the schema `catalog`; the slot is `stockade_catalog`.
    ///
    /// # Errors
    /// [`PostgresError::Invalid`] when the schema's name is too long for the name of a slot.
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

    /// Captures the changes of these tables. The publication must contain them. Both names have
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

    /// Sets the slot. Two databases of one server can not have slots with the same name.
    ///
    /// # Errors
    /// [`PostgresError::Invalid`] for a name with other characters than lower-case letters, digits
    /// and underscores.
    pub fn with_slot(mut self, slot: impl Into<String>) -> Result<Self, PostgresError> {
        self.slot = CaptureName::new("slot", slot)?;
        Ok(self)
    }

    /// Sets how often the capture looks for changes (50 ms). If decoding takes longer, it pauses
    /// for three times the duration of the decoding.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets about how many changes are captured in one transaction (20,000). Transactions of the
    /// source are never split.
    #[must_use]
    pub fn with_batch(mut self, changes: u32) -> Self {
        self.batch = changes.max(1);
        self
    }

    /// Sets how long to wait for a server that does not answer (10 minutes; at least a
    /// millisecond). One read of the slot is one such wait; it takes longer when a transaction
    /// changed more rows. A capture that makes progress may take any time.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience.max(Duration::from_millis(1));
        self
    }
}
