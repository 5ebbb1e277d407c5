//! Customers who shop by a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use fastrand::Rng;
use stockade_inventory_core::{Inventory, OperationId, ReservationId, Sku};
use tokio::task::JoinSet;

use crate::calls::{Answer, Call, Step};
use crate::history::{Entry, History, last_answers};

/// What is fought for: few, so that customers meet.
const SKUS: [&str; 5] = ["cap", "lamp", "mug", "sock", "tee"];
/// So few of each that they run out.
const STOCK: u64 = 60;
/// How long an unclear outcome may take to become clear.
const RESOLVED: Duration = Duration::from_secs(60);

/// Makes calls and notes them. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    inventory: Inventory,
    history: Arc<History>,
}

/// Customers that shop until they are stopped.
#[derive(Debug)]
pub struct Customers {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Client {
    /// A client.
    #[must_use]
    pub fn new(inventory: Inventory, history: History) -> Self {
        let history = Arc::new(history);
        Self { inventory, history }
    }

    /// Makes a call, noted before it is made and when it is answered.
    ///
    /// # Errors
    /// Where the history can't be written.
    pub async fn make(&self, call: Call) -> anyhow::Result<Answer> {
        let number = self.history.asked(call.clone())?;
        let answer = call.make(&self.inventory).await;
        self.history.answered(number, answer.clone())?;
        Ok(answer)
    }

    /// Waits until so many more calls are answered.
    pub(crate) async fn until_answered(&self, more: u64) {
        let enough = self.history.answers() + more;
        while self.history.answers() < enough {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Fills the shelves.
    ///
    /// # Errors
    /// Where that is not clearly done.
    pub async fn stock_up(&self) -> anyhow::Result<()> {
        for sku in SKUS {
            self.receive(sku, STOCK).await?;
        }
        Ok(())
    }

    /// Units of a SKU come in for the first time.
    ///
    /// # Errors
    /// Where that is not clearly done.
    pub async fn receive(&self, sku: &str, units: u64) -> anyhow::Result<()> {
        let operation = OperationId::new(format!("first-{sku}"))?;
        let sku = Sku::new(sku)?;
        let answer = self
            .make(Call::Receive {
                operation,
                sku,
                units,
            })
            .await?;
        ensure!(answer == Answer::Done, "stock was not received: {answer:?}");
        Ok(())
    }

    /// Asks again, with the same ids, what has no clear answer by now, until it has.
    ///
    /// # Errors
    /// Where it has none after a minute.
    pub async fn resolve(&self, history: &[Entry]) -> anyhow::Result<usize> {
        let last = last_answers(history).into_iter();
        let unclear: Vec<&Call> = last
            .filter(|(_, answer)| matches!(answer, Answer::Unknown(_)))
            .map(|(call, _)| call)
            .collect();
        let until_clear = async {
            for call in &unclear {
                while let Answer::Unknown(_) = self.make((*call).clone()).await? {}
            }
            Ok(unclear.len())
        };
        match tokio::time::timeout(RESOLVED, until_clear).await {
            Ok(resolved) => resolved,
            Err(_) => bail!("outcomes stay unknown after {RESOLVED:?}"),
        }
    }
}

impl Customers {
    /// Lets so many shop. The seed decides what they want, and their ids.
    #[must_use]
    pub fn start(client: &Client, seed: u64, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let customer = Customer {
                client: client.clone(),
                name: format!("{seed:x}-{number}"),
                calls: 0,
                rng: Rng::with_seed(seed.wrapping_add(number as u64)),
                held: Vec::new(),
                confirmed: Vec::new(),
            };
            tasks.spawn(customer.shop(stop.clone()));
        }
        Self { tasks, stop }
    }

    /// Lets them finish what they are at.
    ///
    /// # Errors
    /// Where the history can't be written.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}

struct Customer {
    client: Client,
    name: String,
    calls: u64,
    rng: Rng,
    held: Vec<ReservationId>,
    confirmed: Vec<ReservationId>,
}

impl Customer {
    async fn shop(mut self, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let call = self.next_call()?;
            let mut answer = self.client.make(call.clone()).await?;
            // Now and then the same is asked again: because it is unclear, or for no reason.
            if self.rng.u8(..) < 64 {
                answer = self.client.make(call.clone()).await?;
            }
            self.remember(call, &answer);
            // A store in memory never makes a caller wait.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn next_call(&mut self) -> anyhow::Result<Call> {
        self.calls += 1;
        let number = format!("{}-{}", self.name, self.calls);
        Ok(match self.rng.u8(..10) {
            0 => Call::Receive {
                operation: OperationId::new(number)?,
                sku: Sku::new(SKUS[self.rng.usize(..SKUS.len())])?,
                units: self.rng.u64(1..4),
            },
            1..=3 => match self.take_held() {
                Some(id) => Call::Go {
                    id,
                    step: self.either(Step::Confirm, Step::Release),
                },
                None => self.reserve(number)?,
            },
            4 => match self.confirmed.pop() {
                Some(id) => Call::Go {
                    id,
                    step: self.either(Step::Fulfil, Step::Cancel),
                },
                None => self.reserve(number)?,
            },
            _ => self.reserve(number)?,
        })
    }

    fn reserve(&mut self, number: String) -> anyhow::Result<Call> {
        let mut skus = SKUS;
        self.rng.shuffle(&mut skus);
        // One line goes another way through the store than several.
        let count = if self.rng.bool() {
            1
        } else {
            self.rng.usize(2..4)
        };
        let line = |sku: &&str| Ok((Sku::new(*sku)?, self.rng.u64(1..3)));
        Ok(Call::Reserve {
            id: ReservationId::new(number)?,
            lines: skus[..count]
                .iter()
                .map(line)
                .collect::<anyhow::Result<_>>()?,
        })
    }

    fn take_held(&mut self) -> Option<ReservationId> {
        (!self.held.is_empty()).then(|| self.held.swap_remove(self.rng.usize(..self.held.len())))
    }

    fn either(&mut self, one: Step, other: Step) -> Step {
        if self.rng.bool() { one } else { other }
    }

    /// A reservation with an unclear outcome is left alone, until it is resolved.
    fn remember(&mut self, call: Call, answer: &Answer) {
        match (call, answer) {
            (Call::Reserve { id, .. }, Answer::Done) => self.held.push(id),
            (
                Call::Go {
                    id,
                    step: Step::Confirm,
                },
                Answer::Done,
            ) => self.confirmed.push(id),
            _ => {}
        }
    }
}
