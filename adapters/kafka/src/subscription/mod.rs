//! One member of a group, and what it reads.
//!
//! Everything that it does is a piece of [`work`](self::work) in flight. A poll starts what is due,
//! takes in what is done and returns what there is; between polls nothing happens, so a member that
//! does not poll says nothing to its group and is given up.

mod committing;
mod held;
mod membership;
mod opening;
mod reading;
mod trouble;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use stockade_change_feed::time::{Backoff, Deadline};
use stockade_change_feed::{
    Failure, FeedError, Group, PollLimits, Polled, Position, SubscribeOptions, Subscription, Topic,
    TopicPartition,
};

use self::held::{Former, Held};
use self::membership::{FIRST_PAUSE, LONGEST_PAUSE, Membership};
use self::reading::Leaders;
use self::trouble::Trouble;
use self::work::{Done, Work};
use crate::cluster::KafkaClient;
use crate::error::{Effect, KafkaError};
use crate::group::{Member, Timing};
use crate::offsets::Codes;

/// How much a member reads ahead, and how long it bears trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Most bytes that are read ahead.
    pub(crate) buffer_bytes: usize,
    /// Most bytes of a partition in one fetch, past its first batch.
    pub(crate) partition_bytes: usize,
    /// How long what may pass is not reported.
    pub(crate) patience: Duration,
}

/// A member of a group. Dropped, it stays one until the session timeout.
pub(crate) struct KafkaSubscription {
    client: KafkaClient,
    group: Group,
    topics: Vec<Topic>,
    options: SubscribeOptions,
    timing: Timing,
    settings: Settings,
    work: Work,
    membership: Membership,
    leaders: Leaders,
    held: BTreeMap<TopicPartition, Held>,
    /// Reported as lost, and still this member's until its group is told.
    leaving: BTreeMap<TopicPartition, Held>,
    former: BTreeMap<TopicPartition, Former>,
    /// What the next successful poll reports.
    report: Polled,
    /// The commit that is under way.
    committing: Option<u64>,
    /// When to commit again what has nothing to deliver.
    skip_at: Duration,
    /// Whether the beginnings of partitions are being looked up, or when to do so again.
    opening: bool,
    open_at: Duration,
    /// Until then no partition is read before all have been looked at.
    fair_until: Duration,
    /// The partitions for which a way on is being looked for.
    finding: BTreeSet<TopicPartition>,
    /// The leaders that are being asked.
    fetching: BTreeSet<i32>,
    trouble: Trouble,
    /// What won't pass, until a poll has told it.
    failed: Option<FeedError>,
    pauses: Backoff,
    tags: u64,
    /// From which of its partitions the next poll delivers first.
    turn: usize,
}

/// A zero wait is enough to say something, but not for an answer; so a poll that has to hear from
/// the group may take this long.
const COURTESY: Duration = Duration::from_millis(50);
const LEAVE: &str = "leave group";
/// A coordinator that has moved is found by the second. Whom the group does not hear from leaves
/// after the session timeout anyway.
const LEAVE_ATTEMPTS: usize = 4;

impl KafkaSubscription {
    pub(crate) fn new(
        client: KafkaClient,
        member: Member,
        group: Group,
        topics: Vec<Topic>,
        options: SubscribeOptions,
        timing: Timing,
        settings: Settings,
    ) -> Self {
        Self {
            client,
            group,
            topics,
            options,
            timing,
            settings,
            work: Work::new(),
            membership: Membership::new(member),
            leaders: Leaders::default(),
            held: BTreeMap::new(),
            leaving: BTreeMap::new(),
            former: BTreeMap::new(),
            report: Polled::default(),
            committing: None,
            skip_at: Duration::ZERO,
            opening: false,
            open_at: Duration::ZERO,
            fair_until: Duration::ZERO,
            finding: BTreeSet::new(),
            fetching: BTreeSet::new(),
            trouble: Trouble::default(),
            failed: None,
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            tags: 0,
            turn: 0,
        }
    }

    /// Starts whatever is due.
    fn start(&mut self, limits: &PollLimits) {
        let now = self.client.clock().monotonic();
        self.start_membership(now);
        self.start_leaders(now);
        self.start_opening(now);
        self.start_ways(now);
        self.start_skipping(now);
        self.start_fetching(now, limits);
    }

