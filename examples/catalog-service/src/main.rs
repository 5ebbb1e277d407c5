//! A catalogue as a service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    catalog_service::main(std::env::args_os()).await
}
