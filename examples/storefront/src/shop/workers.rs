//! Work beside the requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shop;

/// The workers of a shop. They end when they are [stopped](Workers::stop).
#[derive(Debug)]
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    pub(super) fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        }
    }

    /// Spawns a worker, and notes in the shop's health when it ends by itself.
    pub(super) fn spawn<F, R>(&mut self, shop: &Arc<Shop>, name: &'static str, worker: F)
    where
        F: FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) -> R,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut stopped = self.stop.subscribe();
        let stopping = stopped.clone();
        let stop = Box::pin(async move {
            // Without a sender there is nobody left to stop it for.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let run = tokio::spawn(worker(stop));
        let shop = shop.clone();
        self.tasks.spawn(async move {
            let ended = run.await;
            if *stopping.borrow() {
                return;
            }
            let reason = match ended {
                Ok(Ok(())) => "it ended".to_owned(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(error) => error.to_string(),
            };
            tracing::error!(worker = name, reason, "a worker has ended");
            let _ = shop.failed_worker.set(format!("{name}: {reason}"));
        });
    }

    /// Ends all workers, and waits until what they had in hand is finished.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
