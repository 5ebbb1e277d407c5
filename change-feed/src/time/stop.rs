//! The end of a worker, for the loops in it.

use tokio::sync::watch;

/// Ends all loops of a worker at once.
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
    /// Not stopped.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Stops when `signal` is done.
    pub async fn when(&self, signal: impl Future<Output = ()>) {
        signal.await;
        self.0.send_replace(true);
    }

    /// Whether it has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// The output of `work`, or none where the stop comes first; `work` is dropped then.
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
