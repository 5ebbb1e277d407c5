//! Serving connections, of which none can be had for nothing: how many there are is bounded, and
//! how long each may say nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 8192;
/// How long the last requests may take once the shop is asked to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be accepted, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until `stop`, and then lets the requests that have begun be finished.
///
/// A connection is closed where the head of its next request is not whole `headers_within` so
/// long, so that idle ones and slow ones do not add up.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    headers_within: Duration,
    stop: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let stopped = watch::Sender::new(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (router, stopping) = (router.clone(), stopped.subscribe());
        tokio::spawn(async move {
            let _place = place;
            connection(stream, router, headers_within, stopping).await;
        });
    }
    drop(listener);
    stopped.send_replace(true);
    // Each connection holds a receiver until it is done.
    let _ = tokio::time::timeout(GRACE, stopped.closed()).await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    headers_within: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    // Small answers are not held back to be sent together.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_within)
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
