//! Inventory in memory, and a page's stock, beside what one would write by hand.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use stockade_catalog_core::memory::MemoryAvailabilityCache;
use stockade_catalog_core::{
    Advance, Availability, AvailabilityCache, Completeness, Coverage, Origin,
};
use stockade_change_feed::{Clock as _, Offset, ReadFrom, SystemClock, Timestamp};
use stockade_inventory_core::book::{Book, LocationPriority};
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{
    Adjustment, Counts, Inventory, Line, Lines, LocationId, OperationId, OwnerId, Quantity, Reason,
    ReservationId, ReserveRequest, Sku, StockChange, StockChanged, StockLevel, Version,
};

use crate::Form;
use crate::measure::Latencies;

const SKUS: usize = 1_000;
const PAGE: usize = 25;
const PLENTY: u64 = 1 << 40;

/// How often each side has its turn, and for how long.
struct Plan {
    rounds: usize,
    round: Duration,
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let (rounds, round) = match form {
        Form::Short => (1, Duration::from_millis(50)),
        Form::Full => (5, Duration::from_secs(1)),
    };
    let plan = Plan { rounds, round };
    println!(
        "{:30} {:>11} {:>11} {:>6}  {:>9} {:>9}",
        "", "by hand/s", "ours/s", "ratio", "ours p50", "ours p99"
    );
    for tasks in [1, 8, 64] {
        let case = format!("grant decisions, {tasks} tasks");
        compare(
            &case,
            tasks,
            &plan,
            || Arc::new(ByHand::new(1)),
            Arc::<Decisions>::default,
        )
        .await?;
    }
    for (name, skus) in [("one SKU", 1), ("1,000 SKUs", SKUS)] {
        for tasks in [1, 8, 64] {
            let ours = Arc::new(Ours::open(skus).await?);
            let case = format!("reservations of {name}, {tasks} tasks");
            let by_hand = || Arc::new(ByHand::new(skus));
            compare(&case, tasks, &plan, by_hand, || ours.clone()).await?;
        }
    }
    let page = Arc::new(Page::open().await?);
    let bare = || Arc::new(BarePage(page.clone()));
    compare("a page of 25 variants", 1, &plan, bare, || page.clone()).await
}

/// Something that is done again and again, by many tasks at once.
trait Work: Send + Sync + 'static {
    /// The time of this call is what is measured; `turn` differs from call to call.
    fn once(&self, turn: u64) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Runs both in turn, and prints how they compare.
async fn compare<B: Work, O: Work>(
    case: &str,
    tasks: usize,
    plan: &Plan,
    bare: impl Fn() -> Arc<B>,
    ours: impl Fn() -> Arc<O>,
) -> anyhow::Result<()> {
    let (mut of_bare, mut of_ours, mut latencies) = (0.0, 0.0, Vec::new());
    for _ in 0..plan.rounds {
        of_bare += measure(bare(), tasks, plan.round, &mut Vec::new()).await?;
        of_ours += measure(ours(), tasks, plan.round, &mut latencies).await?;
    }
    let (rounds, latencies) = (plan.rounds as f64, Latencies::new(latencies));
    let (of_bare, of_ours) = (of_bare / rounds, of_ours / rounds);
    println!(
        "{case:30} {of_bare:>11.0} {of_ours:>11.0} {:>6.2}  {:>9.1?} {:>9.1?}",
        of_ours / of_bare,
        latencies.percentile(50),
        latencies.percentile(99),
    );
    Ok(())
}

/// How often it is done in a second by all tasks together.
async fn measure<W: Work>(
    work: Arc<W>,
    tasks: usize,
    round: Duration,
    latencies: &mut Vec<Duration>,
) -> anyhow::Result<f64> {
    static TURN: AtomicU64 = AtomicU64::new(0);
    let begun = Instant::now();
    let running = (0..tasks).map(|_| {
        let work = work.clone();
        tokio::spawn(async move {
            let mut own = Vec::new();
            while begun.elapsed() < round {
                let turn = TURN.fetch_add(1, Ordering::Relaxed);
                let asked = Instant::now();
                work.once(turn).await?;
                own.push(asked.elapsed());
                if own.len().is_multiple_of(64) {
                    tokio::task::yield_now().await;
                }
            }
            anyhow::Ok(own)
        })
    });
    let done = try_join_all(running).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let before = latencies.len();
    for own in done {
        latencies.extend(own?);
    }
    Ok((latencies.len() - before) as f64 / elapsed)
}

/// A counter for each SKU and the list of who has what, behind one lock.
struct ByHand {
    skus: u64,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    open: HashMap<String, u64>,
    held: HashMap<String, (String, u64)>,
}

impl ByHand {
    fn new(skus: usize) -> Self {
        let open = (0..skus).map(|sku| (name(sku as u64), PLENTY)).collect();
        let held = HashMap::new();
        Self {
            skus: skus as u64,
            shelf: Mutex::new(Shelf { open, held }),
        }
    }
}

