use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client, answer};

/// Every refusal is a problem that names a field, and never our fault.
fn assert_problem(what: &str, answer: &Answer) {
    assert!(answer.status.is_client_error(), "{what}: {answer:?}");
    assert_eq!(
        answer.headers["content-type"], "application/problem+json",
        "{what}: {answer:?}"
    );
    assert_eq!(
        answer.body["status"],
        answer.status.as_u16(),
        "{what}: {answer:?}"
    );
    assert!(answer.body["detail"].is_string(), "{what}: {answer:?}");
    assert!(answer.body["field"].is_string(), "{what}: {answer:?}");
}

/// And the field is this one, or a part of it.
fn assert_problem_of(field: &str, what: &str, answer: &Answer) {
    assert_problem(what, answer);
    let named = answer.body["field"].as_str().unwrap();
    assert!(
        named.starts_with(field),
        "{what} should name {field}: {answer:?}"
    );
}

#[tokio::test]
async fn bad_bodies_are_refused_by_the_name_of_the_field() {
    let client = Client::with_sample().await;
    let reserve = |lines: Value| json!({"lines": lines, "owner": "ada"});
    let stock = |member: &str, value: Value| {
        let mut body = json!({"sku": "x", "reason": "r", "operation_id": "o"});
        body[member] = value;
        body
    };
    let product = |member: &str, value: Value| {
        let mut body = json!({"title": "T", "product_type": "book"});
        body[member] = value;
        body
    };
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let cases: Vec<(Method, &str, Value, &str)> = vec![
        (Method::POST, "/reserve", json!({}), "lines"),
        (Method::POST, "/reserve", json!([]), "body"),
        (
            Method::POST,
            "/reserve",
            json!({"lines": [], "owner": ""}),
            "owner",
        ),
        (Method::POST, "/reserve", reserve(json!([])), "lines"),
        (Method::POST, "/reserve", reserve(json!("x")), "lines"),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x"}])),
            "lines[0].quantity",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x", "quantity": 0}])),
            "lines[0].quantity",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x", "quantity": -1}])),
            "lines[0].quantity",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x", "quantity": 1e30}])),
            "lines[0].quantity",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x", "quantity": u64::MAX}])),
            "lines[0].quantity",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x", "quantity": 1.5}])),
            "lines[0].quantity",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "", "quantity": 1}])),
            "lines[0].sku",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "a\u{0}b", "quantity": 1}])),
            "lines[0].sku",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "x".repeat(500), "quantity": 1}])),
            "lines[0].sku",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!([{"sku": "no-such", "quantity": 1}])),
            "sku",
        ),
        (
            Method::POST,
            "/reserve",
            reserve(json!(vec![json!({"sku": "x", "quantity": 1}); 101])),
            "lines",
        ),
        (
            Method::POST,
            "/reserve",
            json!({"lines": [{"sku": "x", "quantity": 1}], "owner": "a", "ttl_seconds": 0}),
            "ttl_seconds",
        ),
        (
            Method::POST,
            "/reserve",
            json!({"lines": [{"sku": "x", "quantity": 1}], "owner": "a", "ttl_seconds": u64::MAX}),
            "ttl_seconds",
        ),
        (
            Method::POST,
            "/reserve",
            json!({"lines": [{"sku": "x", "quantity": 1}], "owner": "a", "ttl": 5}),
            "ttl",
        ),
        (Method::POST, "/stock", stock("set", json!(-1)), "set"),
        (Method::POST, "/stock", stock("set", json!(u64::MAX)), "set"),
        (
            Method::POST,
            "/stock",
            stock("correct", json!(i64::MIN)),
            "sku",
        ),
        (
            Method::POST,
            "/stock",
            stock("correct", json!(0)),
            "correct",
        ),
        (
            Method::POST,
            "/stock",
            stock("receive", json!(0)),
            "receive",
        ),
        (
            Method::POST,
            "/stock",
            stock("nothing", json!(0)),
            "nothing",
        ),
        (
            Method::POST,
            "/stock",
            json!({"sku": "x", "reason": "r", "operation_id": "o"}),
            "set",
        ),
        (
            Method::POST,
            "/reservations/x/extend",
            json!({"ttl_seconds": -5}),
            "ttl_seconds",
        ),
        (
            Method::POST,
            "/reservations/x/confirm",
            json!({"owner": 5}),
            "owner",
        ),
        (Method::PUT, "/products/new", json!({}), "title"),
        (
            Method::PUT,
            "/products/new",
            product("title", json!("")),
            "title",
        ),
        (
            Method::PUT,
            "/products/new",
            product("title", json!("x".repeat(5000))),
            "title",
        ),
        (
            Method::PUT,
            "/products/new",
            product("product_type", json!("no-such")),
            "product_type",
        ),
        (
            Method::PUT,
            "/products/new",
            product("version", json!("one")),
            "version",
        ),
        (
            Method::PUT,
            "/products/new",
            product("version", json!(-1)),
            "version",
        ),
        (
            Method::PUT,
            "/products/new",
            product("id", json!("other")),
            "id",
        ),
        (
            Method::PUT,
            "/products/new",
            product("atributes", json!({})),
            "atributes",
        ),
        (
            Method::PUT,
            "/products/new",
            product("attributes", json!([])),
            "attributes",
        ),
        (
            Method::PUT,
            "/products/new",
            product("attributes", json!({"a": deep})),
            "attributes",
        ),
        (
            Method::PUT,
            "/products/new",
            product("attributes", json!({"a": "x".repeat(100_000)})),
            "attributes",
        ),
        (
            Method::PUT,
            "/products/new",
            product("description", json!("a\u{0}b")),
            "description",
        ),
        (
            Method::PUT,
            "/products/new",
            product(
                "variants",
                json!([{"sku": "x", "price": {"minor": -5, "currency": "USD"}}]),
            ),
            "variants[0].price.minor",
        ),
        (
            Method::PUT,
            "/products/new",
            product(
                "variants",
                json!([{"sku": "x", "price": {"minor": 5, "currency": "usd"}}]),
            ),
            "variants[0].price.currency",
        ),
        (
            Method::PUT,
            "/products/new",
            product("variants", json!([{"sku": "x"}, {"sku": "x"}])),
            "variants[1].sku",
        ),
        (
            Method::PUT,
            "/product-types/new",
            json!({"schema": 5}),
            "schema",
        ),
        (
            Method::PUT,
            "/product-types/new",
            json!({"schema": {"type": "no-such"}}),
            "schema",
        ),
        (
            Method::PUT,
            "/product-types/new",
            json!({"schema": {"$ref": "http://127.0.0.1:1/x"}}),
            "schema",
        ),
        (
            Method::PUT,
            "/product-types/new",
            json!({"schema": {"pattern": "("}}),
            "schema",
        ),
        (
            Method::PUT,
            "/product-types/new",
            json!({"name": "other"}),
            "name",
        ),
    ];
    for (method, path, body, field) in cases {
        let what = format!("{method} {path} {:.120}", body.to_string());
        let answer = answer(client.request(method, path).json(&body)).await;
        assert_problem_of(field, &what, &answer);
    }
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let client = Client::with_sample().await;
    let long = "x".repeat(5000);
    let wide = json!({"a": vec![1; 1000]}).to_string();
    let cases = [
        ("/search", vec![("size", "0")], "size"),
        ("/search", vec![("size", "-1")], "size"),
        ("/search", vec![("size", "99999999999999999999")], "size"),
        ("/search", vec![("filter", "nonsense")], "filter"),
        ("/search", vec![("filter", "no_such_field:1")], "filter"),
        ("/search", vec![("filter", "price:NaN..inf")], "filter"),
        ("/search", vec![("facet", "no_such_field")], "facet"),
        ("/search", vec![("sort", "no_such_field")], "sort"),
        ("/search", vec![("cursor", "garbage")], "cursor"),
        ("/search", vec![("cursor", &long)], "cursor"),
        ("/search", vec![("q", &long)], "text"),
        ("/search", vec![("page", "2")], "page"),
        ("/suggest", vec![("size", "1000")], "limit"),
        ("/products", vec![("limit", "0")], "limit"),
        ("/products", vec![("attributes", "[1]")], "attributes"),
        ("/products", vec![("attributes", &wide)], "attributes"),
        ("/products", vec![("after", &long)], "product_id"),
        ("/stock/mug-kiln/movements", vec![("after", "x")], "cursor"),
        ("/stock/mug-kiln/movements", vec![("limit", "101")], "limit"),
    ];
    for (path, query, field) in cases {
        let what = format!("{path} {query:.80?}");
        let answer = answer(client.request(Method::GET, path).query(&query)).await;
        assert_problem_of(field, &what, &answer);
    }
}

