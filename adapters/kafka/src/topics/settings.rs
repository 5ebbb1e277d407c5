//! How a topic should be.

use std::collections::BTreeMap;
use std::time::Duration;

/// How a topic should be. What is not named here is left to the brokers' defaults, and not checked.
///
/// Unless said otherwise it has `cleanup.policy=delete`, because a topic that is compacted refuses
/// messages without a key, as heartbeats are, and forgets those that share one; and
/// `unclean.leader.election.enable=false`, because else an election can lose what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    partitions: u32,
    replicas: Option<i16>,
    configs: BTreeMap<String, String>,
}

impl TopicSettings {
    /// A topic with that many partitions, at least 1.
    #[must_use]
    pub fn new(partitions: u32) -> Self {
        let configs = [
            ("cleanup.policy", "delete"),
            ("unclean.leader.election.enable", "false"),
        ];
        let configs = configs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            partitions: partitions.max(1),
            replicas: None,
            configs: configs.into(),
        }
    }

    /// With so many copies of each partition. With 3 of them, of which 2 have to be in sync, one
    /// broker may fail without anything being lost or refused.
    #[must_use]
    pub fn with_replicas(mut self, replicas: u8) -> Self {
        self.replicas = Some(i16::from(replicas.max(1)));
        self
    }

    /// With so many copies in sync before a message is acknowledged (`min.insync.replicas`).
    #[must_use]
    pub fn with_min_in_sync(self, replicas: u8) -> Self {
        self.with_setting("min.insync.replicas", replicas.max(1).to_string())
    }

    /// With records kept for so long (`retention.ms`).
    #[must_use]
    pub fn with_retention(self, retention: Duration) -> Self {
        self.with_setting("retention.ms", retention.as_millis().to_string())
    }

    /// With a setting by Kafka's name of it, such as `max.message.bytes`.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// None where it is the brokers' default.
    pub(super) fn replicas(&self) -> Option<i16> {
        self.replicas
    }

    pub(super) fn configs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.configs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
