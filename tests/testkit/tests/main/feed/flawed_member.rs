//! A member of a log that breaks one rule.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{
    Feed, FeedError, Group, OnLostOffset, PollLimits, Polled, Position, Record, Start,
    SubscribeOptions, Subscription, Topic, TopicPartition,
};

use super::flawed::{FeedFlaw, FlawedFeed};

pub(super) struct FlawedMember {
    log: Arc<FlawedFeed>,
    group: Group,
    topics: Vec<Topic>,
    pub(super) inner: Box<dyn Subscription>,
    flaw: FeedFlaw,
    /// For the next poll.
    pub(super) unreported: Polled,
    unread: Option<Record>,
    assigned: BTreeSet<TopicPartition>,
    /// The partitions of which it has returned records.
    was_read: BTreeSet<TopicPartition>,
    /// Whether it leaves one of its partitions to a member that does not take it.
    pub(super) takes_too_few: bool,
    untaken: Option<TopicPartition>,
}

/// For a poll that returns at once and reads nothing.
pub(super) fn at_once() -> PollLimits {
    PollLimits {
        records: 0,
        wait: Duration::ZERO,
        ..PollLimits::default()
    }
}

impl FlawedMember {
    pub(super) fn new(
        log: Arc<FlawedFeed>,
        group: Group,
        topics: Vec<Topic>,
        inner: Box<dyn Subscription>,
    ) -> Self {
        Self {
            flaw: log.flaw,
            log,
            group,
            topics,
            inner,
            unreported: Polled::default(),
            unread: None,
            assigned: BTreeSet::new(),
            was_read: BTreeSet::new(),
            takes_too_few: false,
            untaken: None,
        }
    }

    async fn poll_inner(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        match self.flaw {
            FeedFlaw::StarvesPartitions => self.poll_one_by_one(limits).await,
            FeedFlaw::CountsOnlyValues => self.poll_by_values(limits).await,
            FeedFlaw::WaitsForRecords => self.poll_for_records(limits).await,
            FeedFlaw::WaitsSilently => self.poll_twice(limits).await,
            _ => self.inner.poll(limits).await,
        }
    }

    /// Polls each partition by itself, and returns with the first that has something.
    async fn poll_one_by_one(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        for at in self.assigned.clone() {
            if limits.records == 0 || limits.paused.contains(&at) {
                continue;
            }
            let others = self.assigned.iter().filter(|other| **other != at);
            let alone = PollLimits {
                paused: others.cloned().collect(),
                wait: Duration::ZERO,
                ..limits.clone()
            };
            let polled = self.inner.poll(&alone).await?;
            if !polled.is_empty() {
                return Ok(polled);
            }
        }
        self.inner.poll(limits).await
    }

    /// Polls for one record after the other, until their values have the wanted size.
    async fn poll_by_values(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        if limits.records == 0 {
            return self.inner.poll(limits).await;
        }
        let mut one = PollLimits {
            records: 1,
            ..limits.clone()
        };
        let (mut all, mut bytes) = (Polled::default(), 0);
        all.records.extend(self.unread.take());
        while all.records.len() < limits.records {
            if !all.records.is_empty() {
                one.wait = Duration::ZERO;
            }
            let Polled {
                mut records,
                gained,
                lost,
                ..
            } = self.inner.poll(&one).await?;
            (all.gained, all.lost) = ([all.gained, gained].concat(), [all.lost, lost].concat());
            let Some(record) = records.pop() else { break };
            bytes += record.value.as_deref().map_or(0, <[u8]>::len);
            if bytes > limits.bytes && !all.records.is_empty() {
                self.unread = Some(record);
                break;
            }
            all.records.push(record);
        }
        Ok(all)
    }

