//! What an operator does with dead letters: list, replay and discard them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::DeadLetter;
use crate::error::FeedError;
use crate::feed::{
    Feed, Group, OnLostOffset, PollLimits, Polled, Publisher, Start, SubscribeOptions, Subscription,
};
use crate::record::{Message, Position, Record, Route, Topic, TopicPartition};
use crate::time::one_for_each;

/// Polls in a row that may find nothing, each of half a second, before the rest counts as unread: a
/// log may count more records than it delivers.
const MOST_EMPTY_POLLS: u32 = 6;
/// As long as partitions are missing: they may belong to a member that crashed, until its session
/// ends.
const MOST_POLLS_TO_JOIN: u32 = 120;

/// The dead letters of a topic that were neither replayed nor discarded.
///
/// How far they were dealt with is the progress of a group of the log, by default `TOPIC.queue`. So
/// the letters stay in the topic as long as the log keeps records, and the log's own tools show how
/// many wait.
///
/// One process at a time should use the queue of a topic. Several share the letters, and each sees
/// a part of them.
///
/// ```
/// # use std::sync::Arc;
/// # use stockade_change_feed::memory::MemoryFeed;
/// # use stockade_change_feed::{
/// #     DeadLetter, DeadLetters, FeedError, Group, Message, Offset, Position, Publisher, Record,
/// #     SystemClock, Timestamp, TopicPartition,
/// # };
/// use stockade_change_feed::{DeadLetterQueue, Decision, Topic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FeedError> {
/// # let feed = Arc::new(MemoryFeed::new(Arc::new(SystemClock::new())));
/// # let published = feed.publish(&Topic::new("orders")?, vec![Message::keyed("7", "seven")]).await?;
/// # let first = published.into_iter().next().unwrap()?;
/// # let position = Position {
/// #     partition: first.partition, offset: first.offset, timestamp: Timestamp::EPOCH,
/// # };
/// # let record = Record::new(position).with_key(Some("7".into())).with_value(Some("seven".into()));
/// # let letter = DeadLetter::new(record, Group::new("billing")?, 5, "no such customer");
/// # DeadLetters::new(feed.clone(), Topic::new("orders.dead")?).store(&[letter]).await?;
/// let queue = DeadLetterQueue::new(feed.clone(), feed.clone(), Topic::new("orders.dead")?);
///
/// let unread = queue
///     .list(|waiting| match &waiting.letter {
///         Ok(letter) => println!("{} {}: {}", letter.origin, letter.group, letter.reason),
///         Err(error) => println!("{}: {error}", waiting.position),
///     })
///     .await?;
/// assert_eq!(unread, 0);
///
/// let settled = queue
///     .settle(|waiting| match &waiting.letter {
///         Ok(letter) if letter.group.as_str() == "billing" => Decision::Replay,
///         _ => Decision::Keep,
///     })
///     .await?;
/// assert_eq!((settled.replayed, settled.kept), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DeadLetterQueue {
    feed: Arc<dyn Feed>,
    publisher: Arc<dyn Publisher>,
    topic: Topic,
    group: Option<Group>,
}

/// A dead letter that waits for a decision.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// Where it is in the topic of dead letters.
    pub position: Position,
    /// The letter; [`FeedError::Malformed`] for a record that is none.
    pub letter: Result<DeadLetter, FeedError>,
    stored: Record,
}

/// What to do with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Publish the original again, with its key, value and headers, to its topic: to the partition
    /// that it was in, or by its key if there is no such partition now. All groups that read the
    /// topic read it again, after newer records. A letter without its original is kept.
    Replay,
    /// Do nothing more with it.
    Discard,
    /// Leave it waiting: it goes to the end of the topic of dead letters.
    Keep,
}

/// What became of the letters that were waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// Letters whose originals were published again.
    pub replayed: u64,
    /// Letters that were discarded.
    pub discarded: u64,
    /// Letters that are waiting still, because that was decided or because they can't be replayed.
    /// The log says why: `tracing`, at the level of warnings.
    pub kept: u64,
    /// About how many letters were not read: another member of the group has their partitions, or
    /// the log counts more records than it delivers.
    pub unread: u64,
}

