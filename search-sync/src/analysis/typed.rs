//! What somebody typed, and how well a word of a document matches a word of it.

use strsim::osa_distance;

use super::{fold, words};

/// Only so many words of a query count.
pub const MOST_WORDS: usize = 20;
/// In longer words no typos are forgiven: nobody mistypes them, and looking them up is dear.
const MOST_LETTERS: usize = 40;
/// A word that so many documents have is no typo: see [`Typed::with_known`].
pub const KNOWN: usize = 5;
/// What a match counts, compared with the same word.
const SPELLING: f64 = 0.9;
const BEGINNING: f64 = 0.5;
const TYPO: f64 = 0.05;

/// Words whose plural no rule makes.
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

/// The words of a query.
///
/// A word matches, the better the earlier it stands here:
///
/// - the same word;
/// - another spelling: the singular or plural of English, and, written as one word, what the
///   query has as two neighbours (`t shirt` finds `tshirt`). The other way round, documents are
///   searched by their [pairs](super::Text::pairs), too;
/// - as the last word, which may be unfinished, what begins with it;
/// - words with typos: one in words of 4 to 7 letters, two in those of 8 to 40, none in others,
///   in those with digits and in those that are [known](Typed::with_known).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    words: Vec<TypedWord>,
    whole: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct TypedWord {
    text: String,
    /// The word, and then its other forms.
    forms: Vec<String>,
    /// The word with a neighbour, and then their other forms.
    with_neighbour: Vec<String>,
    /// What it may be the beginning of.
    beginnings: Vec<String>,
    /// How many typos are forgiven.
    typos: usize,
}

impl Typed {
    /// Reads what somebody typed, of which the first [`MOST_WORDS`] words count.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let texts: Vec<String> = words(text)
            .into_iter()
            .take(MOST_WORDS)
            .map(|word| word.text)
            .collect();
        Self {
            words: (0..texts.len())
                .map(|at| TypedWord::new(&texts, at))
                .collect(),
            whole: fold(text),
        }
    }

    /// Takes the words at these places for what was meant, and forgives no typos in them.
    ///
    /// An index does so with every [forgiving](Self::forgiving) word that at least [`KNOWN`] of all
    /// its shown documents have, as one of its [spellings](Self::spellings) or of its
    /// [pairs](Self::pairs): `shirt` finds no skirts where there are shirts. Pages keep how words
    /// were read on the first one.
    #[must_use]
    pub fn with_known(mut self, known: &[usize]) -> Self {
        for at in known {
            if let Some(word) = self.words.get_mut(*at) {
                word.typos = 0;
            }
        }
        self
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.whole.is_empty()
    }

    /// The whole, folded as identifiers are.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// How many words count.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| word.text.as_str())
    }

    /// How many words have to match: of one or two all, of more two thirds.
    #[must_use]
    pub fn least(&self) -> usize {
        let count = self.words.len();
        if count <= 2 {
            count
        } else {
            (count * 2).div_ceil(3)
        }
    }

    /// Every word that matches the word at this place in another way than as an unfinished one or
    /// with typos: for looking it up.
    pub fn spellings(&self, at: usize) -> impl Iterator<Item = &str> {
        let word = self.words.get(at);
        let forms = word.map(|word| word.forms.iter().chain(&word.with_neighbour));
        forms.into_iter().flatten().map(String::as_str)
    }

    /// Every pair of words, written as one, that matches the word at this place.
    pub fn pairs(&self, at: usize) -> impl Iterator<Item = &str> {
        let word = self.words.get(at);
        let forms = word.map(|word| word.forms.iter());
        forms.into_iter().flatten().map(String::as_str)
    }

    /// What a word has to begin with to match the word at this place as an unfinished one.
    pub fn beginnings(&self, at: usize) -> impl Iterator<Item = &str> {
        let word = self.words.get(at);
        let beginnings = word.map(|word| word.beginnings.iter());
        beginnings.into_iter().flatten().map(String::as_str)
    }

    /// How many typos are forgiven in the word at this place.
    #[must_use]
    pub fn typos(&self, at: usize) -> usize {
        self.words.get(at).map_or(0, |word| word.typos)
    }

    /// The places of words in which typos are forgiven.
    pub fn forgiving(&self) -> impl Iterator<Item = usize> {
        (0..self.words.len()).filter(|at| self.typos(*at) > 0)
    }

    /// How well a word matches the one at this place: 0 for not at all, 1 for the same.
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

    /// How well a pair of words, written as one, matches the word at this place.
    #[must_use]
    pub fn quality_of_pair(&self, at: usize, pair: &str) -> f64 {
        match self.pairs(at).any(|form| form == pair) {
            true => SPELLING,
            false => 0.0,
        }
    }
}

impl TypedWord {
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

/// A word, and what may be its singular or plural in English.
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

/// How many typos are forgiven in a word.
fn typos(queried: &str) -> usize {
    match queried.chars().count() {
        _ if queried.chars().any(char::is_numeric) => 0,
        0..=3 => 0,
        4..=7 => 1,
        8..=MOST_LETTERS => 2,
        _ => 0,
    }
}

/// How well a word matches but for so many typos.
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
    // The first letter is rarely wrong: if it differs, it counts as one edit more.
    let first = usize::from(queried.chars().next() != word.chars().next());
    TYPO / (edits + first) as f64
}

/// At most how many letters only one of two words has: an edit changes that by two at most. It
/// spares most words the distance.
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
    fn the_same_then_a_spelling_then_a_beginning_then_one_typo_then_two() {
        let typed = Typed::new("headphone");
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
    fn singulars_and_plurals_are_one_word() {
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
                Typed::new(typed).quality(0, word),
                SPELLING,
                "{typed} {word}"
            );
        }
        assert_eq!(Typed::new("glass").quality(0, "glas"), TYPO);
        assert_eq!(Typed::new("2024").quality(0, "2024s"), BEGINNING);
    }

    #[test]
    fn a_known_word_has_no_typos() {
        let typed = Typed::new("red shirts").with_known(&[1, 7]);
        assert_eq!(typed.typos(1), 0);
        assert_eq!(typed.quality(1, "skirts"), 0.0);
        assert_eq!(typed.quality(1, "shirt"), SPELLING);
        assert_eq!(typed.quality(1, "shirtsleeves"), BEGINNING);
    }

    #[test]
    fn two_words_may_be_one() {
        let typed = Typed::new("red t shirts xl");
        for at in [1, 2] {
            assert_eq!(typed.quality(at, "tshirt"), SPELLING);
        }
        assert_eq!(typed.quality(0, "tshirt"), 0.0);
        assert_eq!(Typed::new("tshirt").quality_of_pair(0, "tshirts"), SPELLING);
        // The last of them may be unfinished.
        assert_eq!(Typed::new("head pho").quality(1, "headphones"), BEGINNING);
        assert_eq!(Typed::new("head pho x").quality(1, "headphones"), 0.0);
    }
}
