//! How well queries are answered.

use std::collections::BTreeSet;

use stockade_search_sync::{SearchError, SearchIndex, SearchQuery};

use crate::baseline::Baseline;
use crate::query::Query;

/// How many hits people look at.
pub(crate) const DEPTH: usize = 10;

/// For each query, the rank of the product that was meant.
#[derive(Clone, Debug)]
pub struct Evaluation {
    answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    query: Query,
    first: Option<String>,
    /// From 1; `None` if it is not among the first ten.
    rank: Option<usize>,
}

/// The score of a set of queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The number of queries.
    pub queries: usize,
    /// The mean reciprocal rank: 1 if the product that was meant always comes first, one half if it
    /// always comes second, 0 if it is never among the first ten.
    pub mrr: f64,
    /// The share of queries with that product among the first ten.
    pub recall_at_10: f64,
}

impl Evaluation {
    /// Evaluates an index.
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

    /// Evaluates the baseline.
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

    /// The score of the queries of a kind, or of all queries.
    #[must_use]
    pub fn score(&self, kind: Option<&str>) -> Score {
        let of_kind = |answer: &&Answer| kind.is_none_or(|kind| answer.query.kind == kind);
        let ranks = self
            .answers
            .iter()
            .filter(of_kind)
            .map(|answer| answer.rank);
        let ranks: Vec<_> = ranks.collect();
        let queries = ranks.len();
        let mean = |sum: f64| sum / queries as f64;
        Score {
            queries,
            mrr: mean(ranks.iter().flatten().map(|rank| 1.0 / *rank as f64).sum()),
            recall_at_10: mean(ranks.iter().flatten().count() as f64),
        }
    }

    /// The queries whose product does not come first, one line each.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failed = self.answers.iter().filter(|answer| answer.rank != Some(1));
        failed.map(Answer::failure).collect()
    }
}

impl Answer {
    fn new(query: &Query, found: Vec<String>) -> Self {
        let rank = found.iter().position(|key| query.products.contains(key));
        Self {
            query: query.clone(),
            rank: rank.map(|rank| rank + 1),
            first: found.into_iter().next(),
        }
    }

    fn failure(&self) -> String {
        let Query {
            kind,
            text,
            products,
        } = &self.query;
        let rank = match self.rank {
            Some(rank) => format!("is number {rank}"),
            None => format!("is not among the first {DEPTH}"),
        };
        let first = self.first.as_deref().unwrap_or("nothing");
        format!(
            "{kind}: {text:?} finds {first} first; {} {rank}",
            products.join(" or ")
        )
    }
}
