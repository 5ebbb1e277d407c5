//! Three brokers of Kafka.

use std::path::PathBuf;

use crate::kafka::{Kafka, KafkaOptions, Listener};
use crate::server::{Left, Server};
use crate::tls::Certificates;

/// A cluster of three brokers, each a controller as well: one may be down.
#[derive(Debug)]
pub struct KafkaCluster {
    brokers: [Kafka; 3],
}

impl KafkaCluster {
    pub(super) fn new(brokers: [Kafka; 3]) -> Self {
        Self { brokers }
    }

    /// Starts one on free ports.
    ///
    /// # Errors
    /// Where Java or Maven is not installed, with the command that mends it, or Kafka can't be
    /// fetched or does not start, with the end of its log.
    pub fn start() -> anyhow::Result<Self> {
        KafkaOptions::new().start_cluster()
    }

    /// One for a test, or none where this machine has no Java or no Maven: which is said, and is a
    /// failure where `STOCKADE_REQUIRE_KAFKA` is set.
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test() -> Option<Self> {
        KafkaOptions::new().cluster_for_test()
    }

    /// Its brokers. The first has the id 1.
    #[must_use]
    pub fn brokers(&self) -> &[Kafka] {
        &self.brokers
    }

    /// The broker of that id, to be hurt.
    ///
    /// # Panics
    /// Where there is none: ids are 1, 2 and 3.
    #[must_use]
    pub fn broker(&mut self, id: usize) -> &mut Kafka {
        &mut self.brokers[id - 1]
    }

    /// Where its brokers are reached, as clients take it for `bootstrap.servers`.
    ///
    /// # Panics
    /// Where they were not set to be reached that way.
    #[must_use]
    pub fn bootstrap(&self, listener: Listener) -> String {
        let brokers = self.brokers.iter();
        let addresses = brokers.map(|broker| broker.address(listener).to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// What clients need for TLS, where it has it. All brokers have the same.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.brokers[0].certificates()
    }

    /// Starts all again, after a kill where they still run, with their data.
    ///
    /// # Errors
    /// With the end of a log, where they do not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        super::restart(&mut self.brokers)
    }

    /// Waits until each broker that runs knows of all that run.
    ///
    /// # Errors
    /// Where one does not within two minutes.
    pub fn agreed(&mut self) -> anyhow::Result<()> {
        let running = self.brokers.iter().filter(|broker| broker.runs()).count();
        let mut brokers = self.brokers.iter_mut().filter(|broker| broker.runs());
        brokers.try_for_each(|broker| broker.ready(running))
    }
}

impl Server for KafkaCluster {
    fn url(&self) -> String {
        self.bootstrap(Listener::Plain)
    }

    fn logs(&self) -> Vec<PathBuf> {
        self.brokers.iter().flat_map(Kafka::logs).collect()
    }

    fn leave(self: Box<Self>) -> Left {
        let url = self.url();
        let brokers = self.brokers.into_iter().map(Box::new);
        Left {
            url,
            processes: brokers
                .flat_map(|broker| broker.leave().processes)
                .collect(),
        }
    }
}
