//! Queries, answered from the index and its columns.

mod columns;
mod facets;
mod filters;
mod place;
mod score;
mod suggest;
mod words;

use async_trait::async_trait;
use stockade_search_sync::analysis::{Searched, Typed};
use stockade_search_sync::order::Begin;
use stockade_search_sync::{
    Hit, Lack, SearchError, SearchIndex, SearchPage, SearchQuery, Sort, Suggestion, Total,
};
use tantivy::{DocAddress, Searcher, SegmentOrdinal};
use tracing::instrument;

use self::facets::Counts;
use self::filters::Passing;
use self::place::{Ordered, Placed};
use self::words::{Expanded, Lookup, rarities};
use crate::generation::Shelf;
use crate::index::TantivyIndex;

#[async_trait]
impl SearchIndex for TantivyIndex {
    #[instrument(skip_all)]
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let query = query.clone();
        self.searching("search", move |shelf| search(shelf, &query))
            .await
    }

    #[instrument(skip_all)]
    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError> {
        let prefix = prefix.to_owned();
        self.searching("suggest", move |shelf| {
            suggest::suggest(shelf, &prefix, limit)
        })
        .await
    }

    fn lacks(&self) -> Vec<Lack> {
        vec![
            Lack::new(
                "scripts without spaces between words",
                "a word of such a script is found only where a run of letters begins with it",
            ),
            Lack::new(
                "plurals of other languages than English",
                "`Tisch` finds `Tische` only as an unfinished word or with a typo",
            ),
        ]
    }
}

/// Hits before their documents are read, each with its segment.
struct Ranked {
    hits: Vec<(SegmentOrdinal, Placed)>,
    total: u64,
}

fn search(shelf: &Shelf, query: &SearchQuery) -> Result<SearchPage, SearchError> {
    query.validate(&shelf.projection)?;
    let typed = Typed::new(&query.text);
    let begin = Begin::of(query, typed.len())?;
    let searcher = shelf.searcher();
    let known = match begin.as_ref().and_then(|begin| begin.known.clone()) {
        Some(known) => known,
        None => words::known(&shelf.fields, &searcher, &typed)?,
    };
    let typed = typed.with_known(&known);
    let expanded = expand(shelf, &searcher, &typed)?;
    let rarities = match &begin {
        Some(begin) if !begin.rarities.is_empty() => begin.rarities.clone(),
        _ => rarities(&expanded, &typed, &searcher),
    };
    let mut counts: Vec<_> = query.facets.iter().map(Counts::new).collect();
    let filters = filters::by_field(&query.filters);
    let mut ranked = Ranked {
        hits: Vec::new(),
        total: 0,
    };
    let after = begin.as_ref().map(|begin| &begin.place);
    let segments = searcher.segment_readers().iter();
    for ((number, segment), expanded) in (0..).zip(segments).zip(&expanded) {
        let matching = match typed.is_blank() {
            true => score::everything(segment),
            false => score::matching(segment, &shelf.fields, &typed, expanded, &rarities)?,
        };
        let passing = Passing::new(segment, &matching.documents, &filters)?;
        for (counts, facet) in counts.iter_mut().zip(&query.facets) {
            counts.add(segment, passing.for_facet(&facet.field))?;
        }
        ranked.total += passing.all.len() as u64;
        if let Some(ordered) = Ordered::new(segment, &query.sort)? {
            let best = ordered.best(&matching, &passing.all, after, query.size + 1)?;
            ranked
                .hits
                .extend(best.into_iter().map(|hit| (number, hit)));
        }
    }
    let facets = counts.into_iter().map(Counts::facet).collect();
    let next = ranked.cut(query.size, &query.sort, rarities, known);
    let total = Total::Exactly(ranked.total);
    let hits = ranked.hits.into_iter();
    let hits = hits.map(|(segment, hit)| read(shelf, &searcher, segment, hit, &typed));
    let hits = hits.collect::<Result<_, _>>()?;
    Ok(SearchPage::new(hits, total, facets, next))
}

fn expand(shelf: &Shelf, searcher: &Searcher, typed: &Typed) -> Result<Vec<Expanded>, SearchError> {
    let lookup = Lookup::new(&shelf.fields, typed)?;
    let segments = searcher.segment_readers().iter();
    segments.map(|segment| lookup.expand(segment)).collect()
}

impl Ranked {
    /// Keeps the first hits, and returns the cursor of the page after them.
    fn cut(
        &mut self,
        size: usize,
        sort: &Sort,
        rarities: Vec<f64>,
        known: Vec<usize>,
    ) -> Option<String> {
        self.hits
            .sort_by(|(_, a), (_, b)| a.place.compare(&b.place, sort));
        let more = self.hits.len() > size;
        self.hits.truncate(size);
        let (_, last) = self.hits.last().filter(|_| more)?;
        Some(last.place.encode(sort, rarities, known))
    }
}

fn read(
    shelf: &Shelf,
    searcher: &Searcher,
    segment: SegmentOrdinal,
    hit: Placed,
    typed: &Typed,
) -> Result<Hit, SearchError> {
    let view = shelf
        .fields
        .view(searcher, DocAddress::new(segment, hit.document))?;
    let highlights = match typed.is_empty() {
        true => Vec::new(),
        false => Searched::new(&view, &shelf.projection).highlights(&view, typed),
    };
    Ok(Hit::new(hit.place.key, hit.score, view, highlights))
}
