//! A dead letter as a line of JSON.

use serde::Serialize;
use stockade_change_feed::{DeadLetter, Waiting};

#[derive(Serialize)]
struct Line<'a> {
    /// Where the letter is.
    letter: String,
    #[serde(flatten)]
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Letter {
        /// Where the original is.
        origin: String,
        group: &'a str,
        attempts: u32,
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    Malformed {
        error: String,
    },
}

/// The letter. Bytes of key and value that are no text are replaced.
pub(crate) fn of(waiting: &Waiting) -> String {
    let content = match &waiting.letter {
        Ok(letter) => content(letter),
        Err(error) => Content::Malformed {
            error: error.to_string(),
        },
    };
    let line = Line {
        letter: waiting.position.to_string(),
        content,
    };
    serde_json::to_string(&line).expect("texts and numbers are JSON")
}

fn content(letter: &DeadLetter) -> Content<'_> {
    let record = letter.record.as_ref();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Content::Letter {
        origin: letter.origin.to_string(),
        group: letter.group.as_str(),
        attempts: letter.attempts,
        reason: &letter.reason,
        key: record.and_then(|record| record.key.as_deref().map(text)),
        value: record.and_then(|record| record.value.as_deref().map(text)),
    }
}
