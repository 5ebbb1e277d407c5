//! What was answered, and what is there.

use std::collections::{BTreeMap, HashMap, HashSet};

use stockade_inventory_core::{
    Delta, InventoryError, InventoryStore, Movement, MovementCause, OperationId, Reservation,
    ReservationId, ReservationState, Sku, SkuStock, StockChange,
};

use crate::calls::{Answer, Call, Step};
use crate::check::Findings;
use crate::check::ledger::Ledger;
use crate::history::{Entry, last_answers};

pub(super) async fn check(
    history: &[Entry],
    ledger: &Ledger,
    store: &dyn InventoryStore,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    for entry in history {
        if let Answer::Senseless(answer) = &entry.answer {
            findings.add(format!("{:?} was answered: {answer}", entry.call));
        }
    }
    let asked = Asked::of(history);
    for (call, answer) in &asked.last {
        findings.expect(!matches!(answer, Answer::Unknown(_)), || {
            format!("{call:?} was never resolved")
        });
    }
    adjustments(&asked, ledger, findings);
    let movements = ledger.by_reservation();
    for (id, moved) in &movements {
        findings.expect(asked.lines.contains_key(id), || {
            format!("nobody asked for reservation {id}, and there is {moved:?}")
        });
    }
    let mut promised: BTreeMap<Sku, u64> = BTreeMap::new();
    for (id, lines) in &asked.lines {
        let found = find(store, id).await?;
        let moved = movements.get(id).map_or(&[][..], Vec::as_slice);
        answers(&asked, id, lines, found.as_ref(), findings);
        steps(id, found.as_ref(), moved, findings);
        for line in found
            .iter()
            .filter(|it| it.state.is_live())
            .flat_map(|it| &it.lines)
        {
            *promised.entry(line.sku.clone()).or_default() += line.quantity.get();
        }
    }
    for account in ledger.accounts() {
        let reserved = account.stock.as_ref().map_or(0, SkuStock::reserved);
        let promised = promised.get(&account.sku).copied().unwrap_or(0);
        findings.expect(reserved == promised, || {
            format!(
                "{}: {reserved} reserved, {promised} in live reservations",
                account.sku
            )
        });
    }
    Ok(())
}

struct Asked<'a> {
    last: HashMap<&'a Call, &'a Answer>,
    done: HashSet<&'a Call>,
    lines: HashMap<&'a ReservationId, &'a [(Sku, u64)]>,
}

impl<'a> Asked<'a> {
    fn of(history: &'a [Entry]) -> Self {
        let done = history.iter().filter(|entry| entry.answer == Answer::Done);
        let lines = history.iter().filter_map(|entry| match &entry.call {
            Call::Reserve { id, lines } => Some((id, lines.as_slice())),
            _ => None,
        });
        Self {
            last: last_answers(history),
            done: done.map(|entry| &entry.call).collect(),
            lines: lines.collect(),
        }
    }

    fn steps_done(&self, id: &ReservationId) -> impl Iterator<Item = Step> {
        let steps = [Step::Confirm, Step::Release, Step::Cancel, Step::Fulfil];
        steps.into_iter().filter(|step| {
            let (id, step) = (id.clone(), *step);
            self.done.contains(&Call::Go { id, step })
        })
    }
}

fn adjustments(asked: &Asked<'_>, ledger: &Ledger, findings: &mut Findings) {
    let mut movements = ledger.by_operation();
    for call in asked.last.keys() {
        let Call::Receive {
            operation,
            sku,
            units,
        } = call
        else {
            continue;
        };
        let moved = movements.remove(operation).unwrap_or_default();
        let right = |movement: &&Movement| movement.sku == *sku && received(movement) == *units;
        let whole = moved.len() == usize::from(asked.done.contains(*call));
        findings.expect(whole && moved.iter().all(right), || {
            format!(
                "{call:?} was answered {:?}, and did {moved:?}",
                asked.last[*call]
            )
        });
    }
    let unasked: Vec<&&OperationId> = movements.keys().collect();
    findings.expect(unasked.is_empty(), || {
        format!("nobody asked for {unasked:?}")
    });
}

fn received(movement: &Movement) -> u64 {
    match &movement.cause {
        MovementCause::Adjusted {
            change: StockChange::Receive(units),
            ..
        } if movement.delta == physical(units.get()) => units.get(),
        _ => 0,
    }
}

