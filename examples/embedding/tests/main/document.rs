//! What a reader copies is what is tested.

/// The blocks of Rust in the document.
fn shown() -> Vec<&'static str> {
    let document = include_str!("../../../../docs/embedding.md");
    let blocks = document.split("```rust\n").skip(1);
    blocks
        .map(|block| block.split_once("```").unwrap().0.trim())
        .collect()
}

const ROUTES: &str = include_str!("../../src/inventory.rs");
const ORDERS: &str = include_str!("../../src/orders.rs");
/// The service itself, of which the document shows parts.
const HOST: [&str; 2] = [
    include_str!("../../src/host.rs"),
    include_str!("../../src/lib.rs"),
];

/// What somebody has to write; imports come from the editor.
fn written(source: &str) -> usize {
    let lines = source.lines().map(str::trim);
    let written = lines.filter(|line| !line.is_empty() && !line.starts_with("use "));
    written.count()
}

fn dedented(source: &str) -> String {
    let lines = source
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_block_of_the_document_is_source() {
    for block in shown() {
        let is_part = |source: &str| source.contains(block) || dedented(source).contains(block);
        let found = HOST.into_iter().chain([ROUTES, ORDERS]).any(is_part);
        assert!(found, "it is in no source:\n{block}");
    }
}

#[test]
fn inventory_takes_under_50_lines_and_orders_as_well() {
    let shown = shown();
    let start = ["ExpiryWorker", ".nest(", "join_next"].map(|part| {
        let block = shown.iter().find(|block| block.contains(part));
        block.map_or_else(|| panic!("{part} is not shown"), |block| written(block))
    });
    let start: usize = start.iter().sum();
    assert!(shown.contains(&ROUTES.trim()), "the routes are shown whole");
    assert!(
        written(ROUTES) + start < 50,
        "{} + {start}",
        written(ROUTES)
    );
    assert!(shown.contains(&ORDERS.trim()), "the orders are shown whole");
    assert!(written(ORDERS) < 50, "{}", written(ORDERS));
}
