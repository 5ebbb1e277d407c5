//! Whether search puts first what shoppers mean.
//!
//! Each query comes with the product that has to come first, and is of a kind: a typo, a plural,
//! a SKU and so on. An index and tantivy's default query parser answer all of them over the same
//! documents.

mod baseline;
mod comparison;
mod evaluation;
mod query;

pub use comparison::Comparison;
pub use evaluation::{Evaluation, Score};
pub use query::{Query, queries};

/// Queries over the sample catalogue.
pub const SAMPLE_QUERIES: &str = include_str!("../queries/sample.tsv");

/// Queries over Saleor's public demo catalogue, which this project does not bring along.
pub const SALEOR_QUERIES: &str = include_str!("../queries/saleor-demo.tsv");
