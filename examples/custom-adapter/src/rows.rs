//! The tables of the file, and the rows in them as JSON.

use std::num::NonZeroUsize;

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stockade_change_feed::Timestamp;
use stockade_inventory_core::book::{Book, Changed, Changes};
use stockade_inventory_core::{
    Cursor, InventoryError, Movement, MovementCause, MovementPage, OperationId, Reservation,
    ReservationId, ReservationState, Sku, SkuStock, StockLevel, StockPage, Version,
};

use crate::failed;

type Json = &'static [u8];

/// By SKU and location.
const LEVELS: TableDefinition<'_, (&str, &str), Json> = TableDefinition::new("levels");
const RESERVATIONS: TableDefinition<'_, &str, Json> = TableDefinition::new("reservations");
/// Held reservations by deadline, so that the overdue ones are found without a scan.
const DEADLINES: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("deadlines");
/// Finished reservations by the time at which they finished, so that old ones are found without a
/// scan.
const FINISHED: TableDefinition<'_, (i64, &str), ()> = TableDefinition::new("finished");
/// By SKU, in the order in which they took effect.
const MOVEMENTS: TableDefinition<'_, (&str, u64), Json> = TableDefinition::new("movements");
/// The position of the movement of each operation.
const OPERATIONS: TableDefinition<'_, &str, (&str, u64)> = TableDefinition::new("operations");
const UNPUBLISHED: TableDefinition<'_, &str, ()> = TableDefinition::new("unpublished");
/// The epoch, beside the levels, so that it is backed up and restored with them. None is 0.
const EPOCH: TableDefinition<'_, (), u32> = TableDefinition::new("epoch");

pub(crate) fn create_tables(transaction: &WriteTransaction) -> Result<(), InventoryError> {
    Rows::open(transaction).map(drop)
}

/// The rows, to be changed.
pub(crate) struct Rows<'a> {
    levels: Table<'a, (&'static str, &'static str), Json>,
    pub(crate) reservations: Table<'a, &'static str, Json>,
    deadlines: Table<'a, (i64, &'static str), ()>,
    pub(crate) finished: Table<'a, (i64, &'static str), ()>,
    pub(crate) movements: Table<'a, (&'static str, u64), Json>,
    pub(crate) operations: Table<'a, &'static str, (&'static str, u64)>,
    unpublished: Table<'a, &'static str, ()>,
    epoch: Table<'a, (), u32>,
}

impl<'a> Rows<'a> {
    pub(crate) fn open(transaction: &'a WriteTransaction) -> Result<Self, InventoryError> {
        let failed = failed("open");
        Ok(Self {
            levels: transaction.open_table(LEVELS).map_err(&failed)?,
            reservations: transaction.open_table(RESERVATIONS).map_err(&failed)?,
            deadlines: transaction.open_table(DEADLINES).map_err(&failed)?,
            finished: transaction.open_table(FINISHED).map_err(&failed)?,
            movements: transaction.open_table(MOVEMENTS).map_err(&failed)?,
            operations: transaction.open_table(OPERATIONS).map_err(&failed)?,
            unpublished: transaction.open_table(UNPUBLISHED).map_err(&failed)?,
            epoch: transaction.open_table(EPOCH).map_err(&failed)?,
        })
    }

    pub(crate) fn epoch(&self) -> Result<u32, InventoryError> {
        epoch(&self.epoch)
    }

    /// Gives every level a version of the next epoch, and puts every SKU into the outbox.
    pub(crate) fn raise_epoch(&mut self) -> Result<u32, InventoryError> {
        let failed = failed("raise_epoch");
        let raised = self.epoch()?.saturating_add(1);
        self.epoch.insert((), raised).map_err(&failed)?;
        let mut levels: Vec<StockLevel> = Vec::new();
        for entry in self.levels.iter().map_err(&failed)? {
            levels.push(decode(entry.map_err(&failed)?.1.value())?);
        }
        for mut level in levels {
            level.version.epoch = raised;
            self.write_level(&level)?;
        }
        Ok(raised)
    }

    pub(crate) fn load_sku(&self, book: &mut Book, sku: &Sku) -> Result<(), InventoryError> {
        for level in levels(&self.levels, sku)? {
            book.load_level(level);
        }
        Ok(())
    }

    /// Loads a reservation, if it is there, with the levels that it holds units of.
    pub(crate) fn load_reservation(
        &self,
        book: &mut Book,
        id: &ReservationId,
    ) -> Result<(), InventoryError> {
        let found: Option<Reservation> = get(&self.reservations, id.as_str())?;
        if let Some(reservation) = found {
            for line in &reservation.lines {
                self.load_sku(book, &line.sku)?;
            }
            book.load_reservation(reservation);
        }
        Ok(())
    }

