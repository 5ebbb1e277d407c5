//! A store built on the book, as an adapter is, that can be told to break one rule.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Clock, Failure, Timestamp};
use stockade_inventory_core::book::Book;
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, Reservation, ReservationId, ReservationState, ReserveRequest, Reserved, Rest,
    Sku, SkuStock, StockPage, StockSource, Sweep, TransitionRequest, Transitioned,
};

use super::rows::{Levels, Rows, load_levels};

/// The rule that a store breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// None. It keeps all rules.
    None,
    /// None, but a call that has a limit does two things at most.
    SmallSteps,

    /// Decides on rows that others change before it writes.
    OversellsUnderConcurrency,
    /// Does not look for the id of a request.
    ForgetsIds,
    /// Looks at the stock first, and for the id only where there is enough.
    RefusesTheWinner,
    /// Expires what has expired.
    CompensatesTwice,
    /// Expires an overdue reservation that is released.
    ExpiresLateReleases,
    /// Goes by the first deadline.
    ExpiresTheExtended,
    /// Does not look for the id of an adjustment.
    ReceivesTwice,
    /// Reads the clock, and then waits for the lock.
    ReadsTheClockFirst,
    /// Keeps times in milliseconds.
    KeepsMilliseconds,
    /// A sweep expires rows as they were when it found them.
    SweepsStaleRows,
    /// Finds the overdue by an index that keeps the deadlines of the past.
    KeepsOldDeadlines,
    /// Commits, and answers that nothing took effect.
    FailsAfterTheCommit,
    /// Takes at most 1,000 values in a call, as databases do in a statement.
    TakesAThousand,
    /// Takes at most 10 lines in a request.
    TakesTenLines,
    /// Does two things in a call, and says that nothing is left.
    SaysNothingIsLeft,
    /// Says that there is more whatever is left.
    AlwaysSaysMore,
    /// A damaged reservation takes a place in a sweep.
    DamageTakesPlaces,
    /// A damaged reservation fails the whole batch.
    DamageFailsAll,
    /// A damaged level fails the whole batch.
    DamagedLevelsFailAll,
    /// Keeps the levels that it has read, and decides on them.
    KeepsLevels,

    /// Purges what is confirmed.
    PurgesTheConfirmed,
    /// Purges by the age of the grant.
    PurgesByTheGrant,
    /// Removes old movements without an opening balance.
    LeavesNoBalance,
    /// An opening balance of the physical count alone.
    ForgetsThePromised,
    /// One opening balance for all locations.
    MixesLocations,
    /// Purges all there is.
    IgnoresTheLimit,
    /// A purge moves what a cursor names.
    MovesCursors,
    /// Keeps a row that is exactly as old as it has to be for a purge.
    KeepsTheExact,
    /// Numbers movements by their count, which it determines when it is opened.
    NumbersByCount,

    /// Marks a SKU as published, whatever the version.
    ForgetsVersions,
    /// Compares a mark with the versions of the levels, and not of the SKU.
    MarksByLevel,
    /// Takes a SKU out of the outbox when it is read.
    TakesWhatIsRead,
    /// Reads `complete_as_of` after the snapshot.
    CompleteAfterTheSnapshot,
    /// Subtracts more from `complete_as_of` than the harness says.
    StaysBehind,
    /// Stamps changes by a clock that is behind that of `complete_as_of`.
    ClocksDiffer,
    /// Writes a change, and then in a second transaction its SKU into the outbox.
    MarksInASecondTransaction,
    /// Keeps all rows in memory.
    KeepsNothing,
    /// Empties the outbox when it is opened.
    EmptiesTheOutbox,

    /// Writes levels and movements in epoch 0.
    IgnoresTheEpoch,
    /// Raises the epoch of the levels, and publishes nothing again.
    RaisesSilently,
    /// Raises the epoch, and then in a second transaction puts the SKUs into the outbox.
    RaisesInTwoSteps,
    /// Names epoch 0 in the pages of the outbox.
    PublishesEpochZero,
    /// Takes a mark by its number, whatever its epoch.
    MarksIgnoreTheEpoch,
    /// Keeps the epoch in memory.
    ForgetsTheEpoch,

    /// Writes its file a moment after the answer.
    AnswersBeforeItWrites,
}

