//! Messages as the server sends them, in and out of order.

use serde_json::json;
use stockade_change_feed::Topic;

use super::*;

fn tables() -> Vec<CapturedTable> {
    let topic = Topic::new("tees").unwrap();
    vec![CapturedTable::new("shop", "tees", topic, ["id"])]
}

fn begin(commit: u64) -> Bytes {
    let mut bytes = b"B".to_vec();
    bytes.extend(commit.to_be_bytes());
    bytes.extend([0; 12]);
    bytes.into()
}

fn commit(end: u64) -> Bytes {
    let mut bytes = b"C\0".to_vec();
    bytes.extend([0; 8]);
    bytes.extend(end.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.into()
}

const RELATION: &[u8] = b"R\0\0\0\x07shop\0tees\0d\0\x02\x01id\0\0\0\0\x14\xff\xff\xff\xff\0t\0\0\0\0\x19\xff\xff\xff\xff";
const INSERT: &[u8] = b"I\0\0\0\x07N\0\x02t\0\0\0\x011n";
const DELETE: &[u8] = b"D\0\0\0\x07K\0\x02t\0\0\0\x011n";
const TRUNCATE: &[u8] = b"T\0\0\0\x01\0\0\0\0\x07";

fn told(captured: &Captured<'_>) -> RowChange {
    let value = match captured {
        Captured::Row(_, message) => message.value.clone(),
        Captured::Truncated(_, value) => Some(value.clone()),
    };
    debezium::decode(value.as_ref()).unwrap().unwrap()
}

#[test]
fn a_transaction_becomes_records_with_its_place() {
    let tables = tables();
    let mut changes = Changes::new(&tables, 50);
    assert!(changes.take(60, begin(100)).unwrap().is_empty());
    assert!(
        changes
            .take(60, Bytes::from_static(RELATION))
            .unwrap()
            .is_empty()
    );
    let inserted = changes.take(70, Bytes::from_static(INSERT)).unwrap();
    let row = json!({"id": 1, "t": null});
    let RowChange {
        change, sequence, ..
    } = told(&inserted[0]);
    assert_eq!(
        change,
        Change::Create {
            after: row.as_object().unwrap().clone()
        }
    );
    assert_eq!((sequence.last_commit, sequence.lsn), (Some(50), Some(70)));
    let Captured::Row(_, message) = &inserted[0] else {
        panic!("it is a row");
    };
    assert_eq!(message.key.as_deref(), Some(br#"{"id":1}"#.as_slice()));

    let deleted = changes.take(80, Bytes::from_static(DELETE)).unwrap();
    let key = json!({"id": 1}).as_object().unwrap().clone();
    assert_eq!(
        told(&deleted[0]).change,
        Change::Delete { before: key },
        "only its key"
    );
    let truncated = changes.take(90, Bytes::from_static(TRUNCATE)).unwrap();
    assert_eq!(told(&truncated[0]).change, Change::Truncate);
    assert_eq!(changes.captured, 50, "until the commit");
    assert!(changes.take(100, commit(110)).unwrap().is_empty());
    assert_eq!((changes.captured, changes.end), (100, Some(110)));
}

#[test]
fn what_was_captured_before_adds_nothing() {
    let tables = tables();
    let mut changes = Changes::new(&tables, 100);
    changes.take(60, begin(100)).unwrap();
    changes.take(60, Bytes::from_static(RELATION)).unwrap();
    assert!(
        changes
            .take(70, Bytes::from_static(INSERT))
            .unwrap()
            .is_empty()
    );
    changes.take(100, commit(110)).unwrap();
    assert_eq!((changes.captured, changes.end), (100, Some(110)));
}

#[test]
fn what_nobody_asked_for_adds_nothing_and_what_is_out_of_order_is_refused() {
    let mut changes = Changes::new(&[], 0);
    assert!(
        changes.take(1, Bytes::from_static(INSERT)).is_err(),
        "no transaction"
    );
    changes.take(1, begin(9)).unwrap();
    assert!(
        changes.take(1, Bytes::from_static(INSERT)).is_err(),
        "no relation"
    );
    changes.take(1, Bytes::from_static(RELATION)).unwrap();
    assert!(
        changes
            .take(1, Bytes::from_static(INSERT))
            .unwrap()
            .is_empty()
    );
}