    /// Polls until there are records, or the wait is over.
    async fn poll_for_records(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let mut all = Polled::default();
        loop {
            let mut polled = self.inner.poll(limits).await?;
            let is_over = polled.is_empty() || limits.wait.is_zero();
            all.gained.append(&mut polled.gained);
            all.lost.append(&mut polled.lost);
            all.resets.append(&mut polled.resets);
            all.records.append(&mut polled.records);
            if is_over || !all.records.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Polls at the beginning and at the end of the wait.
    async fn poll_twice(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let now = PollLimits {
            wait: Duration::ZERO,
            ..limits.clone()
        };
        let polled = self.inner.poll(&now).await?;
        if !polled.is_empty() || limits.wait.is_zero() {
            return Ok(polled);
        }
        self.log.clock.sleep(limits.wait).await;
        self.inner.poll(&now).await
    }

    /// Joins again as another member, and continues at the oldest records.
    async fn join_again(&mut self) -> Result<Vec<Record>, FeedError> {
        let options = SubscribeOptions {
            start: Start::Earliest,
            on_lost_offset: OnLostOffset::Earliest,
        };
        let joining = self.log.inner.subscribe(&self.group, &self.topics, options);
        let before = std::mem::replace(&mut self.inner, joining.await?);
        before.close().await?;
        let all = PollLimits {
            wait: Duration::ZERO,
            ..PollLimits::default()
        };
        Ok(self.inner.poll(&all).await?.records)
    }

    /// What the flaw makes of a lost offset.
    async fn lose(&mut self, error: FeedError, limits: &PollLimits) -> Result<Polled, FeedError> {
        let FeedError::OffsetLost {
            topic, partition, ..
        } = &error
        else {
            return Err(error);
        };
        let at = TopicPartition::new(topic.clone(), *partition);
        match self.flaw {
            FeedFlaw::LosesReportsOfFailures => {
                self.inner.poll(&at_once()).await?;
            }
            FeedFlaw::LosesRecordsOfFailures => {
                let others = PollLimits {
                    paused: vec![at],
                    wait: Duration::ZERO,
                    ..limits.clone()
                };
                self.unreported = self.inner.poll(&others).await?;
                self.unreported.records.clear();
            }
            FeedFlaw::SkipsWhatIsRemoved if self.was_read.contains(&at) => {
                return Ok(Polled::records(self.join_again().await?));
            }
            _ => {}
        }
        Err(error)
    }

    /// Hides the first partition that is assigned to it.
    fn take_too_few(&mut self, polled: &mut Polled) {
        if let Some(at) = &self.untaken {
            polled.lost.retain(|lost| lost != at);
        } else if let Some(first) = polled.gained.first() {
            self.untaken = Some(first.partition.clone());
        }
        if let Some(at) = &self.untaken {
            polled.gained.retain(|gained| gained.partition != *at);
            polled
                .records
                .retain(|record| record.position.partition != *at);
        }
    }
}

#[async_trait]
impl Subscription for FlawedMember {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let mut limits = limits.clone();
        if self.flaw == FeedFlaw::IgnoresPauses {
            limits.paused.clear();
        }
        if !self.unreported.is_empty() {
            return Ok(std::mem::take(&mut self.unreported));
        }
        let mut polled = match self.poll_inner(&limits).await {
            Ok(polled) => polled,
            Err(error) => self.lose(error, &limits).await?,
        };
        if self.flaw == FeedFlaw::SharesByOwnTopics && self.takes_too_few {
            self.take_too_few(&mut polled);
        }
        for lost in &polled.lost {
            self.assigned.remove(lost);
        }
        let gained = polled.gained.iter();
        self.assigned
            .extend(gained.map(|gained| gained.partition.clone()));
        let read = polled.records.iter();
        self.was_read
            .extend(read.map(|record| record.position.partition.clone()));
        if self.flaw == FeedFlaw::LosesWhatIsDropped && polled.gained.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.flaw == FeedFlaw::FinishesWhatIsFetched {
            let fetched: Vec<_> = polled.records.iter().map(|r| r.position.clone()).collect();
            self.inner.commit(&fetched).await?;
        }
        Ok(polled)
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        let outcomes = self.inner.commit(finished).await?;
        if self.flaw == FeedFlaw::CommitsByOffset && outcomes.iter().any(Result::is_err) {
            let now = self.join_again().await?.into_iter();
            let now = now.map(|record| record.position);
            let of = |at: &Position| finished.iter().any(|old| old.offset == at.offset);
            let same: Vec<Position> = now.filter(of).collect();
            return self.inner.commit(&same).await;
        }
        Ok(outcomes)
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        if self.flaw == FeedFlaw::ClosesSilently {
            return Ok(());
        }
        self.inner.close().await
    }
}
