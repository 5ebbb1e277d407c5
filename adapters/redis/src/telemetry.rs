//! The names of the metrics.

/// Commands that failed, by `operation` and `outcome`.
pub(crate) const FAILURES: &str = "stockade_redis_failures_total";
/// Replies that the driver handed to another command's call; that call was repeated.
pub(crate) const MISREAD: &str = "stockade_redis_misread_replies_total";
/// Timers that were taken when they were due.
#[cfg(feature = "timer")]
pub(crate) const TIMERS: &str = "stockade_redis_timers_taken_total";
