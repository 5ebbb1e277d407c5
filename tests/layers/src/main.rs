//! Checks that the crates keep to `docs/architecture.md`: who may depend on whom, and which
//! foreign types the public API of a core may name.
//!
//! `cargo run -p layers` checks both. The types are read from rustdoc's JSON, which is built in a
//! folder of its own below `target`.

mod arrows;
mod types;

use std::process::ExitCode;

fn main() -> ExitCode {
    match arrows::check().and_then(|mut problems| {
        problems.extend(types::check()?);
        Ok(problems)
    }) {
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
