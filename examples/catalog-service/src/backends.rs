//! Postgres, Redis, Kafka and the inventory service, as far as the role needs them.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use fred::clients::Client;
use service_kit::{KafkaLog, Readiness, Workers, check_postgres, check_redis, connect_postgres};
use sqlx::PgPool;
use stockade_change_feed::{Group, Topic};
use stockade_http::{HttpOptions, HttpStockSource};
use stockade_postgres::PostgresCatalog;
use stockade_redis::RedisAvailability;

use crate::options::{Options, Role};

/// The backends of a process.
pub(crate) struct Backends {
    pool: Option<PgPool>,
    /// Products, if this process answers requests.
    pub(crate) catalog: Option<Arc<PostgresCatalog>>,
    redis: Client,
    pub(crate) cache: Arc<RedisAvailability>,
    pub(crate) inventory: Arc<HttpStockSource>,
    /// Changes of stock, if this process follows them.
    pub(crate) log: Option<StockLog>,
}

/// The log of changes of stock, and who reads it.
#[derive(Clone)]
pub(crate) struct StockLog {
    pub(crate) kafka: KafkaLog,
    pub(crate) group: Group,
    pub(crate) dead_letters: Topic,
}

impl Backends {
    /// Connects, brings the tables of Postgres up to date, and creates the topics of Kafka. Redis is
    /// connected to in the background: pages are shown without it, and the cache is filled when it
    /// is there.
    pub(crate) async fn open(options: &Options, workers: &mut Workers) -> anyhow::Result<Self> {
        // What is missing is reported before anything is changed.
        options.check()?;
        let at = HttpOptions::new(&options.inventory)
            .map_err(|error| anyhow!("{error}; correct --inventory"))?;
        let inventory = Arc::new(HttpStockSource::new(at)?);
        let (pool, catalog) = match &options.postgres {
            Some(url) if options.role.runs(Role::Api) => {
                let pool = connect_postgres(url).await?;
                let catalog = Arc::new(PostgresCatalog::new(pool.clone()));
                if !options.skip_migrations {
                    catalog.migrate().await.context("the tables of Postgres")?;
                }
                (Some(pool), Some(catalog))
            }
            _ => (None, None),
        };
        let log = if options.role.runs(Role::Availability) {
            Some(StockLog::open(options).await?)
        } else {
            None
        };
        let redis = options.redis.connect_in_background(workers)?;
        let cache =
            RedisAvailability::new(redis.clone()).with_prefix(options.redis.redis_prefix.clone());
        Ok(Self {
            pool,
            catalog,
            redis,
            cache: Arc::new(cache),
            inventory,
            log,
        })
    }

    /// Adds the checks of the backends without which this process does not do its work. One that
    /// answers requests works without Kafka, Redis and the inventory service: pages show the stock
    /// that is known.
    pub(crate) fn check(&self, readiness: &Readiness) {
        match (&self.pool, &self.log) {
            (Some(pool), _) => check_postgres(readiness, pool),
            (None, Some(log)) => {
                check_redis(readiness, &self.redis);
                log.kafka.check(readiness);
            }
            (None, None) => {}
        }
    }
}

impl StockLog {
    async fn open(options: &Options) -> anyhow::Result<Self> {
        let kafka = options.kafka.open("catalog-service").await?;
        let group = options.kafka_group.clone();
        let dead_letters = Topic::new(format!("{group}.dead-letters"))?;
        kafka.ensure(&dead_letters).await?;
        Ok(Self {
            kafka,
            group,
            dead_letters,
        })
    }
}
