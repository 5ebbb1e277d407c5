//! What keeps the service from starting is one line, without secrets.

use crate::process::{command, run};

const SECRET: &str = "hush-0123456789";

#[test]
fn an_option_that_is_missing_is_named() {
    for (role, words) in [
        ("all", "--redis URL"),
        ("api", "--redis URL"),
        ("expiry", "--redis URL"),
        ("relay", "--kafka HOST:PORT"),
    ] {
        let mut command = command();
        command.args(["--listen=127.0.0.1:0", "--role", role]);
        command.env("INVENTORY_SERVICE_POSTGRES", "postgres://127.0.0.1:1/none");
        let output = run(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && said.contains(role), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn no_secret_is_printed() {
    let secret = format!("postgres://ada:{SECRET}@127.0.0.1:1/none");
    let redis = format!("redis://ada:{SECRET}@127.0.0.1:1");
    for arguments in [vec!["--listen=127.0.0.1:0", "--role=api"], vec!["--help"]] {
        let mut command = command();
        command
            .args(arguments)
            .env("INVENTORY_SERVICE_POSTGRES", &secret)
            .env("INVENTORY_SERVICE_REDIS", &redis)
            .env("INVENTORY_SERVICE_WRITE_TOKEN", SECRET)
            .env("INVENTORY_SERVICE_KAFKA_USER", "ada")
            .env("INVENTORY_SERVICE_KAFKA_PASSWORD", SECRET);
        let output = run(&mut command);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.is_empty() && !said.contains("hush"), "{said}");
    }
}
