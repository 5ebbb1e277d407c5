//! Queries take turns.

use std::sync::Arc;

use stockade_search_sync::SearchError;
use tokio::sync::Semaphore;

use crate::error::{blocking, failed};

/// Lets so many at once do what may block, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            at_once.clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    /// Runs it when it is its turn. One that is given up before costs nothing; one that has begun
    /// keeps its turn to the end, whether somebody waits for it or not.
    pub(crate) async fn take<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let turn = self.0.clone().acquire_owned().await;
        let turn = turn.map_err(failed(operation))?;
        blocking(operation, move || {
            let _turn = turn;
            work()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn what_was_given_up_is_not_run() {
        let turns = Turns::new(1);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = |work: Box<dyn FnOnce() + Send>| {
            let runs = runs.clone();
            turns.take("search", move || {
                work();
                runs.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        };
        let mut context = Context::from_waker(Waker::noop());
        let (end, ended) = mpsc::channel::<()>();
        let mut first = Box::pin(counted(Box::new(move || {
            let _ = ended.recv();
        })));
        assert!(first.as_mut().poll(&mut context).is_pending());
        for _ in 0..100 {
            let mut given_up = Box::pin(counted(Box::new(|| {})));
            assert!(given_up.as_mut().poll(&mut context).is_pending());
        }
        let mut last = Box::pin(counted(Box::new(|| {})));
        assert!(last.as_mut().poll(&mut context).is_pending());
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        end.send(()).unwrap();
        first.await.unwrap();
        last.await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn one_that_is_given_up_while_it_runs_keeps_its_turn() {
        let turns = Turns::new(1);
        let mut context = Context::from_waker(Waker::noop());
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel::<()>();
        let mut first = Box::pin(turns.take("search", move || {
            let _ = begin.send(());
            let _ = ended.recv();
            Ok(())
        }));
        assert!(first.as_mut().poll(&mut context).is_pending());
        begun.recv().unwrap();
        drop(first);
        let mut second = Box::pin(turns.take("search", || Ok(())));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(turns.0.available_permits(), 0);
        end.send(()).unwrap();
        second.await.unwrap();
    }
}
