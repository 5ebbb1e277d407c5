//! Envelopes as Debezium writes them, and those that nobody should.

use proptest::prelude::*;

use super::*;

/// An update as Debezium 3.5 with `schemas.enable=true` writes it; the schema is cut short.
const UPDATE: &str = r#"{
  "schema": {"type": "struct", "fields": [], "optional": false,
             "name": "shop.public.products.Envelope", "version": 2},
  "payload": {
    "before": {"id": 7, "title": "Tea", "attributes": "{\"color\": \"red\"}"},
    "after": {"id": 7, "title": "Tee", "attributes": "{\"color\": \"red\"}"},
    "source": {
      "version": "3.5.0.Final", "connector": "postgresql", "name": "shop",
      "ts_ms": 1780194444244, "snapshot": "false", "db": "shop",
      "sequence": "[\"32589016\",\"32591512\"]",
      "ts_us": 1780194444244620, "ts_ns": 1780194444244620000,
      "schema": "public", "table": "products", "txId": 22179, "lsn": 32591512, "xmin": null,
      "origin": null, "origin_lsn": null
    },
    "transaction": null, "op": "u",
    "ts_ms": 1780194444583, "ts_us": 1780194444583639, "ts_ns": 1780194444583639448
  }
}"#;

fn update() -> Value {
    serde_json::from_str::<Value>(UPDATE).unwrap()["payload"].take()
}

fn columns(value: &Value) -> Columns {
    value.as_object().unwrap().clone()
}

fn decode_json(value: &Value) -> Result<Option<RowChange>, FeedError> {
    decode(Some(&Bytes::from(value.to_string())))
}

fn decoded(value: &Value) -> RowChange {
    decode_json(value).unwrap().unwrap()
}

#[test]
fn an_update_with_and_without_schema() {
    let with_schema = decode(Some(&Bytes::from_static(UPDATE.as_bytes())))
        .unwrap()
        .unwrap();
    let expected = RowChange {
        schema: "public".to_owned(),
        table: "products".to_owned(),
        change: Change::Update {
            before: Some(columns(&update()["before"])),
            after: columns(&update()["after"]),
        },
        sequence: Sequence {
            last_commit: Some(32_589_016),
            lsn: Some(32_591_512),
        },
        timestamp: Timestamp::from_micros(1_780_194_444_244_620),
    };
    assert_eq!(with_schema, expected);
    assert_eq!(decoded(&update()), expected);
}

#[test]
fn the_other_operations() {
    let change = |op: &str, before: Value, after: Value| {
        let mut envelope = update();
        envelope["op"] = op.into();
        envelope["before"] = before;
        envelope["after"] = after;
        decoded(&envelope).change
    };
    let (row, none) = (json!({"id": 7}), Value::Null);
    let id = columns(&row);
    let after = id.clone();
    assert_eq!(
        change("r", none.clone(), row.clone()),
        Change::Read { after }
    );
    let after = id.clone();
    assert_eq!(
        change("c", none.clone(), row.clone()),
        Change::Create { after }
    );
    let after = id.clone();
    assert_eq!(
        change("u", none.clone(), row.clone()),
        Change::Update {
            before: None,
            after
        }
    );
    assert_eq!(
        change("d", row, none.clone()),
        Change::Delete { before: id }
    );
    assert_eq!(change("t", none.clone(), none), Change::Truncate);
}

#[test]
fn what_says_nothing_of_a_row() {
    assert_eq!(decode(None).unwrap(), None);
    for value in ["", "null", " null ", r#"{"schema":null,"payload":null}"#] {
        assert_eq!(
            decode(Some(&Bytes::from(value))).unwrap(),
            None,
            "{value:?}"
        );
    }
    let message = json!({"op": "m", "message": {"prefix": "p", "content": "Zm9v"}, "source": {}});
    assert_eq!(decode_json(&message).unwrap(), None);
}

#[test]
fn a_snapshot_has_no_commit_before_it_and_ranks_lowest() {
    let mut read = update();
    read["source"]["sequence"] = r#"[null,"99999999"]"#.into();
    let read = decoded(&read).sequence;
    assert_eq!(
        read,
        Sequence {
            last_commit: None,
            lsn: Some(99_999_999)
        }
    );
    assert!(read < decoded(&update()).sequence);
}

