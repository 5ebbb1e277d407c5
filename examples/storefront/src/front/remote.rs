//! A service that requests are passed on to.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use axum::body::Bytes;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use service_kit::{Problem, ProblemType, Readiness};
use stockade_change_feed::trace::{self, TRACEPARENT};
use stockade_http::HttpOptions;

/// The largest answer. The largest page of products has a few megabytes.
const LARGEST: usize = 16 << 20;
/// Below the time after which services close idle connections.
const IDLE: Duration = Duration::from_secs(15);
/// How soon a client may try again.
const COME_BACK: Duration = Duration::from_secs(1);
/// How long a service may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_millis(900);

/// A service answered, but not as it should.
const BAD_GATEWAY: ProblemType = ProblemType::new(
    "urn:stockade:problem:bad-gateway",
    StatusCode::BAD_GATEWAY,
    "A service behind this one answered wrongly",
);

/// A service that requests are passed on to. Clones share connections.
#[derive(Clone)]
pub(crate) struct Remote {
    /// `catalog` or `inventory`.
    name: &'static str,
    url: String,
    token: Option<HeaderValue>,
    timeout: Duration,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// An answer of a service, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Remote {
    /// The service of this name. It is connected to with the first request.
    ///
    /// # Errors
    /// If the URL or the token is not allowed. The error does not contain the token.
    pub(crate) fn new(
        name: &'static str,
        url: &str,
        token: Option<&SecretString>,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        HttpOptions::new(url).map_err(|error| anyhow!("{error}; correct --{name}-service"))?;
        ensure!(
            url.starts_with("http://"),
            "--{name}-service must begin with http://, because a front does not use TLS; got {url:?}"
        );
        let token = token.map(|token| {
            let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
            let mut value = value.map_err(|_| {
                anyhow!("--{name}-token has characters that a header does not allow")
            })?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // So that a request which was not sent has no unknown outcome.
        connector.set_connect_timeout(Some(timeout / 2));
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self {
            name,
            url: url.trim_end_matches('/').to_owned(),
            token: token.transpose()?,
            timeout,
            http,
        })
    }

    /// Adds a check: this process is ready while the service is.
    pub(crate) fn check(&self, check: &'static str, readiness: &Readiness) {
        let remote = self.clone();
        readiness.add_check(check, move || {
            let remote = remote.clone();
            async move { remote.is_ready().await }
        });
    }

    async fn is_ready(&self) -> Result<(), String> {
        let request = self.request(Method::GET, "/readyz", HeaderMap::new(), Bytes::new());
        let asking = self.answered(request.map_err(|problem| format!("{problem:?}"))?);
        match tokio::time::timeout(READY_WITHIN, asking).await {
            Ok(Ok(answer)) if answer.status.is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("it answered {}", answer.status)),
            Ok(Err(_)) => Err("it can't be reached".to_owned()),
            Err(_) => Err(format!("no answer within {READY_WITHIN:?}")),
        }
    }

    /// The JSON of a `GET`.
    pub(crate) async fn get(&self, path_and_query: &str) -> Result<Value, Problem> {
        let answer = self
            .ask(Method::GET, path_and_query, HeaderMap::new(), Bytes::new())
            .await?;
        if answer.status.is_client_error() {
            let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or("it does not exist");
            return Err(Problem::not_found(detail));
        }
        if !answer.status.is_success() {
            return Err(self.unavailable("it answered ", answer.status));
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.wrong(error))
    }

    /// Makes a request, and reads the answer, within the timeout.
    pub(super) async fn ask(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Problem> {
        let changes_nothing = method.is_safe();
        let request = self.request(method, path_and_query, headers, body)?;
        let asking = self.answered(request);
        let Ok(answered) = tokio::time::timeout(self.timeout, asking).await else {
            let (service, timeout) = (self.name, self.timeout);
            tracing::warn!(service, ?timeout, "a service did not answer in time");
            let why = format!("did not answer within {timeout:?}");
            return Err(match changes_nothing {
                true => self.problem(ProblemType::REQUEST_TIMEOUT, &format!("{why}; try again")),
                false => self.unknown(&why),
            });
        };
        let answer = answered.map_err(|lost| match lost {
            Lost::Unsent(error) => self.unavailable("it can't be reached: ", error),
            Lost::Broken(error) if changes_nothing => {
                self.unavailable("the connection ended: ", error)
            }
            Lost::Broken(error) => {
                tracing::warn!(service = self.name, error = %format!("{error:#}"), "a connection ended before the answer");
                self.unknown("ended the connection before its answer")
            }
            Lost::TooLarge => self.wrong(format!("its answer has more than {LARGEST} bytes")),
        })?;
        if answer.status == StatusCode::UNAUTHORIZED && self.token.is_some() {
            let service = self.name;
            tracing::error!(
                service,
                "the service refused the token; correct --{service}-token"
            );
            let why = "refused the token of this front; its operator has to correct it";
            return Err(self.problem(BAD_GATEWAY, why));
        }
        Ok(answer)
    }

    fn request(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Problem> {
        let uri = format!("{}{path_and_query}", self.url).parse::<Uri>();
        let uri = uri.map_err(|error| Problem::invalid("path", error.to_string()))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if let Some(token) = &self.token {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        // The span of this request, so that the work of the service is below it.
        let context = trace::current().and_then(|it| HeaderValue::from_str(it.as_str()).ok());
        if let Some(context) = context {
            request.headers_mut().insert(TRACEPARENT, context);
        }
        Ok(request)
    }

    async fn answered(&self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let response =
            self.http
                .request(request)
                .await
                .map_err(|error| match error.is_connect() {
                    true => Lost::Unsent(error.into()),
                    false => Lost::Broken(error.into()),
                })?;
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, LARGEST).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Lost::TooLarge),
            Err(error) => return Err(Lost::Broken(anyhow!(error))),
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// Nothing took effect.
    fn unavailable(&self, why: &str, error: impl std::fmt::Display) -> Problem {
        let service = self.name;
        tracing::warn!(service, "a service is unavailable: {why}{error:#}");
        let what = "is unavailable; nothing took effect, try again";
        self.problem(ProblemType::UNAVAILABLE, what)
            .with_retry_after(COME_BACK)
    }

    fn unknown(&self, why: &str) -> Problem {
        let detail = format!(
            "{why}; it is unknown whether the request took effect: repeat it with the same id to \
             find out"
        );
        self.problem(ProblemType::OUTCOME_UNKNOWN, &detail)
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Problem {
        tracing::error!(service = self.name, "a service answered wrongly: {why}");
        self.problem(BAD_GATEWAY, "answered wrongly; the reason is in the log")
    }

    fn problem(&self, kind: ProblemType, what: &str) -> Problem {
        let service = self.name;
        Problem::new(kind, format!("the {service} service {what}")).with("service", service)
    }
}

/// Why there is no answer.
enum Lost {
    /// No connection: the request was not sent.
    Unsent(anyhow::Error),
    /// The request may have been read.
    Broken(anyhow::Error),
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_has_a_secret() {
        let timeout = Duration::from_secs(1);
        let token = SecretString::from("s3cret\n");
        for (url, token) in [
            ("http://ada:s3cret@catalog", None),
            ("https://catalog", None),
            ("catalog:8080", None),
            ("http://catalog", Some(&token)),
        ] {
            let error = Remote::new("catalog", url, token, timeout).err().unwrap();
            let said = format!("{error:#}");
            assert!(said.contains("--catalog-"), "{url}: {said}");
            assert!(!said.contains("s3cret"), "{url}: {said}");
        }
    }
}
