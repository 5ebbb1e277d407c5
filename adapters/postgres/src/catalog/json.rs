//! Numbers as JSONB stores them.

use serde_json::{Number, Value};
use stockade_catalog_core::{Attributes, ProductContent};

/// The content as it is read back from JSONB.
///
/// JSONB keeps a number's value and its decimal places, not its notation: 1.0 stays 1.0, but 1e16
/// comes back as the integer 10000000000000000. So a large float with the value of a 64-bit integer
/// is converted to that integer before anything is compared or written. Its value stays the same.
pub(super) fn as_stored(content: &ProductContent) -> ProductContent {
    let mut content = content.clone();
    settle_all(&mut content.attributes);
    for variant in &mut content.variants {
        settle_all(&mut variant.attributes);
    }
    content
}

fn settle_all(attributes: &mut Attributes) {
    attributes.values_mut().for_each(settle);
}

fn settle(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(integer) = as_integer(number) {
                *number = integer;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(members) => settle_all(members),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The integer that is read back for a float that is written with an exponent.
fn as_integer(number: &Number) -> Option<Number> {
    if !number.is_f64() {
        return None;
    }
    let text = number.to_string();
    let exponent = text.contains('e') && !text.contains("e-");
    let float = number.as_f64().filter(|_| exponent)?;
    // Exact: from 2^53 on every float is an integer.
    let text = format!("{float:.0}");
    let negative = text.parse::<i64>().ok().map(Number::from);
    negative.or_else(|| text.parse::<u64>().ok().map(Number::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_floats_that_jsonb_reads_back_as_integers_change() {
        let value = |mut value: Value| {
            settle(&mut value);
            value
        };
        for same in [
            json!(1),
            json!(1.0),
            json!(0.1),
            json!(1e-7),
            json!(1e15),
            json!(1e300),
            json!("1e16"),
        ] {
            assert_eq!(value(same.clone()), same);
        }
        for (float, integer) in [
            (json!(1e16), json!(10_000_000_000_000_000_i64)),
            (json!(-1e16), json!(-10_000_000_000_000_000_i64)),
            (json!(1e19), json!(10_000_000_000_000_000_000_u64)),
        ] {
            assert_eq!(value(json!({"a": [float]})), json!({"a": [integer]}));
        }
        assert_eq!(value(json!(1e20)), json!(1e20), "beyond 64 bits");
    }
}
