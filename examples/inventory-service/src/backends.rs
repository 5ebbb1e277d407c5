//! Postgres, Redis and Kafka, as far as the role needs them.

use std::sync::Arc;

use anyhow::Context as _;
use fred::clients::Client;
use service_kit::{KafkaLog, Readiness, Workers, check_postgres, check_redis, connect_postgres};
use sqlx::PgPool;
use stockade_kafka::KafkaPublisher;
use stockade_postgres::PostgresInventory;
use stockade_redis::{RedisTimers, TimerOptions};

use crate::options::{Options, Role};

/// The backends of a process.
pub(crate) struct Backends {
    pool: PgPool,
    pub(crate) store: Arc<PostgresInventory>,
    redis: Option<Client>,
    pub(crate) timers: Option<Arc<RedisTimers>>,
    kafka: Option<KafkaLog>,
}

impl Backends {
    /// Connects, brings the tables of Postgres up to date, and creates the topic of Kafka.
    pub(crate) async fn open(options: &Options, workers: &mut Workers) -> anyhow::Result<Self> {
        // What is missing is reported before anything is changed.
        options.check()?;
        let role = options.role;
        let pool = connect_postgres(&options.postgres).await?;
        let store = Arc::new(PostgresInventory::new(pool.clone()));
        if !options.skip_migrations {
            store.migrate().await.context("the tables of Postgres")?;
        }
        let prefixed = TimerOptions::default().with_prefix(options.redis.redis_prefix.clone());
        let (redis, timers) = if role.runs(Role::Expiry) {
            let client = options.redis.connect().await?;
            let timers = RedisTimers::start(client.clone(), prefixed).await?;
            (Some(client), Some(Arc::new(timers)))
        } else if role.has_timers() {
            // It only sets and removes timers, and starts while Redis is down.
            let client = options.redis.connect_in_background(workers)?;
            let timers = RedisTimers::unchecked(client.clone(), prefixed);
            (Some(client), Some(Arc::new(timers)))
        } else {
            (None, None)
        };
        let kafka = if role.runs(Role::Relay) {
            Some(options.kafka.open("inventory-service").await?)
        } else {
            None
        };
        Ok(Self {
            pool,
            store,
            redis,
            timers,
            kafka,
        })
    }

    /// Adds the checks of the backends without which this role does not do its work. A process that
    /// answers requests works without Kafka and Redis: changes wait in the outbox, and a sweep
    /// expires reservations.
    pub(crate) fn check(&self, role: Role, readiness: &Readiness) {
        check_postgres(readiness, &self.pool);
        if let (Role::Expiry, Some(redis)) = (role, &self.redis) {
            check_redis(readiness, redis);
        }
        if let (Role::Relay, Some(kafka)) = (role, &self.kafka) {
            kafka.check(readiness);
        }
    }

    /// Publishes to Kafka, if this process does.
    pub(crate) fn publisher(&self) -> Option<Arc<KafkaPublisher>> {
        self.kafka.as_ref().map(KafkaLog::publisher)
    }
}
