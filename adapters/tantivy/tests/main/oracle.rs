//! The index finds, counts and sorts the same as the index that scans all documents.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{
    FacetRequest, FieldValue, Filter, IndexWriter, Projection, SearchIndex, SearchPage,
    SearchQuery, Sort, SortOrder, TotalHits, View,
};
use stockade_tantivy::{TantivyIndex, TantivyOptions};

use crate::documents::{generation, put, titled};

const WORDS: [&str; 12] = [
    "shirt",
    "shirts",
    "t-shirt",
    "tshirt",
    "skirt",
    "red",
    "lamp",
    "lamps",
    "headphones",
    "head",
    "phones",
    "55",
];
const TYPED: [&str; 14] = [
    "shirt",
    "shrit",
    "t shirt",
    "tshirts",
    "t-shirt",
    "re",
    "lamp",
    "lampp",
    "headphone",
    "head pho",
    "haedphnes",
    "55",
    "inches",
    "nothing",
];
const FIELDS: [&str; 6] = [
    "brand",
    "category",
    "price",
    "attributes.a",
    "attributes.b",
    "attributes.size_inches",
];

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        prop::sample::select(vec!["x", "y", "55", "Red lamp", "é"])
            .prop_map(|text| FieldValue::Text(text.to_owned())),
        prop::sample::select(vec![55.0, -1.5, 0.0, 1e20]).prop_map(FieldValue::Number),
    ]
}

fn title() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 1..4).prop_map(|words| words.join(" "))
}

fn shown() -> impl Strategy<Value = View> {
    let fields = prop::sample::select(&FIELDS[..]);
    let values = prop::collection::vec((fields, value()), 0..8);
    (title(), values).prop_map(|(title, values)| {
        let mut view = View::default();
        view.fields
            .insert("title".to_owned(), vec![FieldValue::Text(title)]);
        for (field, value) in values {
            let value = match (field, value) {
                ("brand" | "category", FieldValue::Number(number)) => {
                    FieldValue::Text(number.to_string())
                }
                ("price", FieldValue::Text(text)) => FieldValue::Number(text.len() as f64),
                (_, value) => value,
            };
            let values = view.fields.entry(field.to_owned()).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
        view
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let term = prop::sample::select(vec!["x", "y", "55", "55.0", "-1.5", "Red lamp", "nan"]);
    let terms = prop::collection::vec(term, 1..3);
    let field = prop::sample::select(&FIELDS[..]);
    let ranged = prop::sample::select(&FIELDS[2..]);
    let ends = prop::sample::select(vec![-1.5_f64, 0.0, 1.0, 55.0, 1e20]);
    prop_oneof![
        (field, terms).prop_map(|(field, terms)| Filter::terms(field, terms)),
        (ranged, ends.clone(), ends).prop_map(|(field, a, b)| Filter::Range {
            field: field.to_owned(),
            min: Some(a.min(b)),
            max: Some(a.max(b)),
        }),
    ]
}

fn query() -> impl Strategy<Value = SearchQuery> {
    let text = prop::collection::vec(prop::sample::select(&TYPED[..]), 0..4);
    let filters = prop::collection::vec(filter(), 0..4);
    let facets = prop::collection::vec(prop::sample::select(&FIELDS[..]), 0..4);
    let order = prop_oneof![Just(SortOrder::Ascending), Just(SortOrder::Descending)];
    let field = (prop::sample::select(&FIELDS[..]), order).prop_map(|(field, order)| Sort::Field {
        field: field.to_owned(),
        order,
    });
    let sort = prop_oneof![Just(Sort::Relevance), field];
    (text, filters, facets, sort).prop_map(|(text, filters, facets, sort)| SearchQuery {
        text: text.join(" "),
        filters,
        facets: facets.into_iter().map(FacetRequest::new).collect(),
        sort,
        size: 100,
        cursor: None,
    })
}

fn keys(page: &SearchPage) -> Vec<String> {
    page.hits.iter().map(|hit| hit.key.clone()).collect()
}

/// The keys of all pages of two hits.
async fn paged(index: &dyn SearchIndex, query: &SearchQuery) -> Vec<String> {
    let mut query = query.clone().with_size(2);
    let mut found = Vec::new();
    loop {
        let page = index.search(&query).await.unwrap();
        found.extend(keys(&page));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return found,
        }
    }
}

type Write = (usize, Option<View>);

/// Fills both indexes in steps. Each step is found before the next one begins.
async fn filled(steps: &[Vec<Write>]) -> (TantivyIndex, MemoryIndex) {
    let options = TantivyOptions::default().with_refresh_interval(Duration::ZERO);
    let index = TantivyIndex::in_memory(options).unwrap();
    let oracle = MemoryIndex::new();
    let name = generation("products");
    let writers: [&dyn IndexWriter; 2] = [&index, &oracle];
    for writer in writers {
        writer.create(&name, &Projection::catalog()).await.unwrap();
        writer.activate(&name).await.unwrap();
    }
    for (number, step) in steps.iter().enumerate() {
        // The marker is found when the step is found.
        let marker = format!("marker-{number}");
        let mut documents: Vec<_> = Vec::new();
        for (key, view) in step {
            let key = format!("p{key}");
            documents.retain(|(known, _)| *known != titled(&key, "same"));
            documents.push((titled(&key, "same"), view.clone()));
        }
        documents.push((titled(&marker, ""), Some(View::default())));
        for writer in writers {
            put(writer, &name, documents.clone()).await;
        }
        let all = SearchQuery::default().with_size(100);
        let expected = keys(&oracle.search(&all).await.unwrap());
        while keys(&index.search(&all).await.unwrap()) != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    (index, oracle)
}

async fn compare(steps: Vec<Vec<Write>>, queries: Vec<SearchQuery>) -> Result<(), TestCaseError> {
    let (index, oracle) = filled(&steps).await;
    for query in queries {
        let expected = oracle.search(&query).await.unwrap();
        let page = index.search(&query).await.unwrap();
        prop_assert_eq!(
            page.total,
            TotalHits::Exactly(expected.hits.len() as u64),
            "{:?}",
            query
        );
        prop_assert_eq!(&page.facets, &expected.facets, "{:?}", query);
        let (found, wanted) = (keys(&page), keys(&expected));
        match query.sort {
            Sort::Field { .. } => prop_assert_eq!(&found, &wanted, "{:?}", query),
            Sort::Relevance => {
                let set = |keys: &[String]| keys.iter().cloned().collect::<BTreeSet<_>>();
                prop_assert_eq!(set(&found), set(&wanted), "{:?}", query);
            }
        }
        prop_assert_eq!(paged(&index, &query).await, found, "in pages: {:?}", query);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_finds_counts_and_sorts_the_same_as_a_scan(
        steps in prop::collection::vec(
            prop::collection::vec((0..12_usize, prop::option::weighted(0.85, shown())), 1..10),
            1..4,
        ),
        queries in prop::collection::vec(query(), 12),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(compare(steps, queries))?;
    }
}
