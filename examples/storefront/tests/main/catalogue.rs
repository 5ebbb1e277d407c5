use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, SAMPLE_SIZE, answer, eventually};

fn values(page: &Value, field: &str) -> Vec<(String, u64)> {
    let facets = page["facets"].as_array().unwrap();
    let facet = facets.iter().find(|facet| facet["field"] == field).unwrap();
    let values = facet["values"].as_array().unwrap().iter();
    values
        .map(|value| {
            (
                value["value"].as_str().unwrap().to_owned(),
                value["count"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_word_with_a_typing_error_is_found() {
    let client = Client::with_sample().await;
    eventually("medow tee finds the Meadow Tee", || async {
        client
            .found(&[("q", "medow tee")])
            .await
            .first()
            .is_some_and(|id| id == "meadow-tee")
    })
    .await;
}

#[tokio::test]
async fn a_word_in_a_title_ranks_above_the_same_word_in_a_description() {
    let client = Client::new().await;
    for (id, title, description) in [
        (
            "b-described",
            "Plain Cloth",
            "Feels like velvet, velvet and again velvet",
        ),
        ("a-described", "Cloth", "velvet"),
        (
            "z-titled",
            "A Long Title that Mentions Velvet Somewhere",
            "Nothing more",
        ),
    ] {
        put_product(
            &client,
            id,
            &json!({"title": title, "description": description}),
        )
        .await;
    }
    eventually("all three are found", || async {
        client.found(&[("q", "velvet")]).await.len() == 3
    })
    .await;
    assert_eq!(client.found(&[("q", "velvet")]).await[0], "z-titled");
}

async fn put_product(client: &Client, id: &str, more: &Value) {
    client.put("/product-types/thing", &json!({})).await;
    let mut body = json!({"title": id, "product_type": "thing"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = client.put(&format!("/products/{id}"), &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[tokio::test]
async fn facets_count_products_and_stay_whole_when_a_value_is_chosen() {
    let client = Client::with_sample().await;
    let facet = ("facet", "attributes.material");
    let brand = ("filter", "brand:Fernweh");
    eventually("six products are of the brand", || async {
        client.found(&[brand]).await.len() == 6
    })
    .await;
    let whole = values(&client.search(&[brand, facet]).await, "attributes.material");
    // The hoodie is of two materials, the bags of none; no product is counted for each of its
    // variants.
    let expected = [("Cotton", 2), ("Polyester", 2), ("Elastane", 1)];
    assert_eq!(
        whole,
        expected.map(|(value, count)| (value.to_owned(), count))
    );
    let chosen = ("filter", "attributes.material:Polyester");
    let page = client.search(&[brand, chosen, facet]).await;
    assert_eq!(values(&page, "attributes.material"), whole);
    assert_eq!(page["total"], 2);
    // Two values of one field widen the choice.
    let more = ("filter", "attributes.material:Elastane");
    assert_eq!(client.search(&[brand, chosen, more]).await["total"], 3);
}

#[tokio::test]
async fn a_new_product_type_needs_neither_restart_nor_migration() {
    let client = Client::with_sample().await;
    let schema = json!({"schema": {
        "type": "object",
        "properties": {
            "wood_type": {"type": "string"},
            "assembly_required": {"type": "boolean"},
        },
        "required": ["wood_type"],
    }});
    let answer = client.put("/product-types/garden-furniture", &schema).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");

    let mut chair = json!({
        "title": "Deck Chair",
        "product_type": "garden-furniture",
        "attributes": {"assembly_required": true},
    });
    let answer = client.put("/products/deck-chair", &chair).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.body["field"]
            .as_str()
            .unwrap()
            .starts_with("attributes"),
        "{answer:?}"
    );

    chair["attributes"]["wood_type"] = json!("teak");
    let answer = client.put("/products/deck-chair", &chair).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    eventually(
        "the teak chair is found, without anybody calling search",
        || async {
            client
                .found(&[("filter", "attributes.wood_type:teak")])
                .await
                == ["deck-chair"]
        },
    )
    .await;
    eventually("booleans are filtered as well", || async {
        client
            .found(&[
                ("q", "deck"),
                ("filter", "attributes.assembly_required:true"),
            ])
            .await
            .first()
            .is_some_and(|id| id == "deck-chair")
    })
    .await;
}

#[tokio::test]
async fn a_change_of_a_product_type_says_who_no_longer_conforms() {
    let client = Client::with_sample().await;
    let schema = json!({"schema": {"type": "object", "required": ["isbn"]}});
    let answer = client.put("/product-types/book", &schema).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["nonconforming"]["count"], 24);
    let page = client.get("/products/field-notes").await;
    assert_eq!(
        page.status,
        StatusCode::OK,
        "existing products stay as they are"
    );
}

#[tokio::test]
async fn a_product_is_changed_at_its_version_only() {
    let client = Client::new().await;
    put_product(&client, "lamp", &json!({"description": "first"})).await;
    let first = client.get("/products/lamp").await.body;
    let change = |description: &str, version: &Value| json!({"title": "lamp", "product_type": "thing", "description": description, "version": version});
    let version = &first["version"];
    let answer = client
        .put("/products/lamp", &change("second", version))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    // A lost reply makes the same client try again.
    let again = client
        .put("/products/lamp", &change("second", version))
        .await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &answer.body));
    let late = client
        .put("/products/lamp", &change("third", version))
        .await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(late.body["current"], answer.body);
    let late = client
        .put("/products/lamp", &change("third", &Value::Null))
        .await;
    assert_eq!(late.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_page_can_be_read_edited_and_put_back() {
    let client = Client::with_sample().await;
    let mut page = client.get("/products/kiln-mug").await.body;
    page["title"] = json!("Kiln Mug, second firing");
    let answer = client.put("/products/kiln-mug", &page).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["title"], page["title"]);
}

#[tokio::test]
async fn a_deleted_product_disappears_from_search_and_its_sku_is_not_reused() {
    let client = Client::with_sample().await;
    eventually("the lamp is found", || async {
        client
            .found(&[("q", "one-off lamp")])
            .await
            .first()
            .is_some_and(|id| id == "one-off-lamp")
    })
    .await;
    let deleted = answer(client.request(Method::DELETE, "/products/one-off-lamp")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    eventually("the lamp is gone", || async {
        !client
            .found(&[("q", "one-off lamp")])
            .await
            .contains(&"one-off-lamp".to_owned())
    })
    .await;
    assert_eq!(
        client.get("/products/one-off-lamp").await.status,
        StatusCode::NOT_FOUND
    );
    let thief = json!({
        "title": "Another", "product_type": "kitchen", "variants": [{"sku": "lamp-one-off"}],
    });
    let answer = client.put("/products/another", &thief).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.body["field"], "variants");
}

#[tokio::test]
async fn pages_of_search_neither_overlap_nor_leave_gaps() {
    let client = Client::with_sample().await;
    eventually("everything is found", || async {
        client.search(&[]).await["total"] == SAMPLE_SIZE
    })
    .await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client
            .search(&[("size", "23"), ("sort", "-price"), ("cursor", &cursor)])
            .await;
        let hits = page["hits"].as_array().unwrap();
        seen.extend(
            hits.iter()
                .map(|hit| hit["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen.len(), SAMPLE_SIZE, "{seen:?}");
    assert_eq!(seen[0], "e-scree-enduro");
    let last = seen.last().unwrap();
    assert_eq!(last, "one-off-lamp", "what has no price comes last");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), SAMPLE_SIZE);
}

#[tokio::test]
async fn suggestions_go_on_from_what_was_typed() {
    let client = Client::with_sample().await;
    eventually("waln suggests the shelf", || async {
        let suggestions = client.get("/suggest?q=waln").await.body;
        suggestions["suggestions"][0]["text"] == "Walnut Shelf"
    })
    .await;
}

#[tokio::test]
async fn stock_reaches_search() {
    let client = Client::with_sample().await;
    let lamp = [("q", "one-off lamp"), ("filter", "in_stock:true")];
    let found = || async {
        let found = client.found(&lamp).await;
        found.first().is_some_and(|id| id == "one-off-lamp")
    };
    eventually("the lamp is in stock", found).await;
    client.set_stock("lamp-one-off", 0).await;
    eventually("the lamp is sold out", || async {
        let found = client.found(&lamp).await;
        !found.contains(&"one-off-lamp".to_owned())
    })
    .await;
}
