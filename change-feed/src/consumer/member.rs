//! A consumer's membership in its group: what it has in hand, and what it has yet to commit.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::hand::Hand;
use super::{Beginning, ReadFrom};
use crate::error::FeedError;
use crate::failure::Retry;
use crate::feed::{Gained, PollLimits, Polled, Subscription};
use crate::record::{Position, TopicPartition};
use crate::time::{Clock, Deadline};

/// A membership. Its state outlives the work, so that leaving can commit it.
pub(super) struct Member {
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) hand: Hand,
    /// Where partitions begin; not passed to the handler yet.
    pub(super) beginnings: Vec<Beginning>,
    /// Finished, and not yet committed.
    finished: BTreeMap<TopicPartition, Position>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

impl Member {
    pub(super) fn new(
        subscription: Box<dyn Subscription>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        Self {
            subscription,
            clock,
            timeout,
            hand: Hand::default(),
            beginnings: Vec::new(),
            finished: BTreeMap::new(),
        }
    }

    /// Polls, and takes the records in hand. Cancel-safe, as polling is.
    pub(super) async fn poll(&mut self, limits: &PollLimits) -> Result<(), FeedError> {
        let timeout = self.timeout.saturating_add(limits.wait);
        let deadline = Deadline::after(self.clock.as_ref(), "polling", timeout);
        let polled = deadline.bound(self.subscription.poll(limits)).await?;
        self.note(polled, self.clock.monotonic());
        Ok(())
    }

    fn note(&mut self, polled: Polled, now: Duration) {
        for partition in &polled.lost {
            tracing::debug!(%partition, "partition revoked");
            self.forget(partition);
            self.beginnings
                .retain(|begins| begins.partition != *partition);
        }
        for Gained {
            partition,
            committed,
        } in polled.gained
        {
            tracing::debug!(%partition, ?committed, "partition assigned");
            let from = committed.map_or(ReadFrom::Start, ReadFrom::After);
            self.beginnings.push(Beginning { partition, from });
        }
        for reset in &polled.resets {
            tracing::warn!(
                partition = %reset.partition,
                committed = %reset.committed,
                resumed_at = %reset.resumed_at,
                "the committed offset is no longer in the log; records may be skipped or repeated"
            );
            self.forget(&reset.partition);
            self.beginnings.push(Beginning {
                partition: reset.partition.clone(),
                from: ReadFrom::Elsewhere,
            });
        }
        self.hand.add(polled.records, now);
    }

    fn forget(&mut self, partition: &TopicPartition) {
        self.hand.lose(partition);
        self.finished.remove(partition);
    }

    /// Waits for `work` and keeps the membership alive meanwhile.
    pub(super) async fn while_alive<T>(
        &mut self,
        work: impl Future<Output = T> + Send,
        heartbeat: Duration,
    ) -> T {
        let clock = self.clock.clone();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = clock.sleep(heartbeat) => {}
            }
            let outcome = tokio::select! {
                biased;
                done = &mut work => return done,
                outcome = self.beat() => outcome,
            };
            if let Err(error) = outcome {
                // If it lasts, the next poll for records meets it as well and decides.
                tracing::warn!(%error, "heartbeat failed");
            }
        }
    }

    /// Polls without reading records, as a heartbeat.
    pub(super) async fn beat(&mut self) -> Result<(), FeedError> {
        let limits = PollLimits {
            records: 0,
            bytes: 0,
            wait: Duration::ZERO,
            paused: Vec::new(),
        };
        self.poll(&limits).await
    }

    /// Commits what is finished. A commit that failed is repeated with the next call.
    pub(super) async fn commit(&mut self) -> Result<(), FeedError> {
        for position in self.hand.take_finished() {
            self.finished.insert(position.partition.clone(), position);
        }
        if self.finished.is_empty() {
            return Ok(());
        }
        let positions: Vec<Position> = self.finished.values().cloned().collect();
        let deadline = Deadline::after(self.clock.as_ref(), "committing", self.timeout);
        let outcomes = match deadline.bound(self.subscription.commit(&positions)).await {
            Ok(outcomes) => outcomes,
            Err(error) if worth_retrying(&error) => {
                tracing::warn!(%error, "commit failed; the next one repeats it");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (position, outcome) in positions.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {}
                Err(error @ FeedError::NotAssigned { .. }) => {
                    tracing::debug!(%error, "commit rejected; the next owner repeats the records");
                }
                Err(error) if worth_retrying(&error) => {
                    tracing::warn!(%error, %position, "commit failed; the next one repeats it");
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.finished.remove(&position.partition);
        }
        Ok(())
    }
}

/// Whether the log may accept the same call later.
pub(super) fn worth_retrying(error: &FeedError) -> bool {
    error.retry() != Retry::Never
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Feed, Group, OffsetReset, SubscribeOptions};
    use crate::memory::MemoryFeed;
    use crate::record::{Offset, Record, Topic};
    use crate::time::{ManualClock, Timestamp};

    fn record(partition: u32, offset: u128) -> Record {
        let partition = TopicPartition::new(Topic::new("t").unwrap(), partition);
        let offset = Offset(offset);
        Record::new(Position {
            partition,
            offset,
            timestamp: Timestamp::EPOCH,
        })
    }

    #[tokio::test]
    async fn what_is_lost_or_reset_is_forgotten_before_what_comes_is_taken() {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let feed = MemoryFeed::new(clock.clone());
        let (group, options) = (Group::new("g").unwrap(), SubscribeOptions::default());
        let mut member = Member::new(
            feed.subscribe(&group, &[], options).await.unwrap(),
            clock,
            Duration::from_secs(1),
        );
        let all = (0..3).map(|partition| record(partition, 7)).collect();
        member.note(Polled::records(all), Duration::ZERO);
        let position = |partition| record(partition, 6).position;
        let finished = (0..3).map(|partition| (position(partition).partition, position(partition)));
        member.finished.extend(finished);

        let (committed, resumed_at) = (Offset(6), Offset(0));
        let reset = OffsetReset {
            partition: position(1).partition,
            committed,
            resumed_at,
        };
        let polled = Polled::records(vec![record(0, 1), record(1, 0)])
            .with_assignment(
                vec![Gained::new(position(0).partition, Some(Offset(0)))],
                vec![position(0).partition],
            )
            .with_resets(vec![reset]);
        member.note(polled, Duration::ZERO);

        assert_eq!(
            member.finished.into_values().collect::<Vec<_>>(),
            [position(2)]
        );
        let due = member.hand.take_due(Duration::ZERO);
        let due: Vec<_> = due
            .iter()
            .map(|task| task.record.position.offset.0)
            .collect();
        assert_eq!(due, [1, 0, 7]);
    }
}
