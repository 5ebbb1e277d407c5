//! The best hits: of each segment, and of all together.

use std::sync::Arc;

use stockade_search_sync::{FieldValue, SearchError, Sort, SortKey, SortOrder};
use tantivy::columnar::{StrColumn, TermOrdHit};
use tantivy::{DocAddress, Searcher, SegmentOrdinal, TantivyDocument, f64_to_u64};

use super::score::Matching;
use crate::columns::{each_value, text};
use crate::error::failed;
use crate::schema::Fields;
use crate::snapshot::{Columns, Segment};

/// The sort key of a document within its segment; a smaller one comes first. It has three parts:
/// the kind of the value (number, text or none), the value, and the ordinal of the document's key.
type LocalKey = (u8, u64, u64);

/// One of the best hits.
pub(super) struct BestHit {
    pub(super) sort_key: SortKey,
    /// Its stored fields.
    pub(super) document: TantivyDocument,
    pub(super) score: f64,
}

/// The best hits of a segment, in order. Their stored fields are read one by one.
pub(super) struct SegmentHits<'a> {
    ranking: Ranking<'a>,
    found: std::vec::IntoIter<Found>,
}

struct Found {
    key: LocalKey,
    address: DocAddress,
    score: f64,
}

impl SegmentHits<'_> {
    fn next(
        &mut self,
        searcher: &Searcher,
        fields: &Fields,
    ) -> Result<Option<BestHit>, SearchError> {
        let Some(found) = self.found.next() else {
            return Ok(None);
        };
        let document = searcher.doc(found.address).map_err(failed("search"))?;
        Ok(Some(BestHit {
            sort_key: SortKey {
                value: self.ranking.value(found.key)?,
                // Looking it up in its column would be slower.
                key: fields.stored_key(&document)?,
            },
            document,
            score: found.score,
        }))
    }
}

