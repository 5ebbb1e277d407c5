//! Runs the shop.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use storefront::{Faults, Options, Shop};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// A shop with search, live stock and reservations, in memory.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Address to listen on, or only a port of this machine's own.
    #[arg(long, default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// Catalogue to import first: newline-delimited JSON, one product a line.
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
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

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "can't listen on {}; choose another with --listen",
            args.listen
        )
    })?;
    let (shop, workers) = Shop::start(Options::default()).await?;
    for path in &args.import {
        let file = tokio::fs::File::open(path)
            .await
            .with_context(|| format!("can't open {}", path.display()))?;
        let report = storefront::import(&shop, file)
            .await
            .with_context(|| format!("can't read {}", path.display()))?;
        for failure in &report.failures {
            eprintln!("{}: {failure}", path.display());
        }
        eprintln!(
            "{}: {} products created, {} updated, {} unchanged, {} lines failed",
            path.display(),
            report.created,
            report.updated,
            report.unchanged,
            report.failures.len(),
        );
    }
    eprintln!("the shop is at http://{}", listener.local_addr()?);
    let faults = if args.allow_faults {
        Faults::Allowed
    } else {
        Faults::Refused
    };
    axum::serve(listener, storefront::router(shop, faults))
        .with_graceful_shutdown(stop_signal())
        .await?;
    workers.stop().await;
    Ok(())
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
