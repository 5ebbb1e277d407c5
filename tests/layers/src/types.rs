//! Which foreign types the public API of a core names.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::Value;

/// Crates whose types and traits every core may show. `serde` is the traits of what is stored;
/// `async_trait` leaves types of `std` behind.
const FOREIGN: [&str; 7] = [
    "std",
    "core",
    "alloc",
    "bytes",
    "serde",
    "serde_core",
    "serde_json",
];

/// What of a core's public API names a type of another crate.
pub(crate) fn check(
    core: &str,
    below: &[&str],
    docs: &Value,
) -> anyhow::Result<impl Iterator<Item = String>> {
    let ours = below.iter().map(|name| name.replace('-', "_"));
    let allowed = FOREIGN.map(str::to_owned).into_iter().chain(ours).collect();
    let found = foreign(docs, &allowed)?.into_iter();
    Ok(found.map(move |(name, item)| format!("{core}: {item} names {name}")))
}

/// Each path of a crate that is not allowed, and the item whose signature names it.
fn foreign(docs: &Value, allowed: &BTreeSet<String>) -> anyhow::Result<BTreeSet<(String, String)>> {
    let items = docs["index"].as_object().context("no index")?;
    // Blanket and automatic implementations come from elsewhere, with their methods.
    let is_foreign = |implementation: &Value| {
        implementation["is_synthetic"] == true || !implementation["blanket_impl"].is_null()
    };
    let mut skipped = BTreeSet::new();
    for (id, item) in items {
        let implementation = &item["inner"]["impl"];
        if !implementation.is_null() && is_foreign(implementation) {
            let methods = implementation["items"].as_array().into_iter().flatten();
            skipped.insert(id.clone());
            skipped.extend(methods.map(ToString::to_string));
        }
    }
    let mut found = BTreeSet::new();
    for (_, item) in items.iter().filter(|(id, _)| !skipped.contains(*id)) {
        let mut ids = BTreeSet::new();
        resolved(&item["inner"], &mut ids);
        for id in ids {
            let path = &docs["paths"][id.to_string()];
            let crate_id = path["crate_id"].as_u64().unwrap_or_default();
            let of = docs["external_crates"][crate_id.to_string()]["name"].as_str();
            if let Some(of) = of.filter(|of| !allowed.contains(*of)) {
                let names = path["path"].as_array().into_iter().flatten();
                let names: Vec<&str> = names.filter_map(Value::as_str).collect();
                let named = if names.is_empty() {
                    of.to_owned()
                } else {
                    names.join("::")
                };
                let item = item["name"].as_str().unwrap_or("an implementation");
                found.insert((named, item.to_owned()));
            }
        }
    }
    Ok(found)
}

/// The ids of all types and traits below a value that stand for a path.
fn resolved(value: &Value, ids: &mut BTreeSet<u64>) {
    match value {
        Value::Object(members) => {
            // A path is an object with its text, its id and its arguments.
            if members.contains_key("path") && members.contains_key("args") {
                ids.extend(members.get("id").and_then(Value::as_u64));
            }
            members.values().for_each(|member| resolved(member, ids));
        }
        Value::Array(values) => values.iter().for_each(|value| resolved(value, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_foreign_type_in_a_signature_is_found() {
        let path = |id| json!({ "resolved_path": { "path": "T", "id": id, "args": null } });
        let function = json!({ "name": "connect", "inner": { "function": {
            "sig": { "inputs": [["pool", path(7)]], "output": path(8) } } } });
        let docs = json!({
            "index": { "1": function },
            "paths": {
                "7": { "crate_id": 20, "path": ["sqlx", "PgPool"] },
                "8": { "crate_id": 1, "path": ["std", "vec", "Vec"] },
            },
            "external_crates": { "1": { "name": "std" }, "20": { "name": "sqlx" } },
        });
        let allowed = BTreeSet::from(["std".to_owned()]);
        let found = foreign(&docs, &allowed).unwrap();
        let expected = [("sqlx::PgPool".to_owned(), "connect".to_owned())];
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    }
}
