//! How a case runs: on a fresh instance, with a deadline, under its own name.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinError;

/// The longest that a case may run.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Opens the instance of a test. The traits of the suites add the methods that they need.
#[async_trait]
pub trait Harness: Send + Sync + Sized + 'static {
    /// The name of the backend, such as `postgres`. If the backend is absent, the cases are
    /// skipped, unless the environment variable `STOCKADE_REQUIRE_` with this name in capitals is
    /// set.
    const BACKEND: &'static str;

    /// Opens an instance that is empty and not shared: its own database or prefix. Cases run at the
    /// same time and use the same names.
    ///
    /// # Errors
    /// [`Absent`] when the backend is not available here. Panic for other errors.
    async fn open() -> Result<Self, Absent>;

    /// Lets `by` pass on the instance's clock. By default it waits. A harness whose instance has a
    /// `ManualClock` overrides it and advances that clock.
    async fn pass_time(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

/// For data that survives a normal end of its process: a close.
///
/// It does not prove that a call returns after its write is durable, because closing may write the
/// rest. [`Crash`](crate::Crash) does.
#[async_trait]
pub trait Reopen: Harness {
    /// Closes the instance and opens its data again.
    async fn reopen(self) -> Self;
}

/// Why a backend can not be tested here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent(String);

impl Absent {
    /// The reason, and what to do about it.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A case that is running.
pub type CaseFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One case of a suite. It panics when the tested rule is broken.
#[derive(Debug)]
pub struct Case<H> {
    name: &'static str,
    run: fn(H) -> CaseFuture,
}

impl<H> Clone for Case<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Case<H> {}

impl<H> Case<H> {
    /// A case by its name.
    #[must_use]
    pub const fn new(name: &'static str, run: fn(H) -> CaseFuture) -> Self {
        Self { name, run }
    }

    /// The name, which is also that of its `#[test]`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instance keeps the rule.
    Passed,
    /// The backend is absent and not required.
    Skipped(Absent),
    /// The instance breaks the rule (with the details), or the case did not end within
    /// [`DEADLINE`].
    Failed(String),
}

/// Runs the case of that name, as its `#[test]` does. A skip is written to stderr, also when the
/// test runner captures output.
///
/// # Panics
/// When the case fails, and when no case has that name.
pub fn run<H: Harness>(cases: &[Case<H>], name: &str) {
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    attempt(case).expect_for::<H>(name);
}

impl Outcome {
    /// Ends the `#[test]` of a case with this outcome.
    pub(crate) fn expect_for<H: Harness>(self, name: &str) {
        match self {
            Self::Passed => {}
            Self::Skipped(absent) => {
                let backend = H::BACKEND;
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED {name}: no {backend} here: {absent}"
                );
            }
            Self::Failed(how) => panic!("{name}: {how}"),
        }
    }
}

/// Runs a case on an instance that its harness opens, and returns how it ended.
///
/// # Panics
/// When no runtime can be built.
#[must_use]
pub fn attempt<H: Harness>(case: &Case<H>) -> Outcome {
    attempt_on(case, H::open())
}

/// Runs a case on the instance that `open` opens, and returns how it ended. For tests of a suite,
/// which open an instance that breaks a rule.
///
/// # Panics
/// When no runtime can be built.
#[must_use]
pub fn attempt_on<H: Harness>(
    case: &Case<H>,
    open: impl Future<Output = Result<H, Absent>> + Send + 'static,
) -> Outcome {
    let run = case.run;
    finish::<H>(case.name, DEADLINE, async move {
        run(open.await?).await;
        Ok(())
    })
}

/// Runs a test on a runtime of its own with a deadline, and returns how it ended.
pub(crate) fn finish<H: Harness>(
    name: &str,
    deadline: Duration,
    test: impl Future<Output = Result<(), Absent>> + Send + 'static,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("the machine has threads to spare");
    // A task of its own, so that the deadline also ends a case that blocks its thread.
    let task = runtime.spawn(test);
    let ended = runtime.block_on(async { tokio::time::timeout(deadline, task).await });
    runtime.shutdown_timeout(Duration::from_secs(5));
    match ended {
        Ok(Ok(Ok(()))) => Outcome::Passed,
        Ok(Ok(Err(absent))) => without_backend(H::BACKEND, absent, |name| std::env::var_os(name)),
        Ok(Err(error)) => Outcome::Failed(panic_message(error)),
        Err(_) => Outcome::Failed(format!("it did not end within {deadline:?}")),
    }
}

/// Whether an absent backend is a failure, by the environment.
fn without_backend(
    backend: &str,
    absent: Absent,
    variable: impl FnOnce(&str) -> Option<OsString>,
) -> Outcome {
    let name = require_variable(backend);
    if variable(&name).is_some_and(|value| !value.is_empty()) {
        Outcome::Failed(format!(
            "{name} is set, and there is no {backend}: {absent}"
        ))
    } else {
        Outcome::Skipped(absent)
    }
}

fn require_variable(backend: &str) -> String {
    let name: String = backend
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("STOCKADE_REQUIRE_{name}")
}

fn panic_message(error: JoinError) -> String {
    let payload: Box<dyn Any + Send> = match error.try_into_panic() {
        Ok(payload) => payload,
        Err(error) => return error.to_string(),
    };
    if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else {
        "it panicked without a message".to_owned()
    }
}

/// Runs futures at the same time, each as its own task, all started at once, and returns their
/// outputs in order. For cases with concurrent callers.
///
/// # Panics
/// When one of them does, with its message.
pub async fn together<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let futures: Vec<F> = futures.into_iter().collect();
    let start = std::sync::Arc::new(tokio::sync::Barrier::new(futures.len().max(1)));
    let tasks: Vec<_> = futures
        .into_iter()
        .map(|future| {
            let start = start.clone();
            tokio::spawn(async move {
                start.wait().await;
                future.await
            })
        })
        .collect();
    let mut outputs = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(output) => outputs.push(output),
            Err(error) => panic!("{}", panic_message(error)),
        }
    }
    outputs
}