/// The first hits of all segments together. Of each segment, at most one further hit is read.
pub(super) fn first(
    segments: Vec<SegmentHits<'_>>,
    wanted: usize,
    sort: &Sort,
    searcher: &Searcher,
    fields: &Fields,
) -> Result<Vec<BestHit>, SearchError> {
    let mut heads = Vec::new();
    for mut hits in segments {
        if let Some(head) = hits.next(searcher, fields)? {
            heads.push((head, hits));
        }
    }
    let mut first = Vec::new();
    while first.len() < wanted {
        let key = |at: &usize| &heads[*at].0.sort_key;
        let best = (0..heads.len()).min_by(|a, b| key(a).compare(key(b), sort));
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

/// Keeps the best hits that are offered, each with its position in the matching documents.
struct Best {
    /// Hits before this key are not wanted.
    from: Option<LocalKey>,
    wanted: usize,
    kept: Vec<(LocalKey, usize)>,
    /// Hits after this key are not wanted any more.
    worst: Option<LocalKey>,
}

impl Best {
    /// Whether a hit with this value may be wanted, depending on the key of its document.
    fn may_want(&self, kind: u8, value: u64) -> bool {
        let (from, worst) = (self.from.as_ref(), self.worst.as_ref());
        from.is_none_or(|from| (kind, value) >= (from.0, from.1))
            && worst.is_none_or(|worst| (kind, value) <= (worst.0, worst.1))
    }

    fn offer(&mut self, key: LocalKey, at: usize) {
        let is_before = self.from.is_some_and(|from| key < from);
        if is_before || self.worst.is_some_and(|worst| key > worst) {
            return;
        }
        self.kept.push((key, at));
        if self.kept.len() >= 2 * self.wanted.max(32) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.kept.len() > self.wanted {
            self.kept.select_nth_unstable(self.wanted - 1);
            self.kept.truncate(self.wanted);
            self.worst = self.kept.iter().map(|(key, _)| *key).max();
        }
    }

    fn sorted(mut self) -> Vec<(LocalKey, usize)> {
        self.shrink();
        self.kept.sort_unstable();
        self.kept
    }
}

/// How the hits of a segment are ordered.
pub(super) struct Ranking<'a> {
    sort: &'a Sort,
    keys: &'a StrColumn,
    columns: Arc<Columns>,
}

impl<'a> Ranking<'a> {
    /// `None` if the segment has no documents.
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

    /// The best hits after a sort key, in order, at most as many as are wanted.
    pub(super) fn best(
        self,
        number: SegmentOrdinal,
        matching: &Matching,
        after: Option<&SortKey>,
        wanted: usize,
    ) -> Result<SegmentHits<'a>, SearchError> {
        let from = after.map(|after| self.first_after(after)).transpose()?;
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
        let hits = best.sorted().into_iter().map(|(key, at)| Found {
            key,
            address: DocAddress::new(number, matching.documents[at]),
            score: matching.scores.get(at).copied().unwrap_or(0.0),
        });
        Ok(SegmentHits {
            found: hits.collect::<Vec<_>>().into_iter(),
            ranking: self,
        })
    }

    /// The values that the documents in `matching` are ordered by, in their order; empty if they are
    /// ordered by their keys only.
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
                least(at, (kind, in_order(f64_to_u64(number), *order)));
            });
        }
        if let Some(texts) = &self.columns.texts {
            let kind = text_kind(*order);
            each_value(texts.ords(), &matching.documents, |at, ordinal| {
                least(at, (kind, in_order(ordinal, *order)));
            });
        }
        values
    }

    /// The smallest local key after a sort key, which may be of another segment.
    fn first_after(&self, after: &SortKey) -> Result<LocalKey, SearchError> {
        let key = self.keys.dictionary().term_ord_or_next(&after.key);
        let key = match key.map_err(failed("search"))? {
            TermOrdHit::Exact(key) => key + 1,
            TermOrdHit::Next(key) => key,
        };
        let order = match self.sort {
            Sort::Relevance => SortOrder::Descending,
            Sort::Field { order, .. } => *order,
        };
        Ok(match (&after.value, self.sort) {
            (None, _) => (2, 0, key),
            (Some(FieldValue::Number(score)), Sort::Relevance) => (0, !f64_to_u64(*score), key),
            (Some(FieldValue::Text(_)), Sort::Relevance) => (2, 0, key),
            (Some(FieldValue::Number(number)), Sort::Field { .. }) => (
                number_kind(order),
                in_order(f64_to_u64(*number), order),
                key,
            ),
            (Some(FieldValue::Text(text)), Sort::Field { .. }) => {
                self.first_at_text(text, order, key)?
            }
        })
    }

    fn first_at_text(
        &self,
        text: &str,
        order: SortOrder,
        key: u64,
    ) -> Result<LocalKey, SearchError> {
        let kind = text_kind(order);
        let Some(texts) = &self.columns.texts else {
            return Ok((kind + 1, 0, 0));
        };
        let ordinal = texts.dictionary().term_ord_or_next(text);
        Ok(match (ordinal.map_err(failed("search"))?, order) {
            (TermOrdHit::Exact(ordinal), _) => (kind, in_order(ordinal, order), key),
            (TermOrdHit::Next(greater), SortOrder::Ascending) => (kind, greater, 0),
            (TermOrdHit::Next(0), SortOrder::Descending) => (kind + 1, 0, 0),
            (TermOrdHit::Next(greater), SortOrder::Descending) => {
                (kind, in_order(greater - 1, order), 0)
            }
        })
    }

    /// The value in a local key.
    fn value(&self, (kind, value, _): LocalKey) -> Result<Option<FieldValue>, SearchError> {
        Ok(match (self.sort, &self.columns.texts) {
            (Sort::Relevance, _) => FieldValue::number(tantivy::u64_to_f64(!value)),
            (Sort::Field { .. }, _) if kind == 2 => None,
            (Sort::Field { order, .. }, Some(texts)) if kind == text_kind(*order) => {
                Some(FieldValue::Text(text(texts, in_order(value, *order))?))
            }
            (Sort::Field { order, .. }, _) => {
                FieldValue::number(tantivy::u64_to_f64(in_order(value, *order)))
            }
        })
    }
}

/// Numbers come before text in ascending order, and after it in descending order.
fn number_kind(order: SortOrder) -> u8 {
    u8::from(order == SortOrder::Descending)
}

fn text_kind(order: SortOrder) -> u8 {
    1 - number_kind(order)
}

fn in_order(value: u64, order: SortOrder) -> u64 {
    match order {
        SortOrder::Ascending => value,
        SortOrder::Descending => !value,
    }
}
