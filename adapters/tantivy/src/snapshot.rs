//! One state of the index: its segments, and the columns of them that are open.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use stockade_search_sync::SearchError;
use tantivy::columnar::{Column, DynamicColumn, NumericalType, StrColumn};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{SegmentPostings, TermInfo};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::termdict::TermDictionary;
use tantivy::{DocId, InvertedIndexReader, Searcher, SegmentReader};

use crate::columns::each_value;
use crate::error::failed;
use crate::schema::{Fields, KEY, TITLE, Weighted, column};

/// One state of the index.
pub(crate) struct Snapshot {
    pub(crate) searcher: Searcher,
    pub(crate) segments: Vec<Segment>,
}

impl Snapshot {
    /// Columns that are open in `before` stay open.
    pub(crate) fn new(
        searcher: Searcher,
        fields: &Fields,
        before: &[Segment],
    ) -> Result<Self, SearchError> {
        let readers = searcher.segment_readers().iter();
        let segments = readers.map(|reader| {
            let id = reader.segment_id();
            let known = before.iter().find(|known| known.reader.segment_id() == id);
            match known {
                Some(known) => Ok(known.with_documents_of(reader)),
                None => Segment::new(reader.clone(), fields),
            }
        });
        let segments = segments.collect::<Result<_, _>>()?;
        Ok(Self { searcher, segments })
    }
}

/// A segment. Its columns are opened when they are first used, and stay open. They contain all
/// documents of the segment, including deleted ones.
pub(crate) struct Segment {
    pub(crate) reader: SegmentReader,
    /// The keys of its documents; `None` if it has no documents.
    pub(crate) keys: Option<StrColumn>,
    /// The first title of each document, folded.
    pub(crate) titles: Option<StrColumn>,
    /// The words of the fields of each weight, in the order of the weights.
    pub(crate) weights: Arc<[Weight]>,
    columns: Arc<RwLock<HashMap<String, Arc<Columns>>>>,
}

/// The words of the fields of one weight.
pub(crate) struct Weight {
    pub(crate) weight: f64,
    pub(crate) words: Words,
    pub(crate) pairs: Words,
}

/// In which documents each word occurs, and how many words each document has.
pub(crate) struct Words {
    pub(crate) inverted: Arc<InvertedIndexReader>,
    pub(crate) lengths: FieldNormReader,
}

impl Words {
    fn open(reader: &SegmentReader, field: Field) -> Result<Self, SearchError> {
        let lengths = reader.get_fieldnorms_reader(field);
        Ok(Self {
            inverted: reader.inverted_index(field).map_err(failed("search"))?,
            lengths: lengths.map_err(failed("search"))?,
        })
    }

    pub(crate) fn terms(&self) -> &TermDictionary {
        self.inverted.terms()
    }

    /// The documents that contain a term.
    pub(crate) fn postings(&self, term: &TermInfo) -> Result<SegmentPostings, SearchError> {
        let frequencies = IndexRecordOption::WithFreqs;
        let postings = self.inverted.read_postings_from_terminfo(term, frequencies);
        postings.map_err(failed("search"))
    }
}

/// The columns of a field in a segment: a field may contain text and numbers.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) texts: Option<StrColumn>,
    pub(crate) numbers: Option<Column<f64>>,
    /// Built from the texts when it is first used.
    lists: OnceLock<Lists>,
}

/// The documents of each text of a column, and the text of each document.
#[derive(Default)]
pub(crate) struct Lists {
    /// By ordinal of the text, the position of its first document in `documents`. The last entry is
    /// the end.
    begins: Vec<usize>,
    documents: Vec<DocId>,
    /// The number of documents, with or without text.
    all: usize,
    /// By document, the ordinal of its text or [`NO_TEXT`]; `None` if a document has several.
    single: Option<Vec<u32>>,
}

const NO_TEXT: u32 = u32::MAX;

impl Lists {
    fn new(texts: &StrColumn, documents: DocId) -> Self {
        let documents: Vec<DocId> = (0..documents).collect();
        let mut begins = vec![0; texts.num_terms() + 1];
        let mut single = vec![NO_TEXT; documents.len()];
        let mut is_single = true;
        each_value(texts.ords(), &documents, |at, ordinal| {
            begins[ordinal as usize + 1] += 1;
            is_single &= single[at] == NO_TEXT;
            single[at] = ordinal as u32;
        });
        let mut all = 0;
        for begin in &mut begins {
            all += *begin;
            *begin = all;
        }
        let mut next = begins.clone();
        let mut listed = vec![0; all];
        each_value(texts.ords(), &documents, |at, ordinal| {
            let next = &mut next[ordinal as usize];
            listed[*next] = documents[at];
            *next += 1;
        });
        Self {
            begins,
            documents: listed,
            all: documents.len(),
            single: is_single.then_some(single),
        }
    }

    /// The documents that have the text with this ordinal, in order.
    pub(crate) fn of(&self, ordinal: u64) -> &[DocId] {
        let ordinal = ordinal as usize;
        &self.documents[self.begins[ordinal]..self.begins[ordinal + 1]]
    }

    /// By ordinal, the number of these documents that have the text.
    pub(crate) fn count(&self, texts: &StrColumn, documents: &[DocId]) -> Vec<usize> {
        if documents.len() == self.all {
            return self
                .begins
                .windows(2)
                .map(|list| list[1] - list[0])
                .collect();
        }
        let mut counts = vec![0; texts.num_terms()];
        match &self.single {
            Some(single) => {
                for document in documents {
                    if let Some(count) = counts.get_mut(single[*document as usize] as usize) {
                        *count += 1;
                    }
                }
            }
            None => each_value(texts.ords(), documents, |_, ordinal| {
                counts[ordinal as usize] += 1;
            }),
        }
        counts
    }
}

impl Segment {
    /// The same segment, after more of its documents were deleted.
    fn with_documents_of(&self, reader: &SegmentReader) -> Self {
        Self {
            reader: reader.clone(),
            keys: self.keys.clone(),
            titles: self.titles.clone(),
            weights: self.weights.clone(),
            columns: self.columns.clone(),
        }
    }

    /// The documents that are not deleted.
    pub(crate) fn alive(&self) -> Vec<DocId> {
        match self.reader.alive_bitset() {
            None => (0..self.reader.max_doc()).collect(),
            Some(alive) => alive.iter_alive().collect(),
        }
    }

    /// The lists of these columns, which must be of this segment.
    pub(crate) fn lists<'c>(&self, columns: &'c Columns) -> &'c Lists {
        let lists = || match &columns.texts {
            Some(texts) => Lists::new(texts, self.reader.max_doc()),
            None => Lists::default(),
        };
        columns.lists.get_or_init(lists)
    }

    fn new(reader: SegmentReader, fields: &Fields) -> Result<Self, SearchError> {
        let weight = |weighted: &Weighted| {
            Ok(Weight {
                weight: weighted.weight,
                words: Words::open(&reader, weighted.words)?,
                pairs: Words::open(&reader, weighted.pairs)?,
            })
        };
        let weights = fields.weights.iter().map(weight);
        let text = |name| reader.fast_fields().str(name).map_err(failed("search"));
        Ok(Self {
            keys: text(KEY)?,
            titles: text(TITLE)?,
            weights: weights.collect::<Result<_, SearchError>>()?,
            columns: Arc::default(),
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
        // Missing columns are not kept, because a query may contain any name.
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
