//! The document says what the shop does.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use service_kit::{Limits, Service};
use storefront::Faults;

use crate::client::{Answer, Client, answer, eventually};

/// Paths that are for people to look at.
const FOR_PEOPLE: [&str; 7] = [
    "/",
    "/p/{slug}",
    "/assets/{version}/{name}",
    "/docs",
    "/docs/",
    "/docs/{*rest}",
    "/openapi.json",
];
const METHODS: [&str; 6] = ["get", "put", "post", "delete", "patch", "options"];

async fn document(client: &Client) -> Value {
    let answer = client.get("/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.body
}

/// The paths that the router has, which it tells nobody but a debugger.
fn routed(client: &Client) -> BTreeSet<String> {
    let service = Service::new(Limits::default(), client.shop.readiness().clone());
    let router = storefront::service(service, client.shop.clone(), Faults::Allowed).router();
    let debugged = format!("{router:?}");
    let (_, paths) = debugged.split_once("paths: {").unwrap();
    let (paths, _) = paths.split_once("}, ").map_or((paths, ""), |_| {
        let end = paths.find("\"},").map_or(paths.len(), |end| end + 1);
        paths.split_at(end)
    });
    let quoted = paths.split('"').skip(1).step_by(2);
    quoted
        .filter(|path| path.starts_with('/') && !path.contains("__private"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_route_is_documented_and_everything_documented_is_routed() {
    let client = Client::new().await;
    let document = document(&client).await;
    let documented: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut routed = routed(&client);
    assert!(routed.contains("/stock/{sku}/movements"), "{routed:?}");
    routed.retain(|path| !FOR_PEOPLE.contains(&path.as_str()));
    assert_eq!(routed, documented);
    for path in documented {
        for method in METHODS {
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = client.request(asked, &path.replace(['{', '}'], ""));
            let answer = answer(request.json(&json!({"no": "sense"}))).await;
            let refused = answer.status == StatusCode::METHOD_NOT_ALLOWED;
            let known = document["paths"][&path][method].is_object();
            assert_eq!(known, !refused, "{method} {path}: {answer:?}");
            if known {
                assert_fits(&document, method, &path, &answer);
            }
        }
    }
}

#[tokio::test]
async fn the_document_is_openapi_and_can_be_browsed_offline() {
    let client = Client::new().await;
    let document = document(&client).await;
    let parsed: utoipa::openapi::OpenApi = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(&parsed).unwrap(), document);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_references(&document, &document);
    let mut operations = BTreeSet::new();
    for path in document["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            let is_camel_case = id.starts_with(|first: char| first.is_ascii_lowercase())
                && id.chars().all(|one| one.is_ascii_alphanumeric());
            assert!(is_camel_case, "{id} makes no good name of a function");
            assert!(operations.insert(id.to_owned()), "{id} is not unique");
            assert!(operation["summary"].is_string(), "{id} has no summary");
        }
    }

    let page = client
        .request(Method::GET, "/docs/")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    for part in page.split('"').filter(|part| part.starts_with("./")) {
        let part = client.get(&format!("/docs/{part}")).await;
        assert_eq!(part.status, StatusCode::OK, "{part:?}");
    }
    assert!(!page.contains("src=\"http"), "{page}");
}

/// Every `$ref` leads to something.
fn assert_references(document: &Value, within: &Value) {
    match within {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            members
                .values()
                .for_each(|value| assert_references(document, value));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| assert_references(document, value)),
        _ => {}
    }
}

/// An answer is one that the document foresees, and fits its schema with every member.
fn assert_fits(document: &Value, method: &str, path: &str, answer: &Answer) {
    let what = format!("{method} {path} {}", answer.status);
    let response = &document["paths"][path][method]["responses"][answer.status.as_str()];
    assert!(response.is_object(), "{what} is not foreseen: {answer:?}");
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.body, Value::Null, "{what}");
        return;
    };
    let content_type = answer.headers["content-type"].to_str().unwrap();
    let content_type = content_type.split(';').next().unwrap();
    let schema = &content
        .get(content_type)
        .unwrap_or_else(|| panic!("{what} is foreseen as {content:?}, not as {content_type}"))["schema"];
    if content_type == "text/plain" {
        return;
    }
    let mut root = document.clone();
    close(&mut root["components"]["schemas"]);
    root["$ref"] = schema["$ref"].clone();
    let validator = jsonschema::validator_for(&root).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&answer.body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?} in {}", answer.body);
}

