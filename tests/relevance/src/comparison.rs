//! Compares an index with the baseline.

use std::fmt;
use std::sync::Arc;

use sample_catalogue::{Entry, fill, until_shown};
use stockade_search_sync::{IndexWriter, SearchIndex};

use crate::baseline::Baseline;
use crate::evaluation::{Evaluation, Score};
use crate::query::Query;

/// How an index and tantivy's default query parser answer the same queries over the same documents.
/// It prints as a table of the kinds, followed by the queries whose product the index does not rank
/// first.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The index.
    pub ours: Evaluation,
    /// The baseline.
    pub theirs: Evaluation,
}

impl Comparison {
    /// Fills an empty index with a catalogue, and runs the queries on it and on the baseline.
    ///
    /// # Errors
    /// Those of the index and of tantivy.
    pub async fn of<I: IndexWriter + SearchIndex + 'static>(
        index: Arc<I>,
        entries: impl IntoIterator<Item = Entry>,
        queries: &[Query],
    ) -> anyhow::Result<Self> {
        let filled = fill(index.clone(), entries).await?;
        until_shown(index.as_ref(), filled.products).await?;
        let baseline = Baseline::of(index.as_ref()).await?;
        Ok(Self {
            ours: Evaluation::of_index(index.as_ref(), queries).await?,
            theirs: Evaluation::of_baseline(&baseline, queries)?,
        })
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, kind: Option<&str>) -> fmt::Result {
        let (ours, theirs) = (self.ours.score(kind), self.theirs.score(kind));
        let Score {
            queries,
            mrr,
            recall_at_10,
        } = ours;
        write!(f, "{:10} {queries:>7}", kind.unwrap_or("all"))?;
        write!(f, "   {mrr:>6.3} {recall_at_10:>9.3}")?;
        writeln!(f, "   {:>6.3} {:>9.3}", theirs.mrr, theirs.recall_at_10)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mrr, recall) = ("MRR", "recall@10");
        writeln!(f, "{:18}   {:16}   tantivy's parser", "", "this index")?;
        write!(f, "{:10} {:>7}   {mrr:>6} {recall}", "kind", "queries")?;
        writeln!(f, "   {mrr:>6} {recall}")?;
        for kind in self.ours.kinds() {
            self.row(f, Some(kind))?;
        }
        self.row(f, None)?;
        for failure in self.ours.failures() {
            writeln!(f, "{failure}")?;
        }
        Ok(())
    }
}
