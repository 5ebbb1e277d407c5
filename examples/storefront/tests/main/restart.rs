//! What a new process finds.

use serde_json::json;
use storefront::{Options, Shop};

use crate::client::{Client, eventually};

#[tokio::test]
async fn an_index_that_outlived_its_catalogue_shows_none_of_it() {
    let directory = std::env::temp_dir().join(format!("storefront-{}", std::process::id()));
    let options = || Options {
        search_dir: Some(directory.clone()),
        ..Options::default()
    };
    let put = |client: Client, id: &'static str| async move {
        client.put("/product-types/thing", &json!({})).await;
        let body = json!({"title": "Velvet", "product_type": "thing"});
        client.put(&format!("/products/{id}"), &body).await;
        eventually("it is found, and nothing else", || async {
            client.found(&[("q", "velvet")]).await == [id]
        })
        .await;
        client
    };
    let first = put(Client::with(options()).await, "first").await;
    let error = Shop::start(options()).await.unwrap_err();
    let said = format!("{error:#}");
    assert!(said.contains(directory.to_str().unwrap()), "{said}");
    first.stop().await;

    let second = Client::with(options()).await;
    assert!(second.found(&[("q", "velvet")]).await.is_empty());
    // The same id has a lower version than the one that the index knew.
    let second = put(second, "second").await;
    second.stop().await;
    std::fs::remove_dir_all(&directory).unwrap();
}
