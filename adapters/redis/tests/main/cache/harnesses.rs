//! Caches for the suites: on one server, on a cluster, and on a server that is restored from dumps.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fred::bytes::Bytes;
use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike as _, ClusterInterface as _, KeysInterface as _};
use fred::types::config::Server as Address;
use fred::types::{ClusterHash, CustomCommand, Value};
use stack::{Redis, Server as _};
use stockade_catalog_core::AvailabilityCache;
use stockade_redis::{Prefix, RedisAvailability};
use stockade_testkit::cache::{CacheHarness, EmptyingHarness, RestoringHarness};
use stockade_testkit::{Absent, Harness};
use tokio::task::block_in_place;

use crate::harness::{PATIENCE, client, prefix, url};

/// A cache that no other case has.
struct Shared {
    cache: Arc<RedisAvailability>,
    client: Client,
    prefix: Prefix,
}

impl Shared {
    async fn open(variable: &str) -> Result<Self, Absent> {
        let client = client(&url(variable)?).await;
        let prefix = prefix();
        let cache = RedisAvailability::new(client.clone())
            .with_prefix(prefix.clone())
            .with_timeout(PATIENCE);
        Ok(Self {
            cache: Arc::new(cache),
            client,
            prefix,
        })
    }

    /// The primaries.
    fn servers(&self) -> Vec<WithOptions<Client>> {
        let client = &self.client;
        let servers = match client.is_clustered() {
            true => client
                .cached_cluster_state()
                .unwrap()
                .unique_primary_nodes(),
            false => client.active_connections(),
        };
        let with = |server| client.with_cluster_node::<Address>(server);
        servers.into_iter().map(with).collect()
    }

    async fn keys(&self) -> Vec<String> {
        let mut all = Vec::new();
        for server in self.servers() {
            let keys = CustomCommand::new_static("KEYS", ClusterHash::Random, false);
            let keys: Vec<String> = server
                .custom(keys, vec![format!("{}*", self.prefix)])
                .await
                .unwrap();
            all.extend(keys);
        }
        all
    }

    async fn empty(&self) {
        for key in self.keys().await {
            let () = self.client.del(key).await.unwrap();
        }
    }
}

type Dump = Vec<(String, Bytes)>;

macro_rules! shared_harness {
    ($name:ident, $variable:literal) => {
        struct $name(Shared);

        #[async_trait]
        impl Harness for $name {
            const BACKEND: &'static str = "redis";

            async fn open() -> Result<Self, Absent> {
                Ok(Self(Shared::open($variable).await?))
            }
        }

        impl CacheHarness for $name {
            fn cache(&self) -> Arc<dyn AvailabilityCache> {
                self.0.cache.clone()
            }
        }

        #[async_trait]
        impl EmptyingHarness for $name {
            async fn empty(&self) {
                self.0.empty().await;
            }
        }

        #[async_trait]
        impl RestoringHarness for $name {
            type Copy = Dump;

            // A bucket is one key, so its copy is of one moment.
            async fn save(&self) -> Dump {
                let mut dump = Vec::new();
                for key in self.0.keys().await {
                    let bytes = self.0.client.dump(key.as_str()).await.unwrap();
                    dump.push((key, bytes));
                }
                dump
            }

            async fn restore(&self, copy: Dump) {
                self.0.empty().await;
                for (key, bytes) in copy {
                    let restored =
                        self.0
                            .client
                            .restore(key, 0, Value::Bytes(bytes), true, false, None, None);
                    let () = restored.await.unwrap();
                }
            }
        }
    };
}

shared_harness!(OnRedis, "STOCKADE_REDIS_URL");
shared_harness!(OnACluster, "STOCKADE_REDIS_CLUSTER_URL");

/// A cache on a server of its own, which comes back with an old dump.
struct OnADump {
    cache: Arc<RedisAvailability>,
    redis: Mutex<Redis>,
}

#[async_trait]
impl Harness for OnADump {
    const BACKEND: &'static str = "redis";

    async fn open() -> Result<Self, Absent> {
        let started = block_in_place(Redis::start);
        let redis = started.map_err(|error| Absent::because(format!("{error:#}")))?;
        let client = client(&redis.url()).await;
        Ok(Self {
            cache: Arc::new(RedisAvailability::new(client).with_timeout(PATIENCE)),
            redis: Mutex::new(redis),
        })
    }
}

impl CacheHarness for OnADump {
    fn cache(&self) -> Arc<dyn AvailabilityCache> {
        self.cache.clone()
    }
}

#[async_trait]
impl EmptyingHarness for OnADump {
    async fn empty(&self) {
        block_in_place(|| self.redis.lock().unwrap().restart_empty()).unwrap();
    }
}

#[async_trait]
impl RestoringHarness for OnADump {
    type Copy = Vec<u8>;

    async fn save(&self) -> Vec<u8> {
        block_in_place(|| self.redis.lock().unwrap().save()).unwrap()
    }

    async fn restore(&self, copy: Vec<u8>) {
        block_in_place(|| self.redis.lock().unwrap().restart_from(&copy)).unwrap();
    }
}

stockade_testkit::availability_cache_conformance!(on_redis, OnRedis);
stockade_testkit::availability_cache_conformance!(on_a_cluster, OnACluster);
stockade_testkit::cache_emptying_conformance!(emptied_on_redis, OnRedis);
stockade_testkit::cache_emptying_conformance!(emptied_on_a_cluster, OnACluster);
stockade_testkit::cache_emptying_conformance!(restarted_empty, OnADump);
stockade_testkit::cache_restoring_conformance!(restored_on_redis, OnRedis);
stockade_testkit::cache_restoring_conformance!(restored_on_a_cluster, OnACluster);
stockade_testkit::cache_restoring_conformance!(restarted_from_a_dump, OnADump);
