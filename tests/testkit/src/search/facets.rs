//! Facets count products, and show the other possible choices.

use stockade_search_sync::{FacetRequest, Filter, SearchQuery};

use super::SearchHarness;
use super::assortment::MUGS;
use super::test_search::{TestSearch, everything, range};

/// Owned values, for comparisons.
fn counts(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(value, count)| ((*value).to_owned(), *count))
        .collect()
}

pub(super) async fn facets_count_products<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let mugs = MUGS as u64;
    for (field, expected) in [
        (
            "attributes.material",
            &[
                ("cotton", 4),
                ("elastane", 2),
                ("polyester", 1),
                ("wool", 1),
            ][..],
        ),
        // A product with several variants of one size counts once.
        ("options.size", &[("L", 4), ("M", 4), ("S", 1)]),
        ("currency", &[("EUR", 10 + mugs)]),
        (
            "attributes.color",
            &[
                ("black", 2),
                ("blue", 2),
                ("Black", 1),
                ("green", 1),
                ("grey", 1),
                ("red", 1),
                ("white", 1),
            ],
        ),
        ("attributes.diagonal", &[("42.5", 1), ("55", 1), ("65", 1)]),
        ("attributes.smart", &[("true", 2), ("false", 1)]),
        ("attributes.hdr", &[("HDR10", 2), ("Dolby Vision", 1)]),
        ("product_type", &[("shirt", 11 + mugs), ("television", 3)]),
        ("attributes.nothing", &[]),
    ] {
        let counted = search.count(field, everything()).await;
        assert_eq!(
            counted,
            counts(expected),
            "{field}: the most frequent value first, then ordered by value"
        );
        // Facets do not depend on the size of the page.
        let counted = search.count(field, everything().with_size(1)).await;
        assert_eq!(counted, counts(expected), "{field}: of the whole result");
    }
}

pub(super) async fn a_facet_ignores_its_own_filter<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let material = "attributes.material";
    let all = counts(&[
        ("cotton", 4),
        ("elastane", 2),
        ("polyester", 1),
        ("wool", 1),
    ]);
    let chosen = everything().with_filter(Filter::terms(material, ["cotton"]));
    assert_eq!(search.ask(&chosen).await.hits.len(), 4);
    let counted = search.count(material, chosen.clone()).await;
    assert_eq!(counted, all, "a facet ignores the filter on its own field");
    let twice = chosen.with_filter(Filter::terms(material, ["elastane"]));
    assert_eq!(search.ask(&twice).await.hits.len(), 1);
    assert_eq!(
        search.count(material, twice).await,
        all,
        "with two filters on its own field"
    );
    let wide = everything().with_filter(range("attributes.diagonal", Some(50.0), None));
    let counted = search.count("attributes.diagonal", wide).await;
    assert_eq!(
        counted,
        counts(&[("42.5", 1), ("55", 1), ("65", 1)]),
        "with a range on its own field"
    );
}

pub(super) async fn a_facet_applies_the_other_filters<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = everything()
        .with_filter(Filter::terms("attributes.color", ["blue", "black"]))
        .with_filter(Filter::terms("attributes.material", ["cotton", "wool"]))
        .with_facet(FacetRequest::new("attributes.color"))
        .with_facet(FacetRequest::new("attributes.material"))
        .with_facet(FacetRequest::new("options.size"));
    let page = search.ask(&query).await;
    let counted: Vec<_> = page.facets.into_iter().map(|facet| facet.values).collect();
    assert_eq!(
        counted,
        [
            // Filtered by material.
            counts(&[("black", 2), ("blue", 1), ("grey", 1), ("white", 1)]),
            // Filtered by color.
            counts(&[
                ("cotton", 2),
                ("elastane", 2),
                ("polyester", 1),
                ("wool", 1)
            ]),
            // Filtered by both.
            counts(&[("L", 2), ("M", 2), ("S", 1)]),
        ],
        "each facet ignores its own filter, and applies the others"
    );
}

pub(super) async fn a_facet_counts_the_hits_of_the_text<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let query = SearchQuery::text("hoodie");
    let counted = search.count("attributes.material", query).await;
    let expected = counts(&[("cotton", 2), ("elastane", 1), ("polyester", 1)]);
    assert_eq!(counted, expected, "the products that match the text");
}

pub(super) async fn facets_have_the_requested_order_and_size<H: SearchHarness>(h: H) {
    let search = TestSearch::open(&h).await;
    let asked = ["options.size", "attributes.material", "options.size"];
    let query = asked.iter().fold(everything(), |query, field| {
        query.with_facet(FacetRequest::new(*field).with_size(2))
    });
    let page = search.ask(&query).await;
    let fields: Vec<&str> = page
        .facets
        .iter()
        .map(|facet| facet.field.as_str())
        .collect();
    assert_eq!(fields, asked);
    assert_eq!(page.facets[0].values, counts(&[("L", 4), ("M", 4)]));
    assert_eq!(
        page.facets[1].values,
        counts(&[("cotton", 4), ("elastane", 2)]),
        "the most frequent"
    );
    assert_eq!(page.facets[2], page.facets[0]);
}
