//! Who this client is.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Secret;

/// Who this client is, and how it proves that.
#[derive(Clone, Debug)]
pub struct Sasl(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Password {
        mechanism: Mechanism,
        user: String,
        password: Secret,
    },
    Bearer(Source),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
    OauthBearer,
}

impl Mechanism {
    /// As the IANA and Kafka name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

#[derive(Clone)]
struct Source(Arc<dyn TokenSource>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource")
    }
}

/// Gives tokens for OAUTHBEARER.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that is valid now. It is asked for before each connection, so an implementation
    /// keeps a token for as long as it is valid.
    ///
    /// # Errors
    /// Whatever kept it from having one; the connection then fails for now, and is tried again.
    async fn token(&self) -> Result<BearerToken, Box<dyn StdError + Send + Sync>>;
}

/// A token for OAUTHBEARER. Its `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct BearerToken {
    pub(crate) token: Secret,
    pub(crate) extensions: Vec<(String, String)>,
}

impl BearerToken {
    /// A token in its compact form, as it follows `Bearer` in HTTP.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            token: Secret(token.into()),
            extensions: Vec::new(),
        }
    }

    /// With a SASL extension, such as the `logicalCluster` of a hosted Kafka.
    #[must_use]
    pub fn with_extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }
}

/// What a connection proves itself with.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    Password { user: String, password: Secret },
    Token(BearerToken),
}

impl Sasl {
    /// A user and a password, sent as they are: only over TLS.
    #[must_use]
    pub fn plain(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::password(Mechanism::Plain, user, password)
    }

    /// A user and a password, of which only a proof is sent.
    #[must_use]
    pub fn scram_sha_256(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::password(Mechanism::ScramSha256, user, password)
    }

    /// A user and a password, of which only a proof is sent.
    #[must_use]
    pub fn scram_sha_512(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::password(Mechanism::ScramSha512, user, password)
    }

    /// Tokens of an identity provider.
    #[must_use]
    pub fn oauth_bearer(source: Arc<dyn TokenSource>) -> Self {
        Self(Kind::Bearer(Source(source)))
    }

    fn password(
        mechanism: Mechanism,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self(Kind::Password {
            mechanism,
            user: user.into(),
            password: Secret(password.into()),
        })
    }

    pub(crate) fn mechanism(&self) -> Mechanism {
        match &self.0 {
            Kind::Password { mechanism, .. } => *mechanism,
            Kind::Bearer(_) => Mechanism::OauthBearer,
        }
    }

    pub(crate) async fn credentials(&self) -> Result<Credentials, Box<dyn StdError + Send + Sync>> {
        match &self.0 {
            Kind::Password { user, password, .. } => Ok(Credentials::Password {
                user: user.clone(),
                password: password.clone(),
            }),
            Kind::Bearer(Source(source)) => source.token().await.map(Credentials::Token),
        }
    }
}
