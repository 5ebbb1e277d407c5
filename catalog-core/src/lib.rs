#![doc = include_str!("../README.md")]

mod availability;
mod cache;
mod catalog;
mod circuit;
mod contains;
mod deadline;
mod error;
mod freshness;
mod limits;
pub mod memory;
mod merge;
mod page;
mod product;
mod refill;
pub mod rows;
mod schema;
mod store;
#[cfg(test)]
mod testing;
mod worker;

pub use availability::{Alert, Availability};
pub use cache::{AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Coverage, PartitionMark};
pub use catalog::{Catalog, TypeChange};
pub use circuit::{Circuit, CircuitChange, CircuitConfig, CircuitState, Route};
pub use error::{CatalogError, Violation};
pub use freshness::{Freshness, FreshnessTracker, complete_as_of};
pub use page::{Origin, PageAvailability, SkuAvailability, Stock};
pub use product::{
    Attributes, Currency, Media, Money, Product, ProductContent, ProductId, ProductStatus,
    ProductType, ProductTypeName, Slug, Variant,
};
pub use refill::AvailabilityRefill;
pub use store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};
pub use worker::AvailabilityWorker;
