//! What can be found, and what can not.

use stockade_catalog_core::ProductStatus;
use stockade_search_sync::{FacetRequest, Filter, SearchError, SearchQuery};

use super::assortment::{item, variants};
use super::shopper::{Shopper, everything, keys};
use super::{SearchHarness, assortment};
use crate::index::shelf::{deletion, records, stock};

pub(super) async fn what_is_written_is_found_soon<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    for number in 0..5 {
        let key = format!("kettle-{number}");
        let mut kettle = item(&key, "Copper Kettle", "", "Clay");
        kettle.variants = variants(&[(&format!("KT-{number}"), "", 100)]);
        shopper.put(&kettle, 1).await;
        let query = SearchQuery::text("copper kettle");
        shopper
            .until("what was written is found", &query, |page| {
                keys(page).contains(&key.as_str())
            })
            .await;
    }
}

pub(super) async fn what_changed_is_found_as_it_is<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let mut tee = assortment::shown().remove(0);
    tee.title = "Proportional Pullover".to_owned();
    shopper.put(&tee, 2).await;
    let query = SearchQuery::text("proportional pullover");
    let page = shopper
        .until("its new title is found", &query, |page| {
            keys(page) == ["mono-tee"]
        })
        .await;
    let shown = shopper.shelf.view_of("mono-tee").await;
    assert_eq!(Some(&page.hits[0].view), shown.as_ref());
    let by_old = shopper.find("monospace").await;
    assert!(by_old.is_empty(), "by a title that it had: {by_old:?}");
}

/// Asks for products that are not to be found in every way there is.
async fn are_not_found(shopper: &Shopper, what: &str) {
    for text in [
        "",
        "zeppelin",
        "zeppelin lantern",
        "ZEP-draft",
        "zepp",
        "archived",
    ] {
        let found = shopper.find(text).await;
        let hidden = found
            .iter()
            .find(|key| ["draft", "archived"].contains(&key.as_str()));
        assert_eq!(hidden, None, "{what} by {text:?}");
    }
    for (field, value) in [
        ("brand", "Zeppelin"),
        ("sku", "ZEP-draft"),
        ("attributes.color", "zeppelin"),
        ("slug", "archived"),
    ] {
        let found = shopper.filtered([Filter::terms(field, [value])]).await;
        assert!(found.is_empty(), "{what} by {field}: {found:?}");
        let facet = FacetRequest::new(field).with_size(1_000);
        let page = shopper.ask(&everything().with_facet(facet)).await;
        let counted = page.facets[0].values.iter().find(|(of, _)| of == value);
        assert_eq!(counted, None, "{what}, and counted");
    }
    for prefix in ["zep", "zeppelin lan"] {
        let suggested = shopper.index.suggest(prefix, 20).await;
        assert!(
            suggested.as_ref().is_ok_and(Vec::is_empty),
            "{what}, and suggested: {suggested:?}"
        );
    }
}

pub(super) async fn what_is_not_shown_is_never_found<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    are_not_found(&shopper, "a draft and an archived product are found").await;
}

pub(super) async fn what_is_hidden_is_found_no_more<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let mut contents = assortment::not_shown();
    for content in &mut contents {
        content.status = ProductStatus::Active;
        shopper.put(content, 2).await;
    }
    let query = SearchQuery::text("zeppelin");
    shopper
        .until("both are shown now", &query, |page| page.hits.len() == 2)
        .await;
    contents[0].status = ProductStatus::Archived;
    shopper.put(&contents[0], 3).await;
    shopper.shelf.follow(&deletion(&contents[1], 2)).await;
    shopper
        .until("both are hidden again", &query, |page| page.hits.is_empty())
        .await;
    are_not_found(&shopper, "a hidden and a deleted product are found").await;
}

pub(super) async fn a_deleted_product_is_not_found_when_older_rows_come_again<H: SearchHarness>(
    h: H,
) {
    let shopper = Shopper::open(&h).await;
    let tee = assortment::shown().remove(0);
    shopper.shelf.follow(&deletion(&tee, 1)).await;
    let query = SearchQuery::text("monospace tee");
    let gone = |page: &stockade_search_sync::SearchPage| !keys(page).contains(&"mono-tee");
    shopper.until("it was deleted", &query, gone).await;
    // A replay, and what inventory still has to say.
    let mut late = records(&tee, 1);
    late.extend([stock("MT-100-M", 5, 1), stock("MT-100-L", 0, 1)]);
    for record in late {
        shopper.shelf.follow(&[record]).await;
    }
    // What is written later is found, so what was written before would be found as well.
    shopper.put(&item("marker", "Marker", "", "Clay"), 1).await;
    let marker = SearchQuery::text("marker");
    shopper
        .until("the marker is found", &marker, |page| {
            keys(page) == ["marker"]
        })
        .await;
    let page = shopper.ask(&query).await;
    assert!(gone(&page), "a deleted product came back with an older row");
}

pub(super) async fn only_the_active_generation_is_searched<H: SearchHarness>(h: H) {
    let shopper = Shopper::before_activation(&h);
    let nothing = shopper.index.search(&everything()).await;
    assert!(
        matches!(nothing, Err(SearchError::NothingActive)),
        "there is nothing to search: {nothing:?}"
    );
    let suggested = shopper.index.suggest("tee", 5).await;
    assert!(matches!(suggested, Err(SearchError::NothingActive)));
    let (old, new) = (shopper.shelf.with("old"), shopper.shelf.with("new"));
    for (shelf, title) in [(&old, "Old Lamp"), (&new, "New Lamp")] {
        shelf.create().await;
        shelf
            .follow(&records(&item(title, title, "", "Clay"), 1))
            .await;
    }
    for (shelf, title) in [(&old, "Old Lamp"), (&new, "New Lamp"), (&old, "Old Lamp")] {
        shelf.activate().await;
        let query = SearchQuery::text("lamp");
        shopper
            .until("the active generation is searched", &query, |page| {
                keys(page) == [title]
            })
            .await;
        let suggested = shopper.index.suggest("lam", 5).await;
        let suggested = suggested.unwrap_or_else(|error| panic!("suggest failed: {error}"));
        let titles: Vec<_> = suggested.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(titles, [title]);
    }
}

pub(super) async fn stock_of_unknown_skus_is_never_a_hit<H: SearchHarness>(h: H) {
    let shopper = Shopper::open(&h).await;
    let all = shopper.find("").await;
    let events: Vec<_> = (0..10)
        .map(|n| stock(&format!("unknown-{n}"), 5, 1))
        .collect();
    shopper.shelf.follow(&events).await;
    shopper.put(&item("marker", "Marker", "", "Clay"), 1).await;
    let marker = SearchQuery::text("marker");
    shopper
        .until("the marker is found", &marker, |page| {
            keys(page) == ["marker"]
        })
        .await;
    assert_eq!(shopper.find("").await.len(), all.len() + 1);
    assert!(shopper.find("unknown-3").await.is_empty());
}
