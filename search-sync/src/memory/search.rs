//! Queries, answered by reading every document.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::highlight::highlight;
use super::matching::{Match, Searched, Words};
use super::order::{Begin, Place};
use super::{Documents, MemoryIndex};
use crate::analysis;
use crate::document::DocumentId;
use crate::error::SearchError;
use crate::projection::{FieldKind, Projection};
use crate::query::{
    Facet, FacetRequest, Filter, Hit, Lack, SearchIndex, SearchPage, SearchQuery, Suggestion, Total,
};
use crate::view::{FieldValue, View};

#[async_trait]
impl SearchIndex for MemoryIndex {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let state = self.read();
        let documents = state.active()?;
        query.validate(&documents.projection)?;
        let words = Words::new(&query.text);
        let begin = Begin::of(query, words.len())?;

        let found = documents.matching(&words);
        let facets = query.facets.iter();
        let facets = facets.map(|request| facet(&found, request, &query.filters));
        let facets = facets.collect();

        let rarities = match &begin {
            Some(begin) if !begin.rarities.is_empty() => begin.rarities.clone(),
            _ => words.rarities(
                found.iter().map(|found| &found.matched),
                documents.shown().count(),
            ),
        };
        let most_weight = most_weight(&documents.projection);
        let mut ranked: Vec<_> = found
            .iter()
            .filter(|found| passes(&found.searched.view, &query.filters, None))
            .map(|found| {
                let score = found.matched.score(&rarities, most_weight);
                let place = Place::of(&query.sort, score, found.key, &found.searched.view);
                (place, score, found)
            })
            .collect();
        let total = Total::Exactly(ranked.len() as u64);
        ranked.sort_by(|(a, ..), (b, ..)| a.compare(b, &query.sort));
        if let Some(begin) = begin {
            ranked.retain(|(place, ..)| begin.place.compare(place, &query.sort).is_lt());
        }
        let next = (ranked.len() > query.size)
            .then(|| ranked[query.size - 1].0.encode(&query.sort, rarities));
        ranked.truncate(query.size);
        let hits = ranked.into_iter();
        let hits = hits
            .map(|(_, score, found)| found.hit(score, &words))
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
        for (key, searched) in documents.shown() {
            for title in titles(&documents.projection, &searched.view) {
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

    fn lacks(&self) -> Vec<Lack> {
        vec![
            Lack::new(
                "an index over its words",
                "each query reads every document: fit for thousands of them, not for millions",
            ),
            Lack::new(
                "scripts without spaces between words",
                "a word of such a script is found only where a run of letters begins with it",
            ),
        ]
    }
}

/// A document that matches the text.
struct Found<'a> {
    key: &'a str,
    searched: &'a Searched,
    matched: Match,
}

impl Found<'_> {
    fn hit(&self, score: f64, words: &Words) -> Hit {
        let places = self.searched.places(words);
        // Of each field the first value that matches.
        let mut highlights = BTreeMap::new();
        for (at, (field, text, ranges)) in places.iter().enumerate() {
            let entry = highlights.entry(field);
            entry.or_insert_with(|| (at, highlight(field, text, ranges)));
        }
        let mut highlights: Vec<_> = highlights.into_values().collect();
        highlights.sort_by_key(|(at, _)| *at);
        let highlights = highlights.into_iter().map(|(_, highlight)| highlight);
        let view = self.searched.view.clone();
        Hit::new(self.key.to_owned(), score, view, highlights.collect())
    }
}

impl Documents {
    fn shown(&self) -> impl Iterator<Item = (&str, &Searched)> {
        self.entries.iter().filter_map(|(id, entry)| match id {
            DocumentId::Root(key) => Some((key.as_str(), entry.searched.as_ref()?)),
            DocumentId::Sku(_) | DocumentId::Truncation(_) => None,
        })
    }

    fn matching(&self, words: &Words) -> Vec<Found<'_>> {
        let mut matching = Vec::new();
        for (key, searched) in self.shown() {
            if let Some(matched) = searched.matches(words) {
                matching.push(Found {
                    key,
                    searched,
                    matched,
                });
            }
        }
        matching
    }
}

/// Whether all filters hold, but for those on one field.
fn passes(view: &View, filters: &[Filter], but: Option<&str>) -> bool {
    let mut others = filters.iter().filter(|filter| Some(filter.field()) != but);
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
    for Found { searched, .. } in found {
        if passes(&searched.view, filters, Some(field)) {
            let values = searched.view.fields.get(field).into_iter().flatten();
            // A number and text that reads the same are one value.
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

fn most_weight(projection: &Projection) -> f64 {
    let weights = projection.columns().map(|column| match column.kind {
        FieldKind::Text { weight } => f64::from(weight),
        _ => 1.0,
    });
    weights.fold(1.0, f64::max)
}

/// The values of the text fields of most weight.
fn titles<'a>(projection: &Projection, view: &'a View) -> impl Iterator<Item = &'a str> {
    let weight = |field: &str| match projection.kind_of(field) {
        Some(FieldKind::Text { weight }) => Some(weight),
        _ => None,
    };
    let columns = projection.columns();
    let most = columns.filter_map(|column| weight(&column.field));
    let most = most.fold(0.0, f32::max);
    let fields = view.fields.iter();
    fields
        .filter(move |(field, _)| weight(field) == Some(most))
        .flat_map(|(_, values)| values)
        .filter_map(|value| match value {
            FieldValue::Text(text) => Some(text.as_str()),
            FieldValue::Number(_) => None,
        })
}
