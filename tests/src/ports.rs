//! Ports for processes that must come back to the same one.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::ops::Range;

use parking_lot::Mutex;

/// Below the ports that the kernel gives to outgoing connections (from 32768 on). A port of those
/// could be taken by anybody's connection while its process is away; and who then dials the empty
/// port from that very port is connected to itself.
const RANGE: Range<u16> = 12_000..32_000;

/// Ports that this process gave out: none is given out twice, so that tests that run side by side
/// and services that restart keep theirs.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// Returns a port of loopback that was free a moment ago. Another process may take it meanwhile:
/// whoever starts something on it must be ready for that.
pub fn free() -> u16 {
    loop {
        let port = random_port();
        let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free && GIVEN.lock().get_or_insert_default().insert(port) {
            return port;
        }
    }
}

/// Each hasher of the standard library has keys of its own: random enough to meet few others.
fn random_port() -> u16 {
    let spread = u64::from(RANGE.end - RANGE.start);
    let offset = RandomState::new().hash_one(std::process::id()) % spread;
    RANGE.start + u16::try_from(offset).expect("smaller than the range")
}
