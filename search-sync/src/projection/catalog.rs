//! The projection of a stockade catalogue.

use super::{Column, Condition, FieldKind, Projection, RowVersionSource, StockFields, Table};

impl Projection {
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
        let text = |name: &str, weight| Column::new(name, name, FieldKind::Text { weight });
        let same = |name: &str, kind| Column::new(name, name, kind);
        Self {
            root: table(
                "products",
                "product_id",
                vec![
                    same("slug", FieldKind::Identifier),
                    text("title", 8.0),
                    text("description", 0.5),
                    same("brand", FieldKind::Keyword),
                    same("category", FieldKind::Keywords),
                    same("product_type", FieldKind::Keyword),
                    same("attributes", FieldKind::Attributes),
                    same("media", FieldKind::Stored),
                    same("version", FieldKind::Number),
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
                    same("sku", FieldKind::Identifier),
                    Column::new("name", "variant", FieldKind::Keyword),
                    same("options", FieldKind::Attributes),
                    same("attributes", FieldKind::Attributes),
                    Column::new("price_minor", "price", FieldKind::Number),
                    same("currency", FieldKind::Keyword),
                ],
            )],
            stock: Some(StockFields {
                table: "variants".to_owned(),
                in_stock: "in_stock".to_owned(),
            }),
        }
    }
}
