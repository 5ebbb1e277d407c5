//! The statements, over the tables of one schema.

use sqlx::SqlStr;

use crate::names::Schema;

/// The statements. Each connection prepares each of them once.
macro_rules! statements {
    ($($name:ident),+ $(,)?) => {
        /// The statements by the names of their files.
        #[derive(Debug)]
        pub(super) struct Statements {
            $(pub(super) $name: SqlStr),+
        }

        impl Statements {
            pub(super) fn new(schema: &Schema) -> Self {
                Self {
                    $($name: schema.sql(include_str!(concat!("sql/", stringify!($name), ".sql")))),+
                }
            }
        }
    };
}

statements! {
    create_topic, topic, delete_topic, append, cut, trim, since, enter_group, lock_group, members,
    owners, write_group, read, commit, reset, reset_group, lag,
}
