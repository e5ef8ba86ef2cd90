//! What a process uses, as the kernel counts it.

use std::fs;

/// Bytes of one page: that of every machine this runs on.
const PAGE_BYTES: u64 = 4096;

/// Memory and descriptors of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub fds: usize,
}

impl Figures {
    /// Reads them; nothing for a process that is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let sizes = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = sizes.split_whitespace().nth(1)?.parse().ok()?;
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Self {
            rss_bytes: pages * PAGE_BYTES,
            fds,
        })
    }
}
