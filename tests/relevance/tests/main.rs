//! What search must not fall behind.

use std::sync::Arc;

use relevance::{Comparison, SALEOR_QUERIES, SAMPLE_QUERIES, queries};
use sample_catalogue::{Entry, sample};
use stockade_search_sync::memory::MemoryIndex;

/// Names a copy of Saleor's public demo catalogue, as newline-delimited JSON.
const SALEOR_DEMO: &str = "STOCKADE_SALEOR_DEMO";

/// How many times the baseline's MRR it has to be.
const BETTER: f64 = 1.05;

async fn comparison(entries: Vec<Entry>, table: &str) -> anyhow::Result<Comparison> {
    let subject = Arc::new(MemoryIndex::new());
    Comparison::of(subject, entries, &queries(table)?).await
}

#[tokio::test]
async fn the_sample_is_searched_better_than_by_the_default_parser() {
    let comparison = comparison(sample().collect(), SAMPLE_QUERIES)
        .await
        .unwrap();
    println!("{comparison}");
    let Comparison { ours, theirs } = &comparison;
    let (all, baseline) = (ours.score(None), theirs.score(None));
    assert!(all.queries >= 120);
    assert!(all.mrr >= BETTER * baseline.mrr, "{comparison}");
    assert!(all.recall_at_10 >= baseline.recall_at_10, "{comparison}");
}

#[tokio::test]
async fn a_foreign_catalogue_is_searched_better_than_by_the_default_parser() {
    let Ok(path) = std::env::var(SALEOR_DEMO) else {
        eprintln!("SKIPPED: {SALEOR_DEMO} names no copy of Saleor's demo catalogue");
        return;
    };
    let lines = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let entries = lines.lines().map(|line| Entry::parse(line.as_bytes()));
    let entries = entries.collect::<Result<_, _>>().unwrap();
    let comparison = comparison(entries, SALEOR_QUERIES).await.unwrap();
    println!("{comparison}");
    let (ours, theirs) = (comparison.ours.score(None), comparison.theirs.score(None));
    assert!(ours.queries >= 30);
    assert!(ours.mrr >= BETTER * theirs.mrr, "{comparison}");
}
