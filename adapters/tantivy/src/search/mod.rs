//! Runs queries on the tantivy index and its columns.

mod best;
mod facets;
mod filters;
mod postings;
mod score;
mod suggest;
mod window;
mod words;

use async_trait::async_trait;
use stockade_search_sync::analysis::{Highlighter, QueryText};
use stockade_search_sync::{
    Hit, Limitation, PageStart, SearchError, SearchIndex, SearchPage, SearchQuery, Suggestion,
    TotalHits,
};
use tracing::instrument;

use self::best::Ranking;
use self::facets::Counts;
use self::filters::Passing;
use self::window::Window;
use self::words::{Lookup, rarities};
use crate::generation::GenerationIndex;
use crate::index::TantivyIndex;

#[async_trait]
impl SearchIndex for TantivyIndex {
    #[instrument(skip_all)]
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let query = query.clone();
        self.searching("search", move |generation| search(generation, &query))
            .await
    }

    #[instrument(skip_all)]
    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError> {
        let prefix = prefix.to_owned();
        self.searching("suggest", move |generation| {
            suggest::suggest(generation, &prefix, limit)
        })
        .await
    }

    fn limitations(&self) -> Vec<Limitation> {
        vec![
            Limitation::new(
                "word segmentation for scripts without spaces",
                "a word of such a script is found only at the start of a run of letters",
            ),
            Limitation::new(
                "plurals of languages other than English",
                "`Tisch` finds `Tische` only as a prefix or with a typo",
            ),
        ]
    }
}

fn search(generation: &GenerationIndex, query: &SearchQuery) -> Result<SearchPage, SearchError> {
    query.validate(&generation.projection)?;
    let typed = QueryText::new(&query.text);
    let start = PageStart::of(query, typed.len())?;
    let snapshot = generation.snapshot();
    let searcher = &snapshot.searcher;
    let known = match start.as_ref().and_then(|start| start.known.clone()) {
        Some(known) => known,
        None => words::known(&snapshot.segments, &typed)?,
    };
    let typed = typed.with_known(&known);
    let lookup = Lookup::new(&generation.fields, &typed)?;
    let expanded = snapshot.segments.iter();
    let expanded = expanded.map(|segment| lookup.expand(segment));
    let expanded = expanded.collect::<Result<Vec<_>, _>>()?;
    let rarities = match &start {
        Some(start) if !start.rarities.is_empty() => start.rarities.clone(),
        _ => rarities(&expanded, &typed, searcher),
    };
    let counts = |facet| Counts::new(facet, snapshot.segments.len());
    let mut counts: Vec<_> = query.facets.iter().map(counts).collect();
    let filters = filters::by_field(&query.filters, &query.facets);
    let after = start.as_ref().map(|start| &start.after);
    // One more hit than the page has shows whether there is another page.
    let wanted = query.size + 1;
    let mut window = Window::new();
    let mut total = 0;
    let mut best = Vec::new();
    for ((number, segment), expanded) in (0..).zip(&snapshot.segments).zip(&expanded) {
        let reader = &segment.reader;
        let matching = match typed.is_blank() {
            true => filters::everything(segment, &filters)?,
            false => score::matching(
                reader,
                &generation.fields,
                &typed,
                expanded,
                &rarities,
                &mut window,
            )?,
        };
        let passing = Passing::new(segment, matching, &filters)?;
        for (counts, facet) in counts.iter_mut().zip(&query.facets) {
            counts.add(segment, passing.for_facet(&facet.field))?;
        }
        total += passing.all.documents.len() as u64;
        if let Some(ranking) = Ranking::new(segment, &query.sort)? {
            best.push(ranking.best(number, &passing.all, after, wanted)?);
        }
    }
    let mut first = best::first(best, wanted, &query.sort, searcher, &generation.fields)?;
    let is_last = first.len() < wanted;
    first.truncate(query.size);
    let last = first.last().filter(|_| !is_last);
    let next = last.map(|last| last.sort_key.encode(&query.sort, rarities, known));
    let mut highlighter = Highlighter::new(&typed);
    let hits = first.into_iter().map(|hit| {
        let key = hit.sort_key.key;
        let view = generation.fields.view(&key, &hit.document)?;
        let highlights = match typed.is_empty() {
            true => Vec::new(),
            false => highlighter.highlights(&view, &generation.projection),
        };
        Ok(Hit::new(key, hit.score, view, highlights))
    });
    let hits = hits.collect::<Result<_, SearchError>>()?;
    let facets = counts.into_iter().map(Counts::facet).collect();
    Ok(SearchPage::new(
        hits,
        TotalHits::Exactly(total),
        facets,
        next,
    ))
}
