//! A record that could not be handled, and its form in a topic.

use std::fmt;
use std::str::FromStr;

use crate::error::FeedError;
use crate::feed::Group;
use crate::record::{Headers, Message, Offset, Position, Record, Route, Topic, TopicPartition};
use crate::text::shorten;
use crate::time::Timestamp;

const FORMAT: &str = "1";
const VERSION: &str = "stockade-dead-letter-version";
const TOPIC: &str = "stockade-dead-letter-topic";
const PARTITION: &str = "stockade-dead-letter-partition";
const OFFSET: &str = "stockade-dead-letter-offset";
const TIMESTAMP: &str = "stockade-dead-letter-timestamp";
const GROUP: &str = "stockade-dead-letter-group";
const ATTEMPTS: &str = "stockade-dead-letter-attempts";
const REASON: &str = "stockade-dead-letter-reason";
const CONTENT: &str = "stockade-dead-letter-content";
const OURS: [&str; 9] = [
    VERSION, TOPIC, PARTITION, OFFSET, TIMESTAMP, GROUP, ATTEMPTS, REASON, CONTENT,
];
/// Prefix for a header of the original that has one of our header names.
const ASIDE: &str = "original-";
const WHOLE: &str = "whole";
const OMITTED: &str = "omitted";

/// Longest stored reason, in bytes.
const MOST_REASON: usize = 2_048;

/// A record that a group could not handle, as it is stored in a topic of dead letters.
///
/// It is stored with the key, value and headers of the original, and with these headers:
/// `stockade-dead-letter-version` (`1`), `-topic`, `-partition`, `-offset`, `-timestamp`
/// (microseconds since 1970), `-group`, `-attempts`, `-reason` and `-content`. The content is
/// `whole`, or `omitted` when the log could not take the original, usually because it is too large.
/// An omitted one has no key, value or headers of the original; it only says where the original is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The position of the original.
    pub origin: Position,
    /// Which group could not handle it.
    pub group: Group,
    /// How often it was handled.
    pub attempts: u32,
    /// Why it was given up: at most 2 KiB, with control characters replaced by blanks.
    pub reason: String,
    /// The original; none when the log could not take it again.
    pub record: Option<Record>,
}

impl DeadLetter {
    /// A letter for a record that `group` gave up after `attempts` attempts.
    #[must_use]
    pub fn new(record: Record, group: Group, attempts: u32, reason: impl Into<String>) -> Self {
        // Not every log carries control characters in a header, nor should a terminal see them.
        let mut reason = reason.into().replace(char::is_control, " ");
        reason.truncate(reason.floor_char_boundary(MOST_REASON));
        let origin = record.position.clone();
        Self {
            origin,
            group,
            attempts,
            reason,
            record: Some(record),
        }
    }

    /// Decodes a record that [`DeadLetters`](super::DeadLetters) stored.
    ///
    /// # Errors
    /// [`FeedError::Malformed`], naming the header, for any other record.
    pub fn from_record(stored: &Record) -> Result<Self, FeedError> {
        let headers = &stored.headers;
        let version = text(headers, VERSION)?;
        if version != FORMAT {
            let reason = format!(
                "{:?} is not the supported version {FORMAT:?}",
                shorten(version)
            );
            return Err(malformed(VERSION, reason));
        }
        let topic = Topic::new(text(headers, TOPIC)?);
        let topic = topic.map_err(|error| malformed(TOPIC, error.to_string()))?;
        let group = Group::new(text(headers, GROUP)?);
        let group = group.map_err(|error| malformed(GROUP, error.to_string()))?;
        let origin = Position {
            partition: TopicPartition::new(topic, number(headers, PARTITION)?),
            offset: Offset(number(headers, OFFSET)?),
            timestamp: Timestamp::from_micros(number(headers, TIMESTAMP)?),
        };
        let record = match text(headers, CONTENT)? {
            OMITTED => None,
            WHOLE => Some(
                Record::new(origin.clone())
                    .with_key(stored.key.clone())
                    .with_value(stored.value.clone())
                    .with_headers(without_ours(headers)),
            ),
            other => {
                let reason = format!("{:?} is neither {WHOLE} nor {OMITTED}", shorten(other));
                return Err(malformed(CONTENT, reason));
            }
        };
        let attempts = number(headers, ATTEMPTS)?;
        let reason = text(headers, REASON)?.to_owned();
        Ok(Self {
            origin,
            group,
            attempts,
            reason,
            record,
        })
    }

    /// The whole letter, or only the position of the original when the letter is over `max_bytes`.
    pub(super) fn message(&self, max_bytes: usize) -> Message {
        let whole = self.record.as_ref().map(|record| Message {
            route: Route::Key,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: self.with_ours(set_aside(&record.headers), WHOLE),
        });
        whole
            .filter(|message| message.bytes() <= max_bytes)
            .unwrap_or_else(|| Message {
                route: Route::Key,
                key: None,
                value: None,
                headers: self.with_ours(Headers::new(), OMITTED),
            })
    }

    /// Adds our headers after `headers`.
    fn with_ours(&self, headers: Headers, content: &'static str) -> Headers {
        let Position {
            partition,
            offset,
            timestamp,
        } = &self.origin;
        headers
            .with(VERSION, FORMAT)
            .with(TOPIC, partition.topic.as_str().to_owned())
            .with(PARTITION, partition.partition.to_string())
            .with(OFFSET, offset.to_string())
            .with(TIMESTAMP, timestamp.as_micros().to_string())
            .with(GROUP, self.group.as_str().to_owned())
            .with(ATTEMPTS, self.attempts.to_string())
            .with(REASON, self.reason.clone())
            .with(CONTENT, content)
    }
}

