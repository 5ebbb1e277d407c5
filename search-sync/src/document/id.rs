//! The ids of documents.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DocumentId {
    /// The document of a root row, by the row's key. Only these are searched.
    Root(String),
    /// What is known about a SKU: its owner and its stock, which may arrive before the owner.
    /// Never a hit.
    Sku(String),
    /// Up to which version a table was truncated. Never a hit.
    Truncation(String),
}

impl fmt::Display for DocumentId {
    /// `root:…`, `sku:…` or `truncation:…`: unique, and usable as the id in an index.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(key) => write!(f, "root:{key}"),
            Self::Sku(key) => write!(f, "sku:{key}"),
            Self::Truncation(key) => write!(f, "truncation:{key}"),
        }
    }
}