impl DeadLetterQueue {
    /// The letters that [`DeadLetters`](super::DeadLetters) stored in `topic`.
    #[must_use]
    pub fn new(feed: Arc<dyn Feed>, publisher: Arc<dyn Publisher>, topic: Topic) -> Self {
        Self {
            feed,
            publisher,
            topic,
            group: None,
        }
    }

    /// Sets the group whose committed offsets say which letters were dealt with (`TOPIC.queue`).
    #[must_use]
    pub fn with_group(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// Calls `see` for every letter that waits now, in order within each partition, and changes
    /// nothing. Returns about how many were not read, as in [`Settled::unread`].
    ///
    /// # Errors
    /// As for [`Feed::lag`], [`Feed::subscribe`] and [`Subscription::poll`].
    pub async fn list(&self, mut see: impl FnMut(&Waiting) + Send) -> Result<u64, FeedError> {
        let mut reader = self.reader().await?;
        let listed = async {
            while let Some(records) = reader.next().await? {
                records
                    .into_iter()
                    .map(Waiting::new)
                    .for_each(|waiting| see(&waiting));
            }
            Ok(reader.unread())
        }
        .await;
        reader.close().await;
        listed
    }

    /// Decides about every letter that waits now, and does it. Letters that are stored meanwhile
    /// wait for the next call, also those of replayed originals that failed again.
    ///
    /// Originals are durable before their letters count as replayed. After an error or a crash, the
    /// next call goes on, and may replay up to 500 originals a second time.
    ///
    /// # Errors
    /// As for [`Feed::lag`], [`Feed::subscribe`], [`Subscription::poll`],
    /// [`Subscription::commit`] and [`Publisher::publish`].
    pub async fn settle(
        &self,
        mut decide: impl FnMut(&Waiting) -> Decision + Send,
    ) -> Result<Settled, FeedError> {
        let mut reader = self.reader().await?;
        let mut settled = Settled::default();
        let work = async {
            while let Some(records) = reader.next().await? {
                let positions: Vec<_> = records.iter().map(|r| r.position.clone()).collect();
                self.settle_all(records, &mut decide, &mut settled).await?;
                for outcome in reader.member.commit(&positions).await? {
                    outcome?;
                }
            }
            settled.unread = reader.unread();
            Ok(settled)
        }
        .await;
        reader.close().await;
        work
    }

    async fn settle_all(
        &self,
        records: Vec<Record>,
        decide: &mut (impl FnMut(&Waiting) -> Decision + Send),
        settled: &mut Settled,
    ) -> Result<(), FeedError> {
        let mut kept = Vec::new();
        let mut originals: BTreeMap<Topic, Vec<(Record, Record)>> = BTreeMap::new();
        for waiting in records.into_iter().map(Waiting::new) {
            match (decide(&waiting), waiting) {
                (Decision::Discard, _) => settled.discarded += 1,
                (
                    Decision::Replay,
                    Waiting {
                        stored,
                        letter: Ok(letter),
                        position,
                    },
                ) => {
                    let Some(original) = letter.record else {
                        tracing::warn!(%position, "the letter has no original to replay");
                        kept.push(stored);
                        continue;
                    };
                    let topic = letter.origin.partition.topic;
                    originals.entry(topic).or_default().push((stored, original));
                }
                (
                    Decision::Replay,
                    Waiting {
                        stored,
                        letter: Err(error),
                        position,
                    },
                ) => {
                    tracing::warn!(%position, %error, "the record is not a dead letter");
                    kept.push(stored);
                }
                (Decision::Keep, waiting) => kept.push(waiting.stored),
            }
        }
        for (topic, letters) in originals {
            let (stored, originals) = letters.into_iter().unzip();
            let refused = self.replay(&topic, stored, originals, settled).await?;
            kept.extend(refused);
        }
        self.keep(kept, settled).await
    }

    /// Returns the letters whose originals the log refuses.
    async fn replay(
        &self,
        topic: &Topic,
        stored: Vec<Record>,
        originals: Vec<Record>,
        settled: &mut Settled,
    ) -> Result<Vec<Record>, FeedError> {
        let partitions = match self.publisher.partitions(topic).await {
            Ok(partitions) => partitions,
            Err(error @ FeedError::UnknownTopic { .. }) => {
                tracing::warn!(%error, "letters can't be replayed");
                return Ok(stored);
            }
            Err(error) => return Err(error),
        };
        let mut refused = Vec::new();
        let outcomes = self.publish(topic, partitions, originals).await?;
        for (letter, outcome) in stored.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => settled.replayed += 1,
                Err(error @ FeedError::Failed(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(position = %letter.position, %error, "a letter can't be replayed");
                    refused.push(letter);
                }
            }
        }
        Ok(refused)
    }

