//! The text of a query, and how well a word of a document matches one of its words.

use strsim::osa_distance;

use super::{fold, words};

/// Only the first 20 words of a query count.
pub const MOST_WORDS: usize = 20;
/// Longer words must match without typos: they are rarely typed, and looking them up is slow.
const MOST_LETTERS: usize = 40;
/// A word that at least 5 documents contain is not a typo: see [`QueryText::with_known`].
pub const KNOWN: usize = 5;
/// The quality of a match, compared with a match of the same word.
const SPELLING: f64 = 0.9;
const BEGINNING: f64 = 0.5;
const TYPO: f64 = 0.05;

/// Words whose plural does not follow a rule.
const IRREGULAR: [(&str, &str); 12] = [
    ("man", "men"),
    ("woman", "women"),
    ("child", "children"),
    ("foot", "feet"),
    ("tooth", "teeth"),
    ("mouse", "mice"),
    ("knife", "knives"),
    ("shelf", "shelves"),
    ("scarf", "scarves"),
    ("leaf", "leaves"),
    ("loaf", "loaves"),
    ("half", "halves"),
];

/// The words of a query. A word of a query matches, from the best match to the weakest:
///
/// - the same word;
/// - another spelling: the English singular or plural, and two neighbouring words of the query
///   written as one (`t shirt` finds `tshirt`). For the opposite case, the
///   [pairs](super::SearchedValue::pairs) of the document are searched too;
/// - for the last word of the query, which may be unfinished: words that begin with it;
/// - words with typos: one typo in words of 4 to 7 letters, two in words of 8 to 40 letters, none
///   in other words, in words with digits and in [known](QueryText::with_known) words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryText {
    words: Vec<QueryWord>,
    whole: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct QueryWord {
    text: String,
    /// The word, then its other forms.
    forms: Vec<String>,
    /// The word joined with a neighbour, then the other forms of that.
    with_neighbour: Vec<String>,
    /// The prefixes of words that match it as an unfinished word.
    beginnings: Vec<String>,
    /// The number of allowed typos.
    typos: usize,
}

impl QueryText {
    /// Reads the text of a query. The first [`MOST_WORDS`] words count.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let texts: Vec<String> = words(text)
            .into_iter()
            .take(MOST_WORDS)
            .map(|word| word.text)
            .collect();
        Self {
            words: (0..texts.len())
                .map(|at| QueryWord::new(&texts, at))
                .collect(),
            whole: fold(text),
        }
    }

    /// Allows no typos in the words at these positions.
    ///
    /// An index calls it with every word that [allows typos](Self::typo_tolerant) and that at least
    /// [`KNOWN`] of its shown documents contain, as one of its [spellings](Self::spellings) or
    /// [pairs](Self::pairs): if there are shirts, `shirt` finds no skirts. All pages use the words
    /// that were known on the first page.
    #[must_use]
    pub fn with_known(mut self, known: &[usize]) -> Self {
        for at in known {
            if let Some(word) = self.words.get_mut(*at) {
                word.typos = 0;
            }
        }
        self
    }

    /// Whether the text is blank.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.whole.is_empty()
    }

    /// The whole text, [folded](super::fold) as identifiers are.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// The number of words.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether the text contains no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| word.text.as_str())
    }

    /// How many words must match: all of one or two words, two thirds of more words.
    #[must_use]
    pub fn least(&self) -> usize {
        let count = self.words.len();
        if count <= 2 {
            count
        } else {
            (count * 2).div_ceil(3)
        }
    }

    /// All words that match the word at this position, except by prefix or with typos.
    pub fn spellings(&self, at: usize) -> impl Iterator<Item = &str> {
        let word = self.words.get(at);
        let forms = word.map(|word| word.forms.iter().chain(&word.with_neighbour));
        forms.into_iter().flatten().map(String::as_str)
    }

    /// All pairs of words, each written as one word, that match the word at this position.
    pub fn pairs(&self, at: usize) -> impl Iterator<Item = &str> {
        let word = self.words.get(at);
        let forms = word.map(|word| word.forms.iter());
        forms.into_iter().flatten().map(String::as_str)
    }

    /// The prefixes of words that match the word at this position as an unfinished word.
    pub fn beginnings(&self, at: usize) -> impl Iterator<Item = &str> {
        let word = self.words.get(at);
        let beginnings = word.map(|word| word.beginnings.iter());
        beginnings.into_iter().flatten().map(String::as_str)
    }

    /// How many typos are allowed in the word at this position.
    #[must_use]
    pub fn typos(&self, at: usize) -> usize {
        self.words.get(at).map_or(0, |word| word.typos)
    }

    /// The positions of the words in which typos are allowed.
    pub fn typo_tolerant(&self) -> impl Iterator<Item = usize> {
        (0..self.words.len()).filter(|at| self.typos(*at) > 0)
    }

    /// How well a word matches the word at this position: 0 for no match, 1 for the same word.
    #[must_use]
    pub fn quality(&self, at: usize, word: &str) -> f64 {
        let Some(typed) = self.words.get(at) else {
            return 0.0;
        };
        if typed.text == word {
            return 1.0;
        }
        if self.spellings(at).any(|spelling| spelling == word) {
            return SPELLING;
        }
        if self.beginnings(at).any(|begin| word.starts_with(begin)) {
            return BEGINNING;
        }
        typo(&typed.text, word, typed.typos)
    }

    /// How well a pair of words, written as one, matches the word at this position.
    #[must_use]
    pub fn quality_of_pair(&self, at: usize, pair: &str) -> f64 {
        match self.pairs(at).any(|form| form == pair) {
            true => SPELLING,
            false => 0.0,
        }
    }
}

