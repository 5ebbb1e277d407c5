//! Merging rows into documents and writing them into an index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use sample_catalogue::{Entry, Filled, fill, generate};
use serde::{Deserialize, Serialize};
use stockade_search_sync::memory::MemoryIndex;
use stockade_tantivy::{TantivyIndex, TantivyOptions};

use crate::Form;
use crate::bare::Bare;
use crate::measure::{in_child, memory_of, mib};

const SEED: u64 = 1;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many rows; 100,000, or 2,000 in the short form.
    #[arg(long)]
    rows: Option<usize>,
    /// Only this one, in this process, with the outcome as JSON.
    #[arg(long, hide = true)]
    only: Option<Subject>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Subject {
    /// The products are made and thrown away: the memory that is not the index's.
    Nothing,
    /// Whole documents, added to tantivy one by one: the baseline.
    Bare,
    /// The index of search-sync that reads every document.
    Memory,
    /// stockade-tantivy in memory.
    Tantivy,
    /// stockade-tantivy in a directory, where what is done is durable.
    Directory,
}

#[derive(Serialize, Deserialize)]
struct Outcome {
    took: Duration,
    peak: u64,
}

pub(crate) async fn run(form: Form, args: &Args) -> anyhow::Result<()> {
    let rows = args.rows.unwrap_or(match form {
        Form::Short => 2_000,
        Form::Full => 100_000,
    });
    match args.only {
        Some(subject) => {
            let took = ingest(subject, rows).await?;
            let peak = memory_of(std::process::id())?.peak;
            println!("{}", serde_json::to_string(&Outcome { took, peak })?);
            Ok(())
        }
        None => compare(form, rows),
    }
}

fn compare(form: Form, rows: usize) -> anyhow::Result<()> {
    println!("{rows} rows");
    println!(
        "{:10} {:>9} {:>13} {:>6} {:>12}",
        "", "took", "rows a second", "ratio", "peak memory"
    );
    let mut bare = None;
    for subject in Subject::value_variants() {
        let value = subject.to_possible_value();
        let name = value.as_ref().map_or("", |value| value.get_name());
        let asked = ["ingest", "--rows", &rows.to_string(), "--only", name];
        let Outcome { took, peak } = in_child(form, &asked)?;
        let peak = mib(peak);
        if *subject == Subject::Nothing {
            println!("{name:10} {:>9} {:>13} {:>6} {peak:>12}", "", "", "");
            continue;
        }
        let seconds = took.as_secs_f64();
        let ratio = seconds / *bare.get_or_insert(seconds);
        let rate = rows as f64 / seconds;
        println!("{name:10} {took:>9.2?} {rate:>13.0} {ratio:>6.2} {peak:>12}");
    }
    Ok(())
}

async fn ingest(subject: Subject, rows: usize) -> anyhow::Result<Duration> {
    // Making the products is nobody's work here.
    let making = timed(|| entries(rows).for_each(drop)).1;
    let Filled { took, .. } = match subject {
        Subject::Nothing => return Ok(making),
        Subject::Bare => {
            let (bare, took) = timed(|| Bare::of(entries(rows)));
            drop(bare?);
            return Ok(took.saturating_sub(making));
        }
        Subject::Memory => fill(Arc::new(MemoryIndex::new()), entries(rows)).await?,
        Subject::Tantivy => {
            let index = TantivyIndex::in_memory(TantivyOptions::default())?;
            fill(Arc::new(index), entries(rows)).await?
        }
        Subject::Directory => {
            let directory = tempfile::tempdir()?;
            let index = TantivyIndex::open(directory.path(), TantivyOptions::default()).await?;
            fill(Arc::new(index), entries(rows)).await?
        }
    };
    Ok(took)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed())
}

/// As many products as have so many rows, one for each of them and one for each variant.
fn entries(rows: usize) -> impl Iterator<Item = Entry> {
    generate(rows, SEED).scan(0, move |made, entry| {
        *made += 1 + entry.content.variants.len();
        (*made <= rows).then_some(entry)
    })
}
