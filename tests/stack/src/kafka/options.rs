//! How a Kafka is set.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::kafka::programs::Programs;
use crate::kafka::{Kafka, KafkaCluster, Listener, Ports};
use crate::port::Port;
use crate::server::Kind;
use crate::tls::Certificates;

/// Settings of each broker beside its defaults.
const SETTINGS: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("controller.listener.names", "CONTROLLER"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    (
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SSL:SSL,\
         SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
    ),
    (
        "sasl.enabled.mechanisms",
        "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    ),
    // Fewer files to make for a first group and a first transaction.
    ("offsets.topic.num.partitions", "5"),
    ("transaction.state.log.num.partitions", "5"),
    ("share.coordinator.state.topic.num.partitions", "5"),
    // A group's first member waits for nobody, and members may be short-lived.
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "100"),
    ("group.consumer.min.session.timeout.ms", "100"),
    ("group.consumer.min.heartbeat.interval.ms", "50"),
    ("group.consumer.session.timeout.ms", "6000"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    // A broker that is silent so long is replaced.
    ("broker.session.timeout.ms", "6000"),
    ("broker.heartbeat.interval.ms", "500"),
];

/// How a [`Kafka`] or each broker of a [`KafkaCluster`] is set.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// let options = stack::KafkaOptions::new()
///     .tls()
///     .user("shop", "secret")
///     .set("auto.create.topics.enable", "false")
///     .set("message.max.bytes", "2000000");
/// let kafka = options.start()?;
/// let address = kafka.address(stack::Listener::SaslTls);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct KafkaOptions {
    settings: Vec<(String, String)>,
    tls: bool,
    users: Vec<(String, String)>,
    proxied: Vec<(Port, SocketAddr)>,
    pub(super) compiled_well: bool,
}

impl KafkaOptions {
    /// Reached in plain text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a broker's setting, such as `message.max.bytes` and `2000000`, beside its own and
    /// before them.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Reached by TLS as well: [`Listener::Tls`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Reached with a password as well: [`Listener::Sasl`], and with [`tls`](KafkaOptions::tls)
    /// [`Listener::SaslTls`]. It is taken as PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512; and by
    /// OAUTHBEARER, as anybody who has a token without signature.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Reached through a proxy as well: who comes by this port is told to come by that address
    /// again. A cluster takes one for each of its brokers.
    ///
    /// ```no_run
    /// # async fn hurt() -> anyhow::Result<()> {
    /// let port = stack::Port::take()?;
    /// let proxy = stack::Proxy::start(port.address()).await?;
    /// let kafka = stack::KafkaOptions::new().proxied(port, proxy.address()).start()?;
    /// // Clients are given `proxy.address()` and stay with it.
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn proxied(mut self, port: Port, address: SocketAddr) -> Self {
        self.proxied.push((port, address));
        self
    }

    /// Compiled as well as Java can: for benchmarks. It takes a while until it is, and twice the
    /// processor's time to start.
    #[must_use]
    pub fn compiled_well(mut self) -> Self {
        self.compiled_well = true;
        self
    }

    /// Starts one broker.
    ///
    /// # Errors
    /// Where Java or Maven is not installed, with the command that mends it, or Kafka can't be
    /// fetched or does not start, with the end of its log.
    pub fn start(self) -> anyhow::Result<Kafka> {
        let [kafka] = Kafka::start_several(self, &Programs::find()?)?;
        Ok(kafka)
    }

    /// Starts three brokers that are one cluster.
    ///
    /// # Errors
    /// As for [`start`](KafkaOptions::start).
    pub fn start_cluster(self) -> anyhow::Result<KafkaCluster> {
        Ok(KafkaCluster::new(Kafka::start_several(
            self,
            &Programs::find()?,
        )?))
    }

    /// As [`Kafka::for_test`].
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test(self) -> Option<Kafka> {
        Kind::Kafka.for_test(self.start())
    }

