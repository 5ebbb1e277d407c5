//! The best hits of a segment after a place in the order.

use stockade_search_sync::order::Place;
use stockade_search_sync::{FieldValue, Order, SearchError, Sort};
use tantivy::columnar::{Column, StrColumn, TermOrdHit};
use tantivy::{DocId, SegmentReader, f64_to_u64};

use super::columns::{Columns, each_value, keys, text};
use super::score::Matching;
use crate::error::failed;

/// A document's place within its segment: what stands earlier is less. First whether it has text,
/// a number or nothing to be ordered by, then that, and last the ordinal of its key.
type Local = (u8, u64, u64);

/// A document of a segment, and its place in the order.
pub(super) struct Placed {
    pub(super) place: Place,
    pub(super) score: f64,
    pub(super) document: DocId,
}

/// The best hits so far, of which only so many are wanted.
struct Best {
    wanted: usize,
    kept: Vec<(Local, DocId)>,
    /// Nothing that stands later is wanted any more.
    worst: Option<Local>,
}

impl Best {
    fn offer(&mut self, place: Local, document: DocId) {
        if self.worst.is_some_and(|worst| place > worst) {
            return;
        }
        self.kept.push((place, document));
        if self.kept.len() >= 2 * self.wanted.max(32) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > self.wanted {
            self.kept.select_nth_unstable(self.wanted - 1);
            self.kept.truncate(self.wanted);
            self.worst = self.kept.iter().map(|(place, _)| *place).max();
        }
    }

    fn sorted(mut self) -> Vec<(Local, DocId)> {
        self.shrink();
        self.kept.sort_unstable();
        self.kept
    }
}

/// The hits of a segment, ordered.
pub(super) struct Ordered<'a> {
    sort: &'a Sort,
    keys: StrColumn,
    columns: Columns,
}

impl<'a> Ordered<'a> {
    /// `None` for a segment without documents.
    pub(super) fn new(
        segment: &SegmentReader,
        sort: &'a Sort,
    ) -> Result<Option<Self>, SearchError> {
        let columns = match sort {
            Sort::Relevance => Columns::default(),
            Sort::Field { field, .. } => Columns::open(segment, field)?,
        };
        Ok(keys(segment)?.map(|keys| Self {
            sort,
            keys,
            columns,
        }))
    }

    /// At most so many hits after a place, in order.
    /// `passing` is a part of what matches, in the same order.
    pub(super) fn best(
        &self,
        matching: &Matching,
        passing: &[DocId],
        after: Option<&Place>,
        wanted: usize,
    ) -> Result<Vec<Placed>, SearchError> {
        let from = after.map(|place| self.begin(place)).transpose()?;
        let values = self.values(matching, passing);
        let mut best = Best {
            wanted,
            kept: Vec::new(),
            worst: None,
        };
        let equal = (0, !f64_to_u64(0.0));
        let mut at = 0;
        each_value(self.keys.ords(), passing, |document, key| {
            let (kind, value) = values.get(at).copied().unwrap_or(equal);
            at += 1;
            let place = (kind, value, key);
            if from.is_none_or(|from| place >= from) {
                best.offer(place, document);
            }
        });
        let best = best.sorted().into_iter();
        best.map(|(local, document)| self.place(local, document, matching))
            .collect()
    }

    /// By place in `passing`, what documents are ordered by; empty where nothing orders them.
    fn values(&self, matching: &Matching, passing: &[DocId]) -> Vec<(u8, u64)> {
        let Sort::Field { order, .. } = self.sort else {
            if matching.scores.is_empty() {
                return Vec::new();
            }
            let mut scored = matching.documents.iter().zip(&matching.scores);
            let score = |document: &DocId| {
                let found = scored.find(|(scored, _)| *scored == document);
                (0, !f64_to_u64(found.map_or(0.0, |(_, score)| *score)))
            };
            return passing.iter().map(score).collect();
        };
        let mut values = vec![(2, 0); passing.len()];
        if let Some(numbers) = &self.columns.numbers {
            let kind = number_kind(*order);
            fill(&mut values, numbers, passing, |number| {
                (kind, turned(f64_to_u64(number), *order))
            });
        }
        if let Some(texts) = &self.columns.texts {
            let kind = text_kind(*order);
            fill(&mut values, texts.ords(), passing, |ordinal| {
                (kind, turned(ordinal, *order))
            });
        }
        values
    }

