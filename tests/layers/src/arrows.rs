//! Which crate depends on which.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Each core, and which of our crates it may depend on, the nearest to the bottom first. The same
/// list is in `docs/architecture.md`.
pub(crate) const CORES: [(&str, &[&str]); 4] = [
    ("stockade-change-feed", &[]),
    ("stockade-inventory-core", &["stockade-change-feed"]),
    (
        "stockade-catalog-core",
        &["stockade-change-feed", "stockade-inventory-core"],
    ),
    (
        "stockade-search-sync",
        &["stockade-change-feed", "stockade-inventory-core"],
    ),
];

/// What of our packages depends on what it should not.
pub(crate) fn check() -> anyhow::Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--format-version", "1"])
        .output()
        .context("cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    Ok(packages.iter().flat_map(problems_of).collect())
}

fn problems_of(package: &Value) -> Vec<String> {
    let name = text(&package["name"]);
    let manifest = text(&package["manifest_path"]);
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    let ours = dependencies
        // Tests may use whatever they like.
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .map(|dependency| text(&dependency["name"]))
        .filter(|dependency| dependency.starts_with("stockade-"));
    ours.filter(|dependency| !may_depend(name, manifest, dependency))
        .map(|dependency| format!("{name} must not depend on {dependency}"))
        .collect()
}

fn may_depend(name: &str, manifest: &str, dependency: &str) -> bool {
    let is_core = |name: &str| CORES.iter().any(|(core, _)| *core == name);
    if let Some((_, allowed)) = CORES.iter().find(|(core, _)| *core == name) {
        return allowed.contains(&dependency);
    }
    let in_folder = |folder: &str| manifest.contains(&format!("/{folder}/"));
    if in_folder("adapters") || name == "stockade-testkit" {
        return is_core(dependency);
    }
    // Examples, benchmarks and trials wire everything together.
    true
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::may_depend;

    #[test]
    fn arrows_point_downwards() {
        let core = |name: &str| format!("/x/{name}/Cargo.toml");
        let allowed = |name: &str, on: &str| may_depend(name, &core("y"), on);
        assert!(allowed("stockade-catalog-core", "stockade-inventory-core"));
        assert!(!allowed("stockade-inventory-core", "stockade-catalog-core"));
        assert!(!allowed("stockade-search-sync", "stockade-catalog-core"));
        assert!(!allowed("stockade-change-feed", "stockade-testkit"));
        let adapter = "/x/adapters/redis/Cargo.toml";
        assert!(may_depend(
            "stockade-redis",
            adapter,
            "stockade-catalog-core"
        ));
        assert!(!may_depend("stockade-redis", adapter, "stockade-postgres"));
    }
}
