//! Options from the command line, the environment and a file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use secrecy::{ExposeSecret as _, SecretString};
use service_kit::Settings;

#[derive(Debug, Parser)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) service: Settings,
    /// Where stock is kept.
    #[arg(long)]
    postgres: Option<SecretString>,
    /// Files to import.
    #[arg(long)]
    import: Vec<PathBuf>,
    /// Must be given.
    #[arg(long)]
    region: String,
    #[arg(long)]
    allow_faults: bool,
    /// Fails at once with this text.
    #[arg(long)]
    pub(crate) fail: Option<String>,
}

struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("service.toml");
        std::fs::write(&path, text).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    fn parse(&self, arguments: &[&str]) -> anyhow::Result<Options> {
        let config = self.path.to_str().unwrap();
        let arguments = [&["service", "--config", config], arguments].concat();
        let arguments = arguments.into_iter().map(OsString::from);
        service_kit::parse("kit-test", arguments)
    }

    fn error(&self, arguments: &[&str]) -> String {
        format!("{:#}", self.parse(arguments).unwrap_err())
    }
}

#[test]
fn a_file_gives_options_of_every_kind() {
    let file = File::new(
        r#"
        listen = "0.0.0.0:9000"
        write-token = ["old-token-0123456789", "new-token-0123456789"]
        log_format = "json"
        max-requests = 7
        body-timeout = "250ms"
        import = ["a.ndjson", "b.ndjson"]
        region = "eu"
        allow-faults = true
        postgres = "postgres://shop:hush@db/shop"
        "#,
    );
    let options = file.parse(&[]).unwrap();
    assert_eq!(options.service.listen, "0.0.0.0:9000".parse().unwrap());
    assert_eq!(options.service.limits.max_requests, 7);
    assert_eq!(options.service.limits.body_timeout.as_millis(), 250);
    assert_eq!(options.service.limits.max_connections, 8192);
    let tokens = &options.service.write_token;
    assert_eq!(tokens[1].expose_secret(), "new-token-0123456789");
    assert_eq!(options.import, ["a.ndjson", "b.ndjson"].map(PathBuf::from));
    assert_eq!(
        (options.region.as_str(), options.allow_faults),
        ("eu", true)
    );
    assert!(options.postgres.is_some());
    let printed = format!("{options:?}");
    assert!(
        !printed.contains("hush") && !printed.contains("0123"),
        "{printed}"
    );
}

#[test]
fn the_command_line_overrides_the_file() {
    let file = File::new("region = 'eu'\nmax-requests = 7\nimport = ['a', 'b']\n");
    let options = file
        .parse(&["--region=us", "--max-requests", "8", "--import=c"])
        .unwrap();
    assert_eq!(options.region, "us");
    assert_eq!(options.service.limits.max_requests, 8);
    assert_eq!(options.import, [PathBuf::from("c")]);
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_the_file() {
    for (text, words) in [
        ("regoin = 'eu'", ["regoin", "no such option"]),
        ("config = 'other.toml'", ["config", "no such option"]),
        ("max-requests = 0", ["max-requests", "0"]),
        ("max-requests = 'many'", ["max-requests", "many"]),
        ("listen = 'nowhere'", ["listen", "ADDRESS:PORT"]),
        ("log-format = 'xml'", ["log-format", "xml"]),
        ("allow-faults = 'yes'", ["allow-faults", "true or false"]),
        ("region = ['eu', 'us']", ["region", "a text, a number"]),
        ("[limits]\nmax-requests = 3", ["limits", "no such option"]),
        ("\n\nregion = 'eu", ["line 3", "service.toml"]),
        ("region = 'eu'\nregion = 'us'", ["line 2", "service.toml"]),
    ] {
        let error = File::new(text).error(&[]);
        for word in words.iter().chain(&["service.toml"]) {
            assert!(error.contains(word), "{word} is not in {error}");
        }
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let missing = File::new("");
    std::fs::remove_file(&missing.path).unwrap();
    assert!(missing.error(&[]).contains("service.toml"));
}

#[test]
fn no_error_has_a_secret() {
    for text in [
        "region = 'eu'\nwrite-token = \"hush-0123456789",
        "region = 'eu'\npostgres = ['hush']",
        "region = 'eu'\nwrite-token = 'hush'\nmax-requests = 0",
        "write-token = 'hush'",
    ] {
        let error = File::new(text).error(&[]);
        assert!(!error.contains("hush"), "{error}");
    }
    let file = File::new("write-token = 'hush-0123456789'\npostgres = 'hush'\nregion = 'eu'");
    let help = file.error(&["--help"]);
    assert!(
        help.contains("--write-token") && !help.contains("hush"),
        "{help}"
    );
}
