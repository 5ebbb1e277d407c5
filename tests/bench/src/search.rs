//! Queries with facets over many products, beside tantivy used bare for the same.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sample_catalogue::{fill, generate, until_shown};
use stockade_search_sync::{
    FacetRequest, Filter, SearchIndex, SearchQuery, Sort, SortOrder, TotalHits,
};
use stockade_tantivy::{TantivyIndex, TantivyOptions};

use crate::Form;
use crate::bare::{Bare, Work};
use crate::measure::{Latencies, memory_of, mib};

const SEED: u64 = 1;
const SUGGESTIONS: &str = "suggestions";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many products; 100,000, or 500 in the short form.
    #[arg(long)]
    products: Option<usize>,
    /// Only the kinds of queries whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Queries of one kind.
struct Case {
    name: &'static str,
    queries: Vec<SearchQuery>,
    /// What answers them at the least.
    least: Work,
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
    let memory = mib(memory_of(std::process::id())?.peak);
    let bare = Bare::of(generate(products, SEED))?;
    quiet(index.as_ref(), form).await?;
    println!(
        "{products} products in {} rows, at most {memory} when filled, {rounds} rounds",
        filled.rows
    );
    println!(
        "least: the least bare query that finds them; same: a bare one that does the same work"
    );
    println!(
        "{:26} {:>9} {:>9} {:>9}  {:>15}  {:>15}  {:>17}",
        "p50, ratios at p50 and p99",
        "least",
        "same",
        "ours",
        "ours to least",
        "ours to same",
        "found by each"
    );
    for case in cases() {
        if case.name.contains(&args.only) {
            compare(index.as_ref(), &bare, &case, rounds).await?;
        }
    }
    if SUGGESTIONS.contains(&args.only) {
        suggestions(index.as_ref(), &bare, rounds).await?;
    }
    Ok(())
}

/// Lets the index merge what it has left apart while it was filled, as it does when nothing is
/// written for a while: bare tantivy, too, has waited for its merges.
async fn quiet(index: &dyn SearchIndex, form: Form) -> anyhow::Result<()> {
    let begun = Instant::now();
    while form == Form::Full && begun.elapsed() < Duration::from_secs(20) {
        index.search(&SearchQuery::text("")).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
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
        order: SortOrder::Ascending,
    };
    let case = |name, queries| Case {
        name,
        queries,
        least: Work::Exact,
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
            least: Work::Fuzzy,
        },
    ]
}

/// How long each took, and the most that it found.
#[derive(Default)]
struct Measured {
    took: Vec<Duration>,
    found: usize,
}

impl Measured {
    fn add(&mut self, begun: Instant, found: usize) {
        self.took.push(begun.elapsed());
        self.found = self.found.max(found);
    }
}

/// Asks each in turn, twice, and counts the second time: the first one fills the processor's caches
/// with what it reads, whoever had the turn before.
async fn compare(
    index: &dyn SearchIndex,
    bare: &Bare,
    case: &Case,
    rounds: usize,
) -> anyhow::Result<()> {
    let (mut least, mut same, mut ours) = Default::default();
    for _ in 0..rounds {
        for query in &case.queries {
            index.search(query).await?;
            let begun = Instant::now();
            let page = black_box(index.search(query).await?);
            Measured::add(&mut ours, begun, total(page.total));
            for (measured, work) in [(&mut least, case.least), (&mut same, Work::Same)] {
                bare.search(query, work)?;
                let begun = Instant::now();
                let found = black_box(bare.search(query, work)?);
                Measured::add(measured, begun, found);
            }
        }
    }
    row(case.name, least, Some(same), ours);
    Ok(())
}

fn total(total: TotalHits) -> usize {
    match total {
        TotalHits::Exactly(count) | TotalHits::AtLeast(count) => {
            usize::try_from(count).unwrap_or(usize::MAX)
        }
    }
}

async fn suggestions(index: &dyn SearchIndex, bare: &Bare, rounds: usize) -> anyhow::Result<()> {
    let (mut least, mut ours) = (Measured::default(), Measured::default());
    for _ in 0..rounds {
        for typed in ["wir", "tele", "oak t", "velo", "gaming la", "esp"] {
            index.suggest(typed, 8).await?;
            let begun = Instant::now();
            let suggested = black_box(index.suggest(typed, 8).await?);
            ours.add(begun, suggested.len());
            bare.suggest(typed, 8)?;
            let begun = Instant::now();
            let titles = black_box(bare.suggest(typed, 8)?);
            least.add(begun, titles.len());
        }
    }
    row(SUGGESTIONS, least, None, ours);
    Ok(())
}

fn row(name: &str, least: Measured, same: Option<Measured>, ours: Measured) {
    let all = std::iter::once(&least).chain(&same).chain([&ours]);
    let found: Vec<_> = all.map(|measured| measured.found.to_string()).collect();
    let latencies = |measured: Measured| Latencies::new(measured.took);
    let (least, same, ours) = (latencies(least), same.map(latencies), latencies(ours));
    let middle = |of: &Latencies| format!("{:.2?}", of.percentile(50));
    let ratios = |to: &Latencies| format!("{:.2} {:.2}", ours.ratio(to, 50), ours.ratio(to, 99));
    println!(
        "{name:26} {:>9} {:>9} {:>9}  {:>15}  {:>15}  {:>17}",
        middle(&least),
        same.as_ref().map(middle).unwrap_or_default(),
        middle(&ours),
        ratios(&least),
        same.as_ref().map(ratios).unwrap_or_default(),
        found.join("/"),
    );
}
