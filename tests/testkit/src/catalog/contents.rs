//! Content is returned as it was written.

use serde_json::json;
use stockade_catalog_core::{ProductContent, ProductKey, ProductStatus, ProductType, Variant};

use super::CatalogHarness;
use super::shop::{
    Shop, full_product, id, media, money, object, product, shirt, sku, slug, type_name,
};

/// Valid texts with characters that are special to databases, key spaces, shells or file systems.
pub(crate) const ODD: [&str; 16] = [
    "it's \"quoted\" `here`",
    "100%",
    "a_b",
    "a:b/../c",
    "a\\b\\u0000",
    "{a}[0]",
    "$1 ${HOME} ?",
    "'; DROP TABLE products; --",
    "null",
    "0",
    "a,b;c|d",
    "two  spaces",
    "naïve café, cafe\u{301}",
    "帽子",
    "🧢👕👩‍🚀",
    "مقاس \u{202e}كبير",
];

/// Writes a product, and expects it back by all its keys.
async fn keeps(shop: &Shop, content: &ProductContent) {
    let written = shop.change(content).await;
    assert_eq!(
        written.content, *content,
        "a write returns what was written"
    );
    let mut keys = vec![
        ProductKey::Id(content.id.clone()),
        ProductKey::Slug(content.slug.clone()),
    ];
    let skus = content.variants.iter().map(|variant| &variant.sku);
    keys.extend(skus.cloned().map(ProductKey::Sku));
    for (key, found) in keys.iter().zip(shop.get(&keys).await) {
        assert_eq!(found.as_ref(), Some(&written), "by {key:?}");
    }
}

pub(super) async fn every_field_comes_back<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = full_product();
    keeps(&shop, &content).await;
    for status in [ProductStatus::Active, ProductStatus::Archived] {
        content.status = status;
        keeps(&shop, &content).await;
    }
}

pub(super) async fn a_bare_product_comes_back<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let bare = product("bare", &[]);
    keeps(&shop, &bare).await;
    // What is empty is not what is missing.
    let mut content = product("empty", &["empty-m"]);
    content.brand = Some("x".to_owned());
    content.attributes = object(json!({"": "", "none": null, "list": [], "object": {}}));
    content.media = vec![media("front", "")];
    keeps(&shop, &content).await;
    content.brand = None;
    content.media.clear();
    content.attributes.clear();
    keeps(&shop, &content).await;
}

pub(super) async fn text_is_kept_as_it_is<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    for text in ODD {
        keeps(&shop, &named(&shop, text, text, text, text).await).await;
    }
}

pub(super) async fn the_longest_names_fit<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    // Of letters of one, two and four bytes.
    for letter in ["x", "é", "🧢"] {
        let long = |bytes: usize| letter.repeat(bytes / letter.len());
        keeps(
            &shop,
            &named(&shop, &long(128), &long(200), &long(64), &long(300)).await,
        )
        .await;
    }
}

/// A product with these texts wherever there is room for text.
async fn named(
    shop: &Shop,
    name: &str,
    of_slug: &str,
    of_type: &str,
    text: &str,
) -> ProductContent {
    let product_type = ProductType::permissive(type_name(of_type));
    shop.put_type(&product_type).await;
    let text = || text.to_owned();
    let mut variant = Variant::new(sku(name));
    variant.name = Some(text());
    variant.options.insert(text(), text());
    variant.attributes.insert(text(), json!([text()]));
    let mut content = ProductContent::new(id(name), slug(of_slug), text(), product_type.name);
    content.description = format!("{}\n\t{}\r\n", text(), text());
    content.brand = Some(text());
    content.category = vec![text(), text()];
    content.media = vec![media("front", &text())];
    content.attributes.insert(text(), json!({text(): text()}));
    content.variants = vec![variant];
    content
}

pub(super) async fn attributes_keep_their_json<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let values = json!({
        "yes": true, "no": false, "none": null,
        "numbers": [0, -1, i64::MIN, u64::MAX, (1_u64 << 53) + 1],
        "fractions": [0.1, -2.5, 0.1 + 0.2, 1e-7, 1.5e300],
        "texts": ["", " ", "\u{1}\u{1f}\u{7f}", "line\nbreak\ttab", "\u{fffd}\u{10ffff}", "12", "true"],
        "nested": {"a": {"b": {"c": [[], [[]], {}, {"d": null}]}}},
        "order": [3, 1, 2, 3],
        "dotted.name": {"with space": 1, "": 2, "$type": 3, "__proto__": 4},
    });
    let mut content = product("tee", &["tee-m"]);
    content.attributes = object(values.clone());
    content.variants[0].attributes = object(values);
    keeps(&shop, &content).await;
    let again = shop.written(&content).await;
    assert_eq!(
        again.effect,
        stockade_catalog_core::WriteEffect::Unchanged,
        "equal attributes were treated as different"
    );
}

pub(super) async fn prices_are_exact<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let prices = [
        None,
        Some(money(0, "EUR")),
        Some(money(1, "JPY")),
        Some(money((1 << 53) - 1, "KWD")),
    ];
    let mut content = product("tee", &["a", "b", "c", "d"]);
    for (variant, price) in content.variants.iter_mut().zip(prices) {
        variant.price = price;
    }
    keeps(&shop, &content).await;
    content.variants[3].price = None;
    content.variants[0].price = Some(money((1 << 53) - 2, "USD"));
    keeps(&shop, &content).await;
}

pub(super) async fn a_large_product_fits<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let skus: Vec<String> = (0..300).map(|n| format!("tee-{n:03}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    let mut content = product("tee", &skus);
    content.product_type = shirt().name;
    content.description = "No word is too many. ".repeat(900);
    for number in 0..500 {
        let name = format!("attribute-{number}");
        content.attributes.insert(name, json!("x".repeat(80)));
    }
    content.media = (0..50).map(|n| media(&n.to_string(), "A tee")).collect();
    keeps(&shop, &content).await;
}
