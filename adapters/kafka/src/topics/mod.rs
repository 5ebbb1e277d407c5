//! Topics: creating them as they have to be, and checking those that exist.

mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{CreateTopicsRequest, DescribeConfigsRequest};
use stockade_change_feed::{FeedError, Topic};

pub use self::settings::TopicSettings;
use crate::cluster::{KafkaClient, To};
use crate::error::{Effect, KafkaError, check};
use crate::wire::{Request, text, topic_name};

/// Kafka's number for topics among the things that have settings.
const TOPIC: i8 = 2;

/// A setting of a topic that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicProblem {
    /// Which topic.
    pub topic: Topic,
    /// Kafka's name of the setting, or `partitions` or `replicas`.
    pub setting: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub found: String,
}

impl fmt::Display for TopicProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            setting,
            wanted,
            found,
        } = self;
        write!(
            f,
            "topic {topic} has {setting}={found}, and should have {wanted}: "
        )?;
        match setting.as_str() {
            "partitions" => write!(
                f,
                "more are added by `kafka-topics --alter --partitions`, after which keys go to \
                 other partitions than before"
            ),
            "replicas" => write!(f, "they are changed by `kafka-reassign-partitions`"),
            _ => write!(
                f,
                "`kafka-configs --alter --entity-type topics --entity-name {topic} --add-config \
                 '{setting}={wanted}'` changes it"
            ),
        }
    }
}

impl KafkaClient {
    /// Creates a topic with these settings, unless it exists, and returns what is not as it should
    /// be of one that does.
    ///
    /// It is safe to call at every start, and from several processes at once. Afterwards each
    /// broker that can be reached knows the topic.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use stockade_change_feed::Topic;
    /// use stockade_kafka::{KafkaClient, KafkaConfig, TopicSettings};
    ///
    /// # async fn run() -> Result<(), stockade_change_feed::FeedError> {
    /// let client = KafkaClient::connect(KafkaConfig::new(["kafka:9092"])?).await?;
    /// let settings = TopicSettings::new(12)
    ///     .with_replicas(3)
    ///     .with_min_in_sync(2)
    ///     .with_retention(Duration::from_secs(7 * 24 * 3600));
    /// let topic = Topic::new("inventory_updates")?;
    /// for problem in client.ensure_topic(&topic, &settings).await? {
    ///     eprintln!("{problem}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`FeedError::Failed`] where the brokers do not allow it, or can't be reached.
    pub async fn ensure_topic(
        &self,
        topic: &Topic,
        settings: &TopicSettings,
    ) -> Result<Vec<TopicProblem>, FeedError> {
        const OPERATION: &str = "create topic";
        let limit = self.config().request_timeout;
        let created = self.persist(limit, || self.create(topic, settings)).await;
        created.map_err(|error| error.during(OPERATION, Effect::None))?;
        // What was just created is not known to every broker at once.
        let known = self.persist(limit, || self.is_known(topic)).await;
        known.map_err(|error| error.during(OPERATION, Effect::None))?;
        let checked = self.persist(limit, || self.check(topic, settings)).await;
        checked.map_err(|error| error.during(OPERATION, Effect::None))
    }

    /// Returns what is not as it should be of a topic.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`]; [`FeedError::Failed`].
    pub async fn check_topic(
        &self,
        topic: &Topic,
        settings: &TopicSettings,
    ) -> Result<Vec<TopicProblem>, FeedError> {
        let checked = self.check(topic, settings).await;
        checked.map_err(|error| match error.response() {
            Some(ResponseError::UnknownTopicOrPartition) => FeedError::UnknownTopic {
                topic: topic.clone(),
            },
            _ => error.during("check topic", Effect::None),
        })
    }

    async fn create(&self, topic: &Topic, settings: &TopicSettings) -> Result<(), KafkaError> {
        const API: &str = CreateTopicsRequest::NAME;
        let configs = settings.configs().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        });
        let wanted = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(i32::try_from(settings.partitions()).unwrap_or(i32::MAX))
            .with_replication_factor(settings.replicas().unwrap_or(-1))
            .with_configs(configs.collect());
        let timeout = self.config().request_timeout / 4 * 3;
        let request = CreateTopicsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
        let to = self.controller().await?;
        let answer = self.ask(to, Duration::ZERO, |_| request).await?;
        let Some(outcome) = answer.topics.into_iter().next() else {
            return Err(KafkaError::malformed(
                "answer to CreateTopics",
                "it names no topic",
            ));
        };
        match ResponseError::try_from_code(outcome.error_code) {
            None | Some(ResponseError::TopicAlreadyExists) => Ok(()),
            Some(error) => Err(KafkaError::Refused {
                api: API,
                code: error.code(),
                message: outcome
                    .error_message
                    .map(|message| message.as_str().to_owned()),
            }),
        }
    }

    async fn check(
        &self,
        topic: &Topic,
        settings: &TopicSettings,
    ) -> Result<Vec<TopicProblem>, KafkaError> {
        let unknown = || {
            let code = ResponseError::UnknownTopicOrPartition.code();
            KafkaError::refused(DescribeConfigsRequest::NAME, code)
        };
        let mut topics = self.topics(std::slice::from_ref(topic)).await?;
        let info = topics.remove(topic).ok_or_else(unknown)?;
        let names: Vec<&str> = settings.configs().map(|(name, _)| name).collect();
        let found = self.topic_settings(topic, &names).await?;

        let mut problems = Vec::new();
        let mut compare = |setting: &str, wanted: String, found: String| {
            if wanted != found {
                let (topic, setting) = (topic.clone(), setting.to_owned());
                problems.push(TopicProblem {
                    topic,
                    setting,
                    wanted,
                    found,
                });
            }
        };
        compare(
            "partitions",
            settings.partitions().to_string(),
            info.count().to_string(),
        );
        if let Some(replicas) = settings.replicas() {
            compare("replicas", replicas.to_string(), info.replicas.to_string());
        }
        for (name, wanted) in settings.configs() {
            let found = found.get(name).cloned().unwrap_or_default();
            compare(name, wanted.to_owned(), found);
        }
        Ok(problems)
    }

    /// Settings of a topic, by their names.
    pub(crate) async fn topic_settings(
        &self,
        topic: &Topic,
        names: &[&str],
    ) -> Result<BTreeMap<String, String>, KafkaError> {
        const API: &str = DescribeConfigsRequest::NAME;
        let names = names.iter().map(|name| text(name)).collect();
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic.as_str()))
            .with_configuration_keys(Some(names));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.ask(To::Any, Duration::ZERO, |_| request).await?;
        let mut found = BTreeMap::new();
        for result in answer.results {
            check(API, result.error_code)?;
            for config in result.configs {
                let value = config.value.unwrap_or_default();
                found.insert(config.name.as_str().to_owned(), value.as_str().to_owned());
            }
        }
        Ok(found)
    }
}
