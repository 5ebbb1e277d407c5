//! What shoppers type, and which product they mean.

use anyhow::Context as _;

/// A text that a shopper types, and the product that must come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Why it is hard, for example `typo`.
    pub kind: String,
    /// The text.
    pub text: String,
    /// The product that is meant, or several products if each is right.
    pub products: Vec<String>,
}

/// Reads queries. Each line has a kind, a text and products, separated by tabs. Lines that begin with
/// `#` are comments.
///
/// # Errors
/// If a line has another form; the error contains the line.
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
