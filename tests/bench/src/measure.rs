//! What every subject measures with.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::de::DeserializeOwned;

use crate::Form;

/// How long each of many rounds took.
#[derive(Clone)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Of at least one round.
    pub(crate) fn new(mut rounds: Vec<Duration>) -> Self {
        assert!(!rounds.is_empty(), "nothing was measured");
        rounds.sort_unstable();
        Self(rounds)
    }

    /// How many rounds there were.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time within which so many of a hundred rounds ended.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.0.len() * percent).div_ceil(100);
        self.0[at.saturating_sub(1)]
    }

    /// How many times as long as the baseline, at that percentile.
    pub(crate) fn ratio(&self, baseline: &Self, percent: usize) -> f64 {
        self.percentile(percent).as_secs_f64() / baseline.percentile(percent).as_secs_f64()
    }
}

/// Begins a call every so often, whether the ones before have ended or not, and returns how long
/// each took.
pub(crate) async fn paced<F>(
    calls: usize,
    every: Duration,
    call: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<Duration>>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut ticks = tokio::time::interval(every);
    let mut running = Vec::with_capacity(calls);
    for number in 0..calls {
        ticks.tick().await;
        let call = call(number);
        running.push(tokio::spawn(async move {
            let started = Instant::now();
            call.await?;
            anyhow::Ok(started.elapsed())
        }));
    }
    let mut took = Vec::with_capacity(calls);
    for call in running {
        took.push(call.await??);
    }
    Ok(took)
}

/// The one in the middle, of at least one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Memory of a process, in bytes.
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most so far.
    pub(crate) peak: u64,
}

/// What Linux says of a process's memory.
pub(crate) fn memory_of(process: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.context("memory is read as Linux tells it")?;
    let bytes = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.with_context(|| format!("no {name}"))?.parse()?;
        Ok(kib << 10)
    };
    Ok(Memory {
        now: bytes("VmRSS:")?,
        peak: bytes("VmHWM:")?,
    })
}

/// Runs this program once more, so that memory is measured apart, and reads the JSON that it
/// prints.
pub(crate) fn in_child<T: DeserializeOwned>(form: Form, args: &[&str]) -> anyhow::Result<T> {
    let mut child = Command::new(std::env::current_exe()?);
    if form == Form::Short {
        child.arg("--short");
    }
    let output = child.args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&output.stdout).context("the child printed no result")
}

/// Bytes for people.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}
