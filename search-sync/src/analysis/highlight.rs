//! Cuts out the part of a text that matches.

use std::ops::Range;

use crate::query::Highlight;

/// The longest fragment, in characters.
const LONGEST: usize = 200;
/// How many of its characters may come before the first match.
const BEFORE: usize = 60;

/// The part of a text around its first match. `matches` are ordered and may overlap.
pub(super) fn highlight(field: &str, text: &str, matches: &[Range<usize>]) -> Highlight {
    let first = matches.first().map_or(0, |range| range.start);
    let window = window(text, first);
    let mut inside: Vec<Range<usize>> = Vec::new();
    for range in matches {
        let start = range.start.max(window.start);
        let end = range.end.min(window.end);
        if start >= end {
            continue;
        }
        let range = start - window.start..end - window.start;
        match inside.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => inside.push(range),
        }
    }
    Highlight::new(field.to_owned(), text[window].to_owned(), inside)
}

/// At most [`LONGEST`] characters, starting with a whole word shortly before `first`.
fn window(text: &str, first: usize) -> Range<usize> {
    if text.chars().count() <= LONGEST {
        return 0..text.len();
    }
    let before = text[..first].char_indices().rev().take(BEFORE);
    let earliest = before.last().map_or(first, |(at, _)| at);
    let start = if earliest == 0 {
        0
    } else {
        let space = text[earliest..first].find(char::is_whitespace);
        let word = |at: usize| text[earliest + at..first].trim_start().len();
        space.map_or(earliest, |at| first - word(at))
    };
    let end = text[start..].char_indices().nth(LONGEST);
    start..end.map_or(text.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::analysis::words;

    #[test]
    fn a_long_text_is_cut_around_its_first_match() {
        let text = format!(
            "{}the éclair is {}",
            "word ".repeat(100),
            "more ".repeat(100)
        );
        let at = text.find("éclair").unwrap();
        let range = at..at + "éclair".len();
        let highlight = highlight("title", &text, std::slice::from_ref(&range));
        assert!(highlight.fragment.starts_with("word "));
        assert_eq!(highlight.fragment.chars().count(), LONGEST);
        let [range] = &highlight.matches[..] else {
            panic!("one match expected");
        };
        assert_eq!(&highlight.fragment[range.clone()], "éclair");
    }

    proptest! {
        #[test]
        fn matches_are_ordered_and_on_character_boundaries(text in ".{0,600}", skip in 0..20usize) {
            let ranges = words(&text).into_iter().skip(skip).map(|word| word.range);
            let ranges: Vec<_> = ranges.collect();
            let highlight = highlight("f", &text, &ranges);
            prop_assert!(highlight.fragment.chars().count() <= LONGEST);
            prop_assert!(text.contains(&highlight.fragment));
            prop_assert_eq!(ranges.is_empty(), highlight.matches.is_empty());
            let mut end = 0;
            for range in highlight.matches {
                prop_assert!(range.start >= end && range.start < range.end);
                prop_assert!(highlight.fragment.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
