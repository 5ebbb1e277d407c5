//! Which tables, keys and columns become which fields of a document, and how.

mod catalog;
mod merge;
mod rows;
pub(crate) mod stock;
mod validate;
mod view;

use serde::{Deserialize, Serialize};

pub(crate) use merge::truncation;

/// How the rows of several tables become one document. It is data, not code.
///
/// A document has one root row, which is found by its key, and any number of child rows that name
/// the document. [`Projection::catalog`] is the projection of a stockade catalogue. A projection
/// of other tables:
///
/// ```
/// use stockade_search_sync::{
///     Column, DocumentId, FieldKind, Projection, RowVersionSource, Table,
/// };
/// # use stockade_change_feed::Timestamp;
/// # use stockade_change_feed::debezium::{Change, RowChange, Sequence};
/// # use stockade_search_sync::Document;
///
/// let books = Projection {
///     root: Table {
///         schema: "public".to_owned(),
///         name: "books".to_owned(),
///         key: "isbn".to_owned(),
///         document: "isbn".to_owned(),
///         version: RowVersionSource::LogSequence,
///         columns: vec![
///             Column::new("name", "title", FieldKind::Text { weight: 4.0 }),
///             Column::new("pages", "pages", FieldKind::Number),
///         ],
///     },
///     title: "title".to_owned(),
///     shown_when: None,
///     children: Vec::new(),
///     stock: None,
/// };
/// books.validate()?;
///
/// // A row that was inserted, as Debezium reports it, becomes an edit of its document.
/// # let row = serde_json::json!({"isbn": "978-0", "name": "Dune", "pages": 412});
/// # let after = row.as_object().cloned().unwrap_or_default();
/// let inserted = RowChange {
///     schema: "public".to_owned(),
///     table: "books".to_owned(),
///     change: Change::Create { after },
///     sequence: Sequence { last_commit: Some(7), lsn: Some(9) },
///     timestamp: Timestamp::EPOCH,
/// };
/// let mut document = Document::new(DocumentId::Root("978-0".to_owned()));
/// for edit in books.edits(&inserted)? {
///     books.merge(&mut document, &edit);
/// }
/// let view = books.view(&document)?.expect("the root row is there");
/// assert_eq!(view.fields["title"][0].to_string(), "Dune");
/// # Ok::<(), stockade_search_sync::SearchError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// The table whose rows are the documents.
    pub root: Table,
    /// The text field that people recognise a document by: suggestions are values of it.
    pub title: String,
    /// The document is shown only while this condition holds for the root row.
    pub shown_when: Option<Condition>,
    /// Tables whose rows are parts of a document.
    pub children: Vec<Table>,
    /// How stock is searched, if it is.
    pub stock: Option<StockFields>,
}

/// A table, and which of its columns are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The schema in the source database.
    pub schema: String,
    /// The name of the table there.
    pub name: String,
    /// The column that identifies a row.
    pub key: String,
    /// The column that names the document. For the root it is the same as `key`.
    pub document: String,
    /// The source of the version that orders the changes of a row.
    pub version: RowVersionSource,
    /// The columns that become fields. Other columns are left out.
    pub columns: Vec<Column>,
}

/// The source of the version that orders the changes of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowVersionSource {
    /// A bigint column. Its values come from one sequence, and are drawn under a lock that is held
    /// even when the row is deleted.
    Column(String),
    /// Debezium's `source.sequence`, for tables without such a column.
    LogSequence,
}

/// A condition on a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// The text that the column must contain.
    pub equals: String,
}

/// A column and the field that it becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// The field. Several columns may become one field.
    pub field: String,
    /// How the field is searched.
    pub kind: FieldKind,
}

impl Column {
    /// A column that becomes a field.
    #[must_use]
    pub fn new(name: impl Into<String>, field: impl Into<String>, kind: FieldKind) -> Self {
        Self {
            name: name.into(),
            field: field.into(),
            kind,
        }
    }
}

/// How a field is searched.
///
/// Exhaustive: an index that does not handle a kind must not compile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Words, with typo tolerance.
    Text {
        /// How much a match counts, compared with a field of weight 1. Above 0.
        weight: f32,
    },
    /// An identifier, for example a SKU or a model number: a document whose identifier equals the
    /// query comes first. Its words are searched with weight 1.
    Identifier,
    /// A whole value, for filters and facets. Its words are searched with weight 2.
    Keyword,
    /// A JSON array of values, for filters and facets. The words of each are searched with
    /// weight 1.
    Keywords,
    /// A number, for ranges and sorting.
    Number,
    /// A JSON object. Each member becomes a field `field.member`: a text becomes a keyword whose
    /// words are searched with weight 1, a number a number, a boolean `true` or `false`, an array
    /// several values, an object its members.
    Attributes,
    /// Returned with hits, and not searched. JSON in a string stays a string.
    Stored,
}

/// How the stock of child rows is searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockFields {
    /// The child table whose key is the SKU.
    pub table: String,
    /// The field that is `true` while any SKU of the document is available, for filters and
    /// facets.
    pub in_stock: String,
}

impl Projection {
    /// The table of that name, if its rows are used.
    #[must_use]
    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        let mut tables = std::iter::once(&self.root).chain(&self.children);
        tables.find(|table| table.schema == schema && table.name == name)
    }

    /// How a field is searched. The field is one of a column, the one that says whether stock is
    /// available (a [`FieldKind::Keyword`]), or a member of [`FieldKind::Attributes`], even if no
    /// row has that member.
    #[must_use]
    pub fn kind_of(&self, field: &str) -> Option<FieldKind> {
        if self
            .stock
            .as_ref()
            .is_some_and(|stock| stock.in_stock == field)
        {
            return Some(FieldKind::Keyword);
        }
        let itself = self
            .columns()
            .find(|c| c.field == field && c.kind != FieldKind::Attributes);
        let member = || {
            self.columns()
                .find(|c| c.kind == FieldKind::Attributes && is_member(field, &c.field))
        };
        itself.or_else(member).map(|column| column.kind)
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        let tables = std::iter::once(&self.root).chain(&self.children);
        tables.flat_map(|table| &table.columns)
    }
}

/// Whether a field is a member of attributes, for example `attributes.size` of `attributes`.
fn is_member(field: &str, attributes: &str) -> bool {
    let rest = field.strip_prefix(attributes);
    rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
}
