//! A consumer's membership in its group: what it has in hand, and what it has yet to commit.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use super::hand::Hand;
use crate::error::{FeedError, Retry};
use crate::feed::{PollLimits, Polled, Subscription};
use crate::record::{Position, TopicPartition};
use crate::time::Clock;

/// A membership. All that it knows outlives the work, so that leaving can commit it.
pub(super) struct Member {
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) hand: Hand,
    /// Finished, and not yet committed.
    finished: BTreeMap<TopicPartition, Position>,
}

impl Member {
    pub(super) fn new(subscription: Box<dyn Subscription>) -> Self {
        Self {
            subscription,
            hand: Hand::default(),
            finished: BTreeMap::new(),
        }
    }

    /// Polls and takes in hand what comes. Cancel-safe, as polling is.
    pub(super) async fn poll(
        &mut self,
        limits: &PollLimits,
        clock: &dyn Clock,
    ) -> Result<(), FeedError> {
        let polled = self.subscription.poll(limits).await?;
        self.note(polled, clock.monotonic());
        Ok(())
    }

    fn note(&mut self, polled: Polled, now: Duration) {
        for partition in &polled.lost {
            tracing::info!(%partition, "lost");
            self.forget(partition);
        }
        for partition in &polled.gained {
            tracing::info!(%partition, "gained");
        }
        for reset in &polled.resets {
            tracing::warn!(
                partition = %reset.partition,
                committed = %reset.committed,
                resumed_at = %reset.resumed_at,
                "the committed offset is gone: records may have been missed, or come again"
            );
            self.forget(&reset.partition);
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
        clock: &dyn Clock,
    ) -> T {
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
                outcome = self.beat(clock) => outcome,
            };
            if let Err(error) = outcome {
                // If it lasts, the next poll for records meets it as well and decides.
                tracing::warn!(%error, "a heartbeat failed");
            }
        }
    }

    /// Polls for nothing, which says that this member lives.
    pub(super) async fn beat(&mut self, clock: &dyn Clock) -> Result<(), FeedError> {
        let limits = PollLimits {
            records: 0,
            bytes: 0,
            wait: Duration::ZERO,
            paused: Vec::new(),
        };
        self.poll(&limits, clock).await
    }

    /// Commits what is finished. What fails for now is committed with the next call.
    pub(super) async fn commit(&mut self) -> Result<(), FeedError> {
        for position in self.hand.take_finished() {
            self.finished.insert(position.partition.clone(), position);
        }
        if self.finished.is_empty() {
            return Ok(());
        }
        let positions: Vec<Position> = self.finished.values().cloned().collect();
        let outcomes = self.subscription.commit(&positions).await;
        for (position, outcome) in positions.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {}
                Err(error @ FeedError::NotAssigned { .. }) => {
                    tracing::debug!(%error, "not committed; the next owner handles it again");
                }
                Err(error) if worth_retrying(&error) => {
                    tracing::warn!(%error, %position, "not committed yet");
                    continue;
                }
                Err(error) => return Err(error),
            }
            self.finished.remove(&position.partition);
        }
        Ok(())
    }
}

/// Whether the log may accept the same thing later.
pub(super) fn worth_retrying(error: &FeedError) -> bool {
    match error.retry() {
        Retry::After(_) | Retry::OutcomeUnknown => true,
        Retry::Never | Retry::RestartTransaction => false,
    }
}
