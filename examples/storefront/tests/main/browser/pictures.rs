//! The pictures of the documentation, made of the shop as it is.

use std::path::Path;
use std::time::Duration;

use super::chromium::Screen;
use super::visit::Visit;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes docs/images"]
async fn pictures_for_the_documentation() {
    if let Some(visit) = Visit::begin().await {
        // With room for what a window has above its page.
        visit.driver().set_window_size(1280, 1043).await.unwrap();
        visit.open("/").await;
        visit.see(".card").await;
        take(&visit, "storefront-search").await;
        visit.open("/p/meadow-tee").await;
        visit.click("label[for='v-meadow-ru-m']").await;
        visit.click("#reserve").await;
        visit.see(".mine [data-state='held']").await;
        visit.evaluate("scrollTo(0, 0)").await;
        take(&visit, "storefront-product").await;
    }
    if let Some(visit) = Visit::with(Default::default(), Screen::Phone).await {
        visit.open("/?q=runing+shoe").await;
        visit.see(".card").await;
        take(&visit, "storefront-phone").await;
    }
}

async fn take(visit: &Visit, name: &str) {
    // Until fonts and colours have settled.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
    std::fs::create_dir_all(&folder).unwrap();
    let picture = visit.driver().screenshot().await.unwrap();
    std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}
