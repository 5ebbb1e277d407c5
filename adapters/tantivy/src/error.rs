//! Errors of the two libraries below, as those of search.

use std::error::Error;

use stockade_change_feed::Failure;
use stockade_search_sync::SearchError;

/// Says during which operation a library failed.
pub(crate) fn failed<E: Error + Send + Sync + 'static>(
    operation: &'static str,
) -> impl Fn(E) -> SearchError {
    move |error| Failure::refused(operation, error).into()
}

/// Runs what reads or writes files on a thread that may block. It runs to its end also when
/// nobody waits for it any more, so nothing is ever half done.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, SearchError> + Send + 'static,
) -> Result<T, SearchError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(failed(operation))?
}
