//! `/events/stock`, for pages that show stock live.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use serde_json::{Value, json};
use service_kit::{Problem, Query, skus_of};
use stockade_inventory_core::StockChanged;
use tokio::sync::mpsc;

use crate::shop::{Pages, Watcher};

/// Time between two messages that keep an idle stream open.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest time that a client may take to read an event.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest time that a stream lasts, so that clients can not hold a place for ever. The client
/// connects again by itself, and gets a new snapshot.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How soon a client may connect again.
const COME_BACK: Duration = Duration::from_secs(2);

/// Stream the stock of several SKUs
///
/// Server-sent events. The first event is a `snapshot`, with the body of `GET /availability`. Each
/// later event is a `stock` event with the new availability of one SKU. A client that reads slowly
/// gets only the newest event of each SKU. A client that connects again gets a new snapshot.
#[utoipa::path(get, path = "/events/stock", tag = "stock", operation_id = "streamStock",
    params(("sku" = Vec<String>, Query, max_items = 500, description = "A SKU; may be repeated up to 500 times")),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn events(
    State(pages): State<Arc<Pages>>,
    params: Query,
) -> Result<impl IntoResponse, Problem> {
    let skus: BTreeSet<_> = skus_of(params)?.into_iter().collect();
    let watcher = pages.live.watch(skus);
    let watcher = watcher.ok_or_else(|| Problem::overloaded(Duration::from_secs(10)))?;
    // It holds one event. Meanwhile the watcher keeps the newest event of each SKU.
    let (sender, mut receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _ = tokio::time::timeout(LIFETIME, follow(&pages, watcher, sender)).await;
    });
    let events = stream::poll_fn(move |context| receiver.poll_recv(context));
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Keeps proxies from collecting events before they pass them on.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    Ok((headers, Sse::new(events).keep_alive(heartbeat)))
}

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// Sends the watcher's events, until the client has disconnected or does not read.
async fn follow(pages: &Pages, mut watcher: Watcher, sender: Sender) {
    let skus: Vec<_> = watcher.skus().iter().cloned().collect();
    // Without an answer the stream ends, and the client connects again.
    let Ok(snapshot) = pages.products.availability(&skus).await else {
        return;
    };
    let first = event("snapshot", &snapshot).retry(COME_BACK);
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
        "changed_at": service_kit::rfc3339(change.changed_at),
    })
}