    /// Stores letters at the end of their partitions.
    async fn keep(&self, letters: Vec<Record>, settled: &mut Settled) -> Result<(), FeedError> {
        if letters.is_empty() {
            return Ok(());
        }
        let partitions = self.publisher.partitions(&self.topic).await?;
        for outcome in self.publish(&self.topic, partitions, letters).await? {
            outcome?;
            settled.kept += 1;
        }
        Ok(())
    }

    async fn publish(
        &self,
        topic: &Topic,
        partitions: u32,
        records: Vec<Record>,
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        let messages: Vec<_> = records
            .into_iter()
            .map(|record| Message {
                route: match record.position.partition.partition {
                    partition if partition < partitions => Route::Partition(partition),
                    _ => Route::Key,
                },
                key: record.key,
                value: record.value,
                headers: record.headers,
            })
            .collect();
        let count = messages.len();
        let outcomes = self.publisher.publish(topic, messages).await?;
        let outcomes = one_for_each("publishing", count, outcomes)?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.map(drop))
            .collect())
    }

    async fn reader(&self) -> Result<Reader, FeedError> {
        let group = match &self.group {
            Some(group) => group.clone(),
            None => Group::new(format!("{}.queue", self.topic))?,
        };
        let topics = [self.topic.clone()];
        let lag = self.feed.lag(&group, &topics).await?;
        let options = SubscribeOptions {
            start: Start::Earliest,
            on_lost_offset: OnLostOffset::Earliest,
        };
        let left = lag
            .into_iter()
            .map(|lag| (lag.partition, lag.records.unwrap_or(u64::MAX)))
            .filter(|(_, records)| *records > 0)
            .collect();
        Ok(Reader {
            member: self.feed.subscribe(&group, &topics, options).await?,
            left,
            assigned: BTreeSet::new(),
            finished: BTreeSet::new(),
        })
    }
}

impl fmt::Debug for DeadLetterQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, group, .. } = self;
        let mut debug = f.debug_struct("DeadLetterQueue");
        debug
            .field("topic", topic)
            .field("group", group)
            .finish_non_exhaustive()
    }
}

impl Waiting {
    fn new(stored: Record) -> Self {
        Self {
            position: stored.position.clone(),
            letter: DeadLetter::from_record(&stored),
            stored,
        }
    }
}

/// Reads the letters that waited when it was made.
struct Reader {
    member: Box<dyn Subscription>,
    /// How many letters of each partition are still to be read.
    left: BTreeMap<TopicPartition, u64>,
    assigned: BTreeSet<TopicPartition>,
    /// Partitions whose records were stored since.
    finished: BTreeSet<TopicPartition>,
}

impl Reader {
    /// The next letters; none when all were read, or no more can be had.
    async fn next(&mut self) -> Result<Option<Vec<Record>>, FeedError> {
        let mut empty = 0;
        while !self.left.is_empty() && empty < self.most_empty_polls() {
            let limits = PollLimits {
                paused: self.finished.iter().cloned().collect(),
                ..PollLimits::default()
            };
            let Polled {
                mut records,
                gained,
                lost,
                ..
            } = self.member.poll(&limits).await?;
            for partition in &lost {
                self.assigned.remove(partition);
            }
            self.assigned
                .extend(gained.into_iter().map(|gained| gained.partition));
            records.retain(|record| self.is_due(&record.position.partition));
            if !records.is_empty() {
                return Ok(Some(records));
            }
            empty += 1;
        }
        Ok(None)
    }

