//! Passes requests on to a service.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::{Method, Uri};
use axum::response::Response;
use service_kit::{Problem, RawBody};

use super::remote::Remote;

/// Headers between two neighbours, which are not passed on.
const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Passes a request on, with the token of the service in place of the client's if there is one.
pub(crate) async fn forward(
    State(remote): State<Remote>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, Problem> {
    let is_head = method == Method::HEAD;
    let path_and_query = uri.path_and_query().map_or("/", |it| it.as_str());
    let answer = remote
        .ask(method, path_and_query, end_to_end(headers), body)
        .await?;
    let length = answer.headers.get(header::CONTENT_LENGTH).cloned();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = end_to_end(answer.headers);
    if let Some(length) = length.filter(|_| is_head) {
        // That of the body which is left out.
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
    }
    Ok(response)
}

/// Without the headers that are about one connection, and those that a new one sets itself.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let of_request = [header::CONTENT_LENGTH, header::EXPECT, header::HOST];
    for name in named.into_iter().chain(OF_CONNECTION).chain(of_request) {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn headers_of_one_connection_are_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("host", "front"),
            ("idempotency-key", "cart-1"),
            ("traceparent", "00-0-0-00"),
        ] {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let passed = end_to_end(headers);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["idempotency-key", "traceparent"]);
    }
}
