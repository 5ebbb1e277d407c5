//! Which documents pass the filters.

use stockade_search_sync::{Filter, SearchError};
use tantivy::{BitSet, DocId, SegmentReader};

use super::columns::{Columns, each_value};
use crate::error::failed;

/// All filters on one field.
pub(super) struct OnField<'a> {
    field: &'a str,
    filters: Vec<&'a Filter>,
}

/// Filters by field, in the order in which the fields come first.
pub(super) fn by_field(filters: &[Filter]) -> Vec<OnField<'_>> {
    let mut by_field: Vec<OnField<'_>> = Vec::new();
    for filter in filters {
        let field = filter.field();
        match by_field.iter_mut().find(|known| known.field == field) {
            Some(known) => known.filters.push(filter),
            None => by_field.push(OnField {
                field,
                filters: vec![filter],
            }),
        }
    }
    by_field
}

/// The documents of a segment that pass all filters, and those that pass all but the ones on one
/// field, both in the order of their ids.
pub(super) struct Passing<'a> {
    pub(super) all: Vec<DocId>,
    /// For fields that are filtered.
    but: Vec<(&'a str, Vec<DocId>)>,
}

/// How a document fares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failed {
    Nowhere,
    On(u8),
    OnSeveral,
}

impl<'a> Passing<'a> {
    pub(super) fn new(
        segment: &SegmentReader,
        documents: &[DocId],
        filters: &[OnField<'a>],
    ) -> Result<Self, SearchError> {
        if filters.is_empty() {
            return Ok(Self {
                all: documents.to_vec(),
                but: Vec::new(),
            });
        }
        let mut failed = vec![Failed::Nowhere; documents.len()];
        for (number, on) in (0..).zip(filters) {
            let holding = on.holding(segment, documents)?;
            for (document, failed) in documents.iter().zip(&mut failed) {
                if !holding.iter().all(|holds| holds.contains(*document)) {
                    *failed = match failed {
                        Failed::Nowhere => Failed::On(number),
                        _ => Failed::OnSeveral,
                    };
                }
            }
        }
        let passing = |also: Option<u8>| {
            let failed = documents.iter().zip(&failed);
            let passing = failed.filter(|(_, failed)| match failed {
                Failed::Nowhere => true,
                Failed::On(number) => Some(*number) == also,
                Failed::OnSeveral => false,
            });
            passing.map(|(document, _)| *document).collect()
        };
        let but = (0..).zip(filters);
        let but = but.map(|(number, on)| (on.field, passing(Some(number))));
        Ok(Self {
            but: but.collect(),
            all: passing(None),
        })
    }

    /// What is counted for a facet: its own filter is left out.
    pub(super) fn for_facet(&self, field: &str) -> &[DocId] {
        let own = self.but.iter().find(|(of, _)| *of == field);
        own.map_or(&self.all, |(_, documents)| documents)
    }
}

impl OnField<'_> {
    /// For each filter the documents for which it holds.
    fn holding(
        &self,
        segment: &SegmentReader,
        documents: &[DocId],
    ) -> Result<Vec<BitSet>, SearchError> {
        let columns = Columns::open(segment, self.field)?;
        let filters = self.filters.iter();
        let holding = filters.map(|filter| holding(filter, &columns, segment.max_doc(), documents));
        holding.collect()
    }
}

/// The documents for which a filter holds.
fn holding(
    filter: &Filter,
    columns: &Columns,
    max_doc: u32,
    documents: &[DocId],
) -> Result<BitSet, SearchError> {
    let mut holds = BitSet::with_max_value(max_doc);
    match filter {
        Filter::Terms { values, .. } => {
            if let Some(texts) = &columns.texts {
                let mut ordinals = Vec::new();
                for value in values {
                    let ordinal = texts.dictionary().term_ord(value);
                    ordinals.extend(ordinal.map_err(failed("search"))?);
                }
                ordinals.sort_unstable();
                each_value(texts.ords(), documents, |document, ordinal| {
                    if ordinals.binary_search(&ordinal).is_ok() {
                        holds.insert(document);
                    }
                });
            }
            if let Some(column) = &columns.numbers {
                let parsed = values.iter().filter_map(|value| value.parse().ok());
                let numbers: Vec<f64> = parsed.collect();
                each_value(column, documents, |document, number| {
                    if numbers.contains(&number) {
                        holds.insert(document);
                    }
                });
            }
        }
        Filter::Range { min, max, .. } => {
            if let Some(column) = &columns.numbers {
                let min = min.unwrap_or(f64::NEG_INFINITY);
                let max = max.unwrap_or(f64::INFINITY);
                each_value(column, documents, |document, number| {
                    if min <= number && number <= max {
                        holds.insert(document);
                    }
                });
            }
        }
    }
    Ok(holds)
}
