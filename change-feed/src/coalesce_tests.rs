use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::*;
use crate::error::FeedError;
use crate::failure::{Failure, Retry};
use crate::time::{ManualClock, SystemClock, Timestamp, chance};

/// Doubles numbers; each call waits at a gate.
struct Doubling {
    gate: Semaphore,
    /// The items of each call.
    calls: Mutex<Vec<Vec<u64>>>,
    /// Whether an item shares the outcome of its equals.
    shares: bool,
    hangs: AtomicBool,
    forgets: AtomicBool,
}

impl Doubling {
    fn open() -> Self {
        Self {
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            calls: Mutex::default(),
            shares: true,
            hangs: AtomicBool::new(false),
            forgets: AtomicBool::new(false),
        }
    }

    fn closed() -> Self {
        Self {
            gate: Semaphore::new(0),
            ..Self::open()
        }
    }
}

#[async_trait]
impl BatchCall for Doubling {
    type Item = u64;
    type Output = u64;
    type Error = FeedError;
    type Key = u64;

    fn key(&self, number: &u64) -> Option<u64> {
        self.shares.then_some(*number)
    }

    async fn call(&self, numbers: Vec<u64>) -> Result<Vec<Result<u64, FeedError>>, FeedError> {
        self.calls.lock().unwrap().push(numbers.clone());
        self.gate.acquire().await.unwrap().forget();
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if numbers.contains(&13) {
            return Err(Failure::refused("double", "13 is unlucky").into());
        }
        let double = |number: &u64| match number {
            7 => Err(FeedError::invalid("number", "7", "it is odd")),
            number => Ok(2 * number),
        };
        let forgets = usize::from(self.forgets.load(Ordering::SeqCst));
        Ok(numbers.iter().skip(forgets).map(double).collect())
    }

    fn busy(&self, retry_after: Duration) -> FeedError {
        Failure::unavailable("double", retry_after, "busy").into()
    }
}

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn limits() -> CoalesceLimits {
    CoalesceLimits {
        calls: count(1),
        batch: count(100),
        waiting: count(200),
        timeout: Duration::from_secs(30),
    }
}

fn coalescer(inner: Doubling, limits: CoalesceLimits) -> Arc<Coalescer<Doubling>> {
    let clock = Arc::new(SystemClock::new());
    Arc::new(Coalescer::new("double", inner, limits, clock))
}

type Answer = Result<Vec<Result<u64, FeedError>>, FeedError>;

/// Asks in a task, and returns once it has joined a batch or has an answer.
async fn ask(coalescer: &Arc<Coalescer<Doubling>>, numbers: &[u64]) -> JoinHandle<Answer> {
    let (coalescer, numbers) = (Arc::clone(coalescer), numbers.to_vec());
    let task = tokio::spawn(async move { coalescer.ask(&numbers).await });
    tokio::task::yield_now().await;
    task
}

async fn answered(task: JoinHandle<Answer>) -> Vec<u64> {
    let answer = task.await.unwrap().unwrap().into_iter();
    answer.map(Result::unwrap).collect()
}

impl Coalescer<Doubling> {
    fn calls(&self) -> Vec<Vec<u64>> {
        self.inner.calls.lock().unwrap().clone()
    }

    async fn called(&self, calls: usize) {
        while self.calls().len() < calls {
            tokio::task::yield_now().await;
        }
    }

    fn let_pass(&self, calls: usize) {
        self.inner.gate.add_permits(calls);
    }

    fn places(&self) -> usize {
        self.waiting.available_permits()
    }
}

#[tokio::test]
async fn asks_that_come_while_all_calls_are_busy_share_the_next() {
    let doubled = coalescer(Doubling::closed(), limits());
    let first = ask(&doubled, &[1]).await;
    doubled.called(1).await;
    let mut rest = Vec::new();
    for number in 0..50 {
        rest.push(ask(&doubled, &[number % 5, 100, 100]).await);
    }
    doubled.let_pass(2);
    assert_eq!(answered(first).await, [2]);
    for (number, task) in (0..50).zip(rest) {
        assert_eq!(answered(task).await, [number % 5 * 2, 200, 200]);
    }
    assert_eq!(doubled.calls(), [vec![1], vec![0, 100, 1, 2, 3, 4]]);
    assert_eq!(doubled.places(), 200, "all places are given back");
}