    fn most_empty_polls(&self) -> u32 {
        if self
            .left
            .keys()
            .all(|partition| self.assigned.contains(partition))
        {
            MOST_EMPTY_POLLS
        } else {
            MOST_POLLS_TO_JOIN
        }
    }

    /// Whether the next record of the partition is one of those to be read.
    fn is_due(&mut self, partition: &TopicPartition) -> bool {
        let left = self.left.get_mut(partition);
        let is_due = left.is_some();
        if left.is_none_or(|left| {
            *left -= 1;
            *left == 0
        }) {
            self.left.remove(partition);
            self.finished.insert(partition.clone());
        }
        is_due
    }

    fn unread(&self) -> u64 {
        self.left
            .values()
            .fold(0, |sum, left| sum.saturating_add(*left))
    }

    async fn close(self) {
        if let Err(error) = self.member.close().await {
            tracing::warn!(%error, "the group of the queue could not be left");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::DeadLetters;
    use crate::memory::MemoryFeed;
    use crate::record::{Headers, Offset, Published};
    use crate::time::{SystemClock, Timestamp};

    struct Desk {
        feed: MemoryFeed,
        queue: DeadLetterQueue,
    }

    impl Desk {
        fn new() -> Self {
            let clock = Arc::new(SystemClock::new());
            let feed = MemoryFeed::new(clock).with_max_message_bytes(1_000);
            let log = Arc::new(feed.clone());
            Self {
                feed,
                queue: DeadLetterQueue::new(log.clone(), log, topic("dead")),
            }
        }

        /// Stores a letter for each text.
        async fn store(&self, texts: &[&str]) {
            let letters: Vec<_> = texts.iter().map(|text| letter(text)).collect();
            let store = DeadLetters::new(Arc::new(self.feed.clone()), topic("dead"));
            for outcome in store.store(&letters).await.unwrap() {
                outcome.unwrap();
            }
        }

        async fn listed(&self) -> Vec<String> {
            let mut listed = Vec::new();
            let unread = self.queue.list(|waiting| listed.push(said(waiting))).await;
            assert_eq!(unread.unwrap(), 0);
            listed.sort();
            listed
        }

        async fn settle(&self, decision: Decision, only: &str) -> Settled {
            let decide = |waiting: &Waiting| match said(waiting).contains(only) {
                true => decision,
                false => Decision::Keep,
            };
            self.queue.settle(decide).await.unwrap()
        }

        async fn records(&self, name: &str) -> Vec<Record> {
            let group = Group::new("reader").unwrap();
            let options = SubscribeOptions::default();
            let mut reader = self
                .feed
                .subscribe(&group, &[topic(name)], options)
                .await
                .unwrap();
            let mut records = Vec::new();
            loop {
                let polled = reader.poll(&PollLimits::default()).await.unwrap();
                if polled.is_empty() {
                    return records;
                }
                records.extend(polled.records);
            }
        }
    }

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    fn letter(text: &str) -> DeadLetter {
        let position = Position {
            partition: TopicPartition::new(topic("origin"), 0),
            offset: Offset(7),
            timestamp: Timestamp::EPOCH,
        };
        let record = Record::new(position)
            .with_key(Some(text.to_owned().into()))
            .with_value(Some(text.to_owned().into()))
            .with_headers(Headers::new().with("of", "the original"));
        DeadLetter::new(record, Group::new("g").unwrap(), 3, text)
    }

    fn said(waiting: &Waiting) -> String {
        match &waiting.letter {
            Ok(letter) => letter.reason.clone(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn listing_changes_nothing() {
        let desk = Desk::new();
        desk.store(&["a", "b"]).await;
        assert_eq!(desk.listed().await, ["a", "b"]);
        assert_eq!(desk.listed().await, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_replayed_original_is_in_its_topic_again_as_it_was() {
        let desk = Desk::new();
        desk.store(&["a"]).await;
        assert_eq!(desk.settle(Decision::Replay, "").await.replayed, 1);
        assert!(desk.listed().await.is_empty());
        let expected = letter("a").record.unwrap();
        let [found] = &desk.records("origin").await[..] else {
            panic!("not one record");
        };
        assert_eq!(
            (&found.key, &found.value, &found.headers),
            (&expected.key, &expected.value, &expected.headers)
        );
    }

    #[tokio::test]
    async fn those_that_are_kept_wait_on() {
        let desk = Desk::new();
        desk.store(&["bad a", "good b", "bad c"]).await;
        let settled = desk.settle(Decision::Discard, "bad").await;
        assert_eq!((settled.discarded, settled.kept), (2, 1));
        assert_eq!(desk.listed().await, ["good b"]);
        let settled = desk.settle(Decision::Replay, "good").await;
        assert_eq!((settled.replayed, settled.kept), (1, 0));
        assert!(desk.listed().await.is_empty());
    }

    #[tokio::test]
    async fn letters_stored_meanwhile_wait_for_the_next_call() {
        let desk = Desk::new();
        desk.store(&["a"]).await;
        // Every replay fails again, and stores its letter again.
        let (feed, mut calls) = (desk.feed.clone(), 0);
        let again = |_: &Waiting| {
            calls += 1;
            let store = DeadLetters::new(Arc::new(feed.clone()), topic("dead"));
            at_once(async move { store.store(&[letter("a")]).await.unwrap() });
            Decision::Replay
        };
        assert_eq!(desk.queue.settle(again).await.unwrap().replayed, 1);
        assert_eq!(calls, 1);
        assert_eq!(desk.listed().await, ["a"]);
    }

    /// The result of a future that waits for nothing.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }

    #[tokio::test]
    async fn letters_stored_before_the_first_poll_wait_for_the_next_call_too() {
        let desk = Desk::new();
        desk.store(&["a"]).await;
        let mut reader = desk.queue.reader().await.unwrap();
        // In the same partition, by the same key.
        desk.store(&["a"]).await;
        assert_eq!(reader.next().await.unwrap().unwrap().len(), 1);
        assert_eq!(reader.next().await.unwrap(), None);
        reader.close().await;
        assert_eq!(desk.listed().await, ["a", "a"]);
    }

    #[tokio::test]
    async fn what_can_not_be_replayed_is_kept() {
        let desk = Desk::new();
        let mut pointer = letter("a pointer");
        pointer.record = None;
        let store = DeadLetters::new(Arc::new(desk.feed.clone()), topic("dead"));
        store.store(&[pointer]).await.unwrap();
        let other = vec![Message::keyed("k", "no letter")];
        desk.feed.publish(&topic("dead"), other).await.unwrap();

        let settled = desk.settle(Decision::Replay, "").await;
        assert_eq!((settled.replayed, settled.kept), (0, 2));
        assert_eq!(desk.listed().await.len(), 2);
        assert_eq!(desk.settle(Decision::Discard, "").await.discarded, 2);
        assert!(desk.listed().await.is_empty());
    }

    /// A log that takes no more records in the topic of the originals.
    struct Full(MemoryFeed);

    #[async_trait::async_trait]
    impl Publisher for Full {
        async fn publish(
            &self,
            topic: &Topic,
            messages: Vec<Message>,
        ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
            if topic.as_str() != "origin" {
                return self.0.publish(topic, messages).await;
            }
            let refusals = messages.iter().map(|message| {
                Err(FeedError::TooLarge {
                    topic: topic.clone(),
                    bytes: message.bytes(),
                    limit: 0,
                })
            });
            Ok(refusals.collect())
        }

        async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
            self.0.partitions(topic).await
        }
    }

    #[tokio::test]
    async fn an_original_that_the_log_refuses_is_kept() {
        let mut desk = Desk::new();
        desk.store(&["a", "b"]).await;
        desk.queue.publisher = Arc::new(Full(desk.feed.clone()));
        let settled = desk.settle(Decision::Replay, "").await;
        assert_eq!((settled.replayed, settled.kept), (0, 2));
        assert_eq!(desk.listed().await, ["a", "b"]);
    }
}
