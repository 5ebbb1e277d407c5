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
mod product;
pub mod rows;
mod schema;
mod store;

pub use cache::{AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Coverage, PartitionMark};
pub use catalog::{Catalog, TypeChange};
pub use circuit::{Circuit, CircuitChange, CircuitConfig, CircuitState, Route};
pub use error::{CatalogError, Violation};
pub use freshness::{Freshness, FreshnessTracker, complete_as_of};
pub use product::{
    Attributes, Currency, Media, Money, Product, ProductContent, ProductId, ProductStatus,
    ProductType, ProductTypeName, Slug, Variant,
};
pub use store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};
