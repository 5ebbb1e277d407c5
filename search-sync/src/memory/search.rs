//! Queries, answered by reading every document.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::matching::{Match, Shown, rarities};
use super::{Documents, MemoryIndex};
use crate::analysis::{self, Highlighter, KNOWN, QueryText};
use crate::document::{DocumentId, FieldValue, View};
use crate::error::SearchError;
use crate::index::{Limitation, SearchIndex};
use crate::projection::Projection;
use crate::query::{
    Facet, FacetRequest, Filter, Hit, PageStart, SearchPage, SearchQuery, Sort, SortKey, SortOrder,
    Suggestion, TotalHits, compare,
};

#[async_trait]
impl SearchIndex for MemoryIndex {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let state = self.read();
        let documents = state.active()?;
        query.validate(&documents.projection)?;
        let typed = QueryText::new(&query.text);
        let start = PageStart::of(query, typed.len())?;
        let known = match start.as_ref().and_then(|start| start.known.clone()) {
            Some(known) => known,
            None => documents.known(&typed),
        };
        let typed = typed.with_known(&known);

        let found = documents.matching(&typed);
        let facets = query.facets.iter();
        let facets = facets.map(|request| facet(&found, request, &query.filters));
        let facets = facets.collect();

        let rarities = match &start {
            Some(start) if !start.rarities.is_empty() => start.rarities.clone(),
            _ => rarities(
                &typed,
                found.iter().map(|found| &found.matched),
                documents.shown().count(),
            ),
        };
        let most_weight = documents.projection.weights().first().copied();
        let most_weight = most_weight.unwrap_or(1.0);
        let mut ranked: Vec<_> = found
            .iter()
            .filter(|found| passes(&found.shown.view, &query.filters, None))
            .map(|found| {
                let score = found.matched.score(&rarities, most_weight);
                let key = sort_key(&query.sort, score, found.key, &found.shown.view);
                (key, score, found)
            })
            .collect();
        let total = TotalHits::Exactly(ranked.len() as u64);
        ranked.sort_by(|(a, ..), (b, ..)| a.compare(b, &query.sort));
        if let Some(start) = start {
            ranked.retain(|(key, ..)| start.after.compare(key, &query.sort).is_lt());
        }
        let next = (ranked.len() > query.size).then(|| {
            ranked[query.size - 1]
                .0
                .encode(&query.sort, rarities, known)
        });
        ranked.truncate(query.size);
        let mut highlighter = Highlighter::new(&typed);
        let hits = ranked.into_iter();
        let hits = hits
            .map(|(_, score, found)| {
                let view = found.shown.view.clone();
                let highlights = highlighter.highlights(&view, &documents.projection);
                Hit::new(found.key.to_owned(), score, view, highlights)
            })
            .collect();
        Ok(SearchPage::new(hits, total, facets, next))
    }

    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError> {
        SearchQuery::validate_suggest(prefix, limit)?;
        let state = self.read();
        let documents = state.active()?;
        let typed = analysis::words(prefix);
        let Some((last, first)) = typed.split_last() else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for (key, shown) in documents.shown() {
            for title in titles(&documents.projection, &shown.view) {
                let words = analysis::words(title);
                let has = |typed: &str| words.iter().any(|word| word.text == typed);
                let begins = words.iter().any(|word| word.text.starts_with(&last.text));
                if begins && first.iter().all(|word| has(&word.text)) {
                    let later = !analysis::fold(title).starts_with(&analysis::fold(prefix));
                    found.push((later, title, key));
                }
            }
        }
        found.sort_unstable();
        let titles = found.into_iter().take(limit);
        let suggestion = |key: &str, title: &str| Suggestion::new(key.to_owned(), title.to_owned());
        Ok(titles
            .map(|(_, title, key)| suggestion(key, title))
            .collect())
    }

    fn limitations(&self) -> Vec<Limitation> {
        vec![
            Limitation::new(
                "an index of words",
                "each query reads every document: suitable for thousands of documents, not for \
                 millions",
            ),
            Limitation::new(
                "word segmentation for scripts without spaces",
                "a word of such a script is found only at the start of a run of letters",
            ),
        ]
    }
}

