//! Product types are data.

use serde_json::json;
use stockade_catalog_core::{ProductType, ProductTypeName};

use super::CatalogHarness;
use super::contents::ODD;
use super::shop::{Shop, full_product, shirt, type_name};

async fn types(shop: &Shop, names: &[ProductTypeName]) -> Vec<Option<ProductType>> {
    let found = shop.store.get_types(names).await;
    let found = found.unwrap_or_else(|error| panic!("get_types failed: {error}"));
    assert_eq!(found.len(), names.len(), "each name has an answer");
    found
}

async fn all_types(shop: &Shop) -> Vec<ProductType> {
    let all = shop.store.all_types().await;
    all.unwrap_or_else(|error| panic!("all_types failed: {error}"))
}

pub(super) async fn a_type_comes_back<H: CatalogHarness>(h: H) {
    let shop = Shop::new(h.store());
    let schema = json!({
        "type": "object",
        "properties": {
            "wood_type": {"enum": ["oak", "pine", null, 1.5, ""]},
            "assembly_required": {"type": "boolean", "description": "it's \"quoted\" %\n"},
        },
        "required": ["wood_type"],
        "additionalProperties": false,
    });
    for (name, schema, variant_schema) in [
        ("furniture", schema.clone(), json!({"type": "object"})),
        ("nothing", json!(false), schema),
        ("anything", json!(true), json!({})),
    ] {
        let product_type = ProductType::permissive(type_name(name))
            .with_schema(schema)
            .with_variant_schema(variant_schema);
        shop.put_type(&product_type).await;
        let name = product_type.name.clone();
        assert_eq!(types(&shop, &[name]).await, [Some(product_type)]);
    }
    for text in ODD {
        let product_type = ProductType::permissive(type_name(text));
        shop.put_type(&product_type).await;
        let name = product_type.name.clone();
        assert_eq!(types(&shop, &[name]).await, [Some(product_type)]);
    }
}

pub(super) async fn a_type_is_replaced<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    for schema in [json!({"type": "object"}), json!(true), json!(true)] {
        let product_type = shirt().with_schema(schema);
        shop.put_type(&product_type).await;
        assert_eq!(
            types(&shop, &[shirt().name]).await,
            [Some(product_type.clone())]
        );
        assert_eq!(all_types(&shop).await, [product_type]);
    }
}

pub(super) async fn products_stay_when_their_type_changes<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let tee = shop.change(&full_product()).await;
    let strict = shirt()
        .with_schema(json!(false))
        .with_variant_schema(json!(false));
    shop.put_type(&strict).await;
    assert_eq!(shop.by_id("tee").await, Some(tee));
}

pub(super) async fn types_are_returned_in_the_requested_order<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let lamp = ProductType::permissive(type_name("lamp")).with_schema(json!({"minProperties": 1}));
    shop.put_type(&lamp).await;
    let names = ["shirt", "nothing", "lamp", "Shirt", "shirt"].map(type_name);
    let expected = [Some(shirt()), None, Some(lamp), None, Some(shirt())];
    assert_eq!(types(&shop, &names).await, expected);
}

pub(super) async fn types_are_listed_by_name<H: CatalogHarness>(h: H) {
    let shop = Shop::new(h.store());
    assert_eq!(all_types(&shop).await, []);
    let mut names = ["b", "a", "B", "é", "10", "9", "a b", "ab", "帽子"];
    for name in names {
        shop.put_type(&ProductType::permissive(type_name(name)))
            .await;
    }
    names.sort_unstable();
    let listed: Vec<String> = all_types(&shop)
        .await
        .into_iter()
        .map(|listed| listed.name.into())
        .collect();
    assert_eq!(listed, names, "by the bytes of their names");
}