/// How far the clock of a store with a margin is behind.
pub(super) const MARGIN: Duration = Duration::from_millis(300);

pub(super) struct FlawedStore {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) flaw: Flaw,
    /// The clock that stamps changes is behind by this much.
    pub(super) behind: Duration,
    /// Subtracted from `complete_as_of`.
    pub(super) margin: Duration,
    rows: Arc<Mutex<Rows>>,
    /// Where the rows are kept; in memory only without one.
    file: Option<PathBuf>,
    /// The levels that this process has read.
    kept: Mutex<Option<Levels>>,
    calls: AtomicUsize,
}

impl FlawedStore {
    pub(super) fn new(clock: Arc<dyn Clock>, flaw: Flaw, rows: Rows) -> Self {
        Self {
            clock,
            flaw,
            behind: Duration::ZERO,
            margin: Duration::ZERO,
            rows: Arc::new(Mutex::new(rows)),
            file: None,
            kept: Mutex::default(),
            calls: AtomicUsize::new(0),
        }
    }

    /// Over the rows in a file, which every change writes.
    pub(super) fn in_file(clock: Arc<dyn Clock>, flaw: Flaw, file: PathBuf) -> Self {
        let rows = std::fs::read(&file).map_or_else(
            |_| Rows::default(),
            |json| serde_json::from_slice(&json).unwrap(),
        );
        let store = Self::new(clock, flaw, rows);
        Self {
            file: Some(file),
            ..store
        }
    }

