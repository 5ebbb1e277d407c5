//! Merging rows into documents and writing them into an index.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use sample_catalogue::{Filled, fill, sample};
use serde::{Deserialize, Serialize};
use stockade_search_sync::memory::MemoryIndex;

use crate::Form;
use crate::measure::{in_child, mib, peak_memory};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this one, in this process, with the result as JSON.
    #[arg(long, hide = true)]
    only: Option<Index>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Index {
    Memory,
}

#[derive(Serialize, Deserialize)]
struct Outcome {
    rows: usize,
    took: Duration,
    peak: u64,
}

pub(crate) async fn run(form: Form, args: &Args) -> anyhow::Result<()> {
    if let Some(index) = args.only {
        let Filled { rows, took } = match index {
            Index::Memory => fill(Arc::new(MemoryIndex::new()), sample()).await?,
        };
        let peak = peak_memory()?;
        println!("{}", serde_json::to_string(&Outcome { rows, took, peak })?);
        return Ok(());
    }
    for index in Index::value_variants() {
        let name = index.to_possible_value().expect("none is skipped");
        let outcome: Outcome = in_child(form, &["ingest", "--only", name.get_name()])?;
        let rate = outcome.rows as f64 / outcome.took.as_secs_f64();
        let (rows, peak) = (outcome.rows, mib(outcome.peak));
        println!(
            "{:10} {rows} rows, {rate:.0} a second, at most {peak}",
            name.get_name()
        );
    }
    Ok(())
}
