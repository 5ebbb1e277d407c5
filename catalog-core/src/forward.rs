//! Implements the traits for `&T`, `Arc<T>` and `Box<T>`, so that wrappers do not forward each
//! call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_inventory_core::{Sku, StockChanged};

use crate::availability::{
    Advance, Applied, AvailabilityCache, CacheRead, CacheWrite, Coverage, FillStep, FillToken,
};
use crate::error::CatalogError;
use crate::product::{Product, ProductId, ProductType, ProductTypeName};
use crate::store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, Written,
};

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<T: CatalogStore + ?Sized> CatalogStore for $pointer {
            async fn put(
                &self,
                writes: &[ProductWrite],
            ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
                T::put(self, writes).await
            }

            async fn delete(
                &self,
                id: &ProductId,
                expected: Expected,
            ) -> Result<Deleted, CatalogError> {
                T::delete(self, id, expected).await
            }

            async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
                T::get(self, keys).await
            }

            async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
                T::find(self, query).await
            }

            async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
                T::put_type(self, product_type).await
            }

            async fn get_types(
                &self,
                names: &[ProductTypeName],
            ) -> Result<Vec<Option<ProductType>>, CatalogError> {
                T::get_types(self, names).await
            }

            async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError> {
                T::all_types(self).await
            }
        }

        #[async_trait]
        impl<T: AvailabilityCache + ?Sized> AvailabilityCache for $pointer {
            async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
                T::read(self, skus).await
            }

            async fn apply(
                &self,
                entries: &[StockChanged],
                advances: &[Advance],
            ) -> Result<Applied, CatalogError> {
                T::apply(self, entries, advances).await
            }

            async fn write(
                &self,
                entries: &[StockChanged],
            ) -> Result<Vec<CacheWrite>, CatalogError> {
                T::write(self, entries).await
            }

            async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError> {
                T::write_absent(self, skus, ttl).await
            }

            async fn begin_fill(&self) -> Result<FillToken, CatalogError> {
                T::begin_fill(self).await
            }

            async fn fill(
                &self,
                token: &FillToken,
                entries: &[StockChanged],
            ) -> Result<FillStep, CatalogError> {
                T::fill(self, token, entries).await
            }

            async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError> {
                T::end_fill(self, token).await
            }
        }
    )+};
}

forward!(&T, Arc<T>, Box<T>);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::memory::{MemoryAvailabilityCache, MemoryCatalog};

    fn is_store<T: CatalogStore>() {}
    fn is_cache<T: AvailabilityCache>() {}

    #[test]
    fn pointers_to_stores_and_caches_are_stores_and_caches() {
        is_store::<&MemoryCatalog>();
        is_store::<&dyn CatalogStore>();
        is_store::<Arc<dyn CatalogStore>>();
        is_store::<Box<dyn CatalogStore>>();
        is_cache::<&MemoryAvailabilityCache>();
        is_cache::<&dyn AvailabilityCache>();
        is_cache::<Arc<dyn AvailabilityCache>>();
        is_cache::<Box<dyn AvailabilityCache>>();
    }

    #[test]
    fn every_trait_of_the_crate_is_forwarded() {
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let (mut folders, mut traits) = (vec![PathBuf::from(sources)], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let source = fs::read_to_string(path).unwrap();
                let names = source
                    .lines()
                    .filter_map(|line| line.strip_prefix("pub trait "));
                let name = |rest: &str| rest.split([':', '<', ' ']).next().map(str::to_owned);
                traits.extend(names.filter_map(name));
            }
        }
        assert!(!traits.is_empty());
        for name in traits {
            let forwarded = format!("{name} for $pointer");
            assert!(include_str!("forward.rs").contains(&forwarded), "{name}");
        }
    }
}
