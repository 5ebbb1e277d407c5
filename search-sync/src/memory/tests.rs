use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::document::{Row, RowEdit, RowKey, RowVersion};
use crate::index::SearchIndex;
use crate::query::{
    Facet, FacetRequest, Filter, SearchPage, SearchQuery, Sort, SortOrder, TotalHits,
};

fn generation(name: &str) -> Generation {
    Generation::new(name).unwrap()
}

async fn index() -> MemoryIndex {
    let index = MemoryIndex::new();
    let generation = generation("g");
    index
        .create(&generation, &Projection::catalog())
        .await
        .unwrap();
    index.activate(&generation).await.unwrap();
    index
}

/// Puts a product. `version` must be higher than before.
async fn put(index: &MemoryIndex, key: &str, version: u128, mut columns: Value) {
    columns["status"] = json!("active");
    let row = |columns: &Value| Row {
        version: RowVersion(version),
        columns: columns.as_object().cloned(),
    };
    let edit = |table: &str, id: &str, row| RowEdit {
        document: DocumentId::Root(key.to_owned()),
        key: RowKey {
            table: table.to_owned(),
            key: id.to_owned(),
        },
        row,
    };
    let mut edits = vec![edit("products", key, row(&columns))];
    for variant in columns["variants"].as_array().into_iter().flatten() {
        edits.push(edit(
            "variants",
            variant["sku"].as_str().unwrap(),
            row(variant),
        ));
    }
    let projection = Projection::catalog();
    let id = DocumentId::Root(key.to_owned());
    let loaded = index.load(&generation("g"), &[id]).await;
    let mut loaded = loaded.unwrap().remove(0).unwrap();
    for edit in edits {
        projection.merge(&mut loaded.document, &edit);
    }
    let write = DocumentWrite {
        view: projection.view(&loaded.document).unwrap(),
        document: loaded.document,
        expected: loaded.revision,
    };
    let outcomes = index.write(&generation("g"), vec![write]).await.unwrap();
    assert!(outcomes[0].is_ok());
}

async fn titled(titles: &[&str]) -> MemoryIndex {
    let index = index().await;
    for title in titles {
        put(&index, title, 1, json!({"title": title})).await;
    }
    index
}

async fn search(index: &MemoryIndex, query: SearchQuery) -> SearchPage {
    index.search(&query).await.unwrap()
}

fn keys(page: &SearchPage) -> Vec<&str> {
    page.hits.iter().map(|hit| hit.key.as_str()).collect()
}

async fn found(index: &MemoryIndex, text: &str) -> Vec<String> {
    let page = search(index, SearchQuery::text(text)).await;
    page.hits.into_iter().map(|hit| hit.key).collect()
}

#[tokio::test]
async fn the_number_of_allowed_typos_depends_on_the_length_of_the_word() {
    let index = titled(&["Monospace Tee", "Cap", "Café crème", "Model 2024"]).await;
    assert_eq!(found(&index, "monospce tee").await, ["Monospace Tee"]);
    assert_eq!(found(&index, "mnospcae TEE").await, ["Monospace Tee"]);
    assert_eq!(found(&index, "cafe creme").await, ["Café crème"]);
    assert_eq!(found(&index, "cafw").await, ["Café crème"]);
    assert_eq!(found(&index, "xafe").await, ["Café crème"]);
    for nothing in ["cup", "2025", "monosp tee", "mnspc tee", "cawx"] {
        assert!(found(&index, nothing).await.is_empty(), "{nothing}");
    }
}

#[tokio::test]
async fn the_same_word_ranks_before_prefixes_and_prefixes_before_typos() {
    let index = titled(&["Shirt", "Shirts", "Shorts", "Skirt"]).await;
    assert_eq!(found(&index, "shirt").await, ["Shirt", "Shirts", "Skirt"]);
    assert_eq!(found(&index, "sh").await, ["Shirt", "Shirts", "Shorts"]);
}

