//! Facets count products, and leave room for another choice.

use stockade_search_sync::{FacetRequest, Filter, SearchQuery};

use super::SearchHarness;
use super::assortment::MUGS;
use super::shopper::{Shopper, everything, range};

/// Owned, to be compared with what is counted.
fn counts(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(value, count)| ((*value).to_owned(), *count))
        .collect()
}

pub(super) async fn facets_count_products<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
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
        // Of three variants in two sizes it is one product in each.
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
        let counted = shopper.count(field, everything()).await;
        assert_eq!(
            counted,
            counts(expected),
            "{field}: products, the most frequent value first, then by value"
        );
        // The size of a page is not that of the result.
        let counted = shopper.count(field, everything().with_size(1)).await;
        assert_eq!(counted, counts(expected), "{field}: of the whole result");
    }
}

pub(super) async fn a_facet_leaves_its_own_filter_out<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let material = "attributes.material";
    let all = counts(&[
        ("cotton", 4),
        ("elastane", 2),
        ("polyester", 1),
        ("wool", 1),
    ]);
    let chosen = everything().with_filter(Filter::terms(material, ["cotton"]));
    assert_eq!(shopper.ask(&chosen).await.hits.len(), 4);
    let counted = shopper.count(material, chosen.clone()).await;
    assert_eq!(
        counted, all,
        "a facet stays complete when one of its values is chosen"
    );
    let twice = chosen.with_filter(Filter::terms(material, ["elastane"]));
    assert_eq!(shopper.ask(&twice).await.hits.len(), 1);
    assert_eq!(shopper.count(material, twice).await, all, "chosen twice");
    let wide = everything().with_filter(range("attributes.diagonal", Some(50.0), None));
    let counted = shopper.count("attributes.diagonal", wide).await;
    assert_eq!(
        counted,
        counts(&[("42.5", 1), ("55", 1), ("65", 1)]),
        "a range"
    );
}

pub(super) async fn facets_heed_the_other_filters<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let query = everything()
        .with_filter(Filter::terms("attributes.color", ["blue", "black"]))
        .with_filter(Filter::terms("attributes.material", ["cotton", "wool"]))
        .with_facet(FacetRequest::new("attributes.color"))
        .with_facet(FacetRequest::new("attributes.material"))
        .with_facet(FacetRequest::new("options.size"));
    let page = shopper.ask(&query).await;
    let counted: Vec<_> = page.facets.into_iter().map(|facet| facet.values).collect();
    assert_eq!(
        counted,
        [
            // Of cotton or wool.
            counts(&[("black", 2), ("blue", 1), ("grey", 1), ("white", 1)]),
            // Of blue or black.
            counts(&[
                ("cotton", 2),
                ("elastane", 2),
                ("polyester", 1),
                ("wool", 1)
            ]),
            // Of both.
            counts(&[("L", 2), ("M", 2), ("S", 1)]),
        ],
        "each facet leaves out its own filter, and no other"
    );
}

pub(super) async fn facets_heed_the_text<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let query = SearchQuery::text("hoodie");
    let counted = shopper.count("attributes.material", query).await;
    let expected = counts(&[("cotton", 2), ("elastane", 1), ("polyester", 1)]);
    assert_eq!(counted, expected, "of what the text finds");
}

pub(super) async fn facets_come_in_the_order_asked_and_no_larger<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let asked = ["options.size", "attributes.material", "options.size"];
    let query = asked.iter().fold(everything(), |query, field| {
        query.with_facet(FacetRequest::new(*field).with_size(2))
    });
    let page = shopper.ask(&query).await;
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
