//! What a route has done so far, for operators and tests.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the route started. Only ever rise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages stored by this route.
    pub accepted: AtomicU64,
    /// Messages that were stored already when they were offered again.
    pub duplicates: AtomicU64,
    /// Messages not stored, for whatever reason.
    pub refused: AtomicU64,
    /// Messages handed to a server: one for each server that a message went to.
    pub pushes: AtomicU64,
    /// Requests that carried those pushes.
    pub push_requests: AtomicU64,
    /// Push requests that failed.
    pub push_failures: AtomicU64,
    /// Messages fanned out again because nobody had finished it in time.
    pub reclaimed: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Renders all counters in the text format of Prometheus.
    pub fn render(&self) -> String {
        let counters = [
            ("im_messages_accepted_total", &self.accepted),
            ("im_messages_duplicate_total", &self.duplicates),
            ("im_messages_refused_total", &self.refused),
            ("im_pushes_total", &self.pushes),
            ("im_push_requests_total", &self.push_requests),
            ("im_push_failures_total", &self.push_failures),
            ("im_messages_reclaimed_total", &self.reclaimed),
        ];
        let mut text = String::new();
        for (name, counter) in counters {
            let value = counter.load(Ordering::Relaxed);
            write!(text, "# TYPE {name} counter\n{name} {value}\n")
                .expect("a string takes any text");
        }
        text
    }
}
