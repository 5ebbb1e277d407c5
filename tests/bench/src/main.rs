//! Benchmarks: what the crates cost, as ratios to a baseline in the same run. One file a subject.
//!
//! `cargo run --release -p bench -- SUBJECT`, with `--short` for a run of seconds that shows that
//! it works, not how fast.

mod bare;
mod catalog;
mod ingest;
mod kafka;
mod measure;
mod memory;
mod pipeline;
mod postgres;
mod redis;
mod search;
mod shop;
mod timers;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures one subject.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Little data and few rounds: shows that it works, not how fast.
    #[arg(long, global = true)]
    short: bool,
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Products in Postgres, and from a write to a reader of its changes.
    Catalog,
    /// Merging rows into documents and writing them, with the peak of memory.
    Ingest(ingest::Args),
    /// Publishing to Kafka and reading from it, beside Java's tools and rskafka.
    Kafka,
    /// Decisions and reservations in memory, and the stock of a page.
    Memory,
    /// From a commit through the relay, Kafka and the availability worker to Redis.
    Pipeline,
    /// Reservations, a batch and setting stock, beside bare statements over the same pool.
    Postgres,
    /// Availability in Redis beside bare reads, and pages a second.
    Redis,
    /// Queries with facets, suggestions and browsing.
    Search(search::Args),
    /// The whole shop over HTTP: start-up, memory, and how long its answers take.
    Shop(shop::Args),
    /// Reservations that end by timers, and without them.
    Timers,
    /// The availability worker by itself, whose memory is measured.
    #[command(hide = true)]
    AvailabilityWorker(pipeline::WorkerArgs),
    /// The storefront itself, for the shop that is measured.
    #[command(hide = true, disable_help_flag = true)]
    Storefront {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// How much to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Seconds.
    Short,
    /// What the figures in `docs/performance.md` are of.
    Full,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let form = match args.short {
        true => Form::Short,
        false => Form::Full,
    };
    match args.subject {
        Subject::Catalog => catalog::run(form).await?,
        Subject::Ingest(subject) => ingest::run(form, &subject).await?,
        Subject::Kafka => kafka::run(form).await?,
        Subject::Memory => memory::run(form).await?,
        Subject::Pipeline => pipeline::run(form).await?,
        Subject::Postgres => postgres::run(form).await?,
        Subject::Redis => redis::run(form).await?,
        Subject::Search(subject) => search::run(form, &subject).await?,
        Subject::Shop(subject) => shop::run(form, &subject).await?,
        Subject::Timers => timers::run(form).await?,
        Subject::AvailabilityWorker(args) => pipeline::work(&args).await?,
        Subject::Storefront { arguments } => {
            let name = OsString::from("storefront");
            return Ok(storefront::run([name].into_iter().chain(arguments)).await);
        }
    }
    Ok(ExitCode::SUCCESS)
}
