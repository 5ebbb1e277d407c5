//! Sends what waits, until nobody waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use stockade_change_feed::time::Backoff;
use stockade_change_feed::{Failure, FeedError, Published, Topic, TopicPartition};
use tokio::sync::Notify;

use super::PUBLISH;
use super::batch::{Compression, Identity};
use super::produce::{self, Answer, Landed};
use super::queue::{Batch, Batching, Known, Pending, Queue};
use crate::cluster::{KafkaClient, Topics};
use crate::error::{Effect, KafkaError};
use crate::offsets::feed_offset;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What callers and the sender share.
pub(super) struct Shared {
    pub(super) client: KafkaClient,
    queue: Mutex<Queue>,
    /// Something was added.
    added: Notify,
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) batching: Batching,
    pub(super) compression: Compression,
}

/// A piece of work that is done.
enum Done {
    Landed(i32, Vec<Landed>),
    Topics(Vec<Topic>, Result<Topics, KafkaError>),
    Identity(Option<TopicPartition>, Result<Identity, KafkaError>),
}

type Work = FuturesUnordered<BoxFuture<'static, Done>>;

impl Shared {
    pub(super) fn new(client: KafkaClient) -> Self {
        Self {
            client,
            queue: Mutex::default(),
            added: Notify::new(),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics halfway through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the sender look at what was added.
    pub(super) fn wake(&self) {
        self.added.notify_one();
    }
}

/// Sends for as long as it is polled: it never ends.
pub(super) async fn run(shared: Arc<Shared>, manner: Manner) {
    let mut sender = Sender {
        work: Work::new(),
        shared,
        manner,
        asking: false,
        ask_at: Duration::ZERO,
        naming: false,
        backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
    };
    let clock = sender.shared.client.config().clock.clone();
    loop {
        let next = sender.start();
        let nap = next.saturating_sub(clock.monotonic());
        let shared = sender.shared.clone();
        tokio::select! {
            biased;
            Some(done) = sender.work.next() => sender.apply(done),
            () = shared.added.notified() => {}
            () = clock.sleep(nap) => {}
        }
    }
}

struct Sender {
    shared: Arc<Shared>,
    manner: Manner,
    work: Work,
    /// Whether leaders are being asked for, and when to do so again.
    asking: bool,
    ask_at: Duration,
    /// Whether an identity is being asked for.
    naming: bool,
    backoff: Backoff,
}

impl Sender {
    /// Starts what can be, and says when there may be more.
    fn start(&mut self) -> Duration {
        let shared = self.shared.clone();
        let now = shared.client.clock().monotonic();
        let mut queue = shared.queue();
        let (flights, next) = queue.take(now, self.manner.batching);
        for flight in flights {
            let client = shared.client.clone();
            let compression = self.manner.compression;
            self.work.push(Box::pin(async move {
                let leader = flight.leader;
                let landed = produce::fly(&client, leader, flight.batches, compression).await;
                Done::Landed(leader, landed)
            }));
        }
        if now < self.ask_at {
            return next.min(self.ask_at);
        }
        if !self.asking && !queue.unknown.is_empty() {
            self.asking = true;
            let topics: Vec<Topic> = std::mem::take(&mut queue.unknown).into_iter().collect();
            let client = shared.client.clone();
            self.work.push(Box::pin(async move {
                let found = client.topics(&topics).await;
                Done::Topics(topics, found)
            }));
        }
        if !self.naming
            && let Some(who) = queue.unnamed.pop_first()
        {
            self.naming = true;
            let client = shared.client.clone();
            let work = async move { Done::Identity(who, produce::identity(&client).await) };
            self.work.push(Box::pin(work));
        }
        next
    }

    fn apply(&mut self, done: Done) {
        let shared = self.shared.clone();
        match done {
            Done::Landed(leader, landed) => {
                shared.queue().land(leader);
                for Landed { batch, answer } in landed {
                    self.settle(batch, answer);
                }
            }
            Done::Topics(asked, found) => self.note_topics(&asked, found),
            Done::Identity(who, identity) => {
                self.naming = false;
                match identity {
                    Ok(identity) => {
                        self.backoff.reset();
                        shared.queue().name(who.as_ref(), identity);
                    }
                    Err(error) => self.note_trouble(&error),
                }
            }
        }
    }

    fn note_topics(&mut self, asked: &[Topic], found: Result<Topics, KafkaError>) {
        self.asking = false;
        let shared = self.shared.clone();
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                shared.queue().unknown.extend(asked.iter().cloned());
                return self.note_trouble(&error);
            }
        };
        // The leaders that there are may be those that were asked in vain.
        self.pause();
        let gone = asked.iter().filter(|topic| !found.contains_key(topic));
        let gone: Vec<Topic> = gone.cloned().collect();
        let given_up = {
            let mut queue = shared.queue();
            queue.topics.retain(|topic, _| !gone.contains(topic));
            queue.topics.extend(found);
            queue.give_up(Some(&gone))
        };
        for (topic, pending) in given_up {
            pending
                .call
                .settle(pending.place, Err(FeedError::UnknownTopic { topic }));
        }
    }

