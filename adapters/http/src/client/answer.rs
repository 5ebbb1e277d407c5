//! What an answer means for the caller.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderMap, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use stockade_change_feed::{Failure, shorten};
use stockade_inventory_core::InventoryError;

use crate::format::Problem;

/// The pause where the server names none.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The head of an answer, and its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    /// None if the body is larger than allowed.
    pub(super) body: Option<Bytes>,
}

impl Answer {
    /// Reads a body of at most `most` bytes. The rest of a larger one is not read.
    pub(super) async fn read(response: Response<Incoming>, most: usize) -> Result<Self, BoxError> {
        let (head, body) = response.into_parts();
        let announced = body.size_hint().lower();
        let body = if announced > most as u64 {
            None
        } else {
            match Limited::new(body, most).collect().await {
                Ok(body) => Some(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => None,
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// What the server says about its refusal.
    fn problem(&self) -> Problem {
        let body = self.body.as_deref().unwrap_or_default();
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// The error for an answer without stock.
pub(super) fn of_status(operation: &'static str, answer: &Answer) -> InventoryError {
    let (status, problem) = (answer.status, answer.problem());
    if status == StatusCode::BAD_REQUEST && problem.field.as_deref() == Some("cursor") {
        return InventoryError::invalid("cursor", "", problem.detail);
    }
    let advice = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; check the bearer token",
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            "; check that the URL is that of a service with the stock routes"
        }
        _ if status.is_redirection() => {
            "; redirects are not followed, so use the URL that it names"
        }
        _ => "",
    };
    let mut why = format!("the service answered {status}");
    let location = answer.headers.get(LOCATION).and_then(|it| it.to_str().ok());
    for said in [problem.detail.as_str(), location.unwrap_or_default()] {
        if !said.is_empty() {
            why.push_str(&format!(" ({:?})", shorten(said)));
        }
    }
    why.push_str(advice);
    match status {
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Failure::unavailable(operation, pause(&answer.headers), why).into()
        }
        _ => Failure::refused(operation, why).into(),
    }
}

/// The pause that the server asks for, as seconds or as a date.
fn pause(headers: &HeaderMap) -> Duration {
    let text = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
    let pause = text.and_then(|text| {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        Some(until.duration_since(SystemTime::now()).unwrap_or_default())
    });
    pause.map_or(PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use stockade_change_feed::Retry;

    use super::*;

    fn answered(status: u16, headers: &[(&'static str, &str)], body: &str) -> InventoryError {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Some(Bytes::copy_from_slice(body.as_bytes())),
        };
        of_status("stock", &answer)
    }

    #[test]
    fn a_status_says_whether_to_try_again() {
        for status in [408, 429, 502, 503, 504] {
            let error = answered(status, &[], "");
            assert_eq!(error.retry(), Retry::After(PAUSE), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 422, 500, 501] {
            let error = answered(status, &[], "<html>");
            assert_eq!(error.retry(), Retry::Never, "{status}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
    }

    #[test]
    fn the_server_says_when_to_try_again() {
        let after = |value: &str| answered(503, &[("retry-after", value)], "").retry();
        assert_eq!(after("7"), Retry::After(Duration::from_secs(7)));
        assert_eq!(after("999999999"), Retry::After(LONGEST_PAUSE));
        assert_eq!(after("soon"), Retry::After(PAUSE));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        let Retry::After(pause) = after(&soon) else {
            panic!("a pause");
        };
        assert!((28..=30).contains(&pause.as_secs()), "{pause:?}");
        let past = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH);
        assert_eq!(after(&past), Retry::After(Duration::ZERO));
    }

    #[test]
    fn a_refusal_has_what_the_server_said() {
        let body = r#"{"detail":"a request has at most 1000 SKUs\n; got 2000","field":"skus"}"#;
        let error = answered(400, &[], body).to_string();
        assert!(error.contains("at most 1000 SKUs"), "{error}");
        assert!(
            !error.contains('\n'),
            "a line break of the server is escaped: {error}"
        );
        let error = answered(302, &[("location", "https://login/")], "").to_string();
        assert!(error.contains("https://login/"), "{error}");
    }
}
