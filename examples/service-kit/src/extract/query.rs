//! Parameters of the query string.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use stockade_change_feed::shorten;

use crate::problem::Problem;

/// The parameters of the query string, in their order. An empty value counts as absent.
///
/// ```
/// use service_kit::{Problem, Query};
///
/// async fn list(query: Query) -> Result<String, Problem> {
///     let query = query.only(&["after", "limit"], &["tag"])?;
///     let limit = query.number_within("limit", 1..=100)?.unwrap_or(24);
///     Ok(format!("{limit} after {:?}", query.get("after")))
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    /// Reads a query string: what follows `?` in a URL.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Refuses parameters with other names, and repeated parameters of `once`.
    ///
    /// # Errors
    /// Status 400, with the name.
    pub fn only(self, once: &[&str], repeated: &[&str]) -> Result<Self, Problem> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if repeated.contains(&name.as_str()) {
                continue;
            }
            if !once.contains(&name.as_str()) {
                let known = [once, repeated].concat().join(", ");
                let reason = format!("the parameter is unknown; allowed are {known}");
                return Err(Problem::invalid(shorten(name), reason));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::invalid(name, "the parameter must not be repeated"));
            }
        }
        Ok(self)
    }

    /// All values of a parameter, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of a parameter, if it is not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last().filter(|value| !value.is_empty())
    }

    /// The value of a parameter as a number.
    ///
    /// # Errors
    /// Status 400 if it is not a whole number, or does not fit into `T`.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let parse = |value: &str| {
            value.parse().map_err(|_| {
                let reason = format!("it must be a whole number; got {:?}", shorten(value));
                Problem::invalid(name, reason)
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// The value of a parameter as a number within a range.
    ///
    /// # Errors
    /// Status 400 if it is not a whole number, or outside the range.
    pub fn number_within<T>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, Problem>
    where
        T: FromStr + PartialOrd + Display,
    {
        let number = self.number(name)?;
        match number {
            Some(number) if !range.contains(&number) => {
                let (least, most) = (range.start(), range.end());
                let reason = format!("it must be {least} to {most}; got {number}");
                Err(Problem::invalid(name, reason))
            }
            number => Ok(number),
        }
    }
}
