//! Where Kafka's programs are, and what runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cache;
use crate::java::Java;
use crate::kafka::{Kafka, KafkaOptions};
use crate::maven::Jars;

/// The version of all that is Kafka's.
const JARS: Jars = Jars {
    name: "kafka-4.3.1",
    artifacts: &[
        "org.apache.kafka:kafka_2.13:4.3.1",
        "org.apache.kafka:kafka-tools:4.3.1",
        "org.apache.kafka:connect-runtime:4.3.1",
        "org.apache.kafka:connect-json:4.3.1",
        // Kafka brings no logger of its own.
        "org.slf4j:slf4j-simple:1.7.36",
    ],
    without: &[],
};

const JAVA: u32 = 17;

#[derive(Clone, Debug)]
pub(crate) struct Programs {
    java: Java,
    jars: PathBuf,
    /// What saves or makes the time of reading the classes.
    classes: String,
}

impl Programs {
    /// Fetches them, where this machine does not have them yet.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let mut programs = Self {
            java: Java::find(JAVA)?,
            jars: JARS.folder()?,
            classes: String::new(),
        };
        let classes = programs.classes()?;
        programs.classes = format!("-XX:SharedArchiveFile={}", classes.display());
        Ok(programs)
    }

    /// An archive of the classes as they are in memory, with which a broker starts in a third of
    /// the time. One that does not suit is left aside by Java.
    fn classes(&self) -> anyhow::Result<PathBuf> {
        const NAME: &str = "classes.jsa";
        let description = format!("{} {}", self.java.describe(), self.jars.display());
        let folder = cache::kept("kafka-classes", &description, |folder| {
            let mut making = self.clone();
            let file = folder.join(NAME);
            making.classes = format!("-XX:ArchiveClassesAtExit={}", file.display());
            // Written by each process in turn, and by the broker last.
            let [mut kafka] = Kafka::start_several(KafkaOptions::new(), &making)?;
            kafka.stop()?;
            anyhow::ensure!(file.is_file(), "Java has not written {}", file.display());
            Ok(())
        });
        Ok(folder.context("an archive of Kafka's classes")?.join(NAME))
    }

    /// Runs a class of Kafka in that folder.
    pub(crate) fn java(
        &self,
        folder: &Path,
        options: &[&str],
        class: &str,
    ) -> anyhow::Result<Command> {
        let mut command = self.java.command(folder)?;
        command.args(options).arg(&self.classes);
        command.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
        command.arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS");
        command.arg("-cp").arg(self.jars.join("*")).arg(class);
        Ok(command)
    }
}
