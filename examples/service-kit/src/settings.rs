//! The options that every service has.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::auth::WriteTokens;
use crate::limits::Limits;
use crate::readiness::Readiness;
use crate::service::Service;
use crate::telemetry::LogFormat;

/// The options of every service, to be flattened into the options of yours:
///
/// ```
/// /// Keeps stock.
/// #[derive(clap::Parser)]
/// struct Options {
///     #[command(flatten)]
///     service: service_kit::Settings,
///     /// Where stock is kept.
///     #[arg(long)]
///     postgres: Option<secrecy::SecretString>,
/// }
/// ```
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct Settings {
    /// The address to listen on: ADDRESS:PORT, or only a PORT of 127.0.0.1.
    #[arg(long, default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,
    /// A TOML file with options; the command line and the environment override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A bearer token that requests other than GET must have; may be given several times, so that a
    /// new token can be used before the old one is removed. Other users of the machine can read the
    /// command line: use the environment or the file instead.
    #[arg(long, value_name = "TOKEN", value_delimiter = ',')]
    pub write_token: Vec<SecretString>,
    /// The format of log lines.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which log lines are written, as a filter of the crate tracing-subscriber:
    /// `info,stockade=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    pub log_filter: String,
    /// The OpenTelemetry collector that traces of requests are sent to, by OTLP over HTTP:
    /// `http://localhost:4318`. Without it there are no traces.
    #[arg(long, value_name = "URL")]
    pub traces: Option<String>,
    /// The part of the requests that is traced, from 0 to 1. A request whose client has begun a trace
    /// is traced if the client's trace is.
    #[arg(long, value_name = "PART", default_value_t = 0.01, value_parser = part)]
    pub trace_ratio: f64,
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub limits: Limits,
}

impl Settings {
    /// Listens on the address.
    ///
    /// # Errors
    /// If the address can't be listened on; the error names it.
    pub async fn bind(&self) -> anyhow::Result<TcpListener> {
        let listen = self.listen;
        TcpListener::bind(listen)
            .await
            .with_context(|| format!("can't listen on {listen}; choose another with --listen"))
    }

    /// A service with these limits and write tokens.
    ///
    /// # Errors
    /// If a write token is not allowed.
    pub fn service(&self, readiness: Readiness) -> anyhow::Result<Service> {
        let tokens = WriteTokens::new(&self.write_token)?;
        if tokens.is_empty() && !self.listen.ip().is_loopback() {
            let listen = self.listen;
            tracing::warn!(%listen, "all clients can write, because there is no --write-token");
        }
        Ok(Service::new(self.limits, readiness).with_write_tokens(tokens))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => Ok(([127, 0, 0, 1], port).into()),
        Err(_) => text
            .parse()
            .map_err(|_| "it must be ADDRESS:PORT or PORT".to_owned()),
    }
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| "it must be a number")?;
    match part {
        0.0..=1.0 => Ok(part),
        _ => Err("it must be from 0 to 1".to_owned()),
    }
}
