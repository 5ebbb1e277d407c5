//! A storefront whose products and stock are kept by services: it passes requests on to them, and
//! has the page, search and live stock itself.
//!
//! Search follows the database of the catalogue by a replication slot, and stock events in Kafka.

mod forward;
mod options;
mod products;
mod remote;
mod stock;

use std::sync::Arc;

use anyhow::Context as _;
use service_kit::Workers;
use stockade_catalog_core::rows::catalog_changes;
use stockade_change_feed::{Group, Topic};
use stockade_http::{HttpOptions, HttpStockSource};
use stockade_search_sync::Ingest;
use tokio::sync::Notify;

use self::products::RemoteProducts;
use self::stock::{Fill, StockIngest};
use crate::shop::{Capture, FROM_NOW, LiveStock, Pages, Readers, Reading, Search, StockLog};

pub(crate) use self::forward::forward;
pub(crate) use self::options::refuse;
pub use self::options::{FrontOptions, Services};
pub(crate) use self::remote::Remote;

/// A running front.
pub struct Front {
    pub(crate) pages: Arc<Pages>,
    pub(crate) catalog: Remote,
    pub(crate) inventory: Remote,
}

impl Front {
    /// Starts a front. The services may be down; Postgres and Kafka must be up.
    ///
    /// # Errors
    /// If an option is not allowed, or a server is unavailable.
    pub async fn start(options: FrontOptions) -> anyhow::Result<(Self, Workers)> {
        let FrontOptions {
            services,
            readiness,
            ..
        } = options;
        let url = |url: Option<String>| url.context("the URL of a service is missing");
        let timeout = services.service_timeout;
        let catalog = Remote::new(
            "catalog",
            &url(services.catalog_service)?,
            services.catalog_token.as_ref(),
            timeout,
        )?;
        let inventory_url = url(services.inventory_service)?;
        let inventory = Remote::new(
            "inventory",
            &inventory_url,
            services.inventory_token.as_ref(),
            timeout,
        )?;
        // Without inventory the page is shown, with the last known stock.
        catalog.check("catalog service", &readiness);

        let capture = Capture::open_database(&options.postgres).await?;
        let rows_log = capture.feed.clone();
        let search = Search::open(options.search_dir.as_deref(), Some(&capture)).await?;
        let stock_log = StockLog::of_kafka(&options.kafka, &["search-stock", "live-stock"]).await?;
        // Each index reads everything: it shares no group with that of another front.
        let of_index = |what: &str| Group::new(format!("storefront-{what}-{}", search.generation));
        let rows = Reading {
            feed: Arc::new(rows_log.clone()),
            publisher: Arc::new(rows_log),
            group: of_index("search")?,
            topics: vec![catalog_changes()],
            dead_letters: Topic::new("search.dead-letters")?,
        };
        let stock = Reading {
            group: of_index("search-stock")?,
            ..stock_log.reading("search-stock")?
        };
        let live_stock = Reading {
            group: of_index("live-stock")?,
            ..stock_log.reading("live-stock")?
        };
        let ingest = Ingest::new(search.index.clone(), search.generation, search.projection)?;
        let ingest = Arc::new(ingest.with_stock_topic(stock_log.topic.clone()));
        let live = Arc::new(LiveStock::new());

        let mut workers = Workers::new(&readiness);
        let followed = Arc::new(Notify::new());
        let fill = Fill {
            followed: followed.clone(),
            source: Arc::new(HttpStockSource::new(HttpOptions::new(&inventory_url)?)?),
            ingest: ingest.clone(),
            topic: stock_log.topic,
        };
        workers.spawn("stock of search", |stop| fill.run(stop));
        let readers = Readers {
            readings: vec![rows.clone(), stock.clone()],
            readiness,
        };
        readers.report_lag(&mut workers);
        let rows = rows.consumer(ingest.clone());
        workers.spawn("ingestion", |stop| rows.run(stop));
        let stock_ingest = Arc::new(StockIngest { ingest, followed });
        let stock = stock.consumer(stock_ingest).with_options(FROM_NOW);
        workers.spawn("stock ingestion", |stop| stock.run(stop));
        let following = live_stock.consumer(live.clone()).with_options(FROM_NOW);
        workers.spawn("live stock", |stop| following.run(stop));
        workers.spawn("capture", |stop| capture.run(stop));
        let pages = Arc::new(Pages {
            products: Arc::new(RemoteProducts(catalog.clone())),
            search: search.index,
            live,
            readers,
        });
        let front = Self {
            pages,
            catalog,
            inventory,
        };
        Ok((front, workers))
    }

    /// Ends the streams of stock events, so that the process can stop.
    pub fn end_streams(&self) {
        self.pages.live.end();
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}
