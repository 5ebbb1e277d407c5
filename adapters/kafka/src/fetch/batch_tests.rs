use bytes::BytesMut;
use kafka_protocol::messages::ProducerId;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as Raw, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use proptest::prelude::*;
use stockade_change_feed::Topic;

use super::*;

fn at() -> TopicPartition {
    TopicPartition::new(Topic::new("t").unwrap(), 0)
}

fn raw(offset: i64) -> Raw {
    Raw {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 3,
        producer_id: 7,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: offset as i32,
        timestamp: 1_000 + offset,
        key: None,
        value: Some(Bytes::from(offset.to_string())),
        headers: Default::default(),
    }
}

fn encode(records: &[Raw]) -> Bytes {
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, records, &options).unwrap();
    bytes.freeze()
}

fn in_transaction(producer: i64, offset: i64) -> Raw {
    Raw {
        transactional: true,
        producer_id: producer,
        ..raw(offset)
    }
}

fn marker(producer: i64, offset: i64) -> Raw {
    Raw {
        control: true,
        ..in_transaction(producer, offset)
    }
}

fn answer(batches: &[Bytes], aborted: &[(i64, i64)]) -> PartitionData {
    let aborted = aborted.iter().map(|(producer, first)| {
        AbortedTransaction::default()
            .with_producer_id(ProducerId(*producer))
            .with_first_offset(*first)
    });
    PartitionData::default()
        .with_records(Some(batches.concat().into()))
        .with_aborted_transactions(Some(aborted.collect()))
}

fn offsets(read: &Read) -> Vec<u128> {
    let records = read.records.iter();
    records.map(|record| record.position.offset.0).collect()
}

#[test]
fn markers_and_aborted_records_are_left_out_and_passed() {
    let batches = [
        encode(&[in_transaction(1, 0)]),
        encode(&[in_transaction(2, 1)]),
        encode(&[raw(2)]),
        encode(&[marker(1, 3)]),
        encode(&[in_transaction(1, 4)]),
        encode(&[marker(2, 5)]),
        encode(&[marker(1, 6)]),
    ];
    let read = read(&at(), 0, answer(&batches, &[(1, 0)])).unwrap();
    assert_eq!(
        offsets(&read),
        [1, 2, 4],
        "the first transaction of producer 1 was aborted"
    );
    assert_eq!(read.next, 7, "the marker at the end is passed");
}

#[test]
fn an_answer_of_nothing_to_see_still_leads_on() {
    let batches = [
        encode(&[in_transaction(1, 0), in_transaction(1, 1)]),
        encode(&[marker(1, 2)]),
    ];
    let read = read(&at(), 0, answer(&batches, &[(1, 0)])).unwrap();
    assert_eq!((offsets(&read), read.next), (vec![], 3));
}

#[test]
fn a_batch_that_is_cut_off_is_read_next_time() {
    let whole = encode(&[raw(0), raw(1)]);
    let second = encode(&[raw(2)]);
    for length in 0..second.len() {
        let read = read(
            &at(),
            0,
            answer(&[whole.clone(), second.slice(..length)], &[]),
        )
        .unwrap();
        assert_eq!((offsets(&read), read.next), (vec![0, 1], 2));
    }
}

#[test]
fn only_what_was_asked_for_is_read_of_a_batch() {
    let read = read(
        &at(),
        2,
        answer(&[encode(&[raw(0), raw(1), raw(2), raw(3)])], &[]),
    )
    .unwrap();
    assert_eq!((offsets(&read), read.next), (vec![2, 3], 4));
}

#[test]
fn offsets_that_compaction_removed_are_passed() {
    let mut batch = BytesMut::from(&encode(&[raw(0), raw(1)])[..]);
    // The batch keeps the offset of its last record, though that is gone.
    batch[23..27].copy_from_slice(&5_i32.to_be_bytes());
    let crc = crc(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    let read = read(&at(), 0, answer(&[batch.freeze()], &[])).unwrap();
    assert_eq!((offsets(&read), read.next), (vec![0, 1], 6));
}

/// CRC-32C, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
        })
    })
}

#[test]
fn a_damaged_batch_is_an_error_that_names_it() {
    let mut batch = BytesMut::from(&encode(&[raw(4)])[..]);
    let last = batch.len() - 1;
    batch[last] ^= 1;
    let error = read(&at(), 4, answer(&[batch.freeze()], &[])).unwrap_err();
    assert!(error.to_string().contains("t/0 from offset 4"), "{error}");
}

#[test]
fn the_time_is_the_one_that_the_topic_keeps() {
    let read_time = |batch: Bytes| {
        let read = read(&at(), 0, answer(&[batch], &[])).unwrap();
        read.records[0].position.timestamp
    };
    assert_eq!(read_time(encode(&[raw(5)])), Timestamp::from_millis(1_005));
    let mut batch = BytesMut::from(&encode(&[raw(5)])[..]);
    batch[22] |= 8;
    batch[35..43].copy_from_slice(&9_000_i64.to_be_bytes());
    let crc = crc(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(read_time(batch.freeze()), Timestamp::from_millis(9_000));
}

#[test]
fn a_header_without_value_is_an_empty_one() {
    let mut record = raw(0);
    record
        .headers
        .insert(StrBytes::from_static_str("trace"), None);
    let read = read(&at(), 0, answer(&[encode(&[record])], &[])).unwrap();
    let headers = Headers::new().with("trace", Bytes::new());
    assert_eq!(read.records[0].headers, headers);
}

#[test]
fn where_another_leader_began_is_known() {
    let later = Raw {
        partition_leader_epoch: 4,
        ..raw(1)
    };
    let batches = [encode(&[raw(0)]), encode(&[later]), encode(&[raw(2)])];
    let read = read(&at(), 0, answer(&batches, &[])).unwrap();
    assert_eq!(read.epochs, [(0, 3), (1, 4), (2, 3)]);
}

proptest! {
    #[test]
    fn bytes_of_any_kind_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let data = PartitionData::default().with_records(Some(bytes.into()));
        let _ = read(&at(), 0, data);
    }
}
