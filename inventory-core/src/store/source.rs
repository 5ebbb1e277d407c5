//! Reading stock.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::InventoryError;
use crate::model::{Sku, SkuStock};
use crate::store::cursor::Cursor;

/// Returns how much stock there is, from the same process or over a network.
///
/// The catalogue and search read stock through this trait. [`InventoryStore`](crate::InventoryStore)
/// includes it, and [`Inventory`](crate::Inventory) implements it.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stockade_inventory_core::{InventoryError, StockSource};
///
/// /// All units in stock, read page by page.
/// async fn units(source: &dyn StockSource) -> Result<u64, InventoryError> {
///     const PAGE: NonZeroUsize = NonZeroUsize::new(500).expect("it is not 0");
///     let (mut units, mut after) = (0, None);
///     loop {
///         let page = source.scan(after.as_ref(), PAGE).await?;
///         units += page.stock.iter().map(|stock| stock.physical()).sum::<u64>();
///         after = page.next;
///         if after.is_none() {
///             return Ok(units);
///         }
///     }
/// }
/// ```
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait StockSource: Send + Sync {
    /// The stock of each of `skus`, in their order, and `None` for each unknown one. The levels of
    /// one SKU are from one snapshot. Different SKUs may be from different moments.
    ///
    /// Any number of SKUs is allowed, and a SKU may be repeated.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors, for all SKUs together.
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError>;

    /// At most `limit` SKUs after `after`, in a fixed order that the store chooses. A SKU that
    /// exists during the whole scan is returned once.
    ///
    /// # Errors
    /// As for [`stock`](StockSource::stock), and [`InventoryError::Invalid`] for a cursor that is
    /// not from this store.
    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError>;
}

/// A page of stock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StockPage {
    /// The stock of each SKU at all its locations.
    pub stock: Vec<SkuStock>,
    /// The position of the next page. None on the last page.
    pub next: Option<Cursor>,
}

impl StockPage {
    /// A page, and the position of the next one.
    #[must_use]
    pub fn new(stock: Vec<SkuStock>, next: Option<Cursor>) -> Self {
        Self { stock, next }
    }
}
