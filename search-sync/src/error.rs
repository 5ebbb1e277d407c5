//! The error of this crate, and what a caller can do after it.

use stockade_change_feed::{Failing, Failure, FeedError, Retry, shorten};
use stockade_inventory_core::InventoryError;

use crate::document::DocumentId;
use crate::index::Generation;

/// An error of search.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A value is not allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// The name of the input, for example `filters[0].field` or `cursor`.
        field: String,
        /// The value, shortened if it is long.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// The index has no such generation.
    #[error("generation {generation} does not exist; create it first")]
    UnknownGeneration {
        /// The requested generation.
        generation: Generation,
    },
    /// No generation is active, so there is nothing to search.
    #[error("no generation of the index is active; activate one first")]
    NothingActive,
    /// A row does not fit the projection, or its table is not set up as the projection needs.
    #[error("row of {table}: {field}: {reason}")]
    BadRow {
        /// The table.
        table: String,
        /// The column.
        field: String,
        /// What is wrong, and how to fix it.
        reason: String,
    },
    /// The document has changed since it was loaded. This write did nothing.
    #[error("document {document} has changed since it was loaded; load, merge and write it again")]
    Conflict {
        /// The document.
        document: DocumentId,
    },
    /// The index can never take this document. This write did nothing.
    #[error("document {document} was refused: {reason}")]
    Refused {
        /// The document.
        document: DocumentId,
        /// The reason. If the document is too large: its size and the limit.
        reason: String,
    },
    /// The index does not support the request.
    #[error("this index does not support {feature}: {consequence}")]
    Unsupported {
        /// The feature.
        feature: String,
        /// What does not work without it.
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
    /// The change feed returned an error.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Inventory returned an error.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl SearchError {
    /// A [`SearchError::Invalid`]. A long value is shortened.
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
            | Self::Conflict { .. }
            | Self::Refused { .. }
            | Self::Unsupported { .. }
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
