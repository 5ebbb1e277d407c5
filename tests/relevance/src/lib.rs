//! Measures whether search ranks the product first that a shopper means.
//!
//! Each query has a kind (a typo, a plural, a SKU and so on) and the product that must come first.
//! An index and tantivy's default query parser answer all queries over the same documents.

mod baseline;
mod comparison;
mod evaluation;
mod query;

pub use comparison::Comparison;
pub use evaluation::{Evaluation, Score};
pub use query::{Query, queries};

/// Queries over the sample catalogue.
pub const SAMPLE_QUERIES: &str = include_str!("../queries/sample.tsv");

/// Queries over Saleor's public demo catalogue, which is not part of this project.
pub const SALEOR_QUERIES: &str = include_str!("../queries/saleor-demo.tsv");
