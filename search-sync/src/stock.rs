//! Stock in search: rows with a version domain of their own, which arrive by SKU and perhaps
//! before anybody knows whose the SKU is.
//!
//! A SKU's document holds three rows: whose it is, the newest stock event, and whether it is
//! available since which event. The last one is carried into the owner's document, so that a
//! document is written only when availability flips, and versions still rise with each flip.

use serde_json::{Map, Value};
use stockade_inventory_core::StockChanged;

use crate::document::{Document, DocumentId, Row, RowKey, RowVersion};
use crate::merge::Merged;
use crate::projection::Table;
use crate::rows::Edit;

/// The table of availability rows. No table of a projection begins with a colon.
const AVAILABILITY: &str = ":availability";
/// The table of the newest stock events.
const SEEN: &str = ":stock";
const AVAILABLE: &str = "available";
const OWNER: &str = "document";

/// Whose a SKU is from a version on; nobody's, once its row is deleted.
pub(crate) fn ownership(
    table: &Table,
    sku: String,
    version: RowVersion,
    owner: Option<String>,
) -> Edit {
    let columns = owner.map(|owner| Map::from_iter([(OWNER.to_owned(), Value::from(owner))]));
    Edit {
        document: DocumentId::Sku(sku.clone()),
        key: key(&table.name, sku),
        row: Row { version, columns },
    }
}

/// What a stock event asks of its SKU's document.
pub(crate) fn seen(changed: &StockChanged) -> Edit {
    let sku = changed.sku.as_str().to_owned();
    let available = Value::from(changed.new_stock_count > 0);
    Edit {
        document: DocumentId::Sku(sku.clone()),
        key: key(SEEN, sku),
        row: Row {
            version: changed.version.into(),
            columns: Some(Map::from_iter([(AVAILABLE.to_owned(), available)])),
        },
    }
}

/// Merges a stock event into its SKU's document. `None` if the edit is something else.
///
/// All that is carried to owners comes from this document's own history, in which the version
/// of each flip is higher than that of the one before: so whoever carries late loses, even
/// where the state is the same as two flips ago.
pub(crate) fn merge(document: &mut Document, edit: &Edit) -> Option<Merged> {
    if edit.key.table != SEEN {
        return None;
    }
    let merged = document.merge(&edit.key, &edit.row);
    let key = key(AVAILABILITY, edit.key.key.clone());
    let before = document.rows.get(&key).and_then(|row| row.columns.as_ref());
    if merged == Merged::Changed && before != edit.row.columns.as_ref() {
        document.rows.insert(key, edit.row.clone());
    }
    Some(merged)
}

/// Whether an edit is a stock event of an older epoch than one that the document has seen.
pub(crate) fn is_of_older_epoch(document: &Document, edit: &Edit) -> bool {
    let epoch = |row: &Row| row.version.0 >> 64;
    let seen = document.rows.get(&edit.key);
    edit.key.table == SEEN && seen.is_some_and(|seen| epoch(&edit.row) < epoch(seen))
}

/// What a SKU's document carries over to its owner, once both are known.
pub(crate) fn carried(document: &Document, table: &str) -> Option<Edit> {
    let DocumentId::Sku(sku) = &document.id else {
        return None;
    };
    let owner = document.rows.get(&key(table, sku.clone()))?;
    let owner = owner.columns.as_ref()?.get(OWNER)?.as_str()?;
    let key = key(AVAILABILITY, sku.clone());
    let row = document.rows.get(&key)?.clone();
    Some(Edit {
        document: DocumentId::Root(owner.to_owned()),
        key,
        row,
    })
}

/// Whether a document knows this SKU to be available.
pub(crate) fn is_available(document: &Document, sku: &str) -> bool {
    let row = document.rows.get(&key(AVAILABILITY, sku.to_owned()));
    let available = row
        .and_then(|row| row.columns.as_ref())
        .and_then(|columns| columns.get(AVAILABLE));
    available == Some(&Value::Bool(true))
}

fn key(table: &str, sku: String) -> RowKey {
    RowKey {
        table: table.to_owned(),
        key: sku,
    }
}
