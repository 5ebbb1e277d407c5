//! The products that the suite searches.

use serde_json::{Value, json};
use stockade_catalog_core::{ProductContent, ProductStatus, Variant};

use crate::catalog::shop::{media, money, object, product, sku, type_name};

/// The number of mugs, which are almost equal.
pub(super) const MUGS: usize = 12;

/// Products that are shown.
pub(super) fn shown() -> Vec<ProductContent> {
    let mut all = clothes();
    all.extend(devices());
    all.extend(odd());
    all.extend(mugs());
    all
}

/// Products that are not shown. Each contains words that only it has.
pub(super) fn not_shown() -> Vec<ProductContent> {
    let of = |name: &str, status: ProductStatus| {
        let mut content = item(name, "Zeppelin Lantern", "Zeppelin", "Zeppelin");
        content.attributes = object(json!({"color": "zeppelin", "material": ["cotton"]}));
        content.variants = variants(&[(&format!("ZEP-{name}"), "Z", 1_999)]);
        content.status = status;
        content
    };
    vec![
        of("draft", ProductStatus::Draft),
        of("archived", ProductStatus::Archived),
    ]
}

fn clothes() -> Vec<ProductContent> {
    let of = |name: &str, title: &str, description: &str, attributes: Value| {
        let mut content = item(name, title, description, "Loom");
        content.category = vec!["Apparel".to_owned(), "Tops".to_owned()];
        content.attributes = object(attributes);
        content.media = vec![media("thingumabob", "A thingumabob")];
        content
    };
    let mut all = vec![
        of(
            "mono-tee",
            "Monospace Tee",
            "Wear your command line with pride.",
            json!({"material": ["cotton"], "color": "black"}),
        ),
        of(
            "polygon-tee",
            "Dark Polygon Tee",
            "Ever felt a bit geometric?",
            json!({"material": ["cotton", "elastane"], "color": "black"}),
        ),
        of(
            "grey-hoodie",
            "Grey Hoodie",
            "A warm layer with a pocket.",
            json!({"material": ["cotton"], "color": "grey"}),
        ),
        of(
            "blue-hoodie",
            "Blue Hoodie",
            "A light layer.",
            json!({"material": ["polyester", "elastane"], "color": "blue"}),
        ),
        of(
            "white-hoodie",
            "White Hoodie",
            "",
            json!({"material": ["cotton"], "color": "white"}),
        ),
        of(
            "blue-scarf",
            "Blue Scarf",
            "For cold days.",
            json!({"material": ["wool"], "color": "blue"}),
        ),
    ];
    let sizes = [
        variants(&[
            ("MT-100-S", "S", 1_999),
            ("MT-100-M", "M", 1_999),
            ("MT-100-L", "L", 2_499),
        ]),
        variants(&[("PT-200-M", "M", 2_299), ("PT-200-L", "L", 2_299)]),
        variants(&[("GH-300-M", "M", 4_000)]),
        variants(&[("BH-300-M", "M", 4_500), ("BH-300-L", "L", 900)]),
        variants(&[("WH-300-L", "L", 4_000)]),
        // It has no price.
        vec![Variant::new(sku("BS-400"))],
    ];
    for (content, variants) in all.iter_mut().zip(sizes) {
        content.variants = variants;
    }
    all
}

fn devices() -> Vec<ProductContent> {
    let television = |name: &str, title: &str, brand: &str, attributes: Value, minor: u64| {
        let mut content = item(name, title, "A television.", brand);
        content.product_type = type_name("television");
        content.category = vec!["Electronics".to_owned()];
        content.attributes = object(attributes);
        content.variants = variants(&[(&format!("SKU-{name}"), "", minor)]);
        content
    };
    let mut lantern = item("lantern", "Lantern", "It burns for long.", "Glow");
    lantern.attributes = object(json!({"color": "red", "lumen": 300}));
    lantern.variants = variants(&[("LN-1", "", 2_999)]);
    let about = "A pot, a stove, and a lantern: the lantern burns for forty hours.";
    let mut kit = item("camping-kit", "Camping Kit", about, "Glow");
    kit.attributes = object(json!({"color": "green"}));
    kit.variants = variants(&[("CK-1", "", 8_999)]);
    vec![
        television(
            "aurora-55",
            "Aurora 55",
            "Aurora",
            json!({"diagonal": 55, "smart": true, "panel": "OLED", "hdr": ["HDR10", "Dolby Vision"]}),
            119_900,
        ),
        television(
            "aurora-65",
            "Aurora 65",
            "Aurora",
            json!({"diagonal": 65, "smart": true, "panel": "OLED", "hdr": ["HDR10"]}),
            169_900,
        ),
        television(
            "borealis-43",
            "Borealis 43",
            "Borealis",
            json!({"diagonal": 42.5, "smart": false, "panel": "LCD"}),
            39_900,
        ),
        lantern,
        kit,
        // Its title contains the SKU of another product.
        item(
            "sleeve",
            "Sleeve for MT-100-M",
            "Fits MT-100-M and MT-100-M only: MT-100-M.",
            "Loom",
        ),
    ]
}

fn odd() -> Vec<ProductContent> {
    let mut accents = item(
        "creme",
        "Café Crème Brûlée 🧢 Straße",
        "Ünïcødé: 帽子 مقاس كبير, cafe\u{301} and 👩‍🚀 helmets.",
        "Söhne & Fils",
    );
    accents.attributes = object(json!({"color": "Black", "note": "100% \"pure\", it's\\: a*b?"}));
    let mut bare = item("bare", "Bare", "", "");
    bare.brand = None;
    vec![accents, bare]
}

fn mugs() -> Vec<ProductContent> {
    let mug = |number: usize| {
        let mut content = item(
            &format!("mug-{number:02}"),
            "Enamel Mug",
            "Holds tea.",
            "Clay",
        );
        content.variants = variants(&[(&format!("MUG-{number:02}"), "", 1_200)]);
        content
    };
    (0..MUGS).map(mug).collect()
}

pub(super) fn item(name: &str, title: &str, description: &str, brand: &str) -> ProductContent {
    let mut content = product(name, &[]);
    content.title = title.to_owned();
    content.description = description.to_owned();
    content.brand = Some(brand.to_owned());
    content
}

/// A product of a type that shares no word with its title.
pub(super) fn garment(name: &str, title: &str, brand: &str) -> ProductContent {
    let mut content = item(name, title, "", brand);
    content.product_type = type_name("garment");
    content
}

/// Variants with these SKUs, sizes and prices.
pub(super) fn variants(of: &[(&str, &str, u64)]) -> Vec<Variant> {
    of.iter()
        .map(|(name, size, minor)| {
            let mut variant = Variant::new(sku(name));
            if !size.is_empty() {
                variant
                    .options
                    .insert("size".to_owned(), (*size).to_owned());
            }
            variant.price = Some(money(*minor, "EUR"));
            variant
        })
        .collect()
}
