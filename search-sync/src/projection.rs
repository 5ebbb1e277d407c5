//! Which tables, keys and columns become which fields of a document: data, not code.

use serde::{Deserialize, Serialize};

/// How the rows of several tables become one document.
///
/// A document has one root row, found by its key, and any number of child rows that name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// The table whose rows are the documents.
    pub root: Table,
    /// The text field that names a document to people: what suggestions are.
    pub title: String,
    /// The root is shown only while this column has this value.
    pub shown_when: Option<Condition>,
    /// Tables whose rows are parts of a document.
    pub children: Vec<Table>,
    /// Where stock belongs, if it is searched.
    pub stock: Option<StockFields>,
}

/// A table and what is taken from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The schema in the source database.
    pub schema: String,
    /// Its name there.
    pub name: String,
    /// The column that identifies a row.
    pub key: String,
    /// The column that names the document: for the root the same as `key`.
    pub document: String,
    /// What orders the changes of a row.
    pub version: RowVersionSource,
    /// What becomes of its columns; others are left out.
    pub columns: Vec<Column>,
}

/// What orders the changes of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowVersionSource {
    /// A bigint column, drawn from a sequence under a lock that outlives the row.
    Column(String),
    /// Debezium's `source.sequence`: for tables that have no such column.
    LogSequence,
}

/// A condition on a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// The text that it has to hold.
    pub equals: String,
}

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// The field that it becomes. Several columns may become one field.
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
/// Exhaustive: an index that does not know a kind must not compile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldKind {
    /// Words, with typo tolerance. A match counts so many times as much as one of weight 1.
    Text {
        /// The weight, above 0.
        weight: f32,
    },
    /// An identifier such as a SKU or a model number: a query that equals it comes first. Its
    /// words are searched with weight 1.
    Identifier,
    /// A value as a whole, for filters and facets; its words are searched with weight 2.
    Keyword,
    /// A JSON array of values for filters and facets, the words of each searched with weight 1.
    Keywords,
    /// A number, for ranges and sorting.
    Number,
    /// A JSON object. Each member becomes a field `field.member`: text a keyword whose words are
    /// searched with weight 1, numbers a number, booleans `true` or `false`, arrays several
    /// values, objects their members in turn.
    Attributes,
    /// Given back with hits, and not searched. JSON in a string stays a string.
    Stored,
}

/// Where the stock of child rows is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockFields {
    /// The child table whose key is the SKU.
    pub table: String,
    /// The field that is `true` while any of a document's SKUs is available, for filters and
    /// facets.
    pub in_stock: String,
}

impl Projection {
    /// The table of that name, if rows of it are taken.
    #[must_use]
    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        let mut tables = std::iter::once(&self.root).chain(&self.children);
        tables.find(|table| table.schema == schema && table.name == name)
    }

    /// How a field is searched: a column's, the one that tells whether stock is available (a
    /// [`FieldKind::Keyword`]), or a member of [`FieldKind::Attributes`], whether any row has it
    /// or not.
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

    /// The projection of a stockade catalogue: products with their variants and stock.
    #[must_use]
    pub fn catalog() -> Self {
        let table = |name: &str, key: &str, columns: Vec<Column>| Table {
            schema: "catalog".to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            document: "product_id".to_owned(),
            version: RowVersionSource::Column("version".to_owned()),
            columns,
        };
        Self {
            root: table(
                "products",
                "product_id",
                vec![
                    Column::new("slug", "slug", FieldKind::Identifier),
                    Column::new("title", "title", FieldKind::Text { weight: 8.0 }),
                    Column::new(
                        "description",
                        "description",
                        FieldKind::Text { weight: 0.5 },
                    ),
                    Column::new("brand", "brand", FieldKind::Keyword),
                    Column::new("category", "category", FieldKind::Keywords),
                    Column::new("product_type", "product_type", FieldKind::Keyword),
                    Column::new("attributes", "attributes", FieldKind::Attributes),
                    Column::new("media", "media", FieldKind::Stored),
                    Column::new("version", "version", FieldKind::Number),
                ],
            ),
            title: "title".to_owned(),
            shown_when: Some(Condition {
                column: "status".to_owned(),
                equals: "active".to_owned(),
            }),
            children: vec![table(
                "variants",
                "sku",
                vec![
                    Column::new("sku", "sku", FieldKind::Identifier),
                    Column::new("name", "variant", FieldKind::Keyword),
                    Column::new("options", "options", FieldKind::Attributes),
                    Column::new("attributes", "attributes", FieldKind::Attributes),
                    Column::new("price_minor", "price", FieldKind::Number),
                    Column::new("currency", "currency", FieldKind::Keyword),
                ],
            )],
            stock: Some(StockFields {
                table: "variants".to_owned(),
                in_stock: "in_stock".to_owned(),
            }),
        }
    }
}

/// Whether a field is a member of attributes, such as `attributes.size` of `attributes`.
pub(crate) fn is_member(field: &str, attributes: &str) -> bool {
    let rest = field.strip_prefix(attributes);
    rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
}
