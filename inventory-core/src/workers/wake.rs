//! Wakes the relay of a process.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes an [`OutboxRelay`](super::OutboxRelay) in the same process, so that it publishes a change
/// at once instead of at its next look. [`OutboxRelay::wake`](super::OutboxRelay::wake) returns it;
/// clones wake the same relay.
#[derive(Clone, Debug)]
pub struct Wake(Arc<Notify>);

impl Wake {
    pub(super) fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }

    /// Says that stock may have changed. Returns at once, whether a relay runs or not. Calls while
    /// the relay is busy are remembered as one.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.0.notified().await;
    }
}
