//! How well queries are answered.

use std::collections::BTreeSet;

use stockade_search_sync::{SearchError, SearchIndex, SearchQuery};

use crate::baseline::Baseline;
use crate::query::Query;

/// How far down people look.
pub(crate) const DEPTH: usize = 10;

/// The place of what was meant, for each of many queries.
#[derive(Clone, Debug)]
pub struct Evaluation {
    answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    query: Query,
    first: Option<String>,
    /// From 1; none where it is not among the first ten.
    place: Option<usize>,
}

/// Of a set of queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// How many queries.
    pub queries: usize,
    /// The mean of one over the place of what was meant: 1 where it always comes first, one half
    /// where always second, 0 where it is never among the first ten.
    pub mrr: f64,
    /// The share of queries that find it among the first ten.
    pub recall_at_10: f64,
}

impl Evaluation {
    /// Of an index.
    pub(crate) async fn of_index(
        index: &dyn SearchIndex,
        queries: &[Query],
    ) -> Result<Self, SearchError> {
        let mut answers = Vec::new();
        for query in queries {
            let page = SearchQuery::text(&query.text).with_size(DEPTH);
            let hits = index.search(&page).await?.hits.into_iter();
            answers.push(Answer::new(query, hits.map(|hit| hit.key).collect()));
        }
        Ok(Self { answers })
    }

    /// Of the baseline.
    pub(crate) fn of_baseline(baseline: &Baseline, queries: &[Query]) -> tantivy::Result<Self> {
        let answer = |query: &Query| Ok(Answer::new(query, baseline.search(&query.text)?));
        let answers = queries.iter().map(answer).collect::<tantivy::Result<_>>()?;
        Ok(Self { answers })
    }

    /// The kinds of queries.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<&str> {
        let kinds = self.answers.iter().map(|answer| answer.query.kind.as_str());
        kinds.collect()
    }

    /// Of the queries of a kind, or of all.
    #[must_use]
    pub fn score(&self, kind: Option<&str>) -> Score {
        let of_kind = |answer: &&Answer| kind.is_none_or(|kind| answer.query.kind == kind);
        let places = self
            .answers
            .iter()
            .filter(of_kind)
            .map(|answer| answer.place);
        let places: Vec<_> = places.collect();
        let queries = places.len();
        let mean = |sum: f64| sum / queries as f64;
        Score {
            queries,
            mrr: mean(
                places
                    .iter()
                    .flatten()
                    .map(|place| 1.0 / *place as f64)
                    .sum(),
            ),
            recall_at_10: mean(places.iter().flatten().count() as f64),
        }
    }

    /// The queries whose product does not come first, a line each.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failed = self.answers.iter().filter(|answer| answer.place != Some(1));
        failed.map(Answer::failure).collect()
    }
}

impl Answer {
    fn new(query: &Query, found: Vec<String>) -> Self {
        let place = found.iter().position(|key| query.products.contains(key));
        Self {
            query: query.clone(),
            place: place.map(|place| place + 1),
            first: found.into_iter().next(),
        }
    }

    fn failure(&self) -> String {
        let Query {
            kind,
            text,
            products,
        } = &self.query;
        let place = match self.place {
            Some(place) => format!("is number {place}"),
            None => format!("is not among the first {DEPTH}"),
        };
        let first = self.first.as_deref().unwrap_or("nothing");
        format!(
            "{kind}: {text:?} finds {first} first; {} {place}",
            products.join(" or ")
        )
    }
}
