//! Puts load on the services, and checks what must hold: `cargo run --release -p load -- --help`.

mod buyers;
mod ledger;
mod pages;
mod shop;
mod site;
mod times;
mod upgrade;
mod verdict;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Puts load on the services, which run as processes over real servers, and checks what must hold.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Few seconds and little load: shows that it works.
    #[arg(long, global = true)]
    short: bool,
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Buyers with random carts, who confirm, release and forget; then pages must show exactly what
    /// Postgres has.
    Buyers,
    /// Many page views while the circuit is open; inventory must not notice.
    Pages,
    /// Buyers while the processes of an earlier build are replaced by this one, one by one.
    Upgrade {
        /// The folder with the programs `inventory-service` and `catalog-service` of the earlier
        /// build; without it, this build stands for both.
        #[arg(long, value_name = "FOLDER")]
        before: Option<PathBuf>,
    },
    /// The service itself.
    #[command(hide = true, disable_help_flag = true)]
    InventoryService {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// The service itself.
    #[command(hide = true, disable_help_flag = true)]
    CatalogService {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { short, subject } = Args::parse();
    let outcome = match subject {
        Subject::Buyers => buyers::run(short).await,
        Subject::Pages => pages::run(short).await,
        Subject::Upgrade { before } => {
            let before = before.map_or(site::Build::This, site::Build::Of);
            upgrade::run(short, &before).await
        }
        Subject::InventoryService { arguments } => {
            return inventory_service::main(named("inventory-service", arguments)).await;
        }
        Subject::CatalogService { arguments } => {
            return catalog_service::main(named("catalog-service", arguments)).await;
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments of a program start with its name.
fn named(name: &str, arguments: Vec<OsString>) -> impl Iterator<Item = OsString> {
    std::iter::once(name.into()).chain(arguments)
}
