//! Storing dead letters.

use std::fmt;
use std::sync::Arc;

use super::DeadLetter;
use crate::error::FeedError;
use crate::feed::Publisher;
use crate::record::{Published, Topic};
use crate::time::one_for_each;

/// Stores dead letters in a topic.
#[derive(Clone)]
pub struct DeadLetters {
    publisher: Arc<dyn Publisher>,
    topic: Topic,
    max_bytes: usize,
}

impl DeadLetters {
    /// Stores dead letters in `topic`. Letters up to 900 KiB are stored whole, which fits the usual
    /// limit of 1 MiB; of larger ones only the position of the original is stored.
    #[must_use]
    pub fn new(publisher: Arc<dyn Publisher>, topic: Topic) -> Self {
        Self {
            publisher,
            topic,
            max_bytes: 900 << 10,
        }
    }

    /// Sets the limit for a letter's key, value and headers together (900 KiB).
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Stores letters and returns an outcome for each, in their order. `Ok` means durable.
    ///
    /// When the log finds a letter too large or can not carry it (for example its headers, as
    /// [`FeedError::Invalid`]), only the position of the original is stored. After an error,
    /// storing the letter again may store it twice.
    ///
    /// # Errors
    /// As for [`Publisher::publish`].
    pub async fn store(
        &self,
        letters: &[DeadLetter],
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let mut outcomes = self.publish(letters, self.max_bytes).await?;
        for (letter, outcome) in letters.iter().zip(&mut outcomes) {
            if matches!(
                outcome,
                Err(FeedError::TooLarge { .. } | FeedError::Invalid { .. })
            ) {
                let pointer = self.publish(std::slice::from_ref(letter), 0).await;
                *outcome = pointer.and_then(|mut outcomes| outcomes.remove(0));
            }
        }
        Ok(outcomes)
    }

    async fn publish(
        &self,
        letters: &[DeadLetter],
        max_bytes: usize,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let messages = letters
            .iter()
            .map(|letter| letter.message(max_bytes))
            .collect();
        let outcomes = self.publisher.publish(&self.topic, messages).await?;
        Ok(one_for_each(
            "storing dead letters",
            letters.len(),
            outcomes,
        )?)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic, max_bytes, ..
        } = self;
        let mut debug = f.debug_struct("DeadLetters");
        debug
            .field("topic", topic)
            .field("max_bytes", max_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Group;
    use crate::memory::MemoryFeed;
    use crate::record::{Headers, Message, Offset, Position, Record, TopicPartition};
    use crate::time::{ManualClock, Timestamp};

    fn record(message: Message) -> Record {
        let partition = TopicPartition::new(Topic::new("origin").unwrap(), 0);
        let position = Position {
            partition,
            offset: Offset(0),
            timestamp: Timestamp::EPOCH,
        };
        Record::new(position)
            .with_key(message.key)
            .with_value(message.value)
    }

    /// A log that can not carry every header.
    struct Picky(MemoryFeed);

    #[async_trait::async_trait]
    impl Publisher for Picky {
        async fn publish(
            &self,
            topic: &Topic,
            messages: Vec<Message>,
        ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
            let mut outcomes = Vec::new();
            for message in messages {
                if message.headers.get("odd").is_some() {
                    outcomes.push(Err(FeedError::invalid("header", "odd", "it is odd")));
                } else {
                    outcomes.extend(self.0.publish(topic, vec![message]).await?);
                }
            }
            Ok(outcomes)
        }

        async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
            self.0.partitions(topic).await
        }
    }

    #[tokio::test]
    async fn what_the_log_can_not_carry_becomes_a_pointer() {
        let feed = MemoryFeed::new(Arc::new(ManualClock::new(Timestamp::EPOCH)));
        let letters = DeadLetters::new(Arc::new(Picky(feed)), Topic::new("dead").unwrap());
        let odd = Headers::new().with("odd", "x");
        let records = [Headers::new(), odd].map(|headers| {
            let record = record(Message::keyed("k", "v")).with_headers(headers);
            DeadLetter::new(record, Group::new("g").unwrap(), 1, "x")
        });
        let outcomes = letters.store(&records).await.unwrap();
        assert!(matches!(outcomes[..], [Ok(_), Ok(_)]), "{outcomes:?}");
    }

    #[tokio::test]
    async fn what_the_log_finds_too_large_becomes_a_pointer() {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let feed = MemoryFeed::new(clock).with_max_message_bytes(1_000);
        let letters = DeadLetters::new(Arc::new(feed), Topic::new("dead").unwrap());
        let record = record(Message::keyed("k", "v".repeat(1_000)));
        let group = Group::new("g").unwrap();
        let outcomes = letters
            .store(&[DeadLetter::new(record, group, 1, "x")])
            .await
            .unwrap();
        assert!(matches!(outcomes[..], [Ok(_)]), "{outcomes:?}");
    }
}
