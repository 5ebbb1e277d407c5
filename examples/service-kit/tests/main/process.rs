//! A service as a process of its own: this binary again, with another test as its `main`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use service_kit::{Readiness, Workers, stop_signal, telemetry};

use crate::config::Options;

/// Has the arguments of a service that runs as a process.
const ARGUMENTS: &str = "KIT_TEST_ARGUMENTS";
/// Separates them.
const SEPARATOR: &str = "\u{1f}";

#[tokio::test]
#[ignore = "the other tests of this file run it as a process"]
async fn as_a_process() {
    let arguments = std::env::var(ARGUMENTS).unwrap();
    let arguments = ["service"]
        .into_iter()
        .chain(arguments.split_terminator(SEPARATOR))
        .map(Into::into);
    let code = service_kit::main("service-kit-test", arguments, run).await;
    let succeeded = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
    std::process::exit(if succeeded { 0 } else { 1 });
}

async fn run(options: Options) -> anyhow::Result<()> {
    if let Some(reason) = options.fail {
        anyhow::bail!("{reason}");
    }
    telemetry::start_logs("kit", &options.service)?;
    let listener = options.service.bind().await?;
    let readiness = Readiness::new();
    let mut workers = Workers::new(&readiness);
    workers.spawn("steady", |stop| stop);
    let service = options.service.service(readiness)?;
    let stop = stop_signal();
    eprintln!("listening on {}", listener.local_addr()?);
    service.run_until(listener, workers, stop).await;
    eprintln!("ended");
    Ok(())
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "process::as_a_process",
            "--ignored",
            "--nocapture",
        ])
        .env(ARGUMENTS, arguments.join(SEPARATOR))
        .env("RUST_LOG", "info")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a service, waits until it listens, ends it by SIGTERM, and returns what it wrote.
fn life(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    life_with(arguments, environment, |_| ())
}

/// As [`life`]; does something with the URL of the service while it runs.
pub(crate) fn life_with(
    arguments: &[&str],
    environment: &[(&str, &str)],
    during: impl FnOnce(&str),
) -> String {
    let arguments = [&["--listen=127.0.0.1:0"], arguments].concat();
    let mut process = Process(command(&arguments, environment).spawn().unwrap());
    let mut stderr = BufReader::new(process.0.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("listening on ") {
        assert_ne!(stderr.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let (_, address) = text.rsplit_once("listening on ").unwrap();
    during(&format!("http://{}", address.trim()));
    let id = process.0.id().to_string();
    let asked = Instant::now();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    stderr.read_to_string(&mut text).unwrap();
    assert_eq!(process.0.wait().unwrap().code(), Some(0), "{text}");
    assert!(asked.elapsed() < Duration::from_secs(8), "{text}");
    assert!(text.ends_with("ended\n"), "{text}");
    text
}

#[test]
fn sigterm_stops_a_service_and_its_workers() {
    let text = life(&["--region=eu"], &[]);
    assert!(text.contains("stopping"), "{text}");
    assert!(!text.contains("worker failed"), "{text}");
}

#[test]
fn logs_are_json_where_that_is_asked_for() {
    let text = life(&["--region=eu", "--log-format=json"], &[]);
    let logged = text.lines().filter(|line| line.starts_with('{'));
    let logged: Vec<Value> = logged
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        logged.iter().any(|line| line["message"] == "stopping"),
        "{text}"
    );
    assert!(
        logged.iter().all(|line| line["level"].is_string()),
        "{text}"
    );
}

#[test]
fn the_environment_is_between_the_command_line_and_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("service.toml");
    std::fs::write(&file, "region = 'eu'\nfail = 'of the file'\n").unwrap();
    let config = ("SERVICE_KIT_TEST_CONFIG", file.to_str().unwrap());
    let of_environment = ("SERVICE_KIT_TEST_FAIL", "of the environment");
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = command(arguments, environment).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        said(&output)
    };
    assert_eq!(run(&[], &[config]), "service-kit-test: of the file\n");
    let both = [config, of_environment];
    assert_eq!(run(&[], &both), "service-kit-test: of the environment\n");
    let line = run(&["--fail=of the command\nline"], &both);
    assert_eq!(line, "service-kit-test: of the command line\n");
}

#[test]
fn what_keeps_a_service_from_starting_is_one_line_without_secrets() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--listen={}", taken.local_addr().unwrap());
    let token = ("SERVICE_KIT_TEST_WRITE_TOKEN", "hush");
    for (argument, environment, words) in [
        (taken.as_str(), vec![], ["--listen", "127.0.0.1"]),
        ("--log-filter=a=b=c", vec![], ["--log-filter", "a=b=c"]),
        ("--listen=127.0.0.1:0", vec![token], ["write token", "16"]),
    ] {
        let output = command(&["--region=eu", argument], &environment)
            .output()
            .unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for word in words {
            assert!(said.contains(word), "{word} is not in {said}");
        }
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn help_has_no_secret_of_the_environment() {
    let token = ("SERVICE_KIT_TEST_WRITE_TOKEN", "hush-0123456789");
    let output = command(&["--help"], &[token])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("SERVICE_KIT_TEST_WRITE_TOKEN"), "{help}");
    assert!(help.contains("SERVICE_KIT_TEST_MAX_REQUESTS"), "{help}");
    assert!(!help.contains("hush"), "{help}");
}
