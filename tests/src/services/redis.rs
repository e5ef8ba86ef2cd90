//! One Redis, or a Redis Cluster of three masters.

use redis::{AsyncConnectionConfig, Client, Cmd, RedisResult, Value};
use tempfile::TempDir;

use super::program::Program;
use crate::disk::copy_folder;
use crate::{PATIENCE, ports};

/// How often to try other ports when somebody else was faster.
const PORT_TRIES: usize = 5;
/// All hash slots of a Redis Cluster.
const SLOTS: usize = 16_384;

/// With less, a kill may lose what was answered: while a slow disk syncs, Redis puts off handing
/// changes to the system.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// One Redis node.
pub struct Redis {
    // Dropped before the folder that it writes to.
    program: Program,
    folder: TempDir,
    port: u16,
    options: Vec<String>,
}

impl Redis {
    /// Starts an empty Redis that forgets everything when it ends.
    pub async fn start() -> Self {
        Self::with_options(|| options(&["--appendonly", "no"])).await
    }

    /// Starts an empty Redis that answers a change only once it is on the disk.
    pub async fn start_durable() -> Self {
        Self::with_options(|| options(&DURABLE)).await
    }

    /// Starts an empty Redis with these settings, such as `["--save", "1 1"]`.
    pub async fn start_with(settings: &[&str]) -> Self {
        Self::with_options(|| options(settings)).await
    }

    /// `options` is asked again for each try, because it may name ports.
    async fn with_options(options: impl Fn() -> Vec<String>) -> Self {
        for _ in 0..PORT_TRIES {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let (port, options) = (ports::free(), options());
            let mut program = run(&folder, port, &options);
            if program.answers(async || is_ready(port).await).await {
                return Self {
                    program,
                    folder,
                    port,
                    options,
                };
            }
        }
        panic!("redis-server ends as soon as it is started");
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The port of loopback it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Where it keeps what it stores, and `output.log` with what it said.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Kills it; what it has stored stays.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Freezes it: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.program.signal("-STOP");
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.program.signal("-CONT");
    }

    /// Kills it if it runs, starts it again with what it has stored, and waits until it answers.
    pub async fn restart(&mut self) {
        self.kill();
        self.program = run(&self.folder, self.port, &self.options);
        let port = self.port;
        let answers = self.program.answers(async || is_ready(port).await).await;
        assert!(answers, "redis-server does not start again");
    }

    /// Copies what is on the disk now: with [`Redis::start_durable`] all that was answered.
    pub fn save_disk(&self) -> DiskCopy {
        self.pause();
        let copy = tempfile::tempdir().expect("a temporary folder can be made");
        copy_folder(self.folder.path(), copy.path()).expect("a folder can be copied");
        self.resume();
        DiskCopy(copy)
    }

    /// Loses what was written after the copy, as a power cut does that comes before the disk has
    /// it, and starts again.
    pub async fn lose_what_came_after(&mut self, copy: DiskCopy) {
        self.kill();
        self.folder = copy.0;
        self.restart().await;
    }

    /// Waits until a section of `INFO` reads as it should.
    pub async fn wait_for_info(&self, section: &str, is_it: impl Fn(&str) -> bool) {
        super::program::wait_until(async || is_it(&self.info(section).await)).await;
    }

    /// Becomes a replica of another one, and waits until it holds all that the other one does.
    pub async fn follow(&self, master: &Self) {
        let mut follow = redis::cmd("REPLICAOF");
        follow.arg("127.0.0.1").arg(master.port);
        self.command(&follow).await;
        let is_level = async || {
            let info = self.info("replication").await;
            info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0")
        };
        super::program::wait_until(is_level).await;
    }

    /// Waits until a replica has all that was written here, and has said so.
    pub async fn wait_for_replica(&self) {
        let is_level = async || {
            let info = self.info("replication").await;
            let offset = |field: &str| {
                let (_, value) = info.split_once(field)?;
                value.split([',', '\r']).next()
            };
            let written = offset("master_repl_offset:");
            written.is_some() && written == offset(",offset=")
        };
        super::program::wait_until(is_level).await;
    }

    /// Becomes a master of its own, with what it holds.
    pub async fn stop_following(&self) {
        let mut stop = redis::cmd("REPLICAOF");
        stop.arg("NO").arg("ONE");
        self.command(&stop).await;
    }

