//! A member of a group of Kafka 4 (KIP-848): the broker shares, and one heartbeat does it all.
//!
//! The broker names what a member is to read. What is not in it any more has to be let go of, and
//! goes to others once the member has said so.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::consumer_group_heartbeat_response::Assignment as Target;
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicName,
};
use stockade_change_feed::time::chance;
use stockade_change_feed::{Group, Topic, TopicPartition};
use uuid::Uuid;

use super::classic::millis;
use super::{Assignment, Event, Timing};
use crate::cluster::{KafkaClient, To};
use crate::error::KafkaError;
use crate::offsets::{Claim, at, number};
use crate::wire::{Request, text, topic_name};

const API: &str = ConsumerGroupHeartbeatRequest::NAME;
const JOINING: i32 = 0;
const LEAVING: i32 = -1;
/// Kafka's default, until the broker has sent its own interval.
const INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Next {
    claim: Claim,
    topics: Vec<Topic>,
    names: BTreeMap<Uuid, Topic>,
    owned: BTreeMap<TopicPartition, Uuid>,
    interval: Duration,
    /// What the next heartbeat says beside that this member lives.
    say: Say,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Say {
    Nothing,
    /// What is read now.
    Owned,
    /// All there is to say, after which the broker says all as well.
    Everything,
}

impl Next {
    pub(super) fn new(group: Group, topics: Vec<Topic>) -> Self {
        let claim = Claim {
            group,
            member: Uuid::from_u128(chance::bits()).to_string(),
            epoch: JOINING,
            checked: true,
        };
        Self {
            claim,
            topics,
            names: BTreeMap::new(),
            owned: BTreeMap::new(),
            interval: INTERVAL,
            say: Say::Everything,
        }
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) async fn join(
        &mut self,
        client: &KafkaClient,
        to: To,
        timing: Timing,
    ) -> Result<Event, KafkaError> {
        self.forget();
        self.beat(client, to, timing).await
    }

    /// Notes what is read now; the next heartbeat says so.
    pub(super) fn own(&mut self, owned: BTreeMap<TopicPartition, Uuid>) {
        self.owned = owned;
        self.say = self.say.max(Say::Owned);
    }

    pub(super) async fn beat(
        &mut self,
        client: &KafkaClient,
        to: To,
        timing: Timing,
    ) -> Result<Event, KafkaError> {
        let joining = self.claim.epoch == JOINING;
        let request = self.request(timing);
        // Who knows what the broker has heard, if there is no answer.
        self.say = Say::Everything;
        let heard = client.ask(to, Duration::ZERO, |_| request).await?;
        match ResponseError::try_from_code(heard.error_code) {
            None => self.note(client, heard).await,
            Some(
                ResponseError::UnknownMemberId
                | ResponseError::FencedMemberEpoch
                | ResponseError::GroupIdNotFound,
            ) if !joining => {
                self.forget();
                Ok(Event::Expelled)
            }
            Some(error) => Err(KafkaError::Refused {
                api: API,
                code: error.code(),
                message: heard
                    .error_message
                    .map(|message| message.as_str().to_owned()),
            }),
        }
    }

    fn request(&self, timing: Timing) -> ConsumerGroupHeartbeatRequest {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(text(self.claim.group.as_str()).into())
            .with_member_id(text(&self.claim.member))
            .with_member_epoch(self.claim.epoch)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(None);
        match self.say {
            Say::Nothing => request,
            Say::Owned => request.with_topic_partitions(Some(self.owned())),
            Say::Everything => {
                let topics = self.topics.iter().map(topic_name);
                let topics: Vec<TopicName> = topics.collect();
                request
                    .with_rebalance_timeout_ms(millis(timing.rebalance))
                    .with_subscribed_topic_names(Some(topics))
                    .with_topic_partitions(Some(self.owned()))
            }
        }
    }

    fn owned(&self) -> Vec<TopicPartitions> {
        let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (at, id) in &self.owned {
            topics.entry(*id).or_default().push(number(at));
        }
        let topics = topics.into_iter();
        topics
            .map(|(id, partitions)| {
                TopicPartitions::default()
                    .with_topic_id(id)
                    .with_partitions(partitions)
            })
            .collect()
    }

    async fn note(
        &mut self,
        client: &KafkaClient,
        heard: ConsumerGroupHeartbeatResponse,
    ) -> Result<Event, KafkaError> {
        self.claim.epoch = heard.member_epoch;
        let millis = u64::try_from(heard.heartbeat_interval_ms).unwrap_or_default();
        self.interval = Duration::from_millis(millis).max(Duration::from_millis(100));
        let Some(target) = heard.assignment else {
            self.say = Say::Nothing;
            return Ok(Event::Steady);
        };
        let named = self.named(client, target).await?;
        let Some(partitions) = named else {
            // A topic that was just created or deleted: it is told again.
            return Ok(Event::Steady);
        };
        self.say = Say::Nothing;
        let continuous = true;
        Ok(Event::Assigned(Assignment {
            partitions,
            continuous,
        }))
    }

    /// The target by the names of topics; none while one of them is not known.
    async fn named(
        &mut self,
        client: &KafkaClient,
        target: Target,
    ) -> Result<Option<BTreeMap<TopicPartition, Uuid>>, KafkaError> {
        let topics = target.topic_partitions;
        if topics
            .iter()
            .any(|topic| !self.names.contains_key(&topic.topic_id))
        {
            let found = client.topics(&self.topics).await?;
            self.names = found
                .into_iter()
                .map(|(name, info)| (info.id, name))
                .collect();
        }
        let mut partitions = BTreeMap::new();
        for topic in topics {
            let Some(name) = self.names.get(&topic.topic_id) else {
                return Ok(None);
            };
            for number in topic.partitions {
                partitions.insert(at(name, number)?, topic.topic_id);
            }
        }
        Ok(Some(partitions))
    }

    pub(super) async fn leave(&mut self, client: &KafkaClient, to: To) -> Result<(), KafkaError> {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(text(self.claim.group.as_str()).into())
            .with_member_id(text(&self.claim.member))
            .with_member_epoch(LEAVING)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(None);
        let left = client.ask(to, Duration::ZERO, |_| request).await?;
        match ResponseError::try_from_code(left.error_code) {
            // It is out already.
            None | Some(ResponseError::UnknownMemberId | ResponseError::GroupIdNotFound) => Ok(()),
            Some(error) => Err(KafkaError::refused(API, error.code())),
        }
    }

    fn forget(&mut self) {
        self.claim.epoch = JOINING;
        self.owned.clear();
        self.say = Say::Everything;
    }
}
