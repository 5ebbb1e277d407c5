//! The kinds of products that are generated, and their words.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// All kinds. Of each list the first ones are the common ones.
pub(crate) static KINDS: LazyLock<Vec<Kind>> =
    LazyLock::new(|| serde_json::from_str(include_str!("kinds.json")).expect("a test reads it"));

/// A kind of product.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    pub(crate) product_type: String,
    /// Begins its model numbers.
    pub(crate) prefix: String,
    pub(crate) category: Vec<String>,
    pub(crate) brands: Vec<String>,
    pub(crate) nouns: Vec<String>,
    pub(crate) adjectives: Vec<String>,
    pub(crate) sentences: Vec<String>,
    pub(crate) attributes: BTreeMap<String, Values>,
    /// What sets its variants apart.
    pub(crate) options: BTreeMap<String, Vec<String>>,
    /// The least and the most, in whole units of the currency.
    pub(crate) price: (u64, u64),
}

/// What an attribute may be.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Values {
    /// One of these.
    One(Vec<String>),
    /// A list of some of these.
    Some(Vec<String>),
    /// A whole number from the first to the second.
    Number(u32, u32),
    /// True or false.
    Flag,
}
