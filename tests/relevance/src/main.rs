//! Prints how well search answers what shoppers type, beside tantivy's default query parser.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use relevance::{Baseline, Evaluation, Query, SAMPLE_QUERIES, Score, queries};
use sample_catalogue::{Entry, fill, sample};
use stockade_search_sync::memory::MemoryIndex;

/// How well search answers what shoppers type, over the sample catalogue or another.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Catalogue: newline-delimited JSON, one product a line.
    #[arg(long, value_name = "FILE", requires = "queries")]
    catalogue: Option<PathBuf>,
    /// Queries: a line each of kind, text and products, with tabs between.
    #[arg(long, value_name = "FILE", requires = "catalogue")]
    queries: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (entries, queries) = match (&args.catalogue, &args.queries) {
        (Some(catalogue), Some(table)) => {
            let lines = read(catalogue)?;
            let entries = lines.lines().map(|line| Entry::parse(line.as_bytes()));
            (entries.collect::<Result<_, _>>()?, queries(&read(table)?)?)
        }
        _ => (sample().collect(), queries(SAMPLE_QUERIES)?),
    };
    evaluate(entries, &queries).await
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

async fn evaluate(entries: Vec<Entry>, queries: &[Query]) -> anyhow::Result<()> {
    let products = entries.len();
    let index = Arc::new(MemoryIndex::new());
    fill(index.clone(), entries).await?;
    let ours = Evaluation::of_index(index.as_ref(), queries).await?;
    let theirs = Evaluation::of_baseline(&Baseline::of(index.as_ref()).await?, queries)?;
    println!("{} queries over {products} products", queries.len());
    println!(
        "{:10} {:>7}   {:>14}   tantivy's default parser",
        "", "", "ours"
    );
    println!(
        "{:10} {:>7}   {:>6} {:>7}   {:>6} {:>7}",
        "kind", "queries", "MRR", "R@10", "MRR", "R@10"
    );
    for kind in ours.kinds() {
        row(kind, ours.score(Some(kind)), theirs.score(Some(kind)));
    }
    row("all", ours.score(None), theirs.score(None));
    for failure in ours.failures() {
        println!("{failure}");
    }
    Ok(())
}

fn row(name: &str, ours: Score, theirs: Score) {
    let Score {
        queries,
        mrr,
        recall_at_10,
    } = ours;
    println!(
        "{name:10} {queries:>7}   {mrr:>6.3} {recall_at_10:>7.3}   {:>6.3} {:>7.3}",
        theirs.mrr, theirs.recall_at_10,
    );
}
