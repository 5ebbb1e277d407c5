//! Which terms of a segment match the words of a query, and how well.

use std::collections::{BTreeMap, BTreeSet};

use stockade_search_sync::SearchError;
use stockade_search_sync::analysis::{KNOWN, QueryText};
use tantivy::postings::TermInfo;
use tantivy::query::DfaWrapper;
use tantivy::query::FuzzyTermQuery;
use tantivy::schema::Term;
use tantivy::termdict::TermDictionary;
use tantivy::{DocSet, Searcher, TERMINATED};

use crate::error::failed;
use crate::schema::Fields;
use crate::snapshot::{Segment, Weight, Words};

/// The most terms of a field that match an unfinished word: the most frequent ones.
const MOST_BEGINNINGS: usize = 500;
/// The most of these terms that are read.
const MOST_LOOKED_AT: usize = 5_000;
/// The most terms of a field that match a word with typos: the closest, then the most frequent.
const MOST_TYPOS: usize = 50;
/// How much more a frequent term counts than a rare one with the same number of typos.
const FREQUENT: f64 = 0.5;
/// How much more an almost completely typed term counts than one of which little is typed.
const NEARLY_FINISHED: f64 = 0.5;

/// A term that matches a word of the query.
pub(super) struct MatchingTerm<'a> {
    pub(super) words: &'a Words,
    /// The weight of its fields.
    pub(super) weight: f64,
    pub(super) info: TermInfo,
    pub(super) quality: f64,
}

/// The terms of a segment that match each word of the query.
pub(super) type Expanded<'a> = Vec<Vec<MatchingTerm<'a>>>;

/// Looks up the words of a query in the dictionaries of segments.
pub(super) struct Lookup<'t> {
    typed: &'t QueryText,
    /// For each word, the automaton that accepts it with typos.
    automata: Vec<Option<DfaWrapper>>,
}

impl<'t> Lookup<'t> {
    pub(super) fn new(fields: &Fields, typed: &'t QueryText) -> Result<Self, SearchError> {
        let automata = typed.texts().enumerate().map(|(at, text)| {
            let typos = u8::try_from(typed.typos(at)).unwrap_or(0);
            if typos == 0 {
                return Ok(None);
            }
            let term = Term::from_field_text(fields.title_words, text);
            let automaton = FuzzyTermQuery::new(term, typos, true).automaton();
            automaton.map(Some).map_err(failed("search"))
        });
        Ok(Self {
            typed,
            automata: automata.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn expand<'a>(&self, segment: &'a Segment) -> Result<Expanded<'a>, SearchError> {
        let words = 0..self.typed.len();
        words.map(|at| self.expand_word(segment, at)).collect()
    }

    fn expand_word<'a>(
        &self,
        segment: &'a Segment,
        at: usize,
    ) -> Result<Vec<MatchingTerm<'a>>, SearchError> {
        let mut all = Vec::new();
        for Weight {
            weight,
            words,
            pairs,
        } in segment.weights.iter()
        {
            let matching = |words, quality, info| MatchingTerm {
                words,
                weight: *weight,
                info,
                quality,
            };
            let found = self.terms(words.terms(), at).map_err(failed("search"))?;
            let found = choose(found).into_iter();
            all.extend(found.map(|(quality, info)| matching(words, quality, info)));
            for pair in self.typed.pairs(at) {
                if let Some(info) = pairs.terms().get(pair).map_err(failed("search"))? {
                    all.push(matching(pairs, self.typed.quality_of_pair(at, pair), info));
                }
            }
        }
        Ok(all)
    }

    /// The terms of a dictionary that match a word, each once.
    fn terms(&self, dictionary: &TermDictionary, at: usize) -> std::io::Result<Vec<Candidate>> {
        let mut found: BTreeMap<Vec<u8>, TermInfo> = BTreeMap::new();
        for spelling in self.typed.spellings(at) {
            if let Some(info) = dictionary.get(spelling)? {
                found.insert(spelling.as_bytes().to_vec(), info);
            }
        }
        for beginning in self.typed.beginnings(at) {
            let mut terms = dictionary.range().ge(beginning).into_stream()?;
            for _ in 0..MOST_LOOKED_AT {
                if !terms.advance() || !terms.key().starts_with(beginning.as_bytes()) {
                    break;
                }
                found.insert(terms.key().to_vec(), terms.value().clone());
            }
        }
        if let Some(automaton) = &self.automata[at] {
            let mut terms = dictionary.search(automaton).into_stream()?;
            while terms.advance() {
                found.insert(terms.key().to_vec(), terms.value().clone());
            }
        }
        let typed = self.typed.texts().nth(at).unwrap_or_default();
        let candidates = found.into_iter().filter_map(|(term, info)| {
            let term = std::str::from_utf8(&term).ok()?;
            let quality = self.typed.quality(at, term);
            (quality > 0.0).then(|| Candidate {
                quality,
                kind: Kind::of(typed, term, self.typed, at),
                share: typed.len() as f64 / term.len().max(typed.len()) as f64,
                info,
            })
        });
        Ok(candidates.collect())
    }
}

/// The positions of the words that enough documents of all segments contain.
pub(super) fn known(segments: &[Segment], typed: &QueryText) -> Result<Vec<usize>, SearchError> {
    let mut known = Vec::new();
    for at in typed.typo_tolerant() {
        if is_known(segments, typed, at)? {
            known.push(at);
        }
    }
    Ok(known)
}

