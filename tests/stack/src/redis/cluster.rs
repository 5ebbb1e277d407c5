//! A cluster of Redis.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::port::Port;
use crate::redis::{Redis, RedisOptions};
use crate::server::{Left, Server};
use crate::tls::Certificates;

/// The slots of each primary, as `redis-cli --cluster create` deals them out.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// How long its members may take until they agree.
const AGREED: Duration = Duration::from_secs(60);

/// A cluster of six: of the [nodes](RedisCluster::nodes), 0 to 2 begin as primaries, and 3 to 5 as
/// their replicas in this order. A primary that is silent for two seconds is replaced.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    /// What they tell each other by. They are let go after the nodes have ended.
    buses: Vec<Port>,
}

impl RedisCluster {
    /// Starts one on free ports.
    ///
    /// # Errors
    /// Where Redis is not installed, with the command that mends it, or does not start, with the
    /// end of a log.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&RedisOptions::new())
    }

    /// One for a test, or none where there is no Redis on this machine: which is said, and is a
    /// failure where `STOCKADE_REQUIRE_REDIS` is set.
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test() -> Option<Self> {
        RedisOptions::new().cluster_for_test()
    }

    pub(super) fn start_with(options: &RedisOptions) -> anyhow::Result<Self> {
        let mut cluster = Self {
            nodes: Vec::new(),
            buses: Vec::new(),
        };
        for _ in 0..2 * SLOTS.len() {
            let bus = Port::take()?;
            let options = options
                .clone()
                .set("cluster-enabled", "yes")
                .set("cluster-port", &bus.number().to_string())
                .set("cluster-node-timeout", "2000");
            let certificates = cluster.certificates().cloned();
            let mut node = Redis::new(options, certificates)?;
            node.begin()?;
            cluster.nodes.push(node);
            cluster.buses.push(bus);
        }
        cluster.nodes.iter_mut().try_for_each(Redis::ready)?;
        cluster.join()?;
        Ok(cluster)
    }

    /// Its members.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// One of its members, to be hurt.
    ///
    /// # Panics
    /// Where there is none of that number.
    #[must_use]
    pub fn node(&mut self, number: usize) -> &mut Redis {
        &mut self.nodes[number]
    }

    /// What clients need for TLS, where it has it. All members have the same.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.nodes.first().and_then(Redis::certificates)
    }

    /// Which members are primaries at the moment, as the member of that number has heard.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn primaries_as_told_by(&self, number: usize) -> anyhow::Result<Vec<usize>> {
        let told = self.told_by(&self.nodes[number])?;
        let primaries = told.iter().enumerate().filter(|(_, member)| {
            let primary = member.as_ref().filter(|member| member.serves());
            primary.is_some_and(|member| !member.slots.is_empty())
        });
        Ok(primaries.map(|(number, _)| number).collect())
    }

    /// Waits until all that run agree that every slot is served, by three primaries, and that
    /// every member that runs is one of them or has what one of them has.
    ///
    /// # Errors
    /// Where they do not within a minute.
    pub fn agreed(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.agrees() {
            if begun.elapsed() > AGREED {
                return Err(error.context(format!("the cluster does not agree in {AGREED:?}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Makes a cluster of members that do not know each other.
    fn join(&self) -> anyhow::Result<()> {
        let (primaries, replicas) = self.nodes.split_at(SLOTS.len());
        for (number, (node, (first, last))) in primaries.iter().zip(SLOTS).enumerate() {
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", first, last])?;
            // Two of one epoch would have to settle who is older.
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
        }
        for (node, bus) in self.nodes.iter().zip(&self.buses).skip(1) {
            let (port, bus) = (node.port.number().to_string(), bus.number().to_string());
            self.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        for (replica, primary) in replicas.iter().zip(primaries) {
            let id = primary.cli(&["CLUSTER", "MYID"])?;
            let begun = Instant::now();
            // It may not have heard of its primary yet.
            while let Err(error) = replica.cli(&["CLUSTER", "REPLICATE", &id]) {
                if begun.elapsed() > AGREED {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(25));
            }
        }
        self.agreed()
    }

    fn agrees(&self) -> anyhow::Result<()> {
        let mut views = Vec::new();
        for (number, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.runs())
        {
            let state = node.cli(&["CLUSTER", "INFO"])?;
            if !state.contains("cluster_state:ok") {
                bail!("node {number} says {state}");
            }
            let told = self.told_by(node)?;
            let own = told[number]
                .as_ref()
                .context("a node does not know itself")?;
            if !own.serves() {
                let replication = node.cli(&["INFO", "replication"])?;
                if !replication.contains("master_link_status:up") {
                    bail!("node {number} says {replication}");
                }
            }
            let view: Vec<_> = told
                .into_iter()
                .map(|member| member.map(|member| (member.serves(), member.slots)))
                .collect();
            views.push(view);
        }
        match views.windows(2).all(|two| two[0] == two[1]) {
            true => Ok(()),
            false => bail!("the nodes have heard different things: {views:?}"),
        }
    }

    /// What one member has heard of each.
    fn told_by(&self, node: &Redis) -> anyhow::Result<Vec<Option<Member>>> {
        let told = node.cli(&["CLUSTER", "NODES"])?;
        let mut members: HashMap<u16, Member> = told.lines().filter_map(Member::parse).collect();
        let numbers = self.nodes.iter().map(|node| node.port.number());
        Ok(numbers.map(|port| members.remove(&port)).collect())
    }
}

/// A line of `CLUSTER NODES`.
#[derive(Debug)]
struct Member {
    flags: String,
    slots: Vec<String>,
}

impl Member {
    /// `<id> <ip:port@cport> <flags> <primary> <ping> <pong> <epoch> <link> <slot> …`
    fn parse(line: &str) -> Option<(u16, Self)> {
        let fields: Vec<&str> = line.split(' ').collect();
        let (address, _) = fields.get(1)?.split_once('@')?;
        let (_, port) = address.rsplit_once(':')?;
        let slots = fields.get(8..)?.iter().map(|&slots| slots.to_owned());
        let member = Self {
            flags: (*fields.get(2)?).to_owned(),
            slots: slots.collect(),
        };
        Some((port.parse().ok()?, member))
    }

    /// Whether it is a primary that is not known to have failed.
    fn serves(&self) -> bool {
        let mut flags = self.flags.split(',');
        flags.clone().any(|flag| flag == "master") && !flags.any(|flag| flag == "fail")
    }
}

impl Server for RedisCluster {
    /// As the crate fred has it: one member, and the others after `node=`.
    fn url(&self) -> String {
        let (first, others) = self.nodes.split_first().expect("it has six members");
        let others: Vec<_> = others
            .iter()
            .map(|node| format!("node={}", node.address()))
            .collect();
        let url = first.url().replacen("://", "-cluster://", 1);
        format!("{url}?{}", others.join("&"))
    }

    fn logs(&self) -> Vec<PathBuf> {
        self.nodes.iter().flat_map(Redis::logs).collect()
    }

    fn leave(self: Box<Self>) -> Left {
        let url = self.url();
        let nodes = self.nodes.into_iter().map(Box::new);
        Left {
            url,
            processes: nodes.flat_map(|node| node.leave().processes).collect(),
        }
    }
}
