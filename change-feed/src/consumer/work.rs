//! What a consumer does while it is a member.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::hand::{Hand, Task};
use super::member::{Member, worth_retrying};
use super::{Batch, Consumer, Disposition};
use crate::dead_letter::DeadLetter;
use crate::error::FeedError;
use crate::failure::Retry;
use crate::feed::PollLimits;
use crate::record::{Position, Record, Topic, TopicPartition};
use crate::time::Deadline;
use crate::trace;

const HANDLED: &str = "stockade_feed_records_handled_total";
const RETRIED: &str = "stockade_feed_records_retried_total";
const DEAD_LETTERED: &str = "stockade_feed_records_dead_lettered_total";

/// Recent failures, which decide how long to pause.
#[derive(Default)]
struct Weather {
    /// Polls that failed in a row.
    failed_polls: u32,
    /// Rounds in a row in which a dead letter could not be stored.
    unburied: u32,
}

impl Consumer {
    /// Joins the group and works until the stop, or until an error that a retry can not fix.
    pub(super) async fn work(
        &self,
        place: &mut Option<Member>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), FeedError> {
        let mut weather = Weather::default();
        loop {
            let step = async {
                match place.as_mut() {
                    Some(member) => self.gather(member).await,
                    None => {
                        *place = Some(self.join().await?);
                        Ok(())
                    }
                }
            };
            let outcome = tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                outcome = step => outcome,
            };
            match outcome {
                Ok(()) => weather.failed_polls = 0,
                Err(error) if worth_retrying(&error) => {
                    weather.failed_polls = weather.failed_polls.saturating_add(1);
                    let pause = self.backoff.after(weather.failed_polls).max(hint(&error));
                    tracing::warn!(%error, ?pause, "reading the log failed; it is repeated");
                    tokio::select! {
                        biased;
                        () = stopped(&mut stop) => return Ok(()),
                        () = self.clock.sleep(pause) => continue,
                    }
                }
                Err(error) => return Err(error),
            }
            if let Some(member) = place {
                self.round(member, &mut weather).await?;
            }
            // A log and a handler that never wait must not keep others, the stop among them, from
            // running.
            tokio::task::yield_now().await;
        }
    }

    async fn join(&self) -> Result<Member, FeedError> {
        let options = self.options.clone();
        let work = self.feed.subscribe(&self.group, &self.topics, options);
        let deadline = Deadline::after(self.clock.as_ref(), "joining the group", self.timeout);
        let subscription = deadline.bound(work).await?;
        Ok(Member::new(subscription, self.clock.clone(), self.timeout))
    }

    /// Takes in hand what fits, and returns when there may be work.
    ///
    /// There is always room for one record of a partition that has none in hand, so that waiting
    /// records keep no other partition from being read.
    async fn gather(&self, member: &mut Member) -> Result<(), FeedError> {
        let now = self.clock.monotonic();
        let records = self.limits.records.saturating_sub(member.hand.records());
        let due = member.hand.next_due().map(|due| due.saturating_sub(now));
        let in_hand = member.hand.partitions().cloned();
        let limits = PollLimits {
            records: records.max(1),
            bytes: self.limits.bytes.saturating_sub(member.hand.bytes()),
            wait: due.unwrap_or(Duration::MAX).min(self.limits.wait),
            paused: self.limits.paused.iter().cloned().chain(in_hand).collect(),
        };
        member.poll(&limits).await
    }

    /// Continues with what is due, and commits what is finished then.
    async fn round(&self, member: &mut Member, weather: &mut Weather) -> Result<(), FeedError> {
        let due = member.hand.take_due(self.clock.monotonic());
        let (mut hopeless, due): (Vec<Task>, Vec<Task>) =
            due.into_iter().partition(|task| task.verdict.is_some());
        if !due.is_empty() {
            hopeless.extend(self.handle(member, due).await?);
        }
        if !hopeless.is_empty() {
            member.commit().await?;
            self.bury(member, hopeless, weather).await?;
        }
        member.commit().await
    }

    /// Hands records to the handler, and returns those that become dead letters.
    async fn handle(&self, member: &mut Member, due: Vec<Task>) -> Result<Vec<Task>, FeedError> {
        let (records, tries): (Vec<Record>, Vec<(u32, u32)>) = due
            .into_iter()
            .map(|task| (task.record, (task.attempts, task.waits)))
            .unzip();
        let beginnings = std::mem::take(&mut member.beginnings);
        let batch = Batch {
            records: &records,
            beginnings: &beginnings,
        };
        let spans = trace::spans("handle", &records);
        let work = self.watched(records.len(), self.handler.handle(batch));
        let dispositions = member.while_alive(work, self.heartbeat).await;
        drop(spans);
        if dispositions.len() != records.len() {
            let reason = format!("the handler owes one for each of {} records", records.len());
            return Err(FeedError::invalid(
                "dispositions",
                &dispositions.len().to_string(),
                reason,
            ));
        }

        let now = self.clock.monotonic();
        let mut pauses = BTreeMap::new();
        let mut pause = |n: u32| *pauses.entry(n).or_insert_with(|| self.backoff.after(n));
        let mut hopeless = Vec::new();
        let mut absences = Absences::default();
        let (mut handled, mut retried) = (Count::default(), Count::default());
        for ((record, tries), disposition) in records.into_iter().zip(tries).zip(dispositions) {
            let (before, waits) = (tries.0, tries.1.saturating_add(1));
            let mut task = Task {
                attempts: before.saturating_add(1),
                waits: 0,
                verdict: None,
                due: now,
                record,
            };
            match disposition {
                Disposition::Done => {
                    handled.add(&task.record.position);
                    member.hand.finish(&task.record.position);
                }
                Disposition::Retry { reason } if task.attempts < self.attempts.get() => {
                    retried.add(&task.record.position);
                    tracing::debug!(position = %task.record.position, attempts = task.attempts, reason, "record is retried");
                    task.due = now.saturating_add(pause(task.attempts));
                    member.hand.put_back(task);
                }
                Disposition::Retry { reason } | Disposition::DeadLetter { reason } => {
                    task.verdict = Some(reason);
                    hopeless.push(task);
                }
                Disposition::Unavailable {
                    reason,
                    retry_after,
                } => {
                    retried.add(&task.record.position);
                    absences.add(
                        &task.record.position.partition,
                        pause(waits).max(retry_after),
                        reason,
                    );
                    (task.attempts, task.waits) = (before, waits);
                    member.hand.put_back(task);
                }
            }
        }
        absences.pause(&mut member.hand, now);
        self.count(HANDLED, handled);
        self.count(RETRIED, retried);
        Ok(hopeless)
    }

    /// Stores dead letters. Their records are finished only then.
    async fn bury(
        &self,
        member: &mut Member,
        hopeless: Vec<Task>,
        weather: &mut Weather,
    ) -> Result<(), FeedError> {
        let ours = |task: &Task| member.hand.holds(&task.record.position);
        let tasks: Vec<Task> = hopeless.into_iter().filter(ours).collect();
        let Some(first) = tasks.first() else {
            return Ok(());
        };
        let Some(dead_letters) = &self.dead_letters else {
            return Err(FeedError::Poisoned {
                position: first.record.position.clone(),
                reason: first.verdict.clone().unwrap_or_default(),
            });
        };
        let letters: Vec<DeadLetter> = tasks.iter().map(|task| self.letter(task)).collect();
        let clock = self.clock.clone();
        let deadline = Deadline::after(clock.as_ref(), "storing dead letters", self.timeout);
        let work = deadline.bound(dead_letters.store(&letters));
        let outcomes = match member.while_alive(work, self.heartbeat).await {
            Ok(outcomes) => outcomes,
            Err(error) => letters.iter().map(|_| Err(error.clone())).collect(),
        };

        let mut failed = Vec::new();
        let mut stored = Count::default();
        for ((task, letter), outcome) in tasks.into_iter().zip(&letters).zip(outcomes) {
            match outcome {
                Ok(_) => {
                    let position = &letter.origin;
                    tracing::warn!(%position, attempts = letter.attempts, reason = letter.reason, "dead-lettered");
                    stored.add(position);
                    member.hand.finish(position);
                }
                Err(error) => failed.push((task, error)),
            }
        }
        self.count(DEAD_LETTERED, stored);
        weather.unburied = if failed.is_empty() {
            0
        } else {
            weather.unburied.saturating_add(1)
        };
        let pause = self.backoff.after(weather.unburied);
        for (mut task, error) in failed {
            let pause = pause.max(hint(&error));
            tracing::error!(%error, position = %task.record.position, ?pause, "storing a dead letter failed");
            task.due = self.clock.monotonic().saturating_add(pause);
            member.hand.put_back(task);
        }
        Ok(())
    }

    fn letter(&self, task: &Task) -> DeadLetter {
        let reason = task.verdict.clone().unwrap_or_default();
        DeadLetter::new(
            task.record.clone(),
            self.group.clone(),
            task.attempts,
            reason,
        )
    }

    /// Commits what is finished and leaves the group, within the grace period.
    pub(super) async fn leave(&self, mut member: Member) {
        let leaving = async {
            if let Err(error) = member.commit().await {
                tracing::warn!(%error, "commit failed; the next owner handles the records again");
            }
            member.subscription.close().await
        };
        tokio::select! {
            biased;
            outcome = leaving => if let Err(error) = outcome {
                tracing::warn!(%error, "leaving failed; the session timeout ends the membership");
            },
            () = self.clock.sleep(self.grace) => {
                tracing::warn!("leaving had no answer; the session timeout ends the membership");
            }
        }
    }

    fn count(&self, metric: &'static str, count: Count) {
        for (topic, records) in count.0 {
            let labels = [
                ("group", self.group.as_str().to_owned()),
                ("topic", topic.into()),
            ];
            metrics::counter!(metric, &labels).increment(records);
        }
    }
}

