//! As many products as one likes, made up of words that a shop would use.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};
use stockade_catalog_core::{
    Attributes, Currency, Money, ProductContent, ProductId, ProductTypeName, Slug, Variant,
};
use stockade_inventory_core::Sku;

use crate::Entry;
use crate::kinds::{KINDS, Kind, Values};

/// No product has more variants.
const MOST_VARIANTS: usize = 25;

/// So many products with 1 to 25 variants each, and their stock. Equal seeds give equal products,
/// and fewer of them are the first ones of more.
///
/// Some words, brands and values are common and others rare, as in a real catalogue.
pub fn generate(products: usize, seed: u64) -> impl Iterator<Item = Entry> {
    (0..products).map(move |at| {
        let at = at as u64;
        // Each product is drawn by itself.
        let mut rng = Rng::with_seed(seed ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        entry(at, &mut rng)
    })
}

fn entry(at: u64, rng: &mut Rng) -> Entry {
    let kind = often(rng, &KINDS);
    let series = name(rng);
    let noun = often(rng, &kind.nouns);
    let model = format!("{}{}-{}", kind.prefix, at, rng.u8(1..100));
    let title = match rng.u8(0..4) {
        0 => format!("{series} {noun}"),
        1 => format!("{series} {} {noun}", often(rng, &kind.adjectives)),
        2 => format!("{} {noun} {series}", often(rng, &kind.adjectives)),
        _ => format!("{series} {noun} {}", rng.u16(1..1000)),
    };
    let slug = format!("{}-{at}", title.to_lowercase().replace(' ', "-"));
    let brand = often(rng, &kind.brands);
    let mut content = ProductContent::new(
        ProductId::new(&slug).expect("words make an id"),
        Slug::new(&slug).expect("words make a slug"),
        title,
        ProductTypeName::new(&kind.product_type).expect("the names in the table are valid"),
    );
    content.description = description(rng, kind, series.as_str(), noun);
    content.category = kind.category.clone();
    content.brand = Some(brand.clone());
    content.attributes = attributes(rng, kind);
    content.attributes.insert("brand".to_owned(), json!(brand));
    content.attributes.insert("model".to_owned(), json!(model));
    content.variants = variants(rng, kind, &model);
    let stock = content.variants.iter();
    let stock = stock.map(|variant| (variant.sku.clone(), units(rng)));
    Entry {
        stock: stock.collect(),
        content,
    }
}

/// Two or three sentences.
fn description(rng: &mut Rng, kind: &Kind, series: &str, noun: &str) -> String {
    let adjective = often(rng, &kind.adjectives);
    let mut text = format!("{adjective} {noun} of the {series} range.");
    for _ in 0..rng.usize(1..3) {
        text.push(' ');
        let sentence: &String = often(rng, &kind.sentences);
        text.push_str(sentence);
    }
    text
}

fn attributes(rng: &mut Rng, kind: &Kind) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, values) in &kind.attributes {
        // Nobody fills in everything.
        if rng.u8(0..10) > 0 {
            attributes.insert(name.clone(), value(rng, values));
        }
    }
    attributes
}

fn value(rng: &mut Rng, values: &Values) -> Value {
    match values {
        Values::One(choice) => json!(often(rng, choice)),
        Values::Some(choice) => {
            let mut chosen: Vec<_> = (0..rng.usize(1..4)).map(|_| often(rng, choice)).collect();
            chosen.sort_unstable();
            chosen.dedup();
            json!(chosen)
        }
        Values::Number(least, most) => json!(rng.u32(*least..=*most)),
        Values::Flag => json!(rng.bool()),
    }
}

fn variants(rng: &mut Rng, kind: &Kind, model: &str) -> Vec<Variant> {
    let price = rng.u64(kind.price.0..=kind.price.1) * 100 - 1;
    let mut combinations = vec![BTreeMap::new()];
    for (option, values) in &kind.options {
        let first = rng.usize(0..values.len());
        let count = rng.usize(1..=values.len().min(5));
        let values = values.iter().cycle().skip(first).take(count);
        let with = |combination: &BTreeMap<String, String>, value: &str| {
            let mut combination = combination.clone();
            combination.insert(option.clone(), value.to_owned());
            combination
        };
        let values = values.collect::<Vec<_>>();
        let longer = combinations.iter();
        let longer = longer.flat_map(|c| values.iter().map(move |value| with(c, value)));
        combinations = longer.take(MOST_VARIANTS).collect();
    }
    let variant = |(at, options): (usize, BTreeMap<String, String>)| Variant {
        name: Some(options.values().cloned().collect::<Vec<_>>().join(" ")),
        options,
        price: Some(Money {
            minor: price,
            currency: Currency::new("EUR").expect("it is three letters"),
        }),
        ..Variant::new(Sku::new(format!("{model}-{at}")).expect("a model makes a SKU"))
    };
    combinations.into_iter().enumerate().map(variant).collect()
}

/// Every tenth is sold out, every fifth nearly.
fn units(rng: &mut Rng) -> u64 {
    match rng.u8(0..10) {
        0 => 0,
        1 | 2 => rng.u64(1..4),
        _ => rng.u64(4..200),
    }
}

/// One of them: the first ones more often than the last ones.
fn often<'a, T>(rng: &mut Rng, choice: &'a [T]) -> &'a T {
    let share = rng.f64().powi(2);
    // Below 1, so below the length.
    &choice[(share * choice.len() as f64) as usize]
}

/// A name such as `Velora`: some thousand different ones.
fn name(rng: &mut Rng) -> String {
    const BEGINNINGS: [&str; 20] = [
        "Vel", "Nor", "Kas", "Ald", "Mir", "Tor", "Lun", "Bre", "Ost", "Fen", "Cal", "Dor", "Hal",
        "Ist", "Jun", "Pel", "Rav", "Sol", "Ulm", "Win",
    ];
    const MIDDLES: [&str; 12] = [
        "o", "a", "e", "i", "ar", "en", "im", "ol", "ur", "ess", "and", "ith",
    ];
    const ENDS: [&str; 16] = [
        "ra", "n", "ta", "lis", "mo", "dale", "wick", "stad", "vik", "na", "sen", "ford", "li",
        "mar", "key", "by",
    ];
    let [a, b] = [often(rng, &BEGINNINGS), often(rng, &MIDDLES)];
    format!("{a}{b}{}", often(rng, &ENDS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn equal_seeds_give_equal_products_and_fewer_are_the_first_of_more() {
        let few: Vec<_> = generate(50, 7).collect();
        let more: Vec<_> = generate(200, 7).take(50).collect();
        assert_eq!(few, more);
        assert_ne!(few, generate(50, 8).collect::<Vec<_>>());
    }

    #[test]
    fn a_catalogue_is_varied_and_no_sku_occurs_twice() {
        let entries: Vec<_> = generate(3_000, 1).collect();
        let types: BTreeSet<_> = entries.iter().map(|e| &e.content.product_type).collect();
        assert!(types.len() >= 10, "{types:?}");
        let counts: BTreeSet<_> = entries.iter().map(|e| e.content.variants.len()).collect();
        assert_eq!((counts.first(), counts.last()), (Some(&1), Some(&25)));
        let variants = entries.iter().flat_map(|e| &e.content.variants);
        let skus: Vec<_> = variants.map(|variant| &variant.sku).collect();
        assert_eq!(skus.iter().collect::<BTreeSet<_>>().len(), skus.len());
        let stock = entries.iter().flat_map(|entry| &entry.stock);
        let sold_out = stock.filter(|(_, units)| *units == 0).count();
        assert!(sold_out > 0 && sold_out < skus.len() / 5);
    }
}
