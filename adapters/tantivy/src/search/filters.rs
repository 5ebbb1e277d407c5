//! Which documents pass the filters.

use stockade_search_sync::{FacetRequest, Filter, SearchError};
use tantivy::DocId;

use super::score::Matching;
use crate::columns::each_value;
use crate::error::failed;
use crate::snapshot::{Columns, Segment};

/// If one list is this many times shorter, each of its documents is looked up in the other.
const MUCH_SHORTER: usize = 16;

/// All filters on one field.
pub(super) struct OnField<'a> {
    field: &'a str,
    filters: Vec<&'a Filter>,
    /// Whether the values of the field are counted. The facet leaves these filters out.
    counted: Counted,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    No,
    Yes,
}

/// Filters by field. Fields that are not counted come first, because they save work for the others.
pub(super) fn by_field<'a>(filters: &'a [Filter], facets: &[FacetRequest]) -> Vec<OnField<'a>> {
    let mut by_field: Vec<OnField<'_>> = Vec::new();
    for filter in filters {
        let field = filter.field();
        match by_field.iter_mut().find(|known| known.field == field) {
            Some(known) => known.filters.push(filter),
            None => by_field.push(OnField {
                field,
                filters: vec![filter],
                counted: match facets.iter().any(|facet| facet.field == field) {
                    true => Counted::Yes,
                    false => Counted::No,
                },
            }),
        }
    }
    by_field.sort_by_key(|on| on.counted);
    by_field
}

/// All documents, or fewer if a filter requires a single value: then the documents with that value.
pub(super) fn everything(
    segment: &Segment,
    filters: &[OnField<'_>],
) -> Result<Matching, SearchError> {
    let plain = filters.iter().filter(|on| on.counted == Counted::No);
    let needed = plain.flat_map(|on| on.filters.iter().map(|filter| (on.field, *filter)));
    for (field, filter) in needed {
        let Filter::Terms { values, .. } = filter else {
            continue;
        };
        let columns = segment.columns(field)?;
        if let (Some(texts), None, [value]) = (&columns.texts, &columns.numbers, &values[..]) {
            let ordinal = texts.dictionary().term_ord(value);
            let mut documents = match ordinal.map_err(failed("search"))? {
                Some(ordinal) => segment.lists(&columns).of(ordinal).to_vec(),
                None => Vec::new(),
            };
            if let Some(alive) = segment.reader.alive_bitset() {
                documents.retain(|document| alive.is_alive(*document));
            }
            return Ok(Matching::equal(documents));
        }
    }
    Ok(Matching::equal(segment.alive()))
}

/// The documents of a segment that pass all filters, and for some fields those that pass all filters
/// except the ones on that field. Both are ordered by their ids.
pub(super) struct Passing<'a> {
    pub(super) all: Matching,
    /// For each field that is filtered and counted.
    except: Vec<(&'a str, Vec<DocId>)>,
}

/// Which filters a document fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failed {
    Nowhere,
    On(u8),
    OnSeveral,
}

impl<'a> Passing<'a> {
    pub(super) fn new(
        segment: &Segment,
        mut matching: Matching,
        filters: &[OnField<'a>],
    ) -> Result<Self, SearchError> {
        let counted = filters.partition_point(|on| on.counted == Counted::No);
        let (plain, counted) = filters.split_at(counted);
        for on in plain {
            let holds = on.hold(segment, &matching.documents)?;
            matching.retain(|at| holds[at]);
        }
        if counted.is_empty() {
            return Ok(Self {
                all: matching,
                except: Vec::new(),
            });
        }
        let mut failed = vec![Failed::Nowhere; matching.documents.len()];
        for (number, on) in (0..).zip(counted) {
            let holds = on.hold(segment, &matching.documents)?;
            for (failed, _) in failed.iter_mut().zip(holds).filter(|(_, holds)| !holds) {
                *failed = match failed {
                    Failed::Nowhere => Failed::On(number),
                    _ => Failed::OnSeveral,
                };
            }
        }
        let except = |number: u8| {
            let passes = |failed: &Failed| {
                matches!(failed, Failed::Nowhere) || *failed == Failed::On(number)
            };
            let all = matching.documents.iter().zip(&failed);
            let passing = all.filter(|(_, failed)| passes(failed));
            passing.map(|(document, _)| *document).collect()
        };
        let except = (0..)
            .zip(counted)
            .map(|(number, on)| (on.field, except(number)));
        let except = except.collect();
        matching.retain(|at| failed[at] == Failed::Nowhere);
        Ok(Self {
            all: matching,
            except,
        })
    }

    /// The documents that are counted for a facet. The filters on its own field are left out.
    pub(super) fn for_facet(&self, field: &str) -> &[DocId] {
        let own = self.except.iter().find(|(own, _)| *own == field);
        own.map_or(&self.all.documents, |(_, documents)| documents)
    }
}

impl OnField<'_> {
    /// Whether all filters on the field hold, for each document.
    fn hold(&self, segment: &Segment, documents: &[DocId]) -> Result<Vec<bool>, SearchError> {
        let columns = segment.columns(self.field)?;
        let mut all = vec![true; documents.len()];
        for filter in &self.filters {
            let mut holds = vec![false; documents.len()];
            hold(filter, segment, &columns, documents, |at| holds[at] = true)?;
            for (all, holds) in all.iter_mut().zip(holds) {
                *all &= holds;
            }
        }
        Ok(all)
    }
}

