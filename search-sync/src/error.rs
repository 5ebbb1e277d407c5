//! What can go wrong with search, and what the caller can do about it.

use stockade_change_feed::{Failing, Failure, FeedError, Retry, shorten};
use stockade_inventory_core::InventoryError;

use crate::index::Generation;

/// What went wrong with search.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A value is outside what is allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// Which input, such as `filter` or `cursor`.
        field: String,
        /// What it was, shortened if long.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// There is no such generation of the index.
    #[error("generation {generation} does not exist; create it first")]
    UnknownGeneration {
        /// The generation asked for.
        generation: Generation,
    },
    /// No generation is active, so there is nothing to search.
    #[error("no generation of the index is active; activate one first")]
    NothingActive,
    /// A row does not fit the projection, or the tables are not set up as it needs.
    #[error("row of {table}: {field}: {reason}")]
    BadRow {
        /// The table.
        table: String,
        /// The column.
        field: String,
        /// What is wrong, and how it is mended.
        reason: String,
    },
    /// The index can not do what was asked of it.
    #[error("this index can not {what}: {consequence}")]
    Lacking {
        /// The ability.
        what: String,
        /// What follows.
        consequence: String,
    },
    /// The backend did not do what was asked.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Stored data breaks a rule.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found, and where.
        what: String,
    },
    /// The change feed answered with an error.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Inventory answered with an error.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl SearchError {
    /// A [`SearchError::Invalid`], with the value shortened to what fits a line.
    pub fn invalid(
        field: impl Into<String>,
        value: impl AsRef<str>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            field: field.into(),
            value: shorten(value.as_ref()),
            reason: reason.into(),
        }
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed(failure) => failure.retry(),
            Self::Feed(error) => error.retry(),
            Self::Inventory(error) => error.retry(),
            Self::Invalid { .. }
            | Self::UnknownGeneration { .. }
            | Self::NothingActive
            | Self::BadRow { .. }
            | Self::Lacking { .. }
            | Self::Damaged { .. } => Retry::Never,
        }
    }
}

impl Failing for SearchError {
    fn retry(&self) -> Retry {
        self.retry()
    }

    fn is_decision(&self) -> bool {
        !matches!(
            self,
            Self::Failed(_) | Self::Damaged { .. } | Self::Inventory(_) | Self::Feed(_)
        )
    }
}
