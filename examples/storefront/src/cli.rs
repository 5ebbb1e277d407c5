//! The command line.

use std::ffi::OsString;
use std::io::{Cursor, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;
use stockade_catalog_core::ProductQuery;
use tokio::fs::File;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::import::{self, Progress, Report};
use crate::{Faults, Options, Shop};

/// A shop with search, live stock and reservations.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Address to listen on, or only a port of this machine's own.
    #[arg(long, default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// Catalogue to import first: newline-delimited JSON, one product a line.
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
    /// Import so many generated products first, to see how it goes with many.
    #[arg(long, value_name = "PRODUCTS")]
    generate: Option<usize>,
    /// Start without the sample catalogue, which is imported where nothing else is.
    #[arg(long, conflicts_with_all = ["import", "generate"])]
    empty: bool,
    /// Keep the search index in this directory, rather than in memory.
    #[arg(long, value_name = "DIR")]
    search_dir: Option<PathBuf>,
    /// Keep products, stock and reservations in this database, rather than in memory.
    #[arg(
        long,
        value_name = "URL",
        env = "STOREFRONT_POSTGRES",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// Let `PUT /faults` cut the way from pages to inventory, to see what pages do then.
    #[arg(long)]
    allow_faults: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => Ok(([127, 0, 0, 1], port).into()),
        Err(_) => text
            .parse()
            .map_err(|_| "it has to be ADDRESS:PORT or PORT".to_owned()),
    }
}

/// Runs a shop as the command line says, until the process is told to end. What keeps it from
/// starting is said in one line, with what to do about it.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(|| import::AboveBars)
        .init();
    match serve(Args::parse_from(arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{error:#}").replace('\n', " ");
            eprintln!("storefront: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "can't listen on {}; choose another with --listen",
            args.listen
        )
    })?;
    let files = open(&args.import).await?;
    let (shop, workers) = Shop::start(Options {
        search_dir: args.search_dir,
        postgres: args.postgres,
        ..Options::default()
    })
    .await?;
    if files.is_empty() && args.generate.is_none() && !args.empty {
        import_sample(&shop).await?;
    }
    if let Some(products) = args.generate {
        let mut progress = Progress::new("generated products", products as u64);
        let report = import::import_generated(&shop, products, &mut progress).await;
        drop(progress);
        say("generated products", &report);
    }
    for (name, file) in files {
        import_file(&shop, &name, file).await?;
    }
    eprintln!("the shop is at http://{}", listener.local_addr()?);
    let faults = if args.allow_faults {
        Faults::Allowed
    } else {
        Faults::Refused
    };
    let headers_within = shop.limits().headers_within;
    let router = crate::router(shop.clone(), faults);
    let stop = async {
        stop_signal().await;
        // Pages that are open would keep their connections.
        shop.live.end();
    };
    crate::serve(listener, router, headers_within, stop).await;
    workers.stop().await;
    Ok(())
}

/// Opens the files, before anything is started for them.
async fn open(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, File)>> {
    let mut files = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let unreadable =
            || format!("can't read {name}; --import takes a file of one product a line");
        let file = File::open(path).await.with_context(unreadable)?;
        let regular = file.metadata().await.with_context(unreadable)?.is_file();
        ensure!(
            regular,
            "{name} is no regular file; --import reads one twice"
        );
        files.push((name, file));
    }
    Ok(files)
}

/// Imports the sample where the catalogue is empty.
async fn import_sample(shop: &Shop) -> anyhow::Result<()> {
    if !shop.catalog.find(&ProductQuery::first(1)).await?.is_empty() {
        return Ok(());
    }
    let sample = Cursor::new(sample_catalogue::SAMPLE);
    let report = import::import(shop, sample, &mut Progress::hidden()).await?;
    say("the sample catalogue", &report);
    Ok(())
}

async fn import_file(shop: &Shop, name: &str, file: File) -> anyhow::Result<()> {
    let length = file.metadata().await.map_or(0, |metadata| metadata.len());
    let mut progress = Progress::new(name, length);
    let report = import::import(shop, file, &mut progress)
        .await
        .with_context(|| format!("can't read {name} to its end"))?;
    drop(progress);
    say(name, &report);
    Ok(())
}

fn say(name: &str, report: &Report) {
    for failure in &report.failures {
        eprintln!("{name}: {failure}");
    }
    eprintln!("{name}: {report}");
}

/// Returns when the process is asked to end.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupt => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => drop(interrupt.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
