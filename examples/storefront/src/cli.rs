//! The command line.

use std::ffi::OsString;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;
use service_kit::{
    KafkaSettings, Readiness, RedisSettings, Service, Settings, stop_signal, telemetry,
};
use stockade_catalog_core::ProductQuery;
use tokio::fs::File;
use tokio::net::TcpListener;

use crate::front::{self, Front, FrontOptions, Services};
use crate::import::{self, Progress, Report};
use crate::{Faults, Options, Shop};

/// A shop with search, live stock and reservations.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    service: Settings,
    /// Catalogue to import first: newline-delimited JSON, one product on each line.
    #[arg(long, value_name = "FILE")]
    import: Vec<PathBuf>,
    /// Import this many generated products first.
    #[arg(long, value_name = "PRODUCTS")]
    generate: Option<usize>,
    /// Start without the sample catalogue, which is imported if no other import is given.
    #[arg(long, conflicts_with_all = ["import", "generate"])]
    empty: bool,
    /// Keep the search index in this directory instead of in memory.
    #[arg(long, value_name = "DIR")]
    search_dir: Option<PathBuf>,
    /// Keep products, stock and reservations in this database instead of in memory. With
    /// --catalog-service, the database of the catalogue service, which search follows.
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    #[command(flatten)]
    services: Services,
    #[command(flatten)]
    redis: RedisSettings,
    #[command(flatten)]
    kafka: KafkaSettings,
    /// Let `PUT /faults` cut the connection from pages to inventory, to see how pages react.
    #[arg(long)]
    allow_faults: bool,
}

/// Runs a shop with its options, until the process is asked to stop. An error at the start is
/// written to stderr in one line.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    service_kit::main("storefront", arguments, serve).await
}

async fn serve(args: Args) -> anyhow::Result<()> {
    telemetry::start_logs_to("storefront", &args.service, || import::AboveBars)?;
    let listener = args.service.bind().await?;
    let readiness = Readiness::new();
    let service = args.service.service(readiness.clone())?;
    let kafka = Some(args.kafka).filter(|given| !given.brokers.kafka.is_empty());
    if args.services.catalog_service.is_some() {
        front::refuse(&[
            ("--import", !args.import.is_empty()),
            ("--generate", args.generate.is_some()),
            ("--redis", args.redis.redis.is_some()),
            ("--allow-faults", args.allow_faults),
        ])?;
        let options = FrontOptions::new(
            args.services,
            args.postgres,
            kafka,
            args.search_dir,
            readiness,
        )?;
        return serve_front(service, listener, options).await;
    }
    let files = open(&args.import).await?;
    let (shop, workers) = Shop::start(Options {
        readiness,
        search_dir: args.search_dir,
        postgres: args.postgres,
        redis: Some(args.redis).filter(|given| given.redis.is_some()),
        kafka,
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
    let signal = stop_signal();
    say_where(&listener)?;
    let faults = if args.allow_faults {
        Faults::Allowed
    } else {
        Faults::Refused
    };
    let stop = async {
        signal.await;
        // Streams of stock events would keep their connections.
        shop.live.end();
    };
    let service = crate::service(service, shop.clone(), faults);
    service.run_until(listener, workers, stop).await;
    Ok(())
}

async fn serve_front(
    service: Service,
    listener: TcpListener,
    options: FrontOptions,
) -> anyhow::Result<()> {
    let (front, workers) = Front::start(options).await?;
    let service = crate::front_service(service, &front);
    let signal = stop_signal();
    say_where(&listener)?;
    let stop = async {
        signal.await;
        // Streams of stock events would keep their connections.
        front.end_streams();
    };
    service.run_until(listener, workers, stop).await;
    Ok(())
}

fn say_where(listener: &TcpListener) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "started");
    eprintln!("the shop is at http://{address}");
    Ok(())
}

/// Opens the files before the shop starts, so that a missing file fails early.
async fn open(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, File)>> {
    let mut files = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let unreadable =
            || format!("can't read {name}; --import takes a file with one product on each line");
        let file = File::open(path).await.with_context(unreadable)?;
        let regular = file.metadata().await.with_context(unreadable)?.is_file();
        ensure!(
            regular,
            "{name} is not a regular file, which --import needs because it reads the file twice"
        );
        files.push((name, file));
    }
    Ok(files)
}

/// Imports the sample if the catalogue is empty.
async fn import_sample(shop: &Shop) -> anyhow::Result<()> {
    let any = ProductQuery::first(NonZeroUsize::MIN);
    if !shop.catalog.find(&any).await?.is_empty() {
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
