//! How many documents have each value of a field, counted from columns over all segments.

use std::collections::{BTreeMap, HashMap};

use stockade_search_sync::{Facet, FacetRequest, FieldValue, SearchError};
use tantivy::DocId;
use tantivy::columnar::{Column, StrColumn};

use crate::columns::each_value;
use crate::error::failed;
use crate::snapshot::Segment;

/// The counts of one facet.
pub(super) struct Counts<'a> {
    request: &'a FacetRequest,
    /// The number of segments.
    segments: usize,
    values: HashMap<String, u64>,
}

impl<'a> Counts<'a> {
    pub(super) fn new(request: &'a FacetRequest, segments: usize) -> Self {
        Self {
            request,
            segments,
            values: HashMap::new(),
        }
    }

    /// Counts documents of a segment, which must be ordered.
    pub(super) fn add(
        &mut self,
        segment: &Segment,
        documents: &[DocId],
    ) -> Result<(), SearchError> {
        if documents.is_empty() {
            return Ok(());
        }
        let columns = segment.columns(&self.request.field)?;
        if let Some(texts) = &columns.texts {
            let counts = segment.lists(&columns).count(texts, documents);
            let counted = (0..).zip(counts).filter(|(_, count)| *count > 0);
            let mut counts: Vec<(u64, usize)> = counted.collect();
            // With one segment, no other values can be among the most frequent.
            if self.segments == 1 && columns.numbers.is_none() {
                keep_most_frequent(&mut counts, self.request.size);
            }
            self.add_texts(texts, counts)?;
        }
        if let Some(numbers) = &columns.numbers {
            self.add_numbers(numbers, columns.texts.as_ref(), documents)?;
        }
        Ok(())
    }

    fn add_texts(
        &mut self,
        texts: &StrColumn,
        counts: Vec<(u64, usize)>,
    ) -> Result<(), SearchError> {
        let (ordinals, counts): (Vec<u64>, Vec<usize>) = counts.into_iter().unzip();
        let mut counts = counts.into_iter();
        let values = &mut self.values;
        let dictionary = texts.dictionary();
        dictionary
            .sorted_ords_to_term_cb(&ordinals, |term| {
                let count = counts.next().unwrap_or(0) as u64;
                let value = String::from_utf8_lossy(term);
                match values.get_mut(&*value) {
                    Some(known) => *known += count,
                    None => {
                        values.insert(value.into_owned(), count);
                    }
                }
            })
            .map_err(failed("search"))?;
        Ok(())
    }

    fn add_numbers(
        &mut self,
        numbers: &Column<f64>,
        texts: Option<&StrColumn>,
        documents: &[DocId],
    ) -> Result<(), SearchError> {
        let mut counts: HashMap<u64, u64> = HashMap::new();
        each_value(numbers, documents, |_, number| {
            *counts.entry(number.to_bits()).or_default() += 1;
        });
        for (bits, count) in counts {
            let number = f64::from_bits(bits);
            let value = FieldValue::Number(number).to_string();
            let twice = match texts {
                Some(texts) => both(numbers, number, texts, &value, documents)?,
                None => 0,
            };
            *self.values.entry(value).or_default() += count - twice;
        }
        Ok(())
    }

    /// The facet: the most frequent values first, then ordered by value.
    pub(super) fn facet(self) -> Facet {
        let mut values: Vec<_> = self.values.into_iter().collect();
        let order = |a: &(String, u64), b: &(String, u64)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
        let size = self.request.size;
        if values.len() > size {
            values.select_nth_unstable_by(size - 1, order);
            values.truncate(size);
        }
        values.sort_unstable_by(order);
        Facet::new(self.request.field.clone(), values)
    }
}

/// Ordinals have the order of the values.
fn keep_most_frequent(counts: &mut Vec<(u64, usize)>, size: usize) {
    if counts.len() > size {
        counts.select_nth_unstable_by(size - 1, |a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        counts.truncate(size);
        counts.sort_unstable();
    }
}

/// How many documents have a number and a text with the same digits. For a facet they are one value.
fn both(
    numbers: &Column<f64>,
    number: f64,
    texts: &StrColumn,
    text: &str,
    documents: &[DocId],
) -> Result<u64, SearchError> {
    let ordinal = texts.dictionary().term_ord(text);
    let Some(ordinal) = ordinal.map_err(failed("search"))? else {
        return Ok(0);
    };
    let mut has: BTreeMap<usize, u8> = BTreeMap::new();
    each_value(numbers, documents, |at, value| {
        if value == number {
            has.insert(at, 1);
        }
    });
    each_value(texts.ords(), documents, |at, value| {
        if value == ordinal {
            has.entry(at).and_modify(|both| *both = 2);
        }
    });
    Ok(has.values().filter(|both| **both == 2).count() as u64)
}
