//! Starts the real servers: `cargo stack --help`.

mod left;
mod trial;

use std::process::ExitCode;

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
        /// Which servers; without it all that this machine has. May repeat.
        #[arg(long = "only")]
        names: Vec<Kind>,
        /// Arguments of `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up { names } => left::up(&names)?,
        Command::Down => left::down()?,
        Command::Status => left::status()?,
        Command::Env => left::env()?,
        Command::Test { names, arguments } => {
            return Ok(trial::test(&names, &arguments)?.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
