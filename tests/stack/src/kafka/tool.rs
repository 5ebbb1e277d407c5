//! Kafka's own command line tools.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::kafka::programs::Programs;
use crate::kafka::{MEASURING, STOP, TOOL};

/// One of Kafka's command line tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KafkaTool {
    /// `kafka-configs`
    Configs,
    /// `kafka-console-consumer`
    ConsoleConsumer,
    /// `kafka-console-producer`
    ConsoleProducer,
    /// `kafka-consumer-groups`
    ConsumerGroups,
    /// `kafka-consumer-perf-test`
    ConsumerPerfTest,
    /// `kafka-e2e-latency`
    EndToEndLatency,
    /// `kafka-features`
    Features,
    /// `kafka-leader-election`
    LeaderElection,
    /// `kafka-producer-perf-test`
    ProducerPerfTest,
    /// `kafka-reassign-partitions`
    ReassignPartitions,
    /// `kafka-topics`
    Topics,
    /// `kafka-transactions`
    Transactions,
}

impl KafkaTool {
    const fn class(self) -> &'static str {
        match self {
            Self::Configs => "kafka.admin.ConfigCommand",
            Self::ConsoleConsumer => "org.apache.kafka.tools.consumer.ConsoleConsumer",
            Self::ConsoleProducer => "org.apache.kafka.tools.ConsoleProducer",
            Self::ConsumerGroups => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            Self::ConsumerPerfTest => "org.apache.kafka.tools.ConsumerPerformance",
            Self::EndToEndLatency => "org.apache.kafka.tools.EndToEndLatency",
            Self::Features => "org.apache.kafka.tools.FeatureCommand",
            Self::LeaderElection => "org.apache.kafka.tools.LeaderElectionCommand",
            Self::ProducerPerfTest => "org.apache.kafka.tools.ProducerPerformance",
            Self::ReassignPartitions => "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
            Self::Topics => "org.apache.kafka.tools.TopicCommand",
            Self::Transactions => "org.apache.kafka.tools.TransactionsCommand",
        }
    }

    /// How it is compiled: tools that measure as well as Java can, which takes a while.
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::ConsumerPerfTest | Self::EndToEndLatency | Self::ProducerPerfTest => MEASURING,
            _ => TOOL,
        }
    }

    /// Starts it on the brokers at `bootstrap`: the URL of a
    /// [`Kafka`](crate::Kafka) or of a [`KafkaCluster`](crate::KafkaCluster), or what
    /// `STOCKADE_KAFKA_BOOTSTRAP` says. Its input is `input`, and its output goes to a file.
    ///
    /// # Errors
    /// Where Java or Maven is not installed, with the command that mends it, or Kafka can't be
    /// fetched.
    pub fn start(
        self,
        bootstrap: &str,
        arguments: &[&str],
        input: &str,
    ) -> anyhow::Result<RunningTool> {
        RunningTool::start(self, bootstrap, arguments, input)
    }

    /// What `kafka-consumer-groups` prints about a group: its rows, by the names of their columns.
    ///
    /// # Errors
    /// As for [`start`](KafkaTool::start), and with what it prints where it knows no partition of the
    /// group.
    pub fn describe_group(
        bootstrap: &str,
        group: &str,
    ) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
        let table = Self::ConsumerGroups.run(bootstrap, &["--describe", "--group", group])?;
        let mut lines = table.lines().filter(|line| !line.trim().is_empty());
        let header = lines.find(|line| line.contains("LOG-END-OFFSET"));
        let names: Vec<&str> = header.context(table.clone())?.split_whitespace().collect();
        let row = |line: &str| {
            let values = line.split_whitespace().map(str::to_owned);
            let names = names.iter().map(|&name| name.to_owned());
            names.zip(values).collect()
        };
        Ok(lines.map(row).collect())
    }

    /// Runs it to its end, and returns what it prints.
    ///
    /// # Errors
    /// As for [`start`](KafkaTool::start), and with what it says where it fails.
    pub fn run(self, bootstrap: &str, arguments: &[&str]) -> anyhow::Result<String> {
        self.start(bootstrap, arguments, "")?.finish()
    }
}

/// A tool that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct RunningTool {
    tool: KafkaTool,
    output: PathBuf,
    daemon: Daemon,
}

/// Becomes the command, with its input and its output in those files.
const REDIRECT: &str = r#"input=$1 output=$2; shift 2; exec "$@" <"$input" >"$output""#;

impl RunningTool {
    fn start(
        tool: KafkaTool,
        bootstrap: &str,
        arguments: &[&str],
        input: &str,
    ) -> anyhow::Result<Self> {
        let mut daemon = Daemon::new("kafka-tool", Signal::KILL)?;
        let folder = daemon.folder();
        let (from, to) = (folder.join("input"), folder.join("output"));
        fs::write(&from, input)?;
        let java = Programs::find()?.java(folder, tool.options(), tool.class())?;
        let mut command = Command::new("sh");
        command.current_dir(folder).args(["-c", REDIRECT, "sh"]);
        command.arg(from).arg(&to);
        command.arg(java.get_program()).args(java.get_args());
        command.args(["--bootstrap-server", bootstrap]);
        command.args(arguments);
        daemon.begin(&command)?;
        Ok(Self {
            tool,
            output: to,
            daemon,
        })
    }

    /// What it has printed so far.
    ///
    /// # Errors
    /// Where it has not begun.
    pub fn output(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(&self.output)?)
    }

    /// Waits until it ends by itself, and returns what it has printed.
    ///
    /// # Errors
    /// With what it says, where it fails.
    pub fn finish(mut self) -> anyhow::Result<String> {
        let done = self.daemon.finish();
        done.with_context(|| format!("{:?}", self.tool))?;
        self.output()
    }

    /// Asks it to end, so that it leaves its group, and waits until it has.
    ///
    /// # Errors
    /// Where it goes on for more than a minute.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.stop(STOP)
    }

    /// Kills it with SIGKILL, so that it is silent without having left its group.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Stops it until it is [resumed](RunningTool::resume).
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on after a [pause](RunningTool::pause).
    pub fn resume(&self) {
        self.daemon.resume();
    }
}
