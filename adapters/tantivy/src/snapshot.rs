//! The segments of one state of the index, with what is opened of them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use stockade_search_sync::SearchError;
use tantivy::columnar::{Column, DynamicColumn, NumericalType, StrColumn};
use tantivy::{Searcher, SegmentReader};

use crate::error::failed;
use crate::schema::{KEY, TITLE, column};

/// One state of the index.
pub(crate) struct Snapshot {
    pub(crate) searcher: Searcher,
    pub(crate) segments: Vec<Segment>,
}

impl Snapshot {
    pub(crate) fn new(searcher: Searcher) -> Result<Self, SearchError> {
        let readers = searcher.segment_readers().iter().cloned();
        let segments = readers.map(Segment::new).collect::<Result<_, _>>()?;
        Ok(Self { searcher, segments })
    }
}

/// A segment. Its columns are opened when they are first asked for, and stay so.
pub(crate) struct Segment {
    pub(crate) reader: SegmentReader,
    /// The keys of its documents; none where it has no documents.
    pub(crate) keys: Option<StrColumn>,
    /// Their first titles, folded.
    pub(crate) titles: Option<StrColumn>,
    columns: RwLock<HashMap<String, Arc<Columns>>>,
}

/// The columns of a field in a segment: a field may hold text and numbers.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) texts: Option<StrColumn>,
    pub(crate) numbers: Option<Column<f64>>,
}

impl Segment {
    fn new(reader: SegmentReader) -> Result<Self, SearchError> {
        let text = |name| reader.fast_fields().str(name).map_err(failed("search"));
        Ok(Self {
            keys: text(KEY)?,
            titles: text(TITLE)?,
            columns: RwLock::default(),
            reader,
        })
    }

    /// The columns of a field.
    pub(crate) fn columns(&self, field: &str) -> Result<Arc<Columns>, SearchError> {
        let opened = self.columns.read();
        let opened = opened.unwrap_or_else(PoisonError::into_inner);
        if let Some(columns) = opened.get(field) {
            return Ok(columns.clone());
        }
        drop(opened);
        let columns = Arc::new(Columns::open(&self.reader, field)?);
        // Those that are not there are not kept: anybody can ask for any name.
        if columns.texts.is_some() || columns.numbers.is_some() {
            let opened = self.columns.write();
            let mut opened = opened.unwrap_or_else(PoisonError::into_inner);
            opened.insert(field.to_owned(), columns.clone());
        }
        Ok(columns)
    }
}

impl Columns {
    fn open(segment: &SegmentReader, field: &str) -> Result<Self, SearchError> {
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
