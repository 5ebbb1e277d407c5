//! The suites of an ordered log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use stack::Server as _;
use stockade_change_feed::{Feed, Offset, Publisher, Topic, TopicPartition};
use stockade_postgres::PostgresFeed;
use stockade_testkit::feed::{FeedHarness, PublisherHarness, RetentionHarness};
use stockade_testkit::{Absent, Crash, Harness, Reopen};

use crate::harness::{OwnSchema, blocking, kill, pool, url};

const SESSION: Duration = Duration::from_secs(3);

/// A log in a schema of its own.
struct Postgres {
    feed: PostgresFeed,
    pool: PgPool,
    topics: AtomicU32,
    schema: OwnSchema,
}

impl Postgres {
    async fn over(schema: OwnSchema, topics: u32) -> Self {
        let pool = pool(&schema.url).await;
        let feed = PostgresFeed::new(pool.clone())
            .with_schema(schema.name.clone())
            .with_session_timeout(SESSION);
        feed.migrate().await.unwrap();
        Self {
            feed,
            pool,
            topics: AtomicU32::new(topics),
            schema,
        }
    }
}

#[async_trait]
impl Harness for Postgres {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        Ok(Self::over(OwnSchema::new(url()?), 0).await)
    }
}

#[async_trait]
impl PublisherHarness for Postgres {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.feed.clone())
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        let number = self.topics.fetch_add(1, Ordering::Relaxed);
        let topic = Topic::new(format!("topic-{number}")).unwrap();
        let feed = self.feed.clone().with_partitions(partitions);
        assert_eq!(feed.partitions(&topic).await.unwrap(), partitions);
        topic
    }
}

impl FeedHarness for Postgres {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

#[async_trait]
impl RetentionHarness for Postgres {
    async fn trim(&self, partition: &TopicPartition, before: Offset) {
        let before = u64::try_from(before.0).unwrap();
        self.feed.trim(partition, before).await.unwrap();
    }

    async fn recreate(&self, topic: &Topic) {
        let partitions = self.feed.partitions(topic).await.unwrap();
        self.feed.delete_topic(topic).await.unwrap();
        let feed = self.feed.clone().with_partitions(partitions);
        assert_eq!(feed.partitions(topic).await.unwrap(), partitions);
    }
}

#[async_trait]
impl Reopen for Postgres {
    async fn reopen(self) -> Self {
        let topics = self.topics.load(Ordering::Relaxed);
        self.pool.close().await;
        Self::over(self.schema, topics).await
    }
}

stockade_testkit::publisher_conformance!(publisher, Postgres);
stockade_testkit::feed_conformance!(feed, Postgres);
stockade_testkit::feed_reopen_conformance!(feed_reopened, Postgres);
stockade_testkit::feed_retention_conformance!(feed_retention, Postgres);
stockade_testkit::feed_retention_reopen_conformance!(feed_retention_reopened, Postgres);

/// A log on a server of its own, which is killed.
struct Killed(PostgresFeed);

#[async_trait]
impl Harness for Killed {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        Ok(Self::open_at(&url()?).await)
    }
}

#[async_trait]
impl PublisherHarness for Killed {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.0.clone())
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        let topic = Topic::new(format!("topic-{}", std::process::id())).unwrap();
        let feed = self.0.clone().with_partitions(partitions);
        assert_eq!(feed.partitions(&topic).await.unwrap(), partitions);
        topic
    }
}

impl FeedHarness for Killed {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.0.clone())
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

#[async_trait]
impl Crash for Killed {
    type Data = Option<stack::Postgres>;

    async fn create() -> Result<Self::Data, Absent> {
        // Where no server is asked for, none is started.
        url()?;
        let server = blocking(stack::Postgres::start).await.unwrap();
        Self::open_at(&server.url())
            .await
            .0
            .migrate()
            .await
            .unwrap();
        Ok(Some(server))
    }

    fn address(server: &Self::Data) -> String {
        server.as_ref().unwrap().url()
    }

    async fn open_at(url: &str) -> Self {
        Self(PostgresFeed::new(pool(url).await).with_session_timeout(SESSION))
    }

    async fn kill_server(server: &mut Self::Data) {
        kill(server).await;
    }
}

stockade_testkit::feed_crash_conformance!(feed_crash, Killed);
