//! Errors of redb and tantivy, as errors of search.

use std::error::Error;

use stockade_change_feed::Failure;
use stockade_search_sync::SearchError;

/// The error of an operation in which a library failed and nothing took effect.
pub(crate) fn failed<E: Error + Send + Sync + 'static>(
    operation: &'static str,
) -> impl Fn(E) -> SearchError {
    move |error| Failure::refused(operation, error).into()
}

/// Runs work that reads or writes files, on a thread that may block. The work runs to its end even
/// if the caller drops this future.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, SearchError> + Send + 'static,
) -> Result<T, SearchError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panicked| Failure::outcome_unknown(operation, panicked))?
}
