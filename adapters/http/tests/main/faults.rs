//! What the client does about a server that is gone, slow, wrong or refuses.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stockade_change_feed::Retry;
use stockade_http::HttpStockSource;
use stockade_inventory_core::{InventoryError, SkuStock, StockSource};
use tokio::io::AsyncWriteExt;

use crate::server::{
    answering, client, hasty, json, listen, options, request, scripted, sku, stocked,
};

/// An answer to a request for the stock of `tee`.
const TEE: &str = r#"{"v":1,"stock":[{"sku":"tee","levels":[{"location":"main","physical":5,"reserved":2,"escrowed":0,"version":{"epoch":0,"number":7},"changed_at":1764000000000000}]}]}"#;

async fn tee(client: &HttpStockSource) -> Result<Option<SkuStock>, InventoryError> {
    Ok(client.stock(&[sku("tee")]).await?.remove(0))
}

/// The error of a call, which has to end soon.
async fn failure(client: &HttpStockSource) -> InventoryError {
    let began = Instant::now();
    let error = tee(client).await.unwrap_err();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "it took {took:?}: {error}");
    error
}

fn is_unavailable(error: &InventoryError) -> bool {
    matches!(error.retry(), Retry::After(_))
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable_until_it_is_back() {
    let (listener, address) = listen().await;
    drop(listener);
    let client = client(address);
    let error = failure(&client).await;
    assert!(is_unavailable(&error), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let store = stocked(&["tee"]).await;
    crate::server::serve(
        listener,
        stockade_http::stock_routes(std::sync::Arc::new(store)),
    );
    assert_eq!(tee(&client).await.unwrap().unwrap().physical(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let address = scripted(|mut stream, _| async move {
        request(&mut stream).await;
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = failure(&hasty(address)).await;
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    assert!(error.to_string().contains("300ms"), "{error}");
}

#[tokio::test]
async fn calls_that_wait_for_a_place_end_in_time() {
    let address = scripted(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let options = options(address)
        .with_timeout(Duration::from_millis(300))
        .with_max_calls(NonZeroUsize::MIN);
    let client = HttpStockSource::new(options).unwrap();
    let calls = stockade_testkit::together((0..5).map(|_| {
        let client = client.clone();
        async move { failure(&client).await }
    }));
    for error in calls.await {
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    }
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let address = scripted(|mut stream, _| async move {
        request(&mut stream).await;
        let answer = json("200 OK", TEE);
        for byte in answer.as_bytes() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = failure(&hasty(address)).await;
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unavailable() {
    let address = scripted(|mut stream, _| async move {
        request(&mut stream).await;
        let answer = json("200 OK", TEE);
        stream
            .write_all(&answer.as_bytes()[..answer.len() - 20])
            .await
            .unwrap();
    })
    .await;
    let error = failure(&client(address)).await;
    assert!(is_unavailable(&error), "{error}");
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let address = scripted(|mut stream, _| async move {
        request(&mut stream).await;
        stream
            .write_all(json("200 OK", TEE).as_bytes())
            .await
            .unwrap();
        // It closes instead of an answer, as a server does that was restarted.
        request(&mut stream).await;
    })
    .await;
    let client = client(address);
    for _ in 0..4 {
        assert_eq!(tee(&client).await.unwrap().unwrap().physical(), 5);
    }
}

#[tokio::test]
async fn a_request_is_repeated_once() {
    let address = scripted(|mut stream, number| async move {
        request(&mut stream).await;
        // Only the third connection has an answer.
        if number >= 2 {
            stream
                .write_all(json("200 OK", TEE).as_bytes())
                .await
                .unwrap();
        }
    })
    .await;
    let client = client(address);
    let error = failure(&client).await;
    assert!(is_unavailable(&error), "{error}");
    assert!(tee(&client).await.is_ok());
}

#[tokio::test]
async fn a_server_without_http_is_unavailable() {
    let address = answering("SSH-2.0-OpenSSH_9.6\r\n".to_owned()).await;
    let error = failure(&client(address)).await;
    assert!(is_unavailable(&error), "{error}");
}

#[tokio::test]
async fn a_wrong_answer_is_refused() {
    for (body, phrase) in [
        ("<html>It works!</html>", "not the expected JSON"),
        ("", "not the expected JSON"),
        ("null", "not the expected JSON"),
        (r#"{"v":1}"#, "stock"),
        (r#"{"v":1,"stock":[]}"#, "0 answers for 1 SKUs"),
        (r#"{"v":1,"stock":[null,null]}"#, "2 answers for 1 SKUs"),
        (r#"{"v":2,"stock":[null]}"#, "newer than 1"),
        (
            r#"{"v":1,"stock":[{"sku":"tee","levels":[]}]}"#,
            "without any level",
        ),
        (
            &TEE.replace("\"tee\"", "\"cap\""),
            "the stock of cap for tee",
        ),
        (
            &TEE.replace("\"reserved\":2", "\"reserved\":9"),
            "reserved 9",
        ),
    ] {
        let address = answering(json("200 OK", body)).await;
        let error = failure(&client(address)).await;
        assert_eq!(error.retry(), Retry::Never, "{body}: {error}");
        assert!(error.to_string().contains(phrase), "{body}: {error}");
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_page_with_more_than_was_asked_for_is_refused() {
    let page = TEE.replace(r#""stock":["#, r#""next":null,"stock":["#);
    let two = page.replace(r#"}]}]}"#, r#"}]},{"sku":"cap","levels":[]}]}"#);
    let address = answering(json("200 OK", &two)).await;
    let error = client(address)
        .scan(None, NonZeroUsize::MIN)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("2 SKUs"), "{error}");
}

#[tokio::test]
async fn new_fields_are_ignored() {
    let newer = TEE.replace(r#""v":1,"#, r#""v":1,"region":"eu","#);
    let newer = newer.replace(r#""physical""#, r#""incoming":{"a":[1]},"physical""#);
    let address = answering(json("200 OK", &newer)).await;
    assert_eq!(tee(&client(address)).await.unwrap().unwrap().physical(), 5);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let announced = answering("HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n{".to_owned());
    let endless = scripted(|mut stream, _| async move {
        request(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("3e8\r\n{}\r\n", " ".repeat(1_000));
        let mut text = head;
        while stream.write_all(text.as_bytes()).await.is_ok() {
            text = &chunk;
        }
    });
    for address in [announced.await, endless.await] {
        let options = options(address).with_max_answer_bytes(100_000);
        let client = HttpStockSource::new(options).unwrap();
        let error = failure(&client).await;
        assert_eq!(error.retry(), Retry::Never, "{error}");
        assert!(
            error.to_string().contains("more than 100000 bytes"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (answer, phrase) in [
        (json("401 Unauthorized", "{}"), "check the bearer token"),
        (json("403 Forbidden", "{}"), "check the bearer token"),
        (json("404 Not Found", "<html>"), "check that the URL"),
        (
            json("422 Unprocessable Entity", r#"{"detail":"odd"}"#),
            "odd",
        ),
        (
            json("302 Found\r\nlocation: https://login/", ""),
            "https://login/",
        ),
        (json("500 Internal Server Error", "panic"), "500"),
    ] {
        let address = answering(answer).await;
        let error = failure(&client(address)).await;
        assert_eq!(error.retry(), Retry::Never, "{error}");
        assert!(error.to_string().contains(phrase), "{phrase}: {error}");
    }
}

#[tokio::test]
async fn a_busy_server_says_when_to_try_again() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let address = answering(json(&format!("{status}\r\nretry-after: 7"), "{}")).await;
        let error = failure(&client(address)).await;
        assert_eq!(
            error.retry(),
            Retry::After(Duration::from_secs(7)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_token_is_sent_and_not_shown() {
    let address = scripted(|mut stream, _| async move {
        while let Some(request) = request(&mut stream).await {
            let known = request.contains("authorization: Bearer 0123456789abcdef");
            let answer = if known {
                json("200 OK", TEE)
            } else {
                json("401 No", "{}")
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let with = |token| {
        let options = options(address).with_bearer_token(token).unwrap();
        HttpStockSource::new(options).unwrap()
    };
    assert!(tee(&with("0123456789abcdef")).await.is_ok());
    let wrong = with("wrong-token");
    let error = failure(&wrong).await;
    let told = format!("{error} {error:?} {wrong:?}");
    assert!(!told.contains("wrong-token"), "{told}");
    assert!(failure(&client(address)).await.to_string().contains("401"));
}
