use stockade_change_feed::Retry;

use super::*;
use crate::availability::testing::{Mode, ScriptedSource, changed, sku};

fn limits() -> MergeLimits {
    MergeLimits {
        calls: 1,
        batch: 100,
        waiting: 200,
        timeout: Duration::from_secs(30),
    }
}

fn merged(limits: MergeLimits) -> (Arc<ScriptedSource>, Arc<MergedSource>) {
    let source = ScriptedSource::new([changed("a", 1, 0, 1), changed("b", 2, 0, 1)]);
    let source = Arc::new(source.behind_a_gate());
    let merged = MergedSource::new(source.clone(), limits);
    (source, Arc::new(merged))
}

type Asked = tokio::task::JoinHandle<Result<Answers, InventoryError>>;

/// Asks in a task, and returns once the question has entered a batch or got an answer.
async fn ask(merged: &Arc<MergedSource>, names: &[&str]) -> Asked {
    let skus: Vec<Sku> = names.iter().map(|name| sku(name)).collect();
    let merged = Arc::clone(merged);
    let task = tokio::spawn(async move {
        let mut answers = Answers::new();
        merged.ask(&skus, &mut answers).await.map(|()| answers)
    });
    tokio::task::yield_now().await;
    task
}

#[tokio::test]
async fn who_comes_while_all_calls_are_busy_shares_the_next() {
    let (source, merged) = merged(limits());
    let first = ask(&merged, &["a"]).await;
    source.called(1).await;
    let mut rest = Vec::new();
    for number in 0..50 {
        let names = if number % 2 == 0 {
            ["a", "b"]
        } else {
            ["b", "c"]
        };
        rest.push(ask(&merged, &names).await);
    }
    source.gate.add_permits(100);
    assert_eq!(first.await.unwrap().unwrap().len(), 1);
    for task in rest {
        let answers = task.await.unwrap().unwrap();
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[&sku("b")], Some(changed("b", 2, 0, 1)));
        assert_eq!(answers.get(&sku("c")).cloned().flatten(), None);
    }
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn a_caller_that_leaves_strands_nobody() {
    let (source, merged) = merged(limits());
    let first = ask(&merged, &["a"]).await;
    let driver = ask(&merged, &["a"]).await;
    let joiner = ask(&merged, &["b"]).await;
    driver.abort();
    first.abort();
    source.called(2).await;
    let other = ask(&merged, &["b"]).await;
    source.gate.add_permits(100);
    assert!(joiner.await.unwrap().is_ok());
    assert!(other.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_driver_that_leaves_in_the_middle_of_a_call_is_followed_by_another() {
    let (source, merged) = merged(limits());
    let busy = ask(&merged, &["a"]).await;
    let driver = ask(&merged, &["a"]).await;
    let joiners = [ask(&merged, &["a"]).await, ask(&merged, &["b"]).await];
    source.gate.add_permits(1);
    source.called(2).await;
    assert!(busy.await.unwrap().is_ok());
    driver.abort();
    source.called(3).await;
    source.gate.add_permits(1);
    for joiner in joiners {
        assert!(joiner.await.unwrap().is_ok());
    }
    assert_eq!(source.calls(), 3);
}

#[tokio::test]
async fn what_waits_is_bounded_and_who_leaves_makes_room() {
    let (source, merged) = merged(MergeLimits {
        batch: 2,
        waiting: 2,
        ..limits()
    });
    let first = ask(&merged, &["a"]).await;
    source.called(1).await;
    let waiting = ask(&merged, &["a", "b"]).await;
    let repeated = ask(&merged, &["b"]).await;
    let refused = ask(&merged, &["c"]).await.await.unwrap();
    assert!(
        matches!(refused, Err(InventoryError::Busy { .. })),
        "{refused:?}"
    );
    waiting.abort();
    repeated.abort();
    assert!(waiting.await.is_err() && repeated.await.is_err());
    let taken = ask(&merged, &["c"]).await;
    source.gate.add_permits(100);
    assert!(first.await.unwrap().is_ok());
    assert!(taken.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_call_that_hangs_fails_all_who_wait_for_it_once() {
    let (source, merged) = merged(MergeLimits {
        timeout: Duration::from_millis(50),
        ..limits()
    });
    source.set(Mode::Hangs);
    source.gate.add_permits(100);
    let mut tasks = Vec::new();
    for _ in 0..50 {
        tasks.push(ask(&merged, &["a"]).await);
    }
    for task in tasks {
        let outcome = task.await.unwrap();
        let error = outcome.unwrap_err();
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    }
    assert!(source.calls() <= 2, "{} calls", source.calls());
    source.set(Mode::Works);
    assert!(ask(&merged, &["a"]).await.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_question_larger_than_a_batch_is_asked_in_several() {
    let (source, merged) = merged(MergeLimits {
        batch: 10,
        ..limits()
    });
    source.gate.add_permits(100);
    let skus: Vec<Sku> = (0..35).map(|n| sku(&n.to_string())).collect();
    let mut answers = Answers::new();
    merged.ask(&skus, &mut answers).await.unwrap();
    assert_eq!((answers.len(), source.calls()), (35, 4));
}

#[tokio::test]
async fn any_timeout_is_taken() {
    for timeout in [Duration::MAX, Duration::MAX / 2] {
        let (source, merged) = merged(MergeLimits {
            timeout,
            ..limits()
        });
        source.gate.add_permits(1);
        let answers = ask(&merged, &["a"]).await.await.unwrap().unwrap();
        assert_eq!(answers.len(), 1);
    }
}
