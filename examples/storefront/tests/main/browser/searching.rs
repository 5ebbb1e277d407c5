use fantoccini::key::Key;
use serde_json::json;

use super::chromium::Screen;
use super::visit::Visit;
use crate::client::eventually;

const CARDS: &str = "document.querySelectorAll('.card').length";
const TOTAL: &str = "parseInt(document.querySelector('.told').textContent)";

#[tokio::test(flavor = "multi_thread")]
async fn results_and_facets_narrow_as_one_types_and_chooses() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/").await;
    visit.until("everything is there", TOTAL, 244).await;
    visit.write("#q", "tee").await;
    visit.read("h1", "Results for tee").await;
    let tees = visit.shop.search(&[("q", "tee")]).await["total"]
        .as_u64()
        .unwrap();
    visit
        .until("the results are those of the search", TOTAL, tees)
        .await;
    assert_eq!(visit.address().await, "/?q=tee");
    // Which filters there are follows what is shown.
    let cotton = "[id='f-attributes.material-Cotton']";
    visit.click(cotton).await;
    let filter = ("filter", "attributes.material:Cotton");
    let of_cotton = visit.shop.search(&[("q", "tee"), filter]).await["total"]
        .as_u64()
        .unwrap();
    assert!(of_cotton < tees);
    visit.until("fewer are left", TOTAL, of_cotton).await;
    visit.read(".chips", "Material: Cotton").await;
    let chosen = "/?q=tee&filter=attributes.material%3ACotton";
    assert_eq!(visit.address().await, chosen);

    visit.driver().refresh().await.unwrap();
    visit
        .until("a reload shows the same", TOTAL, of_cotton)
        .await;
    visit.driver().back().await.unwrap();
    visit.until("back leaves the filter", TOTAL, tees).await;
    visit.driver().forward().await.unwrap();
    visit.until("forward has it again", TOTAL, of_cotton).await;
    visit.click(".chips button").await;
    visit
        .until("without the chip it is gone", TOTAL, tees)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_range_and_stock_narrow_too() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/?q=lamp").await;
    visit.read("h1", "lamp").await;
    visit.write("#price-to", "60").await;
    visit.read(".chips", "Price up to €60.00").await;
    assert_eq!(visit.address().await, "/?q=lamp&filter=price%3A..6000");
    visit.click("#in-stock").await;
    visit.read(".chips", "In stock").await;
    let filters = [("filter", "price:..6000"), ("filter", "in_stock:true")];
    let all = [("q", "lamp"), filters[0], filters[1]];
    let expected = visit.shop.search(&all).await["total"].as_u64().unwrap();
    visit.until("both hold", TOTAL, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typing_error_is_understood_and_said() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/").await;
    visit.write("#q", "medow tee").await;
    visit.read(".told", "showing matches for meadow tee").await;
    visit.read(".card mark", "Meadow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_matches_there_is_a_way_out() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/?q=xqzwvk&filter=brand%3ATonal").await;
    visit.read(".state h2", "Nothing matches").await;
    visit.click(".state .primary").await;
    visit
        .until(
            "the filter is gone",
            "location.search",
            "?q=xqzwvk".to_owned(),
        )
        .await;
    let chips = "document.querySelectorAll('.chips li').length";
    visit.until("and its chip", chips, 0).await;
    visit.click(".state button").await;
    visit.until("everything is there", TOTAL, 244).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_is_shown_and_is_there_after_a_reload() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/").await;
    visit.until("there is a first page", CARDS, 24).await;
    visit
        .evaluate("document.querySelector('.more').click()")
        .await;
    visit.until("there is a second", CARDS, 48).await;
    let unique =
        "new Set([...document.querySelectorAll('.card')].map((one) => one.dataset.id)).size";
    visit.until("none is there twice", unique, 48).await;
    visit.driver().refresh().await.unwrap();
    visit.until("a reload shows as many", CARDS, 48).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_products_is_never_markup() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    let hostile = "<img src=x onerror=document.title='owned'> & Co";
    visit.shop.put("/product-types/thing", &json!({})).await;
    let body = json!({
        "title": hostile, "description": hostile, "product_type": "thing",
        "attributes": {"<b>name</b>": "<b>value</b>"},
        "variants": [{"sku": "hostile-1", "name": hostile}],
    });
    visit.shop.put("/products/hostile", &body).await;
    eventually("search has it", || async {
        visit.shop.found(&[("q", "onerror")]).await == ["hostile"]
    })
    .await;
    visit.open("/").await;
    visit.write("#q", "onerror").await;
    visit.read(".card h3", hostile).await;
    visit.click(".card a").await;
    visit.read(".product h1", hostile).await;
    visit.read(".facts", "<b>value</b>").await;
    let made = "document.querySelectorAll('main img, main b').length";
    visit.until("nothing was made of it", made, 0).await;
    assert_ne!(visit.driver().title().await.unwrap(), "owned");
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_follow_the_keys_of_a_combobox() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/").await;
    visit.until("everything is there", TOTAL, 244).await;
    visit.press('/').await;
    visit.write("#q", "auro").await;
    visit.see("#suggestions li").await;
    let expanded = "document.querySelector('#q').getAttribute('aria-expanded')";
    visit
        .until("the list is told", expanded, "true".to_owned())
        .await;
    visit.press(Key::Down.into()).await;
    let active = "document.getElementById(document.querySelector('#q').getAttribute('aria-activedescendant'))?.ariaSelected";
    visit
        .until("one is chosen", active, "true".to_owned())
        .await;
    visit.press(Key::Escape.into()).await;
    visit
        .until("it is closed", expanded, "false".to_owned())
        .await;
    visit
        .until(
            "the word is kept",
            "document.querySelector('#q').value",
            "auro".to_owned(),
        )
        .await;
    visit.write("#q", "r").await;
    visit
        .write("#q", &char::from(Key::Backspace).to_string())
        .await;
    visit.see("#suggestions li").await;
    visit.press(Key::Down.into()).await;
    visit
        .until("one is chosen again", active, "true".to_owned())
        .await;
    visit.press(Key::Enter.into()).await;
    visit.read(".product h1", "Aurora").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_filters_are_in_a_sheet_and_nothing_is_wider_than_the_screen() {
    let Some(visit) = Visit::with(Default::default(), Screen::Phone).await else {
        return;
    };
    let fits =
        "document.documentElement.scrollWidth <= window.innerWidth && window.innerWidth === 390";
    visit.open("/?q=tee").await;
    visit.read("h1", "tee").await;
    visit.until("it fits", fits, true).await;
    visit.click(".filter-opener").await;
    visit
        .click("#filter-sheet [id='f-attributes.material-Cotton']")
        .await;
    visit.read(".filter-opener .badge", "1").await;
    visit.click("#filter-sheet .sheet-body > .primary").await;
    visit
        .until(
            "the sheet is closed",
            "document.querySelector('#filter-sheet').open",
            false,
        )
        .await;
    visit.open("/p/meadow-tee").await;
    visit.see(".matrix").await;
    visit.until("it fits", fits, true).await;
    let large = "[...document.querySelectorAll('main button:not(.link), .matrix label')].every((one) => one.getBoundingClientRect().height >= 44)";
    visit
        .until("fingers find what there is to press", large, true)
        .await;
}
