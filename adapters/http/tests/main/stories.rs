//! Both sides together, where the source behind the routes fails.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::{Failure, Retry};
use stockade_http::{HttpOptions, HttpStockSource};
use stockade_inventory_core::{Cursor, InventoryError, StockSource};

use crate::server::{
    Fails, Hangs, client, hasty, hasty_routes_over, listen, routes_over, serve, sku, stocked,
};

#[tokio::test]
async fn the_pause_of_a_source_reaches_the_caller() {
    let failure = Failure::unavailable("stock", Duration::from_secs(3), "the pool is empty");
    let address = routes_over(Arc::new(Fails(failure.into()))).await;
    let error = client(address).stock(&[sku("tee")]).await.unwrap_err();
    assert_eq!(
        error.retry(),
        Retry::After(Duration::from_secs(3)),
        "{error}"
    );
    let busy = InventoryError::Busy {
        retry_after: Duration::from_secs(2),
    };
    let address = routes_over(Arc::new(Fails(busy))).await;
    let error = client(address)
        .scan(None, NonZeroUsize::MIN)
        .await
        .unwrap_err();
    assert_eq!(
        error.retry(),
        Retry::After(Duration::from_secs(2)),
        "{error}"
    );
}

#[tokio::test]
async fn the_earlier_deadline_counts() {
    let address = hasty_routes_over(Arc::new(Hangs)).await;
    let error = client(address).stock(&[sku("tee")]).await.unwrap_err();
    assert!(
        matches!(error.retry(), Retry::After(_)),
        "the server's: {error}"
    );
    let address = routes_over(Arc::new(Hangs)).await;
    let error = hasty(address).stock(&[sku("tee")]).await.unwrap_err();
    assert_eq!(
        error.retry(),
        Retry::OutcomeUnknown,
        "the client's: {error}"
    );
}

#[tokio::test]
async fn a_refused_cursor_is_named() {
    let address = routes_over(Arc::new(stocked(&["tee"]).await)).await;
    let cursor = Cursor(" foreign ".to_owned());
    let page = client(address).scan(Some(&cursor), NonZeroUsize::MIN).await;
    assert!(
        matches!(&page, Err(InventoryError::Invalid { field: "cursor", value, .. }) if value == " foreign "),
        "{page:?}"
    );
}

#[tokio::test]
async fn the_routes_may_be_below_a_path() {
    let (listener, address) = listen().await;
    let routes = stockade_http::stock_routes(Arc::new(stocked(&["tee"]).await));
    serve(listener, axum::Router::new().nest("/inventory/v1", routes));
    for base in ["/inventory/v1", "/inventory/v1/"] {
        let options = HttpOptions::new(&format!("http://{address}{base}")).unwrap();
        let stock = HttpStockSource::new(options)
            .unwrap()
            .stock(&[sku("tee")])
            .await;
        assert!(stock.unwrap()[0].is_some());
    }
    let error = client(address).stock(&[sku("tee")]).await.unwrap_err();
    assert!(error.to_string().contains("check that the URL"), "{error}");
}
