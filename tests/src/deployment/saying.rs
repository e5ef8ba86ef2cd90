//! What processes said, searched for what none may say.

use std::fs;
use std::path::Path;

/// At most so many alarms of one process: one is enough to fail, and more only tell why.
const ALARMS_MAX: usize = 20;

/// The lines of a log that tell of a panic or an error.
pub(super) fn alarms_in(log: &Path) -> Vec<String> {
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().filter(|line| is_alarm(line));
    lines.take(ALARMS_MAX).map(str::to_owned).collect()
}

fn is_alarm(line: &str) -> bool {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(event) => event["level"] == "ERROR",
        // Whatever is no event was printed by the runtime: a panic, an abort, the allocator.
        Err(_) => line.contains("panicked") || line.contains("fatal") || line.contains("memory"),
    }
}
