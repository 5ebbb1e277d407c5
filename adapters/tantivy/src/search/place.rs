//! The best hits of a segment after a place in the order.

use std::sync::Arc;

use stockade_search_sync::order::Place;
use stockade_search_sync::{FieldValue, Order, SearchError, Sort};
use tantivy::columnar::{StrColumn, TermOrdHit};
use tantivy::{DocAddress, Searcher, SegmentOrdinal, TantivyDocument, f64_to_u64};

use super::score::Matching;
use crate::columns::{each_value, text};
use crate::error::failed;
use crate::schema::Fields;
use crate::snapshot::{Columns, Segment};

/// A document's place within its segment: what stands earlier is less. First whether it has text,
/// a number or nothing to be ordered by, then that, and last the ordinal of its key.
type Local = (u8, u64, u64);

/// A hit, and its place in the order.
pub(super) struct Placed {
    pub(super) place: Place,
    /// What is stored of it.
    pub(super) document: TantivyDocument,
    pub(super) score: f64,
}

/// The hits of a segment in order, and what is still to be read of each.
pub(super) struct Hits<'a> {
    ordered: Ordered<'a>,
    found: std::vec::IntoIter<Found>,
}

struct Found {
    place: Local,
    address: DocAddress,
    score: f64,
}

impl Hits<'_> {
    fn next(
        &mut self,
        searcher: &Searcher,
        fields: &Fields,
    ) -> Result<Option<Placed>, SearchError> {
        let Some(found) = self.found.next() else {
            return Ok(None);
        };
        let document = searcher.doc(found.address).map_err(failed("search"))?;
        Ok(Some(Placed {
            place: Place {
                value: self.ordered.value(found.place)?,
                // To look it up in its column would cost more.
                key: fields.stored_key(&document)?,
            },
            document,
            score: found.score,
        }))
    }
}

/// The first hits of all segments together. No more is read of others than one of each segment.
pub(super) fn first(
    segments: Vec<Hits<'_>>,
    wanted: usize,
    sort: &Sort,
    searcher: &Searcher,
    fields: &Fields,
) -> Result<Vec<Placed>, SearchError> {
    let mut heads = Vec::new();
    for mut hits in segments {
        if let Some(head) = hits.next(searcher, fields)? {
            heads.push((head, hits));
        }
    }
    let mut first = Vec::new();
    while first.len() < wanted {
        let place = |at: &usize| &heads[*at].0.place;
        let best = (0..heads.len()).min_by(|a, b| place(a).compare(place(b), sort));
        let Some(best) = best else {
            break;
        };
        let (head, hits) = &mut heads[best];
        match hits.next(searcher, fields)? {
            Some(next) => first.push(std::mem::replace(head, next)),
            None => first.push(heads.swap_remove(best).0),
        }
    }
    Ok(first)
}

/// The best hits so far, of which only so many are wanted, each with its place in what matches.
struct Best {
    /// Nothing that stands earlier is wanted.
    from: Option<Local>,
    wanted: usize,
    kept: Vec<(Local, usize)>,
    /// Nothing that stands later is wanted any more.
    worst: Option<Local>,
}

impl Best {
    /// Whether a hit may be wanted, whatever its key.
    fn may_want(&self, kind: u8, value: u64) -> bool {
        let (from, worst) = (self.from.as_ref(), self.worst.as_ref());
        from.is_none_or(|from| (kind, value) >= (from.0, from.1))
            && worst.is_none_or(|worst| (kind, value) <= (worst.0, worst.1))
    }

    fn offer(&mut self, place: Local, at: usize) {
        let is_before = self.from.is_some_and(|from| place < from);
        if is_before || self.worst.is_some_and(|worst| place > worst) {
            return;
        }
        self.kept.push((place, at));
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

    fn sorted(mut self) -> Vec<(Local, usize)> {
        self.shrink();
        self.kept.sort_unstable();
        self.kept
    }
}

/// How the hits of a segment are ordered.
pub(super) struct Ordered<'a> {
    sort: &'a Sort,
    keys: &'a StrColumn,
    columns: Arc<Columns>,
}

impl<'a> Ordered<'a> {
    /// `None` for a segment without documents.
    pub(super) fn new(segment: &'a Segment, sort: &'a Sort) -> Result<Option<Self>, SearchError> {
        let columns = match sort {
            Sort::Relevance => Arc::default(),
            Sort::Field { field, .. } => segment.columns(field)?,
        };
        Ok(segment.keys.as_ref().map(|keys| Self {
            sort,
            keys,
            columns,
        }))
    }

    /// At most so many hits after a place, in order.
    pub(super) fn best(
        self,
        number: SegmentOrdinal,
        matching: &Matching,
        after: Option<&Place>,
        wanted: usize,
    ) -> Result<Hits<'a>, SearchError> {
        let from = after.map(|place| self.begin(place)).transpose()?;
        let mut best = Best {
            from,
            wanted,
            kept: Vec::new(),
            worst: None,
        };
        let values = self.values(matching);
        if values.is_empty() {
            let (kind, value) = (0, !f64_to_u64(0.0));
            each_value(self.keys.ords(), &matching.documents, |at, key| {
                best.offer((kind, value, key), at);
            });
        }
        let documents = matching.documents.iter();
        for (at, ((kind, value), document)) in values.into_iter().zip(documents).enumerate() {
            if best.may_want(kind, value) {
                let key = self.keys.ords().first(*document).unwrap_or(u64::MAX);
                best.offer((kind, value, key), at);
            }
        }
        let hits = best.sorted().into_iter().map(|(place, at)| Found {
            place,
            address: DocAddress::new(number, matching.documents[at]),
            score: matching.scores.get(at).copied().unwrap_or(0.0),
        });
        Ok(Hits {
            found: hits.collect::<Vec<_>>().into_iter(),
            ordered: self,
        })
    }

    /// By place in `matching`, what documents are ordered by; empty where nothing orders them.
    fn values(&self, matching: &Matching) -> Vec<(u8, u64)> {
        let Sort::Field { order, .. } = self.sort else {
            let scores = matching.scores.iter();
            return scores.map(|score| (0, !f64_to_u64(*score))).collect();
        };
        let mut values = vec![(2, 0); matching.documents.len()];
        let mut least = |at: usize, value: (u8, u64)| values[at] = value.min(values[at]);
        if let Some(numbers) = &self.columns.numbers {
            let kind = number_kind(*order);
            each_value(numbers, &matching.documents, |at, number| {
                least(at, (kind, turned(f64_to_u64(number), *order)));
            });
        }
        if let Some(texts) = &self.columns.texts {
            let kind = text_kind(*order);
            each_value(texts.ords(), &matching.documents, |at, ordinal| {
                least(at, (kind, turned(ordinal, *order)));
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

    /// What a hit at this place is ordered by.
    fn value(&self, (kind, value, _): Local) -> Result<Option<FieldValue>, SearchError> {
        Ok(match (self.sort, &self.columns.texts) {
            (Sort::Relevance, _) => FieldValue::number(tantivy::u64_to_f64(!value)),
            (Sort::Field { .. }, _) if kind == 2 => None,
            (Sort::Field { order, .. }, Some(texts)) if kind == text_kind(*order) => {
                Some(FieldValue::Text(text(texts, turned(value, *order))?))
            }
            (Sort::Field { order, .. }, _) => {
                FieldValue::number(tantivy::u64_to_f64(turned(value, *order)))
            }
        })
    }
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
