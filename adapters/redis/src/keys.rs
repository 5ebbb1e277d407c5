//! The names of keys, and where a cluster keeps them.

use std::fmt;

use fred::types::Key;
use fred::util::redis_keyslot;

use crate::error::RedisError;

/// The slots of a cluster.
const SLOTS: usize = 16_384;
/// The longest prefix, in bytes.
const LONGEST: usize = 64;

/// What all keys of a cache or of timers begin with: nothing, unless something else is in the same
/// Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// Checks a prefix, such as `shop:`.
    ///
    /// # Errors
    /// [`RedisError::Invalid`] where it is longer than 64 bytes, or has a brace, white space or a
    /// control character.
    pub fn new(prefix: impl Into<String>) -> Result<Self, RedisError> {
        let prefix = prefix.into();
        let wrong = |c: char| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control();
        if prefix.len() <= LONGEST && !prefix.chars().any(wrong) {
            return Ok(Self(prefix));
        }
        Err(RedisError::Invalid {
            field: "prefix",
            value: prefix.chars().take(2 * LONGEST).collect(),
            reason: format!("it has at most {LONGEST} bytes, without braces and white space"),
        })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Keys that share what is stored between them, spread evenly over the slots of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    keys: Vec<Key>,
}

impl Spread {
    /// So many keys of that name.
    pub(crate) fn new(name: &str, count: usize) -> Self {
        let key = |number| {
            let share = number * SLOTS / count..(number + 1) * SLOTS / count;
            // Every client finds the same.
            let tags = (0..).map(|n| format!("{number}/{count}:{n}"));
            let tag = tags.into_iter().find(|tag| share.contains(&slot(tag)));
            Key::from(format!("{name}:{{{}}}", tag.unwrap_or_default()))
        };
        Self {
            keys: (0..count).map(key).collect(),
        }
    }

    /// Which of the keys has what is known by that text.
    pub(crate) fn number(&self, text: &str) -> usize {
        slot(text) * self.keys.len() / SLOTS
    }

    pub(crate) fn key(&self, number: usize) -> &Key {
        &self.keys[number]
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn slot(text: &str) -> usize {
    usize::from(redis_keyslot(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_evenly_over_the_slots() {
        for count in [1, 2, 3, 7, 32, 100] {
            let spread = Spread::new("shop:stock", count);
            for number in 0..count {
                let key = spread.key(number);
                let slot = usize::from(key.cluster_hash());
                let share = number * SLOTS / count..(number + 1) * SLOTS / count;
                assert!(
                    share.contains(&slot),
                    "{key:?} is in slot {slot}, not in {share:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_stored_is_spread_evenly_over_the_keys() {
        let spread = Spread::new("stock", 8);
        let mut found = [0; 8];
        for number in 0..8_000 {
            found[spread.number(&format!("sku-{number}"))] += 1;
        }
        assert!(
            found.iter().all(|found| (800..1_200).contains(found)),
            "{found:?}"
        );
    }

    #[test]
    fn a_prefix_does_not_move_keys_to_one_slot() {
        assert!(Prefix::new("").is_ok() && Prefix::new("shop:").is_ok());
        for wrong in ["{shop}", "a b", "a\n", &"x".repeat(65)] {
            let error = Prefix::new(wrong).unwrap_err();
            assert!(matches!(error, RedisError::Invalid { .. }), "{error}");
        }
    }
}
