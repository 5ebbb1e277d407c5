//! What is written in Redis, and read from there. Numbers that scripts compare have one width each.

use fred::bytes_utils::Str;
use fred::types::Value;
use stockade_catalog_core::{
    Advance, Advanced, CacheEntry, CacheWrite, Completeness, Continuity, MarkWrite, PartitionMark,
};
use stockade_change_feed::{Offset, ReadFrom, Timestamp};
use stockade_inventory_core::{StockChanged, Version};

/// The digits of an epoch, and of a version with the dot.
const EPOCH: usize = 10;
const VERSION: usize = 31;
/// Added to microseconds, so that all of them are positive, and of 20 digits.
const TIMES: i128 = 10_000_000_000_000_000_000;

/// `<epoch>.<number>`.
fn version(version: Version) -> String {
    format!("{:010}.{:020}", version.epoch, version.number)
}

fn read_version(text: &str) -> Option<Version> {
    let epoch = text.get(..EPOCH)?.parse().ok()?;
    let number = text.get(EPOCH + 1..VERSION)?.parse().ok()?;
    Some(Version::new(epoch, number))
}

fn offset(offset: Offset) -> String {
    format!("{:039}", offset.0)
}

/// `<epoch>.<time>`: ordered as completeness is.
fn moment(complete: &Completeness) -> String {
    let time = TIMES + i128::from(complete.complete_as_of.as_micros());
    format!("{:010}.{time:020}", complete.epoch)
}

/// What the scripts take for an entry: a SKU, a version and units.
pub(super) fn entry(entry: &StockChanged) -> [Value; 3] {
    [
        entry.sku.as_str().into(),
        version(entry.version).into(),
        entry.new_stock_count.to_string().into(),
    ]
}

/// What the scripts take for an advance.
pub(super) fn advance(advance: &Advance) -> [Value; 5] {
    let Advance {
        partition,
        after,
        upto,
        complete,
    } = advance;
    let after = match after {
        ReadFrom::After(after) => offset(*after),
        ReadFrom::Start | ReadFrom::Elsewhere => String::new(),
    };
    let (count, time) = match complete {
        Some(complete) => (complete.partitions.to_string(), moment(complete)),
        None => (String::new(), String::new()),
    };
    [
        partition.to_string().into(),
        after.into(),
        offset(*upto).into(),
        count.into(),
        time.into(),
    ]
}

/// An entry as it is stored: `<version> <units>`, or `absent` while that is remembered.
pub(super) fn read_entry(value: &Value) -> Option<Option<CacheEntry>> {
    let text = match value {
        Value::Null => return Some(None),
        value => value.as_bytes_str()?,
    };
    if *text == *"absent" {
        return Some(Some(CacheEntry::Absent));
    }
    let available = text.get(VERSION + 1..)?.parse().ok()?;
    let version = read_version(&text)?;
    Some(Some(CacheEntry::Known { available, version }))
}

/// Whether an entry is stored as one that inventory does not know: `absent <until>`.
pub(super) fn is_absence(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.starts_with("absent "))
}

/// What became of an entry.
pub(super) fn read_write(value: &Value) -> Option<CacheWrite> {
    let text = value.as_bytes_str()?;
    match &*text {
        "+" => Some(CacheWrite::Stored),
        "=" => Some(CacheWrite::NotNewer),
        cached => read_version(cached).map(|cached| CacheWrite::OlderEpoch { cached }),
    }
}

/// What became of advances: two texts for each.
pub(super) fn read_advances(value: &Value) -> Option<Vec<Advanced>> {
    let Value::Array(texts) = value else {
        return None;
    };
    let pairs = texts.chunks(2).map(|pair| match pair {
        [follows, heard] => read_advanced(follows, heard),
        _ => None,
    });
    pairs.collect()
}