    pub(crate) fn load_operation(
        &self,
        book: &mut Book,
        id: &OperationId,
    ) -> Result<(), InventoryError> {
        let place = self.operations.get(id.as_str()).map_err(failed("adjust"))?;
        if let Some(place) = place {
            let found = self
                .movements
                .get(place.value())
                .map_err(failed("adjust"))?;
            if let Some(movement) = found {
                let movement: Movement = decode(movement.value())?;
                self.load_sku(book, &movement.sku)?;
                book.load_operation(id.clone(), movement);
            }
        }
        Ok(())
    }

    /// The ids of held reservations whose deadline has come, the longest overdue first.
    pub(crate) fn overdue(
        &self,
        now: Timestamp,
    ) -> Result<impl Iterator<Item = Result<ReservationId, InventoryError>>, InventoryError> {
        let failed = failed("expire_overdue");
        let due = ..(now.as_micros().saturating_add(1), "");
        let due = self.deadlines.range(due).map_err(&failed)?;
        Ok(due.map(move |entry| {
            let (key, _) = entry.map_err(&failed)?;
            ReservationId::new(key.value().1)
        }))
    }

    pub(crate) fn write(&mut self, changes: Changes) -> Result<(), InventoryError> {
        let Changes {
            levels,
            reservations,
            movements,
        } = changes;
        for level in levels {
            self.write_level(&level.after)?;
        }
        for reservation in reservations {
            self.write_reservation(reservation)?;
        }
        for movement in movements {
            self.write_movement(&movement)?;
        }
        Ok(())
    }

    fn write_level(&mut self, level: &StockLevel) -> Result<(), InventoryError> {
        let key = (level.sku.as_str(), level.location.as_str());
        self.levels
            .insert(key, encode(level).as_slice())
            .map_err(failed("write"))?;
        self.unpublished
            .insert(level.sku.as_str(), ())
            .map_err(failed("write"))?;
        Ok(())
    }

    fn write_reservation(
        &mut self,
        reservation: Changed<Reservation>,
    ) -> Result<(), InventoryError> {
        let Changed { before, after } = reservation;
        let id = after.id.as_str();
        if let Some(before) = before {
            let key = (before.deadline.as_micros(), id);
            self.deadlines.remove(key).map_err(failed("write"))?;
        }
        if after.state == ReservationState::Held {
            let key = (after.deadline.as_micros(), id);
            self.deadlines.insert(key, ()).map_err(failed("write"))?;
        }
        if !after.state.is_live() {
            let key = (after.changed_at.as_micros(), id);
            self.finished.insert(key, ()).map_err(failed("write"))?;
        }
        self.reservations
            .insert(id, encode(&after).as_slice())
            .map_err(failed("write"))?;
        Ok(())
    }

    fn write_movement(&mut self, movement: &Movement) -> Result<(), InventoryError> {
        let sku = movement.sku.as_str();
        let last = {
            let mut all = self
                .movements
                .range((sku, 0)..=(sku, u64::MAX))
                .map_err(failed("write"))?;
            all.next_back()
                .transpose()
                .map_err(failed("write"))?
                .map(|(key, _)| key.value().1)
        };
        let index = last.map_or(0, |last| last + 1);
        self.movements
            .insert((sku, index), encode(movement).as_slice())
            .map_err(failed("write"))?;
        if let MovementCause::Adjusted { operation, .. } = &movement.cause {
            let place = (sku, index);
            self.operations
                .insert(operation.as_str(), place)
                .map_err(failed("write"))?;
        }
        Ok(())
    }

    pub(crate) fn mark_published(
        &mut self,
        published: &[(Sku, Version)],
    ) -> Result<(), InventoryError> {
        for (sku, version) in published {
            let now = stock(&self.levels, sku)?.map(|stock| stock.version());
            if now.is_some_and(|now| now <= *version) {
                self.unpublished
                    .remove(sku.as_str())
                    .map_err(failed("mark_published"))?;
            }
        }
        Ok(())
    }
}

/// The rows at one moment.
pub(crate) struct Snapshot {
    levels: ReadOnlyTable<(&'static str, &'static str), Json>,
    reservations: ReadOnlyTable<&'static str, Json>,
    movements: ReadOnlyTable<(&'static str, u64), Json>,
    unpublished: ReadOnlyTable<&'static str, ()>,
    epoch: ReadOnlyTable<(), u32>,
}

impl Snapshot {
    pub(crate) fn open(transaction: &ReadTransaction) -> Result<Self, InventoryError> {
        let failed = failed("read");
        Ok(Self {
            levels: transaction.open_table(LEVELS).map_err(&failed)?,
            reservations: transaction.open_table(RESERVATIONS).map_err(&failed)?,
            movements: transaction.open_table(MOVEMENTS).map_err(&failed)?,
            unpublished: transaction.open_table(UNPUBLISHED).map_err(&failed)?,
            epoch: transaction.open_table(EPOCH).map_err(&failed)?,
        })
    }

