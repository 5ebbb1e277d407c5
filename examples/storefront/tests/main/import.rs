use sample_catalogue::SAMPLE;
use serde_json::json;

use crate::client::{Client, SAMPLE_SIZE, ledger};

#[tokio::test]
async fn importing_twice_changes_nothing() {
    let client = Client::with_sample().await;
    let before = client.get("/stock/meadow-gr-m/movements").await.body;
    let page = client.get("/products/meadow-tee").await.body;
    assert_eq!(page["variants"].as_array().unwrap().len(), 25);

    let report = client.import(SAMPLE).await;
    assert_eq!(
        (report.created, report.updated, report.unchanged),
        (0, 0, SAMPLE_SIZE)
    );
    assert_eq!(
        client.get("/stock/meadow-gr-m/movements").await.body,
        before
    );
    assert_eq!(
        client.get("/products/meadow-tee").await.body["version"],
        page["version"]
    );
}

#[tokio::test]
async fn a_sale_is_not_undone_by_importing_again() {
    let client = Client::with_sample().await;
    let body = json!({"lines": [{"sku": "lamp-one-off", "quantity": 1}], "owner": "ada"});
    client.post("/reserve", &body).await;
    client.import(SAMPLE).await;
    assert_eq!(client.get("/stock/lamp-one-off").await.body["available"], 0);
    assert_eq!(ledger(&client, "lamp-one-off").await, [(1, 1), (1, 1)]);
}

#[tokio::test]
async fn a_bad_line_is_named_and_loses_no_other() {
    let client = Client::new().await;
    let line = |slug: &str, price: &str| {
        json!({
            "slug": slug, "name": slug, "product_type": "new-type",
            "variants": [{"sku": slug, "price": {"amount": price, "currency": "USD"}, "stock": 2}],
        })
        .to_string()
    };
    let long = format!("\"{}\"", "x".repeat(3 << 20));
    let taken = line("other", "1").replace("\"sku\":\"other\"", "\"sku\":\"good\"");
    let lines = [
        line("good", "10.000"),
        "{not json".to_owned(),
        line("cents", "1.999"),
        String::new(),
        long,
        line("also-good", "8.99"),
        taken,
        "\u{0}\u{fffd}".to_owned(),
        json!({"slug": "no-name", "product_type": "new-type"}).to_string(),
        line("last", "0.5"),
    ];
    let report = client.import(&lines.join("\n")).await;
    let failed: Vec<_> = report.failures.iter().map(|failure| failure.line).collect();
    assert_eq!(failed, [2, 3, 5, 7, 8, 9], "{:?}", report.failures);
    assert_eq!(report.created, 3);
    assert!(
        report.failures[1]
            .reason
            .contains("variants[0].price.amount")
    );
    assert!(
        report.failures[3].reason.contains("good"),
        "{:?}",
        report.failures[3]
    );
    assert!(
        report.failures[5].reason.contains("name"),
        "{:?}",
        report.failures[5]
    );
    let page = client.get("/products/last").await.body;
    assert_eq!(
        page["variants"][0]["price"],
        json!({"minor": 50, "currency": "USD"})
    );
    assert_eq!(page["variants"][0]["availability"]["available"], 2);
    let page = client.get("/products/good").await.body;
    assert_eq!(page["variants"][0]["price"]["minor"], 1000);
}

#[tokio::test]
async fn another_file_takes_effect_whatever_it_says() {
    let client = Client::new().await;
    let file = |stock: u64, more: &str| {
        let line = json!({
            "slug": "lamp", "name": "Lamp", "product_type": "lamp",
            "variants": [{"sku": "lamp", "stock": stock}],
        });
        format!("{line}\n{more}")
    };
    let stock = || async { client.get("/stock/lamp").await.body["physical"].clone() };
    for units in [10, 20, 10, 20, 20, 10, 10] {
        client.import(&file(units, "")).await;
        assert_eq!(stock().await, units);
    }
    // Somebody counts; the last file again does not undo it, another of the same count does.
    client.set_stock("lamp", 7).await;
    client.import(&file(10, "")).await;
    assert_eq!(stock().await, 7);
    client.import(&file(10, "\n")).await;
    assert_eq!(stock().await, 10);
    assert_eq!(ledger(&client, "lamp").await, [(10, 0), (10, 0)]);
}

#[tokio::test]
async fn of_two_lines_of_one_product_the_later_counts() {
    let client = Client::new().await;
    let line = |stock: u64| {
        json!({
            "slug": "lamp", "name": "Lamp", "product_type": "lamp",
            "variants": [{"sku": "lamp", "stock": stock}],
        })
    };
    let file = format!("{}\n{}", line(3), line(4));
    client.import(&file).await;
    let movements = client.get("/stock/lamp/movements").await.body;
    assert_eq!(client.get("/stock/lamp").await.body["physical"], 4);
    client.import(&file).await;
    assert_eq!(client.get("/stock/lamp/movements").await.body, movements);
}