/// A document that matches the text.
struct Found<'a> {
    key: &'a str,
    shown: &'a Shown,
    matched: Match,
}

impl Documents {
    fn shown(&self) -> impl Iterator<Item = (&str, &Shown)> {
        self.entries.iter().filter_map(|(id, entry)| match id {
            DocumentId::Root(key) => Some((key.as_str(), entry.shown.as_ref()?)),
            DocumentId::Sku(_) | DocumentId::Truncation(_) => None,
        })
    }

    /// The positions of the words that enough documents contain.
    fn known(&self, typed: &QueryText) -> Vec<usize> {
        let known = |at: &usize| {
            let with = self.shown().filter(|(_, shown)| shown.has(typed, *at));
            with.take(KNOWN).count() == KNOWN
        };
        typed.typo_tolerant().filter(known).collect()
    }

    fn matching(&self, typed: &QueryText) -> Vec<Found<'_>> {
        let mut matching = Vec::new();
        for (key, shown) in self.shown() {
            if let Some(matched) = shown.matches(typed) {
                matching.push(Found {
                    key,
                    shown,
                    matched,
                });
            }
        }
        matching
    }
}

/// What a document is sorted by.
fn sort_key(sort: &Sort, score: f64, key: &str, view: &View) -> SortKey {
    let value = match sort {
        Sort::Relevance => FieldValue::number(score),
        Sort::Field { field, order } => {
            let values = view.fields.get(field).into_iter().flatten();
            match order {
                SortOrder::Ascending => values.min_by(|a, b| compare(a, b)),
                SortOrder::Descending => values.max_by(|a, b| compare(a, b)),
            }
            .cloned()
        }
    };
    SortKey {
        value,
        key: key.to_owned(),
    }
}

/// Whether all filters hold, except those on one field.
fn passes(view: &View, filters: &[Filter], except: Option<&str>) -> bool {
    let mut others = filters
        .iter()
        .filter(|filter| Some(filter.field()) != except);
    others.all(|filter| holds(view, filter))
}

fn holds(view: &View, filter: &Filter) -> bool {
    let mut values = view.fields.get(filter.field()).into_iter().flatten();
    match filter {
        Filter::Terms { values: terms, .. } => {
            values.any(|value| terms.iter().any(|term| is(value, term)))
        }
        Filter::Range { min, max, .. } => values.any(|value| match value {
            FieldValue::Number(number) => {
                min.is_none_or(|min| min <= *number) && max.is_none_or(|max| *number <= max)
            }
            FieldValue::Text(_) => false,
        }),
    }
}

fn is(value: &FieldValue, term: &str) -> bool {
    match value {
        FieldValue::Text(text) => text == term,
        FieldValue::Number(number) => term.parse() == Ok(*number),
    }
}

fn facet(found: &[Found<'_>], request: &FacetRequest, filters: &[Filter]) -> Facet {
    let field = request.field.as_str();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for Found { shown, .. } in found {
        if passes(&shown.view, filters, Some(field)) {
            let values = shown.view.fields.get(field).into_iter().flatten();
            // A number and a text with the same digits are one value.
            let mut values: Vec<_> = values.map(ToString::to_string).collect();
            values.sort_unstable();
            values.dedup();
            for value in values {
                *counts.entry(value).or_default() += 1;
            }
        }
    }
    let mut values: Vec<_> = counts.into_iter().collect();
    values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    values.truncate(request.size);
    Facet::new(field.to_owned(), values)
}

/// The titles of a document.
fn titles<'a>(projection: &Projection, view: &'a View) -> impl Iterator<Item = &'a str> {
    let values = view.fields.get(&projection.title).into_iter().flatten();
    values.filter_map(|value| match value {
        FieldValue::Text(text) => Some(text.as_str()),
        FieldValue::Number(_) => None,
    })
}
