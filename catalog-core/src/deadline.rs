//! Everything remote has a deadline.

use std::time::Duration;

use stockade_change_feed::Failure;

use crate::error::CatalogError;

/// The outcome of a call, or [`Failure::timed_out`] after `deadline`.
pub(crate) async fn within<T>(
    operation: &'static str,
    deadline: Duration,
    call: impl Future<Output = Result<T, CatalogError>>,
) -> Result<T, CatalogError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::timed_out(operation, deadline).into()),
    }
}
