//! Kafka, from Maven Central.

mod cluster;
mod options;
mod probe;
mod programs;
mod tool;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::kafka::programs::Programs;
use crate::port::Port;
use crate::server::{Left, Server};
use crate::tls::Certificates;

pub use cluster::KafkaCluster;
pub use options::KafkaOptions;
pub use tool::{KafkaTool, RunningTool};

/// Of a broker.
const BROKER: &[&str] = &["-Xms64m", "-Xmx512m"];

/// Of a tool.
const TOOL: &[&str] = &["-Xmx256m", "-XX:+UseSerialGC", QUICK];

/// Of a tool that measures.
const MEASURING: &[&str] = &["-Xmx512m"];

/// What lives shortly is not worth being compiled well.
const QUICK: &str = "-XX:TieredStopAtLevel=1";

/// Nothing of it stays on the machine, and what it was told is in its data.
const FAREWELL: Signal = Signal::KILL;

/// How long a broker may take to hand its partitions over.
const STOP: Duration = Duration::from_secs(60);

/// A broker of Kafka, which is a controller as well. See [`KafkaOptions`] for what it can be set
/// to.
///
/// The calls block for up to some seconds: a test on a runtime with one thread makes them on
/// another.
#[derive(Debug)]
pub struct Kafka {
    daemon: Daemon,
    ports: Ports,
    certificates: Option<Certificates>,
    programs: Programs,
    compiled_well: bool,
}

/// A way to a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// In plain text, as anybody. Brokers talk to each other this way.
    Plain,
    /// By TLS, as anybody.
    Tls,
    /// In plain text, with a password.
    Sasl,
    /// By TLS, with a password.
    SaslTls,
}

impl Listener {
    /// As Kafka calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAINTEXT",
            Self::Tls => "SSL",
            Self::Sasl => "SASL_PLAINTEXT",
            Self::SaslTls => "SASL_SSL",
        }
    }
}

/// The ports of a broker.
#[derive(Debug)]
struct Ports {
    controller: Port,
    listeners: Vec<(Listener, Port)>,
    proxied: Option<(Port, SocketAddr)>,
}

impl Ports {
    /// On what it listens.
    fn listeners(&self) -> String {
        let mut all = format!("CONTROLLER://{}", self.controller.address());
        for (listener, port) in &self.listeners {
            all += &format!(",{}://{}", listener.name(), port.address());
        }
        if let Some((port, _)) = &self.proxied {
            all += &format!(",PROXIED://{}", port.address());
        }
        all
    }

    /// What it tells its clients.
    fn advertised(&self) -> String {
        let listeners = self.listeners.iter();
        let mut all: Vec<_> = listeners
            .map(|(listener, port)| format!("{}://{}", listener.name(), port.address()))
            .collect();
        let proxied = self.proxied.as_ref();
        all.extend(proxied.map(|(_, address)| format!("PROXIED://{address}")));
        all.join(",")
    }
}

impl Kafka {
    /// Starts one on free ports.
    ///
    /// # Errors
    /// Where Java or Maven is not installed, with the command that mends it, or Kafka can't be
    /// fetched or does not start, with the end of its log.
    pub fn start() -> anyhow::Result<Self> {
        KafkaOptions::new().start()
    }

    /// One for a test, or none where this machine has no Java or no Maven: which is said, and is a
    /// failure where `STOCKADE_REQUIRE_KAFKA` is set.
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test() -> Option<Self> {
        KafkaOptions::new().for_test()
    }

    /// Starts as many brokers as are asked for, as one cluster.
    fn start_several<const N: usize>(
        mut options: KafkaOptions,
        programs: &Programs,
    ) -> anyhow::Result<[Self; N]> {
        let mut brokers: Vec<Self> = Vec::new();
        for _ in 0..N {
            let daemon = Daemon::new("kafka", FAREWELL)?;
            let certificates = match (options.has_tls(), brokers.first()) {
                (false, _) => None,
                (true, None) => Some(Certificates::make(daemon.folder())?),
                (true, Some(first)) => first.certificates.clone(),
            };
            let listeners = options.listeners().into_iter();
            let listeners = listeners.map(|listener| Ok((listener, Port::take()?)));
            let ports = Ports {
                controller: Port::take()?,
                listeners: listeners.collect::<anyhow::Result<_>>()?,
                proxied: options.take_proxied(),
            };
            brokers.push(Self {
                daemon,
                ports,
                certificates,
                programs: programs.clone(),
                compiled_well: options.compiled_well,
            });
        }
        let voters: Vec<_> = (1..)
            .zip(&brokers)
            .map(|(number, broker)| format!("{number}@{}", broker.ports.controller.address()))
            .collect();
        for (number, broker) in (1..).zip(&brokers) {
            let certificates = broker.certificates.as_ref();
            let folder = broker.daemon.folder();
            let voters = voters.join(",");
            let properties =
                options.properties(number, &broker.ports, &voters, N, certificates, folder);
            fs::write(broker.properties(), properties)?;
        }
        let mut brokers = <[Self; N]>::try_from(brokers)
            .map_err(|_| anyhow::anyhow!("there are as many as were asked for"))?;
        in_parallel(&mut brokers, |broker| broker.format(&options.scram()))?;
        restart(&mut brokers)?;
        Ok(brokers)
    }

