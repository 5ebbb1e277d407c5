//! Reading requests: what is wrong is said as a [`Problem`] that names the field.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::shop::Shop;

/// The largest body that is read.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shop>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shop: &Arc<Shop>) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_json = content_type
            .and_then(|value| value.to_str().ok())
            .is_none_or(|value| {
                let essence = value.split(';').next().unwrap_or_default().trim();
                essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
            });
        if !is_json {
            let detail = "the body has to be application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
                .with("field", "Content-Type"));
        }
        let within = shop.limits().body_within;
        let reading = axum::body::to_bytes(request.into_body(), BODY_LIMIT);
        let Ok(read) = tokio::time::timeout(within, reading).await else {
            let detail = format!("the body has to arrive within {within:?}");
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail).with("field", "body"));
        };
        let bytes = read.map_err(|_| {
            let detail = format!("the body has to be whole, and at most {BODY_LIMIT} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).with("field", "body")
        })?;
        // An absent body stands for one without members.
        let json = match bytes.trim_ascii() {
            b"" | b"null" => b"{}",
            json => json,
        };
        // Else a list of the members in their order would be taken for the object.
        if !json.starts_with(b"{") {
            return Err(Problem::invalid("body", "it has to be a JSON object"));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let body = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| malformed(&error))?;
        deserializer
            .end()
            .map_err(|error| Problem::invalid("body", error.to_string()))?;
        Ok(Self(body))
    }
}

/// Reads a body that is JSON already.
pub(super) fn from_object<T: DeserializeOwned>(body: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(body)).map_err(|error| malformed(&error))
}

/// Names the field that could not be read. One that is missing or unknown is named by the error
/// only, after the path of the object that it should be in or is in.
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
    Problem::invalid(stockade_change_feed::shorten(&field), reason)
}

/// The one variable segment of a path, such as the SKU of `/stock/{sku}/movements`.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let raw = parts.uri.path().split('/').nth(2).unwrap_or_default();
        match percent_decode_str(raw).decode_utf8() {
            Ok(text) => Ok(Self(text.into_owned())),
            Err(_) => Err(Problem::invalid("path", "it has to be UTF-8")),
        }
    }
}

/// The parameters of a query string, in order; names may repeat.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        ))
    }
}

impl Params {
    /// Refuses names that mean nothing, so that a typing error is not taken for a wish.
    pub(crate) fn only(self, names: &[&str]) -> Result<Self, Problem> {
        match self
            .0
            .iter()
            .find(|(name, _)| !names.contains(&name.as_str()))
        {
            Some((name, _)) => {
                let reason = format!("unknown parameter; known are {}", names.join(", "));
                Err(Problem::invalid(
                    stockade_change_feed::shorten(name),
                    reason,
                ))
            }
            None => Ok(self),
        }
    }

    /// All values of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of a name, if it is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last().filter(|value| !value.is_empty())
    }

    /// The last value of a name as a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |value: &str| {
            value
                .parse()
                .map_err(|_| Problem::invalid(name, "it has to be a whole number"))
        };
        self.get(name).map(parse).transpose()
    }
}

/// A page size: 1 to 100.
pub(crate) fn limit(params: &Params, default: usize) -> Result<usize, Problem> {
    match params.number("limit")? {
        None => Ok(default),
        Some(limit @ 1..=100) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", "it has to be 1 to 100")),
    }
}
