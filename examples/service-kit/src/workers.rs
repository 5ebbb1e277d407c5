//! Background workers.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::readiness::Readiness;

/// Ready when a worker must stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs workers until they are [stopped](Self::stop). A worker that ends before it is stopped, or
/// with an error or a panic, has failed: this is logged, and the [`Readiness`] reports it. The
/// worker is not started again; the process must be restarted.
///
/// When this is dropped, the workers are aborted.
///
/// ```
/// # async fn doc(relay: stockade_change_feed::Consumer) {
/// use std::time::Duration;
/// use service_kit::{Readiness, Workers};
///
/// let mut workers = Workers::new(&Readiness::new());
/// workers.spawn("relay", |stop| relay.run(stop));
/// workers.stop(Duration::from_secs(10)).await;
/// # }
/// ```
#[derive(Debug)]
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<&'static str>,
    names: Vec<&'static str>,
    readiness: Readiness,
}

impl Workers {
    /// No workers yet. `readiness` will report those that fail.
    #[must_use]
    pub fn new(readiness: &Readiness) -> Self {
        Self {
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
            names: Vec::new(),
            readiness: readiness.clone(),
        }
    }

    /// Spawns a worker. It must run until `stop` is ready, and end soon after that.
    pub fn spawn<F, R>(&mut self, name: &'static str, worker: F)
    where
        F: FnOnce(Stop) -> R,
        R: Future<Output: Outcome> + Send + 'static,
    {
        let stopping = self.stop.subscribe();
        let mut stopped = stopping.clone();
        let worker = worker(Box::pin(async move {
            // Without a sender there is nobody left who could stop it later.
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        let readiness = self.readiness.clone();
        self.names.push(name);
        self.tasks.spawn(async move {
            let ended = AssertUnwindSafe(worker).catch_unwind().await;
            let failure = match ended {
                Ok(outcome) => outcome.failure(),
                Err(panic) => Some(format!("it panicked: {}", said(panic.as_ref()))),
            };
            if let Some(reason) = reason(failure, *stopping.borrow()) {
                tracing::error!(worker = name, reason, "a worker failed");
                readiness.report_failed_worker(name, reason);
            }
            name
        });
    }

    /// Stops all workers, and waits until they have ended. Workers that take longer than `within`
    /// are aborted, and logged.
    pub async fn stop(mut self, within: Duration) {
        self.stop.send_replace(true);
        let Self { tasks, names, .. } = &mut self;
        let ending = async {
            while let Some(ended) = tasks.join_next().await {
                let ended = ended.unwrap_or_default();
                if let Some(at) = names.iter().position(|name| *name == ended) {
                    names.swap_remove(at);
                }
            }
        };
        if tokio::time::timeout(within, ending).await.is_err() {
            tracing::warn!(workers = ?names, ?within, "workers did not stop in time and are aborted");
            tasks.shutdown().await;
        }
    }
}

/// Why a worker has failed, if it has. A worker that was stopped may end without an error.
fn reason(failure: Option<String>, stopped: bool) -> Option<String> {
    match failure {
        None if stopped => None,
        None => Some("it ended by itself".to_owned()),
        Some(failure) => Some(failure),
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied())
        .unwrap_or("without a message")
}

/// How a worker ended: as `()`, or as a `Result`.
pub trait Outcome: Send + 'static {
    /// Why it failed, if it did.
    fn failure(self) -> Option<String>;
}

impl Outcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Into<anyhow::Error> + Send + 'static> Outcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| format!("{:#}", error.into()))
    }
}
