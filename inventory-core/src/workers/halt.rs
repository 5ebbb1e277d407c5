//! The end of a worker, for the loops in it.

use tokio::sync::watch;

/// Becomes known to every loop of a worker at once.
#[derive(Debug)]
pub(super) struct Halt(watch::Sender<bool>);

impl Halt {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Halts when `stop` is done.
    pub(super) async fn when(&self, stop: impl Future<Output = ()>) {
        stop.await;
        self.0.send_replace(true);
    }

    /// What comes of a future, or none where the halt comes first; then the future is dropped.
    pub(super) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut halted = self.0.subscribe();
        tokio::select! {
            biased;
            _ = halted.wait_for(|halted| *halted) => None,
            outcome = future => Some(outcome),
        }
    }
}
