//! Runs the shop.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    storefront::run(std::env::args_os()).await
}
