use std::sync::Mutex;

use super::*;
use crate::error::FeedError;
use crate::time::SystemClock;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn lost() -> FeedError {
    Failure::outcome_unknown("test", "lost").into()
}

fn down(retry_after: Duration) -> FeedError {
    Failure::unavailable("test", retry_after, "down").into()
}

fn broken() -> FeedError {
    Failure::refused("test", "broken").into()
}

fn refused() -> FeedError {
    FeedError::invalid("test", "value", "it never was allowed")
}

/// Answers what the script says, and then success.
async fn follow(script: Vec<FeedError>, timeout: Duration) -> Result<(), FeedError> {
    let clock = SystemClock::new();
    let script = Mutex::new(script.into_iter());
    let answer = || {
        let next = script.lock().unwrap().next();
        async { next.map_or(Ok(()), Err) }
    };
    Deadline::after(&clock, "test", timeout)
        .repeat(answer)
        .await
}

#[tokio::test]
async fn what_may_be_repeated_is() {
    let script = vec![
        lost(),
        down(Duration::ZERO),
        down(Duration::from_millis(1)),
        lost(),
    ];
    assert!(follow(script, LONG).await.is_ok());
}

#[tokio::test]
async fn a_decision_is_final() {
    let answer = follow(vec![lost(), refused()], LONG).await;
    assert!(matches!(answer, Err(FeedError::Invalid { .. })));
}

#[tokio::test]
async fn what_may_have_happened_stays_unknown() {
    let script = [vec![lost()], vec![down(Duration::ZERO); 1000]].concat();
    let answer = follow(script, SHORT).await;
    assert_eq!(answer.unwrap_err().retry(), Retry::OutcomeUnknown);
    let answer = follow(vec![down(Duration::ZERO); 1000], SHORT).await;
    assert_eq!(answer.unwrap_err().retry(), Retry::After(Duration::ZERO));
}

#[tokio::test]
async fn a_failure_does_not_decide_what_may_have_happened() {
    let script = [vec![lost()], vec![broken(); 1000]].concat();
    let answer = follow(script, SHORT).await;
    assert_eq!(answer.unwrap_err().retry(), Retry::OutcomeUnknown);
    let answer = follow(vec![broken()], SHORT).await;
    assert_eq!(answer.unwrap_err().retry(), Retry::Never);
    assert!(follow(vec![lost(), broken()], LONG).await.is_ok());
}

#[tokio::test]
async fn a_pause_beyond_the_deadline_is_not_waited_for() {
    let answer = follow(vec![down(LONG)], SHORT).await;
    assert_eq!(answer.unwrap_err().retry(), Retry::After(LONG));
}

#[tokio::test]
async fn no_answer_times_out() {
    let clock = SystemClock::new();
    let answer = Deadline::after(&clock, "test", SHORT)
        .repeat(std::future::pending::<Result<(), FeedError>>)
        .await;
    assert_eq!(answer.unwrap_err().retry(), Retry::OutcomeUnknown);
}

/// Answers batches of numbers as `answer` says for the `n`th call, and notes them.
async fn ask_three(
    answer: impl Fn(usize, &[i32]) -> Result<Vec<Result<i32, FeedError>>, FeedError>,
) -> (
    Result<Vec<Result<i32, FeedError>>, FeedError>,
    Vec<Vec<i32>>,
) {
    let clock = SystemClock::new();
    let asked = Mutex::new(Vec::new());
    let outcome = Deadline::after(&clock, "test", SHORT * 4)
        .repeat_each(&[1, 2, 3], |batch: Vec<i32>| {
            let mut asked = asked.lock().unwrap();
            let outcomes = answer(asked.len(), &batch);
            asked.push(batch);
            async { outcomes }
        })
        .await;
    (outcome, asked.into_inner().unwrap())
}

#[tokio::test]
async fn only_what_failed_is_repeated() {
    let (outcome, asked) = ask_three(|call, batch| {
        let odd = |n: &i32| match (call, n % 2) {
            (0, 1) => Err(lost()),
            _ => Ok(*n),
        };
        Ok(batch.iter().map(odd).collect())
    })
    .await;
    let outcomes: Result<Vec<_>, _> = outcome.unwrap().into_iter().collect();
    assert_eq!(outcomes.unwrap(), [1, 2, 3]);
    assert_eq!(asked, [vec![1, 2, 3], vec![1, 3]]);
}

#[tokio::test]
async fn a_batch_that_failed_as_a_whole_is_repeated_as_a_whole() {
    let (outcome, asked) = ask_three(|call, batch| match call {
        0 => Err(down(Duration::ZERO)),
        _ => Ok(batch.iter().map(|n| Ok(*n)).collect()),
    })
    .await;
    assert_eq!(outcome.unwrap().len(), 3);
    assert_eq!(asked, [vec![1, 2, 3], vec![1, 2, 3]]);

    let (outcome, asked) = ask_three(|_, _| Err(broken())).await;
    assert_eq!(outcome.unwrap_err().retry(), Retry::Never);
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_later_failure_of_the_whole_leaves_what_is_decided() {
    let (outcome, _) = ask_three(|call, batch| match call {
        0 => Ok(batch
            .iter()
            .map(|n| if *n == 2 { Err(lost()) } else { Ok(*n) })
            .collect()),
        _ => Err(broken()),
    })
    .await;
    let outcomes = outcome.unwrap();
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    let unknown = outcomes[1].as_ref().unwrap_err();
    assert_eq!(unknown.retry(), Retry::OutcomeUnknown);
}

#[tokio::test]
async fn an_outcome_too_few_leaves_all_unknown() {
    let (outcome, _) = ask_three(|_, batch| Ok(batch[1..].iter().map(|n| Ok(*n)).collect())).await;
    assert_eq!(outcome.unwrap_err().retry(), Retry::OutcomeUnknown);
}
