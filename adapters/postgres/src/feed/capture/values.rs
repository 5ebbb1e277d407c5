//! Values as Debezium renders them.
//!
//! | Postgres | in the envelope |
//! |---|---|
//! | `bool` | true or false |
//! | `smallint`, `integer`, `bigint`, `oid`, `real`, `double precision` | a number |
//! | `numeric` | a string, as with `decimal.handling.mode=string` |
//! | `date` | days since 1970 |
//! | `timestamp` | microseconds since 1970, or milliseconds of `timestamp(0)` to `timestamp(3)` |
//! | `timestamptz` | text in UTC, `2026-01-31T12:00:00.5Z` |
//! | `json`, `jsonb` | a string that holds JSON |
//! | everything else, domains too | a string, as Postgres prints it |
//!
//! A value without such a form, such as `NaN` or `infinity`, is also a string.

use serde_json::Value;
use stockade_change_feed::debezium::UNAVAILABLE;

use super::pgoutput::{Cell, Column};

pub(super) fn render(column: &Column, cell: Cell) -> Value {
    let text = match cell {
        Cell::Null => return Value::Null,
        Cell::Unchanged => return Value::from(UNAVAILABLE),
        Cell::Text(text) => text,
    };
    let rendered = match column.type_oid {
        16 => Some(Value::Bool(text == "t")),
        20 | 21 | 23 | 26 => text.parse::<i64>().ok().map(Value::from),
        700 => text.parse::<f32>().ok().and_then(|_| number(&text)),
        701 => number(&text),
        1082 => date(&text).map(Value::from),
        1114 => timestamp(&text).map(|micros| match column.type_modifier {
            0..=3 => Value::from(micros.div_euclid(1_000)),
            _ => Value::from(micros),
        }),
        1184 => zoned(&text),
        _ => None,
    };
    rendered.unwrap_or(Value::String(text))
}

fn number(text: &str) -> Option<Value> {
    let number = text.parse::<f64>().ok()?;
    serde_json::Number::from_f64(number).map(Value::Number)
}

/// Days from 1970 to a date such as `2026-01-31`.
fn date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next()?.parse().ok()?;
    let day: i64 = parts.next()?.parse().ok()?;
    if parts.next().is_some() {
        return None;
    }
    // Years that begin in March have the leap day at their end.
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    const TO_1970: i64 = 719_468;
    Some(days + (153 * month + 2) / 5 + day - 1 - TO_1970)
}

/// Microseconds from 1970 to a time such as `2026-01-31 12:00:00.5`.
fn timestamp(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(' ')?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = whole.split(':').map(str::parse::<i64>);
    let mut part = || parts.next()?.ok();
    let seconds = (part()? * 60 + part()?) * 60 + part()?;
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some((date(day)? * 86_400 + seconds) * 1_000_000 + fraction)
}

/// Text in UTC, of a time such as `2026-01-31 12:00:00.5+00`.
fn zoned(text: &str) -> Option<Value> {
    let utc = text.strip_suffix("+00")?;
    timestamp(utc)?;
    Some(Value::from(format!("{}Z", utc.replacen(' ', "T", 1))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(type_oid: u32, type_modifier: i32, text: &str) -> Value {
        let column = Column {
            name: "c".to_owned(),
            in_key: false,
            type_oid,
            type_modifier,
        };
        render(&column, Cell::Text(text.to_owned()))
    }

    #[test]
    fn values_are_those_of_debezium() {
        for (oid, modifier, text, expected) in [
            (16, -1, "t", json!(true)),
            (16, -1, "f", json!(false)),
            (20, -1, "-9223372036854775808", json!(i64::MIN)),
            (701, -1, "0.1", json!(0.1)),
            (701, -1, "NaN", json!("NaN")),
            (1700, -1, "1.10", json!("1.10")),
            (25, -1, "12", json!("12")),
            (3802, -1, "{\"a\": 1}", json!("{\"a\": 1}")),
            (1082, -1, "1970-01-01", json!(0)),
            (1082, -1, "2000-02-29", json!(11_016)),
            (1082, -1, "1969-12-31", json!(-1)),
            (1082, -1, "infinity", json!("infinity")),
            (1114, -1, "1970-01-01 00:00:01.5", json!(1_500_000)),
            (1114, 3, "1970-01-01 00:00:01.5", json!(1_500)),
            (1114, -1, "1969-12-31 23:59:59", json!(-1_000_000)),
            (
                1184,
                -1,
                "2026-01-31 12:00:00.5+00",
                json!("2026-01-31T12:00:00.5Z"),
            ),
            (1184, -1, "infinity", json!("infinity")),
        ] {
            assert_eq!(rendered(oid, modifier, text), expected, "{oid}: {text}");
        }
    }
}