    /// Nothing, when the machine is so busy that no answer comes: whoever waits asks again.
    async fn info(&self, section: &str) -> String {
        let info = ask(self.port, redis::cmd("INFO").arg(section)).await;
        info.map_or_else(
            |_| String::new(),
            |info| redis::from_redis_value(info).expect("it is text"),
        )
    }

    /// In a cluster: tells this node about a slot, `IMPORTING` from, `MIGRATING` to, or at a `NODE`.
    pub async fn set_slot(&self, slot: u16, state: &str, node_id: &str) {
        let mut set = redis::cmd("CLUSTER");
        set.arg("SETSLOT").arg(slot).arg(state).arg(node_id);
        self.command(&set).await;
    }

    /// Sends one command, for tests that look or meddle.
    pub async fn command(&self, command: &Cmd) -> Value {
        ask(self.port, command).await.expect("redis answers")
    }

    /// As [`Redis::command`], for a command that this node may refuse.
    pub async fn try_command(&self, command: &Cmd) -> Option<Value> {
        ask(self.port, command).await.ok()
    }
}

/// What a Redis had on its disk at some moment.
pub struct DiskCopy(TempDir);

/// A Redis Cluster of three masters without replicas, which answer a change only once it is on the
/// disk.
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes, introduces them to each other, shares out the slots, and waits until every
    /// node serves.
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Redis::with_options(cluster_options).await);
        }
        let cluster = Self { nodes };
        cluster.introduce().await;
        for node in &cluster.nodes {
            let serves = async || {
                let info = cluster_info(node).await;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            super::program::wait_until(serves).await;
        }
        cluster
    }

    /// Where clients connect, every node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The id of one of the nodes within the cluster.
    pub async fn node_id(&self, index: usize) -> String {
        let mut id = redis::cmd("CLUSTER");
        id.arg("MYID");
        redis::from_redis_value(self.nodes[index].command(&id).await).expect("it is text")
    }

    /// One of the nodes.
    pub fn node(&mut self, index: usize) -> &mut Redis {
        &mut self.nodes[index]
    }

    async fn introduce(&self) {
        let share = SLOTS.div_ceil(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let mut epoch = redis::cmd("CLUSTER");
            epoch.arg("SET-CONFIG-EPOCH").arg(index + 1);
            node.command(&epoch).await;
            let mut slots = redis::cmd("CLUSTER");
            slots
                .arg("ADDSLOTSRANGE")
                .arg(index * share)
                .arg(((index + 1) * share).min(SLOTS) - 1);
            node.command(&slots).await;
        }
        let first = &self.nodes[0];
        for node in &self.nodes[1..] {
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1").arg(node.port);
            meet.arg(node.bus_port());
            first.command(&meet).await;
        }
    }
}

impl Redis {
    fn bus_port(&self) -> &str {
        self.options
            .last()
            .expect("a cluster's options end with it")
    }
}

fn cluster_options() -> Vec<String> {
    let bus_port = ports::free().to_string();
    let mut all = options(&DURABLE);
    all.extend(options(&[
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "2000",
        // What is left goes on when a master is down.
        "--cluster-require-full-coverage",
        "no",
        "--cluster-port",
        &bus_port,
    ]));
    all
}

fn options(options: &[&str]) -> Vec<String> {
    options.iter().map(|&option| option.to_owned()).collect()
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

fn run(folder: &TempDir, port: u16, options: &[String]) -> Program {
    let mut arguments = self::options(&["--bind", "127.0.0.1", "--save", "", "--port"]);
    arguments.push(port.to_string());
    arguments.extend_from_slice(options);
    Program::start("redis-server", "redis-server", &arguments, folder.path())
}

async fn is_ready(port: u16) -> bool {
    ask(port, &redis::cmd("PING")).await.is_ok()
}

async fn cluster_info(node: &Redis) -> String {
    let mut info = redis::cmd("CLUSTER");
    info.arg("INFO");
    redis::from_redis_value(node.command(&info).await).expect("it is text")
}

async fn ask(port: u16, command: &Cmd) -> RedisResult<Value> {
    let client = Client::open(url(port))?;
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&patient)
        .await?;
    command.query_async(&mut connection).await
}