    fn pause(&mut self) {
        let now = self.shared.client.clock().monotonic();
        self.ask_at = now.saturating_add(self.backoff.pause());
    }

    /// What fails for good fails for all that waits.
    fn note_trouble(&mut self, error: &KafkaError) {
        tracing::debug!(%error, "messages wait");
        self.pause();
        let shared = self.shared.clone();
        let mut queue = shared.queue();
        if error.is_transient() {
            queue.complain(&error.to_string());
            return;
        }
        let given_up = queue.give_up(None);
        drop(queue);
        for (_, pending) in given_up {
            let refused = error.clone().during(PUBLISH, Effect::Possible);
            pending.call.settle(pending.place, Err(refused));
        }
    }

    fn settle(&mut self, mut batch: Batch, answer: Answer) {
        let shared = self.shared.clone();
        let mut queue = shared.queue();
        let now = shared.client.clock().monotonic();
        let same = Known::Next(batch.identity);
        let after = Known::Next(batch.identity.after(batch.pending.len()));
        match answer {
            Answer::Appended(first) => {
                self.backoff.reset();
                queue.go_on(&batch.at, after);
                for (offset, pending) in (first..).zip(batch.pending) {
                    let (partition, offset) = (batch.at.clone(), feed_offset(offset));
                    pending
                        .call
                        .settle(pending.place, Ok(Published { partition, offset }));
                }
            }
            Answer::AppendedBefore => {
                queue.go_on(&batch.at, after);
                let why = "it was appended by an earlier attempt, at an offset that is not known";
                settle_all(
                    batch.pending,
                    &Failure::outcome_unknown(PUBLISH, why).into(),
                );
            }
            Answer::OutOfSequence => {
                note(&batch, "the leader does not know what it was sent before");
                queue.put_back(batch, Known::Spoilt);
            }
            Answer::TooLarge { limit } if batch.pending.len() == 1 => {
                queue.go_on(&batch.at, same);
                let bytes = batch
                    .pending
                    .iter()
                    .map(|pending| pending.message.bytes())
                    .sum();
                let topic = batch.at.topic.clone();
                settle_all(
                    batch.pending,
                    &FeedError::TooLarge {
                        topic,
                        bytes,
                        limit,
                    },
                );
            }
            Answer::TooLarge { .. } => {
                note(&batch, "a batch of it was too large");
                queue.shrink(&batch.at, batch.bytes());
                queue.put_back(batch, same);
            }
            Answer::Refused { records, error } => {
                refuse(&mut queue, batch, same, &records, error);
            }
            Answer::NotNow(error) => {
                queue.unknown.insert(batch.at.topic.clone());
                note(&batch, &error.to_string());
                queue.again(batch, now);
            }
            Answer::Unknown(error) => {
                queue.unknown.insert(batch.at.topic.clone());
                batch.doubtful = true;
                note(&batch, &error.to_string());
                queue.again(batch, now);
            }
        }
    }
}

/// Refuses the records that the broker names, and has the others sent again; all where it names
/// none.
fn refuse(
    queue: &mut Queue,
    batch: Batch,
    same: Known,
    records: &[(usize, String)],
    error: KafkaError,
) {
    let (at, error) = (batch.at.clone(), error.during(PUBLISH, Effect::Possible));
    let mut others = Vec::new();
    for (place, pending) in batch.pending.into_iter().enumerate() {
        match records.iter().find(|(record, _)| *record == place) {
            Some((_, why)) if !why.is_empty() => {
                let refused = Failure::refused(PUBLISH, why.clone());
                pending.call.settle(pending.place, Err(refused.into()));
            }
            None if !records.is_empty() => others.push(pending),
            _ => pending.call.settle(pending.place, Err(error.clone())),
        }
    }
    if others.is_empty() {
        queue.go_on(&at, same);
    } else {
        queue.put_back(
            Batch {
                pending: others,
                ..batch
            },
            same,
        );
    }
}

/// Notes why messages have to be sent again.
fn note(batch: &Batch, why: &str) {
    for pending in &batch.pending {
        match batch.doubtful {
            true => pending.call.complain(why),
            false => pending.call.put_back(pending.place, why),
        }
    }
}

fn settle_all(pending: Vec<Pending>, error: &FeedError) {
    for pending in pending {
        pending.call.settle(pending.place, Err(error.clone()));
    }
}