#[tokio::test]
async fn items_without_a_key_have_outcomes_of_their_own_in_the_order_they_came() {
    let inner = Doubling {
        shares: false,
        ..Doubling::closed()
    };
    let doubled = coalescer(inner, limits());
    let first = ask(&doubled, &[1]).await;
    let rest = [
        ask(&doubled, &[5, 5]).await,
        ask(&doubled, &[4]).await,
        ask(&doubled, &[5]).await,
    ];
    doubled.let_pass(2);
    answered(first).await;
    for (task, expected) in rest.into_iter().zip([&[10, 10][..], &[8], &[10]]) {
        assert_eq!(answered(task).await, expected);
    }
    assert_eq!(doubled.calls()[1], [5, 5, 4, 5]);
}

#[tokio::test]
async fn each_item_has_its_own_outcome_and_a_failed_call_fails_all_of_its_items() {
    let doubled = coalescer(Doubling::open(), limits());
    let outcomes = doubled.ask(&[6, 7, 8]).await.unwrap();
    assert!(matches!(outcomes[1], Err(FeedError::Invalid { .. })));
    assert_eq!((outcomes[0].is_ok(), outcomes[2].is_ok()), (true, true));
    let error = doubled.ask(&[6, 13]).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(doubled.ask_one(7).await.is_err());
    assert_eq!(doubled.ask_one(6).await.unwrap(), 12);
}

#[tokio::test]
async fn an_answer_with_an_outcome_too_few_is_nobodys() {
    let doubled = coalescer(Doubling::open(), limits());
    doubled.inner.forgets.store(true, Ordering::SeqCst);
    let error = doubled.ask(&[1, 2]).await.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown);
}

#[tokio::test]
async fn a_caller_that_leaves_strands_nobody() {
    let doubled = coalescer(Doubling::closed(), limits());
    let first = ask(&doubled, &[1]).await;
    let driver = ask(&doubled, &[1]).await;
    let joiner = ask(&doubled, &[2]).await;
    driver.abort();
    first.abort();
    doubled.called(2).await;
    let other = ask(&doubled, &[2]).await;
    doubled.let_pass(10);
    assert_eq!(answered(joiner).await, [4]);
    assert_eq!(answered(other).await, [4]);
}

#[tokio::test]
async fn a_driver_that_leaves_in_the_middle_of_a_call_is_followed_by_another() {
    let doubled = coalescer(Doubling::closed(), limits());
    let busy = ask(&doubled, &[1]).await;
    let driver = ask(&doubled, &[1]).await;
    let joiners = [ask(&doubled, &[1]).await, ask(&doubled, &[2]).await];
    doubled.let_pass(1);
    doubled.called(2).await;
    answered(busy).await;
    driver.abort();
    doubled.called(3).await;
    doubled.let_pass(1);
    for (joiner, expected) in joiners.into_iter().zip([2, 4]) {
        assert_eq!(answered(joiner).await, [expected]);
    }
    assert_eq!(doubled.calls().len(), 3);
}

