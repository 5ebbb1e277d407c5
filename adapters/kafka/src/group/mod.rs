//! Membership in a group, by whichever protocol the brokers offer.

mod classic;
mod next;
mod protocol;
mod range;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ConsumerGroupHeartbeatRequest;
use stockade_change_feed::{Group, Topic, TopicPartition};
use uuid::Uuid;

use self::classic::Classic;
use self::next::Next;
use crate::cluster::{KafkaClient, To};
use crate::error::KafkaError;
use crate::offsets::Claim;

/// How a member takes part in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupProtocol {
    /// The protocol of Kafka 4 (KIP-848), in which the broker assigns, where the broker offers it
    /// and the group's other members allow it; else the classic one.
    #[default]
    Newest,
    /// The classic protocol, in which a member assigns.
    Classic,
}

/// How long things may take in a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// A member of which nothing is heard for so long is out. In the protocol of Kafka 4 it is the
    /// broker's setting that counts.
    pub(crate) session: Duration,
    /// The longest time that a member may keep a partition after the group has revoked it. Then the
    /// group removes the member.
    pub(crate) rebalance: Duration,
}

/// What a member learns from its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing new.
    Steady,
    /// The group rebalances: the member has to join again, and may lose partitions.
    Rebalancing,
    /// What is to be read from now on.
    Assigned(Assignment),
    /// The group has given this member up. Whatever it had is others' by now.
    Expelled,
}

/// What a member is to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// The partitions, each with its topic's id as far as it is known.
    pub(crate) partitions: BTreeMap<TopicPartition, Uuid>,
    /// Whether what is in it and was held before was nobody else's in between.
    pub(crate) continuous: bool,
}

/// A member of a group.
pub(crate) struct Member {
    client: KafkaClient,
    group: Group,
    topics: Vec<Topic>,
    timing: Timing,
    protocol: GroupProtocol,
    /// None before the first join.
    state: Option<State>,
}

enum State {
    Classic(Classic),
    Next(Next),
}

impl Member {
    pub(crate) fn new(
        client: KafkaClient,
        group: Group,
        topics: Vec<Topic>,
        timing: Timing,
        protocol: GroupProtocol,
    ) -> Self {
        Self {
            client,
            group,
            topics,
            timing,
            protocol,
            state: None,
        }
    }

    /// Who this member is for now.
    pub(crate) fn claim(&self) -> Claim {
        match &self.state {
            Some(State::Classic(classic)) => classic.claim().clone(),
            Some(State::Next(next)) => next.claim().clone(),
            None => Claim::nobody(&self.group),
        }
    }

    /// How long to wait between heartbeats.
    pub(crate) fn interval(&self) -> Duration {
        match &self.state {
            Some(State::Next(next)) => next.interval(),
            Some(State::Classic(_)) | None => (self.timing.session / 4).min(Duration::from_secs(3)),
        }
    }

    /// Whether revocations are named and have to be acknowledged.
    pub(crate) fn acknowledges(&self) -> bool {
        matches!(self.state, Some(State::Next(_)))
    }

    /// Joins, or joins again.
    pub(crate) async fn join(&mut self) -> Result<Event, KafkaError> {
        let to = self.client.coordinator(&self.group).await;
        let to = self.note(to)?;
        if self.state.is_none() {
            let chosen = self.choose(to).await;
            self.state = Some(self.note(chosen)?);
        }
        let joined = match &mut self.state {
            Some(State::Classic(classic)) => classic.join(&self.client, to, self.timing).await,
            Some(State::Next(next)) => next.join(&self.client, to, self.timing).await,
            None => Ok(Event::Steady),
        };
        if let (Some(State::Next(_)), Err(error)) = (&self.state, &joined)
            && is_for_classic_members(error)
        {
            tracing::info!(group = %self.group, %error, "joining by the classic protocol instead");
            self.state = Some(self.classic());
            return Ok(Event::Expelled);
        }
        self.note(joined)
    }

    /// Says that this member lives.
    pub(crate) async fn beat(&mut self) -> Result<Event, KafkaError> {
        let to = self.client.coordinator(&self.group).await;
        let to = self.note(to)?;
        let heard = match &mut self.state {
            Some(State::Classic(classic)) => classic.beat(&self.client, to, self.timing).await,
            Some(State::Next(next)) => next.beat(&self.client, to, self.timing).await,
            None => Ok(Event::Expelled),
        };
        self.note(heard)
    }

    /// Says that this member lives, and what it reads now: it has let go of everything else.
    pub(crate) async fn acknowledge(
        &mut self,
        owned: BTreeMap<TopicPartition, Uuid>,
    ) -> Result<Event, KafkaError> {
        if let Some(State::Next(next)) = &mut self.state {
            next.own(owned);
        }
        self.beat().await
    }

    /// Leaves the group, if it is in one.
    pub(crate) async fn leave(&mut self) -> Result<(), KafkaError> {
        if self.state.is_none() {
            return Ok(());
        }
        let to = self.client.coordinator(&self.group).await;
        let to = self.note(to)?;
        let left = match &mut self.state {
            Some(State::Classic(classic)) => classic.leave(&self.client, to).await,
            Some(State::Next(next)) => next.leave(&self.client, to).await,
            None => Ok(()),
        };
        self.note(left)
    }

    async fn choose(&self, to: To) -> Result<State, KafkaError> {
        let newest = self.protocol == GroupProtocol::Newest;
        if newest
            && self
                .client
                .offers::<ConsumerGroupHeartbeatRequest>(to)
                .await?
        {
            let (group, topics) = (self.group.clone(), self.topics.clone());
            return Ok(State::Next(Next::new(group, topics)));
        }
        Ok(self.classic())
    }

    fn classic(&self) -> State {
        State::Classic(Classic::new(&self.group, self.topics.clone()))
    }

    /// After an error the group may have moved to another broker.
    fn note<T>(&self, outcome: Result<T, KafkaError>) -> Result<T, KafkaError> {
        if outcome.is_err() {
            self.client.forget_coordinator(&self.group);
        }
        outcome
    }
}

/// Whether joining failed because the broker knows the newer protocol and does not run it, or the
/// group has members of the classic one and must not be converted.
fn is_for_classic_members(error: &KafkaError) -> bool {
    matches!(
        error.response(),
        Some(
            ResponseError::UnsupportedVersion
                | ResponseError::GroupIdNotFound
                | ResponseError::InconsistentGroupProtocol
        )
    )
}
