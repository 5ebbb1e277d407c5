//! One call: its requests, within one deadline.

use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use metrics::{counter, histogram};
use rustls::RootCertStore;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stockade_change_feed::Failure;
use stockade_change_feed::trace::{self, TRACEPARENT};
use stockade_inventory_core::InventoryError;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, BoxError, of_status};
use super::options::HttpOptions;
use super::tls;
use crate::format::read;
use crate::telemetry;

/// How soon a call may be repeated after a connection failed.
const SOON: Duration = Duration::from_millis(250);

const AGENT: &str = concat!("stockade-http/", env!("CARGO_PKG_VERSION"));

/// Below the time after which usual servers close idle connections.
const IDLE: Duration = Duration::from_secs(15);

/// Makes calls over shared connections.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    options: Arc<HttpOptions>,
    places: Arc<Semaphore>,
}

impl Caller {
    pub(super) fn new(mut options: HttpOptions) -> Result<Self, InventoryError> {
        let tls = match options.tls.take() {
            Some(config) => config,
            None if options.url.starts_with("https:") => tls::system()?,
            None => tls::trusting(RootCertStore::empty())?,
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        let places = Arc::new(Semaphore::new(
            options.max_calls.get().min(Semaphore::MAX_PERMITS),
        ));
        let options = Arc::new(options);
        Ok(Self {
            client,
            options,
            places,
        })
    }

    /// Begins a call, which ends within the timeout.
    pub(super) fn begin(&self, operation: &'static str) -> Call<'_> {
        Call {
            caller: self,
            operation,
            began: Instant::now(),
        }
    }
}

/// A call and its deadline.
pub(super) struct Call<'a> {
    caller: &'a Caller,
    operation: &'static str,
    began: Instant,
}

impl Call<'_> {
    /// Runs the call when it has a place, and stops it at its deadline.
    pub(super) async fn measured<T>(
        &self,
        call: impl Future<Output = Result<T, InventoryError>>,
    ) -> Result<T, InventoryError> {
        let Self {
            caller,
            operation,
            began,
        } = self;
        let timeout = caller.options.timeout;
        let placed = async {
            // It is never closed.
            let _place = caller.places.acquire().await;
            call.await
        };
        let ended = match began.checked_add(timeout) {
            Some(deadline) => timeout_at(deadline, placed)
                .await
                .unwrap_or_else(|_| Err(Failure::timed_out(operation, timeout).into())),
            None => placed.await,
        };
        let outcome = match &ended {
            Ok(_) => "ok",
            Err(InventoryError::Failed(failure)) => failure.outcome(),
            Err(_) => "refused",
        };
        counter!(telemetry::CALLS, "operation" => *operation, "outcome" => outcome).increment(1);
        histogram!(telemetry::CALL_SECONDS, "operation" => *operation)
            .record(began.elapsed().as_secs_f64());
        ended
    }

    /// Makes a request, and reads its answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, InventoryError> {
        let body = serde_json::to_vec(request).map_err(|error| self.refused(error))?;
        let body = Bytes::from(body);
        let answer = match self.send(path, body.clone()).await {
            // The server closed the connection before it read the request, or has ended.
            Err(error) if ended_early(&*error) => self.send(path, body).await,
            sent => sent,
        };
        let answer = answer.map_err(|error| self.broken(&*error))?;
        if !answer.status.is_success() {
            return Err(of_status(self.operation, &answer));
        }
        let Some(body) = answer.body else {
            let most = self.caller.options.max_answer_bytes;
            let why = format!("more than {most} bytes; ask for fewer SKUs, or allow more bytes");
            return Err(self.misread(why));
        };
        read(&body).map_err(|error| self.misread(error.why))
    }

    async fn send(&self, path: &str, body: Bytes) -> Result<Answer, BoxError> {
        let Caller {
            client, options, ..
        } = self.caller;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", options.url))
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &options.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(context) = trace::current() {
            request = request.header(TRACEPARENT, context.as_str());
        }
        let response = client.request(request.body(Full::new(body))?).await?;
        Answer::read(response, options.max_answer_bytes).await
    }

    /// The connection failed. Nothing was changed, because the request only reads.
    fn broken(&self, error: &(dyn StdError + 'static)) -> InventoryError {
        let why = format!("{}: {}", self.caller.options.url, chain(error));
        if tls::is_distrust(error) {
            return self.refused(why);
        }
        Failure::unavailable(self.operation, SOON, why).into()
    }

    fn refused(&self, why: impl Into<BoxError>) -> InventoryError {
        Failure::refused(self.operation, why).into()
    }

    /// The answer is not what the routes of this crate return.
    pub(super) fn misread(&self, why: impl Display) -> InventoryError {
        let url = &self.caller.options.url;
        self.refused(format!("the answer of {url} is wrong: {why}"))
    }
}

/// Whether a connection was there, and ended before the head of the answer.
fn ended_early(error: &(dyn StdError + 'static)) -> bool {
    let error = error.downcast_ref::<ClientError>();
    error.is_some_and(|error| !error.is_connect())
}

/// An error and its sources, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
