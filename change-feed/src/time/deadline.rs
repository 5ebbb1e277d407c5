//! Deadlines for remote calls, and retries within them.

use std::time::Duration;

use super::{Backoff, Clock};
use crate::failure::{Failing, Failure, Retry};

/// Between attempts.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));

/// The deadline of an operation, with all its attempts.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_change_feed::FeedError> {
/// use std::time::Duration;
/// use stockade_change_feed::time::{Deadline, SystemClock};
/// use stockade_change_feed::{FeedError, Retry};
///
/// let clock = SystemClock::new();
/// let deadline = Deadline::after(&clock, "ask", Duration::from_millis(20));
/// assert_eq!(deadline.bound(async { Ok::<_, FeedError>(42) }).await?, 42);
///
/// let silent = std::future::pending::<Result<(), FeedError>>();
/// let error = deadline.bound(silent).await.unwrap_err();
/// assert_eq!(error.retry(), Retry::OutcomeUnknown);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Deadline<'a> {
    clock: &'a dyn Clock,
    operation: &'static str,
    timeout: Duration,
    /// On the monotonic clock.
    at: Duration,
}

impl<'a> Deadline<'a> {
    /// The operation may take `timeout` from now on, by this clock.
    #[must_use]
    pub fn after(clock: &'a dyn Clock, operation: &'static str, timeout: Duration) -> Self {
        Self {
            clock,
            operation,
            timeout,
            at: clock.monotonic().saturating_add(timeout),
        }
    }

    /// The time that is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.at.saturating_sub(self.clock.monotonic())
    }

    /// The failure of an operation without an answer in time.
    #[must_use]
    pub fn missed(&self) -> Failure {
        Failure::timed_out(self.operation, self.timeout)
    }

    /// Awaits a call until the deadline. After that the call is dropped, and
    /// [`missed`](Self::missed) is returned.
    ///
    /// # Errors
    /// The errors of the call, and [`Failure::timed_out`].
    pub async fn bound<T, E: From<Failure>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.clock.sleep(self.left()) => Err(self.missed().into()),
        }
    }

    /// Makes a call, and repeats it with growing pauses while its error is temporary and time is
    /// left. Only for calls whose effect takes place once, however often they are made.
    ///
    /// # Errors
    /// The errors of the call. When an attempt may have taken effect, the error stays
    /// [`Retry::OutcomeUnknown`] unless a later attempt returns a decision
    /// ([`Failing::is_decision`]).
    pub async fn repeat<T, E, F>(&self, call: impl Fn() -> F) -> Result<T, E>
    where
        E: Failing,
        F: Future<Output = Result<T, E>>,
    {
        let mut backoff = PAUSES;
        let mut outcome = self.bound(call()).await;
        loop {
            let Some(wait) = outcome.as_ref().err().and_then(wait_after) else {
                return outcome;
            };
            let wait = wait.max(backoff.pause());
            if wait >= self.left() {
                return outcome;
            }
            self.clock.sleep(wait).await;
            replace(&mut outcome, self.bound(call()).await);
        }
    }

    /// As [`repeat`](Self::repeat), for a batch with an outcome for each item: only the items that
    /// failed are requested again.
    ///
    /// # Errors
    /// As [`repeat`](Self::repeat), when the call for all items failed as a whole.
    pub async fn repeat_each<I, T, E, F>(
        &self,
        items: &[I],
        call: impl Fn(Vec<I>) -> F,
    ) -> Result<Vec<Result<T, E>>, E>
    where
        I: Clone,
        E: Failing,
        F: Future<Output = Result<Vec<Result<T, E>>, E>>,
    {
        let mut backoff = PAUSES;
        let mut answer = self.ask(items.to_vec(), &call).await;
        loop {
            if matches!(&answer, Ok(outcomes) if outcomes.iter().all(Result::is_ok)) {
                return answer;
            }
            let pause = backoff.pause();
            let wait_for = |error: &E| wait_after(error).map(|wait| wait.max(pause));
            let (open, wait) = match &answer {
                Err(error) => ((0..items.len()).collect(), wait_for(error)),
                Ok(outcomes) => {
                    let failed = outcomes.iter().enumerate().filter_map(|(index, outcome)| {
                        let wait = wait_for(outcome.as_ref().err()?)?;
                        (wait < self.left()).then_some((index, wait))
                    });
                    let (open, waits): (Vec<usize>, Vec<Duration>) = failed.unzip();
                    (open, waits.into_iter().max())
                }
            };
            let Some(wait) = wait.filter(|wait| *wait < self.left()) else {
                return answer;
            };
            self.clock.sleep(wait).await;
            let again = open.iter().map(|&index| items[index].clone()).collect();
            let newer = self.ask(again, &call).await;
            answer = match (answer, newer) {
                (Err(mut error), Err(newer)) => {
                    replace_error(&mut error, newer);
                    Err(error)
                }
                (Err(error), Ok(newer)) => {
                    let after = |newer| {
                        let mut outcome = Err(error.clone());
                        replace(&mut outcome, newer);
                        outcome
                    };
                    Ok(newer.into_iter().map(after).collect())
                }
                (Ok(mut outcomes), newer) => {
                    let newer = match newer {
                        Ok(newer) => newer,
                        Err(error) => open.iter().map(|_| Err(error.clone())).collect(),
                    };
                    for (index, newer) in open.into_iter().zip(newer) {
                        replace(&mut outcomes[index], newer);
                    }
                    Ok(outcomes)
                }
            };
        }
    }

    /// Makes one attempt, which has an outcome for each item.
    async fn ask<I, T, E, F>(
        &self,
        items: Vec<I>,
        call: &impl Fn(Vec<I>) -> F,
    ) -> Result<Vec<Result<T, E>>, E>
    where
        E: Failing,
        F: Future<Output = Result<Vec<Result<T, E>>, E>>,
    {
        let expected = items.len();
        let outcomes = self.bound(call(items)).await?;
        Ok(one_for_each(self.operation, expected, outcomes)?)
    }
}

/// Checks that a batch has an outcome for each of `expected` items.
///
/// # Errors
/// [`Failure::outcome_unknown`] when it has more or fewer: it is unknown which item each belongs
/// to.
pub fn one_for_each<T>(
    operation: &'static str,
    expected: usize,
    outcomes: Vec<T>,
) -> Result<Vec<T>, Failure> {
    let got = outcomes.len();
    if got == expected {
        return Ok(outcomes);
    }
    let source = format!("{got} outcomes for {expected} items");
    Err(Failure::outcome_unknown(operation, source))
}

fn wait_after(error: &impl Failing) -> Option<Duration> {
    match error.retry() {
        Retry::Never => None,
        Retry::After(wait) => Some(wait),
        Retry::RestartTransaction | Retry::OutcomeUnknown => Some(Duration::ZERO),
    }
}

/// Takes the newer outcome, except when an earlier attempt may have taken effect and the newer
/// outcome does not show whether it did.
fn replace<T, E: Failing>(outcome: &mut Result<T, E>, newer: Result<T, E>) {
    match (outcome, newer) {
        (Err(error), Err(newer)) => replace_error(error, newer),
        (outcome, newer) => *outcome = newer,
    }
}

fn replace_error<E: Failing>(error: &mut E, newer: E) {
    if newer.is_decision() || error.retry() != Retry::OutcomeUnknown {
        *error = newer;
    }
}

#[cfg(test)]
#[path = "deadline_tests.rs"]
mod tests;
