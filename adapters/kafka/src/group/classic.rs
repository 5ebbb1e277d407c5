//! A member of a classic group, with the protocol "range" that Java's consumers offer as well.
//!
//! It is eager: when the group assigns its partitions again, every member joins again and reads
//! nothing until it has its assignment. A partition that it keeps had no other owner in between.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};
use stockade_change_feed::{Group, Topic};
use uuid::Uuid;

use super::protocol::{read_assignment, read_subscription, write_assignment, write_subscription};
use super::range::{self, Reader};
use super::{Assignment, Event, Timing};
use crate::cluster::{KafkaClient, To, TopicInfo};
use crate::error::{KafkaError, check};
use crate::offsets::Claim;
use crate::wire::{Request, text};

const PROTOCOL: &str = "range";
const TYPE: &str = "consumer";
/// A group can start another rebalance while a member joins. The member joins this many times.
const ATTEMPTS: u32 = 20;

pub(super) struct Classic {
    claim: Claim,
    topics: Vec<Topic>,
    leading: Option<Leading>,
}

/// What the leader shared, and when it last looked.
struct Leading {
    counts: BTreeMap<Topic, u32>,
    counted_at: Duration,
}

/// How joining went on.
enum Step<T> {
    Done(T),
    Again,
}

impl Classic {
    pub(super) fn new(group: &Group, topics: Vec<Topic>) -> Self {
        Self {
            claim: Claim::nobody(group),
            topics,
            leading: None,
        }
    }

    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Takes as long as the slowest member needs to join, up to the rebalance timeout.
    pub(super) async fn join(
        &mut self,
        client: &KafkaClient,
        to: To,
        timing: Timing,
    ) -> Result<Event, KafkaError> {
        let before = self.claim.clone();
        for _ in 0..ATTEMPTS {
            let Step::Done(joined) = self.enter(client, to, timing).await? else {
                continue;
            };
            let assignments = self.lead(client, &joined).await?;
            let Step::Done(assignment) = self.sync(client, to, timing, assignments).await? else {
                continue;
            };
            let partitions = read_assignment(assignment)?.into_iter();
            let partitions = partitions.map(|at| (at, Uuid::nil())).collect();
            let claim = &self.claim;
            let next = (before.epoch..=before.epoch.saturating_add(1)).contains(&claim.epoch);
            let continuous = before.epoch >= 0 && next && before.member == claim.member;
            return Ok(Event::Assigned(Assignment {
                partitions,
                continuous,
            }));
        }
        let code = ResponseError::RebalanceInProgress.code();
        Err(KafkaError::refused(JoinGroupRequest::NAME, code))
    }

