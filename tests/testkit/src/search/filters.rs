//! Filters compare exactly.

use stockade_search_sync::{Filter, SearchQuery};

use super::SearchHarness;
use super::test_search::{TestSearch, everything, keys, range};
use crate::index::test_index::stock;

pub(super) async fn terms_of_a_filter_are_alternatives<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let color = |of: &[&str]| Filter::terms("attributes.color", of.iter().copied());
    for (filter, expected) in [
        (color(&["grey"]), &["grey-hoodie"][..]),
        (
            color(&["grey", "white", "nothing"]),
            &["grey-hoodie", "white-hoodie"],
        ),
        (color(&["nothing"]), &[]),
        (
            Filter::terms("attributes.material", ["elastane", "wool"]),
            &["blue-hoodie", "blue-scarf", "polygon-tee"],
        ),
        (
            Filter::terms("sku", ["MT-100-L", "LN-1"]),
            &["lantern", "mono-tee"],
        ),
        (
            Filter::terms("brand", ["Aurora"]),
            &["aurora-55", "aurora-65"],
        ),
        (
            Filter::terms("product_type", ["television"]),
            &["aurora-55", "aurora-65", "borealis-43"],
        ),
        (Filter::terms("attributes.nothing", ["grey"]), &[]),
    ] {
        let found = search.filtered([filter.clone()]).await;
        assert_eq!(found, expected, "{filter:?}");
    }
}

pub(super) async fn all_filters_must_hold<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let blue = || Filter::terms("attributes.color", ["blue"]);
    let elastane = || Filter::terms("attributes.material", ["elastane"]);
    let polyester = || Filter::terms("attributes.material", ["polyester", "cotton"]);
    let found = search.filtered([blue(), elastane()]).await;
    assert_eq!(found, ["blue-hoodie"], "on two fields");
    let found = search.filtered([elastane(), polyester()]).await;
    assert_eq!(found, ["blue-hoodie", "polygon-tee"], "on one field");
    let grey = Filter::terms("attributes.color", ["grey"]);
    let found = search.filtered([blue(), grey]).await;
    assert!(found.is_empty(), "no product has both colors: {found:?}");
}

pub(super) async fn terms_must_be_exactly_equal<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let note = "100% \"pure\", it's\\: a*b?";
    for (field, value, expected) in [
        ("attributes.color", "Black", &["creme"][..]),
        ("attributes.color", "black", &["mono-tee", "polygon-tee"]),
        ("attributes.color", "bla", &[]),
        ("attributes.color", "bl*", &[]),
        ("attributes.color", " black", &[]),
        ("brand", "Söhne & Fils", &["creme"]),
        ("brand", "Söhne", &[]),
        ("brand", "Sohne & Fils", &[]),
        ("attributes.note", note, &["creme"]),
        ("attributes.note", "100%", &[]),
        ("attributes.hdr", "Dolby Vision", &["aurora-55"]),
        ("attributes.hdr", "Vision", &[]),
        ("sku", "mt-100-l", &[]),
        ("brand", "", &[]),
    ] {
        let found = search.filtered([Filter::terms(field, [value])]).await;
        assert_eq!(found, expected, "{field} is {value:?}");
    }
}

pub(super) async fn terms_of_numbers_and_booleans_are_written_as_in_json<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    for (field, value, expected) in [
        ("attributes.diagonal", "55", &["aurora-55"][..]),
        ("attributes.diagonal", "42.5", &["borealis-43"]),
        ("attributes.diagonal", "5", &[]),
        ("attributes.diagonal", "fifty", &[]),
        ("attributes.smart", "true", &["aurora-55", "aurora-65"]),
        ("attributes.smart", "false", &["borealis-43"]),
        ("price", "4500", &["blue-hoodie"]),
    ] {
        let found = search.filtered([Filter::terms(field, [value])]).await;
        assert_eq!(found, expected, "{field} is {value}");
    }
}

pub(super) async fn ranges_include_their_ends<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let price = |min, max| range("price", min, max);
    let diagonal = |min, max| range("attributes.diagonal", min, max);
    for (filter, expected) in [
        (
            price(Some(2_299.0), Some(4_000.0)),
            &[
                "grey-hoodie",
                "lantern",
                "mono-tee",
                "polygon-tee",
                "white-hoodie",
            ][..],
        ),
        (price(Some(2_299.0), Some(2_299.0)), &["polygon-tee"]),
        (price(Some(2_299.5), Some(2_498.5)), &[]),
        (price(None, Some(900.0)), &["blue-hoodie"]),
        (price(Some(119_900.0), None), &["aurora-55", "aurora-65"]),
        (
            diagonal(Some(42.5), Some(55.0)),
            &["aurora-55", "borealis-43"],
        ),
        (diagonal(Some(42.6), None), &["aurora-55", "aurora-65"]),
        (
            diagonal(Some(-1e300), Some(1e300)),
            &["aurora-55", "aurora-65", "borealis-43"],
        ),
        (range("attributes.color", Some(0.0), None), &[]),
        (range("attributes.nothing", Some(0.0), None), &[]),
    ] {
        let found = search.filtered([filter.clone()]).await;
        assert_eq!(found, expected, "{filter:?}");
    }
    // Different variants may match two ranges.
    let cheap_and_dear = [
        price(None, Some(900.0)),
        price(Some(4_500.0), Some(4_500.0)),
    ];
    assert_eq!(search.filtered(cheap_and_dear).await, ["blue-hoodie"]);
}

pub(super) async fn filters_apply_to_the_hits_of_a_text<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = SearchQuery::text("hoodie")
        .with_filter(Filter::terms("attributes.material", ["cotton"]))
        .with_filter(Filter::terms(
            "attributes.color",
            ["white", "blue", "black"],
        ));
    let page = search.ask(&query).await;
    assert_eq!(keys(&page), ["white-hoodie"]);
}

pub(super) async fn stock_can_be_filtered<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let in_stock = || Filter::terms("in_stock", ["true"]);
    assert!(search.filtered([in_stock()]).await.is_empty());
    let units = [
        ("MT-100-M", 3),
        ("PT-200-M", 0),
        ("PT-200-L", 1),
        ("LN-1", 0),
    ];
    let events = units.map(|(sku, available)| stock(sku, available, 1));
    search.writer.handle(&events).await;
    let query = everything().with_filter(in_stock());
    let page = search
        .until("products in stock are found", &query, |page| {
            page.hits.len() == 2
        })
        .await;
    let mut found = keys(&page);
    found.sort_unstable();
    assert_eq!(found, ["mono-tee", "polygon-tee"]);
    search.writer.handle(&[stock("MT-100-M", 0, 2)]).await;
    search
        .until("a product that is sold out is not found", &query, |page| {
            keys(page) == ["polygon-tee"]
        })
        .await;
}
