//! A browser of its own for each test, of which nothing is left when the test ends, however it
//! ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use fantoccini::ClientBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Set where a missing browser is a failure.
const REQUIRE: &str = "STOCKADE_REQUIRE_CHROMIUM";
/// Browsers are large: one at a time.
static ONE: Semaphore = Semaphore::const_new(1);
/// The longest that chromedriver may take to start.
const START: Duration = Duration::from_secs(60);

/// How large the window is, and whether it is a phone's.
#[derive(Clone, Copy)]
pub(crate) enum Screen {
    Desktop,
    Phone,
}

pub(super) struct Chromium {
    pub(super) client: fantoccini::Client,
    _profile: Profile,
    _driver: Driver,
    _one: SemaphorePermit<'static>,
}

impl Chromium {
    /// Starts one; none where there is no chromedriver.
    pub(super) async fn start(screen: Screen) -> Option<Self> {
        let one = ONE.acquire().await.unwrap();
        let mut driver = match Driver::start() {
            Ok(driver) => driver,
            Err(error) => {
                absent(&error);
                return None;
            }
        };
        let profile = Profile::new();
        let started = async {
            let output = driver.0.stdout.take().unwrap();
            let port = tokio::task::spawn_blocking(|| port(output)).await.unwrap();
            ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities(&profile.0, screen))
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
                .expect("chromium starts")
        };
        let client = tokio::time::timeout(START, started).await.expect("in time");
        Some(Self {
            client,
            _profile: profile,
            _driver: driver,
            _one: one,
        })
    }
}

/// A chromedriver, which ends with it.
struct Driver(Child);

impl Driver {
    fn start() -> std::io::Result<Self> {
        let mut command = Command::new("chromedriver");
        let command = command.arg("--port=0");
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A skip is told past the capture of the test runner.
fn absent(error: &std::io::Error) {
    assert!(
        std::env::var_os(REQUIRE).is_none_or(|value| value.is_empty()),
        "{REQUIRE} is set, and chromedriver can't be started: {error}"
    );
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED {}: chromedriver can't be started: {error}",
        std::thread::current().name().unwrap_or("a browser test"),
    );
}

/// The free port that chromedriver has chosen.
fn port(output: ChildStdout) -> u16 {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // Somebody has to read on, or chromedriver stops at a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("chromedriver has a port")
}

fn capabilities(profile: &Path, screen: Screen) -> Map<String, Value> {
    let mut arguments = vec![format!("--user-data-dir={}", profile.display())];
    arguments.extend(
        [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1280,900",
        ]
        .map(str::to_owned),
    );
    let mut options = json!({ "args": arguments });
    if matches!(screen, Screen::Phone) {
        options["mobileEmulation"] = json!({
            "deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 1.0, "touch": true},
        });
    }
    let all = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
    all.as_object().unwrap().clone()
}

/// A browser's folder, by which its processes are known: they end with it.
struct Profile(PathBuf);

impl Profile {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("storefront-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let name = self.0.display().to_string();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(&name) {
                let pid = process.file_name();
                let _ = Command::new("kill").arg("-9").arg(pid).status();
            }
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
