//! Traces of requests, as a collector gets them.

use stack::Collector;

use crate::process::life_with;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

/// Runs a service that sends traces, and asks for a path with this header.
fn request(collector: &Collector, traceparent: &str) {
    let (collector, header) = (collector.url().to_owned(), traceparent.to_owned());
    life_with(
        &["--region=eu", "--traces", &collector, "--trace-ratio=0"],
        &[],
        |url| {
            let url = format!("{url}/livez");
            let sent = std::thread::spawn(move || {
                let client = reqwest::blocking::Client::new();
                client.get(url).header("traceparent", header).send()
            });
            assert!(sent.join().unwrap().unwrap().status().is_success());
        },
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_part_of_its_clients_trace() {
    let collector = Collector::start().await.unwrap();
    request(&collector, &format!("00-{TRACE}-{CLIENT}-01"));
    // The service has sent everything before it ended.
    let spans = collector.spans(TRACE);
    let [span] = &spans[..] else {
        panic!("not one span: {spans:?}");
    };
    assert_eq!((&*span.name, &*span.parent), ("request", CLIENT));
    assert_eq!(span.service, "kit");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_does_not_sample_is_not_sent() {
    let collector = Collector::start().await.unwrap();
    request(&collector, &format!("00-{TRACE}-{CLIENT}-00"));
    assert_eq!(collector.spans(TRACE), []);
    request(&collector, "of another form");
    assert_eq!(collector.spans(TRACE), []);
}
