//! The rules between rows.

use stockade_catalog_core::{
    CatalogError, Expected, ProductContent, ProductKey, Variant, WriteEffect,
};

use super::CatalogHarness;
use super::shop::{Shop, full_product, id, product, sku, slug, type_name};

async fn must_not_take_the_slug(shop: &Shop, content: &ProductContent, owner: &str) {
    match shop.put(content, Expected::Any).await {
        Err(CatalogError::SlugTaken { slug, owner: told }) => {
            assert_eq!((slug, told), (content.slug.clone(), id(owner)));
        }
        other => panic!("the slug of {owner} was given to another product: {other:?}"),
    }
}

async fn must_not_take_the_sku(shop: &Shop, content: &ProductContent, taken: &str, owner: &str) {
    let what = format!("SKU {taken} of {owner} was reused by another product");
    match shop.put(content, Expected::Any).await {
        Err(CatalogError::SkuTaken {
            sku: of,
            owner: told,
        }) => {
            assert_eq!((of, told), (sku(taken), id(owner)));
        }
        other => panic!("{what}: {other:?}"),
    }
    let stored = shop.by(ProductKey::Id(content.id.clone())).await;
    assert!(
        stored.is_none_or(|stored| stored.content != *content),
        "{what}: it was refused but stored"
    );
}

pub(super) async fn a_slug_belongs_to_one_product<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let tee = shop.change(&product("tee", &[])).await;
    let mut other = product("cap", &["cap-m"]);
    other.slug = slug("tee");
    must_not_take_the_slug(&shop, &other, "tee").await;
    assert_eq!(shop.by_id("cap").await, None, "refused, but stored");
    other.slug = slug("cap");
    shop.change(&other).await;
    other.slug = slug("tee");
    must_not_take_the_slug(&shop, &other, "tee").await;
    assert_eq!(shop.by(ProductKey::Slug(slug("tee"))).await, Some(tee));
}

pub(super) async fn a_slug_that_was_given_up_is_free<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut tee = product("tee", &[]);
    shop.change(&tee).await;
    tee.slug = slug("another");
    shop.change(&tee).await;
    let by_old = shop.by(ProductKey::Slug(slug("tee"))).await;
    assert_eq!(by_old, None, "a product is not found by a slug that it had");
    let mut cap = product("cap", &[]);
    cap.slug = slug("tee");
    shop.change(&cap).await;
    tee.slug = slug("tee");
    must_not_take_the_slug(&shop, &tee, "cap").await;
    shop.delete("cap", Expected::Any).await;
    let back = shop.change(&tee).await;
    assert_eq!(shop.by(ProductKey::Slug(slug("tee"))).await, Some(back));
}

pub(super) async fn a_sku_in_use_is_not_given_to_another_product<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let tee = shop.change(&product("tee", &["tee-s", "tee-m"])).await;
    must_not_take_the_sku(&shop, &product("cap", &["cap", "tee-m"]), "tee-m", "tee").await;
    shop.change(&product("cap", &["cap"])).await;
    must_not_take_the_sku(&shop, &product("cap", &["cap", "tee-m"]), "tee-m", "tee").await;
    assert_eq!(shop.by(ProductKey::Sku(sku("tee-m"))).await, Some(tee));
}

pub(super) async fn a_retired_sku_is_not_given_to_another_product<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    shop.change(&product("tee", &["tee-s", "tee-m"])).await;
    shop.change(&product("tee", &["tee-s"])).await;
    must_not_take_the_sku(&shop, &product("cap", &["tee-m"]), "tee-m", "tee").await;
    assert_eq!(shop.by(ProductKey::Sku(sku("tee-m"))).await, None);
}

pub(super) async fn a_sku_of_a_deleted_product_is_not_given_to_another<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    shop.change(&product("tee", &["tee-s", "tee-m"])).await;
    shop.change(&product("tee", &["tee-s"])).await;
    shop.delete("tee", Expected::Any).await;
    for taken in ["tee-s", "tee-m"] {
        must_not_take_the_sku(&shop, &product("cap", &[taken]), taken, "tee").await;
    }
}

pub(super) async fn a_product_may_use_its_retired_sku_again<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let whole = product("tee", &["tee-s", "tee-m"]);
    shop.change(&whole).await;
    shop.change(&product("tee", &["tee-s"])).await;
    let back = shop.change(&whole).await;
    let by_sku = ProductKey::Sku(sku("tee-m"));
    assert_eq!(shop.by(by_sku.clone()).await, Some(back));
    shop.delete("tee", Expected::Any).await;
    let back = shop.change(&whole).await;
    assert_eq!(shop.by(by_sku).await, Some(back));
}

pub(super) async fn an_unknown_product_type_is_refused<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = product("tee", &["tee-m"]);
    let tee = shop.change(&content).await;
    content.product_type = type_name("lamp");
    let mut lamp = product("lamp", &["lamp"]);
    lamp.product_type = type_name("lamp");
    for content in [&content, &lamp] {
        match shop.put(content, Expected::Any).await {
            Err(CatalogError::UnknownProductType { name }) => assert_eq!(name, type_name("lamp")),
            other => panic!("a product of an unknown type: {other:?}"),
        }
    }
    assert_eq!(shop.by_id("tee").await, Some(tee));
    assert_eq!(shop.by_id("lamp").await, None);
    let lamps = stockade_catalog_core::ProductType::permissive(type_name("lamp"));
    shop.put_type(&lamps).await;
    shop.change(&lamp).await;
}

pub(super) async fn variants_are_replaced_whole<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = full_product();
    shop.change(&content).await;
    // The first one loses all it had, the second goes, a third comes.
    content.variants = vec![Variant::new(sku("tee-s")), Variant::new(sku("tee-l"))];
    let written = shop.change(&content).await;
    let stored = shop.by_id("tee").await;
    assert_eq!(stored, Some(written));
    assert_eq!(stored.map(|stored| stored.content), Some(content.clone()));
    content.variants.clear();
    shop.change(&content).await;
    let stored = shop.by_id("tee").await.map(|stored| stored.content);
    assert_eq!(stored, Some(content));
}

pub(super) async fn variants_keep_their_order<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let skus = ["m", "xs", "10", "9", "a", "Z", "é", "l"];
    let mut content = product("tee", &skus);
    for rotation in 0..skus.len() {
        content.variants.rotate_left(rotation);
        if rotation % 2 == 1 {
            content.variants.swap(0, 5);
        }
        let written = shop.written(&content).await;
        assert_ne!(
            written.effect,
            WriteEffect::Unchanged,
            "the order is content"
        );
        let stored = shop.by_id("tee").await.map(|stored| stored.content);
        assert_eq!(stored.as_ref(), Some(&content));
    }
}

pub(super) async fn a_refused_write_changes_nothing<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let cap = shop.change(&product("cap", &["cap"])).await;
    let tee = shop.change(&full_product()).await;
    let mut content = full_product();
    content.title = "Another".to_owned();
    content.slug = slug("another");
    content.variants = ["new", "cap", "tee-s"]
        .map(|name| Variant::new(sku(name)))
        .into();
    must_not_take_the_sku(&shop, &content, "cap", "cap").await;
    assert_eq!(shop.by_id("tee").await, Some(tee), "it was refused");
    assert_eq!(shop.by_id("cap").await, Some(cap));
    // Neither the slug nor the SKU of the refused write belongs to it.
    let mut other = product("other", &["new"]);
    other.slug = slug("another");
    shop.change(&other).await;
}
