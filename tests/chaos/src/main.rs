//! Runs the trials: `cargo run -p chaos -- --help`.

use std::path::PathBuf;
use std::time::Instant;

use chaos::trials;
use chaos::{Commits, Report};
use clap::{Parser, Subcommand, ValueEnum};
use stack::{Postgres, Server as _};

/// Kills servers and clients at random, and checks what was promised.
#[derive(Debug, Parser)]
struct Cli {
    /// Which trial; all without it.
    #[arg(long, value_enum)]
    only: Option<Trial>,
    /// How often each.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Of the first round; the next has the next one. Random without it.
    #[arg(long)]
    seed: Option<u64>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Trial {
    /// 1,000 callers for the last unit.
    LastUnit,
    /// The same and more, and the server is killed.
    Server,
    /// The client is killed.
    Client,
    /// Two relays; one stalls, one is killed.
    Relays,
}

/// What the trials run in processes of their own.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Part {
    Customers {
        #[arg(long)]
        url: String,
        #[arg(long)]
        schema: String,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        history: PathBuf,
        #[arg(long)]
        log: PathBuf,
    },
    Relay {
        #[arg(long)]
        url: String,
        #[arg(long)]
        schema: String,
        #[arg(long)]
        log: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match &cli.part {
        Some(Part::Customers {
            url,
            schema,
            seed,
            history,
            log,
        }) => trials::customers(url, schema, *seed, history, log).await,
        Some(Part::Relay { url, schema, log }) => trials::relay(url, schema, log).await,
        None => run(&cli).await,
    }
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    let mut server = tokio::task::block_in_place(Postgres::start)?;
    let first = cli.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut failed = false;
    for trial in Trial::value_variants() {
        if cli.only.is_some_and(|only| only != *trial) {
            continue;
        }
        let name = trial.to_possible_value().unwrap_or_default();
        let name = name.get_name();
        for seed in first..first + cli.rounds {
            let begun = Instant::now();
            let report = round(*trial, &mut server, seed).await?;
            let (calls, unclear) = (report.calls, report.unclear);
            let (published, took) = (report.published, begun.elapsed());
            println!(
                "{name} --seed {seed}: {calls} calls, {unclear} unclear, {published} published, \
                 {took:.1?}"
            );
            for finding in &report.findings.0 {
                failed = true;
                println!("  WRONG: {finding}");
            }
            if !report.findings.0.is_empty() {
                println!("  again: cargo run -p chaos -- --only {name} --rounds 1 --seed {seed}");
            }
        }
    }
    anyhow::ensure!(!failed, "promises were broken");
    Ok(())
}

async fn round(trial: Trial, server: &mut Postgres, seed: u64) -> anyhow::Result<Report> {
    const CALLERS: usize = 1_000;
    let program = std::env::current_exe()?;
    match trial {
        Trial::LastUnit => trials::last_unit(server, seed, CALLERS).await,
        Trial::Server => trials::kill_the_server(server, seed, CALLERS, Commits::Kept).await,
        Trial::Client => trials::kill_the_client(&program, &server.url(), seed).await,
        Trial::Relays => trials::hurt_the_relays(&program, &server.url(), seed).await,
    }
}
