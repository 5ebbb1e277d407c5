//! The fields of the tantivy index, and how a view is indexed.

use std::collections::BTreeMap;

use stockade_search_sync::analysis::{SearchedText, Word, fold, words};
use stockade_search_sync::{FieldKind, FieldValue, Projection, SearchError, View};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, JsonObjectOptions, OwnedValue, STORED, STRING, Schema,
    TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{DocAddress, Searcher, TantivyDocument};

use crate::error::failed;

/// The version of the fields and of the text analysis. An index of another format is rebuilt.
pub(crate) const FORMAT: &str = "stockade-tantivy 3";

/// Longer words are not indexed, in bytes, because users do not type them.
const MOST_WORD: usize = 255;

/// The column of the keys.
pub(crate) const KEY: &str = "key";
/// The column of the first title of each document, folded.
pub(crate) const TITLE: &str = "title";
const COLUMNS: &str = "columns";

/// The fields of the index of a projection.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) key: Field,
    /// Identifiers, folded.
    pub(crate) identifier: Field,
    /// Identifiers, reduced to letters and digits.
    pub(crate) bare_identifier: Field,
    /// Whole titles, as words joined by spaces.
    pub(crate) title_phrase: Field,
    /// The words of titles.
    pub(crate) title_words: Field,
    title: Field,
    /// The first title, unchanged, for suggestions.
    written_title: Field,
    /// The words of all fields, by weight.
    pub(crate) weights: Vec<Weighted>,
    /// Whole values. Each field of the projection has its own path.
    columns: Field,
    /// The view, which is returned with hits. It is stored here so that the whole result comes from
    /// one state.
    view: Field,
}

/// The fields of one weight.
#[derive(Clone, Debug)]
pub(crate) struct Weighted {
    pub(crate) weight: f64,
    pub(crate) words: Field,
    pub(crate) pairs: Field,
}

impl Fields {
    pub(crate) fn new(projection: &Projection) -> (Schema, Self) {
        let counted = TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqs);
        let counted = TextOptions::default().set_indexing_options(counted);
        let mut schema = Schema::builder();
        let fields = Self {
            key: schema.add_text_field(KEY, STRING | FAST | STORED),
            identifier: schema.add_text_field("identifier", STRING),
            bare_identifier: schema.add_text_field("bare_identifier", STRING),
            title_phrase: schema.add_text_field("title_phrase", STRING),
            title_words: schema.add_text_field("title_words", counted.clone()),
            title: schema.add_text_field(TITLE, FAST),
            written_title: schema.add_text_field("written_title", STORED),
            weights: projection
                .weights()
                .into_iter()
                .enumerate()
                .map(|(at, weight)| Weighted {
                    weight,
                    words: schema.add_text_field(&format!("words_{at}"), counted.clone()),
                    pairs: schema.add_text_field(&format!("pairs_{at}"), counted.clone()),
                })
                .collect(),
            view: schema.add_text_field("view", STORED),
            columns: schema.add_json_field(COLUMNS, JsonObjectOptions::default().set_fast("raw")),
        };
        (schema.build(), fields)
    }

    /// The tantivy document for a view in JSON.
    pub(crate) fn document(
        &self,
        key: &str,
        json: &str,
        projection: &Projection,
    ) -> Result<TantivyDocument, SearchError> {
        let view = &decode(key, json)?;
        let mut document = TantivyDocument::new();
        document.add_text(self.key, key);
        document.add_text(self.view, json);
        let searched = SearchedText::new(view, projection);
        for identifier in &searched.identifiers {
            document.add_text(self.identifier, identifier);
            document.add_text(self.bare_identifier, bare(identifier));
        }
        for text in &searched.values {
            let weighted = self
                .weights
                .iter()
                .find(|known| known.weight == text.weight);
            if let Some(weighted) = weighted {
                add_words(&mut document, weighted.words, &text.words);
                add_words(&mut document, weighted.pairs, &text.pairs);
            }
        }
        let titles = view.fields.get(&projection.title).into_iter().flatten();
        for (at, title) in titles.enumerate() {
            if let FieldValue::Text(title) = title {
                if at == 0 {
                    document.add_text(self.title, fold(title));
                    document.add_text(self.written_title, title);
                }
                let words = words(title);
                document.add_text(self.title_phrase, phrase(words.iter().map(|w| &*w.text)));
                add_words(&mut document, self.title_words, &words);
            }
        }
        document.add_object(self.columns, columns(view, projection));
        Ok(document)
    }

    /// The key of a stored document.
    pub(crate) fn stored_key(&self, document: &TantivyDocument) -> Result<String, SearchError> {
        let key = text(document, self.key).map(str::to_owned);
        key.ok_or_else(|| SearchError::Damaged {
            what: "a document of the tantivy index has no key".to_owned(),
        })
    }

    /// The view of a stored document.
    pub(crate) fn view(&self, key: &str, document: &TantivyDocument) -> Result<View, SearchError> {
        decode(key, text(document, self.view).unwrap_or_default())
    }

    /// The title of a document, unchanged.
    pub(crate) fn written_title(
        &self,
        searcher: &Searcher,
        address: DocAddress,
    ) -> Result<Option<String>, SearchError> {
        let document: TantivyDocument = searcher.doc(address).map_err(failed("suggest"))?;
        Ok(text(&document, self.written_title).map(str::to_owned))
    }
}

fn text(document: &TantivyDocument, field: Field) -> Option<&str> {
    let value = document.get_first(field);
    value.and_then(|value| value.as_str())
}

fn decode(of: &str, json: &str) -> Result<View, SearchError> {
    serde_json::from_str(json).map_err(|error| SearchError::Damaged {
        what: format!("the view of {of}: {error}"),
    })
}

/// The values that filters, facets and sorting use.
fn columns(view: &View, projection: &Projection) -> BTreeMap<String, OwnedValue> {
    let mut columns = BTreeMap::new();
    for (field, values) in &view.fields {
        match projection.kind_of(field) {
            None | Some(FieldKind::Text { .. } | FieldKind::Stored) => continue,
            Some(_) => {}
        }
        let values = values.iter().map(|value| match value {
            FieldValue::Text(text) => OwnedValue::Str(text.clone()),
            FieldValue::Number(number) => OwnedValue::F64(*number),
        });
        columns.insert(path(field), OwnedValue::Array(values.collect()));
    }
    columns
}

/// The name of the column of a field.
pub(crate) fn column(field: &str) -> String {
    format!("{COLUMNS}.{}", path(field))
}

/// The name of a field, without characters that have a meaning in a path.
fn path(field: &str) -> String {
    let mut path = String::with_capacity(field.len());
    for byte in field.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("-{byte:02x}"));
        }
    }
    path
}

/// The letters and digits of a folded identifier.
pub(crate) fn bare(identifier: &str) -> String {
    identifier.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Words joined by spaces.
pub(crate) fn phrase<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

fn add_words(document: &mut TantivyDocument, field: Field, words: &[Word]) {
    let words = words.iter().filter(|word| word.text.len() <= MOST_WORD);
    let tokens: Vec<_> = words
        .enumerate()
        .map(|(position, word)| Token {
            text: word.text.clone(),
            position,
            ..Token::default()
        })
        .collect();
    if !tokens.is_empty() {
        let text = String::new();
        document.add_pre_tokenized_text(field, PreTokenizedString { text, tokens });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_fields_have_different_paths() {
        let names = ["a.b", "a_b", "a-2eb", "a\\.b", "a\u{0}b", "é", "a b", "A.b"];
        let mut paths: Vec<_> = names.iter().map(|name| path(name)).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), names.len());
    }
}