    /// The same rows in another process.
    pub(super) fn second(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            ..Self::new(self.clock.clone(), self.flaw, Rows::default())
        }
    }

    pub(super) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    /// The time that stamps changes.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().minus(self.behind)
    }

    pub(super) fn epoch(&self, rows: &Rows) -> u32 {
        match self.flaw {
            Flaw::IgnoresTheEpoch => 0,
            _ => rows.epoch,
        }
    }

    /// How much a call with a limit does.
    pub(super) fn step(&self, limit: NonZeroUsize) -> usize {
        match self.flaw {
            Flaw::SmallSteps | Flaw::SaysNothingIsLeft => limit.get().min(2),
            Flaw::IgnoresTheLimit => usize::MAX,
            _ => limit.get(),
        }
    }

    /// What a call says is left.
    pub(super) fn rest(&self, work_is_left: bool) -> Rest {
        match self.flaw {
            Flaw::SaysNothingIsLeft => Rest::None,
            Flaw::AlwaysSaysMore => Rest::More,
            _ => Rest::more_if(work_is_left),
        }
    }

    /// Keeps the rows in the file.
    pub(super) fn save(&self, rows: &Rows) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let json = serde_json::to_vec(rows).unwrap();
        // Late writes overlap, so each has a file of its own.
        static WRITES: AtomicUsize = AtomicUsize::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let write = move || {
            let fresh = file.with_extension(format!("fresh-{number}"));
            std::fs::write(&fresh, json)?;
            std::fs::rename(fresh, file)
        };
        if self.flaw == Flaw::AnswersBeforeItWrites {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                write()
            });
        } else {
            write().unwrap();
        }
    }

    /// Loads rows, decides on them, and writes what changed.
    async fn change<T>(
        &self,
        load: impl FnOnce(&Rows, Timestamp, u32) -> Book,
        decide: impl FnOnce(&mut Book) -> T,
    ) -> Result<T, InventoryError> {
        let early = self.now();
        if self.flaw == Flaw::ReadsTheClockFirst {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (outcome, changed) = {
            let mut rows = self.rows();
            let now = match self.flaw {
                Flaw::ReadsTheClockFirst => early,
                _ => self.now(),
            };
            let mut book = load(&rows, now, self.epoch(&rows));
            let outcome = decide(&mut book);
            (outcome, self.write(&mut rows, book))
        };
        if self.flaw == Flaw::MarksInASecondTransaction && !changed.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let mut rows = self.rows();
            rows.unpublished.extend(changed);
            self.save(&rows);
        }
        if self.flaw == Flaw::FailsAfterTheCommit
            && self.calls.fetch_add(1, Ordering::Relaxed) % 3 == 2
        {
            let pause = Duration::from_millis(1);
            return Err(Failure::unavailable("test", pause, "the connection broke").into());
        }
        Ok(outcome)
    }

    /// Writes what changed, and returns the SKUs that are still to come into the outbox.
    fn write(&self, rows: &mut Rows, book: Book) -> std::collections::BTreeSet<Sku> {
        let mut changes = book.into_changes();
        if self.flaw == Flaw::KeepsMilliseconds {
            for reservation in &mut changes.reservations {
                let after = &mut reservation.after;
                after.deadline = whole_millis(after.deadline);
                after.created_at = whole_millis(after.created_at);
                after.changed_at = whole_millis(after.changed_at);
            }
        }
        if self.flaw == Flaw::KeepsLevels
            && let Some(kept) = &mut *self.kept.lock().unwrap()
        {
            for level in &changes.levels {
                let after = level.after.clone();
                let at = kept.entry(after.sku.clone()).or_default();
                at.insert(after.location.clone(), after);
            }
        }
        let mut changed = rows.write(changes);
        if self.flaw != Flaw::MarksInASecondTransaction {
            rows.unpublished.append(&mut changed);
        }
        self.save(rows);
        changed
    }

    /// All rows, as the flaw has them.
    fn load(&self, rows: &Rows, now: Timestamp, epoch: u32) -> Book {
        match self.flaw {
            Flaw::ForgetsIds => rows.levels_only(now, epoch),
            Flaw::ReceivesTwice => {
                let mut book = rows.levels_only(now, epoch);
                rows.load_reservations(&mut book);
                book
            }
            Flaw::KeepsLevels => {
                let mut kept = self.kept.lock().unwrap();
                let mut book = rows.blank(now, epoch);
                load_levels(&mut book, kept.get_or_insert_with(|| rows.levels.clone()));
                rows.load_reservations(&mut book);
                rows.load_operations(&mut book);
                book
            }
            _ => rows.book(now, epoch),
        }
    }

    async fn decide<T>(&self, decide: impl FnOnce(&mut Book) -> T) -> Result<T, InventoryError> {
        let load = |rows: &Rows, now, epoch| self.load(rows, now, epoch);
        self.change(load, decide).await
    }

    async fn reserve_unlocked(&self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        let mut book = self.rows().book(self.now(), 0);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let reserved = book.reserve(request);
        self.write(&mut self.rows(), book);
        reserved
    }

    async fn reserve_one(&self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        match self.flaw {
            Flaw::OversellsUnderConcurrency => return self.reserve_unlocked(request).await,
            Flaw::RefusesTheWinner => {
                let mut fresh = self.rows().levels_only(self.now(), 0);
                if let Err(short @ InventoryError::Insufficient { .. }) = fresh.reserve(request) {
                    return Err(short);
                }
            }
            Flaw::TakesTenLines if request.lines.as_slice().len() > 10 => {
                return Err(InventoryError::invalid("lines", "", "at most 10"));
            }
            _ => {}
        }
        self.decide(|book| book.reserve(request)).await?
    }

    fn take(&self, operation: &'static str, values: usize) -> Result<(), InventoryError> {
        if self.flaw == Flaw::TakesAThousand && values > 1_000 {
            return Err(Failure::refused(operation, "too many values in a statement").into());
        }
        Ok(())
    }
}

