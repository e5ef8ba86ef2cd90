//! Where, when and of what something was run, for reports.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::process::root;

/// Where, when and of what something was run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Circumstances {
    /// The day.
    pub date: String,
    /// What was run, `+` if changed since.
    pub commit: String,
    /// `release` or `debug`.
    pub build: String,
    /// Cores and memory.
    pub machine: String,
}

impl Circumstances {
    /// Those of now.
    pub fn now() -> Self {
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            date: jiff::Zoned::now().strftime("%Y-%m-%d").to_string(),
            commit: commit(),
            build: build.to_owned(),
            machine: format!("{cores} cores, {} GiB", memory_gib()),
        }
    }
}

fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(args)
            .current_dir(root())
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(head) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let is_changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    if is_changed { head + "+" } else { head }
}

fn memory_gib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).div_ceil(1024 * 1024)
}
