//! One call: its requests, within one deadline.

use std::error::Error as StdError;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rustls::RootCertStore;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stockade_change_feed::Failure;
use stockade_inventory_core::InventoryError;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, of_status};
use super::options::HttpOptions;
use super::tls;
use crate::format::read;
use crate::telemetry;

/// How soon a call may be repeated after a connection failed.
const SOON: Duration = Duration::from_millis(250);

/// Below the time after which usual servers close idle connections.
const IDLE: Duration = Duration::from_secs(15);

/// Makes calls over shared connections.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    client: Client,
    options: Arc<HttpOptions>,
    places: Arc<Semaphore>,
}

impl Caller {
    pub(super) fn new(mut options: HttpOptions) -> Result<Self, InventoryError> {
        let tls = match options.tls.take() {
            Some(config) => config,
            None if options.url.scheme() == "https" => tls::system()?,
            None => tls::trusting(RootCertStore::empty())?,
        };
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("stockade-http/", env!("CARGO_PKG_VERSION")))
            .build();
        let client =
            client.map_err(|error| InventoryError::invalid("options", "", chain(&error)))?;
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

    fn url(&self, path: &str) -> Url {
        let mut url = self.options.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
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
        let body = serde_json::to_vec(request)
            .map_err(|error| InventoryError::from(Failure::refused(self.operation, error)))?;
        let answer = match self.send(path, body.clone()).await {
            // The server closed the connection before it read the request, or has ended.
            Err(error) if ended_early(&error) => self.send(path, body).await,
            sent => sent,
        };
        let answer = answer.map_err(|error| self.broken(&error))?;
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

    async fn send(&self, path: &str, body: Vec<u8>) -> Result<Answer, reqwest::Error> {
        let Caller {
            client, options, ..
        } = self.caller;
        let mut request = client
            .post(self.caller.url(path))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = &options.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        Answer::read(request.send().await?, options.max_answer_bytes).await
    }

    /// The connection failed. Nothing was changed, because the request only reads.
    fn broken(&self, error: &reqwest::Error) -> InventoryError {
        let why = chain(error);
        if tls::is_distrust(error) {
            return Failure::refused(self.operation, why).into();
        }
        Failure::unavailable(self.operation, SOON, why).into()
    }

    /// The answer is not what the routes of this crate return.
    pub(super) fn misread(&self, why: impl Display) -> InventoryError {
        let why = format!("the answer of {} is wrong: {why}", self.caller.options.url);
        Failure::refused(self.operation, why).into()
    }
}

fn ended_early(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
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
