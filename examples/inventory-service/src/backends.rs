//! Postgres, Redis and Kafka, as far as the role needs them.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use secrecy::ExposeSecret as _;
use service_kit::Readiness;
use sqlx::PgPool;
use stockade_kafka::{
    KafkaClient, KafkaConfig, KafkaPublisher, Sasl, Tls, TopicProblem, TopicSettings,
};
use stockade_postgres::{PostgresInventory, ServerSettings, connect};
use stockade_redis::{RedisTimers, TimerOptions};

use crate::options::{Options, Role};

/// The backends of a process.
pub(crate) struct Backends {
    pool: PgPool,
    pub(crate) store: Arc<PostgresInventory>,
    redis: Option<Client>,
    pub(crate) timers: Option<Arc<RedisTimers>>,
    kafka: Option<Log>,
}

/// The log that changes of stock are published to.
struct Log {
    client: KafkaClient,
    options: LogOptions,
}

#[derive(Clone)]
struct LogOptions {
    topic: stockade_change_feed::Topic,
    settings: TopicSettings,
}

impl Backends {
    /// Connects, brings the tables of Postgres up to date, and creates the topic of Kafka.
    pub(crate) async fn open(options: &Options) -> anyhow::Result<Self> {
        // What is missing is reported before anything is changed.
        let (redis, kafka) = (options.redis()?, options.kafka()?);
        let pool = connect(options.postgres.expose_secret())
            .await
            .map_err(|error| anyhow!("{error}; start it, or correct --postgres"))?;
        ServerSettings::read(&pool).await?;
        let store = Arc::new(PostgresInventory::new(pool.clone()));
        if !options.skip_migrations {
            store.migrate().await.context("the tables of Postgres")?;
        }
        let (redis, timers) = match redis {
            None => (None, None),
            Some(url) => {
                let client = stockade_redis::connect(url.expose_secret())
                    .await
                    .map_err(|error| anyhow!("{error}; start it, or correct --redis"))?;
                let prefixed = TimerOptions::default().with_prefix(options.redis_prefix.clone());
                let timers = RedisTimers::start(client.clone(), prefixed).await?;
                (Some(client), Some(Arc::new(timers)))
            }
        };
        let kafka = match kafka {
            None => None,
            Some(brokers) => Some(Log::open(brokers, options).await?),
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
        let pool = self.pool.clone();
        readiness.add_check("postgres", move || {
            let pool = pool.clone();
            async move { sqlx::query("SELECT 1").execute(&pool).await.map(drop) }
        });
        if let (Role::Expiry, Some(redis)) = (role, &self.redis) {
            let redis = redis.clone();
            readiness.add_check("redis", move || {
                let redis = redis.clone();
                async move { redis.ping::<()>(None).await }
            });
        }
        if let (Role::Relay, Some(Log { client, options })) = (role, &self.kafka) {
            let (client, options) = (client.clone(), options.clone());
            readiness.add_check("kafka", move || {
                let (client, LogOptions { topic, settings }) = (client.clone(), options.clone());
                async move { client.check_topic(&topic, &settings).await.map(drop) }
            });
        }
    }

    /// Publishes to Kafka, if this process does.
    pub(crate) fn publisher(&self) -> Option<Arc<KafkaPublisher>> {
        let log = self.kafka.as_ref()?;
        Some(Arc::new(KafkaPublisher::new(log.client.clone())))
    }
}

impl Log {
    async fn open(brokers: &[String], options: &Options) -> anyhow::Result<Self> {
        let mut config = KafkaConfig::new(brokers)?.with_client_id("inventory-service");
        if options.kafka_tls {
            config = config.with_tls(Tls::system()?);
        }
        if let (Some(user), Some(password)) = (&options.kafka_user, &options.kafka_password) {
            config = config.with_sasl(Sasl::scram_sha_512(user, password.expose_secret()));
        }
        let client = KafkaClient::connect(config)
            .await
            .map_err(|error| anyhow!("{error}; start it, or correct --kafka"))?;
        let mut settings = TopicSettings::new(options.kafka_partitions);
        if let Some(replicas) = options.kafka_replicas {
            settings = settings.with_replicas(replicas);
            if replicas >= 3 {
                settings = settings.with_min_in_sync(2);
            }
        }
        let topic = options.kafka_topic.clone();
        let problems: Vec<TopicProblem> = client.ensure_topic(&topic, &settings).await?;
        for problem in problems {
            tracing::warn!(%problem, "the topic should be set up otherwise");
        }
        let options = LogOptions { topic, settings };
        Ok(Self { client, options })
    }
}