/// Whether a name is one of ours, or a renamed header of the original.
fn is_ours(name: &str) -> bool {
    OURS.contains(&name.trim_start_matches(ASIDE))
}

/// The original's headers. Those that have our names, because the original is a dead letter itself,
/// are renamed.
fn set_aside(headers: &Headers) -> Headers {
    let renamed = headers.iter().map(|(name, value)| {
        let aside = if is_ours(name) { ASIDE } else { "" };
        (format!("{aside}{name}"), value.clone())
    });
    renamed.collect()
}

/// The original's headers, with their original names.
fn without_ours(headers: &Headers) -> Headers {
    let originals = headers.iter().filter(|(name, _)| !OURS.contains(name));
    originals
        .map(|(name, value)| {
            let aside = name.strip_prefix(ASIDE).filter(|name| is_ours(name));
            (aside.unwrap_or(name).to_owned(), value.clone())
        })
        .collect()
}

fn text<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, FeedError> {
    let value = headers
        .get(name)
        .ok_or_else(|| malformed(name, "it is missing".to_owned()))?;
    std::str::from_utf8(value).map_err(|error| malformed(name, error.to_string()))
}

fn number<N: FromStr<Err: fmt::Display>>(
    headers: &Headers,
    name: &'static str,
) -> Result<N, FeedError> {
    let text = text(headers, name)?;
    text.parse()
        .map_err(|error| malformed(name, format!("{:?}: {error}", shorten(text))))
}

fn malformed(header: &'static str, reason: String) -> FeedError {
    FeedError::Malformed {
        format: "dead letter",
        field: header.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn stored(message: Message) -> Record {
        let partition = TopicPartition::new(Topic::new("dead").unwrap(), 0);
        let timestamp = Timestamp::EPOCH;
        Record::new(Position {
            partition,
            offset: Offset(0),
            timestamp,
        })
        .with_key(message.key)
        .with_value(message.value)
        .with_headers(message.headers)
    }

    fn any_bytes() -> impl Strategy<Value = Bytes> {
        any::<Vec<u8>>().prop_map(Bytes::from)
    }

    fn any_letter() -> impl Strategy<Value = DeadLetter> {
        let name = prop_oneof![
            any::<String>(),
            prop::sample::select(&OURS).prop_map(String::from),
            prop::sample::select(&OURS).prop_map(|name| format!("original-{name}")),
            prop::sample::select(&OURS).prop_map(|name| format!("original-original-{name}")),
        ];
        let headers = prop::collection::vec((name, any_bytes()), 0..6);
        let position =
            (any::<u32>(), any::<u128>(), any::<i64>()).prop_map(|(number, offset, at)| Position {
                partition: TopicPartition::new(Topic::new("origin").unwrap(), number),
                offset: Offset(offset),
                timestamp: Timestamp::from_micros(at),
            });
        let parts = (
            prop::option::of(any_bytes()),
            prop::option::of(any_bytes()),
            headers,
        );
        (position, parts, any::<u32>(), any::<String>()).prop_map(
            |(position, (key, value, headers), attempts, reason)| {
                let record = Record::new(position)
                    .with_key(key)
                    .with_value(value)
                    .with_headers(headers.into_iter().collect());
                DeadLetter::new(record, Group::new("g").unwrap(), attempts, reason)
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(letter in any_letter()) {
            let whole = stored(letter.message(usize::MAX));
            prop_assert_eq!(&DeadLetter::from_record(&whole).unwrap(), &letter);
            let pointer = stored(letter.message(0));
            let expected = DeadLetter { record: None, ..letter };
            prop_assert_eq!(DeadLetter::from_record(&pointer).unwrap(), expected);
        }

        #[test]
        fn a_letter_can_be_given_up_itself(letter in any_letter()) {
            let record = stored(letter.message(usize::MAX));
            let second = DeadLetter::new(record, Group::new("h").unwrap(), 1, "again");
            let second = DeadLetter::from_record(&stored(second.message(usize::MAX))).unwrap();
            prop_assert_eq!(&second.reason, "again");
            prop_assert_eq!(DeadLetter::from_record(&second.record.unwrap()).unwrap(), letter);
        }

        #[test]
        fn other_records_are_refused(
            letter in any_letter(),
            broken in prop::sample::select(&OURS[..7]),
            value in "\\PC{0,8} ",
        ) {
            let mut record = stored(letter.message(usize::MAX));
            record.headers = record.headers.with(broken, value);
            match DeadLetter::from_record(&record).unwrap_err() {
                FeedError::Malformed { field, .. } => prop_assert_eq!(field, broken),
                other => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let position = stored(Message::keyed("", "")).position;
        let group = Group::new("g").unwrap();
        let letter = DeadLetter::new(Record::new(position), group, 1, "é".repeat(5_000));
        assert_eq!(letter.reason, "é".repeat(1_024));
    }

    #[test]
    fn a_reason_is_one_line_of_text() {
        let position = stored(Message::keyed("", "")).position;
        let group = Group::new("g").unwrap();
        let reason = "no\r\nsuch\0 \u{1b}[31mthing\u{85}";
        let letter = DeadLetter::new(Record::new(position), group, 1, reason);
        assert_eq!(letter.reason, "no  such   [31mthing ");
    }
}
