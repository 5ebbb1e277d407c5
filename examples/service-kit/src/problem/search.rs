//! Errors of search.

use std::time::Duration;

use stockade_search_sync::SearchError;

use super::{Problem, ProblemType};

/// How soon a client may ask again while no generation of the index is active.
const UNTIL_ACTIVE: Duration = Duration::from_secs(5);

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        let detail = error.to_string();
        match error {
            SearchError::Invalid { field, .. } => {
                Self::new(ProblemType::INVALID_VALUE, detail).with("field", field)
            }
            SearchError::Unsupported { .. } => Self::new(ProblemType::NOT_SUPPORTED, detail),
            SearchError::NothingActive => {
                Self::new(ProblemType::UNAVAILABLE, detail).with_retry_after(UNTIL_ACTIVE)
            }
            SearchError::Inventory(error) => error.into(),
            other => Self::of_failure(&other, other.retry()),
        }
    }
}
