//! Which text of a view is searched, and with which weight.

use std::collections::HashMap;
use std::ops::Range;

use super::{QueryText, Word, each_word, fold, words};
use crate::document::{FieldValue, View};
use crate::projection::{FieldKind, Projection};
use crate::query::Highlight;

/// The text of a view that is searched.
#[derive(Clone, Debug, Default)]
pub struct SearchedText {
    /// The values whose words are searched, one entry for each value.
    pub values: Vec<SearchedValue>,
    /// The identifiers, [folded](fold).
    pub identifiers: Vec<String>,
}

/// One value of a field, as words.
#[derive(Clone, Debug)]
pub struct SearchedValue {
    /// The field.
    pub field: String,
    /// The index of the value in the field.
    pub value: usize,
    /// How much a match counts.
    pub weight: f64,
    /// The words.
    pub words: Vec<Word>,
    /// Pairs of neighbouring words, each written as one word, because people write `t-shirt` and
    /// `head phones` both ways. Running text, such as a description, has none.
    pub pairs: Vec<Word>,
}

/// One value of a field whose words are searched, and where its words come from.
struct Content<'a> {
    field: &'a str,
    value: usize,
    weight: f64,
    kind: Option<FieldKind>,
    words: Source<'a>,
}

enum Source<'a> {
    /// The text of the value.
    Text(&'a str),
    /// The name of an attribute whose value is true.
    Name,
    /// A number, with the name of its attribute.
    Number(f64),
}

/// All values whose words are searched.
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
    /// Whether pairs of words are searched: not in running text.
    fn has_pairs(&self, projection: &Projection) -> bool {
        let running = matches!(self.kind, Some(FieldKind::Text { .. }));
        !running || *self.field == projection.title
    }
}

impl SearchedText {
    /// The text of a view that is searched.
    ///
    /// Text is searched with the [weight](Projection::weight_of) of its field. A number of
    /// [`FieldKind::Attributes`] is searched together with the name of the attribute, so that
    /// `55 inches` finds `{"diagonal_inches": 55}`. An attribute that is `true` is searched by its
    /// name.
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
            searched.values.push(SearchedValue {
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

/// Finds the places in views that match a query.
#[derive(Clone, Debug)]
pub struct Highlighter<'a> {
    typed: &'a QueryText,
    /// The first letters of all words that can match. `None` if typos are allowed, which may change
    /// the first letter.
    begins: Option<Vec<char>>,
    /// The pairs that match, each written as one word.
    pairs: Vec<&'a str>,
    /// Whether each known word matches: views have many words in common.
    words: HashMap<String, Matches>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matches {
    Yes,
    No,
}

impl<'a> Highlighter<'a> {
    /// A highlighter for one query.
    #[must_use]
    pub fn new(typed: &'a QueryText) -> Self {
        let positions = 0..typed.len();
        let begins = typed.typo_tolerant().next().is_none().then(|| {
            let whole = positions.clone().flat_map(|at| typed.spellings(at));
            let unfinished = positions.clone().flat_map(|at| typed.beginnings(at));
            let mut begins: Vec<_> = whole.chain(unfinished).flat_map(first).collect();
            begins.sort_unstable();
            begins.dedup();
            begins
        });
        Self {
            typed,
            begins,
            pairs: positions.flat_map(|at| typed.pairs(at)).collect(),
            words: HashMap::new(),
        }
    }

    /// The places where a view matches: in each field the first value that matches, ordered by the
    /// weight of the fields.
    #[must_use]
    pub fn highlights(&mut self, view: &View, projection: &Projection) -> Vec<Highlight> {
        let mut contents: Vec<_> = contents(view, projection).collect();
        contents.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut highlights: Vec<Highlight> = Vec::new();
        for content in contents {
            // The name of an attribute is not part of its value.
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
            let mut positions = 0..self.typed.len();
            let matches = match positions.any(|at| self.typed.quality(at, word) > 0.0) {
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
    /// How much a match in a field counts: the field's own weight for text; 2 for a
    /// [`FieldKind::Keyword`], such as a brand; 1 for the values of [`FieldKind::Keywords`], the
    /// members of [`FieldKind::Attributes`] and the words of an [`FieldKind::Identifier`]. `None`
    /// if the words of the field are not searched.
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

    /// All weights that [`weight_of`](Self::weight_of) returns, the largest first.
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

/// The last part of the path of an attribute.
fn member(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

/// The words of a number, then the last word of the attribute's name, which is the unit, then the
/// other words of the name.
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

    fn matches(typed: &QueryText, text: &str) -> Vec<String> {
        let ranges = Highlighter::new(typed).matches(text, true);
        ranges.into_iter().map(|at| text[at].to_owned()).collect()
    }

    #[test]
    fn a_typo_may_change_the_first_letter_but_a_known_word_keeps_it() {
        let text = "Women in Éclairs, eclairage, T-shirts; Mclair, mirt";
        let typed = QueryText::new("woman tshirt eclair");
        let known = typed.clone().with_known(&[0, 1, 2]);
        let spelled = ["Women", "Éclairs", "eclairage", "T-shirts"];
        assert_eq!(matches(&known, text), spelled);
        let typo_tolerant = [&spelled[..], &["Mclair"]].concat();
        assert_eq!(matches(&typed, text), typo_tolerant);
    }
}
