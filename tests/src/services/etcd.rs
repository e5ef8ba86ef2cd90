//! One etcd.

use serde_json::json;
use tempfile::TempDir;

use super::program::Program;
use crate::ports;

/// How often to try other ports when somebody else was faster.
const PORT_TRIES: usize = 5;

/// An etcd of one member.
pub struct Etcd {
    // Dropped before the folder that it writes to.
    program: Program,
    folder: TempDir,
    port: u16,
    peer_port: u16,
}

impl Etcd {
    /// Starts an empty etcd and waits until it answers.
    pub async fn start() -> Self {
        for _ in 0..PORT_TRIES {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let (port, peer_port) = (ports::free(), ports::free());
            let mut program = run(&folder, port, peer_port);
            if program.answers(async || is_healthy(port).await).await {
                return Self {
                    program,
                    folder,
                    port,
                    peer_port,
                };
            }
        }
        panic!("etcd ends as soon as it is started");
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
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

    /// Asks its JSON interface, such as `kv/compaction`.
    pub async fn ask(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.expect("a plain HTTP client needs nothing");
        let url = format!("{}/v3/{path}", self.url());
        let answer = client.post(url).json(body).send().await;
        let answer = answer.expect("etcd answers").json().await;
        answer.expect("etcd answers in JSON")
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
        self.program = run(&self.folder, self.port, self.peer_port);
        let port = self.port;
        let answers = self.program.answers(async || is_healthy(port).await).await;
        assert!(answers, "etcd does not start again");
    }

    /// Forgets the past of all keys, so that nobody can watch from there.
    pub async fn compact(&self) {
        let now = self.ask("kv/range", &json!({"key": "AA=="})).await;
        let revision = now["header"]["revision"].clone();
        self.ask(
            "kv/compaction",
            &json!({"revision": revision, "physical": true}),
        )
        .await;
    }

    /// Ends all leases, and the keys under them.
    pub async fn revoke_all(&self) {
        let all = self.ask("lease/leases", &json!({})).await;
        let leases = all["leases"].as_array().expect("there are leases");
        for lease in leases {
            let answer = self.ask("lease/revoke", &json!({"ID": lease["ID"]})).await;
            assert!(answer["header"].is_object(), "{answer}");
        }
    }

    /// As [`Etcd::restart`], but everything that was stored is lost.
    pub async fn restart_empty(&mut self) {
        self.kill();
        self.folder = tempfile::tempdir().expect("a temporary folder can be made");
        self.restart().await;
    }
}

fn run(folder: &TempDir, port: u16, peer_port: u16) -> Program {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let data = folder.path().join("data").display().to_string();
    let arguments = [
        ("--name", "one"),
        ("--data-dir", &data),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", &format!("one={peer}")),
    ]
    .map(|(name, value)| format!("{name}={value}"));
    Program::start("etcd", "etcd-server", &arguments, folder.path())
}

async fn is_healthy(port: u16) -> bool {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a plain HTTP client needs nothing");
    let url = format!("http://127.0.0.1:{port}/health");
    match client.get(url).send().await {
        Ok(answer) => answer.text().await.is_ok_and(|text| text.contains("true")),
        Err(_) => false,
    }
}
