//! Limits how many searches run at the same time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stockade_search_sync::SearchError;
use tokio::sync::Semaphore;

use crate::error::{blocking, failed};

/// Runs a limited number of blocking calls at the same time. The others wait, in the order of their
/// arrival.
#[derive(Debug)]
pub(crate) struct Limit(Arc<Semaphore>);

impl Limit {
    pub(crate) fn new(at_once: NonZeroUsize) -> Self {
        let at_once = at_once.get().min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Runs the work as soon as the limit allows it. If the caller drops this future before, the
    /// work is not run. Work that has started counts until its end, even without a caller.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let permit = self.0.clone().acquire_owned().await;
        let permit = permit.map_err(failed(operation))?;
        blocking(operation, move || {
            let _permit = permit;
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
    async fn a_call_that_is_dropped_while_it_waits_is_not_run() {
        let limit = Limit::new(NonZeroUsize::MIN);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = |work: Box<dyn FnOnce() + Send>| {
            let runs = runs.clone();
            limit.run("search", move || {
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
            let mut dropped = Box::pin(counted(Box::new(|| {})));
            assert!(dropped.as_mut().poll(&mut context).is_pending());
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
    async fn a_call_that_is_dropped_while_it_runs_counts_until_its_end() {
        let limit = Limit::new(NonZeroUsize::MIN);
        let mut context = Context::from_waker(Waker::noop());
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel::<()>();
        let mut first = Box::pin(limit.run("search", move || {
            let _ = begin.send(());
            let _ = ended.recv();
            Ok(())
        }));
        assert!(first.as_mut().poll(&mut context).is_pending());
        begun.recv().unwrap();
        drop(first);
        let mut second = Box::pin(limit.run("search", || Ok(())));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(limit.0.available_permits(), 0);
        end.send(()).unwrap();
        second.await.unwrap();
    }
}
