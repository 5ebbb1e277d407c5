//! Starts the real servers: `cargo stack --help`.

mod left;
mod trial;

use clap::{Parser, Subcommand};
use stack::Kind;

/// Starts the real servers for tests, trials and benchmarks.
#[derive(Debug, Parser)]
#[command(name = "cargo stack")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts servers that run on until `down`: those named, or all.
    Up {
        /// Which.
        names: Vec<Kind>,
    },
    /// Ends what `up` has started, and removes its data.
    Down,
    /// Tells what runs.
    Status,
    /// Prints the variables that tell tests where the servers are: `eval "$(cargo stack env)"`.
    Env,
    /// Starts servers, runs `cargo test` with these arguments, and ends the servers.
    Test {
        /// Which servers; all without it. May repeat.
        #[arg(long = "only")]
        names: Vec<Kind>,
        /// Arguments of `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let or_all = |names: Vec<Kind>| {
        if names.is_empty() {
            Kind::ALL.to_vec()
        } else {
            names
        }
    };
    match Cli::parse().command {
        Command::Up { names } => left::up(&or_all(names)),
        Command::Down => left::down(),
        Command::Status => left::status(),
        Command::Env => left::env(),
        Command::Test { names, arguments } => {
            let code = trial::test(&or_all(names), &arguments)?;
            std::process::exit(code);
        }
    }
}
