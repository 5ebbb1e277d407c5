#![doc = include_str!("../README.md")]

pub mod analysis;
mod document;
mod error;
mod index;
pub mod ingest;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod projection;
mod query;

pub use document::{
    Document, DocumentId, FieldValue, Merged, Row, RowEdit, RowKey, RowVersion, View,
};
pub use error::SearchError;
pub use index::{
    DocumentWrite, Generation, GenerationState, IndexWriter, Limitation, Loaded, Revision,
    SearchIndex, WriteConcurrency,
};
pub use ingest::Ingest;
pub use projection::{
    Column, Condition, FieldKind, Projection, RowVersionSource, StockFields, Table,
};
pub use query::{
    Facet, FacetRequest, Filter, Highlight, Hit, PageEnd, PageStart, SearchPage, SearchQuery, Sort,
    SortKey, SortOrder, Suggestion, TotalHits,
};
