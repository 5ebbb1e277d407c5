//! The levels, and the movements that made them.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use stockade_inventory_core::{
    Counts, InventoryStore, Movement, MovementCause, OperationId, ReservationId, Sku, SkuStock,
    Version,
};

use crate::check::Findings;

const PAGE: NonZeroUsize = NonZeroUsize::new(500).expect("it is not 0");

pub(super) struct Ledger {
    skus: Vec<Account>,
}

pub(super) struct Account {
    pub(super) sku: Sku,
    pub(super) stock: Option<SkuStock>,
    pub(super) movements: Vec<Movement>,
}

impl Ledger {
    pub(super) async fn read(store: &dyn InventoryStore, skus: &[Sku]) -> anyhow::Result<Self> {
        let stock = store.stock(skus).await?;
        let mut accounts = Vec::new();
        for (sku, stock) in skus.iter().zip(stock) {
            let movements = movements(store, sku).await?;
            let sku = sku.clone();
            accounts.push(Account {
                sku,
                stock,
                movements,
            });
        }
        Ok(Self { skus: accounts })
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.skus.iter()
    }

    pub(super) fn check(&self, findings: &mut Findings) {
        for account in &self.skus {
            account.check(findings);
        }
    }

    /// All movements of each reservation.
    pub(super) fn by_reservation(&self) -> HashMap<&ReservationId, Vec<&Movement>> {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for movement in self.movements() {
            if let Some(id) = reservation(&movement.cause) {
                found.entry(id).or_default().push(movement);
            }
        }
        found
    }

    /// All movements of each adjustment.
    pub(super) fn by_operation(&self) -> HashMap<&OperationId, Vec<&Movement>> {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for movement in self.movements() {
            if let MovementCause::Adjusted { operation, .. } = &movement.cause {
                found.entry(operation).or_default().push(movement);
            }
        }
        found
    }

    fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.skus.iter().flat_map(|account| &account.movements)
    }
}

impl Account {
    /// What was available at each version, as the movements tell it.
    pub(super) fn available(&self) -> HashMap<Version, u64> {
        let mut counts = Counts::default();
        let mut available = HashMap::new();
        for movement in &self.movements {
            counts = counts.after(movement.delta).unwrap_or_default();
            available.insert(movement.version, counts.available());
        }
        available
    }

    fn check(&self, findings: &mut Findings) {
        let sku = &self.sku;
        let mut counts = Counts::default();
        let mut version = None;
        for movement in &self.movements {
            findings.expect(version < Some(movement.version), || {
                format!(
                    "{sku}: version {:?} comes after {version:?}",
                    movement.version
                )
            });
            version = Some(movement.version);
            match counts.after(movement.delta) {
                Some(after) => counts = after,
                None => findings.add(format!("{sku}: oversold: {counts:?} and then {movement:?}")),
            }
        }
        let there = self.stock.as_ref().and_then(|stock| stock.levels().first());
        let told = (!self.movements.is_empty()).then_some((counts, version));
        let there = there.map(|level| (level.counts, Some(level.version)));
        findings.expect(there == told, || {
            format!("{sku}: the level is {there:?}, and the movements make {told:?}")
        });
    }
}

async fn movements(store: &dyn InventoryStore, sku: &Sku) -> anyhow::Result<Vec<Movement>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.movements(sku, after.as_ref(), PAGE).await?;
        all.extend(page.movements);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn reservation(cause: &MovementCause) -> Option<&ReservationId> {
    match cause {
        MovementCause::Reserved(id)
        | MovementCause::Released(id)
        | MovementCause::Expired(id)
        | MovementCause::Cancelled(id)
        | MovementCause::Fulfilled(id) => Some(id),
        MovementCause::Adjusted { .. } | MovementCause::OpeningBalance => None,
    }
}
