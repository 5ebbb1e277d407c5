//! Titles that complete what a user typed.

use stockade_search_sync::analysis::{fold, words};
use stockade_search_sync::{SearchError, SearchQuery, Suggestion};
use tantivy::columnar::{StrColumn, TermOrdHit};
use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocId, DocSet, SegmentReader, TERMINATED};

use crate::columns::text;
use crate::error::failed;
use crate::generation::GenerationIndex;
use crate::snapshot::Segment;

/// The most words that match an unfinished one.
const MOST_BEGINNINGS: usize = 1_000;

/// What suggestions are sorted by: first titles that begin with the typed text, then the folded
/// title, then the key.
type Rank = (bool, String, String);

pub(super) fn suggest(
    generation: &GenerationIndex,
    prefix: &str,
    limit: usize,
) -> Result<Vec<Suggestion>, SearchError> {
    SearchQuery::validate_suggest(prefix, limit)?;
    let typed: Vec<_> = words(prefix).into_iter().map(|word| word.text).collect();
    let Some((last, first)) = typed.split_last() else {
        return Ok(Vec::new());
    };
    let snapshot = generation.snapshot();
    let mut found = Vec::new();
    for (number, segment) in (0..).zip(&snapshot.segments) {
        let best = best(segment, generation, (first, last), &fold(prefix), limit)?;
        let best = best.into_iter();
        found.extend(best.map(|(rank, document)| (rank, DocAddress::new(number, document))));
    }
    found.sort_unstable();
    found.truncate(limit);
    let mut suggestions = Vec::with_capacity(found.len());
    for ((.., key), address) in found {
        let title = generation
            .fields
            .written_title(&snapshot.searcher, address)?;
        suggestions.extend(title.map(|title| Suggestion::new(key, title)));
    }
    Ok(suggestions)
}

/// The best documents of a segment: first those whose title begins with the typed text, then
/// ordered by title and key.
fn best(
    segment: &Segment,
    generation: &GenerationIndex,
    (first, last): (&[String], &str),
    typed: &str,
    limit: usize,
) -> Result<Vec<(Rank, DocId)>, SearchError> {
    let (Some(keys), Some(titles)) = (&segment.keys, &segment.titles) else {
        return Ok(Vec::new());
    };
    let begin = ordinal_from(titles, typed)?;
    let mut after = typed.to_owned();
    after.push(char::MAX);
    let end = ordinal_from(titles, &after)?;
    let reader = &segment.reader;
    let alive = reader.alive_bitset();
    let is_alive = |document: &DocId| alive.is_none_or(|alive| alive.is_alive(*document));
    let mut documents = Vec::new();
    if begin < end {
        let range = begin..=end - 1;
        let column = titles.ords();
        column.get_docids_for_value_range(range, 0..reader.max_doc(), &mut documents);
        documents.retain(is_alive);
    }
    if documents.len() < limit {
        documents = with_words(reader, generation, first, last)?;
        documents.retain(is_alive);
    }
    let mut best = Vec::new();
    for document in documents {
        if let Some(title) = titles.ords().first(document) {
            best.push((!(begin..end).contains(&title), title, document));
        }
    }
    // Keep all documents with the same title as the last one, to order them by key.
    if best.len() > limit {
        let (_, (later, title, _), _) = best.select_nth_unstable(limit - 1);
        let last = (*later, *title);
        best.retain(|(later, title, _)| (*later, *title) <= last);
    }
    let key = |document| keys.ords().first(document).unwrap_or(u64::MAX);
    let with_key = best.into_iter();
    let with_key = with_key.map(|(later, title, document)| (later, title, key(document), document));
    let mut best: Vec<_> = with_key.collect();
    best.sort_unstable();
    best.truncate(limit);
    let best = best.into_iter();
    best.map(|(later, title, key, document)| {
        let rank = (later, text(titles, title)?, text(keys, key)?);
        Ok((rank, document))
    })
    .collect()
}

/// The documents whose title has the words in `first` and a word that begins with `last`.
fn with_words(
    segment: &SegmentReader,
    generation: &GenerationIndex,
    first: &[String],
    last: &str,
) -> Result<Vec<DocId>, SearchError> {
    let inverted = segment.inverted_index(generation.fields.title_words);
    let inverted = inverted.map_err(failed("suggest"))?;
    let postings = |info: &TermInfo| {
        let postings = inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic);
        postings.map_err(failed("suggest"))
    };
    let mut with = Vec::new();
    for word in first {
        let info = inverted.terms().get(word).map_err(failed("suggest"))?;
        let Some(info) = info else {
            return Ok(Vec::new());
        };
        with.push(postings(&info)?);
    }
    let terms = inverted.terms().range().ge(last).into_stream();
    let mut terms = terms.map_err(failed("suggest"))?;
    let mut all = Vec::new();
    for _ in 0..MOST_BEGINNINGS {
        if !terms.advance() || !terms.key().starts_with(last.as_bytes()) {
            break;
        }
        let mut postings = postings(terms.value())?;
        while postings.doc() != TERMINATED {
            all.push(postings.doc());
            postings.advance();
        }
    }
    all.sort_unstable();
    all.dedup();
    all.retain(|document| {
        let mut with = with.iter_mut();
        with.all(|word| {
            word.doc() == *document || word.doc() < *document && word.seek(*document) == *document
        })
    });
    Ok(all)
}

/// The ordinal of the first text that is not less than `from`.
fn ordinal_from(column: &StrColumn, from: &str) -> Result<u64, SearchError> {
    let ordinal = column.dictionary().term_ord_or_next(from);
    Ok(match ordinal.map_err(failed("suggest"))? {
        TermOrdHit::Exact(ordinal) | TermOrdHit::Next(ordinal) => ordinal,
    })
}
