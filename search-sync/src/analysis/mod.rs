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
    each_word(text, |word, range| {
        let text = word.to_owned();
        words.push(Word { text, range });
    });
    words
}

/// The [words] of a text, each with its place.
fn each_word(text: &str, each: impl FnMut(&str, Range<usize>)) {
    let mut splitting = Splitting {
        word: String::new(),
        range: 0..0,
        each,
    };
    for (at, original) in text.char_indices() {
        let place = at..at + original.len_utf8();
        if original.is_ascii() {
            // Most of them are, and need no normalization.
            match original.is_ascii_alphanumeric() {
                true => splitting.letter(original.to_ascii_lowercase(), place),
                false => splitting.end(),
            }
            continue;
        }
        let parts = std::iter::once(original).nfkd();
        for c in parts.flat_map(char::to_lowercase) {
            if is_combining_mark(c) {
                splitting.mark(place.end);
            } else if c.is_alphanumeric() {
                splitting.letter(c, place.clone());
            } else {
                splitting.end();
            }
        }
    }
    splitting.end();
}

/// The word at hand, and who gets it when it ends.
struct Splitting<E> {
    word: String,
    range: Range<usize>,
    each: E,
}

impl<E: FnMut(&str, Range<usize>)> Splitting<E> {
    fn letter(&mut self, c: char, place: Range<usize>) {
        if self.word.is_empty() {
            self.range.start = place.start;
        }
        self.range.end = place.end;
        self.word.push(c);
    }

    /// It belongs to the letter before it.
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
