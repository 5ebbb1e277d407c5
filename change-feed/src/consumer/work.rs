//! What a consumer does while it is a member.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::hand::Task;
use super::member::{Member, worth_retrying};
use super::{Consumer, Disposition};
use crate::dead_letter::DeadLetter;
use crate::error::{FeedError, Retry};
use crate::feed::PollLimits;
use crate::record::{Record, Topic};

const HANDLED: &str = "stockade_feed_records_handled_total";
const RETRIED: &str = "stockade_feed_records_retried_total";
const DEAD_LETTERED: &str = "stockade_feed_records_dead_lettered_total";

/// How things have gone lately, which decides how long to pause.
#[derive(Default)]
struct Weather {
    /// Polls that failed in a row.
    failed_polls: u32,
    /// Rounds in a row in which something that all records need was unavailable.
    unavailable: u32,
    /// Rounds in a row in which a dead letter could not be stored.
    unburied: u32,
    /// Until when nothing is handled, by the monotonic clock.
    paused_until: Duration,
}

impl Consumer {
    /// Joins the group and works until the stop, or until something fails for good.
    pub(super) async fn work(
        &self,
        place: &mut Option<Member>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), FeedError> {
        let mut weather = Weather::default();
        loop {
            let step = async {
                match place.as_mut() {
                    Some(member) => self.gather(member, &weather).await,
                    None => {
                        let options = self.options.clone();
                        let joined = self
                            .feed
                            .subscribe(&self.group, &self.topics, options)
                            .await;
                        *place = Some(Member::new(joined?));
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
                    let pause = self.pause(weather.failed_polls).max(hint(&error));
                    tracing::warn!(%error, ?pause, "the log can not be read");
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

    /// Takes in hand what fits, and returns when there may be something to do.
    async fn gather(&self, member: &mut Member, weather: &Weather) -> Result<(), FeedError> {
        let now = self.clock.monotonic();
        let records = self.limits.records.saturating_sub(member.hand.records());
        let bytes = self.limits.bytes.saturating_sub(member.hand.bytes());
        let paused = weather.paused_until.saturating_sub(now);
        let full = records == 0 || (bytes == 0 && member.hand.records() > 0);
        if full || !paused.is_zero() {
            member.beat(&*self.clock).await?;
            let due = member.hand.next_due().unwrap_or(now).saturating_sub(now);
            self.clock.sleep(due.max(paused).min(self.heartbeat)).await;
            return Ok(());
        }
        let due = member.hand.next_due().map(|due| due.saturating_sub(now));
        let wait = due.unwrap_or(Duration::MAX).min(self.limits.wait);
        let in_hand = member.hand.partitions().cloned();
        let paused = self.limits.paused.iter().cloned().chain(in_hand).collect();
        member
            .poll(
                &PollLimits {
                    records,
                    bytes,
                    wait,
                    paused,
                },
                &*self.clock,
            )
            .await
    }

    /// Goes on with what is due, and commits what is finished then.
    async fn round(&self, member: &mut Member, weather: &mut Weather) -> Result<(), FeedError> {
        let now = self.clock.monotonic();
        if now >= weather.paused_until {
            let due = member.hand.take_due(now);
            let (mut hopeless, due): (Vec<Task>, Vec<Task>) =
                due.into_iter().partition(|task| task.verdict.is_some());
            if !due.is_empty() {
                hopeless.extend(self.handle(member, due, weather).await?);
                member.commit().await?;
            }
            self.bury(member, hopeless, weather).await?;
        }
        member.commit().await
    }

    /// Hands records to the handler, and returns those that are to be dead-lettered.
    async fn handle(
        &self,
        member: &mut Member,
        due: Vec<Task>,
        weather: &mut Weather,
    ) -> Result<Vec<Task>, FeedError> {
        let (records, attempts): (Vec<Record>, Vec<u32>) = due
            .into_iter()
            .map(|task| (task.record, task.attempts))
            .unzip();
        let work = self.handler.handle(&records);
        let dispositions = member.while_alive(work, self.heartbeat, &*self.clock).await;
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
        let mut hopeless = Vec::new();
        let (mut handled, mut retried) = (Count::default(), Count::default());
        let mut away: Option<(Duration, String)> = None;
        for ((record, before), disposition) in records.into_iter().zip(attempts).zip(dispositions) {
            let topic = &record.position.partition.topic;
            let attempts = before.saturating_add(1);
            match disposition {
                Disposition::Done => {
                    handled.add(topic);
                    member.hand.finish(&record.position);
                }
                Disposition::Retry { reason } if attempts < self.attempts.get() => {
                    retried.add(topic);
                    tracing::debug!(position = %record.position, attempts, reason, "to be retried");
                    let pause = *pauses
                        .entry(attempts)
                        .or_insert_with(|| self.pause(attempts));
                    let due = now.saturating_add(pause);
                    member.hand.put_back(Task {
                        record,
                        attempts,
                        verdict: None,
                        due,
                    });
                }
                Disposition::Retry { reason } | Disposition::DeadLetter { reason } => {
                    hopeless.push(Task {
                        record,
                        attempts,
                        verdict: Some(reason),
                        due: now,
                    });
                }
                Disposition::Unavailable {
                    reason,
                    retry_after,
                } => {
                    retried.add(topic);
                    let longest = away.take().map_or(retry_after, |(t, _)| t.max(retry_after));
                    away = Some((longest, reason));
                    let attempts = before;
                    member.hand.put_back(Task {
                        record,
                        attempts,
                        verdict: None,
                        due: now,
                    });
                }
            }
        }
        self.count(HANDLED, handled);
        self.count(RETRIED, retried);
        weather.unavailable = match away {
            None => 0,
            Some((retry_after, reason)) => {
                let rounds = weather.unavailable.saturating_add(1);
                let pause = self.pause(rounds).max(retry_after);
                tracing::warn!(
                    reason,
                    ?pause,
                    "the handler lacks something; all records wait"
                );
                weather.paused_until = now.saturating_add(pause);
                rounds
            }
        };
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
        let work = dead_letters.store(&letters);
        let outcomes = member.while_alive(work, self.heartbeat, &*self.clock).await;

        let mut failed = Vec::new();
        let mut stored = Count::default();
        for ((task, letter), outcome) in tasks.into_iter().zip(&letters).zip(outcomes) {
            match outcome {
                Ok(_) => {
                    let position = &letter.origin;
                    tracing::warn!(%position, attempts = letter.attempts, reason = letter.reason, "dead-lettered");
                    stored.add(&position.partition.topic);
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
        let pause = self.pause(weather.unburied);
        for (mut task, error) in failed {
            let pause = pause.max(hint(&error));
            tracing::error!(%error, position = %task.record.position, ?pause, "a dead letter can not be stored");
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
                tracing::warn!(%error, "not committed; the next owner handles it again");
            }
            member.subscription.close().await
        };
        tokio::select! {
            biased;
            outcome = leaving => if let Err(error) = outcome {
                tracing::warn!(%error, "the group finds out by its session timeout");
            },
            () = self.clock.sleep(self.grace) => {
                tracing::warn!("the log did not answer; the group finds out by its session timeout");
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

/// Records by topic.
#[derive(Default)]
struct Count(BTreeMap<Topic, u64>);

impl Count {
    fn add(&mut self, topic: &Topic) {
        *self.0.entry(topic.clone()).or_default() += 1;
    }
}

/// How long the log asks to wait.
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
