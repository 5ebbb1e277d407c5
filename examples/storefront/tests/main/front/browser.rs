use super::site::{Site, finds, lamp, receive, shows};
use crate::browser::{Screen, Window};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_searches_reserves_and_confirms_over_two_services() {
    let Some(window) = Window::start(Screen::Desktop).await else {
        return;
    };
    let Some(site) = Site::open() else { return };
    let (inventory, catalog) = (site.inventory(), site.catalog());
    let front = site.front(&[]);
    lamp(&front).await;
    receive(&front, "lamp-red", 5, "first").await;
    shows(&front, 5).await;
    finds(&front, "q=lamp&filter=in_stock:true", 1).await;
    let window = window.at(front.url());

    window.open("/").await;
    window.write("#q", "herron").await;
    window.read("h1", "herron").await;
    window.click(".card[data-id='heron-lamp'] a").await;
    window.read(".product h1", "Heron Lamp").await;
    window.read(".availability", "5 in stock").await;
    window.read(".live", "Stock is live").await;
    window.click("#reserve").await;
    window.read(".mine .reservation", "Red").await;
    window.read(".availability", "4 in stock").await;
    // Somebody else's change is pushed.
    receive(&front, "lamp-red", 7, "second").await;
    window.read(".availability", "11 in stock").await;
    window.click(".mine [data-step='confirm']").await;
    window.read(".mine .reservation", "It is yours").await;
    window.click(".bottom button[aria-controls='hood']").await;
    window.read("#circuit", "Closed").await;
    window.read("#hood tbody", "search-stock").await;
    window.click("#hood .sheet-head button").await;

    inventory.kill();
    window.click("#reserve").await;
    window.read(".reserve-message", "Still trying").await;
    let inventory = site.inventory();
    window.read(".availability", "10 in stock").await;
    let stock = inventory.read("/stock/lamp-red").await;
    assert_eq!(
        (&stock["physical"], &stock["reserved"]),
        (&12.into(), &2.into())
    );
    drop(window);
    for process in [front, catalog, inventory] {
        process.stop();
    }
}