/// What became of an advance, and of its heartbeat.
fn read_advanced(follows: &Value, heard: &Value) -> Option<Advanced> {
    let (follows, heard) = (follows.as_bytes_str()?, heard.as_bytes_str()?);
    let continuity = match &*follows {
        "+" => Continuity::Continuous,
        "" => Continuity::Gap { upto: None },
        upto => Continuity::Gap {
            upto: Some(Offset(upto.parse().ok()?)),
        },
    };
    let complete = match &*heard {
        "" => None,
        "+" => Some(MarkWrite::Stored),
        "=" => Some(MarkWrite::NotNewer),
        epoch => Some(MarkWrite::OlderEpoch {
            kept: epoch.parse().ok()?,
        }),
    };
    Some(Advanced {
        continuity,
        complete,
    })
}

/// All marks of a bucket: `<partition>:<offset>:<partitions>:<epoch>.<time>`, the last two empty
/// before the first heartbeat.
pub(super) fn read_marks(value: &Value) -> Option<Vec<PartitionMark>> {
    let text = match value {
        Value::Null => Str::new(),
        value => value.as_bytes_str()?,
    };
    text.split_whitespace().map(read_mark).collect()
}

fn read_mark(text: &str) -> Option<PartitionMark> {
    let mut parts = text.split(':');
    let partition = parts.next()?.parse().ok()?;
    let upto = Offset(parts.next()?.parse().ok()?);
    let complete = match (parts.next()?, parts.next()?) {
        ("", "") => None,
        (partitions, moment) => {
            let time = moment.get(EPOCH + 1..)?.parse::<i128>().ok()? - TIMES;
            Some(Completeness {
                partitions: partitions.parse().ok()?,
                epoch: moment.get(..EPOCH)?.parse().ok()?,
                complete_as_of: Timestamp::from_micros(i64::try_from(time).ok()?),
            })
        }
    };
    Some(PartitionMark {
        partition,
        upto,
        complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ordered_as_what_they_say() {
        let versions = [
            (0, 0),
            (0, 9),
            (0, 10),
            (0, (1 << 53) + 1),
            (0, u64::MAX),
            (1, 0),
            (9, 3),
            (10, 2),
            (u32::MAX, u64::MAX),
        ];
        let versions = versions.map(|(epoch, number)| Version::new(epoch, number));
        let texts = versions.map(version);
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts.map(|text| read_version(&text)), versions.map(Some));

        let offsets = [0, 9, 10, u128::from(u64::MAX) + 1, u128::MAX].map(|n| offset(Offset(n)));
        assert!(offsets.is_sorted(), "{offsets:?}");

        let times = [i64::MIN, -10, -9, 0, 9, 10, 1_764_000_000_000_000, i64::MAX];
        let moments = times.map(|micros| {
            moment(&Completeness {
                partitions: 1,
                epoch: 3,
                complete_as_of: Timestamp::from_micros(micros),
            })
        });
        assert!(moments.is_sorted(), "{moments:?}");
    }

    #[test]
    fn marks_are_read_as_they_are_written() {
        let complete = Completeness {
            partitions: 12,
            epoch: 3,
            complete_as_of: Timestamp::from_micros(1_764_000_000_123_456),
        };
        let written = format!(
            "11:{}:12:{} 2:{}::",
            offset(Offset(7)),
            moment(&complete),
            offset(Offset(0))
        );
        let read = read_marks(&written.into());
        let expected = [(11, 7, Some(complete)), (2, 0, None)];
        let expected = expected.map(|(partition, upto, complete)| PartitionMark {
            partition,
            upto: Offset(upto),
            complete,
        });
        assert_eq!(read.as_deref(), Some(&expected[..]));
        assert_eq!(read_marks(&Value::Null), Some(Vec::new()));
        for damaged in ["1:x::", "1", "1:2:3", "1:2:3:4"] {
            assert_eq!(read_marks(&damaged.into()), None, "{damaged}");
        }
    }

    #[test]
    fn entries_are_read_as_they_are_written() {
        let text = format!("{} 49", version(Version::new(3, 1_042)));
        let known = CacheEntry::Known {
            available: 49,
            version: Version::new(3, 1_042),
        };
        assert_eq!(read_entry(&text.into()), Some(Some(known)));
        assert_eq!(read_entry(&Value::Null), Some(None));
        assert_eq!(read_entry(&"absent".into()), Some(Some(CacheEntry::Absent)));
        assert_eq!(read_entry(&"49".into()), None);
    }
}
