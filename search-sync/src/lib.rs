#![doc = include_str!("../README.md")]

mod document;
mod error;
mod index;
mod projection;
mod query;
mod view;

pub use document::{Document, DocumentId, Row, RowKey, RowVersion};
pub use error::SearchError;
pub use index::{
    DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, Revision, WriteConcurrency,
    WriteOutcome,
};
pub use projection::{
    Column, Condition, FieldKind, Projection, RowVersionSource, StockFields, Table,
};
pub use query::{
    Facet, FacetRequest, Filter, Highlight, Hit, Lack, Order, SearchIndex, SearchPage, SearchQuery,
    Sort, Suggestion, Total,
};
pub use view::{FieldValue, View};
