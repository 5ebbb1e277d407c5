//! Proving who this client is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use rsasl::callback::{Context, Request as Ask, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::prelude::{Mechname, SASLClient, SessionError};
use rsasl::property::{OAuthBearerKV, OAuthBearerToken};

use super::connection::Connection;
use super::request::{Request, text};
use crate::config::{BearerToken, Credentials, Mechanism, Sasl};
use crate::error::KafkaError;

/// Returns for how long the broker takes the credentials to be good, if it says so.
pub(super) async fn authenticate(
    connection: &mut Connection,
    sasl: &Sasl,
    limit: Duration,
) -> Result<Option<Duration>, KafkaError> {
    let mechanism = sasl.mechanism();
    handshake(connection, mechanism, limit).await?;

    let address = connection.address().to_string();
    let unreadable = |error: String| KafkaError::Unauthenticated {
        address: address.clone(),
        reason: error,
    };
    let credentials = sasl.credentials().await;
    let credentials = credentials.map_err(|error| KafkaError::NoToken(error.to_string()))?;
    let config = config(credentials).map_err(|error| unreadable(error.to_string()))?;
    let name = Mechname::parse(mechanism.name().as_bytes());
    let name = name.map_err(|error| unreadable(error.to_string()))?;
    let session = SASLClient::new(config).start_suggested(&[name]);
    let mut session = session.map_err(|error| unreadable(error.to_string()))?;

    let mut received: Option<Bytes> = None;
    let mut lifetime = None;
    loop {
        let mut sent = Vec::new();
        let state = session.step(received.as_deref(), &mut sent);
        let state = state.map_err(|error| unreadable(error.to_string()))?;
        if state.has_sent_message() {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(sent.into());
            let answer = call(connection, &request, limit).await?;
            if answer.error_code != 0 {
                let reason = answer.error_message.unwrap_or_default();
                return Err(refused(&address, answer.error_code, reason.as_str()));
            }
            let millis = u64::try_from(answer.session_lifetime_ms).unwrap_or_default();
            lifetime = Some(Duration::from_millis(millis)).filter(|life| !life.is_zero());
            received = Some(answer.auth_bytes);
        }
        if state.is_finished() {
            return Ok(lifetime);
        }
    }
}

async fn call<R: Request>(
    connection: &mut Connection,
    request: &R,
    limit: Duration,
) -> Result<R::Response, KafkaError> {
    let version = connection.version::<R>()?;
    connection.call(request, version, limit).await
}

async fn handshake(
    connection: &mut Connection,
    mechanism: Mechanism,
    limit: Duration,
) -> Result<(), KafkaError> {
    let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism.name()));
    let answer = call(connection, &request, limit).await?;
    match ResponseError::try_from_code(answer.error_code) {
        None => Ok(()),
        Some(ResponseError::UnsupportedSaslMechanism) => {
            let offered: Vec<&str> = answer.mechanisms.iter().map(StrBytes::as_str).collect();
            Err(KafkaError::Unauthenticated {
                address: connection.address().to_string(),
                reason: format!(
                    "it takes {}, and not {}",
                    offered.join(", "),
                    mechanism.name()
                ),
            })
        }
        Some(error) => Err(KafkaError::refused(
            SaslHandshakeRequest::NAME,
            error.code(),
        )),
    }
}

fn refused(address: &str, code: i16, message: &str) -> KafkaError {
    match ResponseError::try_from_code(code) {
        Some(ResponseError::SaslAuthenticationFailed) => KafkaError::Unauthenticated {
            address: address.to_owned(),
            reason: message.to_owned(),
        },
        _ => KafkaError::Refused {
            api: SaslAuthenticateRequest::NAME,
            code,
            message: Some(message.to_owned()),
        },
    }
}

fn config(credentials: Credentials) -> Result<Arc<SASLConfig>, rsasl::prelude::SASLError> {
    match credentials {
        Credentials::Password { user, password } => {
            SASLConfig::with_credentials(None, user, password.0)
        }
        Credentials::Token(token) => SASLConfig::builder()
            .with_default_mechanisms()
            .with_callback(Bearer(token)),
    }
}

struct Bearer(BearerToken);

impl SessionCallback for Bearer {
    fn callback(
        &self,
        _session: &SessionData,
        _context: &Context<'_>,
        ask: &mut Ask<'_>,
    ) -> Result<(), SessionError> {
        let BearerToken { token, extensions } = &self.0;
        let pairs = extensions
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<(&str, &str)> = pairs.collect();
        ask.satisfy::<OAuthBearerKV>(&pairs)?
            .satisfy::<OAuthBearerToken>(&token.0)?;
        Ok(())
    }
}
