//! Whether requests can be sent to a service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

/// The longest time that a check takes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the outcome of the checks is reused, so that many callers cost no more than one.
const FRESH: Duration = Duration::from_secs(1);

/// Whether requests can be sent to a service: its workers run, its checks pass, and it is not
/// stopping. Clones share one state.
///
/// ```
/// # fn doc(inventory: stockade_inventory_core::Inventory) {
/// use service_kit::Readiness;
///
/// let readiness = Readiness::new();
/// readiness.add_check("database", move || {
///     let inventory = inventory.clone();
///     async move { inventory.stock(&[]).await.map(|_| ()) }
/// });
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Readiness(Arc<State>);

#[derive(Default)]
struct State {
    checks: Mutex<Vec<Arc<Check>>>,
    latest: tokio::sync::Mutex<Option<(Instant, Vec<CheckReport>)>>,
    failed: Mutex<Vec<FailedWorker>>,
    stopping: AtomicBool,
}

struct Check {
    name: &'static str,
    run: Box<dyn Fn() -> Pending + Send + Sync>,
}

type Pending = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Whether requests can be sent to a service, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Readiness)]
#[non_exhaustive]
pub struct ReadinessReport {
    /// Whether requests may be sent.
    pub status: ReadinessStatus,
    /// Workers that ended without being stopped. The process must be restarted.
    pub failed_workers: Vec<FailedWorker>,
    /// The outcome of each check.
    pub checks: Vec<CheckReport>,
}

/// Whether requests may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadinessStatus {
    /// Yes.
    Ready,
    /// No: a worker failed, or a check did.
    NotReady,
    /// No: the service stops soon.
    Stopping,
}

/// A worker that ended without being stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[non_exhaustive]
pub struct FailedWorker {
    /// Its name.
    pub worker: String,
    /// Why it ended.
    pub reason: String,
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Check)]
#[non_exhaustive]
pub struct CheckReport {
    /// The name of the check.
    pub check: String,
    /// Why it failed; null if it passed.
    #[schema(required)]
    pub failure: Option<String>,
}

impl Readiness {
    /// Ready, until a worker or a check fails.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. It runs when a caller asks for the [report](Self::report), at most once a
    /// second, and fails if it takes longer than a second. The text of its error is in the report:
    /// it must not contain secrets.
    pub fn add_check<F, R, E>(&self, name: &'static str, check: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let run = move || -> Pending {
            let running = check();
            Box::pin(async move { running.await.map_err(|error| error.to_string()) })
        };
        let run = Box::new(run);
        locked(&self.0.checks).push(Arc::new(Check { name, run }));
    }

    /// Reports that a worker ended without being stopped, as [`Workers`](crate::Workers) do.
    pub fn report_failed_worker(&self, worker: &str, reason: impl Into<String>) {
        locked(&self.0.failed).push(FailedWorker {
            worker: worker.to_owned(),
            reason: reason.into(),
        });
    }

    /// The workers that have failed, in the order of their failures.
    #[must_use]
    pub fn failed_workers(&self) -> Vec<FailedWorker> {
        locked(&self.0.failed).clone()
    }

    /// Reports from now on that the service is stopping.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    /// Runs the checks, all at once, and reports. It takes at most 2 seconds.
    pub async fn report(&self) -> ReadinessReport {
        let checks = self.run_checks().await;
        let failed_workers = self.failed_workers();
        let all_pass = checks.iter().all(|check| check.failure.is_none());
        let status = if self.0.stopping.load(Ordering::Relaxed) {
            ReadinessStatus::Stopping
        } else if all_pass && failed_workers.is_empty() {
            ReadinessStatus::Ready
        } else {
            ReadinessStatus::NotReady
        };
        ReadinessReport {
            status,
            failed_workers,
            checks,
        }
    }

    async fn run_checks(&self) -> Vec<CheckReport> {
        let mut latest = self.0.latest.lock().await;
        if let Some((at, reports)) = latest.as_ref()
            && at.elapsed() < FRESH
        {
            return reports.clone();
        }
        let checks = locked(&self.0.checks).clone();
        let reports = join_all(checks.iter().map(|check| check.report())).await;
        *latest = Some((Instant::now(), reports.clone()));
        reports
    }
}

impl Check {
    async fn report(&self) -> CheckReport {
        let outcome = tokio::time::timeout(CHECK_TIMEOUT, (self.run)()).await;
        let failure = match outcome {
            Ok(outcome) => outcome.err(),
            Err(_) => Some(format!("no answer within {CHECK_TIMEOUT:?}")),
        };
        if let Some(failure) = &failure {
            tracing::warn!(check = self.name, failure, "a readiness check failed");
        }
        CheckReport {
            check: self.name.to_owned(),
            failure,
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed_workers();
        f.debug_struct("Readiness")
            .field("failed", &failed)
            .finish_non_exhaustive()
    }
}

/// No code panics while it holds a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
