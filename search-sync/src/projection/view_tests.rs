use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::document::{Row, RowVersion};
use crate::projection::{Column, RowVersionSource, StockFields};

fn document(rows: &[(&str, &str, u128, Value)]) -> Document {
    let mut document = Document::new(DocumentId::Root("p".to_owned()));
    for (table, key, version, columns) in rows {
        let key = RowKey {
            table: (*table).to_owned(),
            key: (*key).to_owned(),
        };
        let columns = columns.as_object().cloned();
        let version = RowVersion(*version);
        document.rows.insert(key, Row { version, columns });
    }
    document
}

fn catalog_view(rows: &[(&str, &str, u128, Value)]) -> Option<View> {
    Projection::catalog().view(&document(rows)).unwrap()
}

fn values(view: &View, field: &str) -> Value {
    serde_json::to_value(&view.fields[field]).unwrap()
}

#[test]
fn columns_become_fields_by_their_kind() {
    let product = json!({
        "status": "active", "title": "Tee", "brand": null, "slug": "tee",
        "category": r#"["Apparel", "Tees", "Apparel"]"#,
        "attributes": r#"{"material": "cotton", "size": {"width": 40, "unit": "cm"},
            "organic": true, "tags": ["a", "b", "a", 1, null], "": 1, "nothing": null}"#,
        "media": "[{\"url\": \"x\"}]", "version": 7,
    });
    let small = json!({"sku": "tee-s", "attributes": {"weight": 0.25}, "options": "{\"size\": \"S\"}", "price_minor": 1000});
    let large = json!({"sku": "tee-l", "attributes": {"material": "wool"}, "price_minor": "1000"});
    let rows = [
        ("products", "p", 1, product),
        ("variants", "tee-l", 2, large),
        ("variants", "tee-s", 3, small),
    ];
    let view = catalog_view(&rows).unwrap();
    assert_eq!(values(&view, "title"), json!(["Tee"]));
    assert_eq!(values(&view, "category"), json!(["Apparel", "Tees"]));
    assert_eq!(
        values(&view, "attributes.material"),
        json!(["cotton", "wool"])
    );
    assert_eq!(values(&view, "attributes.size.width"), json!([40.0]));
    assert_eq!(values(&view, "attributes.organic"), json!(["true"]));
    assert_eq!(values(&view, "attributes.tags"), json!(["a", "b", 1.0]));
    assert_eq!(values(&view, "options.size"), json!(["S"]));
    assert_eq!(values(&view, "price"), json!([1000.0]));
    assert_eq!(values(&view, "sku"), json!(["tee-l", "tee-s"]));
    assert_eq!(values(&view, "media"), json!(["[{\"url\": \"x\"}]"]));
    assert_eq!(values(&view, "in_stock"), json!(["false"]));
    assert!(!view.fields.contains_key("brand"));
    assert!(!view.fields.contains_key("attributes."));
}

#[test]
fn a_document_is_shown_while_its_root_exists_and_is_active() {
    let variant = || ("variants", "s", 2, json!({"sku": "s"}));
    let product = |columns| ("products", "p", 1, columns);
    assert_eq!(catalog_view(&[variant()]), None);
    assert_eq!(catalog_view(&[variant(), product(json!(null))]), None);
    assert_eq!(catalog_view(&[product(json!({"status": "draft"}))]), None);
    assert!(catalog_view(&[product(json!({"status": "active"}))]).is_some());
}

#[test]
fn children_are_shown_only_if_newer_than_the_deletion_of_their_root() {
    let mut document = document(&[
        ("products", "p", 9, json!({"status": "active"})),
        ("variants", "old", 5, json!({"sku": "old"})),
        ("variants", "new", 6, json!({"sku": "new"})),
    ]);
    document.root_deleted = Some(RowVersion(5));
    let view = Projection::catalog().view(&document).unwrap().unwrap();
    assert_eq!(values(&view, "sku"), json!(["new"]));
}

#[test]
fn stock_counts_only_for_variants_that_are_shown() {
    let product = ("products", "p", 1, json!({"status": "active"}));
    let stock = (":availability", "s", 1, json!({"available": true}));
    let variant = |columns| ("variants", "s", 2, columns);
    let shown = [product.clone(), stock.clone(), variant(json!({"sku": "s"}))];
    let gone = [product, stock, variant(json!(null))];
    assert_eq!(
        values(&catalog_view(&shown).unwrap(), "in_stock"),
        json!(["true"])
    );
    assert_eq!(
        values(&catalog_view(&gone).unwrap(), "in_stock"),
        json!(["false"])
    );
}

#[test]
fn long_text_is_cut_and_long_keywords_and_names_are_left_out() {
    let long = "é".repeat(20 * 1024);
    let name = "n".repeat(MOST_FIELDS);
    let product =
        json!({"status": "active", "title": long, "brand": long, "attributes": {name: 1}});
    let view = catalog_view(&[("products", "p", 1, product)]).unwrap();
    assert_eq!(view.fields["title"][0].to_string().len(), 32 * 1024);
    assert_eq!(
        view.fields.keys().collect::<Vec<_>>(),
        ["in_stock", "title"]
    );
}

