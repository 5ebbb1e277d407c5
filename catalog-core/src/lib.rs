#![doc = include_str!("../README.md")]

mod availability;
#[cfg(feature = "schema")]
mod catalog;
mod contains;
mod error;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod product;
pub mod rows;
pub mod rules;
mod store;

pub use availability::{
    Advance, Advanced, Alert, Applied, Availability, AvailabilityCache, AvailabilityRefill,
    AvailabilityWorker, CacheEntry, CacheRead, CacheWrite, Circuit, CircuitChange, CircuitConfig,
    CircuitState, Completeness, Continuity, Coverage, FillStep, FillToken, Freshness,
    FreshnessTracker, MarkWrite, Origin, PageAvailability, PartitionMark, Route, SkuAvailability,
    Stock, complete_as_of,
};
#[cfg(feature = "schema")]
pub use catalog::{Catalog, TypeChange};
pub use error::{CatalogError, Violation};
pub use product::{
    Attributes, Currency, Media, Money, Product, ProductContent, ProductId, ProductStatus,
    ProductType, ProductTypeName, Slug, Variant,
};
pub use store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};
