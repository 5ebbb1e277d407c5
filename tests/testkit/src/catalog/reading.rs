//! Products are read by their keys, many in one call.

use stockade_catalog_core::{Expected, ProductKey};

use super::CatalogHarness;
use super::shop::{Shop, id, product, sku, slug};

pub(super) async fn products_are_found_by_every_key_in_order<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut tee = product("tee", &["tee-s", "tee-m"]);
    tee.slug = slug("monospace-tee");
    let tee = shop.change(&tee).await;
    let cap = shop.change(&product("cap", &["cap-m"])).await;
    // A name may be everybody's own kind of key.
    let mut mixed = product("monospace-tee", &["tee", "cap"]);
    mixed.slug = slug("tee-m");
    let mixed = shop.change(&mixed).await;

    let asked = [
        (ProductKey::Sku(sku("tee-m")), Some(&tee)),
        (ProductKey::Slug(slug("monospace-tee")), Some(&tee)),
        (ProductKey::Id(id("nobody")), None),
        (ProductKey::Id(id("cap")), Some(&cap)),
        (ProductKey::Slug(slug("cap")), Some(&cap)),
        (ProductKey::Sku(sku("cap")), Some(&mixed)),
        (ProductKey::Slug(slug("nobody")), None),
        (ProductKey::Id(id("monospace-tee")), Some(&mixed)),
        (ProductKey::Sku(sku("tee")), Some(&mixed)),
        (ProductKey::Slug(slug("tee-m")), Some(&mixed)),
        (ProductKey::Sku(sku("nobody")), None),
        (ProductKey::Sku(sku("tee-s")), Some(&tee)),
        (ProductKey::Sku(sku("tee-s")), Some(&tee)),
        (ProductKey::Slug(slug("tee")), None),
    ];
    let keys = asked.clone().map(|(key, _)| key);
    for ((key, expected), found) in asked.iter().zip(shop.get(&keys).await) {
        assert_eq!(found.as_ref(), *expected, "by {key:?}");
    }
}

pub(super) async fn keys_are_compared_letter_for_letter<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let names = [
        "tee",
        "Tee",
        "té",
        "te\u{301}",
        "t%",
        "t_e",
        "tee-",
        "te e",
        "ｔee",
    ];
    let mut stored = Vec::new();
    for name in names {
        stored.push(shop.change(&product(name, &[name])).await);
    }
    for (name, product) in names.iter().zip(&stored) {
        let keys = [
            ProductKey::Id(id(name)),
            ProductKey::Slug(slug(name)),
            ProductKey::Sku(sku(name)),
        ];
        for found in shop.get(&keys).await {
            assert_eq!(found.as_ref(), Some(product), "by {name:?}");
        }
    }
    for name in ["TEE", "te", "t", "%", "t__"] {
        let found = shop.by(ProductKey::Slug(slug(name))).await;
        assert_eq!(found, None, "by {name:?}");
    }
}

pub(super) async fn a_retired_sku_finds_nothing<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    shop.change(&product("tee", &["tee-s", "tee-m"])).await;
    let tee = shop.change(&product("tee", &["tee-m"])).await;
    let keys = ["tee-s", "tee-m"].map(|name| ProductKey::Sku(sku(name)));
    assert_eq!(shop.get(&keys).await, [None, Some(tee)]);
    shop.delete("tee", Expected::Any).await;
    assert_eq!(shop.get(&keys).await, [None, None]);
}

pub(super) async fn many_keys_in_one_call<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    for number in 0..20 {
        let name = format!("tee-{number}");
        shop.change(&product(&name, &[&format!("{name}-m")])).await;
    }
    // Some 20 are there; each is asked for again and again, by one key or another.
    let keys: Vec<ProductKey> = (0..1_000)
        .map(|number| match (number % 3, number % 40) {
            (0, of) => ProductKey::Id(id(&format!("tee-{of}"))),
            (1, of) => ProductKey::Slug(slug(&format!("tee-{of}"))),
            (_, of) => ProductKey::Sku(sku(&format!("tee-{of}-m"))),
        })
        .collect();
    let found = shop.get(&keys).await;
    for (number, found) in found.into_iter().enumerate() {
        let of = number % 40;
        let expected = (of < 20).then(|| id(&format!("tee-{of}")));
        assert_eq!(found.map(|product| product.content.id), expected);
    }
}
