//! Logs, as text or as JSON.

use std::io::IsTerminal as _;

use anyhow::{Context as _, anyhow};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

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

/// Writes logs to stderr from now on, as the settings say.
///
/// # Errors
/// If the filter is not allowed, or the process has a log already.
pub fn start_logs(settings: &Settings) -> anyhow::Result<()> {
    start_logs_to(settings, std::io::stderr)
}

/// Writes logs from now on, as the settings say, to this writer, which must write to stderr.
///
/// # Errors
/// As for [`start_logs`].
pub fn start_logs_to(
    settings: &Settings,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let filter = &settings.log_filter;
    let filter = EnvFilter::builder().parse(filter).with_context(|| {
        format!("{filter:?} is not a log filter; give another with --log-filter or RUST_LOG")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match settings.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("can't start the log: {error}"))
}
