//! `/availability`, and `/events/stock` for pages that stay open.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use serde::Serialize;
use serde_json::{Value, json};
use stockade_inventory_core::{Sku, StockChanged};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::extract::Params;
use super::problem::Problem;
use super::products::availability;
use super::schemas::AvailabilityBody;
use crate::shop::{Shop, Watcher};

/// SKUs in one request.
const SKUS: usize = 500;
/// How often a client hears that the stream still lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client may take to read an event.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a stream lasts, so that places come free of clients that only hold them. The client
/// comes back by itself, and begins with a new snapshot.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How soon a client may come back.
const COME_BACK: Duration = Duration::from_secs(2);

/// The availability of some SKUs.
#[derive(Serialize, ToSchema)]
#[schema(as = AvailabilityPage)]
pub(super) struct AvailabilityPageBody {
    /// One for each SKU, in their order.
    items: Vec<SkuAvailabilityBody>,
    /// The state of the circuit between pages and the cache of stock.
    #[schema(example = "closed")]
    circuit: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SkuAvailability)]
#[allow(dead_code, reason = "only its schema is used")]
struct SkuAvailabilityBody {
    sku: String,
    #[serde(flatten)]
    availability: AvailabilityBody,
}

/// See the availability of many SKUs at once
///
/// Also where inventory can't be reached: then with the last that is known.
#[utoipa::path(get, path = "/availability", tag = "stock",
    params(("sku" = Vec<String>, Query, max_items = 500, description = "Repeats: up to 500 SKUs")),
    responses((status = 200, description = "What pages show", body = AvailabilityPageBody)),
)]
pub(super) async fn many(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let skus: Vec<_> = skus(&params.only(&["sku"])?)?;
    Ok(Json(snapshot(&shop, &skus).await))
}

/// Follow the stock of some SKUs
///
/// Server-sent events: first a `snapshot` as `/availability` answers it, then a `stock` event
/// whenever one of the SKUs has changed, with its newest availability. Who comes back after a lost
/// connection begins with a new snapshot. Events that can no longer be true are skipped.
#[utoipa::path(get, path = "/events/stock", tag = "stock",
    params(("sku" = Vec<String>, Query, max_items = 500, description = "Repeats: up to 500 SKUs")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn events(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let skus: BTreeSet<_> = skus(&params.only(&["sku"])?)?;
    let watcher = shop.live.watch(skus);
    let watcher = watcher.ok_or_else(|| Problem::busy(Duration::from_secs(10)))?;
    // One event on its way; what changes meanwhile waits at the watcher, the newest of each SKU.
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _ = tokio::time::timeout(LIFETIME, follow(&shop, watcher, sender)).await;
    });
    let events = stream::poll_fn(move |context| receiver.poll_recv(context));
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Proxies that would collect events before they pass them on.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    Ok((headers, Sse::new(events).keep_alive(heartbeat)))
}

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// Passes on what the watcher sees, until the client has gone or does not read.
async fn follow(shop: &Shop, mut watcher: Watcher, sender: Sender) {
    let skus: Vec<_> = watcher.skus().iter().cloned().collect();
    let first = event("snapshot", &snapshot(shop, &skus).await).retry(COME_BACK);
    if !passed_on(&sender, first).await {
        return;
    }
    loop {
        let changes = tokio::select! {
            changes = watcher.changes() => changes,
            () = sender.closed() => None,
        };
        let Some(changes) = changes else { return };
        for change in changes {
            if !passed_on(&sender, event("stock", &changed(&change))).await {
                return;
            }
        }
    }
}

async fn passed_on(sender: &Sender, event: Event) -> bool {
    matches!(
        tokio::time::timeout(PATIENCE, sender.send(Ok(event))).await,
        Ok(Ok(()))
    )
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

fn skus<C: FromIterator<Sku>>(params: &Params) -> Result<C, Problem> {
    let count = params.all("sku").count();
    if !(1..=SKUS).contains(&count) {
        return Err(Problem::invalid(
            "sku",
            format!("it has to be there 1 to {SKUS} times"),
        ));
    }
    let skus = params.all("sku").map(Sku::new);
    Ok(skus.collect::<Result<C, _>>()?)
}

async fn snapshot(shop: &Shop, skus: &[Sku]) -> Value {
    let page = shop.availability.of(skus).await;
    let items = page.items.iter().map(|item| {
        let mut body = availability(item);
        body["sku"] = json!(item.sku);
        body
    });
    json!({"items": items.collect::<Vec<_>>(), "circuit": page.circuit.as_str()})
}

fn changed(change: &StockChanged) -> Value {
    let state = match change.new_stock_count {
        0 => "out_of_stock",
        _ => "in_stock",
    };
    json!({
        "sku": change.sku,
        "state": state,
        "available": change.new_stock_count,
        "version": change.version,
        "changed_at": super::time(change.changed_at),
    })
}
