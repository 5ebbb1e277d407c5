//! A text finds the products that the user meant, the best first.

use serde_json::json;
use stockade_search_sync::{
    Facet, FacetRequest, FieldValue, SearchPage, SearchQuery, TotalHits, View,
};

use super::assortment::garment;
use super::test_search::{TestSearch, counted, everything, keys};
use super::{SearchHarness, assortment};

/// Whether these are the first hits, in any order.
fn begins_with(found: &[String], expected: &[&str]) -> bool {
    let mut first: Vec<&str> = found
        .iter()
        .take(expected.len())
        .map(String::as_str)
        .collect();
    first.sort_unstable();
    first == expected
}

pub(super) async fn a_word_finds_its_products<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for text in ["hoodie", "Hoodie", "HOODIE", " hoodie\t", "hoodie!"] {
        let found = search.find(text).await;
        assert!(
            begins_with(&found, &["blue-hoodie", "grey-hoodie", "white-hoodie"]),
            "{text:?} finds {found:?}"
        );
    }
    assert_eq!(search.find("geometric").await, ["polygon-tee"]);
}

pub(super) async fn blank_text_finds_everything<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let all = assortment::shown().len();
    for text in ["", " ", "\t\n  "] {
        let found = search.find(text).await;
        assert_eq!(found.len(), all, "{text:?} finds everything");
    }
}

pub(super) async fn an_unknown_word_finds_nothing<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = SearchQuery::text("xylophonists").with_facet(FacetRequest::new("brand"));
    let page = search.ask(&query).await;
    assert_eq!(keys(&page), Vec::<&str>::new());
    assert!(matches!(
        page.total,
        TotalHits::Exactly(0) | TotalHits::AtLeast(0)
    ));
    assert_eq!(page.facets, [Facet::new("brand".to_owned(), Vec::new())]);
    assert_eq!(page.next, None);
}

pub(super) async fn typos_are_tolerated<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (text, key) in [
        ("monospce tee", "mono-tee"),
        ("monospaace", "mono-tee"),
        ("polgyon", "polygon-tee"),
        ("lantren", "lantern"),
        ("borealiz", "borealis-43"),
    ] {
        let found = search.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some(key), "the best for {text:?} of {found:?}");
    }
}

/// Writes products with this word in the title and as the brand.
async fn called(search: &TestSearch, word: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let key = format!("{}-{number}", word.to_lowercase());
        let content = garment(&key, &format!("Linen {word}"), word);
        search.put(&content, 1).await;
    }
}

pub(super) async fn a_word_of_several_products_is_not_a_typo<H: SearchHarness>(h: H) {
    let search = TestSearch::empty(&h).await;
    called(&search, "Shirt", 0..5).await;
    called(&search, "Skirt", 0..4).await;
    let all = |count| move |page: &SearchPage| page.hits.len() == count;
    search
        .until("all products are found", &everything(), all(9))
        .await;
    let brands = FacetRequest::new("brand");
    for text in ["shirt", "shirts", "linen shirt"] {
        let query = SearchQuery::text(text).with_facet(brands.clone());
        let page = search.ask(&query).await;
        assert_eq!(counted(&page), [("Shirt", 5)], "for {text:?}");
    }
    let query = SearchQuery::text("skirt").with_facet(brands);
    let page = search.ask(&query).await;
    assert_eq!(
        counted(&page),
        [("Shirt", 5), ("Skirt", 4)],
        "skirts are rare"
    );
    assert!(keys(&page)[..4].iter().all(|key| key.starts_with("skirt")));
    called(&search, "Skirt", 4..5).await;
    search
        .until("one more product is found", &everything(), all(10))
        .await;
    let page = search.ask(&query).await;
    assert_eq!(counted(&page), [("Skirt", 5)], "skirts are no longer rare");
}

pub(super) async fn a_title_ranks_above_a_description<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let found = search.find("lantern").await;
    assert_eq!(
        found,
        ["lantern", "camping-kit"],
        "a word in the title counts more than in the description"
    );
}

pub(super) async fn an_equal_identifier_comes_first<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (text, key) in [
        ("MT-100-M", "mono-tee"),
        ("MT-100-L", "mono-tee"),
        ("PT-200-M", "polygon-tee"),
        ("LN-1", "lantern"),
        ("MUG-07", "mug-07"),
        ("blue-scarf", "blue-scarf"),
    ] {
        let found = search.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some(key), "{text} is its identifier: {found:?}");
    }
}

pub(super) async fn the_last_word_may_be_unfinished<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (text, key) in [
        ("monosp", "mono-tee"),
        ("Dark Poly", "polygon-tee"),
        ("grey hoo", "grey-hoodie"),
        ("campi", "camping-kit"),
    ] {
        let found = search.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some(key), "the best for {text:?} of {found:?}");
    }
}

pub(super) async fn a_hit_with_both_words_comes_first<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for text in ["blue hoodie", "hoodie blue"] {
        let found = search.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some("blue-hoodie"), "{text:?} finds {found:?}");
    }
}

pub(super) async fn words_of_keywords_are_searched<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (text, expected) in [
        ("borealis", &["borealis-43"][..]),
        ("electronics", &["aurora-55", "aurora-65", "borealis-43"]),
        ("oled", &["aurora-55", "aurora-65"]),
        ("dolby", &["aurora-55"]),
        ("wool", &["blue-scarf"]),
    ] {
        let found = search.find(text).await;
        assert!(begins_with(&found, expected), "{text:?} finds {found:?}");
    }
}

pub(super) async fn stored_fields_are_not_searched<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let found = search.find("thingumabob").await;
    assert!(found.is_empty(), "found by the name of an image: {found:?}");
}

pub(super) async fn a_hit_has_the_fields_of_its_product<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let page = search.ask(&everything()).await;
    for hit in &page.hits {
        let stored = search.writer.view_of(&hit.key).await;
        assert_eq!(Some(&hit.view), stored.as_ref(), "{}", hit.key);
    }
    let tee = page.hits.iter().find(|hit| hit.key == "mono-tee");
    let field = |view: &View, name: &str| view.fields.get(name).cloned().unwrap_or_default();
    let view = &tee.expect("the query matches everything").view;
    let skus = ["MT-100-L", "MT-100-M", "MT-100-S"].map(|sku| FieldValue::Text(sku.to_owned()));
    assert_eq!(field(view, "sku"), skus);
    let prices = field(view, "price");
    assert_eq!(prices, [2_499.0, 1_999.0].map(FieldValue::Number));
    let media = field(view, "media");
    let [FieldValue::Text(media)] = &media[..] else {
        panic!("media must be returned unchanged, not as {media:?}");
    };
    let expected =
        json!([{"url": "https://example.com/thingumabob.png?a=1&b=%20", "alt": "A thingumabob"}]);
    assert_eq!(serde_json::from_str(media).ok(), Some(expected));
}

pub(super) async fn words_after_the_20th_are_ignored<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    // If all 60 words counted, two thirds of them would have to match.
    let text = format!("{}{}", "grey hoodie ".repeat(10), "lantern ".repeat(40));
    let found = search.find(&text).await;
    let best = found.first().map(String::as_str);
    assert_eq!(best, Some("grey-hoodie"), "{text:?} finds {found:?}");
}