/// Lets objects have no members but those that their schema names.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_object = members.contains_key("properties") || members.contains_key("allOf");
            for (name, member) in members.iter_mut() {
                match member {
                    // Parts of one object, which know nothing of each other's members.
                    Value::Array(parts) if name == "allOf" => parts.iter_mut().for_each(|part| {
                        part["properties"]
                            .as_object_mut()
                            .into_iter()
                            .flatten()
                            .for_each(|(_, member)| close(member));
                    }),
                    member => close(member),
                }
            }
            if is_object && !members.contains_key("additionalProperties") {
                members.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

#[tokio::test]
async fn real_answers_fit_their_schemas() {
    let client = Client::with_sample().await;
    let document = document(&client).await;
    eventually("the sample is found", || async {
        !client.found(&[("q", "tee")]).await.is_empty()
    })
    .await;
    let fits = |method: &'static str, path: &'static str, actual: &str, body: Value| {
        let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = client.request(asked, actual);
        let request = match method {
            "get" | "delete" => request,
            _ => request.json(&body),
        };
        let document = &document;
        async move {
            let answer = answer(request).await;
            assert_fits(document, method, path, &answer);
            answer
        }
    };
    let none = || Value::Null;
    let shown = fits("get", "/products/{id}", "/products/meadow-tee", none()).await;
    let sku = shown.body["variants"][0]["sku"]
        .as_str()
        .unwrap()
        .to_owned();
    let search = "/search?q=tee&facet=brand&facet=attributes.material&size=3";
    assert_eq!(fits("get", "/search", search, none()).await.status, 200);
    fits("get", "/search", "/search?size=0", none()).await;
    fits("get", "/suggest", "/suggest?q=mea", none()).await;
    fits("get", "/products", "/products?limit=5", none()).await;
    fits("get", "/product-types", "/product-types", none()).await;
    fits("get", "/products/{id}", "/products/no-such", none()).await;

    // A page that is put back unchanged, over a newer one, against its type, with another's SKU.
    let put = |body: Value| fits("put", "/products/{id}", "/products/meadow-tee", body);
    assert_eq!(put(shown.body.clone()).await.status, 200);
    let mut changed = shown.body.clone();
    changed["title"] = json!("Meadow Tee, again");
    assert_eq!(put(changed.clone()).await.status, 200);
    changed["title"] = json!("Meadow Tee, too late");
    assert_eq!(put(changed).await.status, 409);
    let typed = json!({"schema": {"required": ["wood"]}});
    let types = ("/product-types/{name}", "/product-types/bench");
    assert_eq!(fits("put", types.0, types.1, typed).await.status, 201);
    let bench = |more: Value| {
        let mut body = json!({"title": "Bench", "product_type": "bench"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        fits("put", "/products/{id}", "/products/bench", body)
    };
    assert_eq!(bench(json!({})).await.status, 422);
    let price = json!({"minor": 1, "currency": "EUR"});
    let oak = json!({"attributes": {"wood": "oak"}, "media": [{"url": "/x.webp"}],
        "variants": [{"sku": "bench", "price": price}]});
    assert_eq!(bench(oak).await.status, 201);
    let thief = json!({"attributes": {"wood": "oak"}, "version": 1, "variants": [{"sku": sku}]});
    assert_eq!(bench(thief).await.status, 409);
    let deleted = fits("delete", "/products/{id}", "/products/bench", none()).await;
    assert_eq!(deleted.status, 204);

    let stock = json!({"sku": "bench", "set": 3, "reason": "r", "operation_id": "o"});
    assert_eq!(fits("post", "/stock", "/stock", stock).await.status, 200);
    let reserve = json!({"lines": [{"sku": "bench", "quantity": 2}], "owner": "ada"});
    let held = fits("post", "/reserve", "/reserve", reserve.clone()).await;
    assert_eq!(held.status, 201);
    assert_eq!(
        fits("post", "/reserve", "/reserve", reserve).await.status,
        409
    );
    let below = json!({"sku": "bench", "set": 1, "reason": "r", "operation_id": "p"});
    assert_eq!(fits("post", "/stock", "/stock", below).await.status, 409);
    let unknown = json!({"lines": [{"sku": "none", "quantity": 2}], "owner": "ada"});
    assert_eq!(
        fits("post", "/reserve", "/reserve", unknown).await.status,
        422
    );
    let one = format!("/reservations/{}", held.body["id"].as_str().unwrap());
    fits("get", "/reservations/{id}", &one, none()).await;
    for step in ["extend", "confirm", "release", "fulfil", "cancel"] {
        let documented: &'static str = format!("/reservations/{{id}}/{step}").leak();
        fits("post", documented, &format!("{one}/{step}"), json!({})).await;
        let stranger = json!({"owner": "ben"});
        let refused = fits("post", documented, &format!("{one}/{step}"), stranger).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    fits("get", "/stock/{sku}", "/stock/bench", none()).await;
    fits("get", "/stock/{sku}", "/stock/none", none()).await;
    fits(
        "get",
        "/stock/{sku}/movements",
        "/stock/bench/movements",
        none(),
    )
    .await;
    fits("get", "/healthz", "/healthz", none()).await;
    fits("get", "/livez", "/livez", none()).await;
    fits("get", "/readyz", "/readyz", none()).await;
    fits("get", "/metrics", "/metrics", none()).await;
}