    /// Where it is reached.
    ///
    /// # Panics
    /// Where it was not set to be reached that way.
    #[must_use]
    pub fn address(&self, listener: Listener) -> SocketAddr {
        let mut listeners = self.ports.listeners.iter();
        let found = listeners.find(|(own, _)| *own == listener);
        let (_, port) = found.expect("it is reached that way");
        port.address()
    }

    /// What clients need for TLS, where it has it.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Kills it with SIGKILL, in the midst of whatever it does.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Asks it to hand its partitions over and to end, and waits until it has.
    ///
    /// # Errors
    /// Where it goes on for more than a minute.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.stop(STOP)
    }

    /// Starts it again on the same ports with its data, after a [kill](Kafka::kill) where it still
    /// runs. One of a cluster needs another that runs.
    ///
    /// # Errors
    /// With the end of its log, where it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        restart(std::slice::from_mut(self))
    }

    /// Stops it until it is [resumed](Kafka::resume).
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on after a [pause](Kafka::pause).
    pub fn resume(&self) {
        self.daemon.resume();
    }

    fn runs(&self) -> bool {
        self.daemon.runs()
    }

    fn properties(&self) -> PathBuf {
        self.daemon.folder().join("server.properties")
    }

    /// Lays its data out.
    fn format(&self, users: &[String]) -> anyhow::Result<()> {
        let folder = self.daemon.folder();
        let mut format = self
            .programs
            .java(folder, TOOL, "kafka.tools.StorageTool")?;
        // All brokers of a cluster have this in common, and two clusters never meet.
        format.args(["format", "-t", "c3RvY2thZGUtc3RhY2s", "-c"]);
        format.arg(self.properties());
        for user in users {
            format.args(["--add-scram", user]);
        }
        self.daemon.prepare(&format).context("kafka-storage format")
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let folder = self.daemon.folder();
        let mut options = BROKER.to_vec();
        if !self.compiled_well {
            options.push(QUICK);
        }
        let mut kafka = self.programs.java(folder, &options, "kafka.Kafka")?;
        kafka.arg(self.properties());
        self.daemon.begin(&kafka)
    }

    /// Waits until it knows of so many brokers.
    fn ready(&mut self, brokers: usize) -> anyhow::Result<()> {
        let address = self.address(Listener::Plain);
        self.daemon.ready(|| {
            let known = probe::brokers(address)?;
            anyhow::ensure!(known >= brokers, "it knows of {known} brokers");
            Ok(())
        })
    }
}

/// Starts these, which need each other, and waits until each knows of all.
fn restart(brokers: &mut [Kafka]) -> anyhow::Result<()> {
    brokers.iter_mut().try_for_each(Kafka::begin)?;
    let count = brokers.len();
    brokers
        .iter_mut()
        .try_for_each(|broker| broker.ready(count))
}

/// Does it to all at the same time.
fn in_parallel(
    brokers: &mut [Kafka],
    work: impl Fn(&mut Kafka) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = brokers
            .iter_mut()
            .map(|broker| scope.spawn(move || work(broker)))
            .collect();
        let done = threads.into_iter().map(|thread| {
            let panicked = |_| Err(anyhow::anyhow!("a thread panicked"));
            thread.join().unwrap_or_else(panicked)
        });
        done.collect()
    })
}

impl Server for Kafka {
    /// Host and port, as clients take them for `bootstrap.servers`.
    fn url(&self) -> String {
        self.address(Listener::Plain).to_string()
    }

    fn logs(&self) -> Vec<PathBuf> {
        vec![self.daemon.log()]
    }

    fn leave(self: Box<Self>) -> Left {
        Left {
            url: self.url(),
            processes: vec![self.daemon.leave()],
        }
    }
}
