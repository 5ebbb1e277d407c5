//! Request headers.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use stockade_change_feed::shorten;

use crate::problem::Problem;

/// The headers of a request, read as text.
#[derive(Clone, Debug)]
pub struct Headers(HeaderMap);

impl<S: Send + Sync> FromRequestParts<S> for Headers {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(parts.headers.clone()))
    }
}

impl Headers {
    /// The value of a header, whose length in bytes must be within `bytes`.
    ///
    /// # Errors
    /// Status 400 if it is not UTF-8, too short, too long, or repeated.
    pub fn text(&self, name: &str, bytes: RangeInclusive<usize>) -> Result<Option<&str>, Problem> {
        text(&self.0, name, bytes)
    }
}

fn text<'a>(
    headers: &'a HeaderMap,
    name: &str,
    bytes: RangeInclusive<usize>,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::invalid(name, "the header must not be repeated"));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if bytes.contains(&text.len()) => Ok(Some(text)),
        _ => {
            let (least, most) = (bytes.start(), bytes.end());
            let given = shorten(&String::from_utf8_lossy(value.as_bytes()));
            let reason = format!("it must be {least} to {most} bytes of UTF-8; got {given:?}");
            Err(Problem::invalid(name, reason))
        }
    }
}

/// The header `Idempotency-Key`, if the request has it: 1 to 255 bytes of UTF-8 that identify the
/// request, so that it can be repeated.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let key = text(&parts.headers, "Idempotency-Key", 1..=255)?;
        Ok(Self(key.map(str::to_owned)))
    }
}
