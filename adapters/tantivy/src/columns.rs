//! Reads columns in blocks.

use std::fmt::Debug;

use stockade_search_sync::SearchError;
use tantivy::DocId;
use tantivy::columnar::{Column, ColumnIndex, StrColumn};

use crate::error::failed;

/// How many documents are read together.
const BLOCK: usize = 1_024;

/// The text with this ordinal.
pub(crate) fn text(column: &StrColumn, ordinal: u64) -> Result<String, SearchError> {
    let mut text = String::new();
    let known = column.ord_to_str(ordinal, &mut text);
    if known.map_err(failed("search"))? {
        return Ok(text);
    }
    Err(SearchError::Damaged {
        what: format!("a column has no text with ordinal {ordinal}"),
    })
}

/// Passes every value of these documents to `each`, with the index of its document in
/// `documents`, which must be ordered.
pub(crate) fn each_value<T>(column: &Column<T>, documents: &[DocId], mut each: impl FnMut(usize, T))
where
    T: PartialOrd + Copy + Debug + Send + Sync + Default + 'static,
{
    let (mut owners, mut rows) = (Vec::new(), Vec::new());
    let mut values = Vec::new();
    let read = |rows: &[DocId], values: &mut Vec<T>| {
        values.resize(rows.len(), T::default());
        match rows {
            [first, .., last] if (last - first) as usize + 1 == rows.len() => {
                column.values.get_range(u64::from(*first), values);
            }
            _ => column.values.get_vals(rows, values),
        }
    };
    for (number, block) in documents.chunks(BLOCK).enumerate() {
        let begin = number * BLOCK;
        if let ColumnIndex::Full = column.index {
            read(block, &mut values);
            for (at, value) in values.iter().enumerate() {
                each(begin + at, *value);
            }
            continue;
        }
        owners.clear();
        rows.clear();
        column.row_ids_for_docs(block, &mut owners, &mut rows);
        read(&rows, &mut values);
        let mut at = 0;
        for (owner, value) in owners.iter().zip(&values) {
            while block[at] != *owner {
                at += 1;
            }
            each(begin + at, *value);
        }
    }
}