#[tokio::test]
async fn a_title_ranks_above_a_description() {
    let index = index().await;
    let description = json!({"title": "A", "description": "pillow pillow pillow", "brand": "Pillow",
        "category": ["Pillow"], "attributes": {"a": "pillow", "b": "pillow x"}});
    put(&index, "a", 1, description).await;
    put(
        &index,
        "b",
        2,
        json!({"title": "The soft pillow of dreams", "description": "soft"}),
    )
    .await;
    assert_eq!(found(&index, "pillow").await, ["b", "a"]);
    // A typo in a title ranks below the same word in a description.
    put(&index, "b", 3, json!({"title": "Billow"})).await;
    assert_eq!(found(&index, "pillow").await, ["a", "b"]);
}

#[tokio::test]
async fn an_equal_identifier_comes_first() {
    let index = titled(&["tee-m tee-m tee m"]).await;
    put(
        &index,
        "z",
        1,
        json!({"title": "Other", "variants": [{"sku": "TEE-M"}]}),
    )
    .await;
    put(&index, "y", 1, json!({"title": "Odd", "slug": "--"})).await;
    assert_eq!(found(&index, " tee-M ").await, ["z", "tee-m tee-m tee m"]);
    assert_eq!(found(&index, "--").await, ["y"]);
    assert!(found(&index, "-").await.is_empty());
}

#[tokio::test]
async fn two_thirds_of_many_words_must_match() {
    let index = titled(&["red wool", "red wool hat", "red cotton shoe"]).await;
    assert_eq!(found(&index, "red hat").await, ["red wool hat"]);
    assert_eq!(
        found(&index, "red wool hat").await,
        ["red wool hat", "red wool"]
    );
    assert_eq!(found(&index, "red linen shoe").await, ["red cotton shoe"]);
}

#[tokio::test]
async fn query_syntax_is_plain_text() {
    let index = titled(&["alpha", "beta AND gamma", "title:x"]).await;
    assert_eq!(found(&index, "beta AND gamma").await, ["beta AND gamma"]);
    assert!(found(&index, "alpha OR zeta").await.is_empty());
    assert_eq!(found(&index, "\"alpha").await, ["alpha"]);
    assert_eq!(found(&index, "title:x").await, ["title:x"]);
    for nothing in ["*", "*:*", "\u{0}", "🎉", "-alpha~ ^zz"] {
        assert!(found(&index, nothing).await.is_empty(), "{nothing}");
    }
    assert_eq!(found(&index, " \t ").await.len(), 3);
}

#[tokio::test]
async fn facets_leave_their_own_filter_out() {
    let index = index().await;
    let products = [
        ("a", "wool", "red", 5),
        ("b", "wool", "blue", 6),
        ("c", "silk", "red", 7),
    ];
    for (key, material, color, size) in products {
        let attributes = json!({"material": material, "color": color, "size": size});
        put(
            &index,
            key,
            1,
            json!({"title": "Scarf", "attributes": attributes}),
        )
        .await;
    }
    let query = SearchQuery::text("scarf")
        .with_filter(Filter::terms("attributes.material", ["wool"]))
        .with_filter(Filter::Range {
            field: "attributes.size".to_owned(),
            min: Some(6.0),
            max: None,
        })
        .with_facet(FacetRequest::new("attributes.material"))
        .with_facet(FacetRequest::new("attributes.color"))
        .with_facet(FacetRequest::new("attributes.size").with_size(2))
        .with_facet(FacetRequest::new("in_stock"));
    let page = search(&index, query).await;
    assert_eq!(
        (keys(&page), page.total),
        (vec!["b"], TotalHits::Exactly(1))
    );
    let of = |facet: &Facet| {
        let values = facet.values.iter();
        values
            .map(|(value, count)| format!("{value} {count}"))
            .collect()
    };
    let values: Vec<Vec<String>> = page.facets.iter().map(of).collect();
    assert_eq!(
        values,
        [
            vec!["silk 1", "wool 1"],
            vec!["blue 1"],
            vec!["5 1", "6 1"],
            vec!["false 1"]
        ]
    );
    // Numbers are compared as numbers, not as text.
    let six = SearchQuery::default().with_filter(Filter::terms("attributes.size", ["6.0"]));
    assert_eq!(keys(&search(&index, six).await), ["b"]);
}

