//! A handler that follows a script, and a log to try it on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::consumer::{Batch, Beginning, Consumer, Disposition, Handler};
use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::feed::{Feed, Group, PollLimits, SubscribeOptions};
use crate::memory::MemoryFeed;
use crate::record::{Message, Record, Topic};
use crate::time::{ManualClock, Timestamp};

pub(super) const STEP: Duration = Duration::from_millis(20);

/// What the script says to one record.
pub(super) enum Say {
    Now(Disposition),
    /// Once the gate is open.
    AtGate,
    /// Nothing at all, which breaks the contract.
    Nothing,
}

pub(super) type Says = dyn Fn(&str, usize) -> Say + Send + Sync;

/// Answers by the record's value and by how often it came before, and keeps what it was asked.
pub(super) struct Script {
    pub(super) says: Box<Says>,
    pub(super) batches: Mutex<Vec<Vec<String>>>,
    pub(super) beginnings: Mutex<Vec<Beginning>>,
    pub(super) gate: Notify,
}

impl Script {
    pub(super) fn new(says: impl Fn(&str, usize) -> Say + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            says: Box::new(says),
            batches: Mutex::default(),
            beginnings: Mutex::default(),
            gate: Notify::new(),
        })
    }

    pub(super) fn done() -> Arc<Self> {
        Self::new(|_, _| Say::Now(Disposition::Done))
    }

    pub(super) fn batches(&self) -> Vec<Vec<String>> {
        self.batches.lock().unwrap().clone()
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.batches().concat()
    }

    pub(super) fn times(&self, value: &str) -> usize {
        self.seen().iter().filter(|seen| *seen == value).count()
    }
}

#[async_trait]
impl Handler for Script {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let begun = batch.beginnings;
        self.beginnings.lock().unwrap().extend_from_slice(begun);
        let text = |record: &Record| String::from_utf8(record.value.clone().unwrap().into());
        let values: Vec<String> = batch
            .records
            .iter()
            .map(|record| text(record).unwrap())
            .collect();
        let before: Vec<usize> = values.iter().map(|value| self.times(value)).collect();
        self.batches.lock().unwrap().push(values.clone());
        let mut dispositions = Vec::new();
        for (value, before) in values.iter().zip(before) {
            match (self.says)(value, before) {
                Say::Nothing => {}
                Say::Now(disposition) => dispositions.push(disposition),
                Say::AtGate => {
                    self.gate.notified().await;
                    dispositions.push(Disposition::Done);
                }
            }
        }
        dispositions
    }
}

pub(super) fn retry() -> Say {
    Say::Now(Disposition::Retry {
        reason: "not yet".to_owned(),
    })
}

pub(super) fn unavailable() -> Say {
    let retry_after = Duration::from_secs(1);
    Say::Now(Disposition::Unavailable {
        reason: "no database".to_owned(),
        retry_after,
    })
}

pub(super) struct Fixture {
    pub(super) clock: Arc<ManualClock>,
    pub(super) feed: MemoryFeed,
    pub(super) group: Group,
    pub(super) topic: Topic,
}

impl Fixture {
    pub(super) fn new(partitions: u32) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
        let feed = MemoryFeed::new(clock.clone()).with_partitions(partitions);
        let (group, topic) = (Group::new("g").unwrap(), Topic::new("t").unwrap());
        Self {
            clock,
            feed,
            group,
            topic,
        }
    }

    pub(super) fn append(&self, partition: u32, values: &[&str]) {
        for value in values {
            let message = Message::to_partition(partition, (*value).to_owned());
            self.feed.append(&self.topic, message).unwrap();
        }
    }

    pub(super) fn consumer_of(&self, feed: Arc<dyn Feed>, handler: &Arc<Script>) -> Consumer {
        Consumer::new(
            feed,
            self.group.clone(),
            vec![self.topic.clone()],
            handler.clone(),
        )
        .with_clock(self.clock.clone())
    }

    pub(super) fn consumer(&self, handler: &Arc<Script>) -> Consumer {
        self.consumer_of(Arc::new(self.feed.clone()), handler)
    }

    pub(super) fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(Arc::new(self.feed.clone()), Topic::new("dead").unwrap())
    }

    /// Lets time pass until `condition` holds.
    pub(super) async fn until(&self, condition: impl Fn() -> bool) {
        for _ in 0..20_000 {
            if condition() {
                return;
            }
            self.clock.advance(STEP);
            tokio::task::yield_now().await;
        }
        panic!("it did not come to that");
    }

    /// Unfinished records by partition.
    pub(super) async fn lag(&self) -> Vec<u64> {
        let lags = self
            .feed
            .lag(&self.group, std::slice::from_ref(&self.topic))
            .await
            .unwrap();
        lags.into_iter().map(|lag| lag.records.unwrap()).collect()
    }

    pub(super) async fn buried(&self) -> Vec<DeadLetter> {
        let group = Group::new("undertaker").unwrap();
        let topics = [Topic::new("dead").unwrap()];
        let options = SubscribeOptions::default();
        let mut member = self.feed.subscribe(&group, &topics, options).await.unwrap();
        let limits = PollLimits {
            wait: Duration::ZERO,
            ..PollLimits::default()
        };
        let polled = member.poll(&limits).await.unwrap();
        polled
            .records
            .iter()
            .map(|record| DeadLetter::from_record(record).unwrap())
            .collect()
    }
}
