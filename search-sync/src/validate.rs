//! Whether a projection makes sense.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use crate::error::SearchError;
use crate::fields::MOST_NAME;
use crate::projection::{FieldKind, Projection, Table, is_member};

impl Projection {
    /// Checks that tables and fields can be told apart, and that their versions compare.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] naming the part, such as `projection.children[0].columns[2].field`.
    pub fn validate(&self) -> Result<(), SearchError> {
        self.check_tables()?;
        let fields = self.check_columns()?;
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
                let reason = "each table has a name of its own that does not begin with a colon, \
                              whatever its schema";
                return invalid(&format!("{path}.name"), &table.name, reason);
            }
            if discriminant(&table.version) != discriminant(&self.root.version) {
                let reason = "all tables are ordered by a column, drawn from one sequence, or all \
                              by the log: children are compared with the deletion of their root";
                let value = format!("{:?}", table.version);
                return invalid(&format!("{path}.version"), &value, reason);
            }
        }
        if self.root.key != self.root.document {
            let reason = "it is the same as the key of the root";
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
                    let reason = "a weight is above 0 and finite";
                    return invalid(&format!("{path}.kind"), &weight.to_string(), reason);
                }
                if *kinds.entry(field).or_insert(column.kind) != column.kind {
                    let reason = "columns that become one field are of one kind";
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
            let reason = "no column becomes the same field";
            return invalid("stock.in_stock", &stock.in_stock, reason);
        }
        if !self.children.iter().any(|table| table.name == stock.table) {
            let reason = "it is the name of a child table";
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
                let reason = format!("it could be a member of the attributes {attributes:?}");
                return invalid("field", field, &reason);
            }
        }
        Ok(())
    }
}

fn check_name(path: &str, field: &str) -> Result<(), SearchError> {
    if field.is_empty() || field.len() > MOST_NAME || field.chars().any(char::is_control) {
        let reason = "a field has a name of 1 to 256 bytes without control characters";
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
