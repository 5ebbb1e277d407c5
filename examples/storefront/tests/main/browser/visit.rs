//! Somebody who visits the shop: what they do, and what they see.

use std::ops::Deref;

use storefront::Options;

use super::chromium::Screen;
use super::window::Window;
use crate::client::Client;

pub(super) struct Visit {
    pub(super) shop: Client,
    window: Window,
}

impl Visit {
    /// A shop with the sample catalogue and a browser; none where there is no browser.
    pub(super) async fn begin() -> Option<Self> {
        Self::with(Options::default(), Screen::Desktop).await
    }

    pub(super) async fn with(options: Options, screen: Screen) -> Option<Self> {
        let window = Window::start(screen).await?;
        let shop = Client::with(options).await;
        let report = shop.import(sample_catalogue::SAMPLE).await;
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        let window = window.at(&format!("http://{}", shop.address()));
        let visit = Self { shop, window };
        visit.wait_for_search().await;
        Some(visit)
    }

    async fn wait_for_search(&self) {
        crate::client::eventually("search has everything", || async {
            self.shop.search(&[]).await["total"] == crate::client::SAMPLE_SIZE
        })
        .await;
    }
}

impl Deref for Visit {
    type Target = Window;

    fn deref(&self) -> &Window {
        &self.window
    }
}
