//! The public API of a core, as rustdoc's JSON describes it.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// The public API of a core.
pub(crate) fn of(core: &str) -> anyhow::Result<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), Into::into);
    let target = target.join("layers");
    // The JSON is not stable, so the compiler has to be told that it may be used.
    let status = Command::new(env!("CARGO"))
        .args(["rustdoc", "--quiet", "--locked", "--lib", "--package", core])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(&root)
        .status()
        .context("cargo rustdoc")?;
    ensure!(status.success(), "cargo rustdoc failed for {core}");
    let file = format!("doc/{}.json", core.replace('-', "_"));
    let json = fs::read(target.join(&file)).with_context(|| file.clone())?;
    serde_json::from_slice(&json).context(file)
}
