//! Whether a projection is usable.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use super::view::MOST_NAME;
use super::{FieldKind, Projection, Table, is_member};
use crate::error::SearchError;

impl Projection {
    /// Checks that the names of tables and fields are unique, and that the versions of all tables
    /// can be compared.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] naming the part, for example
    /// `projection.children[0].columns[2].field`.
    pub fn validate(&self) -> Result<(), SearchError> {
        self.check_tables()?;
        let fields = self.check_columns()?;
        if !matches!(
            fields.get(self.title.as_str()),
            Some(FieldKind::Text { .. })
        ) {
            return invalid("title", &self.title, "it must be one of the text fields");
        }
        self.check_stock(&fields)?;
        self.check_members(&fields)
    }

    fn tables(&self) -> impl Iterator<Item = (String, &Table)> {
        let child = |(at, table)| (format!("children[{at}]"), table);
        let children = self.children.iter().enumerate().map(child);
        std::iter::once(("root".to_owned(), &self.root)).chain(children)
    }

    fn check_tables(&self) -> Result<(), SearchError> {
        let mut names = BTreeSet::new();
        for (path, table) in self.tables() {
            let named = !table.name.is_empty() && !table.name.starts_with(':');
            if !named || !names.insert(&table.name) {
                let reason =
                    "table names are unique, also across schemas, and do not begin with a colon";
                return invalid(&format!("{path}.name"), &table.name, reason);
            }
            if discriminant(&table.version) != discriminant(&self.root.version) {
                let reason = "all tables take their version from a column, or all from the log: children \
                              are compared with the deletion of their root";
                let value = format!("{:?}", table.version);
                return invalid(&format!("{path}.version"), &value, reason);
            }
        }
        if self.root.key != self.root.document {
            let reason = "it must be the same as the key of the root";
            return invalid("root.document", &self.root.document, reason);
        }
        Ok(())
    }

    fn check_columns(&self) -> Result<BTreeMap<&str, FieldKind>, SearchError> {
        let mut kinds = BTreeMap::new();
        for (path, table) in self.tables() {
            for (at, column) in table.columns.iter().enumerate() {
                let path = format!("{path}.columns[{at}]");
                let field = column.field.as_str();
                check_name(&format!("{path}.field"), field)?;
                if let FieldKind::Text { weight } = column.kind
                    && !(weight.is_finite() && weight > 0.0)
                {
                    let reason = "a weight must be above 0 and finite";
                    return invalid(&format!("{path}.kind"), &weight.to_string(), reason);
                }
                if *kinds.entry(field).or_insert(column.kind) != column.kind {
                    let reason = "columns that become one field must have one kind";
                    return invalid(
                        &format!("{path}.kind"),
                        &format!("{:?}", column.kind),
                        reason,
                    );
                }
            }
        }
        Ok(kinds)
    }

    fn check_stock(&self, fields: &BTreeMap<&str, FieldKind>) -> Result<(), SearchError> {
        let Some(stock) = &self.stock else {
            return Ok(());
        };
        check_name("stock.in_stock", &stock.in_stock)?;
        if fields.contains_key(stock.in_stock.as_str()) {
            let reason = "a column already becomes this field";
            return invalid("stock.in_stock", &stock.in_stock, reason);
        }
        if !self.children.iter().any(|table| table.name == stock.table) {
            let reason = "it must be the name of a child table";
            return invalid("stock.table", &stock.table, reason);
        }
        Ok(())
    }

    fn check_members(&self, fields: &BTreeMap<&str, FieldKind>) -> Result<(), SearchError> {
        let stock = self.stock.as_ref().map(|stock| stock.in_stock.as_str());
        for (attributes, kind) in fields {
            let mut names = fields.keys().copied().chain(stock);
            let member = names.find(|field| is_member(field, attributes));
            if let Some(field) = member.filter(|_| *kind == FieldKind::Attributes) {
                let reason =
                    format!("a member of the attributes {attributes:?} could have the same name");
                return invalid("field", field, &reason);
            }
        }
        Ok(())
    }
}

fn check_name(path: &str, field: &str) -> Result<(), SearchError> {
    if field.is_empty() || field.len() > MOST_NAME || field.chars().any(char::is_control) {
        let reason = "a field name has 1 to 256 bytes and no control characters";
        return invalid(path, field, reason);
    }
    Ok(())
}

fn invalid<T>(path: &str, value: &str, reason: &str) -> Result<T, SearchError> {
    Err(SearchError::invalid(
        format!("projection.{path}"),
        value,
        reason,
    ))
}
