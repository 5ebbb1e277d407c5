//! A document as it is merged: the rows that it is made of, each with its own version.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stockade_change_feed::debezium::Sequence;
use stockade_inventory_core::Version;

/// Which document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DocumentId {
    /// The document of a root row, by its key: what is searched.
    Root(String),
    /// What is known of a SKU: whose it is and its stock, which may arrive before its owner.
    /// Never a hit.
    Sku(String),
    /// Up to which version a table was truncated. Never a hit.
    Truncation(String),
}

impl fmt::Display for DocumentId {
    /// `root:…`, `sku:…` or `truncation:…`, unique and fit for the id of an index.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(key) => write!(f, "root:{key}"),
            Self::Sku(key) => write!(f, "sku:{key}"),
            Self::Truncation(key) => write!(f, "truncation:{key}"),
        }
    }
}

/// Orders the states of one row. Versions of different domains (rows, stock) are never compared.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RowVersion(pub u128);

impl From<u64> for RowVersion {
    fn from(version: u64) -> Self {
        Self(version.into())
    }
}

impl From<Sequence> for RowVersion {
    /// Ordered by the commit before the change, and then by the change's own place.
    fn from(sequence: Sequence) -> Self {
        let high = u128::from(sequence.last_commit.unwrap_or(0)) << 64;
        Self(high | u128::from(sequence.lsn.unwrap_or(0)))
    }
}

impl From<Version> for RowVersion {
    /// Ordered by the epoch, and then by the number.
    fn from(version: Version) -> Self {
        Self(u128::from(version.epoch) << 64 | u128::from(version.number))
    }
}

/// Which row of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// The table.
    pub table: String,
    /// The row's key in it.
    pub key: String,
}

/// The newest state of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its version.
    pub version: RowVersion,
    /// The columns that the projection takes; none once it is deleted.
    pub columns: Option<Map<String, Value>>,
}

/// A document as it is merged and stored: its rows. What is searched of it is its
/// [`View`](crate::View).
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Which one.
    pub id: DocumentId,
    /// Its rows, deleted ones among them: they keep older changes out.
    pub rows: BTreeMap<RowKey, Row>,
    /// The newest version at which the root row was deleted: children are shown only if newer.
    pub root_deleted: Option<RowVersion>,
}

impl Document {
    /// A document without rows.
    #[must_use]
    pub fn new(id: DocumentId) -> Self {
        Self {
            id,
            rows: BTreeMap::new(),
            root_deleted: None,
        }
    }
}