#[tokio::test]
async fn query_syntax_and_odd_unicode_are_plain_text() {
    let client = Client::with_sample().await;
    let zalgo = format!("t{}ee", "\u{301}".repeat(300));
    let texts = [
        "\"",
        "tee AND (",
        "title:*",
        "a:b:c",
        "-tee",
        "tee~99",
        "[* TO *]",
        "\\",
        "/.*/",
        "%00",
        "\u{0}",
        "\u{202e}eet",
        "𝓽𝓮𝓮",
        "👩‍👩‍👧‍👦",
        "ﷺﷺﷺ",
        "Ⅷ",
        "ß",
        "İ",
        "\u{feff}",
        "'; DROP TABLE products; --",
        "${jndi:ldap://x}",
        &zalgo,
        "   ",
        "\n\t",
    ];
    for text in texts {
        for path in ["/search", "/suggest"] {
            let answer = answer(client.request(Method::GET, path).query(&[("q", text)])).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {text:?}: {answer:?}");
        }
        let filter = format!("attributes.material:{text}");
        let request = client
            .request(Method::GET, "/search")
            .query(&[("filter", filter)]);
        let answer = answer(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{text:?}: {answer:?}");
    }
}

#[tokio::test]
async fn bad_paths_methods_and_bytes_are_problems() {
    let client = Client::with_sample().await;
    let not_json = |path: &str, method: Method, bytes: Vec<u8>| {
        client
            .request(method, path)
            .header("content-type", "application/json")
            .body(bytes)
    };
    let huge = vec![b' '; 2 << 20];
    let named = [
        not_json("/reserve", Method::POST, huge.clone()),
        not_json("/products/x", Method::PUT, huge.clone()),
        not_json("/product-types/x", Method::PUT, huge),
        not_json(
            "/stock",
            Method::POST,
            br#" ["x",null,9,null,null,"r","o"]"#.to_vec(),
        ),
        not_json("/reserve", Method::POST, b"{".to_vec()),
        not_json("/reserve", Method::POST, b"{} trailing".to_vec()),
        not_json("/stock", Method::POST, vec![0xff, 0xfe]),
        not_json("/stock", Method::POST, "[".repeat(100_000).into_bytes()),
        client
            .request(Method::POST, "/reserve")
            .header("content-type", "text/xml")
            .body("<a/>"),
        client.request(Method::GET, "/stock/no-such"),
        client.request(Method::GET, "/stock/%ff"),
        client.request(Method::GET, "/stock/%00"),
        client.request(Method::GET, "/stock/a%0Ab"),
        client.request(Method::GET, "/products/no-such"),
        client.request(Method::GET, &format!("/products/{}", "x".repeat(3000))),
        client.request(Method::DELETE, "/products/%20"),
        client
            .request(Method::POST, "/reserve")
            .header("idempotency-key", "x".repeat(300))
            .json(&json!({"lines": [{"sku": "mug-kiln", "quantity": 1}], "owner": "ada"})),
    ];
    for request in named {
        let what = format!("{request:?}");
        assert_problem(&what, &answer(request).await);
    }
    let elsewhere = [
        client.request(Method::GET, "/no-such"),
        client.request(Method::PATCH, "/reserve"),
        client.request(Method::GET, "/reservations/no-such"),
        client
            .request(Method::POST, "/reservations/no-such/confirm")
            .json(&json!({})),
    ];
    for request in elsewhere {
        let what = format!("{request:?}");
        assert_problem(&what, &answer(request).await);
    }
    assert_eq!(client.get("/healthz").await.body["status"], "ok");
}
