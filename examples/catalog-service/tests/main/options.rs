//! What keeps the service from starting is one line, without secrets.

use crate::site::command;

const SECRET: &str = "hush-0123456789";

#[test]
fn an_option_that_is_missing_is_named() {
    let (postgres, redis) = (
        "--postgres=postgres://127.0.0.1:1/none",
        "--redis=redis://127.0.0.1:1",
    );
    for (role, given, words) in [
        ("all", vec![], "--postgres URL"),
        ("api", vec![], "--postgres URL"),
        ("api", vec![postgres], "--redis URL"),
        ("availability", vec![], "--redis URL"),
        ("availability", vec![redis], "--kafka HOST:PORT"),
        ("all", vec![postgres, redis], "--kafka HOST:PORT"),
    ] {
        let mut command = command();
        command
            .args(["--listen=127.0.0.1:0", "--inventory=http://127.0.0.1:1"])
            .args(["--role", role])
            .args(given);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && said.contains(role), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn no_secret_is_printed() {
    let refused = [
        "--listen=127.0.0.1:0",
        "--role=api",
        "--inventory=http://127.0.0.1:1",
    ];
    for arguments in [&refused[..], &["--help"]] {
        let mut command = command();
        command
            .args(arguments)
            .env(
                "CATALOG_SERVICE_POSTGRES",
                format!("postgres://ada:{SECRET}@127.0.0.1:1/none"),
            )
            .env(
                "CATALOG_SERVICE_REDIS",
                format!("redis://ada:{SECRET}@127.0.0.1:1"),
            )
            .env("CATALOG_SERVICE_WRITE_TOKEN", SECRET)
            .env("CATALOG_SERVICE_KAFKA_USER", "ada")
            .env("CATALOG_SERVICE_KAFKA_PASSWORD", SECRET);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.is_empty() && !said.contains("hush"), "{said}");
    }
}

#[test]
fn an_inventory_that_is_no_url_is_refused() {
    let mut command = command();
    command.args([
        "--listen=127.0.0.1:0",
        "--role=api",
        "--inventory=inventory:8080",
    ]);
    command.args([
        "--postgres=postgres://127.0.0.1:1/none",
        "--redis=redis://127.0.0.1:1",
    ]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("correct --inventory"), "{said}");
}
