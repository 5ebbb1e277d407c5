//! The server hangs, with its connections open.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chaos::{Commits, Site};
use stack::Server as _;
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    ActingFor, Adjustment, Inventory, InventoryError, InventoryStore as _, Line, Lines,
    OperationId, OwnerId, Quantity, Reason, ReservationId, ReserveRequest, Sku, StockChange,
    StockOutbox as _, StockSource as _, Transition, TransitionRequest,
};
use stockade_postgres::Timeouts;

use crate::server::server;

/// What calls are given here, whatever they do.
const PATIENCE: Duration = Duration::from_millis(500);
/// Far more than that, and far less than for ever.
const FAR_TOO_LONG: Duration = Duration::from_secs(30);

fn only<T>(mut outcomes: Vec<Result<T, InventoryError>>) -> Result<T, InventoryError> {
    outcomes.remove(0)
}

fn failure<T>(outcome: Result<T, InventoryError>) -> Retry {
    match outcome {
        Ok(_) => panic!("a server that hangs answered"),
        Err(error) => error.retry(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_keeps_nobody_longer_than_the_deadline() {
    let Some(server) = server().await else { return };
    let server = &server.postgres;
    let site = Site::open(&server.url(), 0, Commits::Kept).await.unwrap();
    let timeouts = Timeouts::default()
        .with_acquire(PATIENCE)
        .with_transaction(PATIENCE);
    let store = site.store(4).await.unwrap().with_timeouts(timeouts);
    let tee = Sku::new("tee").unwrap();
    let nine = StockChange::Receive(Quantity::new(9).unwrap());
    let reason = Reason::new("delivery").unwrap();
    let received = Adjustment::new(OperationId::new("d1").unwrap(), tee.clone(), nine, reason);
    store
        .adjust(std::slice::from_ref(&received))
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let lines = Lines::new([Line::new(tee.clone(), Quantity::ONE)]).unwrap();
    let (id, owner) = (
        ReservationId::new("r1").unwrap(),
        OwnerId::new("ada").unwrap(),
    );
    let wanted = ReserveRequest::new(id.clone(), owner, lines);
    let confirm = TransitionRequest {
        id: id.clone(),
        transition: Transition::Confirm,
        acting_for: ActingFor::Anyone,
    };
    let inventory = Inventory::new(Arc::new(store.clone())).with_timeout(2 * PATIENCE);

    server.pause();
    let calls = async {
        let (wanted, received) = ([wanted.clone()], [received.clone()]);
        tokio::join!(
            async { failure(store.reserve(&wanted).await.and_then(only)) },
            async { failure(store.adjust(&received).await.and_then(only)) },
            async { failure(store.transition(&confirm).await) },
            async { failure(store.reservation(&id).await) },
            async { failure(store.stock(std::slice::from_ref(&tee)).await) },
            async { failure(store.unpublished(None, NonZeroUsize::MIN).await) },
            async { failure(inventory.confirm(&id, ActingFor::Anyone).await) },
        )
    };
    let retries = tokio::time::timeout(FAR_TOO_LONG, calls).await;
    server.resume();
    let retries: [Retry; 7] = retries.expect("every call ends by itself").into();
    let never = retries.contains(&Retry::Never);
    assert!(!never, "it may be better next time: {retries:?}");

    // It goes on, and what was unclear is resolved by the same id.
    let patient = Inventory::new(Arc::new(site.store(4).await.unwrap()));
    patient.reserve(wanted).await.unwrap();
    let stock = store.stock(std::slice::from_ref(&tee)).await.unwrap();
    assert_eq!(stock[0].as_ref().unwrap().reserved(), 1);
}