    /// Takes in what is done. The outcome of a commit goes to who waits for it.
    fn apply(&mut self, done: Done) -> Option<(u64, Result<Codes, KafkaError>)> {
        match done {
            Done::Membership {
                member,
                action,
                began,
                outcome,
            } => {
                self.note_membership(member, &action, began, outcome);
            }
            Done::Leaders(found) => self.note_leaders(found),
            Done::Opened(opened) => self.note_opened(opened),
            Done::Way(stray, way) => self.note_way(&stray, way),
            Done::Fetched {
                leader,
                asked,
                outcome,
            } => {
                self.note_fetched(leader, &asked, outcome);
            }
            Done::Committed {
                number,
                progress,
                epoch,
                outcome,
            } => {
                self.note_committed(number, &progress, &outcome);
                if let Ok(codes) = &outcome {
                    self.note_refusals(codes, epoch);
                }
                return Some((number, outcome));
            }
        }
        None
    }

    /// Starts what is due and takes in what is done, until neither leads on by itself.
    fn advance(&mut self, limits: &PollLimits) {
        loop {
            self.start(limits);
            match self.work.next().now_or_never() {
                Some(Some(done)) => self.apply(done),
                Some(None) | None => return,
            };
        }
    }

    /// What can be returned now. Nothing is awaited between a change of this state and returning
    /// it, which makes `poll` cancel-safe.
    fn take(&mut self, limits: &PollLimits) -> Result<Option<Polled>, FeedError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let now = self.client.clock().monotonic();
        let mut records = Vec::new();
        if limits.records > 0 {
            self.check_offsets(limits)?;
            if self.may_deliver(now) && !self.is_unfair(now, limits) {
                records = self.deliver(limits);
            }
        }
        let mut polled = std::mem::take(&mut self.report);
        polled.records = records;
        Ok((!polled.is_empty()).then_some(polled))
    }

    /// When something is due without anything being done.
    fn next_due(&self, now: Duration) -> Duration {
        let resting = self.held.values().map(|held| held.rest_until);
        let due = [
            self.leaders.due,
            self.open_at,
            self.fair_until,
            self.skip_at,
        ];
        let due = due.into_iter().chain(self.membership.next()).chain(resting);
        due.filter(|due| *due > now).min().unwrap_or(Duration::MAX)
    }
}

#[async_trait]
impl Subscription for KafkaSubscription {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        // Where every poll has records at hand, the runtime gets its turn all the same.
        tokio::task::coop::consume_budget().await;
        let clock = self.client.config().clock.clone();
        let began = clock.monotonic();
        let until = began.saturating_add(limits.wait);
        // What an earlier poll has reported as lost, its caller has let go of by now.
        let reported = &self.report.lost;
        self.leaving.retain(|at, _| reported.contains(at));
        loop {
            self.advance(limits);
            if let Some(polled) = self.take(limits)? {
                self.read_ahead(limits);
                return Ok(polled);
            }
            let now = clock.monotonic();
            let until = match self.membership.member {
                None => until.max(began.saturating_add(COURTESY)),
                Some(_) => until,
            };
            if now >= until {
                self.trouble.check(now, self.settings.patience)?;
                return Ok(Polled::default());
            }
            let nap = until.min(self.next_due(now)).saturating_sub(now);
            tokio::select! {
                biased;
                Some(done) = self.work.next() => drop(self.apply(done)),
                () = clock.sleep(nap) => {}
            }
        }
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        self.commit_all(finished).await
    }

    async fn close(mut self: Box<Self>) -> Result<(), FeedError> {
        let client = self.client.clone();
        let limit = client.config().request_timeout;
        let deadline = Deadline::after(client.clock(), LEAVE, limit);
        deadline.bound(self.leave()).await
    }
}

impl KafkaSubscription {
    /// Has the next records fetched while the caller works on these.
    fn read_ahead(&mut self, limits: &PollLimits) {
        let now = self.client.clock().monotonic();
        self.start_fetching(now, limits);
        if let Some(Some(done)) = self.work.next().now_or_never() {
            self.apply(done);
        }
    }

    /// Tells the group that this member leaves.
    async fn leave(&mut self) -> Result<(), FeedError> {
        let mut member = self.member().await?;
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        for _ in 1..LEAVE_ATTEMPTS {
            match member.leave().await {
                Err(error) if error.is_transient() => {
                    self.client.clock().sleep(pauses.pause()).await;
                }
                left => return left.map_err(|error| error.during(LEAVE, Effect::None)),
            }
        }
        let left = member.leave().await;
        left.map_err(|error| error.during(LEAVE, Effect::None))
    }

    /// Waits for the member: while it is at work, it comes back with the answer.
    async fn member(&mut self) -> Result<Box<Member>, FeedError> {
        loop {
            if let Some(member) = self.membership.member.take() {
                return Ok(member);
            }
            match self.work.next().await {
                Some(done) => drop(self.apply(done)),
                None => return Err(Failure::refused(LEAVE, "there is no member").into()),
            }
        }
    }
}
