//! A log in tables, and the capture of row changes into it.

mod capture;
mod group;
mod records;
mod retention;
mod statements;
mod subscription;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use stockade_change_feed::{
    Feed, FeedError, Group, PartitionLag, SubscribeOptions, Subscription, Topic, TopicPartition,
};
use tokio::sync::watch;

pub use self::capture::{CapturedTable, PostgresCapture, SlotStatus};
pub use self::retention::ResetTo;
use self::statements::Statements;
use self::subscription::PostgresSubscription;
use crate::error::{PostgresError, committing, failed};
use crate::migrate::{Component, migrate};
use crate::names::Schema;
use crate::session::{Pooled, Sessions as _, Timeouts};

/// A log in Postgres. Clones share one log.
///
/// Callers publish to it, and [`PostgresCapture`] fills it with row changes from a replication
/// slot.
///
/// - A topic is created when it is first used, with 4 partitions unless another number is set.
/// - Offsets start at 0. An append locks the partition's row until the commit, so that offsets
///   become visible in their order and no reader skips one.
/// - All records are kept until they are [trimmed](Self::trim_older).
/// - Readers in this process get records that are published through the same instance at once, and
///   other records within 50 ms.
/// - A partition is revoked when its reader polls and releases it, when the reader closes, or when
///   another member polls after the reader was silent for the session timeout.
///
/// ```no_run
/// use stockade_change_feed::{Message, Publisher, Topic};
/// use stockade_postgres::{PostgresFeed, connect};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let feed = PostgresFeed::new(connect("postgres://shop@localhost/shop").await?);
/// feed.migrate().await?;
/// let updates = Topic::new("inventory_updates")?;
/// let published = feed.publish(&updates, vec![Message::keyed("tee-m", "{}")]).await?;
/// println!("{:?}", published[0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresFeed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sessions: Pooled,
    schema: Schema,
    statements: Statements,
    partitions: u32,
    session_timeout: Duration,
    max_message_bytes: usize,
    /// Increases with each change that a waiting poll of this process should look at.
    changes: watch::Sender<u64>,
}

impl PostgresFeed {
    /// A log over a pool of the host, in the schema `feed`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self::build(Shared {
            sessions: Pooled::new(pool),
            statements: Statements::new(&Component::Feed.schema()),
            schema: Component::Feed.schema(),
            partitions: 4,
            session_timeout: Duration::from_secs(30),
            max_message_bytes: 1 << 20,
            changes: watch::Sender::new(0),
        })
    }

    fn build(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The same log with other settings.
    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let shared = &self.shared;
        let mut shared = Shared {
            sessions: shared.sessions.clone(),
            statements: Statements::new(&shared.schema),
            schema: shared.schema.clone(),
            changes: shared.changes.clone(),
            ..*shared.as_ref()
        };
        change(&mut shared);
        Self::build(shared)
    }

    /// Sets the schema.
    #[must_use]
    pub fn with_schema(self, schema: Schema) -> Self {
        self.with(|shared| {
            shared.statements = Statements::new(&schema);
            shared.schema = schema;
        })
    }

    /// Sets the timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: Timeouts) -> Self {
        self.with(|shared| shared.sessions.timeouts = timeouts)
    }

    /// Sets the number of partitions of topics that are created from now on, at least 1 (4).
    #[must_use]
    pub fn with_partitions(self, partitions: u32) -> Self {
        self.with(|shared| shared.partitions = partitions.max(1))
    }

    /// Sets the session timeout: a member that does not poll for so long loses its partitions (30
    /// s). All processes must use the same.
    #[must_use]
    pub fn with_session_timeout(self, timeout: Duration) -> Self {
        self.with(|shared| shared.session_timeout = timeout)
    }

    /// Sets the limit for key, value and headers of a message together (1 MiB).
    #[must_use]
    pub fn with_max_message_bytes(self, bytes: usize) -> Self {
        self.with(|shared| shared.max_message_bytes = bytes)
    }

    /// Brings the tables up to date; see [`migrate`](crate::migrate()).
    ///
    /// # Errors
    /// As for `migrate`.
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        let Shared {
            sessions, schema, ..
        } = self.shared.as_ref();
        migrate(&sessions.pool, Component::Feed, schema).await
    }

    /// Runs a statement that is its own transaction.
    async fn execute(
        &self,
        operation: &'static str,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<(), PostgresError> {
        let executing = async |connection: &mut PgConnection| {
            let executed = query.execute(connection).await;
            executed.map(drop).map_err(committing(operation))
        };
        self.shared.sessions.ask(operation, executing).await
    }

    /// Runs a transaction: it takes effect completely, or not at all when it fails.
    async fn transact<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        let sessions = &self.shared.sessions;
        let transacting = async {
            let mut transaction = sessions.begin(operation).await?;
            let done = work(transaction.connection()).await;
            transaction.end(done).await
        };
        sessions.in_time(operation, transacting).await
    }

    fn wake(&self) {
        let changes = &self.shared.changes;
        changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

#[async_trait]
impl Feed for PostgresFeed {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        for topic in topics {
            self.topic(topic).await?;
        }
        let (feed, topics) = (self.clone(), topics.to_vec());
        let joining = PostgresSubscription::new(feed, group.clone(), topics, options);
        Ok(Box::new(joining.await?))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        const OPERATION: &str = "read lag";
        for topic in topics {
            self.topic(topic).await?;
        }
        let names: Vec<&str> = topics.iter().map(Topic::as_str).collect();
        let query = sqlx::query_as(self.shared.statements.lag.clone())
            .bind(group.as_str())
            .bind(names);
        let reading = async |connection: &mut PgConnection| {
            let rows = query.fetch_all(connection).await;
            rows.map_err(failed(OPERATION))
        };
        let rows: Vec<(String, i32, i64, Option<f64>)> =
            self.shared.sessions.ask(OPERATION, reading).await?;
        let lag = |(topic, partition, records, age): (String, i32, i64, Option<f64>)| {
            let at = TopicPartition::new(Topic::new(topic)?, partition.unsigned_abs());
            let age = Duration::try_from_secs_f64(age.unwrap_or_default());
            Ok(PartitionLag::new(
                at,
                Some(records.unsigned_abs()),
                age.ok(),
            ))
        };
        rows.into_iter().map(lag).collect()
    }
}
