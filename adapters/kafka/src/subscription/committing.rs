//! Committing what is finished, and what has nothing to deliver.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::OffsetCommitRequest;
use stockade_change_feed::{Failure, FeedError, Position, TopicPartition};

use super::KafkaSubscription;
use super::held::{Finish, Held};
use super::membership::Phase;
use super::opening;
use super::work::Done;
use crate::error::{Effect, KafkaError};
use crate::offsets::{Codes, Progress};
use crate::wire::Request;

const COMMIT: &str = "commit offsets";
/// What has nothing to deliver is committed no more often.
const SKIPPING: Duration = Duration::from_millis(200);
const SOON: Duration = Duration::from_millis(100);

type Outcome = Result<Codes, KafkaError>;

impl KafkaSubscription {
    /// Commits, and returns an outcome for each position.
    pub(super) async fn commit_all(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        // One at a time, in order: an older one that comes later would set the group back.
        self.settle(None).await;
        let mut progress: BTreeMap<TopicPartition, (u64, Progress)> = BTreeMap::new();
        let plans: Vec<Plan> = finished
            .iter()
            .map(|at| self.plan(at, &mut progress))
            .collect();
        let codes = match progress.is_empty() {
            true => Ok(Codes::new()),
            false => {
                let number = self.start_commit(progress);
                // It is always there, as it was just started.
                self.settle(Some(number))
                    .await
                    .unwrap_or_else(|| Ok(Codes::new()))
            }
        };
        let codes = codes.map_err(|error| error.during(COMMIT, Effect::Possible))?;
        let outcome = |(plan, position): (Plan, &Position)| match plan {
            Plan::Done => Ok(()),
            Plan::NotAssigned => Err(not_assigned(&position.partition)),
            Plan::Asked => {
                let code = codes.get(&position.partition).copied();
                self.outcome(&position.partition, code.unwrap_or(-1))
            }
        };
        Ok(plans.into_iter().zip(finished).map(outcome).collect())
    }

    fn plan(
        &self,
        finished: &Position,
        progress: &mut BTreeMap<TopicPartition, (u64, Progress)>,
    ) -> Plan {
        let at = &finished.partition;
        let Some(held) = self.held.get(at).or_else(|| self.leaving.get(at)) else {
            return Plan::NotAssigned;
        };
        match held.finish(finished) {
            Finish::Already => Plan::Done,
            Finish::NotDelivered => Plan::NotAssigned,
            Finish::Commit(wanted) => {
                let furthest = progress
                    .entry(at.clone())
                    .or_insert((held.tag, wanted.clone()));
                if furthest.1.next < wanted.next {
                    furthest.1 = wanted;
                }
                Plan::Asked
            }
        }
    }

    /// Commits what has nothing to deliver, and where reading was reset.
    pub(super) fn start_skipping(&mut self, now: Duration) {
        let quiet = self.committing.is_none() && now >= self.skip_at;
        if !quiet || !self.may_deliver(now) {
            return;
        }
        let unsaved = self.held.iter();
        let unsaved: BTreeMap<_, _> = unsaved
            .filter_map(|(at, held)| Some((at.clone(), (held.tag, held.unsaved()?))))
            .collect();
        if !unsaved.is_empty() {
            self.skip_at = now.saturating_add(SKIPPING);
            self.start_commit(unsaved);
        }
    }

    fn start_commit(&mut self, progress: BTreeMap<TopicPartition, (u64, Progress)>) -> u64 {
        self.tags += 1;
        let number = self.tags;
        let client = self.client.clone();
        let claim = self.membership.claim.clone();
        // A coordinator that moves is waited for as in a poll. The next one counts the session from
        // when it knows the group, so this member stays one.
        let limit = self.settings.patience;
        let work = async move {
            let wanted = progress.iter();
            let wanted = wanted
                .map(|(at, (_, wanted))| (at.clone(), wanted.clone()))
                .collect();
            let outcome = opening::commit(&client, &claim, limit, &wanted).await;
            let epoch = claim.epoch;
            Done::Committed {
                number,
                progress,
                epoch,
                outcome,
            }
        };
        self.work.push(Box::pin(work));
        self.committing = Some(number);
        number
    }

    /// Waits until nothing is being committed, and returns the outcome of the commit `number`.
    async fn settle(&mut self, number: Option<u64>) -> Option<Outcome> {
        let mut outcome = None;
        while self.committing.is_some() {
            let done = self.work.next().await?;
            if let Some((done, committed)) = self.apply(done)
                && Some(done) == number
            {
                outcome = Some(committed);
            }
        }
        outcome
    }

    /// Notes what is committed by now.
    pub(super) fn note_committed(
        &mut self,
        number: u64,
        progress: &BTreeMap<TopicPartition, (u64, Progress)>,
        outcome: &Outcome,
    ) {
        if self.committing == Some(number) {
            self.committing = None;
        }
        let Ok(codes) = outcome else {
            return;
        };
        for (at, (tag, wanted)) in progress {
            let held = self.held.get_mut(at).or_else(|| self.leaving.get_mut(at));
            let held: Option<&mut Held> = held.filter(|held| held.tag == *tag);
            if let (Some(held), Some(0)) = (held, codes.get(at)) {
                held.save(wanted.next);
            }
        }
    }

    /// Notes what the group says of this member by refusing a commit.
    pub(super) fn note_refusals(&mut self, codes: &Codes, epoch: i32) {
        let current = self.membership.claim.epoch == epoch && self.membership.member.is_some();
        let said = codes
            .values()
            .filter_map(|code| ResponseError::try_from_code(*code));
        for error in said {
            match error {
                ResponseError::UnknownMemberId
                | ResponseError::IllegalGeneration
                | ResponseError::FencedMemberEpoch
                | ResponseError::FencedInstanceId
                    if current && self.membership.phase != Phase::Outside =>
                {
                    tracing::warn!(group = %self.group, %error, "the group has given this member up");
                    self.expel();
                }
                ResponseError::StaleMemberEpoch => self.membership.hurry(),
                _ => {}
            }
        }
    }

    fn outcome(&self, at: &TopicPartition, code: i16) -> Result<(), FeedError> {
        let Some(error) = ResponseError::try_from_code(code) else {
            return Ok(());
        };
        let refused = KafkaError::Refused {
            api: OffsetCommitRequest::NAME,
            code,
            message: Some(at.to_string()),
        };
        let held = self.held.contains_key(at) || self.leaving.contains_key(at);
        match error {
            ResponseError::UnknownMemberId
            | ResponseError::IllegalGeneration
            | ResponseError::FencedMemberEpoch
            | ResponseError::FencedInstanceId
                if held =>
            {
                // The group is being shared anew, and this may still be its own afterwards.
                Err(Failure::unavailable(COMMIT, SOON, refused).into())
            }
            ResponseError::UnknownMemberId
            | ResponseError::IllegalGeneration
            | ResponseError::FencedMemberEpoch
            | ResponseError::FencedInstanceId
            | ResponseError::UnknownTopicOrPartition
            | ResponseError::UnknownTopicId => Err(not_assigned(at)),
            _ => Err(refused.during(COMMIT, Effect::Possible)),
        }
    }
}

/// What becomes of a position.
enum Plan {
    /// It is committed already.
    Done,
    NotAssigned,
    /// The group says.
    Asked,
}

fn not_assigned(at: &TopicPartition) -> FeedError {
    let TopicPartition { topic, partition } = at.clone();
    FeedError::NotAssigned { topic, partition }
}