fn whole_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros() / 1_000 * 1_000)
}

fn damaged(id: &ReservationId) -> InventoryError {
    let what = format!("reservation {id} can not be read");
    InventoryError::Damaged { what }
}

/// Expiring.
impl FlawedStore {
    /// A reservation as the flaw has it when it should expire.
    fn as_expiry_sees_it(&self, rows: &Rows, mut reservation: Reservation) -> Reservation {
        match self.flaw {
            Flaw::CompensatesTwice if reservation.state == ReservationState::Expired => {
                reservation.state = ReservationState::Held;
            }
            Flaw::ExpiresTheExtended => {
                reservation.deadline = rows.first_deadlines[&reservation.id];
            }
            _ => {}
        }
        reservation
    }

    fn expire_one(&self, rows: &mut Rows, id: &ReservationId) -> Result<Expiry, InventoryError> {
        if rows.damaged.contains(id) {
            return Err(damaged(id));
        }
        if rows
            .reservations
            .get(id)
            .is_some_and(|it| rows.needs_damaged(it))
        {
            return Err(damaged(id));
        }
        let found = rows.reservations.get(id).cloned();
        let found = found.map(|found| self.as_expiry_sees_it(rows, found));
        self.expire_as(rows, id, found)
    }

    fn expire_as(
        &self,
        rows: &mut Rows,
        id: &ReservationId,
        found: Option<Reservation>,
    ) -> Result<Expiry, InventoryError> {
        let mut book = rows.levels_only(self.now(), self.epoch(rows));
        if let Some(reservation) = found {
            book.load_reservation(reservation);
        }
        let expiry = book.expire(id);
        self.write(rows, book);
        expiry
    }

    /// The overdue ones, the longest overdue first.
    fn overdue(&self, rows: &Rows) -> Vec<Reservation> {
        let now = self.now();
        let sorted_by = |reservation: &Reservation| match self.flaw {
            Flaw::KeepsOldDeadlines => rows.first_deadlines[&reservation.id],
            _ => reservation.deadline,
        };
        let all = rows.reservations.values().cloned();
        let mut overdue: Vec<Reservation> = all
            .map(|reservation| self.as_expiry_sees_it(rows, reservation))
            .filter(|reservation| match self.flaw {
                Flaw::KeepsOldDeadlines => sorted_by(reservation) <= now,
                _ => reservation.is_overdue(now),
            })
            .collect();
        overdue.sort_by_key(|reservation| (sorted_by(reservation), reservation.id.clone()));
        overdue
    }

    fn sweep(&self, rows: &mut Rows, overdue: Vec<Reservation>, limit: NonZeroUsize) -> Sweep {
        let step = self.step(limit);
        let (mut expired, mut errors) = (Vec::new(), Vec::new());
        let mut overdue = overdue.into_iter();
        while expired.len() < step
            && let Some(found) = overdue.next()
        {
            let outcome = match self.flaw {
                Flaw::SweepsStaleRows => self.expire_as(rows, &found.id.clone(), Some(found)),
                _ => self.expire_one(rows, &found.id),
            };
            match outcome {
                Ok(Expiry::Expired(reservation)) => expired.push(Ok(reservation)),
                // It takes a place, and nothing comes of it.
                Ok(_) if self.flaw == Flaw::KeepsOldDeadlines => break,
                Ok(_) => {}
                Err(error) => errors.push(Err(error)),
            }
            if self.flaw == Flaw::DamageTakesPlaces && expired.len() + errors.len() == step {
                break;
            }
        }
        let work_is_left =
            overdue.any(|it| !rows.damaged.contains(&it.id) && !rows.needs_damaged(&it));
        errors.truncate(limit.get().saturating_sub(expired.len()));
        expired.extend(errors);
        Sweep::new(expired, self.rest(work_is_left))
    }
}

