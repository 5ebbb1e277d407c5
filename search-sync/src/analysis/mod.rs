//! Text as words, and which words match what somebody typed: for indexes that bring no analysis of
//! their own.

mod highlight;
mod searched;
mod typed;

use std::ops::Range;

pub use searched::{Highlighter, Searched, Text};
pub use typed::{KNOWN, MOST_WORDS, Typed};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// In lower case and without accents.
    pub text: String,
    /// The bytes of the original text that it was made of.
    pub range: Range<usize>,
}

/// The words of a text, in order: runs of letters and digits in lower case, without accents,
/// compatibility forms such as `ﬁ` and `Ｔ` written out.
///
/// A script without spaces between words gives one word for each run.
#[must_use]
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut range = 0..0;
    for (at, original) in text.char_indices() {
        let end = at + original.len_utf8();
        let mut add = |c: char| {
            if is_combining_mark(c) {
                // It belongs to the letter before it.
                if !word.is_empty() {
                    range.end = end;
                }
            } else if c.is_alphanumeric() {
                if word.is_empty() {
                    range.start = at;
                }
                range.end = end;
                word.push(c);
            } else if !word.is_empty() {
                let text = std::mem::take(&mut word);
                let range = range.clone();
                words.push(Word { text, range });
            }
        };
        if original.is_ascii() {
            // Most of them are, and need no normalization.
            add(original.to_ascii_lowercase());
        } else {
            let parts = std::iter::once(original).nfkd();
            parts.flat_map(char::to_lowercase).for_each(add);
        }
    }
    if !word.is_empty() {
        words.push(Word { text: word, range });
    }
    words
}

/// A text as it is compared with identifiers: without white space at its ends, in lower case,
/// without accents.
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
    fn words_are_folded_and_keep_their_place() {
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
        fn places_rise_and_lie_on_character_boundaries(text in any::<String>()) {
            let mut end = 0;
            for word in words(&text) {
                prop_assert!(!word.text.is_empty());
                prop_assert!(text.get(word.range.clone()).is_some_and(|part| !part.is_empty()));
                // One character may be several words, which then share its place.
                prop_assert!(word.range.end >= end);
                end = word.range.end;
            }
        }

        #[test]
        fn a_folded_word_is_its_own_word(text in any::<String>()) {
            for word in texts(&text) {
                prop_assert_eq!(texts(&word), [word]);
            }
        }
    }
}
