//! Which terms of a segment match the words of a query, and how well.

use std::collections::{BTreeMap, BTreeSet};

use stockade_search_sync::SearchError;
use stockade_search_sync::analysis::{KNOWN, Typed};
use tantivy::postings::TermInfo;
use tantivy::query::DfaWrapper;
use tantivy::query::FuzzyTermQuery;
use tantivy::schema::{Field, IndexRecordOption, Term};
use tantivy::termdict::TermDictionary;
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED};

use crate::error::failed;
use crate::schema::Fields;

/// Most terms of a field that an unfinished word stands for: the most frequent ones.
const MOST_BEGINNINGS: usize = 500;
/// So many of them are looked at.
const MOST_LOOKED_AT: usize = 5_000;
/// Most terms of a field that a word with typos stands for: the closest, then the most frequent.
const MOST_TYPOS: usize = 50;
/// Of two terms with as many typos the one that is everywhere counts up to so much more.
const FREQUENT: f64 = 0.5;
/// A finished word that somebody typed counts more the less of it is missing, up to so much.
const NEARLY_FINISHED: f64 = 0.5;

/// A term that stands for a word of the query.
pub(super) struct Standing {
    pub(super) field: Field,
    /// Which of the fields' weights.
    pub(super) weight: f64,
    pub(super) info: TermInfo,
    pub(super) quality: f64,
}

/// By word of the query, what stands for it in a segment.
pub(super) type Expanded = Vec<Vec<Standing>>;

/// Looks words up in the dictionaries of segments.
pub(super) struct Lookup<'a> {
    fields: &'a Fields,
    typed: &'a Typed,
    /// By word, what accepts it with its typos.
    automata: Vec<Option<DfaWrapper>>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(fields: &'a Fields, typed: &'a Typed) -> Result<Self, SearchError> {
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
            fields,
            typed,
            automata: automata.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn expand(&self, segment: &SegmentReader) -> Result<Expanded, SearchError> {
        let words = 0..self.typed.len();
        words.map(|at| self.expand_word(segment, at)).collect()
    }

    fn expand_word(
        &self,
        segment: &SegmentReader,
        at: usize,
    ) -> Result<Vec<Standing>, SearchError> {
        let mut all = Vec::new();
        for weighted in &self.fields.weights {
            let inverted = segment.inverted_index(weighted.words);
            let inverted = inverted.map_err(failed("search"))?;
            let found = self.terms(inverted.terms(), at).map_err(failed("search"))?;
            all.extend(choose(found).into_iter().map(|(quality, info)| Standing {
                field: weighted.words,
                weight: weighted.weight,
                info,
                quality,
            }));
            let inverted = segment.inverted_index(weighted.pairs);
            let inverted = inverted.map_err(failed("search"))?;
            for pair in self.typed.pairs(at) {
                if let Some(info) = inverted.terms().get(pair).map_err(failed("search"))? {
                    all.push(Standing {
                        field: weighted.pairs,
                        weight: weighted.weight,
                        info,
                        quality: self.typed.quality_of_pair(at, pair),
                    });
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

/// The places of words that enough documents have, over all segments.
pub(super) fn known(
    fields: &Fields,
    searcher: &Searcher,
    typed: &Typed,
) -> Result<Vec<usize>, SearchError> {
    let mut known = Vec::new();
    for at in typed.forgiving() {
        if is_known(fields, searcher, typed, at)? {
            known.push(at);
        }
    }
    Ok(known)
}

fn is_known(
    fields: &Fields,
    searcher: &Searcher,
    typed: &Typed,
    at: usize,
) -> Result<bool, SearchError> {
    let mut with = BTreeSet::new();
    for (number, segment) in searcher.segment_readers().iter().enumerate() {
        let alive = segment.alive_bitset();
        for weighted in &fields.weights {
            let words = typed.spellings(at).map(|word| (weighted.words, word));
            let pairs = typed.pairs(at).map(|pair| (weighted.pairs, pair));
            for (field, text) in words.chain(pairs) {
                let inverted = segment.inverted_index(field).map_err(failed("search"))?;
                let term = Term::from_field_text(field, text);
                let postings = inverted.read_postings(&term, IndexRecordOption::Basic);
                let Some(mut postings) = postings.map_err(failed("search"))? else {
                    continue;
                };
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
    /// How much of the term was typed.
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
    fn of(word: &str, term: &str, typed: &Typed, at: usize) -> Self {
        if word == term || typed.spellings(at).any(|spelling| spelling == term) {
            Self::Spelling
        } else if typed.beginnings(at).any(|begin| term.starts_with(begin)) {
            Self::Beginning
        } else {
            Self::Typo
        }
    }
}

/// The best of each kind, and within a kind what is closer and more frequent counts more. No kind
/// weighs up a better one.
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
    // Of beginnings the most frequent are kept, of typos the best.
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

/// How rare each word is: the fewer documents have it, the higher. What stands for it counts by how
/// well it does.
pub(super) fn rarities(expanded: &[Expanded], typed: &Typed, searcher: &Searcher) -> Vec<f64> {
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
    fn what_is_close_and_frequent_counts_more_and_no_kind_weighs_up_another() {
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
