//! Stops the loops of a worker.

use tokio::sync::watch;

/// Stops all loops of a worker at once.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use stockade_change_feed::time::Stop;
///
/// let stop = Stop::new();
/// let endless = async { loop { tokio::task::yield_now().await } };
/// // One future waits for the signal to stop, the other works until it comes.
/// let (_, worked) = tokio::join!(stop.when(std::future::ready(())), stop.or::<()>(endless));
/// assert!(worked.is_none());
/// # }
/// ```
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// A stop that has not happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Stops when `signal` is ready.
    pub async fn when(&self, signal: impl Future<Output = ()>) {
        signal.await;
        self.0.send_replace(true);
    }

    /// Whether it has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Runs `work` until the stop. Returns its output, or none when the stop comes first; `work` is
    /// dropped then.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stopped = self.0.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            output = work => Some(output),
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