/// The reservation against the answers.
fn answers(
    asked: &Asked<'_>,
    id: &ReservationId,
    lines: &[(Sku, u64)],
    found: Option<&Reservation>,
    findings: &mut Findings,
) {
    let call = Call::Reserve {
        id: id.clone(),
        lines: lines.to_vec(),
    };
    let acknowledged = asked.done.contains(&call);
    let Some(found) = found else {
        return findings.expect(!acknowledged, || {
            format!("reservation {id} was acknowledged, and is gone")
        });
    };
    findings.expect(acknowledged, || {
        format!("reservation {id} was refused, and is {}", found.state)
    });
    let sorted = |mut lines: Vec<(Sku, u64)>| {
        lines.sort_unstable();
        lines
    };
    let granted = found
        .lines
        .iter()
        .map(|line| (line.sku.clone(), line.quantity.get()));
    let granted = sorted(granted.collect());
    findings.expect(granted == sorted(lines.to_vec()), || {
        format!("reservation {id} was for {lines:?}, and is for {granted:?}")
    });
    for step in asked.steps_done(id) {
        findings.expect(follows(step, found.state), || {
            format!(
                "reservation {id} was acknowledged to {step:?}, and is {}",
                found.state
            )
        });
    }
    let went = [
        (ReservationState::Released, Step::Release),
        (ReservationState::Cancelled, Step::Cancel),
        (ReservationState::Fulfilled, Step::Fulfil),
        (ReservationState::Confirmed, Step::Confirm),
    ];
    let step = went.into_iter().find(|(state, _)| *state == found.state);
    let done = step.is_none_or(|(_, step)| asked.steps_done(id).any(|done| done == step));
    findings.expect(done, || {
        format!(
            "reservation {id} is {}, which was not acknowledged",
            found.state
        )
    });
}

/// Whether a reservation that took a step can be in a state.
fn follows(step: Step, state: ReservationState) -> bool {
    match step {
        Step::Confirm => matches!(
            state,
            ReservationState::Confirmed | ReservationState::Fulfilled | ReservationState::Cancelled
        ),
        Step::Release => state == ReservationState::Released,
        Step::Cancel => state == ReservationState::Cancelled,
        Step::Fulfil => state == ReservationState::Fulfilled,
    }
}

/// The reservation against its movements: each step once, for all of its lines.
fn steps(
    id: &ReservationId,
    found: Option<&Reservation>,
    moved: &[&Movement],
    findings: &mut Findings,
) {
    let mut expected = Vec::new();
    if let Some(found) = found {
        for line in &found.lines {
            let units = i64::try_from(line.quantity.get()).unwrap_or(i64::MAX);
            let mut step = |name, physical, reserved| {
                let delta = Delta {
                    physical,
                    reserved,
                    escrowed: 0,
                };
                expected.push((name, line.sku.clone(), delta));
            };
            step("reserved", 0, units);
            match found.state {
                ReservationState::Held | ReservationState::Confirmed => {}
                ReservationState::Fulfilled => step("fulfilled", -units, -units),
                state => step(state.as_str(), 0, -units),
            }
        }
    }
    let mut moves: Vec<_> = moved
        .iter()
        .map(|it| (cause(&it.cause), it.sku.clone(), it.delta))
        .collect();
    let order = |(name, sku, _): &(&'static str, Sku, Delta)| (*name, sku.clone());
    expected.sort_by_key(order);
    moves.sort_by_key(order);
    findings.expect(moves == expected, || {
        let state = found.map_or("gone", |found| found.state.as_str());
        format!("reservation {id} is {state}, half done: {moves:?}")
    });
}

fn cause(cause: &MovementCause) -> &'static str {
    match cause {
        MovementCause::Reserved(_) => "reserved",
        MovementCause::Released(_) => "released",
        MovementCause::Expired(_) => "expired",
        MovementCause::Cancelled(_) => "cancelled",
        MovementCause::Fulfilled(_) => "fulfilled",
        MovementCause::Adjusted { .. } => "adjusted",
        MovementCause::OpeningBalance => "opening balance",
    }
}

fn physical(units: u64) -> Delta {
    Delta {
        physical: i64::try_from(units).unwrap_or(i64::MAX),
        reserved: 0,
        escrowed: 0,
    }
}

async fn find(
    store: &dyn InventoryStore,
    id: &ReservationId,
) -> Result<Option<Reservation>, InventoryError> {
    match store.reservation(id).await {
        Ok(found) => Ok(Some(found)),
        Err(InventoryError::UnknownReservation { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
