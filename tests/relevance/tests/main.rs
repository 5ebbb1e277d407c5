//! The lowest scores that search must reach.

use std::collections::BTreeSet;
use std::sync::Arc;

use relevance::{Comparison, SALEOR_QUERIES, SAMPLE_QUERIES, queries};
use sample_catalogue::{Entry, sample};
use stockade_tantivy::{TantivyIndex, TantivyOptions};

/// The path of a copy of Saleor's public demo catalogue, as newline-delimited JSON.
const SALEOR_DEMO: &str = "STOCKADE_SALEOR_DEMO";
/// If it is set, a missing copy is a failure instead of a skip.
const REQUIRE_SALEOR_DEMO: &str = "STOCKADE_REQUIRE_SALEOR_DEMO";

/// The lowest MRR of each kind.
///
/// If the words alone decide (the words of the title in any order, a prefix of them, or an
/// identifier), the right product always comes first. If letters, endings or spaces are wrong, or
/// the catalogue uses another word (`tv`), one query in ten may fail. If people describe a need in
/// their own words, three in ten may fail, because they share hardly any word with the catalogue.
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

/// The distance to a perfect MRR is at most half of the distance of the baseline.
fn assert_better(comparison: &Comparison) {
    let (ours, theirs) = (comparison.ours.score(None), comparison.theirs.score(None));
    assert!(1.0 - ours.mrr <= (1.0 - theirs.mrr) / 2.0, "{comparison}");
    assert!(ours.recall_at_10 > theirs.recall_at_10, "{comparison}");
}

#[tokio::test]
async fn the_sample_catalogue_is_searched_better_than_with_the_default_parser() {
    let comparison = comparison(sample().collect(), SAMPLE_QUERIES)
        .await
        .unwrap();
    println!("{comparison}");
    assert!(comparison.ours.score(None).queries >= 120);
    assert_better(&comparison);
    let floored: BTreeSet<_> = FLOORS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(comparison.ours.kinds(), floored, "each kind has a floor");
    for (kind, floor) in FLOORS {
        let score = comparison.ours.score(Some(kind));
        assert!(score.mrr >= floor, "{kind} is below {floor}\n{comparison}");
    }
}

#[tokio::test]
async fn another_catalogue_is_searched_better_than_with_the_default_parser() {
    let Ok(path) = std::env::var(SALEOR_DEMO) else {
        let skipped = format!("{SALEOR_DEMO} is not set to a copy of Saleor's demo catalogue");
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
    assert_better(&comparison);
}
