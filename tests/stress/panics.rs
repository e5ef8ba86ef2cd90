//! Panics of any thread, by the scenario they belong to: a node catches those of its tasks, and
//! nobody else would hear of them.

use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

/// What a scenario says when it panics to see what happens.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// Thread name, and what the panic said.
static HEARD: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// From now on panics are noted instead of printed.
pub(crate) fn listen() {
    std::panic::set_hook(Box::new(|info| {
        let what = describe(info);
        if what.contains(ON_PURPOSE) {
            return;
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("?").to_owned();
        HEARD
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name, what));
    }));
}

/// Takes what the threads of a scenario said. Threads are named as their scenario.
pub(crate) fn of(scenario: &str) -> Vec<String> {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    let (its, others) = heard.drain(..).partition(|(name, _)| name == scenario);
    *heard = others;
    its.into_iter().map(|(_, what)| what).collect()
}

/// Takes what threads of nobody's said.
pub(crate) fn of_nobody() -> Vec<String> {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard
        .drain(..)
        .map(|(name, what)| format!("{name}: {what}"))
        .collect()
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    let place = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    format!("panic at {place}: {}", text.unwrap_or("?"))
}