impl QueryWord {
    fn new(texts: &[String], at: usize) -> Self {
        let text = texts[at].clone();
        let last = texts.len() - 1;
        let mut beginnings = Vec::new();
        if at == last {
            beginnings.push(text.clone());
        }
        let mut with_neighbour = Vec::new();
        for first in at.saturating_sub(1)..=at.min(last.saturating_sub(1)) {
            if first == last {
                continue;
            }
            let pair = format!("{}{}", texts[first], texts[first + 1]);
            with_neighbour.extend(forms(&pair));
            if first + 1 == last {
                beginnings.push(pair);
            }
        }
        Self {
            forms: forms(&text),
            typos: typos(&text),
            text,
            with_neighbour,
            beginnings,
        }
    }
}

/// A word, and its possible English singulars and plurals.
fn forms(word: &str) -> Vec<String> {
    let mut forms = vec![word.to_owned()];
    if word.chars().count() < 2 || word.chars().any(char::is_numeric) {
        return forms;
    }
    if let Some(stem) = word.strip_suffix('s')
        && !stem.ends_with('s')
        && stem.len() > 1
    {
        forms.push(stem.to_owned());
    }
    if let Some(stem) = word.strip_suffix("es").filter(|stem| stem.len() > 1) {
        forms.push(stem.to_owned());
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        forms.push(format!("{stem}y"));
    }
    if let Some(stem) = word.strip_suffix('y') {
        forms.push(format!("{stem}ies"));
    }
    forms.push(format!("{word}s"));
    forms.push(format!("{word}es"));
    for (one, many) in IRREGULAR {
        if word == one {
            forms.push(many.to_owned());
        } else if word == many {
            forms.push(one.to_owned());
        }
    }
    forms
}

/// How many typos are allowed in a word.
fn typos(queried: &str) -> usize {
    match queried.chars().count() {
        _ if queried.chars().any(char::is_numeric) => 0,
        0..=3 => 0,
        4..=7 => 1,
        8..=MOST_LETTERS => 2,
        _ => 0,
    }
}

/// How well a word matches with at most `allowed` typos.
fn typo(queried: &str, word: &str, allowed: usize) -> f64 {
    let letters = queried.chars().count();
    if allowed == 0
        || letters.abs_diff(word.chars().count()) > allowed
        || different(queried, word) > 2 * allowed
    {
        return 0.0;
    }
    let edits = osa_distance(queried, word);
    if edits > allowed {
        return 0.0;
    }
    // The first letter is rarely wrong: if it differs, that counts as one more edit.
    let first = usize::from(queried.chars().next() != word.chars().next());
    TYPO / (edits + first) as f64
}

/// A lower bound for the number of letters that only one of two words has. An edit changes that
/// number by at most two, so most words are rejected without computing their distance.
fn different(a: &str, b: &str) -> usize {
    let letters = |word: &str| {
        word.chars()
            .fold(0_u64, |set, c| set | 1 << (c as u32 % 64))
    };
    (letters(a) ^ letters(b)).count_ones() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_ranked_same_word_spelling_prefix_one_typo_two_typos() {
        let typed = QueryText::new("headphone");
        let words = [
            "headphone",
            "headphones",
            "headphoned",
            "haedphone",
            "hedphon",
            "phone",
        ];
        let qualities = words.map(|word| typed.quality(0, word));
        assert!(qualities.is_sorted_by(|a, b| a > b), "{qualities:?}");
        assert_eq!(qualities[5], 0.0);
    }

    #[test]
    fn singulars_and_plurals_match() {
        for (typed, word) in [
            ("hoodies", "hoodie"),
            ("hoodie", "hoodies"),
            ("dresses", "dress"),
            ("dress", "dresses"),
            ("tvs", "tv"),
            ("batteries", "battery"),
            ("battery", "batteries"),
            ("women", "woman"),
            ("shelf", "shelves"),
        ] {
            assert_eq!(
                QueryText::new(typed).quality(0, word),
                SPELLING,
                "{typed} {word}"
            );
        }
        assert_eq!(QueryText::new("glass").quality(0, "glas"), TYPO);
        assert_eq!(QueryText::new("2024").quality(0, "2024s"), BEGINNING);
    }

    #[test]
    fn a_known_word_matches_without_typos_only() {
        let typed = QueryText::new("red shirts").with_known(&[1, 7]);
        assert_eq!(typed.typos(1), 0);
        assert_eq!(typed.quality(1, "skirts"), 0.0);
        assert_eq!(typed.quality(1, "shirt"), SPELLING);
        assert_eq!(typed.quality(1, "shirtsleeves"), BEGINNING);
    }

    #[test]
    fn two_words_match_one() {
        let typed = QueryText::new("red t shirts xl");
        for at in [1, 2] {
            assert_eq!(typed.quality(at, "tshirt"), SPELLING);
        }
        assert_eq!(typed.quality(0, "tshirt"), 0.0);
        assert_eq!(
            QueryText::new("tshirt").quality_of_pair(0, "tshirts"),
            SPELLING
        );
        // The last word may be unfinished.
        assert_eq!(
            QueryText::new("head pho").quality(1, "headphones"),
            BEGINNING
        );
        assert_eq!(QueryText::new("head pho x").quality(1, "headphones"), 0.0);
    }
}
