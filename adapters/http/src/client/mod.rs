//! Reads stock from another service.

mod answer;
mod options;
mod request;
mod tls;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use async_trait::async_trait;
use stockade_inventory_core::{Cursor, InventoryError, Sku, SkuStock, StockPage, StockSource};

pub use self::options::HttpOptions;
use self::request::{Call, Caller};
use crate::format::{
    FORMAT_VERSION, SCAN_PATH, STOCK_PATH, ScanAnswer, ScanRequest, StockAnswer, StockRequest,
};

/// Stock that another service keeps, read from the routes of [`stock_routes`](crate::stock_routes).
///
/// - A call ends within [`HttpOptions::with_timeout`], all its requests and the bytes of their
///   answers included.
/// - A call for many SKUs makes several requests, one after another. Each SKU is requested once.
/// - A request whose connection ended without an answer is repeated once, because a server closes
///   idle connections when it wants. Nothing else is repeated.
/// - Redirects are not followed, and no proxy is used.
/// - Clones share connections.
#[derive(Clone, Debug)]
pub struct HttpStockSource {
    caller: Caller,
    max_skus: NonZeroUsize,
}

impl HttpStockSource {
    /// A client with these options. It connects with the first call.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for an option that is not allowed. The error has no token.
    pub fn new(options: HttpOptions) -> Result<Self, InventoryError> {
        let max_skus = options.max_skus;
        let caller = Caller::new(options)?;
        Ok(Self { caller, max_skus })
    }
}

#[async_trait]
impl StockSource for HttpStockSource {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let mut seen = HashSet::new();
        let distinct: Vec<&Sku> = skus.iter().filter(|sku| seen.insert(*sku)).collect();
        let call = self.caller.begin("stock");
        let found = call.measured(self.all(&call, &distinct)).await?;
        Ok(skus.iter().map(|sku| found.get(sku).cloned()).collect())
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let limit = limit.min(self.max_skus).get();
        let request = ScanRequest {
            v: FORMAT_VERSION,
            after: after.cloned(),
            limit: limit as u64,
        };
        let call = self.caller.begin("scan");
        let page = async {
            let answer = call.ask(SCAN_PATH, &request).await;
            let answer: ScanAnswer = answer.map_err(|error| with_cursor(error, after))?;
            if answer.stock.len() > limit {
                let found = answer.stock.len();
                return Err(
                    call.misread(format!("{found} SKUs, and at most {limit} were asked for"))
                );
            }
            StockPage::try_from(answer).map_err(|error| call.misread(error))
        };
        call.measured(page).await
    }
}

impl HttpStockSource {
    /// The stock of each of these SKUs that is known.
    async fn all(
        &self,
        call: &Call<'_>,
        skus: &[&Sku],
    ) -> Result<HashMap<Sku, SkuStock>, InventoryError> {
        let mut found = HashMap::new();
        for asked in skus.chunks(self.max_skus.get()) {
            let request = StockRequest {
                v: FORMAT_VERSION,
                skus: asked.iter().map(|sku| (*sku).clone()).collect(),
            };
            let answer: StockAnswer = call.ask(STOCK_PATH, &request).await?;
            if answer.stock.len() != asked.len() {
                let (answers, asked) = (answer.stock.len(), asked.len());
                return Err(call.misread(format!("{answers} answers for {asked} SKUs")));
            }
            for (sku, stock) in asked.iter().zip(answer.stock) {
                let Some(stock) = stock else { continue };
                let stock = SkuStock::try_from(stock).map_err(|error| call.misread(error))?;
                if stock.sku() != *sku {
                    return Err(call.misread(format!("the stock of {} for {sku}", stock.sku())));
                }
                found.insert((*sku).clone(), stock);
            }
        }
        Ok(found)
    }
}

/// Adds the cursor to the refusal of one, which the service does not repeat.
fn with_cursor(error: InventoryError, cursor: Option<&Cursor>) -> InventoryError {
    match (error, cursor) {
        (InventoryError::Invalid { field, reason, .. }, Some(cursor)) => {
            InventoryError::invalid(field, &cursor.0, reason)
        }
        (error, _) => error,
    }
}
