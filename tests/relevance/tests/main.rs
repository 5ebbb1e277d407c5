//! What search must not fall behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use relevance::{Comparison, SALEOR_QUERIES, SAMPLE_QUERIES, queries};
use sample_catalogue::{Entry, sample};
use stockade_tantivy::{TantivyIndex, TantivyOptions};

/// Names a copy of Saleor's public demo catalogue, as newline-delimited JSON.
const SALEOR_DEMO: &str = "STOCKADE_SALEOR_DEMO";
/// Makes a failure of the skip that follows without it.
const REQUIRE_SALEOR_DEMO: &str = "STOCKADE_REQUIRE_SALEOR_DEMO";

/// The least MRR of each kind.
///
/// Where the right answer follows from the words alone (they are the title's, in any order, or its
/// beginning, or an identifier), everybody gets it first. Where letters or endings are wrong or a
/// space is, or a word is not the catalogue's (`tv`), the query has to be guessed, and one in ten
/// may be guessed wrong. What people need is told in their own words, and three in ten of them
/// use hardly any of the catalogue's.
const FLOORS: [(&str, f64); 10] = [
    ("title", 1.0),
    ("order", 1.0),
    ("prefix", 1.0),
    ("sku", 1.0),
    ("model", 1.0),
    ("attribute", 0.9),
    ("typo", 0.9),
    ("plural", 0.9),
    ("compound", 0.9),
    ("need", 0.7),
];

async fn comparison(entries: Vec<Entry>, table: &str) -> anyhow::Result<Comparison> {
    let subject = Arc::new(TantivyIndex::in_memory(TantivyOptions::default())?);
    Comparison::of(subject, entries, &queries(table)?).await
}

/// What is lost against always being right is at most half of what the baseline loses.
fn assert_clearly_better(comparison: &Comparison) {
    let (ours, theirs) = (comparison.ours.score(None), comparison.theirs.score(None));
    assert!(1.0 - ours.mrr <= (1.0 - theirs.mrr) / 2.0, "{comparison}");
    assert!(ours.recall_at_10 > theirs.recall_at_10, "{comparison}");
}

#[tokio::test]
async fn the_sample_is_searched_clearly_better_than_by_the_default_parser() {
    let comparison = comparison(sample().collect(), SAMPLE_QUERIES)
        .await
        .unwrap();
    println!("{comparison}");
    assert!(comparison.ours.score(None).queries >= 120);
    assert_clearly_better(&comparison);
    let floored: BTreeSet<_> = FLOORS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(comparison.ours.kinds(), floored, "each kind has a floor");
    for (kind, floor) in FLOORS {
        let score = comparison.ours.score(Some(kind));
        assert!(score.mrr >= floor, "{kind} is below {floor}\n{comparison}");
    }
}

#[tokio::test]
async fn a_foreign_catalogue_is_searched_clearly_better_than_by_the_default_parser() {
    let Ok(path) = std::env::var(SALEOR_DEMO) else {
        let skipped = format!("{SALEOR_DEMO} names no copy of Saleor's demo catalogue");
        assert!(std::env::var_os(REQUIRE_SALEOR_DEMO).is_none(), "{skipped}");
        eprintln!("SKIPPED: {skipped}");
        return;
    };
    let lines = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let entries = lines.lines().map(|line| Entry::parse(line.as_bytes()));
    let entries = entries.collect::<Result<_, _>>().unwrap();
    let comparison = comparison(entries, SALEOR_QUERIES).await.unwrap();
    println!("{comparison}");
    assert!(comparison.ours.score(None).queries >= 30);
    assert_clearly_better(&comparison);
}
