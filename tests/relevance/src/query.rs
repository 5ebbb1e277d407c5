//! What shoppers type, and what they mean.

use anyhow::Context as _;

/// What somebody types, and the product that has to come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What makes it hard, such as `typo`.
    pub kind: String,
    /// What is typed.
    pub text: String,
    /// The product that is meant, or several of which each is as right.
    pub products: Vec<String>,
}

/// Reads queries: a line each of kind, text and products, with tabs between. Lines that begin with
/// `#` are comments.
///
/// # Errors
/// With the line that is none.
pub fn queries(table: &str) -> anyhow::Result<Vec<Query>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(query).collect()
}

fn query(line: &str) -> anyhow::Result<Query> {
    let mut cells = line.split('\t');
    let mut cell = || {
        let cell = cells.next().filter(|cell| !cell.is_empty());
        cell.with_context(|| format!("{line:?} is not kind, text and products"))
    };
    let (kind, text, products) = (cell()?, cell()?, cell()?);
    Ok(Query {
        kind: kind.to_owned(),
        text: text.to_owned(),
        products: products.split(' ').map(str::to_owned).collect(),
    })
}