fn by(field: &str, order: SortOrder) -> Sort {
    Sort::Field {
        field: field.to_owned(),
        order,
    }
}

#[tokio::test]
async fn hits_without_the_sorted_field_come_last() {
    let index = index().await;
    let variant = |sku: &str, price: i64| json!({"sku": sku, "price_minor": price});
    put(
        &index,
        "a",
        1,
        json!({"variants": [variant("a1", 5), variant("a2", 30)]}),
    )
    .await;
    put(
        &index,
        "b",
        1,
        json!({"variants": [variant("b1", 10), variant("b2", 20)]}),
    )
    .await;
    put(&index, "c", 1, json!({})).await;
    put(&index, "d", 1, json!({"variants": [variant("d1", 10)]})).await;
    for (order, expected) in [
        (SortOrder::Ascending, ["a", "b", "d", "c"]),
        (SortOrder::Descending, ["a", "b", "d", "c"]),
    ] {
        let query = SearchQuery::default().with_sort(by("price", order));
        assert_eq!(keys(&search(&index, query).await), expected);
    }
}

#[tokio::test]
async fn pages_neither_overlap_nor_leave_gaps_while_documents_are_written() {
    let sorts = [
        Sort::Relevance,
        by("version", SortOrder::Descending),
        by("brand", SortOrder::Ascending),
    ];
    for sort in sorts {
        let index = index().await;
        let mut expected = Vec::new();
        for at in 0..20 {
            let key = format!("p{at:02}");
            let title = ["lamp", "lamp desk", "lamp desk desk"][at % 3];
            let brand = (at % 2 == 0).then_some("b");
            let row = json!({"title": title, "brand": brand, "version": at % 4});
            put(&index, &key, 1, row).await;
            expected.push(key);
        }
        let mut query = SearchQuery::text("lamp desk blue")
            .with_size(3)
            .with_sort(sort);
        expected.retain(|key| !key.is_empty() && key[1..].parse::<usize>().unwrap() % 3 != 0);
        let mut seen = Vec::new();
        for round in 0.. {
            let page = search(&index, query.clone()).await;
            seen.extend(
                page.hits
                    .into_iter()
                    .map(|hit| hit.key)
                    .filter(|key| key.len() == 3),
            );
            let Some(next) = page.next else { break };
            query = query.with_cursor(next);
            let title = ["desk", "lamp desk blue"][round % 2];
            // Words become rarer and more common, and new hits rank before and after.
            let row = json!({"title": title, "version": round});
            put(&index, &format!("new{round}"), 1, row).await;
            assert!(round < 100);
        }
        seen.sort();
        assert_eq!(seen, expected, "{:?}", query.sort);
    }
}

