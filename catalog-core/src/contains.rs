//! Which products match a query: containment of JSON, as with Postgres' `@>` on JSONB.

use serde_json::{Number, Value};

use crate::product::ProductContent;
use crate::store::ProductQuery;

impl ProductQuery {
    /// Whether a product has the type and contains the attributes of the query. The store handles
    /// `after` and `limit`.
    #[must_use]
    pub fn matches(&self, content: &ProductContent) -> bool {
        self.product_type
            .as_ref()
            .is_none_or(|wanted| *wanted == content.product_type)
            && self.attributes.iter().all(|(name, wanted)| {
                content
                    .attributes
                    .get(name)
                    .is_some_and(|value| contains(value, wanted))
            })
    }
}

/// Whether `value` contains `wanted`: an object by the members in `wanted`, an array by the
/// elements in `wanted` in any order and number, everything else by equality.
///
/// Postgres makes an exception for a scalar in a top-level array. It does not apply here:
/// attributes are objects, and the exception is only for the top level.
fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| value.get(name).is_some_and(|value| contains(value, wanted))),
        (Value::Array(values), Value::Array(wanted)) => wanted
            .iter()
            .all(|wanted| values.iter().any(|value| contains(value, wanted))),
        (Value::Number(value), Value::Number(wanted)) => equal(value, wanted),
        (value, wanted) => value == wanted,
    }
}

/// Numbers are compared by value: 1 equals 1.0.
fn equal(a: &Number, b: &Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of Postgres' manual, "jsonb Containment and Existence", except the top-level
    /// array that contains a scalar.
    #[test]
    fn the_examples_of_postgres_hold() {
        for (value, wanted, expected) in [
            (json!("foo"), json!("foo"), true),
            (json!([1, 2, 3]), json!([1, 3]), true),
            (json!([1, 2, 3]), json!([3, 1]), true),
            (json!([1, 2, 3]), json!([1, 2, 2]), true),
            (
                json!({"product": "PostgreSQL", "version": 9.4, "jsonb": true}),
                json!({"version": 9.4}),
                true,
            ),
            (json!([1, 2, [1, 3]]), json!([1, 3]), false),
            (json!([1, 2, [1, 3]]), json!([[1, 3]]), true),
            (json!({"foo": {"bar": "baz"}}), json!({"bar": "baz"}), false),
            (json!({"foo": {"bar": "baz"}}), json!({"foo": {}}), true),
            (json!("bar"), json!(["bar"]), false),
            (json!({"a": ["b"]}), json!({"a": "b"}), false),
            (json!({"a": 1}), json!({"a": 1.0}), true),
            (json!({"a": null}), json!({"a": null}), true),
            (json!({}), json!({"a": null}), false),
            (json!({"a": []}), json!({"a": {}}), false),
        ] {
            assert_eq!(contains(&value, &wanted), expected, "{value} @> {wanted}");
        }
    }
}
