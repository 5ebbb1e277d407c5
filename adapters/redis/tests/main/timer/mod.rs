//! Timers: the suite, and what else they do on real servers.

mod servers;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_inventory_core::ReservationTimer;
use stockade_redis::{RedisTimers, TimerOptions};
use stockade_testkit::inventory::TimerHarness;
use stockade_testkit::{Absent, Harness};

use crate::harness::{PATIENCE, client, prefix, url};

/// Timers that no other case has, on one server.
struct OnRedis(Arc<RedisTimers>);

#[async_trait]
impl Harness for OnRedis {
    const BACKEND: &'static str = "redis";

    async fn open() -> Result<Self, Absent> {
        Ok(Self(timers(&url("STOCKADE_REDIS_URL")?).await))
    }
}

impl TimerHarness for OnRedis {
    fn timer(&self) -> Arc<dyn ReservationTimer> {
        self.0.clone()
    }
}

/// Timers that no other case has, on a cluster.
struct OnACluster(Arc<RedisTimers>);

#[async_trait]
impl Harness for OnACluster {
    const BACKEND: &'static str = "redis";

    async fn open() -> Result<Self, Absent> {
        Ok(Self(timers(&url("STOCKADE_REDIS_CLUSTER_URL")?).await))
    }
}

impl TimerHarness for OnACluster {
    fn timer(&self) -> Arc<dyn ReservationTimer> {
        self.0.clone()
    }
}

async fn timers(url: &str) -> Arc<RedisTimers> {
    let options = TimerOptions::default()
        .with_prefix(prefix())
        .with_timeout(PATIENCE);
    let timers = RedisTimers::start(client(url).await, options).await;
    Arc::new(timers.unwrap())
}

stockade_testkit::reservation_timer_conformance!(on_redis, OnRedis);
stockade_testkit::reservation_timer_conformance!(on_a_cluster, OnACluster);