#[tokio::test]
async fn a_forged_cursor_is_refused() {
    let index = titled(&["lamp", "lamp shade"]).await;
    let query = SearchQuery::text("lamp").with_size(1);
    let page = search(&index, query.clone()).await;
    let other = SearchQuery::text("lamp shade desk").with_cursor(page.next.unwrap());
    assert!(index.search(&other).await.is_err());
    for position in [
        json!(null),
        json!({"at": [1]}),
        json!({"at": 1, "rarities": [1e300]}),
        json!({"at": 1, "rarities": [1.0], "known": [1]}),
        json!({"at": 1, "rarities": [1.0], "known": "all"}),
    ] {
        let cursor = crate::PageEnd::new(position, "p").encode(&Sort::Relevance);
        let error = index
            .search(&query.clone().with_cursor(cursor))
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with("cursor is invalid"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_cursor_without_known_words_is_accepted() {
    let index = titled(&["lamp", "lamp shade"]).await;
    let position = json!({"at": 100.0, "rarities": [1.0]});
    let cursor = crate::PageEnd::new(position, "").encode(&Sort::Relevance);
    let page = search(&index, SearchQuery::text("lamp").with_cursor(cursor)).await;
    assert_eq!(page.hits.len(), 2);
}

#[tokio::test]
async fn highlights_show_the_words_that_match() {
    let index = index().await;
    let long = format!(
        "{} a MONOSPACÉ font {}",
        "word ".repeat(80),
        "more ".repeat(80)
    );
    put(
        &index,
        "a",
        1,
        json!({"title": "Monospace Tee", "description": long}),
    )
    .await;
    let page = search(&index, SearchQuery::text("monospace")).await;
    let highlights = &page.hits[0].highlights;
    let fields: Vec<_> = highlights
        .iter()
        .map(|highlight| &highlight.field)
        .collect();
    assert_eq!(fields, ["title", "description"]);
    for (highlight, expected) in highlights.iter().zip(["Monospace", "MONOSPACÉ"]) {
        assert!(highlight.fragment.chars().count() <= 200);
        assert_eq!(&highlight.fragment[highlight.matches[0].clone()], expected);
    }
}

#[tokio::test]
async fn suggestions_complete_the_prefix() {
    let index = titled(&["Blue Monospace", "Monospace Tee", "Mono", "Tee"]).await;
    put(
        &index,
        "d",
        1,
        json!({"title": "Cup", "description": "mono"}),
    )
    .await;
    let suggest = async |prefix: &str| {
        let found = index.suggest(prefix, 2).await.unwrap();
        found
            .into_iter()
            .map(|suggestion| suggestion.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(suggest("mono").await, ["Mono", "Monospace Tee"]);
    assert_eq!(
        suggest("monospace").await,
        ["Monospace Tee", "Blue Monospace"]
    );
    assert_eq!(suggest("Monospace t").await, ["Monospace Tee"]);
    assert!(suggest(" ").await.is_empty());
    for limit in [0, 21] {
        assert!(index.suggest("a", limit).await.is_err());
    }
}

#[tokio::test]
async fn a_write_needs_the_newest_revision() {
    let index = index().await;
    let generation = generation("g");
    let id = DocumentId::Sku("s".to_owned());
    let write = |expected| DocumentWrite {
        document: Document::new(id.clone()),
        view: None,
        expected,
    };
    let load = async || {
        index
            .load(&generation, std::slice::from_ref(&id))
            .await
            .unwrap()
            .remove(0)
            .unwrap()
    };
    assert_eq!(load().await.revision, Revision::Absent);
    let both = vec![write(Revision::Absent), write(Revision::Absent)];
    let outcomes = index.write(&generation, both).await.unwrap();
    assert!(matches!(
        &outcomes[..],
        [Ok(()), Err(SearchError::Conflict { document })] if *document == id
    ));
    let first = load().await.revision;
    let again = index
        .write(&generation, vec![write(first.clone())])
        .await
        .unwrap();
    assert!(again[0].is_ok());
    let stale = index.write(&generation, vec![write(first)]).await.unwrap();
    assert!(matches!(stale[0], Err(SearchError::Conflict { .. })));
}

#[tokio::test]
async fn generations_are_separate() {
    let index = MemoryIndex::new();
    let (old, new) = (generation("old"), generation("new"));
    let everything = SearchQuery::default();
    let unknown = index.activate(&old).await.unwrap_err();
    assert!(matches!(unknown, SearchError::UnknownGeneration { .. }));
    let inactive = index.search(&everything).await.unwrap_err();
    assert!(matches!(inactive, SearchError::NothingActive));
    for generation in [&old, &new] {
        index
            .create(generation, &Projection::catalog())
            .await
            .unwrap();
    }
    index.activate(&old).await.unwrap();
    let states = [
        (new.clone(), GenerationState::Standby),
        (old.clone(), GenerationState::Active),
    ];
    assert_eq!(index.generations().await.unwrap(), states);
    assert!(index.remove(&old).await.is_err());
    index.remove(&new).await.unwrap();
    index.remove(&new).await.unwrap();
    assert!(index.load(&new, &[]).await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_query_panics(text in any::<String>(), title in any::<String>(), cursor in any::<Option<String>>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let index = titled(&[&title, "lamp"]).await;
            for text in [&text, &title] {
                let mut query = SearchQuery::text(text.as_str());
                query.cursor.clone_from(&cursor);
                let _ = index.search(&query).await;
                let _ = index.suggest(text, 20).await;
            }
        });
    }
}