impl Work for ByHand {
    async fn once(&self, turn: u64) -> anyhow::Result<()> {
        let (sku, id) = (name(turn % self.skus), format!("cart-{turn}"));
        let mut shelf = self.shelf.lock().ok().context("a task panicked")?;
        if shelf.held.contains_key(&id) {
            return Ok(());
        }
        let open = shelf.open.get_mut(&sku).context("unknown SKU")?;
        *open = open.checked_sub(1).context("sold out")?;
        shelf.held.insert(id, (sku, 1));
        Ok(())
    }
}

/// The rules alone: a level and a request in, the rows to write out.
#[derive(Default)]
struct Decisions;

impl Work for Decisions {
    async fn once(&self, turn: u64) -> anyhow::Result<()> {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let counts = Counts::new(PLENTY, 0, 0)?;
        let (sku, location) = (Sku::new(name(0))?, LocationId::default());
        let mut book = Book::new(now, 0, LocationPriority::default());
        book.load_level(StockLevel::new(
            sku,
            location,
            counts,
            Version::new(0, 1),
            now,
        ));
        book.reserve(&request(turn, 1)?)?;
        black_box(book.into_changes());
        Ok(())
    }
}

/// An inventory in memory.
struct Ours {
    inventory: Inventory,
    skus: u64,
}

impl Ours {
    async fn open(skus: usize) -> anyhow::Result<Self> {
        let store = MemoryInventory::new(Arc::new(SystemClock::new()));
        let inventory = Inventory::new(Arc::new(store));
        let skus = skus as u64;
        let stocked = (0..skus).map(|sku| {
            let operation = OperationId::new(format!("stock-{sku}"))?;
            let set = StockChange::Set(PLENTY);
            Ok(Adjustment::new(
                operation,
                Sku::new(name(sku))?,
                set,
                Reason::new("stock")?,
            ))
        });
        let stocked: Vec<Adjustment> = stocked.collect::<anyhow::Result<_>>()?;
        for outcome in inventory.adjust(&stocked).await? {
            outcome?;
        }
        Ok(Self { inventory, skus })
    }
}

impl Work for Ours {
    async fn once(&self, turn: u64) -> anyhow::Result<()> {
        self.inventory.reserve(request(turn, self.skus)?).await?;
        Ok(())
    }
}

/// What a page asks, of a cache that is full and fresh.
struct Page {
    cache: Arc<MemoryAvailabilityCache>,
    availability: Availability,
    skus: Vec<Sku>,
}

impl Page {
    async fn open() -> anyhow::Result<Self> {
        let cache = Arc::new(MemoryAvailabilityCache::new());
        let clock = SystemClock::new();
        let skus: Vec<Sku> = (0..SKUS as u64)
            .map(|sku| Sku::new(name(sku)))
            .collect::<Result<_, _>>()?;
        let start = Advance::empty(0, ReadFrom::Start, Offset(0));
        cache.apply(&[], &[start]).await?;
        let fill = cache.begin_fill().await?;
        let known = |sku: &Sku| StockChanged::new(sku.clone(), 7, Version::new(0, 1), clock.now());
        cache
            .write(&skus.iter().map(known).collect::<Vec<_>>())
            .await?;
        ensure!(cache.end_fill(&fill).await? == Coverage::Filled);
        let nobody = Arc::new(MemoryInventory::new(Arc::new(clock)));
        let availability = Availability::new(cache.clone(), nobody);
        let skus = skus[..PAGE].to_vec();
        let page = Self {
            cache,
            availability,
            skus,
        };
        page.refresh().await?;
        let items = page.availability.of(&page.skus).await.items;
        ensure!(
            items.iter().all(|item| item.origin == Origin::Cache),
            "{items:?}"
        );
        Ok(page)
    }

    /// As a heartbeat of the relay does.
    async fn refresh(&self) -> anyhow::Result<()> {
        let complete_as_of = SystemClock::new().now();
        let mut heartbeat = Advance::empty(0, ReadFrom::After(Offset(0)), Offset(0));
        heartbeat.complete = Some(Completeness {
            partitions: 1,
            epoch: 0,
            complete_as_of,
        });
        self.cache.apply(&[], &[heartbeat]).await?;
        Ok(())
    }
}

impl Work for Page {
    async fn once(&self, turn: u64) -> anyhow::Result<()> {
        if turn.is_multiple_of(1 << 16) {
            self.refresh().await?;
        }
        black_box(self.availability.of(&self.skus).await);
        Ok(())
    }
}

/// The one read of the cache that a page needs, and no circuit.
struct BarePage(Arc<Page>);

impl Work for BarePage {
    async fn once(&self, _: u64) -> anyhow::Result<()> {
        black_box(self.0.cache.read(&self.0.skus).await?);
        Ok(())
    }
}

fn name(sku: u64) -> String {
    format!("sku-{sku}")
}

fn request(turn: u64, skus: u64) -> anyhow::Result<ReserveRequest> {
    let lines = Lines::new([Line::new(Sku::new(name(turn % skus))?, Quantity::ONE)])?;
    let id = ReservationId::new(format!("cart-{turn}"))?;
    Ok(ReserveRequest::new(id, OwnerId::new("ada")?, lines))
}
