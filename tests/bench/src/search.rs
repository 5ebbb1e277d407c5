//! Queries with facets over many products, beside tantivy used bare for the same.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sample_catalogue::{fill, generate, until_shown};
use stockade_search_sync::{FacetRequest, Filter, Order, SearchIndex, SearchQuery, Sort, Total};
use stockade_tantivy::{TantivyIndex, TantivyOptions};

use crate::Form;
use crate::bare::{Bare, Spelling};
use crate::measure::Latencies;

const SEED: u64 = 1;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many products; 100,000, or 500 in the short form.
    #[arg(long)]
    products: Option<usize>,
}

/// Queries of one kind.
struct Case {
    name: &'static str,
    queries: Vec<SearchQuery>,
    spelling: Spelling,
}

pub(crate) async fn run(form: Form, args: &Args) -> anyhow::Result<()> {
    let (products, rounds) = match form {
        Form::Short => (500, 2),
        Form::Full => (100_000, 200),
    };
    let products = args.products.unwrap_or(products);
    let index = Arc::new(TantivyIndex::in_memory(TantivyOptions::default())?);
    let filled = fill(index.clone(), generate(products, SEED)).await?;
    until_shown(index.as_ref(), filled.products).await?;
    let bare = Bare::of(generate(products, SEED))?;
    println!(
        "{products} products in {} rows, {rounds} rounds",
        filled.rows
    );
    println!(
        "{:26} {:>9} {:>9} {:>9} {:>9}  {:>11}",
        "", "bare p50", "ours p50", "ratio p50", "ratio p99", "most found"
    );
    for case in cases() {
        compare(index.as_ref(), &bare, &case, rounds).await?;
    }
    suggestions(index.as_ref(), &bare, rounds).await
}

fn cases() -> Vec<Case> {
    let facets = ["brand", "product_type", "attributes.material"];
    let ask = |text: &str| {
        let with = |query: SearchQuery, field| query.with_facet(FacetRequest::new(field));
        facets.into_iter().fold(SearchQuery::text(text), with)
    };
    let texts = [
        "wireless headphones",
        "oled televisions",
        "striped shirts",
        "oak furniture",
        "trail shoes",
        "dark coffee",
        "electric bicycles",
        "gaming laptops",
        "brass lamps",
        "climbing plants",
    ];
    let misspelt = [
        "wireles headphnes",
        "televison oled",
        "stripd shirt",
        "walnt table",
        "expresso dark",
    ];
    let price = || Filter::Range {
        field: "price".to_owned(),
        min: Some(2_000.0),
        max: Some(60_000.0),
    };
    let cheapest = Sort::Field {
        field: "price".to_owned(),
        order: Order::Ascending,
    };
    let case = |name, queries| Case {
        name,
        queries,
        spelling: Spelling::Exact,
    };
    vec![
        case("two words", texts.map(ask).to_vec()),
        case(
            "in a price range",
            texts.map(|text| ask(text).with_filter(price())).to_vec(),
        ),
        case(
            "two brands chosen",
            vec![
                ask("headphones").with_filter(Filter::terms("brand", ["Northlight", "Osterman"])),
                ask("shirts").with_filter(Filter::terms("brand", ["Fernweh", "Pacer"])),
            ],
        ),
        case(
            "a category, cheapest first",
            vec![
                ask("")
                    .with_filter(Filter::terms("category", ["Laptops"]))
                    .with_sort(cheapest.clone()),
                ask("")
                    .with_filter(Filter::terms("category", ["Home"]))
                    .with_sort(cheapest),
            ],
        ),
        case("everything", vec![ask("")]),
        Case {
            name: "typing errors",
            queries: misspelt.map(ask).to_vec(),
            spelling: Spelling::Fuzzy,
        },
    ]
}

async fn compare(
    index: &dyn SearchIndex,
    bare: &Bare,
    case: &Case,
    rounds: usize,
) -> anyhow::Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut found, mut found_bare) = (0, 0);
    for _ in 0..rounds {
        for query in &case.queries {
            let begun = Instant::now();
            let page = black_box(index.search(query).await?);
            ours.push(begun.elapsed());
            let begun = Instant::now();
            let total_bare = black_box(bare.search(query, case.spelling)?);
            theirs.push(begun.elapsed());
            found = found.max(total(page.total));
            found_bare = found_bare.max(total_bare);
        }
    }
    row(case.name, ours, theirs, (found, found_bare));
    Ok(())
}

fn total(total: Total) -> usize {
    match total {
        Total::Exactly(count) | Total::AtLeast(count) => {
            usize::try_from(count).unwrap_or(usize::MAX)
        }
    }
}

async fn suggestions(index: &dyn SearchIndex, bare: &Bare, rounds: usize) -> anyhow::Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut found, mut found_bare) = (0, 0);
    for _ in 0..rounds {
        for typed in ["wir", "tele", "oak t", "velo", "gaming la", "esp"] {
            let begun = Instant::now();
            let suggested = black_box(index.suggest(typed, 8).await?);
            ours.push(begun.elapsed());
            let begun = Instant::now();
            let titles = black_box(bare.suggest(typed, 8)?);
            theirs.push(begun.elapsed());
            found = found.max(suggested.len());
            found_bare = found_bare.max(titles.len());
        }
    }
    row("suggestions", ours, theirs, (found, found_bare));
    Ok(())
}

fn row(name: &str, ours: Vec<Duration>, bare: Vec<Duration>, found: (usize, usize)) {
    let (ours, bare) = (Latencies::new(ours), Latencies::new(bare));
    println!(
        "{name:26} {:>9.2?} {:>9.2?} {:>9.2} {:>9.2}  {:>11}",
        bare.percentile(50),
        ours.percentile(50),
        ours.ratio(&bare, 50),
        ours.ratio(&bare, 99),
        format!("{}/{}", found.0, found.1),
    );
}