/// Passes the position of each document for which a filter holds to `each`, once or several times.
fn hold(
    filter: &Filter,
    segment: &Segment,
    columns: &Columns,
    documents: &[DocId],
    mut each: impl FnMut(usize),
) -> Result<(), SearchError> {
    match filter {
        Filter::Terms { values, .. } => {
            if let Some(texts) = &columns.texts {
                let mut ordinals = Vec::new();
                for value in values {
                    let ordinal = texts.dictionary().term_ord(value);
                    ordinals.extend(ordinal.map_err(failed("search"))?);
                }
                let lists = segment.lists(columns);
                for ordinal in ordinals {
                    each_common(documents, lists.of(ordinal), &mut each);
                }
            }
            if let Some(column) = &columns.numbers {
                let parsed = values.iter().filter_map(|value| value.parse().ok());
                let numbers: Vec<f64> = parsed.collect();
                each_value(column, documents, |at, number| {
                    if numbers.contains(&number) {
                        each(at);
                    }
                });
            }
        }
        Filter::Range { min, max, .. } => {
            if let Some(column) = &columns.numbers {
                let min = min.unwrap_or(f64::NEG_INFINITY);
                let max = max.unwrap_or(f64::INFINITY);
                each_value(column, documents, |at, number| {
                    if min <= number && number <= max {
                        each(at);
                    }
                });
            }
        }
    }
    Ok(())
}

/// Passes the position of each document that is also in `list` to `each`. Both are ordered. If one
/// is much shorter, its entries are looked up in the other.
fn each_common(documents: &[DocId], list: &[DocId], mut each: impl FnMut(usize)) {
    let is_shorter = |a: usize, b: usize| a * MUCH_SHORTER < b;
    if documents == list {
        (0..documents.len()).for_each(each);
    } else if is_shorter(documents.len(), list.len()) {
        let found = documents.iter().enumerate();
        let found = found.filter(|(_, document)| list.binary_search(document).is_ok());
        found.for_each(|(at, _)| each(at));
    } else if is_shorter(list.len(), documents.len()) {
        let found = list.iter();
        let found = found.filter_map(|document| documents.binary_search(document).ok());
        found.for_each(each);
    } else {
        let mut list = list.iter().peekable();
        for (at, document) in documents.iter().enumerate() {
            while list.next_if(|listed| *listed < document).is_some() {}
            if list.next_if(|listed| *listed == document).is_some() {
                each(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_documents_do_not_depend_on_the_lengths_of_the_lists() {
        let every = |step: usize| (0..1_000).step_by(step).collect::<Vec<DocId>>();
        let lists = [1, 2, 3, 70, 333, 999].map(every);
        for documents in lists.iter().chain([&vec![], &vec![1]]) {
            for list in lists.iter().chain([&vec![], &vec![1]]) {
                let mut found = Vec::new();
                each_common(documents, list, |at| found.push(at));
                let is_common = |at: &usize| list.contains(&documents[*at]);
                let common: Vec<_> = (0..documents.len()).filter(is_common).collect();
                assert_eq!(found, common, "{documents:?} and {list:?}");
            }
        }
    }
}