    /// As [`KafkaCluster::for_test`].
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn cluster_for_test(self) -> Option<KafkaCluster> {
        Kind::KafkaCluster.for_test(self.start_cluster())
    }

    /// Which ways lead to a broker.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let mut listeners = vec![Listener::Plain];
        if self.tls {
            listeners.push(Listener::Tls);
        }
        if !self.users.is_empty() {
            listeners.push(Listener::Sasl);
        }
        if self.tls && !self.users.is_empty() {
            listeners.push(Listener::SaslTls);
        }
        listeners
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls
    }

    /// The way of the next broker through a proxy.
    pub(super) fn take_proxied(&mut self) -> Option<(Port, SocketAddr)> {
        (!self.proxied.is_empty()).then(|| self.proxied.remove(0))
    }

    /// The users as `kafka-storage format --add-scram` takes them.
    pub(super) fn scram(&self) -> Vec<String> {
        let users = self.users.iter();
        let users = users.flat_map(|(name, password)| {
            ["SCRAM-SHA-256", "SCRAM-SHA-512"]
                .map(|mechanism| format!("{mechanism}=[name={name},password={password}]"))
        });
        users.collect()
    }

    /// The text of `server.properties`.
    pub(super) fn properties(
        &self,
        number: usize,
        ports: &Ports,
        voters: &str,
        brokers: usize,
        certificates: Option<&Certificates>,
        folder: &Path,
    ) -> String {
        let mut all: Vec<(String, String)> = SETTINGS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut put = |name: &str, value: String| all.push((name.to_owned(), value));
        put("node.id", number.to_string());
        put("controller.quorum.voters", voters.to_owned());
        put("log.dirs", folder.join("data").display().to_string());
        put("listeners", ports.listeners());
        put("advertised.listeners", ports.advertised());
        for topic in [
            "default.replication.factor",
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "share.coordinator.state.topic.replication.factor",
        ] {
            put(topic, brokers.to_string());
        }
        for topic in [
            "transaction.state.log.min.isr",
            "share.coordinator.state.topic.min.isr",
        ] {
            put(topic, brokers.min(2).to_string());
        }
        if let Some(certificates) = certificates {
            put("ssl.keystore.type", "PEM".to_owned());
            put(
                "ssl.keystore.location",
                certificates.server_with_key().display().to_string(),
            );
            put("ssl.truststore.type", "PEM".to_owned());
            put(
                "ssl.truststore.location",
                certificates.authority().display().to_string(),
            );
            put("ssl.client.auth", "requested".to_owned());
        }
        for listener in ["sasl_plaintext", "sasl_ssl"] {
            self.passwords(listener, &mut put);
        }
        all.extend(self.settings.iter().cloned());
        let mut text = String::new();
        // The last one of a name counts.
        for (name, value) in all {
            let _ = writeln!(text, "{name}={}", value.replace('\\', "\\\\"));
        }
        text
    }

    fn passwords(&self, listener: &str, put: &mut impl FnMut(&str, String)) {
        if self.users.is_empty() {
            return;
        }
        let mut jaas = |mechanism: &str, module: &str, options: &str| {
            let name = format!("listener.name.{listener}.{mechanism}.sasl.jaas.config");
            let module = format!("org.apache.kafka.common.security.{module}");
            put(&name, format!("{module} required{options};"));
        };
        let users = self.users.iter();
        let users = users.map(|(name, password)| format!(" user_{name}=\"{password}\""));
        jaas(
            "plain",
            "plain.PlainLoginModule",
            &users.collect::<String>(),
        );
        jaas("scram-sha-256", "scram.ScramLoginModule", "");
        jaas("scram-sha-512", "scram.ScramLoginModule", "");
        jaas(
            "oauthbearer",
            "oauthbearer.OAuthBearerLoginModule",
            " unsecuredLoginStringClaim_sub=\"broker\"",
        );
    }
}
