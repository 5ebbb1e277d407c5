//! Checks that the crates keep to `docs/architecture.md`: who may depend on whom, which foreign
//! types the public API of a core may name, and that pointers implement its traits.
//!
//! `cargo run -p layers` checks all of it. The API is read from rustdoc's JSON, which is built in a
//! folder of its own below `target`.

mod api;
mod arrows;
mod pointers;
mod types;

use std::process::ExitCode;

use crate::arrows::CORES;

fn problems() -> anyhow::Result<Vec<String>> {
    let mut problems = arrows::check()?;
    for (core, below) in CORES {
        let docs = api::of(core)?;
        problems.extend(types::check(core, below, &docs)?);
        problems.extend(pointers::check(core, &docs)?);
    }
    Ok(problems)
}

fn main() -> ExitCode {
    match problems() {
        Ok(problems) if problems.is_empty() => {
            println!("the crates keep to docs/architecture.md");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            eprintln!("mend it, or change docs/architecture.md and tests/layers together");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("layers: {error:#}");
            ExitCode::FAILURE
        }
    }
}