#[tokio::test]
async fn drivers_that_all_leave_make_a_bounded_number_of_calls() {
    let doubled = coalescer(Doubling::closed(), limits());
    let mut tasks = Vec::new();
    for _ in 0..10 {
        tasks.push(ask(&doubled, &[1]).await);
    }
    let last = tasks.split_off(9);
    for task in tasks {
        task.abort();
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    // The first went alone; the others shared a batch.
    doubled.let_pass(100);
    for task in last {
        let _ = task.await.unwrap();
    }
    assert!(doubled.calls().len() <= 4, "{:?}", doubled.calls());
}

#[tokio::test]
async fn an_item_that_nobody_waits_for_is_not_asked_for() {
    let doubled = coalescer(Doubling::closed(), limits());
    let first = ask(&doubled, &[1]).await;
    let leaves = ask(&doubled, &[2, 3]).await;
    let stays = ask(&doubled, &[3, 4]).await;
    leaves.abort();
    assert!(leaves.await.is_err());
    assert_eq!(doubled.places(), 198);
    let again = ask(&doubled, &[2]).await;
    doubled.let_pass(2);
    answered(first).await;
    assert_eq!(answered(stays).await, [6, 8]);
    assert_eq!(answered(again).await, [4]);
    assert_eq!(doubled.calls()[1], [3, 4, 2]);
}

#[tokio::test]
async fn items_that_wait_are_bounded_and_those_that_leave_make_room() {
    let doubled = coalescer(
        Doubling::closed(),
        CoalesceLimits {
            batch: count(2),
            waiting: count(1),
            ..limits()
        },
    );
    let first = ask(&doubled, &[1]).await;
    doubled.called(1).await;
    let waiting = ask(&doubled, &[1, 2]).await;
    let shares = ask(&doubled, &[2]).await;
    let refused = ask(&doubled, &[3]).await.await.unwrap().unwrap_err();
    assert_eq!(refused.retry(), Retry::After(Duration::from_secs(30)));
    waiting.abort();
    shares.abort();
    assert!(waiting.await.is_err() && shares.await.is_err());
    let taken = ask(&doubled, &[3, 4]).await;
    doubled.let_pass(2);
    assert_eq!(answered(first).await, [2]);
    assert_eq!(answered(taken).await, [6, 8]);
    assert_eq!(doubled.calls()[1], [3, 4]);
}

#[tokio::test]
async fn more_items_than_a_batch_are_asked_for_in_several() {
    let batch = count(10);
    let doubled = coalescer(Doubling::open(), CoalesceLimits { batch, ..limits() });
    let numbers: Vec<u64> = (20..55).collect();
    let outcomes = doubled.ask(&numbers).await.unwrap();
    let answers: Vec<u64> = outcomes.into_iter().map(Result::unwrap).collect();
    let expected: Vec<u64> = numbers.iter().map(|number| 2 * number).collect();
    assert_eq!((answers, doubled.calls().len()), (expected, 4));

    let numbers: Vec<u64> = (0..35).collect();
    let outcomes = doubled.ask(&numbers).await.unwrap();
    assert_eq!(outcomes.len(), 35);
    assert!(outcomes[9].is_ok() && outcomes[10..].iter().all(Result::is_err));
    assert_eq!(doubled.calls().len(), 6, "not after the one that failed");
    assert!(doubled.ask(&[]).await.unwrap().is_empty());
}

/// Lets time pass on a clock of the test's until a task is done.
async fn while_time_passes<T>(clock: &ManualClock, task: JoinHandle<T>) -> T {
    while !task.is_finished() {
        clock.advance(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
    task.await.unwrap()
}

#[tokio::test]
async fn a_call_that_hangs_fails_all_that_wait_for_it_and_the_next_one_works() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let doubled = Coalescer::new("double", Doubling::open(), limits(), clock.clone());
    let doubled = Arc::new(doubled);
    doubled.inner.hangs.store(true, Ordering::SeqCst);
    let mut tasks = Vec::new();
    for number in 0..50 {
        tasks.push(ask(&doubled, &[number]).await);
    }
    for task in tasks {
        let error = while_time_passes(&clock, task).await.unwrap_err();
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    }
    assert!(clock.monotonic() <= Duration::from_secs(90));
    assert!(doubled.calls().len() <= 2, "{:?}", doubled.calls());
    doubled.inner.hangs.store(false, Ordering::SeqCst);
    assert_eq!(doubled.ask_one(1).await.unwrap(), 2);
    assert_eq!(doubled.places(), 200);
}

#[tokio::test]
async fn who_waited_in_vain_for_a_free_call_is_told_that_nothing_took_effect() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let inner = Doubling::closed();
    let doubled = Arc::new(Coalescer::new("double", inner, limits(), clock.clone()));
    // The first call is driven by one that is late to find out that time is up.
    let numbers = [1];
    let mut first = Box::pin(doubled.ask(&numbers));
    assert!(futures_poll(&mut first).is_none());
    let second = ask(&doubled, &[2]).await;
    let error = while_time_passes(&clock, second).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert_eq!(doubled.calls(), [[1]]);
}

/// Polls a future once.
fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn any_timeout_is_taken() {
    for timeout in [Duration::MAX, Duration::MAX / 2] {
        let doubled = coalescer(
            Doubling::open(),
            CoalesceLimits {
                timeout,
                ..limits()
            },
        );
        assert_eq!(doubled.ask_one(1).await.unwrap(), 2);
    }
}

/// What happens to callers, in some order.
#[derive(Clone, Debug)]
enum Step {
    Ask(Vec<u64>),
    /// The caller leaves.
    Leave(usize),
    /// A call returns.
    Answer,
    /// Others run.
    Yield,
}

mod stranding {
    use proptest::prelude::*;

    use super::*;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => prop::collection::vec(20_u64..26, 1..6).prop_map(Step::Ask),
            3 => (0_usize..40).prop_map(Step::Leave),
            2 => Just(Step::Answer),
            2 => Just(Step::Yield),
        ]
    }

    proptest! {
        /// Whoever stays has an answer in the end, and it is the right one, unless three others
        /// left in the middle of its call.
        #[test]
        fn nobody_is_stranded(
            steps in prop::collection::vec(step(), 1..80),
            calls in 1_usize..4,
            batch in 1_usize..8,
            shares: bool,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(async {
                let inner = Doubling { shares, ..Doubling::closed() };
                let (calls, batch) = (count(calls), count(batch));
                let doubled = coalescer(inner, CoalesceLimits { calls, batch, ..limits() });
                let mut tasks = Vec::new();
                let mut gone = Vec::new();
                for step in steps {
                    match step {
                        Step::Ask(numbers) => {
                            let task = ask(&doubled, &numbers).await;
                            tasks.push((numbers, task));
                        }
                        Step::Leave(index) if index < tasks.len() => {
                            let (_, task) = tasks.remove(index);
                            task.abort();
                            gone.push(task);
                        }
                        Step::Leave(_) => {}
                        Step::Answer => doubled.let_pass(1),
                        Step::Yield => tokio::task::yield_now().await,
                    }
                }
                doubled.let_pass(1_000);
                let left = gone.len();
                // A task is dropped some time after it was aborted.
                for task in gone {
                    let _ = task.await;
                }
                for (numbers, task) in tasks {
                    let ended = tokio::time::timeout(Duration::from_secs(20), task).await;
                    let answer = ended.expect("nobody is stranded").unwrap();
                    if left >= 3 && answer.is_err() {
                        continue;
                    }
                    for (number, outcome) in numbers.iter().zip(answer.unwrap()) {
                        if let Ok(doubled) = outcome {
                            assert_eq!(doubled, number * 2);
                        } else {
                            assert!(left >= 3, "{outcome:?}");
                        }
                    }
                }
                assert_eq!(doubled.places(), 200, "all places are given back");
                assert_eq!(doubled.calls.available_permits(), calls.get());
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_that_come_and_leave_on_many_threads_are_all_answered() {
    let doubled = coalescer(
        Doubling::open(),
        CoalesceLimits {
            calls: count(3),
            batch: count(16),
            ..limits()
        },
    );
    let mut tasks = Vec::new();
    for _ in 0..3_000 {
        let doubled = Arc::clone(&doubled);
        let (first, leaves) = (20 + chance::below(40) as u64, chance::below(3) == 0);
        tasks.push(tokio::spawn(async move {
            let numbers = [first, first + 1];
            let asked = doubled.ask(&numbers);
            if leaves {
                let _ = tokio::time::timeout(Duration::from_micros(first), asked).await;
                return;
            }
            match asked.await {
                Ok(outcomes) => {
                    let expected = numbers.map(|number| 2 * number);
                    let answers: Vec<u64> = outcomes.into_iter().map(Result::unwrap).collect();
                    assert_eq!(answers, expected);
                }
                // Too many wait, or three drivers left.
                Err(error) => assert_ne!(error.retry(), Retry::Never, "{error}"),
            }
        }));
        tokio::task::yield_now().await;
    }
    let all = async {
        for task in tasks {
            task.await.unwrap();
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), all).await;
    assert!(ended.is_ok(), "somebody is stranded");
    assert_eq!(doubled.places(), 200);
}
