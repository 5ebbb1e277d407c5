//! Accepts connections within limits, and stops.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::limits::Limits;

/// Pause after an error of accepting a connection, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stop` is ready.
///
/// Then it closes the listener and idle connections, and lets requests in progress finish, for at
/// most [`Limits::stop_timeout`]. Requests that take longer are dropped; when this returns, nothing
/// runs any more.
///
/// A connection is closed if the head of its next request is not complete within
/// [`Limits::header_timeout`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let accepting = accept(&listener, &limits, |stream, place| {
        let (router, stopping) = (router.clone(), stopping.subscribe());
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            connection(stream, router, limits.header_timeout, stopping).await;
            drop(place);
        });
    });
    tokio::select! {
        () = stop => {}
        () = accepting => {}
    }
    drop(listener);
    stopping.send_replace(true);
    let ending = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.stop_timeout, ending)
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            within = ?limits.stop_timeout,
            "requests did not finish in time; their connections are closed"
        );
        connections.shutdown().await;
    }
}

/// Accepts connections for ever, up to the limit of open connections.
async fn accept(
    listener: &TcpListener,
    limits: &Limits,
    mut serve: impl FnMut(TcpStream, OwnedSemaphorePermit),
) {
    let places = Arc::new(Semaphore::new(limits.max_connections as usize));
    // It is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => serve(stream, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    header_timeout: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    // Small answers are sent at once.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        // It changes once.
        _ = stopping.changed() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Ready when the process is asked to stop: by Ctrl-C or SIGTERM.
///
/// SIGTERM is handled from this call on, before the future is first polled. Call it before the
/// service reports that it listens; otherwise a signal in between ends the process at once.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn stop_signal() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async move {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        match terminate {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => drop(interrupt.await),
        }
        #[cfg(not(unix))]
        drop(interrupt.await);
    }
}
