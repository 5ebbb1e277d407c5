//! Names of database objects.

use std::fmt;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::error::PostgresError;

/// The name of a Postgres schema: lower-case letters, digits and underscores, at most 48.
///
/// Such a name needs no quotes, and is short enough for names that are derived from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schema(String);

impl Schema {
    /// Checks a name.
    ///
    /// # Errors
    /// [`PostgresError::Invalid`] for any other name, and for names that Postgres reserves.
    pub fn new(name: impl Into<String>) -> Result<Self, PostgresError> {
        checked("schema", name.into()).map(Self)
    }

    /// A constant name that follows the rule.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A statement over the tables of this schema: `{schema}` is replaced by its name.
    pub(crate) fn sql(&self, template: &str) -> SqlStr {
        let sql = template.replace("{schema}", &format!("\"{}\"", self.0));
        // Shared, so that running it again copies nothing.
        AssertSqlSafe(std::sync::Arc::<str>::from(sql)).into_sql_str()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a replication slot or a publication; the same names as for a [`Schema`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CaptureName(String);

impl CaptureName {
    /// Checks a name; `field` says what it names.
    pub(crate) fn new(field: &'static str, name: impl Into<String>) -> Result<Self, PostgresError> {
        checked(field, name.into()).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CaptureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(field: &'static str, name: String) -> Result<String, PostgresError> {
    let letters = |c: char| c.is_ascii_lowercase() || c == '_';
    let valid = name.len() <= 48
        && name.starts_with(letters)
        && name.chars().all(|c| letters(c) || c.is_ascii_digit())
        && !name.starts_with("pg_");
    if valid {
        return Ok(name);
    }
    Err(PostgresError::Invalid {
        field,
        reason: "it has to be 1 to 48 of a-z, 0-9 and _, not starting with a digit or pg_".into(),
        value: stockade_change_feed::shorten(&name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_needs_no_quotes() {
        for name in ["inventory", "_x", "shop_2"] {
            assert!(Schema::new(name).is_ok(), "{name}");
        }
        let long = "x".repeat(49);
        for name in [
            "", "2x", "Shop", "a b", "a\"b", "a;b", "pg_toast", "é", &long,
        ] {
            assert!(Schema::new(name).is_err(), "{name}");
        }
    }
}