/// Drives a future while the instance's clock runs: in steps of microseconds if it is a
/// `ManualClock`. For cases that compare times.
pub async fn while_the_clock_runs<H: Harness, F: Future>(harness: &H, future: F) -> F::Output {
    let running = async {
        loop {
            harness.pass_time(Duration::from_micros(1)).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        output = future => output,
        never = running => never,
    }
}

/// Polls a future at most `polls` times and then drops it, so that it is dropped at the await point
/// that it has reached. Returns its output, if it ended before.
///
/// With 1, 2, 3 and so on it drops a call at each of its await points in turn.
pub async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left = left.saturating_sub(1);
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Drives a future that waits on the instance's clock, while time passes there in steps.
pub async fn while_time_passes<H: Harness, F: Future>(
    harness: &H,
    step: Duration,
    future: F,
) -> F::Output {
    let passing = async {
        loop {
            harness.pass_time(step).await;
            // Lets the future see each step before the next one.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        output = future => output,
        never = passing => never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Here;

    #[async_trait]
    impl Harness for Here {
        const BACKEND: &'static str = "here";

        async fn open() -> Result<Self, Absent> {
            Ok(Self)
        }
    }

    #[derive(Debug)]
    struct Nowhere;

    #[async_trait]
    impl Harness for Nowhere {
        const BACKEND: &'static str = "no-where";

        async fn open() -> Result<Self, Absent> {
            Err(Absent::because("nobody started it"))
        }
    }

    #[test]
    fn a_failure_carries_the_message_of_the_panic() {
        let passes = Case::<Here>::new("passes", |_| Box::pin(async {}));
        assert_eq!(attempt(&passes), Outcome::Passed);
        let fails = Case::<Here>::new("fails", |_| {
            Box::pin(async {
                together([async { panic!("{} is broken", "the rule") }]).await;
            })
        });
        assert_eq!(
            attempt(&fails),
            Outcome::Failed("the rule is broken".to_owned())
        );
    }

    #[tokio::test]
    async fn a_call_is_dropped_at_the_await_point_it_has_reached() {
        let mut reached = 0;
        let steps = async {
            for step in 1..=3 {
                reached = step;
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(dropped_after(2, steps).await, None);
        assert_eq!(reached, 2);
        assert_eq!(dropped_after(1, async { 7 }).await, Some(7));
    }

    #[test]
    fn an_absent_backend_is_skipped_unless_it_is_required() {
        let absent = || Absent::because("nobody started it");
        let case = Case::<Nowhere>::new("any", |_| Box::pin(async {}));
        assert_eq!(attempt(&case), Outcome::Skipped(absent()));
        let set = |name: &str| (name == "STOCKADE_REQUIRE_NO_WHERE").then(|| "1".into());
        let required = without_backend(Nowhere::BACKEND, absent(), set);
        assert!(
            matches!(&required, Outcome::Failed(how) if how.contains("nobody started it")),
            "{required:?}"
        );
    }
}
