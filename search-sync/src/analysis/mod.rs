//! Splits text into words, and decides which words match a query. For indexes that have no text
//! analysis of their own.
//!
//! - [`words`] splits a text.
//! - [`SearchedText`] is the text of a [`View`](crate::View) that is searched.
//! - [`QueryText`] is the text of a query, and computes how well a word matches it.
//! - [`Highlighter`] finds the places in a view that match.

mod highlight;
mod query_text;
mod searched_text;

use std::ops::Range;

pub use query_text::{KNOWN, MOST_WORDS, QueryText};
pub use searched_text::{Highlighter, SearchedText, SearchedValue};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// In lower case and without accents.
    pub text: String,
    /// The bytes of the original text that it was made from.
    pub range: Range<usize>,
}

/// The words of a text, in order: runs of letters and digits, in lower case, without accents, with
/// compatibility characters such as `ﬁ` and `Ｔ` replaced by plain letters.
///
/// In a script without spaces between words, each run of letters is one word.
#[must_use]
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    each_word(text, |word, range| {
        let text = word.to_owned();
        words.push(Word { text, range });
    });
    words
}

/// Calls `each` with every one of the [words] of a text and its range.
fn each_word(text: &str, each: impl FnMut(&str, Range<usize>)) {
    let mut splitting = Splitting {
        word: String::new(),
        range: 0..0,
        each,
    };
    for (at, original) in text.char_indices() {
        let range = at..at + original.len_utf8();
        if original.is_ascii() {
            // Most characters are ASCII, and need no normalization.
            match original.is_ascii_alphanumeric() {
                true => splitting.letter(original.to_ascii_lowercase(), range),
                false => splitting.end(),
            }
            continue;
        }
        let parts = std::iter::once(original).nfkd();
        for c in parts.flat_map(char::to_lowercase) {
            if is_combining_mark(c) {
                splitting.mark(range.end);
            } else if c.is_alphanumeric() {
                splitting.letter(c, range.clone());
            } else {
                splitting.end();
            }
        }
    }
    splitting.end();
}

/// The current word, and what receives it when it ends.
struct Splitting<E> {
    word: String,
    range: Range<usize>,
    each: E,
}

impl<E: FnMut(&str, Range<usize>)> Splitting<E> {
    fn letter(&mut self, c: char, range: Range<usize>) {
        if self.word.is_empty() {
            self.range.start = range.start;
        }
        self.range.end = range.end;
        self.word.push(c);
    }

    /// A combining mark belongs to the letter before it.
    fn mark(&mut self, end: usize) {
        if !self.word.is_empty() {
            self.range.end = end;
        }
    }

    fn end(&mut self) {
        if !self.word.is_empty() {
            (self.each)(&self.word, self.range.clone());
            self.word.clear();
        }
    }
}

/// A text in the form in which identifiers are compared: trimmed, in lower case, without accents.
#[must_use]
pub fn fold(text: &str) -> String {
    let folded = text.trim().nfkd().flat_map(char::to_lowercase);
    folded.filter(|c| !is_combining_mark(*c)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_folded_and_keep_their_ranges() {
        assert_eq!(texts("Crème BRÛLÉE, №5"), ["creme", "brulee", "no5"]);
        assert_eq!(texts("ﬁne-Ｔee ½"), ["fine", "tee", "1", "2"]);
        assert_eq!(texts("Cre\u{301}me"), ["creme"]);
        assert_eq!(texts("İstanbul"), ["istanbul"]);
        assert_eq!(texts("“AND” *:\u{0}\u{301} 🎉"), ["and"]);
        assert!(texts("").is_empty());
        let text = "a Cre\u{301}me";
        assert_eq!(&text[words(text)[1].range.clone()], "Cre\u{301}me");
        assert_eq!(fold(" TÉE-m "), "tee-m");
    }

    proptest! {
        #[test]
        fn ranges_are_ordered_and_on_character_boundaries(text in any::<String>()) {
            let mut end = 0;
            for word in words(&text) {
                prop_assert!(!word.text.is_empty());
                prop_assert!(text.get(word.range.clone()).is_some_and(|part| !part.is_empty()));
                // One character may become several words, which then have the same range.
                prop_assert!(word.range.end >= end);
                end = word.range.end;
            }
        }

        #[test]
        fn folding_a_word_twice_changes_nothing(text in any::<String>()) {
            for word in texts(&text) {
                prop_assert_eq!(texts(&word), [word]);
            }
        }
    }
}