    async fn enter(
        &mut self,
        client: &KafkaClient,
        to: To,
        timing: Timing,
    ) -> Result<Step<JoinGroupResponse>, KafkaError> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(PROTOCOL))
            .with_metadata(write_subscription(&self.topics)?);
        let request = JoinGroupRequest::default()
            .with_group_id(text(self.claim.group.as_str()).into())
            .with_session_timeout_ms(millis(timing.session))
            .with_rebalance_timeout_ms(millis(timing.rebalance))
            .with_member_id(text(&self.claim.member))
            .with_protocol_type(text(TYPE))
            .with_protocols(vec![protocol]);
        let joined = client.ask(to, timing.rebalance, |_| request).await?;
        match ResponseError::try_from_code(joined.error_code) {
            None => {}
            Some(ResponseError::MemberIdRequired) => {
                self.claim.member = joined.member_id.as_str().to_owned();
                return Ok(Step::Again);
            }
            Some(ResponseError::UnknownMemberId) => {
                self.forget();
                return Ok(Step::Again);
            }
            Some(ResponseError::RebalanceInProgress) => return Ok(Step::Again),
            Some(error) => {
                return Err(KafkaError::Refused {
                    api: JoinGroupRequest::NAME,
                    code: error.code(),
                    message: Some(self.explain(error, timing)),
                });
            }
        }
        self.claim.member = joined.member_id.as_str().to_owned();
        self.claim.epoch = joined.generation_id;
        Ok(Step::Done(joined))
    }

    fn explain(&self, error: ResponseError, timing: Timing) -> String {
        let group = &self.claim.group;
        match error {
            ResponseError::InconsistentGroupProtocol => format!(
                "the members of group {group} share by another way than \"{PROTOCOL}\", or by \
                 the newer protocol only"
            ),
            ResponseError::InvalidSessionTimeout => format!(
                "the brokers do not allow a session timeout of {:?}; see their settings \
                 group.min.session.timeout.ms and group.max.session.timeout.ms",
                timing.session
            ),
            _ => format!("group {group}"),
        }
    }

    /// What each member is to read, if it is this member's to say.
    async fn lead(
        &mut self,
        client: &KafkaClient,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, KafkaError> {
        self.leading = None;
        if joined.leader != joined.member_id || joined.skip_assignment {
            return Ok(Vec::new());
        }
        let readers: Vec<Reader> = joined
            .members
            .iter()
            .map(reader)
            .collect::<Result<_, _>>()?;
        let mut topics: Vec<Topic> = readers.iter().flat_map(|r| r.topics.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        let counts = count(client, &topics).await?;
        let shares = range::share(&readers, &counts);
        let counted_at = client.clock().monotonic();
        self.leading = Some(Leading { counts, counted_at });
        let shares = readers.iter().zip(shares);
        let assign = |(reader, share): (&Reader, Vec<_>)| {
            Ok(SyncGroupRequestAssignment::default()
                .with_member_id(text(&reader.id))
                .with_assignment(write_assignment(&share)?))
        };
        shares.map(assign).collect()
    }

    async fn sync(
        &mut self,
        client: &KafkaClient,
        to: To,
        timing: Timing,
        assignments: Vec<SyncGroupRequestAssignment>,
    ) -> Result<Step<Bytes>, KafkaError> {
        let build = |version| {
            let request = SyncGroupRequest::default()
                .with_group_id(text(self.claim.group.as_str()).into())
                .with_generation_id(self.claim.epoch)
                .with_member_id(text(&self.claim.member))
                .with_assignments(assignments);
            match version {
                ..=4 => request,
                _ => request
                    .with_protocol_type(Some(text(TYPE)))
                    .with_protocol_name(Some(text(PROTOCOL))),
            }
        };
        // It waits for the leader.
        let synced = client.ask(to, timing.rebalance, build).await?;
        match ResponseError::try_from_code(synced.error_code) {
            None => Ok(Step::Done(synced.assignment)),
            Some(ResponseError::IllegalGeneration | ResponseError::RebalanceInProgress) => {
                Ok(Step::Again)
            }
            Some(ResponseError::UnknownMemberId) => {
                self.forget();
                Ok(Step::Again)
            }
            Some(error) => Err(KafkaError::refused(SyncGroupRequest::NAME, error.code())),
        }
    }

    pub(super) async fn beat(
        &mut self,
        client: &KafkaClient,
        to: To,
        timing: Timing,
    ) -> Result<Event, KafkaError> {
        let request = HeartbeatRequest::default()
            .with_group_id(text(self.claim.group.as_str()).into())
            .with_generation_id(self.claim.epoch)
            .with_member_id(text(&self.claim.member));
        let heard = client.ask(to, Duration::ZERO, |_| request).await?;
        match ResponseError::try_from_code(heard.error_code) {
            None if self.has_grown(client, timing.session).await? => Ok(Event::Rebalancing),
            None => Ok(Event::Steady),
            Some(ResponseError::RebalanceInProgress) => Ok(Event::Rebalancing),
            Some(
                ResponseError::IllegalGeneration
                | ResponseError::UnknownMemberId
                | ResponseError::FencedInstanceId,
            ) => {
                self.forget();
                Ok(Event::Expelled)
            }
            Some(error) => Err(KafkaError::refused(HeartbeatRequest::NAME, error.code())),
        }
    }

    /// Whether the number of partitions of a topic has changed since the assignment. Then the leader
    /// joins again, so that the group assigns them again. The leader looks once in a while.
    async fn has_grown(
        &mut self,
        client: &KafkaClient,
        rest: Duration,
    ) -> Result<bool, KafkaError> {
        let now = client.clock().monotonic();
        let Some(leading) = &mut self.leading else {
            return Ok(false);
        };
        if now.saturating_sub(leading.counted_at) < rest {
            return Ok(false);
        }
        leading.counted_at = now;
        let topics: Vec<Topic> = leading.counts.keys().cloned().collect();
        let counts = count(client, &topics).await?;
        Ok(leading.counts != counts)
    }

    pub(super) async fn leave(&mut self, client: &KafkaClient, to: To) -> Result<(), KafkaError> {
        if self.claim.member.is_empty() {
            return Ok(());
        }
        let member = MemberIdentity::default().with_member_id(text(&self.claim.member));
        let request = LeaveGroupRequest::default()
            .with_group_id(text(self.claim.group.as_str()).into())
            .with_members(vec![member]);
        let left = client.ask(to, Duration::ZERO, |_| request).await?;
        self.forget();
        let code = left
            .members
            .first()
            .map_or(left.error_code, |member| member.error_code);
        match ResponseError::try_from_code(code) {
            // It is out already.
            Some(ResponseError::UnknownMemberId) => Ok(()),
            _ => check(LeaveGroupRequest::NAME, code),
        }
    }

    fn forget(&mut self) {
        self.claim = Claim::nobody(&self.claim.group);
        self.leading = None;
    }
}

/// The numbers of partitions; 0 for topics that do not exist, or not any more.
async fn count(client: &KafkaClient, topics: &[Topic]) -> Result<BTreeMap<Topic, u32>, KafkaError> {
    let found = client.topics(topics).await?;
    let count = |topic: &Topic| found.get(topic).map_or(0, TopicInfo::count);
    Ok(topics
        .iter()
        .map(|topic| (topic.clone(), count(topic)))
        .collect())
}

fn reader(member: &JoinGroupResponseMember) -> Result<Reader, KafkaError> {
    let instance = member.group_instance_id.as_ref();
    Ok(Reader {
        id: member.member_id.as_str().to_owned(),
        instance: instance.map(|instance| instance.as_str().to_owned()),
        topics: read_subscription(member.metadata.clone())?,
    })
}

pub(super) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
