//! Queries, answered from the index and its columns.

mod facets;
mod filters;
mod place;
mod score;
mod suggest;
mod words;

use async_trait::async_trait;
use stockade_search_sync::analysis::{Highlighter, Typed};
use stockade_search_sync::order::Begin;
use stockade_search_sync::{
    Hit, Lack, SearchError, SearchIndex, SearchPage, SearchQuery, Suggestion, Total,
};
use tracing::instrument;

use self::facets::Counts;
use self::filters::Passing;
use self::place::Ordered;
use self::score::Window;
use self::words::{Lookup, rarities};
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

fn search(shelf: &Shelf, query: &SearchQuery) -> Result<SearchPage, SearchError> {
    query.validate(&shelf.projection)?;
    let typed = Typed::new(&query.text);
    let begin = Begin::of(query, typed.len())?;
    let snapshot = shelf.snapshot();
    let searcher = &snapshot.searcher;
    let known = match begin.as_ref().and_then(|begin| begin.known.clone()) {
        Some(known) => known,
        None => words::known(&snapshot.segments, &typed)?,
    };
    let typed = typed.with_known(&known);
    let lookup = Lookup::new(&shelf.fields, &typed)?;
    let expanded = snapshot.segments.iter();
    let expanded = expanded.map(|segment| lookup.expand(segment));
    let expanded = expanded.collect::<Result<Vec<_>, _>>()?;
    let rarities = match &begin {
        Some(begin) if !begin.rarities.is_empty() => begin.rarities.clone(),
        _ => rarities(&expanded, &typed, searcher),
    };
    let counts = |facet| Counts::new(facet, snapshot.segments.len());
    let mut counts: Vec<_> = query.facets.iter().map(counts).collect();
    let filters = filters::by_field(&query.filters, &query.facets);
    let after = begin.as_ref().map(|begin| &begin.place);
    // One more than the page has tells whether there is another.
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
                &shelf.fields,
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
        if let Some(ordered) = Ordered::new(segment, &query.sort)? {
            best.push(ordered.best(number, &passing.all, after, wanted)?);
        }
    }
    let mut first = place::first(best, wanted, &query.sort, searcher, &shelf.fields)?;
    let is_last = first.len() < wanted;
    first.truncate(query.size);
    let last = first.last().filter(|_| !is_last);
    let next = last.map(|last| last.place.encode(&query.sort, rarities, known));
    let mut highlighter = Highlighter::new(&typed);
    let hits = first.into_iter().map(|hit| {
        let view = shelf.fields.view(&hit.place.key, &hit.document)?;
        let highlights = match typed.is_empty() {
            true => Vec::new(),
            false => highlighter.highlights(&view, &shelf.projection),
        };
        Ok(Hit::new(hit.place.key, hit.score, view, highlights))
    });
    let hits = hits.collect::<Result<_, SearchError>>()?;
    let facets = counts.into_iter().map(Counts::facet).collect();
    Ok(SearchPage::new(hits, Total::Exactly(total), facets, next))
}
