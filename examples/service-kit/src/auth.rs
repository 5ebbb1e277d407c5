//! Checks the tokens of writing requests.

use std::sync::Arc;

use anyhow::ensure;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::problem::{Problem, ProblemType};

/// The fewest characters of a token: shorter ones can be guessed.
const LENGTH: usize = 16;

/// The bearer tokens for writing. Without any token, all clients may write.
///
/// Only digests of the tokens are kept. They are compared in constant time, so the response time
/// shows nothing about a token.
#[derive(Clone, Default)]
pub struct WriteTokens(Arc<[[u8; 32]]>);

impl WriteTokens {
    /// These tokens.
    ///
    /// # Errors
    /// If a token is shorter than 16 characters or has characters that RFC 6750 does not allow. The
    /// error does not contain the token.
    pub fn new(tokens: &[SecretString]) -> anyhow::Result<Self> {
        let digests = tokens.iter().map(|token| {
            let token = token.expose_secret();
            ensure!(
                token.len() >= LENGTH,
                "a write token has {} characters; it must have at least {LENGTH}",
                token.len(),
            );
            ensure!(
                token.bytes().all(is_allowed),
                "a write token may only have letters, digits and -._~+/="
            );
            Ok(digest(token.as_bytes()))
        });
        Ok(Self(digests.collect::<anyhow::Result<_>>()?))
    }

    /// Whether there are no tokens, so that all clients may write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn accept(&self, token: &[u8]) -> bool {
        let given = digest(token);
        let equal = self.0.iter().map(|known| known.ct_eq(&given));
        equal.fold(Choice::from(0), |any, equal| any | equal).into()
    }

    fn check(&self, request: &Request) -> Result<(), Problem> {
        let reads = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        if reads || self.is_empty() {
            return Ok(());
        }
        let unauthorized =
            |detail| Problem::new(ProblemType::UNAUTHORIZED, detail).with("field", "Authorization");
        let value = request.headers().get(header::AUTHORIZATION);
        let Some((scheme, token)) = value.and_then(|value| split(value.as_bytes())) else {
            return Err(unauthorized(
                "writes need the header Authorization: Bearer TOKEN",
            ));
        };
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(unauthorized("the scheme of Authorization must be Bearer"));
        }
        if !self.accept(token) {
            return Err(unauthorized("the bearer token is unknown"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for WriteTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WriteTokens({})", self.0.len())
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// The scheme and the credentials of an Authorization header.
fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    Some((&value[..space], value[space..].trim_ascii()))
}

/// Refuses requests that write without a token.
pub(crate) async fn authorized(
    State(tokens): State<WriteTokens>,
    request: Request,
    next: Next,
) -> Response {
    match tokens.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut response = problem.into_response();
            let challenge = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
    }
}
