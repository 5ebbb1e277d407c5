//! Encodes headers: each name and value, with its length in 4 bytes before it.

use bytes::{Buf, Bytes};
use stockade_change_feed::Headers;

use crate::error::PostgresError;

pub(super) fn encode(headers: &Headers) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, value) in headers.iter() {
        for part in [name.as_bytes(), value] {
            bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(part);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

pub(super) fn decode(bytes: Option<Vec<u8>>) -> Result<Headers, PostgresError> {
    let mut rest = Bytes::from(bytes.unwrap_or_default());
    let mut headers = Headers::new();
    while rest.has_remaining() {
        let name = part(&mut rest)?;
        let name = String::from_utf8(name.into()).map_err(|_| damaged("a name is not UTF-8"))?;
        headers = headers.with(name, part(&mut rest)?);
    }
    Ok(headers)
}

fn part(rest: &mut Bytes) -> Result<Bytes, PostgresError> {
    let length = rest.try_get_u32().map_err(|_| damaged("a length is cut"))? as usize;
    if length > rest.len() {
        return Err(damaged("a value is cut"));
    }
    Ok(rest.split_to(length))
}

fn damaged(what: &str) -> PostgresError {
    PostgresError::Damaged {
        what: format!("headers of a record: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_what_is_cut_is_damaged() {
        let headers = Headers::new().with("a", "1").with("empty", "");
        let bytes = encode(&headers).unwrap();
        assert_eq!(decode(Some(bytes.clone())).unwrap(), headers);
        assert_eq!(encode(&Headers::new()), None);
        assert_eq!(decode(None).unwrap(), Headers::new());
        for end in [1, 4, 6, 12] {
            assert!(decode(Some(bytes[..end].to_vec())).is_err(), "{end}");
        }
    }
}
