//! Where Kafka is, and how to get in.

mod sasl;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::{Clock, FeedError, SystemClock};

pub use self::sasl::{BearerToken, Sasl, TokenSource};
pub(crate) use self::sasl::{Credentials, Mechanism};
pub use self::tls::Tls;

/// Where Kafka is, and how to get in. Its `Debug` shows no secrets.
///
/// ```
/// use stockade_kafka::{KafkaConfig, Sasl, Tls};
///
/// # fn main() -> Result<(), stockade_change_feed::FeedError> {
/// let config = KafkaConfig::new(["kafka-1:9093", "kafka-2:9093"])?
///     .with_tls(Tls::system()?)
///     .with_sasl(Sasl::scram_sha_512("shop", "a secret"));
/// assert!(!format!("{config:?}").contains("a secret"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KafkaConfig {
    pub(crate) bootstrap: Vec<Address>,
    pub(crate) client_id: String,
    pub(crate) tls: Option<Tls>,
    pub(crate) sasl: Option<Sasl>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
}

impl KafkaConfig {
    /// The cluster that some of these brokers belong to, each as `host:port`. The others are found
    /// by them.
    ///
    /// # Errors
    /// [`FeedError::Invalid`] where there is none, or one has no port.
    pub fn new(bootstrap: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, FeedError> {
        let parse = |address: &str| Address::parse(address);
        let bootstrap = bootstrap.into_iter();
        let bootstrap: Vec<Address> = bootstrap
            .map(|address| parse(address.as_ref()))
            .collect::<Result<_, _>>()?;
        if bootstrap.is_empty() {
            let reason = "name at least one broker as host:port";
            return Err(FeedError::invalid("bootstrap", "", reason));
        }
        Ok(Self {
            bootstrap,
            client_id: "stockade".to_owned(),
            tls: None,
            sasl: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// With another name, by which Kafka's logs, metrics and quotas know this client (`stockade`).
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// With encrypted connections, for a listener of the kind SSL or `SASL_SSL`.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// With credentials, for a listener of the kind `SASL_PLAINTEXT` or `SASL_SSL`.
    #[must_use]
    pub fn with_sasl(mut self, sasl: Sasl) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// With another limit for making a connection, TLS and credentials included (5 s).
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// With another limit for a broker's answer to one request (10 s). Requests that wait on
    /// purpose, such as a fetch, have that wait on top.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets the clock ([`SystemClock`]). It measures deadlines, heartbeats and the age of a lag, and
    /// dates published messages.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

/// Host and port of a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    fn parse(text: &str) -> Result<Self, FeedError> {
        let invalid = || FeedError::invalid("bootstrap", text, "it has the form host:port");
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(invalid)?;
        // An IPv6 address is in brackets.
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let port = port.parse().map_err(|_| invalid())?;
        let ambiguous = bare.is_none() && host.contains(':');
        if host.is_empty() || ambiguous || host.contains('/') {
            return Err(invalid());
        }
        let host = host.to_owned();
        Ok(Self { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

/// Text that is not shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for text in ["kafka:9092", "10.0.0.1:9092", "[::1]:9092"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "kafka",
            "kafka:",
            ":9092",
            "::1:9092",
            "kafka:99999",
            "http://kafka:9092",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn somebody_has_to_be_asked_first() {
        let none: [&str; 0] = [];
        let error = KafkaConfig::new(none).unwrap_err();
        assert!(error.to_string().contains("bootstrap"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = KafkaConfig::new(["kafka:9092"]).unwrap();
        for sasl in [
            Sasl::plain("ada", "hunter2"),
            Sasl::scram_sha_256("ada", "hunter2"),
        ] {
            let shown = format!("{:?}", config.clone().with_sasl(sasl));
            assert!(
                shown.contains("ada") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
        let shown = format!("{:?}", BearerToken::new("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
