//! The standalone binary as a process of its own, with nobody at its terminal.

use serde_json::Value;

use crate::process::Process;

/// A standalone that is ready. Killed when dropped.
pub struct Standalone {
    /// The process.
    pub process: Process,
    /// What it said when it was ready: its addresses, by what is there.
    ready: Value,
}

impl Standalone {
    /// Starts one on any free ports. What it keeps, and where, is up to the options.
    pub async fn start(options: &[&str]) -> Self {
        let ports = ["--route-listen=127.0.0.1:0", "--server-listen=127.0.0.1:0"];
        let options = ["--headless"].iter().chain(&ports).chain(options);
        let options: Vec<&str> = options.copied().collect();
        let mut process = Process::start("im-standalone", &options).await;
        let ready = process.ready().await;
        Self { process, ready }
    }

    /// Where its route is.
    pub fn url(&self) -> String {
        let url = self.address("route").expect("it has a route");
        url.to_owned()
    }

    /// Where something of it is, if it has that.
    pub fn address(&self, what: &str) -> Option<&str> {
        self.ready[what].as_str()
    }
}
