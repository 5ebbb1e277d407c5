//! Prints how well search answers what shoppers type, compared with tantivy's default query parser.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use relevance::{Comparison, SAMPLE_QUERIES, queries};
use sample_catalogue::{Entry, sample};
use stockade_tantivy::{TantivyIndex, TantivyOptions};

/// How well search answers what shoppers type, over the sample catalogue or another one.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Catalogue: newline-delimited JSON, one product per line.
    #[arg(long, value_name = "FILE", requires = "queries")]
    catalogue: Option<PathBuf>,
    /// Queries: lines with a kind, a text and products, separated by tabs.
    #[arg(long, value_name = "FILE", requires = "catalogue")]
    queries: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (entries, queries): (Vec<_>, _) = match (&args.catalogue, &args.queries) {
        (Some(catalogue), Some(table)) => {
            let lines = read(catalogue)?;
            let entries = lines.lines().map(|line| Entry::parse(line.as_bytes()));
            (entries.collect::<Result<_, _>>()?, queries(&read(table)?)?)
        }
        _ => (sample().collect(), queries(SAMPLE_QUERIES)?),
    };
    let subject = Arc::new(TantivyIndex::in_memory(TantivyOptions::default())?);
    print!("{}", Comparison::of(subject, entries, &queries).await?);
    Ok(())
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}
