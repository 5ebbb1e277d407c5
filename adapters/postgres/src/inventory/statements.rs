//! The statements, over the tables of one schema.

use sqlx::SqlStr;

use crate::inventory::rows::{LEVEL, MOVEMENT, RESERVATION};
use crate::names::Schema;

/// The statements. Each connection prepares each of them once.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) reserve_one: SqlStr,
    pub(crate) peek: SqlStr,
    pub(crate) lock_levels: SqlStr,
    pub(crate) lock_skus: SqlStr,
    pub(crate) lock_reservations: SqlStr,
    pub(crate) lock_overdue: SqlStr,
    pub(crate) find_reservations: SqlStr,
    pub(crate) find_operations: SqlStr,
    pub(crate) write: SqlStr,
    pub(crate) stock: SqlStr,
    pub(crate) scan: SqlStr,
    pub(crate) reservation: SqlStr,
    pub(crate) movements: SqlStr,
    pub(crate) unpublished: SqlStr,
    pub(crate) mark_published: SqlStr,
    pub(crate) lock_purge: SqlStr,
    pub(crate) purge_movements: SqlStr,
    pub(crate) purge_reservations: SqlStr,
    pub(crate) raise_epoch: SqlStr,
    pub(crate) epoch: SqlStr,
}

impl Statements {
    pub(crate) fn new(schema: &Schema) -> Self {
        let sql = |template: &str| {
            let columns = template
                .replace("{level}", LEVEL)
                .replace("{reservation}", RESERVATION)
                .replace("{movement}", MOVEMENT);
            schema.sql(&columns)
        };
        Self {
            reserve_one: sql(include_str!("sql/reserve_one.sql")),
            peek: sql(include_str!("sql/peek.sql")),
            lock_levels: sql(include_str!("sql/lock_levels.sql")),
            lock_skus: sql(include_str!("sql/lock_skus.sql")),
            lock_reservations: sql(include_str!("sql/lock_reservations.sql")),
            lock_overdue: sql(include_str!("sql/lock_overdue.sql")),
            find_reservations: sql(include_str!("sql/find_reservations.sql")),
            find_operations: sql(include_str!("sql/find_operations.sql")),
            write: sql(include_str!("sql/write.sql")),
            stock: sql(include_str!("sql/stock.sql")),
            scan: sql(include_str!("sql/scan.sql")),
            reservation: sql(include_str!("sql/reservation.sql")),
            movements: sql(include_str!("sql/movements.sql")),
            unpublished: sql(include_str!("sql/unpublished.sql")),
            mark_published: sql(include_str!("sql/mark_published.sql")),
            lock_purge: sql(include_str!("sql/lock_purge.sql")),
            purge_movements: sql(include_str!("sql/purge_movements.sql")),
            purge_reservations: sql(include_str!("sql/purge_reservations.sql")),
            raise_epoch: sql(include_str!("sql/raise_epoch.sql")),
            epoch: sql(include_str!("sql/epoch.sql")),
        }
    }
}
