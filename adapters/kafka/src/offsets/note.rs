//! What is committed beside an offset, in the metadata that Kafka keeps with it.

use serde::{Deserialize, Serialize};
use stockade_change_feed::{Offset, Position, Timestamp};
use uuid::Uuid;

const VERSION: u8 = 1;

/// Which record was finished last, so that a topic that was deleted and created anew is told from
/// the one that was read.
///
/// It takes about 100 of the 4,096 bytes that Kafka keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    v: u8,
    /// The topic's id; nil where the brokers give none.
    pub(crate) topic: Uuid,
    /// The last record that was finished, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Last>,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) offset: Offset,
    /// In microseconds.
    pub(crate) timestamp: Timestamp,
}

impl Note {
    pub(crate) fn new(topic: Uuid, last: Option<&Position>) -> Self {
        let last = last.map(|last| Last {
            offset: last.offset,
            timestamp: last.timestamp,
        });
        let v = VERSION;
        Self { v, topic, last }
    }

    /// None where somebody else committed: Java's consumers and `--reset-offsets` leave it empty.
    pub(crate) fn read(metadata: &str) -> Option<Self> {
        let note: Self = serde_json::from_str(metadata).ok()?;
        (note.v == VERSION).then_some(note)
    }

    pub(crate) fn write(&self) -> String {
        // Numbers and text of a known form always can be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use stockade_change_feed::{Topic, TopicPartition};

    use super::*;

    #[test]
    fn a_note_comes_back_and_is_short() {
        let position = Position {
            partition: TopicPartition::new(Topic::new("t").unwrap(), 0),
            offset: Offset(u64::MAX.into()),
            timestamp: Timestamp::MAX,
        };
        let note = Note::new(Uuid::from_u128(u128::MAX), Some(&position));
        let written = note.write();
        assert!(written.len() < 200, "{written}");
        assert_eq!(Note::read(&written), Some(note));
    }

    #[test]
    fn what_others_wrote_is_unknown() {
        let newer = Note::new(Uuid::nil(), None)
            .write()
            .replace("\"v\":1", "\"v\":2");
        for metadata in ["", "metadata of somebody", "{}", &newer] {
            assert_eq!(Note::read(metadata), None, "{metadata}");
        }
    }

    #[test]
    fn the_form_of_a_note_is_kept() {
        let written = r#"{"v":1,"topic":"00000000-0000-0000-0000-00000000002a","last":{"offset":"7","timestamp":5}}"#;
        let note = Note::read(written).unwrap();
        assert_eq!(note.write(), written);
    }
}
