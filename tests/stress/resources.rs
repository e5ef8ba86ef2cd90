//! What this process holds, to find what is never given back.

use std::fmt;
use std::fs;

/// Files, threads and memory of this process; all 0 where there is no `/proc`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    pub(crate) files: usize,
    pub(crate) threads: usize,
    /// Without what is mapped from files: code that was not run before is no leak.
    pub(crate) memory_kib: usize,
}

impl Resources {
    /// As things are now.
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0)
        };
        Self {
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            threads: field("Threads:"),
            memory_kib: field("RssAnon:"),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            files,
            threads,
            memory_kib,
        } = self;
        write!(
            f,
            "{files} files, {threads} threads, {} MiB",
            memory_kib / 1024
        )
    }
}
