#![doc = include_str!("../README.md")]

mod availability;
mod cache;
mod catalog;
mod circuit;
mod contains;
mod error;
mod limits;
pub mod memory;
mod product;
pub mod rows;
mod store;

pub use cache::{AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Coverage, PartitionMark};
pub use error::{CatalogError, Violation};
pub use product::{
    Attributes, Currency, Media, Money, Product, ProductContent, ProductId, ProductStatus,
    ProductType, ProductTypeName, Slug, Variant,
};
pub use store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};
