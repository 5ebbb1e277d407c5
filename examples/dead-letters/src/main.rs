//! Starts the command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::main("dead-letters", std::env::args_os(), dead_letters::run).await
}
