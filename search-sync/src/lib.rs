#![doc = include_str!("../README.md")]

pub mod analysis;
mod check;
mod cursor;
mod document;
mod error;
mod fields;
mod index;
pub mod ingest;
pub mod memory;
mod merge;
#[cfg(feature = "mock")]
pub mod mock;
pub mod order;
mod projection;
mod query;
mod rows;
mod stock;
mod validate;
mod view;

pub use cursor::PageEnd;
pub use document::{Document, DocumentId, Row, RowKey, RowVersion};
pub use error::SearchError;
pub use index::{
    DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, Revision, WriteConcurrency,
    WriteOutcome,
};
pub use ingest::Ingest;
pub use merge::Merged;
pub use projection::{
    Column, Condition, FieldKind, Projection, RowVersionSource, StockFields, Table,
};
pub use query::{
    Facet, FacetRequest, Filter, Highlight, Hit, Lack, Order, SearchIndex, SearchPage, SearchQuery,
    Sort, Suggestion, Total,
};
pub use rows::Edit;
pub use view::{FieldValue, View};
