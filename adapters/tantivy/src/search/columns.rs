//! The values of a field in a segment, by column.

use stockade_search_sync::SearchError;
use tantivy::columnar::{Column, DynamicColumn, NumericalType, StrColumn};
use tantivy::{DocId, SegmentReader};

use crate::error::failed;
use crate::schema::{KEY, TITLE, column};

/// So many documents are read at once.
const BLOCK: usize = 1_024;

/// The columns of a field in a segment: a field may hold text and numbers.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) texts: Option<StrColumn>,
    pub(super) numbers: Option<Column<f64>>,
}

impl Columns {
    pub(super) fn open(segment: &SegmentReader, field: &str) -> Result<Self, SearchError> {
        let fast = segment.fast_fields();
        let handles = fast.dynamic_column_handles(&column(field));
        let mut columns = Self::default();
        for handle in handles.map_err(failed("search"))? {
            match handle.open().map_err(failed("search"))? {
                DynamicColumn::Str(texts) => columns.texts = Some(texts),
                numbers => {
                    if let Some(DynamicColumn::F64(numbers)) =
                        numbers.coerce_numerical(NumericalType::F64)
                    {
                        columns.numbers = Some(numbers);
                    }
                }
            }
        }
        Ok(columns)
    }
}

/// The keys of a segment's documents.
pub(super) fn keys(segment: &SegmentReader) -> Result<Option<StrColumn>, SearchError> {
    segment.fast_fields().str(KEY).map_err(failed("search"))
}

/// The first titles of a segment's documents, folded.
pub(super) fn titles(segment: &SegmentReader) -> Result<Option<StrColumn>, SearchError> {
    segment.fast_fields().str(TITLE).map_err(failed("search"))
}

/// The text of an ordinal.
pub(super) fn text(column: &StrColumn, ordinal: u64) -> Result<String, SearchError> {
    let mut text = String::new();
    let known = column.ord_to_str(ordinal, &mut text);
    if known.map_err(failed("search"))? {
        return Ok(text);
    }
    Err(SearchError::Damaged {
        what: format!("a column has no value {ordinal}"),
    })
}

/// Every value of these documents, which are in order, with its document.
pub(super) fn each_value<T>(column: &Column<T>, documents: &[DocId], mut each: impl FnMut(DocId, T))
where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + Default + 'static,
{
    let (mut owners, mut rows) = (Vec::new(), Vec::new());
    let mut values = Vec::new();
    for block in documents.chunks(BLOCK) {
        let full = matches!(column.index, tantivy::columnar::ColumnIndex::Full);
        let (owners, rows) = if full {
            (block, block)
        } else {
            owners.clear();
            rows.clear();
            column.row_ids_for_docs(block, &mut owners, &mut rows);
            (&owners[..], &rows[..])
        };
        values.resize(rows.len(), T::default());
        column.values.get_vals(rows, &mut values);
        for (owner, value) in owners.iter().zip(&values) {
            each(*owner, *value);
        }
    }
}
