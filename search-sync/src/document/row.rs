//! The rows of a document and their versions.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stockade_change_feed::debezium::Sequence;
use stockade_inventory_core::Version;

use super::id::DocumentId;
use crate::error::SearchError;

/// Orders the states of one row. Versions of rows and versions of stock are never compared with
/// each other.
///
/// In JSON it is a string of digits, because a JSON number does not hold 128 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct RowVersion(pub u128);

impl fmt::Display for RowVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<RowVersion> for String {
    fn from(version: RowVersion) -> Self {
        version.0.to_string()
    }
}

impl TryFrom<String> for RowVersion {
    type Error = SearchError;

    fn try_from(digits: String) -> Result<Self, SearchError> {
        digits.parse().map(Self).map_err(|_| {
            SearchError::invalid(
                "version",
                &digits,
                "it must be a number of at most 128 bits",
            )
        })
    }
}

impl From<u64> for RowVersion {
    fn from(version: u64) -> Self {
        Self(version.into())
    }
}

impl From<Sequence> for RowVersion {
    /// Ordered by the last commit before the change, then by the change's own position in the log.
    fn from(sequence: Sequence) -> Self {
        let high = u128::from(sequence.last_commit.unwrap_or(0)) << 64;
        Self(high | u128::from(sequence.lsn.unwrap_or(0)))
    }
}

impl From<Version> for RowVersion {
    /// Ordered by the epoch, then by the number.
    fn from(version: Version) -> Self {
        Self(u128::from(version.epoch) << 64 | u128::from(version.number))
    }
}

/// Identifies a row of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// The table.
    pub table: String,
    /// The row's key in the table.
    pub key: String,
}

/// The newest state of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its version.
    pub version: RowVersion,
    /// The columns that the projection uses; `None` for a deleted row.
    pub columns: Option<Map<String, Value>>,
}

/// The state of one row in one document, to be merged into that document.
#[derive(Clone, Debug, PartialEq)]
pub struct RowEdit {
    /// The document.
    pub document: DocumentId,
    /// The row in the document.
    pub key: RowKey,
    /// The state.
    pub row: Row,
}

/// Whether a merge changed the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The document has changed.
    Changed,
    /// The document already contained everything.
    Unchanged,
}

impl Merged {
    /// Changed if either of the two is.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Changed => Self::Changed,
            Self::Unchanged => other,
        }
    }
}
