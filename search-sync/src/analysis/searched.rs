//! What of a view is searched by words, and with which weight.

use std::collections::HashMap;
use std::ops::Range;

use super::{Typed, Word, each_word, fold, words};
use crate::projection::{FieldKind, Projection};
use crate::query::Highlight;
use crate::view::{FieldValue, View};

/// A view as it is searched by text.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// The values whose words are searched.
    pub texts: Vec<Text>,
    /// The identifiers, [folded](fold).
    pub identifiers: Vec<String>,
}

/// One value of a field whose words are searched.
#[derive(Clone, Debug)]
pub struct Text {
    /// The field.
    pub field: String,
    /// Which of its values.
    pub value: usize,
    /// How much a match counts.
    pub weight: f64,
    /// The words.
    pub words: Vec<Word>,
    /// Neighbours, each written as one word, where people write them together or apart:
    /// `t-shirt` and `head phones`. Running text has none.
    pub pairs: Vec<Word>,
}

/// One value of a field whose words are searched, and which words those are.
struct Content<'a> {
    field: &'a str,
    value: usize,
    weight: f64,
    kind: Option<FieldKind>,
    words: Source<'a>,
}

enum Source<'a> {
    /// What was written.
    Text(&'a str),
    /// The name of an attribute that is true.
    Name,
    /// A number, and the name of its attribute.
    Number(f64),
}

/// Everything that is searched by words.
fn contents<'a>(view: &'a View, projection: &'a Projection) -> impl Iterator<Item = Content<'a>> {
    let fields = view.fields.iter().filter_map(|(field, values)| {
        let weight = projection.weight_of(field)?;
        Some((field, values, weight, projection.kind_of(field)))
    });
    fields.flat_map(|(field, values, weight, kind)| {
        let is_attribute = kind == Some(FieldKind::Attributes);
        let values = values.iter().enumerate();
        values.filter_map(move |(value, content)| {
            let words = match content {
                FieldValue::Text(text) if is_attribute && text == "false" => return None,
                FieldValue::Text(text) if is_attribute && text == "true" => Source::Name,
                FieldValue::Text(text) => Source::Text(text),
                FieldValue::Number(number) if is_attribute => Source::Number(*number),
                FieldValue::Number(_) => return None,
            };
            Some(Content {
                field,
                value,
                weight,
                kind,
                words,
            })
        })
    })
}

impl Content<'_> {
    /// Whether neighbours may be written as one word: not in running text.
    fn has_pairs(&self, projection: &Projection) -> bool {
        let running = matches!(self.kind, Some(FieldKind::Text { .. }));
        !running || *self.field == projection.title
    }
}

impl Searched {
    /// What is searched of a view.
    ///
    /// Text is searched with the [weight](Projection::weight_of) of its field. A number of
    /// [`FieldKind::Attributes`] is searched together with the attribute's name, so that
    /// `55 inches` finds `{"diagonal_inches": 55}`, and an attribute that is `true` by its name.
    #[must_use]
    pub fn new(view: &View, projection: &Projection) -> Self {
        let mut searched = Self::default();
        for content in contents(view, projection) {
            if let (Some(FieldKind::Identifier), Source::Text(text)) =
                (content.kind, &content.words)
            {
                searched.identifiers.push(fold(text));
            }
            let words = match content.words {
                Source::Text(text) => words(text),
                Source::Name => words(member(content.field)),
                Source::Number(number) => number_with_unit(number, content.field),
            };
            let pairs = match content.has_pairs(projection) {
                true => pairs(&words),
                false => Vec::new(),
            };
            searched.texts.push(Text {
                field: content.field.to_owned(),
                value: content.value,
                weight: content.weight,
                words,
                pairs,
            });
        }
        searched
    }
}

/// Finds where views match what was typed.
#[derive(Clone, Debug)]
pub struct Highlighter<'a> {
    typed: &'a Typed,
    /// With which letters a word that matches begins: any, where typos are forgiven.
    begins: Option<Vec<char>>,
    /// What two neighbours have to be, written as one word.
    pairs: Vec<&'a str>,
    /// Of words that came before, whether they match: views have many in common.
    words: HashMap<String, Matches>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matches {
    Yes,
    No,
}

impl<'a> Highlighter<'a> {
    /// For what was typed.
    #[must_use]
    pub fn new(typed: &'a Typed) -> Self {
        let places = 0..typed.len();
        let begins = typed.forgiving().next().is_none().then(|| {
            let whole = places.clone().flat_map(|at| typed.spellings(at));
            let unfinished = places.clone().flat_map(|at| typed.beginnings(at));
            let mut begins: Vec<_> = whole.chain(unfinished).flat_map(first).collect();
            begins.sort_unstable();
            begins.dedup();
            begins
        });
        Self {
            typed,
            begins,
            pairs: places.flat_map(|at| typed.pairs(at)).collect(),
            words: HashMap::new(),
        }
    }

