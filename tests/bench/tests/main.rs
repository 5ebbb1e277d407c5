//! Each benchmark works: its short form ends well and prints a row for each thing it measures.

use std::process::Command;

fn short(subject: &str) -> String {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = bench.args([subject, "--short"]).output();
    let output = output.expect("the program was built");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{subject}: {errors}");
    String::from_utf8(output.stdout).expect("a table is text")
}

#[test]
fn ingest() {
    let table = short("ingest");
    for row in ["nothing", "bare", "memory", "tantivy", "directory"] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn search() {
    let table = short("search");
    for row in ["two words", "typing errors", "suggestions"] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn catalog() {
    let table = short("catalog");
    for row in [
        "a page of 25 variants",
        "one of them",
        "600 rows captured",
        "from a write to its reader",
    ] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn postgres() {
    let table = short("postgres");
    for row in [
        "one hot row, 32 callers",
        "1,000 rows, 8 callers",
        "batch",
        "set stock",
    ] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn memory() {
    let table = short("memory");
    for row in [
        "grant decisions, 8",
        "reservations of one SKU, 64",
        "a page of 25 variants",
    ] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn shop() {
    let table = short("shop");
    for row in [
        "started until all are found",
        "resident memory",
        "health, the baseline",
        "a search with 3 facets",
        "a product of 25 variants",
        "availability of 25 SKUs",
        "a reservation",
    ] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn redis() {
    let table = short("redis");
    for row in [
        "one server, a bare MGET",
        "three primaries, 25 bare GETs",
        "32 callers",
    ] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn timers() {
    let table = short("timers");
    for row in ["with Redis", "until Redis ends", "after it, by sweeps"] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn kafka() {
    let table = short("kafka");
    for row in [
        "records of 1024 bytes",
        "published a second",
        "read a second",
        "publish, p99",
        "publish and read, p99",
    ] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}

#[test]
fn pipeline() {
    let table = short("pipeline");
    for row in ["2000 SKUs", "100 a second", "20000 events"] {
        assert!(table.lines().any(|line| line.starts_with(row)), "{table}");
    }
}