/// What the records of each partition need and can not get: for how long to pause, and why.
#[derive(Default)]
struct Absences(BTreeMap<TopicPartition, (Duration, String)>);

impl Absences {
    /// The longest pause of a partition counts.
    fn add(&mut self, partition: &TopicPartition, pause: Duration, reason: String) {
        let longest = self.0.get(partition).map(|(longest, _)| *longest);
        if longest.is_none_or(|longest| longest < pause) {
            self.0.insert(partition.clone(), (pause, reason));
        }
    }

    fn pause(self, hand: &mut Hand, now: Duration) {
        for (partition, (pause, reason)) in self.0 {
            tracing::warn!(%partition, reason, ?pause, "handler lacks a resource; partition paused");
            hand.pause(&partition, now.saturating_add(pause));
        }
    }
}

/// Records by topic.
#[derive(Default)]
struct Count(BTreeMap<Topic, u64>);

impl Count {
    fn add(&mut self, position: &Position) {
        let topic = &position.partition.topic;
        *self.0.entry(topic.clone()).or_default() += 1;
    }
}

/// The pause that the error asks for.
fn hint(error: &FeedError) -> Duration {
    match error.retry() {
        Retry::After(after) => after,
        Retry::Never | Retry::RestartTransaction | Retry::OutcomeUnknown => Duration::ZERO,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The sender outlives the work.
    let _ = stop.wait_for(|stopped| *stopped).await;
}
