//! Kafka.

use std::sync::Arc;

use anyhow::anyhow;
use secrecy::{ExposeSecret as _, SecretString};
use stockade_change_feed::Topic;
use stockade_kafka::{
    KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, Sasl, Tls, TopicSettings,
};

use crate::readiness::Readiness;

/// The options of who connects to Kafka, to be flattened into the options of yours.
#[derive(Clone, Debug, clap::Args)]
pub struct KafkaBrokers {
    /// The brokers of Kafka: `HOST:PORT`; may be given several times.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub kafka: Vec<String>,
    /// Connect to Kafka by TLS, and trust the authorities that this machine trusts.
    #[arg(long)]
    pub kafka_tls: bool,
    /// The user of Kafka, by SCRAM-SHA-512.
    #[arg(long, value_name = "NAME", requires = "kafka_password")]
    pub kafka_user: Option<String>,
    /// The password of the user of Kafka.
    #[arg(long, value_name = "PASSWORD", requires = "kafka_user")]
    pub kafka_password: Option<SecretString>,
}

/// The options of a service over Kafka, to be flattened into the options of yours.
#[derive(Clone, Debug, clap::Args)]
pub struct KafkaSettings {
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub brokers: KafkaBrokers,
    /// The topic of changes of stock. It is created if it does not exist.
    #[arg(long, value_name = "NAME", default_value = "inventory_updates", value_parser = topic)]
    pub kafka_topic: Topic,
    /// The partitions of a topic that is created.
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    pub kafka_partitions: u32,
    /// The replicas of a topic that is created; by default as many as the brokers are set to. With
    /// 3 or more, 2 must be in sync.
    #[arg(long, value_name = "COUNT")]
    pub kafka_replicas: Option<u8>,
}

/// Kafka, with the topics that a service uses.
#[derive(Clone, Debug)]
pub struct KafkaLog {
    client: KafkaClient,
    topic: Topic,
    settings: TopicSettings,
}

impl KafkaBrokers {
    /// Connects. `client_id` is the name that Kafka's operators see.
    ///
    /// # Errors
    /// If no broker is given or can be reached. The error has no secret.
    pub async fn connect(&self, client_id: &str) -> anyhow::Result<KafkaClient> {
        let mut config = KafkaConfig::new(&self.kafka)?.with_client_id(client_id);
        if self.kafka_tls {
            config = config.with_tls(Tls::system()?);
        }
        if let (Some(user), Some(password)) = (&self.kafka_user, &self.kafka_password) {
            config = config.with_sasl(Sasl::scram_sha_512(user, password.expose_secret()));
        }
        KafkaClient::connect(config)
            .await
            .map_err(|error| anyhow!("{error}; start it, or correct --kafka"))
    }
}

impl KafkaSettings {
    /// Connects, and creates the topic of changes of stock. `client_id` is the name that Kafka's
    /// operators see.
    ///
    /// # Errors
    /// If no broker is given or can be reached, or the topic can't be created. The error has no
    /// secret.
    pub async fn open(&self, client_id: &str) -> anyhow::Result<KafkaLog> {
        let client = self.brokers.connect(client_id).await?;
        let mut settings = TopicSettings::new(self.kafka_partitions);
        if let Some(replicas) = self.kafka_replicas {
            settings = settings.with_replicas(replicas);
            if replicas >= 3 {
                settings = settings.with_min_in_sync(2);
            }
        }
        let log = KafkaLog {
            client,
            topic: self.kafka_topic.clone(),
            settings,
        };
        log.ensure(&log.topic).await?;
        Ok(log)
    }
}

impl KafkaLog {
    /// The topic of changes of stock.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Publishes to it.
    #[must_use]
    pub fn publisher(&self) -> Arc<KafkaPublisher> {
        Arc::new(KafkaPublisher::new(self.client.clone()))
    }

    /// Reads from it, by groups.
    #[must_use]
    pub fn feed(&self) -> Arc<KafkaFeed> {
        Arc::new(KafkaFeed::new(self.client.clone()))
    }

    /// Creates another topic with the same settings, unless it exists. Settings of one that exists
    /// which differ are logged.
    ///
    /// # Errors
    /// If the brokers do not allow it, or can't be reached.
    pub async fn ensure(&self, topic: &Topic) -> anyhow::Result<()> {
        for problem in self.client.ensure_topic(topic, &self.settings).await? {
            tracing::warn!(%problem, "the topic should be set up otherwise");
        }
        Ok(())
    }

    /// Adds a check: the service is ready while Kafka answers, and the topic of changes of stock
    /// exists.
    pub fn check(&self, readiness: &Readiness) {
        let log = self.clone();
        readiness.add_check("kafka", move || {
            let log = log.clone();
            async move {
                let found = log.client.check_topic(&log.topic, &log.settings).await;
                found.map(drop)
            }
        });
    }
}

fn topic(text: &str) -> Result<Topic, String> {
    Topic::new(text).map_err(|error| error.to_string())
}
