//! Products are found by what their attributes contain, in pages.

use serde_json::{Value, json};
use stockade_catalog_core::{Expected, Product, ProductQuery, ProductType};

use super::CatalogHarness;
use super::contents::ODD;
use super::shop::{Shop, first, id, ids, object, product, shirt, type_name};

/// Values, the wanted value, and whether Postgres' `@>` finds it.
fn containments() -> Vec<(Value, Value, bool)> {
    vec![
        (json!("foo"), json!("foo"), true),
        (json!("foo"), json!("fo"), false),
        (json!("foo"), json!("FOO"), false),
        (json!("1"), json!(1), false),
        (json!(1), json!(1), true),
        (json!(1), json!(1.0), true),
        (json!(9.4), json!(9.4), true),
        (json!(9.4), json!(9.40001), false),
        (json!(u64::MAX), json!(u64::MAX), true),
        (json!((1_u64 << 53) + 1), json!(1_u64 << 53), false),
        (json!(true), json!(true), true),
        (json!(true), json!("true"), false),
        (json!(false), json!(null), false),
        (json!(null), json!(null), true),
        (json!([1, 2, 3]), json!([3, 1]), true),
        (json!([1, 2, 3]), json!([1, 2, 2]), true),
        (json!([1, 2, 3]), json!([]), true),
        (json!([1, 2, 3]), json!([4]), false),
        (json!([1, 2, [1, 3]]), json!([1, 3]), false),
        (json!([1, 2, [1, 3]]), json!([[3]]), true),
        (json!(["red", "blue"]), json!(["blue"]), true),
        (json!(["red", "blue"]), json!("blue"), false),
        (json!("bar"), json!(["bar"]), false),
        (json!([]), json!({}), false),
        (json!({}), json!({}), true),
        (json!({"bar": "baz", "n": 1}), json!({"bar": "baz"}), true),
        (json!({"foo": {"bar": "baz"}}), json!({"bar": "baz"}), false),
        (json!({"foo": {"bar": "baz"}}), json!({"foo": {}}), true),
        (
            json!({"foo": {"bar": [1, {"a": 2}]}}),
            json!({"foo": {"bar": [{"a": 2}]}}),
            true,
        ),
        (json!({}), json!({"bar": null}), false),
    ]
}

pub(super) async fn containment_is_that_of_jsonb<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let containments = containments();
    for (number, (value, ..)) in containments.iter().enumerate() {
        let mut content = product(&format!("p{number:02}"), &[]);
        content.attributes = object(json!({"value": value}));
        shop.change(&content).await;
    }
    for (number, (value, wanted, contained)) in containments.iter().enumerate() {
        let found = shop.ids_with(json!({"value": wanted})).await;
        assert_eq!(
            found.contains(&format!("p{number:02}")),
            *contained,
            "whether {value} contains {wanted}"
        );
    }
    let missing = shop.ids_with(json!({"other": null})).await;
    assert!(
        missing.is_empty(),
        "a missing attribute is not null: {missing:?}"
    );
}

pub(super) async fn all_attributes_have_to_be_contained<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    for (name, attributes) in [
        ("a", json!({"material": ["cotton"], "fit": "slim"})),
        ("b", json!({"material": ["cotton", "silk"], "fit": "wide"})),
        ("c", json!({"material": ["silk"], "fit": "slim"})),
    ] {
        let mut content = product(name, &[]);
        content.attributes = object(attributes);
        shop.change(&content).await;
    }
    for (wanted, expected) in [
        (json!({}), &["a", "b", "c"][..]),
        (json!({"fit": "slim"}), &["a", "c"]),
        (json!({"fit": "slim", "material": ["cotton"]}), &["a"]),
        (json!({"material": ["silk", "cotton"]}), &["b"]),
        (json!({"fit": "slim", "material": ["silk", "cotton"]}), &[]),
    ] {
        assert_eq!(shop.ids_with(wanted.clone()).await, expected, "{wanted}");
    }
}

pub(super) async fn odd_names_and_values_are_found<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    for (number, text) in ODD.iter().enumerate() {
        let mut content = product(&format!("p{number:02}"), &[]);
        content.attributes = object(json!({*text: {*text: [*text]}}));
        shop.change(&content).await;
    }
    for (number, text) in ODD.iter().enumerate() {
        let found = shop.ids_with(json!({*text: {*text: [*text]}})).await;
        assert_eq!(found, [format!("p{number:02}")], "by {text:?}");
    }
    for wanted in [
        json!({"%": "%"}),
        json!({"$": 1}),
        json!({"a": {"$gt": ""}}),
    ] {
        assert!(shop.ids_with(wanted).await.is_empty());
    }
}

