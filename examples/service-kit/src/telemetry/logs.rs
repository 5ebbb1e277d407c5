//! Logs, as text or as JSON, and where traces go.

use std::io::IsTerminal as _;

use anyhow::{Context as _, anyhow};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::traces;
use crate::settings::Settings;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object on each line, for log collectors.
    Json,
}

/// Writes logs to stderr from now on, and sends traces of the service of this name, as the settings
/// say.
///
/// # Errors
/// If the filter or the URL of the collector is not allowed, or the process has a log already.
pub fn start_logs(service: &str, settings: &Settings) -> anyhow::Result<()> {
    start_logs_to(service, settings, std::io::stderr)
}

/// As [`start_logs`], but to this writer, which must write to stderr.
///
/// # Errors
/// As for [`start_logs`].
pub fn start_logs_to(
    service: &str,
    settings: &Settings,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let filter = &settings.log_filter;
    let filter = EnvFilter::builder().parse(filter).with_context(|| {
        format!("{filter:?} is not a log filter; give another with --log-filter or RUST_LOG")
    })?;
    let traces = settings.traces.as_deref();
    let traces = traces.map(|collector| traces::layer(service, collector, settings.trace_ratio));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(traces.transpose()?)
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| anyhow!("can't start the log: {error}"))
}