#[test]
fn older_envelopes_lack_sequence_and_microseconds() {
    let mut old = update();
    let source = old["source"].as_object_mut().unwrap();
    for name in ["sequence", "ts_us", "ts_ns"] {
        source.remove(name);
    }
    let old = decoded(&old);
    assert_eq!(
        old.sequence,
        Sequence {
            last_commit: None,
            lsn: Some(32_591_512)
        }
    );
    assert_eq!(old.timestamp, Timestamp::from_millis(1_780_194_444_244));
}

#[test]
fn errors_name_the_field() {
    let cases: &[(&str, Value, &str)] = &[
        ("/op", Value::Null, "op"),
        ("/op", json!("x"), "op"),
        ("/op", json!(1), "op"),
        ("/source", Value::Null, "source"),
        ("/source", json!("x"), "source"),
        ("/source/schema", Value::Null, "source.schema"),
        ("/source/table", json!(["t"]), "source.table"),
        ("/source/sequence", json!("[1,2]"), "source.sequence"),
        ("/source/sequence", json!(r#"["1"]"#), "source.sequence"),
        (
            "/source/sequence",
            json!(r#"["0:0::0:0","1:367::0:0"]"#),
            "source.sequence",
        ),
        ("/source/sequence", json!(["1", "2"]), "source.sequence"),
        ("/source/ts_us", json!("now"), "source.ts_us"),
        ("/source/ts_us", json!(u64::MAX), "source.ts_us"),
        ("/source/ts_us", json!(1.5), "source.ts_us"),
        ("/before", json!([]), "before"),
        ("/after", Value::Null, "after"),
    ];
    for (pointer, value, expected) in cases {
        let mut envelope = update();
        *envelope.pointer_mut(pointer).unwrap() = value.clone();
        let error = decode_json(&envelope).unwrap_err();
        let FeedError::Malformed {
            format: "Debezium envelope",
            field,
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(field, expected, "{error}");
    }
    for (bytes, expected) in [
        ("{", "value"),
        ("[]", "value"),
        (r#"{"payload":1}"#, "payload"),
    ] {
        let error = decode(Some(&Bytes::from(bytes))).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

fn any_columns() -> impl Strategy<Value = Columns> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(UNAVAILABLE)),
    ];
    let value = scalar.prop_recursive(2, 8, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(Value::from)
    });
    prop::collection::btree_map(any::<String>(), value, 0..6)
        .prop_map(|columns| columns.into_iter().collect())
}

fn any_change() -> impl Strategy<Value = RowChange> {
    let change = prop_oneof![
        any_columns().prop_map(|after| Change::Read { after }),
        any_columns().prop_map(|after| Change::Create { after }),
        (prop::option::of(any_columns()), any_columns())
            .prop_map(|(before, after)| Change::Update { before, after }),
        any_columns().prop_map(|before| Change::Delete { before }),
        Just(Change::Truncate),
    ];
    let sequence = (any::<Option<u64>>(), any::<Option<u64>>())
        .prop_map(|(last_commit, lsn)| Sequence { last_commit, lsn });
    let timestamp = any::<i64>().prop_map(Timestamp::from_micros);
    (
        any::<String>(),
        any::<String>(),
        change,
        sequence,
        timestamp,
    )
        .prop_map(|(schema, table, change, sequence, timestamp)| RowChange {
            schema,
            table,
            change,
            sequence,
            timestamp,
        })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(change in any_change()) {
        prop_assert_eq!(decode(Some(&encode(&change))).unwrap(), Some(change));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _ = decode(Some(&Bytes::from(bytes)));
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0..UPDATE.len(), cut in 0_usize..9, put in any::<Vec<u8>>()) {
        let mut bytes = UPDATE.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put);
        let _ = decode(Some(&Bytes::from(bytes)));
    }
}

#[test]
fn an_encoded_change_has_the_fields_of_debezium() {
    let encoded: Value = serde_json::from_slice(&encode(&decoded(&update()))).unwrap();
    let names = |value: &Value| {
        let mut names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&encoded), names(&update()));
    assert_eq!(names(&encoded["source"]), names(&update()["source"]));
    for field in [
        "ts_ms", "ts_us", "ts_ns", "sequence", "lsn", "schema", "table", "snapshot",
    ] {
        assert_eq!(
            encoded["source"][field],
            update()["source"][field],
            "{field}"
        );
    }
}
