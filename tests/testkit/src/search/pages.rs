//! Pages of hits, in order.

use std::collections::BTreeSet;

use stockade_search_sync::{FacetRequest, Filter, Order, SearchPage, SearchQuery, Sort, Total};

use super::assortment::{MUGS, item, variants};
use super::shopper::{Shopper, by, everything, keys};
use super::{SearchHarness, assortment};

/// All pages of a query.
async fn pages(shopper: &Shopper, query: &SearchQuery) -> Vec<SearchPage> {
    let mut all = Vec::new();
    let mut query = query.clone();
    loop {
        let page = shopper.ask(&query).await;
        let next = page.next.clone();
        all.push(page);
        match next {
            Some(next) => query.cursor = Some(next),
            None => return all,
        }
        assert!(all.len() < 200, "the pages of {query:?} have no end");
    }
}

/// The keys of all pages, each of which comes once.
async fn paged(shopper: &Shopper, query: &SearchQuery) -> Vec<String> {
    let pages = pages(shopper, query).await;
    let (last, full) = pages.split_last().expect("there is a first page");
    for page in full {
        assert_eq!(
            page.hits.len(),
            query.size,
            "only the last page may be short"
        );
    }
    assert!(
        full.is_empty() || !last.hits.is_empty(),
        "a page of nothing"
    );
    let all: Vec<String> = pages.iter().flat_map(keys).map(str::to_owned).collect();
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "pages overlap: {all:?}");
    all
}

pub(super) async fn pages_neither_overlap_nor_leave_gaps<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let queries = [
        everything(),
        SearchQuery::text("enamel mug").with_size(100),
        SearchQuery::text("tee").with_size(100),
        everything().with_sort(by("price", Order::Ascending)),
        everything().with_sort(by("price", Order::Descending)),
        everything().with_sort(by("brand", Order::Ascending)),
        everything().with_sort(by("attributes.diagonal", Order::Ascending)),
        everything().with_filter(Filter::terms("brand", ["Clay"])),
    ];
    for query in queries {
        let page = shopper.ask(&query).await;
        assert_eq!(page.next, None, "all of {query:?} is on one page");
        let whole = keys(&page);
        for size in [1, 3, 7, whole.len().max(1)] {
            let found = paged(&shopper, &query.clone().with_size(size)).await;
            assert_eq!(found, whole, "in pages of {size}: {query:?}");
        }
    }
}

pub(super) async fn a_field_orders_both_ways<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let clothes = everything().with_filter(Filter::terms(
        "attributes.material",
        ["cotton", "polyester"],
    ));
    let ordered = async |sort: Sort| {
        let page = shopper.ask(&clothes.clone().with_sort(sort)).await;
        keys(&page)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (tees, hoodies) = (["mono-tee", "polygon-tee"], ["grey-hoodie", "white-hoodie"]);
    assert_eq!(
        ordered(by("price", Order::Ascending)).await,
        [&["blue-hoodie"][..], &tees, &hoodies].concat(),
        "by the least price upwards"
    );
    assert_eq!(
        ordered(by("price", Order::Descending)).await,
        [&["blue-hoodie"][..], &hoodies, &tees].concat(),
        "by the greatest price downwards"
    );
    assert_eq!(
        ordered(by("attributes.color", Order::Descending)).await,
        [
            "white-hoodie",
            "grey-hoodie",
            "blue-hoodie",
            "mono-tee",
            "polygon-tee"
        ],
        "by text"
    );
}

pub(super) async fn products_without_the_field_come_last<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let all = assortment::shown().len();
    let televisions = ["borealis-43", "aurora-55", "aurora-65"];
    for order in [Order::Ascending, Order::Descending] {
        let query = everything().with_sort(by("attributes.diagonal", order));
        let page = shopper.ask(&query).await;
        let found = keys(&page);
        let mut first = televisions;
        if order == Order::Descending {
            first.reverse();
        }
        assert_eq!(found[..3], first, "those that have it, {order:?}");
        assert_eq!(found.len(), all, "and then the others");
    }
}

pub(super) async fn ties_are_broken_by_the_key<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let mugs: Vec<String> = (0..MUGS).map(|number| format!("mug-{number:02}")).collect();
    for order in [Order::Ascending, Order::Descending] {
        let query = everything()
            .with_filter(Filter::terms("brand", ["Clay"]))
            .with_sort(by("price", order))
            .with_size(5);
        let found = paged(&shopper, &query).await;
        assert_eq!(found, mugs, "all cost the same, {order:?}");
    }
}

pub(super) async fn pages_go_on_while_products_come<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let whole = everything().with_sort(by("price", Order::Ascending));
    let before: Vec<String> = keys(&shopper.ask(&whole).await)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut query = whole.with_size(4);
    let mut found: Vec<String> = Vec::new();
    let mut number = 0_u64;
    loop {
        let page = shopper.ask(&query).await;
        found.extend(keys(&page).into_iter().map(str::to_owned));
        let Some(next) = page.next else {
            break;
        };
        query.cursor = Some(next);
        // One that belongs before where the reader is.
        let key = format!("cheap-{number}");
        let mut cheap = item(&key, "Cheap", "", "Clay");
        cheap.variants = variants(&[(&key, "", 1 + number)]);
        shopper.put(&cheap, 1).await;
        let is_there = SearchQuery::text(&key);
        shopper
            .until("it came", &is_there, |page| {
                keys(page).first() == Some(&key.as_str())
            })
            .await;
        number += 1;
    }
    let distinct: BTreeSet<&String> = found.iter().collect();
    assert_eq!(distinct.len(), found.len(), "pages overlap: {found:?}");
    let missing: Vec<_> = before.iter().filter(|key| !found.contains(key)).collect();
    assert!(
        missing.is_empty(),
        "there all the time, and missed: {missing:?}"
    );
}

pub(super) async fn totals_and_facets_are_of_the_whole_result<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let query = SearchQuery::text("enamel")
        .with_size(5)
        .with_facet(FacetRequest::new("brand"));
    let pages = pages(&shopper, &query).await;
    assert_eq!(pages.len(), MUGS.div_ceil(5));
    for page in &pages {
        match page.total {
            Total::Exactly(total) => assert_eq!(total, MUGS as u64),
            Total::AtLeast(total) => assert!(total <= MUGS as u64),
        }
        assert_eq!(page.facets, pages[0].facets, "on every page the same");
    }
    assert_eq!(
        pages[0].facets[0].values,
        [("Clay".to_owned(), MUGS as u64)]
    );
}
