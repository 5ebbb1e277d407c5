use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, answer, eventually, ledger};

fn one(sku: &str, owner: &str) -> Value {
    json!({"lines": [{"sku": sku, "quantity": 1}], "owner": owner})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_for_the_last_unit_have_one_winner() {
    let client = Arc::new(Client::new().await);
    client.set_stock("last", 1).await;
    let callers = (0..1000).map(|caller| {
        let client = client.clone();
        tokio::spawn(async move {
            client
                .post("/reserve", &one("last", &format!("caller-{caller}")))
                .await
        })
    });
    let answers: Vec<_> = join_all(callers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let count = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(
        (count(StatusCode::CREATED), count(StatusCode::CONFLICT)),
        (1, 999)
    );
    let refused = answers
        .iter()
        .find(|answer| answer.status == StatusCode::CONFLICT)
        .unwrap();
    let short = json!([{"sku": "last", "location": null, "requested": 1, "open": 0}]);
    assert_eq!(refused.body["shortages"], short);
    assert_eq!(ledger(&client, "last").await, [(1, 1), (1, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn opposite_orders_of_the_same_skus_neither_block_nor_oversell() {
    let client = Arc::new(Client::new().await);
    let skus: Vec<_> = (0..10).map(|sku| format!("sku-{sku}")).collect();
    for sku in &skus {
        client.set_stock(sku, 20).await;
    }
    let callers = (0..100).map(|caller| {
        let (client, mut skus) = (client.clone(), skus.clone());
        if caller % 2 == 1 {
            skus.reverse();
        }
        tokio::spawn(async move {
            let lines: Vec<_> = skus
                .iter()
                .map(|sku| json!({"sku": sku, "quantity": 1}))
                .collect();
            client
                .post("/reserve", &json!({"lines": lines, "owner": "many"}))
                .await
                .status
        })
    });
    let answers: Vec<_> = join_all(callers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let granted = answers
        .iter()
        .filter(|status| **status == StatusCode::CREATED)
        .count();
    assert_eq!(granted, 20);
    for sku in &skus {
        assert_eq!(ledger(&client, sku).await, [(20, 20), (20, 20)]);
    }
}

#[tokio::test]
async fn an_abandoned_reservation_comes_back_by_itself_and_once() {
    let client = Client::new().await;
    client.set_stock("lamp", 3).await;
    let mut body = one("lamp", "ada");
    body["ttl_seconds"] = json!(1);
    let reserved = client.post("/reserve", &body).await.body;
    assert_eq!(client.get("/stock/lamp").await.body["available"], 2);
    let path = format!("/reservations/{}", reserved["id"].as_str().unwrap());
    eventually("the reservation has expired", || async {
        client.get(&path).await.body["state"] == "expired"
    })
    .await;
    // Time for the second worker to do it again, if it could.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ledger(&client, "lamp").await, [(3, 0), (3, 0)]);
    let movements = client.get("/stock/lamp/movements").await.body;
    assert_eq!(movements["movements"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn confirming_races_expiry_and_the_loser_is_told() {
    let client = Client::new().await;
    client.set_stock("lamp", 40).await;
    let mut body = one("lamp", "ada");
    body["ttl_seconds"] = json!(1);
    let mut ids = Vec::new();
    for _ in 0..40 {
        let reserved = client.post("/reserve", &body).await;
        ids.push(reserved.body["id"].as_str().unwrap().to_owned());
    }
    // Some are early, some late, some at the very moment.
    let attempts = ids.iter().enumerate().map(|(number, id)| {
        let client = &client;
        async move {
            let wait = 850 + 10 * u64::try_from(number).unwrap();
            tokio::time::sleep(Duration::from_millis(wait)).await;
            client
                .post(&format!("/reservations/{id}/confirm"), &json!({}))
                .await
        }
    });
    let answers = join_all(attempts).await;
    let mut confirmed = 0;
    for (id, answer) in ids.iter().zip(&answers) {
        let state = client.get(&format!("/reservations/{id}")).await.body["state"].clone();
        if answer.status == StatusCode::OK {
            assert_eq!(state, "confirmed");
            confirmed += 1;
        } else {
            assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
            assert_eq!(
                (&answer.body["state"], &state),
                (&json!("expired"), &json!("expired"))
            );
        }
    }
    assert_eq!(
        ledger(&client, "lamp").await,
        [(40, confirmed), (40, confirmed)]
    );
}

#[tokio::test]
async fn an_idempotency_key_finds_the_first_grant() {
    let client = Client::new().await;
    client.set_stock("lamp", 1).await;
    let reserve = |body: Value| {
        let request = client.request(Method::POST, "/reserve");
        answer(request.header("Idempotency-Key", "cart-1").json(&body))
    };
    let first = reserve(one("lamp", "ada")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    // The winner of the last unit asks again.
    let again = reserve(one("lamp", "ada")).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(again.body["id"], first.body["id"]);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = json!({"lines": [{"sku": "lamp", "quantity": 2}], "owner": "ada"});
    assert_eq!(
        reserve(other).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    // Another owner's key of the same name is another key.
    assert_eq!(
        reserve(one("lamp", "ben")).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(ledger(&client, "lamp").await, [(1, 1), (1, 1)]);
}

#[tokio::test]
async fn a_reservation_goes_through_its_life() {
    let client = Client::new().await;
    client.set_stock("lamp", 5).await;
    let reserve = || async {
        let reserved = client.post("/reserve", &one("lamp", "ada")).await;
        format!("/reservations/{}", reserved.body["id"].as_str().unwrap())
    };
    let step = |path: String, step: &'static str, body: Value| {
        let client = &client;
        async move { client.post(&format!("{path}/{step}"), &body).await }
    };
    let sold = reserve().await;
    assert_eq!(
        step(sold.clone(), "fulfil", json!({})).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        step(sold.clone(), "confirm", json!({})).await.body["state"],
        "confirmed"
    );
    assert_eq!(
        step(sold.clone(), "fulfil", json!({})).await.body["state"],
        "fulfilled"
    );
    assert_eq!(
        step(sold.clone(), "confirm", json!({})).await.body["state"],
        "fulfilled"
    );
    let late = step(sold, "cancel", json!({})).await;
    assert_eq!(
        (late.status, &late.body["state"]),
        (StatusCode::CONFLICT, &json!("fulfilled"))
    );

    let cancelled = reserve().await;
    step(cancelled.clone(), "confirm", json!({})).await;
    // An abandoned-cart message that comes late does not free a paid order.
    assert_eq!(
        step(cancelled.clone(), "release", json!({})).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        step(cancelled, "cancel", json!({})).await.body["state"],
        "cancelled"
    );

    let released = reserve().await;
    let extended = step(released.clone(), "extend", json!({"ttl_seconds": 3600})).await;
    assert!(extended.body["remaining_seconds"].as_f64().unwrap() > 3500.0);
    let stranger = step(released.clone(), "release", json!({"owner": "ben"})).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    let owner = step(released, "release", json!({"owner": "ada"})).await;
    assert_eq!(owner.body["state"], "released");
    assert_eq!(ledger(&client, "lamp").await, [(4, 0), (4, 0)]);
}

#[tokio::test]
async fn receiving_twice_with_one_operation_id_counts_once() {
    let client = Client::new().await;
    let body = json!({"sku": "lamp", "receive": 50, "reason": "delivery", "operation_id": "d-1"});
    assert_eq!(client.post("/stock", &body).await.body["repeated"], false);
    assert_eq!(client.post("/stock", &body).await.body["repeated"], true);
    let other = json!({"sku": "lamp", "receive": 60, "reason": "delivery", "operation_id": "d-1"});
    let answer = client.post("/stock", &other).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.body["field"], "operation_id");
    assert_eq!(client.get("/stock/lamp").await.body["physical"], 50);
}

#[tokio::test]
async fn stock_is_not_corrected_below_what_is_promised() {
    let client = Client::new().await;
    client.set_stock("lamp", 5).await;
    let body = json!({"lines": [{"sku": "lamp", "quantity": 3}], "owner": "ada"});
    client.post("/reserve", &body).await;
    let body = json!({"sku": "lamp", "set": 1, "reason": "count", "operation_id": "c-1"});
    let answer = client.post("/stock", &body).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(
        (&answer.body["promised"], &answer.body["short"]),
        (&json!(3), &json!(2))
    );
}
