//! What works and what does not: the checks of `im doctor`.
//!
//! Each check looks at one thing, changes nothing, and says what it found in one line.

pub(super) mod connection;
pub(super) mod folders;
pub(super) mod history;
pub(super) mod routes;
pub(super) mod terminal;

use im_common::frame::PROTOCOL_VERSION;
use rust_i18n::t;
use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    #[serde(rename = "ok")]
    Well,
    /// Worth knowing; nothing fails because of it.
    Note,
    /// Does not work.
    Fault,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at: a word that stays the same in every language.
    pub(super) check: &'static str,
    /// How it is.
    pub(super) verdict: Verdict,
    /// What there is to say, for a person.
    pub(super) detail: String,
}

impl Finding {
    /// What a check found.
    pub(super) fn new(check: &'static str, verdict: Verdict, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            check,
            verdict,
            detail,
        }
    }
}

/// Which program this is, and on what.
pub(super) fn program() -> Finding {
    let detail = t!(
        "doctor.program",
        version = env!("CARGO_PKG_VERSION"),
        protocol = PROTOCOL_VERSION,
        system = std::env::consts::OS,
        machine = std::env::consts::ARCH
    );
    Finding::new("program", Verdict::Well, detail)
}
