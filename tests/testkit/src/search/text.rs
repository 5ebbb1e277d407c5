//! What somebody typed finds what was meant, the best first.

use serde_json::json;
use stockade_search_sync::{Facet, FacetRequest, FieldValue, SearchPage, SearchQuery, Total, View};

use super::assortment::garment;
use super::shopper::{Shopper, counted, everything, keys};
use super::{SearchHarness, assortment};

/// Whether the first hits are these, in any order.
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
    let shopper = Shopper::open(&h).await;
    for text in ["hoodie", "Hoodie", "HOODIE", " hoodie\t", "hoodie!"] {
        let found = shopper.find(text).await;
        assert!(
            begins_with(&found, &["blue-hoodie", "grey-hoodie", "white-hoodie"]),
            "{text:?} finds {found:?}"
        );
    }
    assert_eq!(shopper.find("geometric").await, ["polygon-tee"]);
}

pub(super) async fn blank_text_finds_everything<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let all = assortment::shown().len();
    for text in ["", " ", "\t\n  "] {
        let found = shopper.find(text).await;
        assert_eq!(found.len(), all, "{text:?} finds everything");
    }
}

pub(super) async fn what_is_nowhere_finds_nothing<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let query = SearchQuery::text("xylophonists").with_facet(FacetRequest::new("brand"));
    let page = shopper.ask(&query).await;
    assert_eq!(keys(&page), Vec::<&str>::new());
    assert!(matches!(page.total, Total::Exactly(0) | Total::AtLeast(0)));
    assert_eq!(page.facets, [Facet::new("brand".to_owned(), Vec::new())]);
    assert_eq!(page.next, None);
}

pub(super) async fn typos_are_forgiven<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for (text, key) in [
        ("monospce tee", "mono-tee"),
        ("monospaace", "mono-tee"),
        ("polgyon", "polygon-tee"),
        ("lantren", "lantern"),
        ("borealiz", "borealis-43"),
    ] {
        let found = shopper.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some(key), "the best for {text:?} of {found:?}");
    }
}

/// So many products called by a word, each with it as its brand, too.
async fn called(shopper: &Shopper, word: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let key = format!("{}-{number}", word.to_lowercase());
        let content = garment(&key, &format!("Linen {word}"), word);
        shopper.put(&content, 1).await;
    }
}

pub(super) async fn a_word_that_products_have_is_no_typo<H: SearchHarness>(h: H) {
    let shopper = Shopper::before_opening(&h).await;
    called(&shopper, "Shirt", 0..5).await;
    called(&shopper, "Skirt", 0..4).await;
    let all = |count| move |page: &SearchPage| page.hits.len() == count;
    shopper.until("all came", &everything(), all(9)).await;
    let brands = FacetRequest::new("brand");
    for text in ["shirt", "shirts", "linen shirt"] {
        let query = SearchQuery::text(text).with_facet(brands.clone());
        let page = shopper.ask(&query).await;
        assert_eq!(counted(&page), [("Shirt", 5)], "for {text:?}");
    }
    let query = SearchQuery::text("skirt").with_facet(brands);
    let page = shopper.ask(&query).await;
    assert_eq!(counted(&page), [("Shirt", 5), ("Skirt", 4)], "it is rare");
    assert!(keys(&page)[..4].iter().all(|key| key.starts_with("skirt")));
    called(&shopper, "Skirt", 4..5).await;
    shopper.until("one more came", &everything(), all(10)).await;
    let page = shopper.ask(&query).await;
    assert_eq!(counted(&page), [("Skirt", 5)], "it is rare no more");
}

pub(super) async fn a_title_ranks_above_a_description<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let found = shopper.find("lantern").await;
    assert_eq!(
        found,
        ["lantern", "camping-kit"],
        "a word in the title counts more than in the description"
    );
}

pub(super) async fn an_identifier_comes_first<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for (text, key) in [
        ("MT-100-M", "mono-tee"),
        ("MT-100-L", "mono-tee"),
        ("PT-200-M", "polygon-tee"),
        ("LN-1", "lantern"),
        ("MUG-07", "mug-07"),
        ("blue-scarf", "blue-scarf"),
    ] {
        let found = shopper.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some(key), "{text} is its identifier: {found:?}");
    }
}

pub(super) async fn the_last_word_may_be_unfinished<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for (text, key) in [
        ("monosp", "mono-tee"),
        ("Dark Poly", "polygon-tee"),
        ("grey hoo", "grey-hoodie"),
        ("campi", "camping-kit"),
    ] {
        let found = shopper.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some(key), "the best for {text:?} of {found:?}");
    }
}

pub(super) async fn both_words_come_before_one<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for text in ["blue hoodie", "hoodie blue"] {
        let found = shopper.find(text).await;
        let best = found.first().map(String::as_str);
        assert_eq!(best, Some("blue-hoodie"), "{text:?} finds {found:?}");
    }
}

pub(super) async fn words_of_keywords_are_searched<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for (text, expected) in [
        ("borealis", &["borealis-43"][..]),
        ("electronics", &["aurora-55", "aurora-65", "borealis-43"]),
        ("oled", &["aurora-55", "aurora-65"]),
        ("dolby", &["aurora-55"]),
        ("wool", &["blue-scarf"]),
    ] {
        let found = shopper.find(text).await;
        assert!(begins_with(&found, expected), "{text:?} finds {found:?}");
    }
}

pub(super) async fn what_is_only_stored_is_not_searched<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let found = shopper.find("thingumabob").await;
    assert!(
        found.is_empty(),
        "found by the name of a picture: {found:?}"
    );
}

pub(super) async fn a_hit_has_the_fields_of_its_product<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let page = shopper.ask(&everything()).await;
    for hit in &page.hits {
        let stored = shopper.shelf.view_of(&hit.key).await;
        assert_eq!(Some(&hit.view), stored.as_ref(), "{}", hit.key);
    }
    let tee = page.hits.iter().find(|hit| hit.key == "mono-tee");
    let field = |view: &View, name: &str| view.fields.get(name).cloned().unwrap_or_default();
    let view = &tee.expect("everything was asked for").view;
    let skus = ["MT-100-L", "MT-100-M", "MT-100-S"].map(|sku| FieldValue::Text(sku.to_owned()));
    assert_eq!(field(view, "sku"), skus);
    let prices = field(view, "price");
    assert_eq!(prices, [2_499.0, 1_999.0].map(FieldValue::Number));
    let media = field(view, "media");
    let [FieldValue::Text(media)] = &media[..] else {
        panic!("media is given back as it was stored, not as {media:?}");
    };
    let expected =
        json!([{"url": "https://example.com/thingumabob.png?a=1&b=%20", "alt": "A thingumabob"}]);
    assert_eq!(serde_json::from_str(media).ok(), Some(expected));
}
