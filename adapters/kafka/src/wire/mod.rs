//! One connection to one broker: requests of negotiated versions, and their answers.

mod connection;
mod open;
mod request;
mod sasl;
mod stream;

pub(crate) use self::connection::Connection;
pub(crate) use self::open::open;
pub(crate) use self::request::{Request, text, topic_name};
