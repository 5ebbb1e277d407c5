//! Titles that go on from what somebody typed.

use stockade_search_sync::analysis::{fold, words};
use stockade_search_sync::{FieldValue, SearchError, SearchQuery, Suggestion, View};
use tantivy::columnar::{StrColumn, TermOrdHit};
use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, DocAddress, DocId, DocSet, SegmentReader, TERMINATED};

use super::columns::{keys, text, titles};
use crate::error::failed;
use crate::generation::Shelf;

/// Most words that an unfinished one stands for.
const MOST_BEGINNINGS: usize = 1_000;

/// Whether a title begins otherwise than with what was typed, the title, folded, and the key.
type Place = (bool, String, String);

pub(super) fn suggest(
    shelf: &Shelf,
    prefix: &str,
    limit: usize,
) -> Result<Vec<Suggestion>, SearchError> {
    SearchQuery::validate_suggest(prefix, limit)?;
    let typed: Vec<_> = words(prefix).into_iter().map(|word| word.text).collect();
    let Some((last, first)) = typed.split_last() else {
        return Ok(Vec::new());
    };
    let searcher = shelf.searcher();
    let mut found = Vec::new();
    for (number, segment) in (0..).zip(searcher.segment_readers()) {
        let documents = with_words(segment, shelf, first, last)?;
        let best = best(segment, &documents, &fold(prefix), limit)?;
        found.extend(
            best.into_iter()
                .map(|(place, document)| (place, DocAddress::new(number, document))),
        );
    }
    found.sort_unstable();
    found.truncate(limit);
    let mut suggestions = Vec::with_capacity(found.len());
    for ((.., key), address) in found {
        let view = shelf.fields.view(&searcher, address)?;
        let title = title(&view, &shelf.projection.title);
        suggestions.extend(title.map(|title| Suggestion::new(key, title)));
    }
    Ok(suggestions)
}

fn title(view: &View, field: &str) -> Option<String> {
    let titles = view.fields.get(field).into_iter().flatten();
    let mut texts = titles.filter_map(|title| match title {
        FieldValue::Text(text) => Some(text.clone()),
        FieldValue::Number(_) => None,
    });
    texts.next()
}

/// The documents of which the title has these words and one that begins with the last.
fn with_words(
    segment: &SegmentReader,
    shelf: &Shelf,
    first: &[String],
    last: &str,
) -> Result<Vec<DocId>, SearchError> {
    let inverted = segment.inverted_index(shelf.fields.title_words);
    let inverted = inverted.map_err(failed("suggest"))?;
    let collect = |info: &TermInfo, into: &mut BitSet| {
        let postings = inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic);
        let mut postings = postings.map_err(failed("suggest"))?;
        while postings.doc() != TERMINATED {
            into.insert(postings.doc());
            postings.advance();
        }
        Ok::<(), SearchError>(())
    };
    let mut all = BitSet::with_max_value(segment.max_doc());
    let terms = inverted.terms().range().ge(last).into_stream();
    let mut terms = terms.map_err(failed("suggest"))?;
    for _ in 0..MOST_BEGINNINGS {
        if !terms.advance() || !terms.key().starts_with(last.as_bytes()) {
            break;
        }
        collect(terms.value(), &mut all)?;
    }
    let mut each = vec![all];
    for word in first {
        let mut with = BitSet::with_max_value(segment.max_doc());
        if let Some(info) = inverted.terms().get(word).map_err(failed("suggest"))? {
            collect(&info, &mut with)?;
        }
        each.push(with);
    }
    let documents = (0..segment.max_doc()).filter(|document| {
        let mut each = each.iter();
        each.all(|with| with.contains(*document))
    });
    Ok(documents.collect())
}

/// The best documents of a segment: those whose title begins with what was typed, then by title
/// and key.
fn best(
    segment: &SegmentReader,
    documents: &[DocId],
    typed: &str,
    limit: usize,
) -> Result<Vec<(Place, DocId)>, SearchError> {
    let (Some(keys), Some(titles)) = (keys(segment)?, titles(segment)?) else {
        return Ok(Vec::new());
    };
    let begin = ordinal_from(&titles, typed)?;
    let mut after = typed.to_owned();
    after.push(char::MAX);
    let end = ordinal_from(&titles, &after)?;
    let alive = segment.alive_bitset();
    let is_alive = |document: &DocId| alive.is_none_or(|alive| alive.is_alive(*document));
    let mut found = Vec::new();
    for document in documents.iter().copied() {
        if let Some(title) = titles
            .ords()
            .first(document)
            .filter(|_| is_alive(&document))
        {
            let key = keys.ords().first(document).unwrap_or(u64::MAX);
            found.push((!(begin..end).contains(&title), title, key, document));
        }
    }
    if found.len() > limit {
        found.select_nth_unstable(limit - 1);
        found.truncate(limit);
    }
    let found = found.into_iter();
    found
        .map(|(later, title, key, document)| {
            let place = (later, text(&titles, title)?, text(&keys, key)?);
            Ok((place, document))
        })
        .collect()
}

/// The first ordinal of a text that is not less.
fn ordinal_from(column: &StrColumn, from: &str) -> Result<u64, SearchError> {
    let ordinal = column.dictionary().term_ord_or_next(from);
    Ok(match ordinal.map_err(failed("suggest"))? {
        TermOrdHit::Exact(ordinal) | TermOrdHit::Next(ordinal) => ordinal,
    })
}