pub(super) async fn a_changed_product_is_found_by_its_new_attributes<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut content = product("tee", &[]);
    content.attributes = object(json!({"color": "red"}));
    shop.change(&content).await;
    content.attributes = object(json!({"color": "blue"}));
    let current = shop.change(&content).await;
    assert!(shop.ids_with(json!({"color": "red"})).await.is_empty());
    let mut query = first(10);
    query.attributes = object(json!({"color": "blue"}));
    assert_eq!(shop.find(&query).await, [current], "found whole");
    shop.delete("tee", Expected::Any).await;
    assert_eq!(shop.find(&query).await, []);
}

pub(super) async fn products_are_found_by_type<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    shop.put_type(&ProductType::permissive(type_name("lamp")))
        .await;
    for (name, of) in [("a", "shirt"), ("b", "lamp"), ("c", "shirt"), ("d", "lamp")] {
        let mut content = product(name, &[]);
        content.product_type = type_name(of);
        content.attributes = object(json!({"late": name > "b"}));
        shop.change(&content).await;
    }
    let mut query = first(10);
    query.product_type = Some(type_name("lamp"));
    assert_eq!(ids(&shop.find(&query).await), ["b", "d"]);
    query.attributes = object(json!({"late": true}));
    assert_eq!(ids(&shop.find(&query).await), ["d"]);
    query.product_type = Some(shirt().name);
    assert_eq!(ids(&shop.find(&query).await), ["c"]);
    query.product_type = Some(type_name("nothing"));
    assert_eq!(shop.find(&query).await, []);
}

/// All pages of a query.
async fn pages(shop: &Shop, mut query: ProductQuery) -> Vec<Product> {
    let mut all: Vec<Product> = Vec::new();
    loop {
        let page = shop.find(&query).await;
        let Some(last) = page.last() else {
            return all;
        };
        let last = last.content.id.clone();
        assert!(
            query.after.is_none_or(|after| after < page[0].content.id),
            "a page begins after the one before"
        );
        query.after = Some(last);
        all.extend(page);
    }
}

pub(super) async fn pages_are_in_order_and_whole<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let mut names = [
        "b", "a", "B", "a-b", "a b", "ab", "10", "9", "é", "z", "帽子", "_", "a%", "Ab",
    ];
    for (number, name) in names.iter().enumerate() {
        let mut content = product(name, &[&format!("{name}-m")]);
        content.attributes = object(json!({"even": number % 2 == 0}));
        shop.change(&content).await;
    }
    names.sort_unstable();
    for limit in [1, 2, 3, names.len(), 100] {
        let found = pages(&shop, first(limit)).await;
        assert_eq!(ids(&found), names, "by the bytes of their ids");
    }
    let even = ProductQuery {
        attributes: object(json!({"even": true})),
        ..first(2)
    };
    assert_eq!(pages(&shop, even).await.len(), 7);
    // A page may begin after what is not there.
    let mut query = first(1);
    query.after = Some(id("a-"));
    assert_eq!(ids(&shop.find(&query).await), ["a-b"]);
}

pub(super) async fn pages_miss_nothing_while_products_are_added<H: CatalogHarness>(h: H) {
    let shop = Shop::open(&h).await;
    let before: Vec<String> = (0..60).map(|n| format!("p{n:03}-0")).collect();
    for name in &before {
        shop.change(&product(name, &[])).await;
    }
    let writer = shop.clone();
    let writing = tokio::spawn(async move {
        for number in 0..60 {
            let number = number * 7 % 60;
            writer
                .change(&product(&format!("p{number:03}-1"), &[]))
                .await;
        }
    });
    loop {
        let finished = writing.is_finished();
        let found = ids(&pages(&shop, first(7)).await);
        assert!(
            found.is_sorted_by(|a, b| a < b),
            "a product was returned twice: {found:?}"
        );
        let missing = before.iter().find(|name| !found.contains(name));
        assert_eq!(missing, None, "the product existed all the time");
        if finished {
            assert_eq!(found.len(), 120);
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(writing.await.is_ok());
}