    /// The least place that stands after another one, which need not be of this segment.
    fn begin(&self, after: &Place) -> Result<Local, SearchError> {
        let key = self.keys.dictionary().term_ord_or_next(&after.key);
        let key = match key.map_err(failed("search"))? {
            TermOrdHit::Exact(key) => key + 1,
            TermOrdHit::Next(key) => key,
        };
        let order = match self.sort {
            Sort::Relevance => Order::Descending,
            Sort::Field { order, .. } => *order,
        };
        Ok(match (&after.value, self.sort) {
            (None, _) => (2, 0, key),
            (Some(FieldValue::Number(score)), Sort::Relevance) => (0, !f64_to_u64(*score), key),
            (Some(FieldValue::Text(_)), Sort::Relevance) => (2, 0, key),
            (Some(FieldValue::Number(number)), Sort::Field { .. }) => {
                (number_kind(order), turned(f64_to_u64(*number), order), key)
            }
            (Some(FieldValue::Text(text)), Sort::Field { .. }) => {
                self.begin_at_text(text, order, key)?
            }
        })
    }

    fn begin_at_text(&self, text: &str, order: Order, key: u64) -> Result<Local, SearchError> {
        let kind = text_kind(order);
        let Some(texts) = &self.columns.texts else {
            return Ok((kind + 1, 0, 0));
        };
        let ordinal = texts.dictionary().term_ord_or_next(text);
        Ok(match (ordinal.map_err(failed("search"))?, order) {
            (TermOrdHit::Exact(ordinal), _) => (kind, turned(ordinal, order), key),
            (TermOrdHit::Next(greater), Order::Ascending) => (kind, greater, 0),
            (TermOrdHit::Next(0), Order::Descending) => (kind + 1, 0, 0),
            (TermOrdHit::Next(greater), Order::Descending) => (kind, turned(greater - 1, order), 0),
        })
    }

    fn place(
        &self,
        (kind, value, key): Local,
        document: DocId,
        matching: &Matching,
    ) -> Result<Placed, SearchError> {
        let scored = matching.documents.binary_search(&document).ok();
        let score = scored.and_then(|at| matching.scores.get(at).copied());
        let score = score.unwrap_or(0.0);
        let key = text(&self.keys, key)?;
        let value = match (self.sort, &self.columns.texts) {
            (Sort::Relevance, _) => FieldValue::number(score),
            (Sort::Field { .. }, _) if kind == 2 => None,
            (Sort::Field { order, .. }, Some(texts)) if kind == text_kind(*order) => {
                Some(FieldValue::Text(text(texts, turned(value, *order))?))
            }
            (Sort::Field { order, .. }, _) => {
                FieldValue::number(tantivy::u64_to_f64(turned(value, *order)))
            }
        };
        Ok(Placed {
            place: Place { value, key },
            score,
            document,
        })
    }
}

/// Of each document the least value.
fn fill<T>(
    values: &mut [(u8, u64)],
    column: &Column<T>,
    passing: &[DocId],
    value: impl Fn(T) -> (u8, u64),
) where
    T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + Default + 'static,
{
    let mut at = 0;
    each_value(column, passing, |document, read| {
        while passing[at] != document {
            at += 1;
        }
        values[at] = values[at].min(value(read));
    });
}

/// Numbers stand before text, or behind it where the order is turned.
fn number_kind(order: Order) -> u8 {
    u8::from(order == Order::Descending)
}

fn text_kind(order: Order) -> u8 {
    1 - number_kind(order)
}

fn turned(value: u64, order: Order) -> u64 {
    match order {
        Order::Ascending => value,
        Order::Descending => !value,
    }
}