#[test]
fn fields_over_the_limit_are_left_out_attributes_first() {
    let members = |prefix: &str| -> Map<_, _> {
        (0..1_001)
            .map(|at| (format!("{prefix}{at:04}"), json!(1)))
            .collect()
    };
    let product = json!({"status": "active", "title": "Tee", "attributes": members("a")});
    let variant = json!({"sku": "s", "price_minor": 5, "options": members("o")});
    let rows = [
        ("products", "p", 1, product),
        ("variants", "s", 2, variant),
        (":availability", "s", 1, json!({"available": true})),
    ];
    let view = catalog_view(&rows).unwrap();
    assert_eq!(view.fields.len(), MOST_FIELDS);
    for field in ["title", "sku", "price", "in_stock", "attributes.a0000"] {
        assert!(view.fields.contains_key(field), "{field}");
    }
    assert_eq!(values(&view, "in_stock"), json!(["true"]));
    assert!(
        view.fields
            .keys()
            .all(|field| !field.starts_with("options."))
    );
}

#[test]
fn values_over_the_limit_are_left_out() {
    let many: Vec<_> = (0..MOST_VALUES + 1).collect();
    let product = json!({"status": "active", "title": "Tee", "attributes": {"a": many, "b": 1}});
    let rows = [
        ("products", "p", 1, product),
        ("variants", "s", 2, json!({"sku": "s"})),
    ];
    let view = catalog_view(&rows).unwrap();
    let count: usize = view.fields.values().map(Vec::len).sum();
    assert_eq!(count, MOST_VALUES);
    assert_eq!(values(&view, "sku"), json!(["s"]));
    assert_eq!(view.fields["attributes.a"].len(), MOST_VALUES - 3);
}

#[test]
fn the_projection_of_the_catalogue_is_valid_and_knows_its_fields() {
    let projection = Projection::catalog();
    projection.validate().unwrap();
    assert_eq!(
        projection.kind_of("title"),
        Some(FieldKind::Text { weight: 8.0 })
    );
    assert_eq!(projection.kind_of("in_stock"), Some(FieldKind::Keyword));
    assert_eq!(
        projection.kind_of("attributes.a.b"),
        Some(FieldKind::Attributes)
    );
    for unknown in ["attributes", "attributes.", "attributesx", "Title", ""] {
        assert_eq!(projection.kind_of(unknown), None, "{unknown}");
    }
}

#[test]
fn the_error_of_an_unusable_projection_names_the_part() {
    let number = |field: &str| Column::new("c", field, FieldKind::Number);
    type Breaks = fn(&mut Projection);
    let cases: [(Breaks, &str); 9] = [
        (
            |p| p.children[0].name = "products".to_owned(),
            "projection.children[0].name",
        ),
        (
            |p| p.root.name = ":stock".to_owned(),
            "projection.root.name",
        ),
        (
            |p| p.root.document = "id".to_owned(),
            "projection.root.document",
        ),
        (
            |p| p.children[0].version = RowVersionSource::LogSequence,
            "projection.children[0].version",
        ),
        (
            |p| p.root.columns[1].kind = FieldKind::Text { weight: f32::NAN },
            "projection.root.columns[1].kind",
        ),
        (
            |p| p.root.columns[0].field = String::new(),
            "projection.root.columns[0].field",
        ),
        (
            |p| p.stock.as_mut().unwrap().table = "tariffs".to_owned(),
            "projection.stock.table",
        ),
        (
            |p| p.stock.as_mut().unwrap().in_stock = "brand".to_owned(),
            "projection.stock.in_stock",
        ),
        (
            |p| p.stock.as_mut().unwrap().in_stock = "options.x".to_owned(),
            "projection.field",
        ),
    ];
    for (breaks, part) in cases {
        let mut projection = Projection::catalog();
        breaks(&mut projection);
        let error = projection.validate().unwrap_err().to_string();
        assert!(error.starts_with(part), "{part}: {error}");
    }
    for field in ["brand", "attributes", "attributes.size"] {
        let mut projection = Projection::catalog();
        projection.children[0].columns.push(number(field));
        assert!(projection.validate().is_err(), "{field}");
    }
    let mut projection = Projection::catalog();
    projection.stock = None::<StockFields>;
    projection.validate().unwrap();
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let object = prop::collection::btree_map(".{0,5}", inner.clone(), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            object.prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #[test]
    fn no_row_panics(value in anything(), column in 0..9usize) {
        let projection = Projection::catalog();
        let name = &projection.root.columns[column].name;
        let row = ("products", "p", 1, json!({"status": "active", name: value}));
        let _ = projection.view(&document(&[row]));
    }
}
