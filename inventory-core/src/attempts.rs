//! Deadlines for remote calls, and the pauses between attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ConstantBuilder, ExponentialBackoff, ExponentialBuilder};
use stockade_change_feed::{Cause, Clock, Retry};

use crate::error::InventoryError;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Growing pauses with jitter, without end; each is `first` to twice `most`.
pub(crate) fn pauses(first: Duration, most: Duration) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(most)
        .without_max_times()
        .with_jitter()
        .build()
}

/// Three quarters to one and a half of an interval, so that workers which started together do
/// not stay together.
pub(crate) fn jittered(interval: Duration) -> Duration {
    const MOST: Duration = Duration::from_secs(365 * 24 * 3600);
    let delay = interval.min(MOST) * 3 / 4;
    let mut delays = ConstantBuilder::new()
        .with_delay(delay)
        .with_jitter()
        .build();
    delays.next().unwrap_or(delay)
}

/// A clock, and how long is waited for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) timeout: Duration,
}

impl Patience<'_> {
    /// The answer, or [`InventoryError::Timeout`].
    pub(crate) async fn wait<T>(
        self,
        operation: &'static str,
        call: impl Future<Output = T>,
    ) -> Result<T, InventoryError> {
        tokio::select! {
            biased;
            answer = call => Ok(answer),
            () = self.clock.sleep(self.timeout) => Err(self.timed_out(operation)),
        }
    }

    /// Asks for all items, and again for those that failed and may be asked again, as long as the
    /// timeout lasts for all attempts together. An outcome for each item.
    ///
    /// Every effect has an id, so a second attempt finds what the first one did.
    pub(crate) async fn repeat<I: Clone, T, F>(
        self,
        operation: &'static str,
        items: &[I],
        call: impl Fn(Vec<I>) -> F,
    ) -> Vec<Result<T, InventoryError>>
    where
        F: Future<Output = Vec<Result<T, InventoryError>>>,
    {
        let give_up_at = self.clock.monotonic().saturating_add(self.timeout);
        let left = || give_up_at.saturating_sub(self.clock.monotonic());
        let ask = async |batch: Vec<I>| {
            let expected = batch.len();
            let patience = Patience {
                timeout: left(),
                ..self
            };
            let answer = patience.wait(operation, call(batch)).await;
            let answer = answer.map_err(|_| self.timed_out(operation));
            each(operation, expected, answer)
        };
        let mut outcomes = ask(items.to_vec()).await;
        let mut pauses = pauses(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let backoff = pauses.next().unwrap_or(LONGEST_PAUSE);
            let waits = outcomes.iter().enumerate().filter_map(|(index, outcome)| {
                let wait = outcome.as_ref().err().and_then(wait_after)?.max(backoff);
                (wait < left()).then_some((index, wait))
            });
            let (open, waits): (Vec<usize>, Vec<Duration>) = waits.unzip();
            let Some(wait) = waits.into_iter().max() else {
                return outcomes;
            };
            self.clock.sleep(wait).await;
            let again = open.iter().map(|&index| items[index].clone()).collect();
            for (index, outcome) in open.into_iter().zip(ask(again).await) {
                replace(&mut outcomes[index], outcome);
            }
        }
    }

    /// As [`repeat`](Self::repeat), for one call.
    pub(crate) async fn repeat_one<T, F>(
        self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, InventoryError>
    where
        F: Future<Output = Result<T, InventoryError>>,
    {
        let one = |_| {
            let call = call();
            async { vec![call.await] }
        };
        only(self.repeat(operation, &[()], one).await)
    }

    fn timed_out(self, operation: &'static str) -> InventoryError {
        let after = self.timeout;
        InventoryError::Timeout { operation, after }
    }
}

/// The outcome of a batch of one.
pub(crate) fn only<T>(outcomes: Vec<Result<T, InventoryError>>) -> Result<T, InventoryError> {
    let mut outcomes = outcomes.into_iter();
    outcomes.next().expect("an outcome for each item")
}

/// An outcome for each item, also where the call as a whole failed.
pub(crate) fn each<T>(
    operation: &'static str,
    expected: usize,
    answer: Result<Vec<Result<T, InventoryError>>, InventoryError>,
) -> Vec<Result<T, InventoryError>> {
    let failed = match answer {
        Ok(outcomes) if outcomes.len() == expected => return outcomes,
        Ok(outcomes) => {
            let got = outcomes.len();
            let source = Cause::new(format!("{got} outcomes for {expected} requests"));
            InventoryError::OutcomeUnknown { operation, source }
        }
        Err(error) => error,
    };
    (0..expected).map(|_| Err(failed.clone())).collect()
}

fn wait_after(error: &InventoryError) -> Option<Duration> {
    match error.retry() {
        Retry::Never => None,
        Retry::After(wait) => Some(wait),
        Retry::RestartTransaction | Retry::OutcomeUnknown => Some(Duration::ZERO),
    }
}

