//! Stock in search. Stock events have versions of their own, and they arrive by SKU, perhaps
//! before it is known to which document the SKU belongs.
//!
//! The document of a SKU holds three rows: its owner, the newest stock event, and the stock event
//! since which the SKU is available or is not. The third row is copied into the owner's document.
//! So the owner's document is written only if the availability changes, and each change has a
//! higher version than the one before.

use serde_json::{Map, Value};
use stockade_inventory_core::StockChanged;

use crate::document::{Document, DocumentId, Merged, Row, RowEdit, RowKey, RowVersion};

/// The table of availability rows. No table of a projection begins with a colon.
const AVAILABILITY: &str = ":availability";
/// The table of the newest stock events.
const EVENTS: &str = ":stock";
const AVAILABLE: &str = "available";
const OWNER: &str = "document";

/// Says that `owner` owns a SKU from this version on. Without an owner, the SKU's row is deleted.
pub(crate) fn ownership(
    table: &str,
    sku: String,
    version: RowVersion,
    owner: Option<String>,
) -> RowEdit {
    let columns = owner.map(|owner| Map::from_iter([(OWNER.to_owned(), Value::from(owner))]));
    RowEdit {
        document: DocumentId::Sku(sku.clone()),
        key: key(table, sku),
        row: Row { version, columns },
    }
}

/// The edit that a stock event makes to its SKU's document.
pub(crate) fn event(changed: &StockChanged) -> RowEdit {
    let sku = changed.sku.as_str().to_owned();
    let available = Value::from(changed.new_stock_count > 0);
    RowEdit {
        document: DocumentId::Sku(sku.clone()),
        key: key(EVENTS, sku),
        row: Row {
            version: changed.version.into(),
            columns: Some(Map::from_iter([(AVAILABLE.to_owned(), available)])),
        },
    }
}

/// Whether an edit is a stock event.
pub(super) fn is_event(edit: &RowEdit) -> bool {
    edit.key.table == EVENTS
}

/// Merges a stock event into its SKU's document.
///
/// Owners only get rows from this document, and here each change of availability has a higher
/// version than the one before. So a late writer has the lower version and is ignored, even if its
/// availability equals the one of two changes ago.
pub(super) fn merge(document: &mut Document, event: &RowEdit) -> Merged {
    let merged = document.merge(&event.key, &event.row);
    let key = key(AVAILABILITY, event.key.key.clone());
    let before = document.rows.get(&key).and_then(|row| row.columns.as_ref());
    if merged == Merged::Changed && before != event.row.columns.as_ref() {
        document.rows.insert(key, event.row.clone());
    }
    merged
}

/// Whether an edit is a stock event of an older epoch than one that the document contains.
pub(crate) fn is_of_older_epoch(document: &Document, edit: &RowEdit) -> bool {
    let epoch = |row: &Row| row.version.0 >> 64;
    let newest = document.rows.get(&edit.key);
    is_event(edit) && newest.is_some_and(|newest| epoch(&edit.row) < epoch(newest))
}

/// The availability that the owner's document gets from a SKU's document; `None` until the owner
/// and the stock are both known.
pub(crate) fn for_owner(document: &Document, table: &str) -> Option<RowEdit> {
    let DocumentId::Sku(sku) = &document.id else {
        return None;
    };
    let owner = document.rows.get(&key(table, sku.clone()))?;
    let owner = owner.columns.as_ref()?.get(OWNER)?.as_str()?;
    let key = key(AVAILABILITY, sku.clone());
    let row = document.rows.get(&key)?.clone();
    Some(RowEdit {
        document: DocumentId::Root(owner.to_owned()),
        key,
        row,
    })
}

/// Whether this SKU is available, as far as the document knows.
pub(super) fn is_available(document: &Document, sku: &str) -> bool {
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
