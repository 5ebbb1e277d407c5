//! The reply to a commit is lost on its way.

use chaos::{Commits, Site};
use stack::Proxy;
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    ActingFor, Adjustment, Effect, Inventory, InventoryStore as _, Line, Lines, OperationId,
    OwnerId, Quantity, Reason, ReservationId, ReserveRequest, Sku, StockChange, StockSource as _,
    Transition, TransitionRequest,
};

use crate::server::server;

fn received(id: &str, sku: &str) -> Adjustment {
    let change = StockChange::Receive(Quantity::new(9).unwrap());
    let (operation, sku) = (OperationId::new(id).unwrap(), Sku::new(sku).unwrap());
    Adjustment::new(operation, sku, change, Reason::new("delivery").unwrap())
}

fn wanted(id: &str, skus: &[&str]) -> ReserveRequest {
    let line = |sku: &&str| Line::new(Sku::new(sku).unwrap(), Quantity::ONE);
    let lines = Lines::new(skus.iter().map(line)).unwrap();
    let (id, owner) = (
        ReservationId::new(id).unwrap(),
        OwnerId::new("ada").unwrap(),
    );
    ReserveRequest::new(id, owner, lines)
}

/// Makes a call whose reply is lost, and then the same again, which finds what the first one did.
macro_rules! lost_and_found {
    ($proxy:expr, $message:expr, $call:expr) => {{
        $proxy.lose_reply_to($message);
        let lost = $call.await.map(|it| it.effect);
        let retry = lost.as_ref().map_err(|error| error.retry());
        assert_eq!(retry, Err(Retry::OutcomeUnknown), "{lost:?}");
        assert_eq!($call.await.unwrap().effect, Effect::Repeated);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_an_unknown_outcome_that_the_same_id_resolves() {
    let Some(server) = server().await else { return };
    let server = &server.postgres;
    let proxy = Proxy::start(server.address()).await.unwrap();
    let url = server.url_at(proxy.address());
    let site = Site::open(&url, 0, Commits::Kept).await.unwrap();
    let store = site.store(4).await.unwrap();
    let only = |mut outcomes: Vec<_>| outcomes.remove(0);
    let tee = received("d1", "tee");
    only(store.adjust(&[tee]).await.unwrap()).unwrap();

    // The NUL tells COMMIT from READ COMMITTED.
    let lamp = [received("d2", "lamp")];
    lost_and_found!(proxy, "COMMIT\0", async {
        store.adjust(&lamp).await?.remove(0)
    });
    // One line is one statement, which commits itself; its id is on the way to the server.
    let one = [wanted("one-line", &["tee"])];
    lost_and_found!(proxy, "one-line", async {
        store.reserve(&one).await?.remove(0)
    });
    let two = [wanted("two-lines", &["tee", "lamp"])];
    lost_and_found!(proxy, "COMMIT\0", async {
        store.reserve(&two).await?.remove(0)
    });
    let confirm = TransitionRequest {
        id: two[0].id.clone(),
        transition: Transition::Confirm,
        acting_for: ActingFor::Anyone,
    };
    lost_and_found!(proxy, "COMMIT\0", store.transition(&confirm));

    // The service repeats it by itself.
    proxy.lose_reply_to("by-itself");
    let inventory = Inventory::new(std::sync::Arc::new(store.clone()));
    let reserved = inventory.reserve(wanted("by-itself", &["tee"])).await;
    assert_eq!(reserved.unwrap().effect, Effect::Repeated);

    let skus = [Sku::new("tee").unwrap(), Sku::new("lamp").unwrap()];
    let stock = store.stock(&skus).await.unwrap();
    let counts = stock
        .iter()
        .flatten()
        .map(|it| (it.physical(), it.reserved()));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [(9, 3), (9, 1)],
        "each of them once"
    );
}
