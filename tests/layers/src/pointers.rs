//! Which traits of a core hold for pointers to what implements them.

use anyhow::Context as _;
use serde_json::Value;

/// The pointers that a wrapper may hold a store, a log or an index by.
const POINTERS: [&str; 3] = ["&", "Arc", "Box"];

/// A subscription is closed by the box that owns it, so only that box is one.
const OWNED: [&str; 1] = ["Subscription"];

/// Each trait of a core that `&T`, `Arc<T>` or `Box<T>` does not implement.
pub(crate) fn check<'a>(
    core: &'a str,
    docs: &'a Value,
) -> anyhow::Result<impl Iterator<Item = String> + 'a> {
    let items = docs["index"].as_object().context("no index")?;
    let traits = items.values().filter(|item| {
        let own = item["crate_id"] == 0 && !OWNED.contains(&name(item));
        own && item["inner"]["trait"]["is_dyn_compatible"] == true
    });
    let traits: Vec<&Value> = traits.collect();
    let missing = move |item: &'a Value| {
        let implemented = item["inner"]["trait"]["implementations"].as_array();
        let implemented: Vec<&str> = implemented
            .into_iter()
            .flatten()
            .filter_map(|id| pointer(&items.get(&id.to_string())?["inner"]["impl"]["for"]))
            .collect();
        let missing = POINTERS.into_iter();
        missing
            .filter(move |pointer| !implemented.contains(pointer))
            .map(move |pointer| {
                let name = name(item);
                format!("{core}: {name} is not forwarded by {pointer}: see auto_impl")
            })
    };
    Ok(traits.into_iter().flat_map(missing))
}

fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

/// Which pointer to anything this type is, if it is one.
fn pointer(of: &Value) -> Option<&'static str> {
    if !of["borrowed_ref"]["type"]["generic"].is_null() {
        return Some("&");
    }
    let path = &of["resolved_path"];
    let inner = &path["args"]["angle_bracketed"]["args"][0]["type"]["generic"];
    let last = path["path"].as_str()?.rsplit("::").next()?;
    let pointer = POINTERS.into_iter().find(|pointer| *pointer == last);
    pointer.filter(|_| !inner.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_that_does_not_implement_a_trait_is_found() {
        let generic = json!({ "generic": "T" });
        let arc = json!({ "resolved_path": { "path": "std::sync::Arc", "id": 3,
            "args": { "angle_bracketed": { "args": [{ "type": generic }] } } } });
        let docs = json!({ "index": {
            "1": { "crate_id": 0, "name": "Store",
                "inner": { "trait": { "is_dyn_compatible": true, "implementations": [2, 4] } } },
            "2": { "inner": { "impl": { "for": { "borrowed_ref": { "type": generic } } } } },
            "4": { "inner": { "impl": { "for": arc } } },
        } });
        let found: Vec<String> = check("a-core", &docs).unwrap().collect();
        assert_eq!(
            found,
            ["a-core: Store is not forwarded by Box: see auto_impl"]
        );
    }
}
