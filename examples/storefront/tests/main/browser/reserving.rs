use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;

use super::visit::Visit;

const GREEN_M: &str = "meadow-gr-m";

async fn choose_green_m(visit: &Visit) {
    visit.open("/p/meadow-tee").await;
    visit.click("label[for='v-meadow-gr-m']").await;
    visit.read(".availability", "15 in stock · Green M").await;
    visit.read(".live", "Stock is live").await;
}

/// Reservations hold so many seconds from now on.
async fn hold(visit: &Visit, seconds: u32) {
    let hood = ".bottom button[aria-controls='hood']";
    visit.click(hood).await;
    let holds = visit.see("#hold").await;
    holds.select_by_value(&seconds.to_string()).await.unwrap();
    visit.click("#hood .sheet-head button").await;
}

async fn reserved(visit: &Visit, sku: &str) -> u64 {
    let stock = visit.shop.get(&format!("/stock/{sku}")).await.body;
    stock["reserved"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_is_picked_reserved_and_confirmed() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    choose_green_m(&visit).await;
    visit.click("[aria-label='One more']").await;
    visit.click("#reserve").await;
    visit.read(".mine .reservation", "2 × Green M").await;
    visit.read(".mine .clock", "14:5").await;
    visit.read("label[for='v-meadow-gr-m']", "13").await;
    visit.read(".tray-opener .badge", "1").await;
    assert_eq!(reserved(&visit, GREEN_M).await, 2);

    visit.driver().refresh().await.unwrap();
    visit.read(".mine .reservation", "2 × Green M").await;
    visit.click(".mine [data-step='confirm']").await;
    visit.read(".mine .reservation", "It is yours").await;
    let id = visit
        .evaluate("document.querySelector('.mine .reservation').dataset.id")
        .await;
    let path = format!("/reservations/{}", id.as_str().unwrap());
    assert_eq!(visit.shop.get(&path).await.body["state"], "confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn pressing_twice_reserves_once() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    choose_green_m(&visit).await;
    let twice = "(() => { const b = document.querySelector('#reserve'); b.click(); b.click(); b.form.requestSubmit(); })()";
    visit.evaluate(twice).await;
    visit.read(".mine .reservation", "Green M").await;
    // Time for a second one to arrive, if it had been sent.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(reserved(&visit, GREEN_M).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_reserves_once() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    choose_green_m(&visit).await;
    // The request arrives and takes effect; its answer does not.
    let lose = "(() => { const real = window.fetch; let lost = false; window.fetch = async (path, request) => { const answer = await real(path, request); if (path === '/reserve' && !lost) { lost = true; window.lost = true; throw new TypeError('lost'); } return answer; }; })()";
    visit.evaluate(lose).await;
    visit.click("#reserve").await;
    visit.read(".mine .reservation", "Green M").await;
    visit.until("an answer was lost", "window.lost", true).await;
    assert_eq!(reserved(&visit, GREEN_M).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_comes_back_live_in_another_window() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/p/meadow-tee").await;
    visit.read(".live", "Stock is live").await;
    let watching = visit.driver().window().await.unwrap();
    let reserving = visit.driver().new_window(false).await.unwrap().handle;
    visit
        .driver()
        .switch_to_window(reserving.clone())
        .await
        .unwrap();
    choose_green_m(&visit).await;
    hold(&visit, 3).await;
    visit.click("#reserve").await;
    visit.see(".mine [data-state='held']").await;

    visit.driver().switch_to_window(watching).await.unwrap();
    visit.read("label[for='v-meadow-gr-m']", "14").await;
    visit.read("label[for='v-meadow-gr-m']", "15").await;
    visit.driver().switch_to_window(reserving).await.unwrap();
    visit.read(".mine .reservation", "Time ran out").await;
    visit.read(".availability", "15 in stock").await;
    assert_eq!(reserved(&visit, GREEN_M).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_second_is_told_and_sees_it_come_back() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/p/one-off-lamp").await;
    visit.read(".availability", "Last one").await;
    visit.read(".live", "Stock is live").await;
    // This page has not heard of it yet, and asks for what is gone.
    visit
        .evaluate("(() => { const real = window.fetch; window.held = new Promise((go) => (window.goOn = go)); window.fetch = async (path, request) => { if (path === '/reserve') await window.held; return real(path, request); }; })()")
        .await;
    visit.click("#reserve").await;
    let body = json!({"lines": [{"sku": "lamp-one-off", "quantity": 1}], "owner": "ben"});
    let others = visit.shop.post("/reserve", &body).await.body;
    visit.evaluate("window.goOn()").await;
    visit.read(".reserve-message", "Somebody was faster").await;
    visit.read(".availability", "Sold out").await;
    let release = format!("/reservations/{}/release", others["id"].as_str().unwrap());
    visit.shop.post(&release, &json!({})).await;
    visit.read(".availability", "Last one").await;
    visit
        .until(
            "it can be reserved again",
            "document.querySelector('#reserve').disabled",
            false,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_done_by_keyboard_alone() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/").await;
    visit.see(".card").await;
    visit.press(Key::Tab.into()).await;
    visit
        .until(
            "the first stop skips to the products",
            "document.activeElement.className",
            "skip".to_owned(),
        )
        .await;
    visit.press('/').await;
    for letter in "meadow".chars() {
        visit.press(letter).await;
    }
    visit.read("h1", "Results for meadow").await;
    visit.tab_to(".card[data-id='meadow-tee'] a").await;
    visit.press(Key::Enter.into()).await;
    visit.read(".product h1", "Meadow Tee").await;
    visit
        .until(
            "the title has the focus",
            "document.activeElement.tagName",
            "H1".to_owned(),
        )
        .await;
    visit.tab_to("input[name='variant']").await;
    visit.press(Key::Down.into()).await;
    visit
        .until(
            "the next variant is chosen",
            "document.querySelector('[name=variant]:checked').id",
            "v-meadow-gr-s".to_owned(),
        )
        .await;
    visit.tab_to("#reserve").await;
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    visit
        .until("the focus is seen", outline, "solid".to_owned())
        .await;
    visit.press(Key::Enter.into()).await;
    visit.see(".mine [data-state='held']").await;
    visit.tab_to(".mine [data-step='release']").await;
    visit.press(Key::Enter.into()).await;
    visit.read(".mine .reservation", "Released").await;
    visit.tab_to(".bottom button").await;
    visit.press(Key::Enter.into()).await;
    visit.see("#hood #circuit").await;
    visit.press(Key::Escape.into()).await;
    visit
        .until(
            "Escape closes it",
            "document.querySelector('#hood').hidden",
            true,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tray_has_all_of_them_and_closes_by_escape() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    for (product, sku) in [("kiln-mug", "mug-kiln"), ("one-off-lamp", "lamp-one-off")] {
        visit.open(&format!("/p/{product}")).await;
        visit.click("#reserve").await;
        visit.see(".mine [data-state='held']").await;
        assert_eq!(reserved(&visit, sku).await, 1);
    }
    visit.open("/").await;
    visit.read(".tray-opener .badge", "2").await;
    visit.click(".tray-opener").await;
    visit.read("#tray", "One-off Lamp").await;
    visit
        .click("#tray .reservation [data-step='release']")
        .await;
    visit.see("#tray [data-state='released']").await;
    let cards = visit
        .driver()
        .find_all(Locator::Css("#tray .reservation"))
        .await
        .unwrap();
    assert_eq!(cards.len(), 2);
    visit.press(Key::Escape.into()).await;
    visit
        .until(
            "it is closed",
            "document.querySelector('#tray').open",
            false,
        )
        .await;
    assert_eq!(reserved(&visit, "lamp-one-off").await, 0);
}