    /// Where a view matches: of each field the first value that does, the weightiest field first.
    #[must_use]
    pub fn highlights(&mut self, view: &View, projection: &Projection) -> Vec<Highlight> {
        let mut contents: Vec<_> = contents(view, projection).collect();
        contents.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut highlights: Vec<Highlight> = Vec::new();
        for content in contents {
            // Names stand nowhere in the value.
            let Source::Text(text) = content.words else {
                continue;
            };
            if highlights.iter().any(|known| known.field == content.field) {
                continue;
            }
            let matches = self.matches(text, content.has_pairs(projection));
            if !matches.is_empty() {
                highlights.push(super::highlight::highlight(content.field, text, &matches));
            }
        }
        highlights
    }

    fn matches(&mut self, text: &str, has_pairs: bool) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let (mut before, mut begin) = (String::new(), 0);
        each_word(text, |word, range| {
            if self.is_match(word) {
                ranges.push(range.clone());
            }
            if has_pairs {
                if !before.is_empty() && self.is_pair(&before, word) {
                    ranges.push(begin..range.end);
                }
                before.clear();
                before.push_str(word);
                begin = range.start;
            }
        });
        ranges.sort_by_key(|range| (range.start, range.end));
        ranges
    }

    fn is_pair(&self, first: &str, second: &str) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|pair| pair.strip_prefix(first) == Some(second))
    }

    fn is_match(&mut self, word: &str) -> bool {
        let begins = self.begins.as_ref();
        if begins.is_some_and(|begins| first(word).is_none_or(|letter| !begins.contains(&letter))) {
            return false;
        }
        let known = self.words.get(word).copied();
        let matches = known.unwrap_or_else(|| {
            let mut places = 0..self.typed.len();
            let matches = match places.any(|at| self.typed.quality(at, word) > 0.0) {
                true => Matches::Yes,
                false => Matches::No,
            };
            self.words.insert(word.to_owned(), matches);
            matches
        });
        matches == Matches::Yes
    }
}

impl Projection {
    /// How much a match in a field counts: its own weight for text; 2 for a
    /// [`FieldKind::Keyword`] that is a column of its own, such as a brand; 1 for the values of
    /// [`FieldKind::Keywords`], the members of [`FieldKind::Attributes`] and the words of an
    /// [`FieldKind::Identifier`]. `None` where words are not searched.
    #[must_use]
    pub fn weight_of(&self, field: &str) -> Option<f64> {
        let stock = self.stock.as_ref().map(|stock| stock.in_stock.as_str());
        match self.kind_of(field)? {
            _ if stock == Some(field) => None,
            FieldKind::Text { weight } => Some(f64::from(weight)),
            FieldKind::Keyword => Some(2.0),
            FieldKind::Identifier | FieldKind::Keywords | FieldKind::Attributes => Some(1.0),
            FieldKind::Number | FieldKind::Stored => None,
        }
    }

    /// Every weight that [`weight_of`](Self::weight_of) gives, the greatest first.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let columns = self.columns().filter_map(|column| match column.kind {
            FieldKind::Attributes => Some(1.0),
            _ => self.weight_of(&column.field),
        });
        let mut weights: Vec<f64> = columns.collect();
        weights.sort_by(|a, b| b.total_cmp(a));
        weights.dedup();
        weights
    }
}

fn first(word: &str) -> Option<char> {
    word.chars().next()
}

/// The last part of an attribute's path.
fn member(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

/// A number, its unit, which stands last in the attribute's name, and then the rest of the name.
fn number_with_unit(number: f64, field: &str) -> Vec<Word> {
    let mut name = words(member(field));
    let unit = usize::from(!name.is_empty());
    name.rotate_right(unit);
    let number = words(&number.to_string());
    number.into_iter().chain(name).collect()
}

fn pairs(words: &[Word]) -> Vec<Word> {
    let pair = |pair: &[Word]| Word {
        text: format!("{}{}", pair[0].text, pair[1].text),
        range: pair[0].range.start..pair[1].range.end.max(pair[0].range.end),
    };
    words.windows(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(typed: &Typed, text: &str) -> Vec<String> {
        let ranges = Highlighter::new(typed).matches(text, true);
        ranges.into_iter().map(|at| text[at].to_owned()).collect()
    }

    #[test]
    fn what_matches_is_found_by_its_first_letter_and_with_typos_by_any() {
        let text = "Women in Éclairs, eclairage, T-shirts; Mclair, mirt";
        let typed = Typed::new("woman tshirt eclair");
        let known = typed.clone().with_known(&[0, 1, 2]);
        let spelled = ["Women", "Éclairs", "eclairage", "T-shirts"];
        assert_eq!(matches(&known, text), spelled);
        let with_typos = [&spelled[..], &["Mclair"]].concat();
        assert_eq!(matches(&typed, text), with_typos);
    }
}
