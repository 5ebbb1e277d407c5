use serde_json::json;
use stockade_inventory_core::Sku;

use super::*;
use crate::product::{ProductId, ProductTypeName, Slug, Variant};

fn furniture(schema: Value) -> ProductType {
    ProductType::permissive(ProductTypeName::new("furniture").unwrap()).with_schema(schema)
}

fn chair(attributes: &Value) -> ProductContent {
    let mut content = ProductContent::new(
        ProductId::new("chair").unwrap(),
        Slug::new("chair").unwrap(),
        "Chair",
        ProductTypeName::new("furniture").unwrap(),
    );
    content.attributes = attributes.as_object().unwrap().clone();
    content
}

/// The paths that are complained about.
fn fields(product_type: &ProductType, content: &ProductContent) -> Vec<String> {
    match CompiledType::new(product_type).unwrap().check(content) {
        Ok(()) => Vec::new(),
        Err(CatalogError::SchemaViolated { violations, .. }) => {
            violations.into_iter().map(|v| v.field).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

fn refused(schema: Value) -> (String, String) {
    match CompiledType::new(&furniture(schema)) {
        Err(CatalogError::Invalid { field, value, .. }) => (field, value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn violations_name_the_attribute() {
    let mut product_type = furniture(json!({
        "type": "object",
        "required": ["wood_type"],
        "additionalProperties": false,
        "properties": {
            "wood_type": {"type": "string", "pattern": "^[a-z]+$"},
            "sizes": {"items": {"type": "integer"}},
        },
    }));
    product_type.variant_schema = json!({"required": ["color"]});
    let mut good = chair(&json!({"wood_type": "oak", "sizes": [1, 2]}));
    assert_eq!(fields(&product_type, &good), [""; 0]);
    let bad = chair(&json!({"sizes": [1, "x"], "assembly": true}));
    let mut found = fields(&product_type, &bad);
    found.sort();
    assert_eq!(
        found,
        [
            "attributes.assembly",
            "attributes.sizes[1]",
            "attributes.wood_type"
        ]
    );
    good.variants = vec![Variant::new(Sku::new("chair-1").unwrap())];
    assert_eq!(
        fields(&product_type, &good),
        ["variants[0].attributes.color"]
    );
}

#[test]
fn at_most_twenty_violations_are_listed_and_none_quotes_a_huge_value() {
    let product_type = furniture(json!({"additionalProperties": {"type": "null"}}));
    let huge = "x".repeat(10_000);
    let attributes: Attributes = (0..50).map(|n| (format!("a{n}"), json!(huge))).collect();
    let error = CompiledType::new(&product_type)
        .unwrap()
        .check(&chair(&Value::Object(attributes)))
        .unwrap_err();
    let CatalogError::SchemaViolated { violations, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(violations.len(), 20);
    assert!(violations.iter().all(|v| v.reason.len() < 200));
}

#[test]
fn references_that_leave_the_schema_are_refused_by_name() {
    for remote in [
        "https://example.com/a.json",
        "file:///etc/passwd",
        "other.json",
        "#anchor",
    ] {
        let (field, value) = refused(json!({"properties": {"x": {"$ref": remote}}}));
        assert_eq!(
            (field.as_str(), value.as_str()),
            ("schema.properties.x.$ref", remote)
        );
    }
    let (field, _) = refused(json!({"$schema": "https://example.com/meta"}));
    assert!(field.starts_with("schema"), "{field}");
    let (field, _) = refused(json!({"properties": {"x": {"$id": "https://example.com/"}}}));
    assert_eq!(field, "schema.properties.x.$id");
    let (field, _) = refused(json!({"$dynamicRef": "#x"}));
    assert_eq!(field, "schema.$dynamicRef");
    refused(json!({"$schema": "http://json-schema.org/draft-04/schema#"}));
}

#[test]
fn references_within_the_schema_work() {
    let product_type = furniture(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://shop.example/chair",
        "$defs": {"length": {"type": "integer", "minimum": 0}},
        "properties": {"width": {"$ref": "#/$defs/length"}, "depth": {"$ref": "#/$defs/length"}},
    }));
    let bad = chair(&json!({"width": -1, "depth": 3}));
    assert_eq!(fields(&product_type, &bad), ["attributes.width"]);
}

#[test]
fn schemas_that_would_cost_too_much_are_refused() {
    refused(json!({"$ref": "#"}));
    refused(json!({"properties": {"child": {"$ref": "#"}}}));
    refused(json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}));
    refused(json!({"description": "x".repeat(70_000)}));

    // Each level doubles the one below it.
    let mut defs = serde_json::Map::new();
    defs.insert("d0".into(), json!({"type": "string"}));
    for level in 1..20 {
        let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        defs.insert(format!("d{level}"), json!({"allOf": [below, below]}));
    }
    refused(json!({"$defs": defs, "$ref": "#/$defs/d19"}));

    // A long chain that doubles nothing.
    let mut defs = serde_json::Map::new();
    defs.insert("d0".into(), json!({"type": "string"}));
    for level in 1..1_000 {
        defs.insert(
            format!("d{level:04}"),
            json!({"$ref": format!("#/$defs/d{:04}", level - 1)}),
        );
    }
    refused(json!({"$defs": defs}));

    let mut deep = json!(true);
    for _ in 0..100 {
        deep = json!({ "not": deep });
    }
    refused(deep);
}

#[test]
fn what_is_no_schema_is_refused() {
    refused(json!("string"));
    refused(json!(7));
    refused(json!({"type": "strin"}));
    refused(json!({"required": "wood_type"}));
    refused(json!({"description": "a\0b"}));
}

#[test]
fn patterns_are_matched_in_linear_time() {
    refused(json!({"properties": {"a": {"pattern": "(?=x)y"}}}));
    refused(json!({"properties": {"a": {"pattern": r"(x)\1"}}}));
    refused(json!({"properties": {"a": {"pattern": r"(\w{1000}){1000}"}}}));
    let product_type = furniture(json!({"properties": {"a": {"pattern": "^(a+)+$"}}}));
    let hostile = chair(&json!({"a": format!("{}!", "a".repeat(50_000))}));
    assert_eq!(fields(&product_type, &hostile), ["attributes.a"]);
}

#[test]
fn what_would_take_too_long_to_check_is_refused_by_name() {
    let costly = json!({"additionalProperties": {
        "items": {"allOf": vec![json!({"type": "number"}); 400]},
    }});
    let mut product_type = furniture(costly.clone());
    let error = |product_type: &ProductType, content: &ProductContent| {
        let compiled = CompiledType::new(product_type).unwrap();
        compiled.check(content).unwrap_err()
    };
    let many = |count: usize| chair(&json!({"a": vec![""; count]}));
    match error(&product_type, &many(10_000)) {
        CatalogError::Invalid { field, .. } => assert_eq!(field, "attributes"),
        other => panic!("{other}"),
    }
    // Within what may be checked, and too much to list.
    match error(&product_type, &many(2_000)) {
        CatalogError::SchemaViolated { violations, .. } => {
            assert_eq!(violations.len(), 1);
            assert_eq!(violations[0].field, "attributes");
        }
        other => panic!("{other}"),
    }
    assert_eq!(fields(&product_type, &many(5)).len(), 20);

    // Variants add up.
    product_type.variant_schema = costly;
    let mut content = chair(&json!({}));
    content.variants = (0..10)
        .map(|n| Variant::new(Sku::new(format!("s{n}")).unwrap()))
        .collect();
    for variant in &mut content.variants {
        variant.attributes = many(1_500).attributes;
    }
    match error(&product_type, &content) {
        CatalogError::Invalid { field, .. } => assert_eq!(field, "variants[4].attributes"),
        other => panic!("{other}"),
    }
}

#[test]
fn patterns_are_bounded_together() {
    let patterns = |count: usize| -> Value {
        let named = |n| (format!("p{n}"), json!({"pattern": format!("^[a-z]+{n}$")}));
        json!({"properties": (0..count).map(named).collect::<Attributes>()})
    };
    assert!(CompiledType::new(&furniture(patterns(50))).is_ok());
    assert_eq!(refused(patterns(51)).0, "schema");
    let names: Attributes = (0..51).map(|n| (format!("^{n}"), json!(true))).collect();
    refused(json!({"patternProperties": names}));
    let twice = vec![json!({"$ref": "#/$defs/slug"}); 50];
    refused(json!({"$defs": {"slug": {"pattern": "^[a-z]+$"}}, "allOf": twice}));
    refused(json!({"pattern": r"(\pL|i){10}$"}));
    for usual in [
        r"^\w+([ -]\w+)*$",
        r"^\p{L}+$",
        r"(?i)^[\w\s.,'-]{1,3}$",
        "^[a-z0-9]+(-[a-z0-9]+)*$",
    ] {
        let usual = json!({"pattern": usual});
        assert!(
            CompiledType::new(&furniture(usual.clone())).is_ok(),
            "{usual}"
        );
    }
}

#[test]
fn patterns_over_long_texts_are_refused_by_name() {
    let patterns: Vec<Value> = (0..50)
        .map(|n| json!({"pattern": format!("[a-z]{n}")}))
        .collect();
    let product_type = furniture(json!({"properties": {"a": {"not": {"anyOf": patterns}}}}));
    let compiled = CompiledType::new(&product_type).unwrap();
    compiled
        .check(&chair(&json!({"a": "x".repeat(5_000)})))
        .unwrap();
    match compiled.check(&chair(&json!({"a": "x".repeat(12_000)}))) {
        Err(CatalogError::Invalid { field, .. }) => assert_eq!(field, "attributes"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_evaluated_again_at_each_level_counts_again() {
    let nested = |levels: usize| {
        let inner = json!({"additionalProperties": {"type": "string"}});
        (0..levels).fold(
            inner,
            |schema, _| json!({"allOf": [schema], "unevaluatedProperties": false}),
        )
    };
    let product_type = furniture(nested(3));
    assert_eq!(fields(&product_type, &chair(&json!({"a": "b"}))), [""; 0]);
    refused(nested(12));
}
