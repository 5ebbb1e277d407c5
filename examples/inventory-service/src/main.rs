//! Inventory as a service.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    inventory_service::main(std::env::args_os()).await
}
