//! Reads lines of any length with bounded memory.

use sample_catalogue::Entry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt as _};

/// The longest line that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// A line of the input.
pub(super) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Line {
    /// The product of the line; none if the line is blank.
    pub(super) fn parse(&self) -> Result<Option<Entry>, String> {
        match self {
            Self::Whole(bytes) if bytes.trim_ascii().is_empty() => Ok(None),
            Self::Whole(bytes) => match Entry::parse(bytes) {
                Ok(entry) => Ok(Some(entry)),
                Err(error) => Err(error.to_string()),
            },
            Self::TooLong => Err(format!("the line is longer than {LIMIT} bytes")),
        }
    }
}

/// Reads a line. Skips the rest of a line that is too long. Adds the bytes read to `total`.
pub(super) async fn next(
    input: &mut (impl AsyncBufReadExt + Unpin),
    total: &mut u64,
) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let mut whole = true;
    loop {
        bytes.clear();
        let read = (&mut *input)
            .take(LIMIT)
            .read_until(b'\n', &mut bytes)
            .await? as u64;
        *total += read;
        if read == LIMIT && !bytes.ends_with(b"\n") {
            whole = false;
            continue;
        }
        return Ok(match (whole, read) {
            (true, 0) => None,
            (true, _) => Some(Line::Whole(bytes)),
            (false, _) => Some(Line::TooLong),
        });
    }
}
