//! What a reader copies is what is tested.

/// The blocks of Rust in the document.
fn shown() -> Vec<&'static str> {
    let document = include_str!("../../../../docs/embedding.md");
    let blocks = document.split("```rust\n").skip(1);
    blocks
        .map(|block| block.split_once("```").unwrap().0.trim())
        .collect()
}

/// The service itself, of which the document shows parts.
const HOST: [&str; 2] = [
    include_str!("../../src/host.rs"),
    include_str!("../../src/lib.rs"),
];

/// A step each.
const STEPS: [&str; 5] = [
    include_str!("../../src/answer.rs"),
    include_str!("../../src/repeat.rs"),
    include_str!("../../src/inventory.rs"),
    include_str!("../../src/workers.rs"),
    include_str!("../../src/orders.rs"),
];

fn dedented(source: &str) -> String {
    let lines = source
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_step_is_in_the_document_and_is_short() {
    for step in STEPS {
        assert!(
            shown().contains(&step.trim()),
            "the document lacks:\n{step}"
        );
        assert!(
            step.lines().count() < 50,
            "it is too long for a step:\n{step}"
        );
    }
}

#[test]
fn every_block_of_the_document_is_source() {
    for block in shown() {
        let is_part = |source: &str| source.contains(block) || dedented(source).contains(block);
        let found = STEPS.into_iter().chain(HOST).any(is_part);
        assert!(found, "it is in no source:\n{block}");
    }
}
