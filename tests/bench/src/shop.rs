//! The whole shop over HTTP, in a process of its own, with many generated products.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sample_catalogue::{Entry, generate};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

use crate::Form;
use crate::measure::{Latencies, memory_of, mib};

/// The seed of the storefront's `--generate`.
const SEED: u64 = 1;
const VARIANTS: usize = 25;
const TEXTS: [&str; 5] = [
    "wireless headphones",
    "oled televisions",
    "striped shirt",
    "oak furniture",
    "trail shoes",
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many products; 100,000, or 300 in the short form.
    #[arg(long)]
    products: Option<usize>,
}

pub(crate) async fn run(form: Form, args: &Args) -> anyhow::Result<()> {
    let (products, rounds) = match form {
        Form::Short => (300, 20),
        Form::Full => (100_000, 1_000),
    };
    let products = args.products.unwrap_or(products);
    let begun = Instant::now();
    let shop = Shop::start(products).await?;
    let mut visitor = shop.visitor().await?;
    visitor
        .until("all products are found", "/search?size=1", |found| {
            found["total"] == products
        })
        .await?;
    let took = begun.elapsed();
    visitor
        .until("nothing is unread", "/healthz", |health| {
            let lags = health["consumer_lag"].as_array();
            lags.is_some_and(|lags| lags.iter().all(|lag| lag["records"] == 0))
        })
        .await?;
    let memory = memory_of(shop.process.id().context("it runs")?)?;
    println!("{products} products, {rounds} rounds");
    println!("started until all are found: {took:.1?}");
    println!(
        "resident memory: {}, at most {}",
        mib(memory.now),
        mib(memory.peak)
    );
    println!(
        "{:26} {:>9} {:>9} {:>10} {:>10}",
        "", "p50", "p99", "ratio p50", "ratio p99"
    );
    let mut baseline = None;
    for (name, requests) in requests(products)? {
        let mut latencies = Vec::new();
        for round in 0..rounds {
            let request = &requests[round % requests.len()];
            let asked = Instant::now();
            visitor.answer(&request(round)).await?;
            latencies.push(asked.elapsed());
        }
        let latencies = Latencies::new(latencies);
        let baseline = baseline.get_or_insert_with(|| latencies.clone());
        println!(
            "{name:26} {:>9.1?} {:>9.1?} {:>10.1} {:>10.1}",
            latencies.percentile(50),
            latencies.percentile(99),
            latencies.ratio(baseline, 50),
            latencies.ratio(baseline, 99),
        );
    }
    Ok(())
}

/// A request for a round: those that change something differ from round to round.
type Request = Box<dyn Fn(usize) -> String>;

/// What is asked; the first of them is the baseline.
fn requests(products: usize) -> anyhow::Result<Vec<(&'static str, Vec<Request>)>> {
    let entries = || generate(products, SEED);
    let wide = entries().find(|entry| entry.content.variants.len() == VARIANTS);
    let wide = wide
        .context("no product has so many variants")?
        .content
        .slug;
    let plenty = |entry: Entry| {
        let mut stock = entry.stock.into_iter();
        stock.find(|(_, units)| *units >= 100)
    };
    let skus: Vec<_> = entries()
        .filter_map(plenty)
        .map(|(sku, _)| sku.to_string())
        .take(1_000)
        .collect();
    ensure!(skus.len() >= VARIANTS, "too few products");
    let many: Vec<_> = skus[..VARIANTS]
        .iter()
        .map(|sku| format!("sku={sku}"))
        .collect();
    let search = |text: &str| {
        let facets = "facet=brand&facet=product_type&facet=attributes.material";
        let text = text.replace(' ', "+");
        get(format!("/search?q={text}&{facets}"))
    };
    let reserve = |sku: String| -> Request {
        Box::new(move |round| {
            let lines = json!([{"sku": sku, "quantity": 1}]);
            let body = json!({"lines": lines, "owner": format!("customer-{round}")});
            let body = body.to_string();
            let length = body.len();
            format!(
                "POST /reserve HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            )
        })
    };
    Ok(vec![
        ("health, the baseline", vec![get("/healthz".to_owned())]),
        ("a search with 3 facets", TEXTS.map(search).into()),
        (
            "a product of 25 variants",
            vec![get(format!("/products/{wide}"))],
        ),
        (
            "availability of 25 SKUs",
            vec![get(format!("/availability?{}", many.join("&")))],
        ),
        ("a reservation", skus.into_iter().map(reserve).collect()),
    ])
}

fn get(path: String) -> Request {
    Box::new(move |_| format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n"))
}

/// A storefront in a process of its own, which ends with this.
struct Shop {
    process: Child,
    address: String,
    /// Read on, so that the shop can go on writing.
    _log: tokio::task::JoinHandle<()>,
}

impl Shop {
    async fn start(products: usize) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["storefront", "--listen", "127.0.0.1:0"])
            .args(["--generate", &products.to_string()])
            .env("RUST_LOG", "warn")
            .env_remove("STOREFRONT_POSTGRES")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = process.stderr.take().context("it is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let address = address(&mut lines).await?;
        let reading = async move { while let Ok(Some(_)) = lines.next_line().await {} };
        Ok(Self {
            process,
            address,
            _log: tokio::spawn(reading),
        })
    }

    async fn visitor(&self) -> anyhow::Result<Visitor> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        Ok(Visitor(BufReader::new(stream)))
    }
}

async fn address(lines: &mut tokio::io::Lines<BufReader<ChildStderr>>) -> anyhow::Result<String> {
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("the shop is at http://") {
            return Ok(address.to_owned());
        }
        said.push_str(&line);
    }
    anyhow::bail!("the shop does not start: {said}")
}

/// One connection, with nothing between it and the clock.
struct Visitor(BufReader<TcpStream>);

impl Visitor {
    /// The body of a successful answer.
    async fn answer(&mut self, request: &str) -> anyhow::Result<Vec<u8>> {
        self.0.write_all(request.as_bytes()).await?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            ensure!(
                self.0.read_line(&mut line).await? > 0,
                "the shop has hung up"
            );
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        let text = String::from_utf8_lossy(&body);
        ensure!(head.starts_with("HTTP/1.1 2"), "{request}: {head}{text}");
        Ok(body)
    }

    async fn until(
        &mut self,
        what: &str,
        path: &str,
        met: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(300);
        let begun = Instant::now();
        loop {
            let answer = self.answer(&get(path.to_owned())(0)).await?;
            let answer: Value = serde_json::from_slice(&answer)?;
            if met(&answer) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "never: {what}; but {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
