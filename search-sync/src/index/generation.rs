//! Generations: the complete copies of the documents that an index holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::SearchError;

/// The name of one complete copy of the documents. An index may hold several. A name has 1 to 64
/// of the characters `a-z 0-9 - _` and begins with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Generation(String);

impl Generation {
    /// Checks a name.
    ///
    /// # Errors
    /// [`SearchError::Invalid`].
    pub fn new(name: impl Into<String>) -> Result<Self, SearchError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let begins = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        if !begins || name.len() > 64 || !name.chars().all(allowed) {
            let reason = "it has 1 to 64 of the characters a-z 0-9 - _ and begins with a letter";
            return Err(SearchError::invalid("generation", name, reason));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Generation {
    type Error = SearchError;

    fn try_from(name: String) -> Result<Self, SearchError> {
        Self::new(name)
    }
}

impl From<Generation> for String {
    fn from(generation: Generation) -> Self {
        generation.0
    }
}

/// Whether a generation is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// Queries read it.
    Active,
    /// It is being filled, or it is kept so that an operator can go back to it.
    Standby,
}
