//! The terminal: who reads here, and what can be shown to them.

use std::env;
use std::io::{self, IsTerminal};

use rust_i18n::t;
use rustix::termios::tcgetwinsize;

use super::{Finding, Verdict};
use crate::cli::render::colour::Colour;
use crate::cli::terminal;

/// Looks at standard input and output, and at what the environment says of them.
pub(in crate::cli) fn check(colour: Colour) -> Vec<Finding> {
    vec![screen(colour), locale()]
}

fn screen(colour: Colour) -> Finding {
    let finding = |verdict, detail| Finding::new("terminal", verdict, detail);
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return finding(Verdict::Note, t!("doctor.no_terminal"));
    }
    let size = tcgetwinsize(io::stdout()).ok();
    let size = size.map_or_else(String::new, |size| {
        format!("{} x {}", size.ws_col, size.ws_row)
    });
    let term = env::var("TERM").unwrap_or_default();
    let colours = match colour.is_on() {
        true => t!("doctor.colours"),
        false => t!("doctor.no_colours"),
    };
    let detail = format!("{term}, {size}, {colours}").into();
    match terminal::is_dumb() || term.is_empty() {
        true => finding(Verdict::Note, t!("doctor.dumb_terminal", detail = detail)),
        false => finding(Verdict::Well, detail),
    }
}

/// The first of these that is set decides, by POSIX.
fn locale() -> Finding {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let locale = locale.unwrap_or_else(|| "C".to_owned());
    let bare = locale.to_lowercase().replace('-', "");
    match bare.contains("utf8") {
        true => Finding::new("locale", Verdict::Well, locale),
        false => Finding::new(
            "locale",
            Verdict::Note,
            t!("doctor.locale", locale = locale),
        ),
    }
}