#[async_trait]
impl StockSource for FlawedStore {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.take("stock", skus.len())?;
        let rows = self.rows();
        if self.flaw == Flaw::KeepsLevels {
            let mut kept = self.kept.lock().unwrap();
            let levels = kept.get_or_insert_with(|| rows.levels.clone());
            let stock = |sku| Some(levels.get(sku)?.values().cloned().collect());
            let stock = skus
                .iter()
                .map(|sku| stock(sku).map(SkuStock::new).transpose());
            return stock.collect();
        }
        Ok(skus.iter().map(|sku| rows.stock(sku)).collect())
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let rows = self.rows();
        let following = rows
            .levels
            .keys()
            .filter(|sku| after.is_none_or(|last| sku.as_str() > last.0.as_str()));
        let page = following
            .take(limit.get())
            .filter_map(|sku| rows.stock(sku));
        let page: Vec<SkuStock> = page.collect();
        let full = page.len() == limit.get();
        let last = page.last().filter(|_| full);
        let next = last.map(|last| Cursor(last.sku().to_string()));
        Ok(StockPage::new(page, next))
    }
}

#[async_trait]
impl InventoryStore for FlawedStore {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        self.take("reserve", requests.len())?;
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            outcomes.push(self.reserve_one(request).await);
        }
        Ok(outcomes)
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        if self.flaw == Flaw::ExpiresLateReleases {
            self.expire_one(&mut self.rows(), &request.id)?;
        }
        self.decide(|book| book.transition(request)).await?
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.decide(|book| book.extend(request)).await?
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        self.take("expire", ids.len())?;
        let mut rows = self.rows();
        if self.flaw == Flaw::DamageFailsAll
            && let Some(id) = ids.iter().find(|id| rows.damaged.contains(*id))
        {
            return Err(damaged(id));
        }
        if self.flaw == Flaw::DamagedLevelsFailAll {
            let reservations = ids.iter().filter_map(|id| rows.reservations.get(id));
            rows.undamaged(reservations)?;
        }
        let ids = ids.iter();
        Ok(ids.map(|id| self.expire_one(&mut rows, id)).collect())
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        let found = self.overdue(&self.rows());
        if self.flaw == Flaw::DamagedLevelsFailAll {
            self.rows().undamaged(found.iter())?;
        }
        if self.flaw == Flaw::SweepsStaleRows {
            tokio::time::sleep(Duration::from_millis(8)).await;
            return Ok(self.sweep(&mut self.rows(), found, limit));
        }
        let mut rows = self.rows();
        let found = self.overdue(&rows);
        Ok(self.sweep(&mut rows, found, limit))
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        let mut outcomes = Vec::with_capacity(adjustments.len());
        for adjustment in adjustments {
            let adjusted = self.decide(|book| book.adjust(adjustment)).await;
            outcomes.push(adjusted.and_then(|adjusted| adjusted));
        }
        Ok(outcomes)
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let rows = self.rows();
        if rows.damaged.contains(id) {
            return Err(damaged(id));
        }
        let unknown = || InventoryError::UnknownReservation { id: id.clone() };
        rows.reservations.get(id).cloned().ok_or_else(unknown)
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        let rows = self.rows();
        let position = |cursor: &Cursor| {
            let position = cursor.0.parse().ok().filter(|it| *it <= rows.end());
            position.ok_or_else(|| {
                let reason = "it must come from an earlier page";
                InventoryError::invalid("cursor", &cursor.0, reason)
            })
        };
        let start = after.map_or(Ok(0), position)?;
        let rest = rows.movements.range(start..);
        let mut rest = rest.filter(|(_, movement)| movement.sku == *sku);
        let page = rest.by_ref().take(limit.get());
        let page = page.map(|(_, movement)| movement.clone()).collect();
        let next = rest
            .next()
            .map(|(position, _)| Cursor(position.to_string()));
        Ok(MovementPage::new(page, next))
    }
}
