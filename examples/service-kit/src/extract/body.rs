//! Bodies: of JSON, and of any kind.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use stockade_change_feed::shorten;

use crate::limits::Limits;
use crate::problem::{Problem, ProblemType};

/// A body that is a JSON object.
///
/// It is refused if it is larger than [`Limits::max_body_bytes`], takes longer to arrive than
/// [`Limits::body_timeout`], or has another content type. The problem names the field by its path,
/// such as `lines[0].quantity`. An absent body is read as an object without members, so that a
/// body whose members are all optional can be left out.
///
/// Give `T` the attribute `#[serde(deny_unknown_fields)]`, so that a misspelt field is refused.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

/// The limits that [`Service`](crate::Service) passes to [`Body`] by an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    bytes: usize,
    timeout: Duration,
}

impl From<&Limits> for BodyLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            bytes: limits.max_body_bytes as usize,
            timeout: limits.body_timeout,
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_content_type(&request)?;
        let RawBody(read) = RawBody::from_request(request, state).await?;
        parse(&read).map(Self)
    }
}

/// A body of any kind, within the same limits as [`Body`].
#[derive(Clone, Debug)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let limits = request.extensions().get().copied();
        let BodyLimits { bytes, timeout } =
            limits.unwrap_or_else(|| BodyLimits::from(&Limits::default()));
        let reading = axum::body::to_bytes(request.into_body(), bytes);
        let Ok(read) = tokio::time::timeout(timeout, reading).await else {
            let detail = format!("the body must arrive within {timeout:?}");
            return Err(Problem::new(ProblemType::BODY_TIMEOUT, detail).with("field", "body"));
        };
        let read = read.map_err(|_| {
            let detail = format!("the body must be complete and at most {bytes} bytes long");
            Problem::new(ProblemType::BODY_TOO_LARGE, detail).with("field", "body")
        })?;
        Ok(Self(read))
    }
}

fn check_content_type(request: &Request) -> Result<(), Problem> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = value.to_str().unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json") {
        return Ok(());
    }
    let given = shorten(&String::from_utf8_lossy(value.as_bytes()));
    let detail = format!("the body must be application/json; got {given:?}");
    Err(Problem::new(ProblemType::UNSUPPORTED_MEDIA_TYPE, detail).with("field", "Content-Type"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let json = match bytes.trim_ascii() {
        b"" | b"null" => b"{}",
        json => json,
    };
    // serde reads a list as a struct, with the members in order.
    if !json.starts_with(b"{") {
        return Err(Problem::invalid("body", "it must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let body =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| malformed(&error))?;
    deserializer
        .end()
        .map_err(|error| Problem::invalid("body", error.to_string()))?;
    Ok(body)
}

/// Converts an object that was read as a `Body<Map<String, Value>>`, with the same problems.
///
/// # Errors
/// Status 400, with the path of the field.
pub fn from_object<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| malformed(&error))
}

/// Names the field that could not be read. For a missing or unknown field serde's path leads only
/// to the object; the name is in the text of the error.
fn malformed(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let reason = error.inner().to_string();
    let of_object = ["missing field `", "unknown field `"];
    let name = of_object
        .iter()
        .find_map(|start| reason.strip_prefix(start)?.split('`').next());
    let path = error.path().to_string();
    let field = match (path.as_str(), name) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "body".to_owned(),
        (path, Some(name)) if !path.ends_with(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    Problem::invalid(shorten(&field), reason)
}