/// Takes the newer outcome, unless an earlier attempt may have done it and the newer one does not
/// tell.
fn replace<T>(outcome: &mut Result<T, InventoryError>, newer: Result<T, InventoryError>) {
    let unknown = matches!(outcome, Err(error) if error.retry() == Retry::OutcomeUnknown);
    let tells = newer.as_ref().err().is_none_or(decides);
    if tells || !unknown {
        *outcome = newer;
    }
}

/// Whether a refusal is the store's decision on the request, rather than a failure on the way.
fn decides(error: &InventoryError) -> bool {
    match error {
        InventoryError::Invalid { .. }
        | InventoryError::UnknownSku { .. }
        | InventoryError::Insufficient { .. }
        | InventoryError::UnknownReservation { .. }
        | InventoryError::ReservationConflict { .. }
        | InventoryError::OperationConflict { .. }
        | InventoryError::WrongState { .. }
        | InventoryError::NotOwner { .. }
        | InventoryError::BelowPromised { .. } => true,
        InventoryError::Busy { .. }
        | InventoryError::TransactionLost { .. }
        | InventoryError::Timeout { .. }
        | InventoryError::Unavailable { .. }
        | InventoryError::OutcomeUnknown { .. }
        | InventoryError::Damaged { .. }
        | InventoryError::Backend { .. }
        | InventoryError::Feed(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use stockade_change_feed::SystemClock;

    use super::*;

    fn lost() -> InventoryError {
        let (operation, source) = ("test", Cause::new("lost"));
        InventoryError::OutcomeUnknown { operation, source }
    }

    fn down() -> InventoryError {
        let (operation, source) = ("test", Cause::new("down"));
        let retry_after = Duration::ZERO;
        InventoryError::Unavailable {
            operation,
            retry_after,
            source,
        }
    }

    fn busy(retry_after: Duration) -> InventoryError {
        InventoryError::Busy { retry_after }
    }

    /// Answers what the script says, and then success.
    async fn follow(script: Vec<InventoryError>, timeout: Duration) -> Result<(), InventoryError> {
        let clock = SystemClock::new();
        let patience = Patience {
            clock: &clock,
            timeout,
        };
        let script = Mutex::new(script.into_iter());
        let answer = || {
            let next = script.lock().expect("no panic under the lock").next();
            async { next.map_or(Ok(()), Err) }
        };
        patience.repeat_one("test", answer).await
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_may_be_repeated_is() {
        let script = vec![lost(), down(), busy(Duration::from_millis(1)), lost()];
        assert!(follow(script, LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let refused = InventoryError::UnknownSku { skus: Vec::new() };
        let told = follow(vec![lost(), refused], LONG).await;
        assert!(matches!(told, Err(InventoryError::UnknownSku { .. })));
    }

    #[tokio::test]
    async fn what_may_have_happened_stays_unknown() {
        let script = [vec![lost()], vec![down(); 1000]].concat();
        let told = follow(script, SHORT).await;
        assert!(matches!(told, Err(InventoryError::OutcomeUnknown { .. })));
        let told = follow(vec![down(); 1000], SHORT).await;
        assert!(matches!(told, Err(InventoryError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn a_failure_does_not_decide_what_may_have_happened() {
        let broken = || InventoryError::Backend {
            operation: "test",
            source: Cause::new("broken"),
        };
        let told = follow([vec![lost()], vec![broken(); 1000]].concat(), SHORT).await;
        assert!(matches!(told, Err(InventoryError::OutcomeUnknown { .. })));
        let told = follow(vec![broken()], SHORT).await;
        assert!(matches!(told, Err(InventoryError::Backend { .. })));
        assert!(follow(vec![lost(), broken()], LONG).await.is_ok());
    }

    #[tokio::test]
    async fn a_pause_beyond_the_deadline_is_not_waited_for() {
        let told = follow(vec![busy(LONG)], SHORT).await;
        assert!(matches!(told, Err(InventoryError::Busy { .. })));
    }

    #[tokio::test]
    async fn silence_ends() {
        let clock = SystemClock::new();
        let patience = Patience {
            clock: &clock,
            timeout: SHORT,
        };
        let told = patience
            .repeat_one("test", std::future::pending::<Result<(), _>>)
            .await;
        assert!(matches!(
            told,
            Err(InventoryError::Timeout { after: SHORT, .. })
        ));
    }

    #[tokio::test]
    async fn only_what_failed_is_repeated() {
        let clock = SystemClock::new();
        let patience = Patience {
            clock: &clock,
            timeout: LONG,
        };
        let asked = Mutex::new(Vec::new());
        let outcomes = patience
            .repeat("test", &[1, 2, 3], |batch: Vec<i32>| {
                let mut asked = asked.lock().expect("no panic under the lock");
                let first = asked.is_empty();
                let odd = |n: &i32| {
                    if first && n % 2 == 1 {
                        Err(lost())
                    } else {
                        Ok(*n)
                    }
                };
                let answer = batch.iter().map(odd).collect();
                asked.push(batch);
                async { answer }
            })
            .await;
        let outcomes: Result<Vec<_>, _> = outcomes.into_iter().collect();
        assert_eq!(outcomes.unwrap(), [1, 2, 3]);
        assert_eq!(asked.into_inner().unwrap(), [vec![1, 2, 3], vec![1, 3]]);
    }
}
