//! What comes from Maven Central.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::cache;
use crate::daemon::Daemon;
use crate::programs;

/// Of Maven's own plugin.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// Artifacts with all that they need at runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jars {
    /// What they are together.
    pub(crate) name: &'static str,
    /// Each as `group:artifact:version`.
    pub(crate) artifacts: &'static [&'static str],
    /// Those of their dependencies that are left out, as `group:artifact`.
    pub(crate) without: &'static [&'static str],
}

impl Jars {
    /// The folder that they are in. The first call on a machine fetches them.
    ///
    /// # Errors
    /// Where Maven is not installed, with the command that mends it, or can't fetch them.
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        let pom = self.pom()?;
        cache::kept(self.name, &pom, |folder| {
            let daemon = Daemon::new("maven", Signal::TERM)?;
            let path = daemon.folder().join("pom.xml");
            fs::write(&path, &pom)?;
            let mut maven = maven()?;
            maven.arg("-f").arg(path);
            maven.arg(format!("{PLUGIN}:copy-dependencies"));
            maven.arg("-DincludeScope=runtime");
            maven.arg(format!("-DoutputDirectory={}", folder.display()));
            let fetched = daemon.prepare(&maven);
            fetched.with_context(|| format!("{} can't be fetched by Maven", self.name))
        })
    }

    fn pom(&self) -> anyhow::Result<String> {
        let mut left_out = String::new();
        for artifact in self.without {
            let (group, artifact) = artifact.split_once(':').context("group:artifact")?;
            write!(
                left_out,
                "<exclusion><groupId>{group}</groupId>\
                 <artifactId>{artifact}</artifactId></exclusion>"
            )?;
        }
        let mut dependencies = String::new();
        for artifact in self.artifacts {
            let parts: Vec<_> = artifact.split(':').collect();
            let [group, artifact, version] = parts[..] else {
                anyhow::bail!("{artifact} is not group:artifact:version");
            };
            write!(
                dependencies,
                "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                 <version>{version}</version><exclusions>{left_out}</exclusions></dependency>"
            )?;
        }
        Ok(format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\
             <modelVersion>4.0.0</modelVersion><packaging>pom</packaging>\
             <groupId>stockade</groupId><artifactId>{}</artifactId><version>0</version>\
             <dependencies>{dependencies}</dependencies></project>",
            self.name
        ))
    }
}

fn maven() -> anyhow::Result<Command> {
    let Some(maven) = programs::find("mvn") else {
        return Err(programs::missing("Maven", "maven"));
    };
    let mut command = Command::new(maven);
    command.args(["--batch-mode", "--quiet"]);
    Ok(command)
}