    pub(crate) fn epoch(&self) -> Result<u32, InventoryError> {
        epoch(&self.epoch)
    }

    pub(crate) fn stock(&self, sku: &Sku) -> Result<Option<SkuStock>, InventoryError> {
        stock(&self.levels, sku)
    }

    /// The stock of SKUs in order, put together from the levels that stand side by side.
    pub(crate) fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let mut found = Vec::new();
        let mut one: Vec<StockLevel> = Vec::new();
        let start = following(after);
        let all = self.levels.range((start.as_str(), "")..);
        for entry in all.map_err(failed("scan"))? {
            let (_, json) = entry.map_err(failed("scan"))?;
            let level: StockLevel = decode(json.value())?;
            if one.first().is_some_and(|first| first.sku != level.sku) {
                found.push(SkuStock::new(std::mem::take(&mut one))?);
                if found.len() == limit.get() {
                    let next = found.last().map(|last| cursor(last.sku()));
                    return Ok(StockPage::new(found, next));
                }
            }
            one.push(level);
        }
        if !one.is_empty() {
            found.push(SkuStock::new(one)?);
        }
        Ok(StockPage::new(found, None))
    }

    pub(crate) fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let start = following(after);
        let all = self.unpublished.range(start.as_str()..);
        let mut all = all.map_err(failed("unpublished"))?;
        let mut found = Vec::new();
        for entry in all.by_ref().take(limit.get()) {
            let (key, _) = entry.map_err(failed("unpublished"))?;
            found.extend(self.stock(&Sku::new(key.value())?)?);
        }
        let next = all.next().and(found.last()).map(|last| cursor(last.sku()));
        Ok(StockPage::new(found, next))
    }

    pub(crate) fn reservation(
        &self,
        id: &ReservationId,
    ) -> Result<Option<Reservation>, InventoryError> {
        get(&self.reservations, id.as_str())
    }

    pub(crate) fn movements(
        &self,
        sku: &Sku,
        start: u64,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        let range = (sku.as_str(), start)..=(sku.as_str(), u64::MAX);
        let mut rest = self.movements.range(range).map_err(failed("movements"))?;
        let mut page = Vec::new();
        for entry in rest.by_ref().take(limit.get()) {
            let (_, json) = entry.map_err(failed("movements"))?;
            page.push(decode(json.value())?);
        }
        let next = rest.next().transpose().map_err(failed("movements"))?;
        Ok(MovementPage::new(
            page,
            next.map(|(key, _)| Cursor(key.value().1.to_string())),
        ))
    }
}

/// A listing goes on after the SKU that it ended with.
fn cursor(last: &Sku) -> Cursor {
    Cursor(last.to_string())
}

/// The first key after all of a SKU: no SKU has a control character in it.
fn following(after: Option<&Cursor>) -> String {
    after.map_or(String::new(), |last| format!("{last}\0"))
}

fn levels(
    table: &impl ReadableTable<(&'static str, &'static str), Json>,
    sku: &Sku,
) -> Result<Vec<StockLevel>, InventoryError> {
    // A SKU has no control characters, so this is the first key after all of its own.
    let end = format!("{sku}\0");
    let mut levels = Vec::new();
    let all = table
        .range((sku.as_str(), "")..(end.as_str(), ""))
        .map_err(failed("read"))?;
    for entry in all {
        let (_, json) = entry.map_err(failed("read"))?;
        levels.push(decode(json.value())?);
    }
    Ok(levels)
}

fn stock(
    table: &impl ReadableTable<(&'static str, &'static str), Json>,
    sku: &Sku,
) -> Result<Option<SkuStock>, InventoryError> {
    let levels = levels(table, sku)?;
    if levels.is_empty() {
        Ok(None)
    } else {
        SkuStock::new(levels).map(Some)
    }
}

fn epoch(table: &impl ReadableTable<(), u32>) -> Result<u32, InventoryError> {
    let epoch = table.get(()).map_err(failed("read"))?;
    Ok(epoch.map_or(0, |epoch| epoch.value()))
}

fn get<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static str, Json>,
    key: &str,
) -> Result<Option<T>, InventoryError> {
    match table.get(key).map_err(failed("read"))? {
        Some(json) => decode(json.value()).map(Some),
        None => Ok(None),
    }
}

pub(crate) fn encode(row: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(row).expect("rows are made of strings and numbers")
}

pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, InventoryError> {
    serde_json::from_slice(json).map_err(|error| {
        let row = String::from_utf8_lossy(json);
        InventoryError::Damaged {
            what: format!("a row can't be read: {error}: {row}"),
        }
    })
}