fn is_known(segments: &[Segment], typed: &QueryText, at: usize) -> Result<bool, SearchError> {
    let mut with = BTreeSet::new();
    for (number, segment) in segments.iter().enumerate() {
        let alive = segment.reader.alive_bitset();
        for weight in segment.weights.iter() {
            let words = typed.spellings(at).map(|word| (&weight.words, word));
            let pairs = typed.pairs(at).map(|pair| (&weight.pairs, pair));
            for (words, text) in words.chain(pairs) {
                let Some(term) = words.terms().get(text).map_err(failed("search"))? else {
                    continue;
                };
                if alive.is_none() && term.doc_freq as usize >= KNOWN {
                    return Ok(true);
                }
                let mut postings = words.postings(&term)?;
                while postings.doc() != TERMINATED {
                    if alive.is_none_or(|alive| alive.is_alive(postings.doc())) {
                        with.insert((number, postings.doc()));
                    }
                    if with.len() == KNOWN {
                        return Ok(true);
                    }
                    postings.advance();
                }
            }
        }
    }
    Ok(false)
}

/// A term that matches a word.
struct Candidate {
    quality: f64,
    kind: Kind,
    /// The typed share of the term.
    share: f64,
    info: TermInfo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Spelling,
    Beginning,
    Typo,
}

impl Kind {
    fn of(word: &str, term: &str, typed: &QueryText, at: usize) -> Self {
        if word == term || typed.spellings(at).any(|spelling| spelling == term) {
            Self::Spelling
        } else if typed.beginnings(at).any(|begin| term.starts_with(begin)) {
            Self::Beginning
        } else {
            Self::Typo
        }
    }
}

/// The best terms of each kind. Within a kind, closer and more frequent terms count more. The
/// weaker kind always counts less.
fn choose(mut found: Vec<Candidate>) -> Vec<(f64, TermInfo)> {
    let most = found.iter().map(|candidate| candidate.info.doc_freq).max();
    let most = f64::from(most.unwrap_or(0)).ln_1p().max(f64::MIN_POSITIVE);
    for candidate in &mut found {
        let frequent = f64::from(candidate.info.doc_freq).ln_1p() / most;
        candidate.quality *= match candidate.kind {
            Kind::Spelling => 1.0,
            Kind::Beginning => 1.0 - NEARLY_FINISHED + NEARLY_FINISHED * candidate.share,
            Kind::Typo => 1.0 - FREQUENT + FREQUENT * frequent,
        };
    }
    // The most frequent prefixes are kept, and the best typos.
    found.sort_by(|a, b| {
        let key = |it: &Candidate| match it.kind {
            Kind::Beginning => (1.0, it.info.doc_freq),
            Kind::Spelling | Kind::Typo => (it.quality, it.info.doc_freq),
        };
        let (a, b) = (key(a), key(b));
        b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
    });
    let (mut beginnings, mut typos) = (0, 0);
    found.retain(|candidate| match candidate.kind {
        Kind::Spelling => true,
        Kind::Beginning => {
            beginnings += 1;
            beginnings <= MOST_BEGINNINGS
        }
        Kind::Typo => {
            typos += 1;
            typos <= MOST_TYPOS
        }
    });
    let chosen = found.into_iter();
    chosen.map(|it| (it.quality, it.info)).collect()
}

/// How rare each word is: the fewer documents contain it, the higher. Each matching term counts by
/// its quality.
pub(super) fn rarities(
    expanded: &[Expanded<'_>],
    typed: &QueryText,
    searcher: &Searcher,
) -> Vec<f64> {
    let documents = searcher.num_docs() as f64;
    let rarity = |at: usize| {
        let of_word = expanded.iter().flat_map(|words| &words[at]);
        let with = of_word.map(|term| f64::from(term.info.doc_freq) * term.quality.min(1.0));
        let with = with.sum::<f64>().min(documents);
        (1.0 + (documents - with + 0.5) / (with + 0.5)).ln()
    };
    (0..typed.len()).map(rarity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(quality: f64, kind: Kind, share: f64, doc_freq: u32) -> Candidate {
        let info = TermInfo {
            doc_freq,
            ..TermInfo::default()
        };
        Candidate {
            quality,
            kind,
            share,
            info,
        }
    }

    #[test]
    fn closer_and_more_frequent_terms_count_more_within_their_kind() {
        let chosen = choose(vec![
            candidate(0.025, Kind::Typo, 1.0, 1_000_000),
            candidate(0.05, Kind::Typo, 1.0, 1),
            candidate(0.05, Kind::Typo, 1.0, 1_000),
            candidate(0.5, Kind::Beginning, 0.5, 9),
            candidate(0.5, Kind::Beginning, 0.9, 1),
            candidate(1.0, Kind::Spelling, 1.0, 1),
        ]);
        let mut by_quality: Vec<_> = chosen.iter().map(|(q, info)| (*q, info.doc_freq)).collect();
        by_quality.sort_by(|a, b| b.0.total_cmp(&a.0));
        let frequencies: Vec<_> = by_quality.iter().map(|(_, frequency)| *frequency).collect();
        assert_eq!(frequencies, [1, 1, 9, 1_000, 1, 1_000_000]);
    }

    #[test]
    fn expansions_are_bounded() {
        let many = |kind, quality| (0..10_000).map(move |n| candidate(quality, kind, 0.5, n));
        let found = many(Kind::Beginning, 0.5).chain(many(Kind::Typo, 0.05));
        let chosen = choose(found.collect());
        assert_eq!(chosen.len(), MOST_BEGINNINGS + MOST_TYPOS);
        assert!(chosen.iter().all(|(_, info)| info.doc_freq >= 9_500));
    }
}
