//! How long Tab takes with many names.

use std::time::Duration;

use im_common::wire::{self, ServerFrame};
use im_tests::liar::{Liar, Said};
use im_tests::tty::Tty;
use tokio::time::Instant;

use super::{Bound, Row};
use crate::figures::percentile_ms;
use crate::stage::Stage;

const NAMES: u64 = 100_000;
const COMPLETIONS: u64 = 200;
/// Messages in one answer to whoever catches up.
const PAGE: u64 = 500;
const LOBBY: &str = "lobby";
/// Clears the line.
const CTRL_U: &str = "\u{15}";

pub(crate) const ROWS: &[Row] = &[Row {
    what: "Tab until the name is whole, p99",
    how: "200 completions, after a message each from 100,000 users (a server of the benchmark's own)",
    bound: Bound::AtMost(10.0),
    unit: "ms",
}];

/// The names spread over the alphabet, so that no two begin with the same eight characters.
fn name(number: u64) -> String {
    // Odd, so that every number has another one.
    let spread = (number * 2_654_435_761) % (1 << 32);
    format!("u{spread:08x}-{number}")
}

fn message(number: u64) -> wire::Message {
    wire::Message {
        conversation: LOBBY.to_owned(),
        epoch: 1,
        sequence: number,
        id: u128::from(number).to_be_bytes().to_vec().into(),
        sender_id: number + 1,
        sender_name: name(number),
        sender_device: "phone".to_owned(),
        accepted_at_ms: 0,
        text: "hi".to_owned(),
    }
}

/// What the lobby holds: a message from each.
fn heads() -> ServerFrame {
    let head = wire::Head {
        conversation: LOBBY.to_owned(),
        epoch: 1,
        sequence: NAMES,
        handled: 0,
    };
    let heads = wire::Heads {
        heads: vec![head],
        more: false,
    };
    heads.into()
}

fn page(after: u64) -> ServerFrame {
    let until = NAMES.min(after + PAGE);
    let page = wire::Page {
        conversation: LOBBY.to_owned(),
        epoch: 1,
        messages: (after + 1..=until).map(message).collect(),
        head: NAMES,
        ..wire::Page::default()
    };
    page.into()
}

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let speech = |said| match said {
        Said::Hello(_) => vec![heads()],
        Said::Sync(sync) => vec![page(sync.after)],
        Said::Submit(_) => Vec::new(),
    };
    let nothing = |_: &str| (404, "nothing".into());
    let liar = Liar::start(nothing, speech).await;
    let mut im = stage.im_of(&liar.url());
    im.shows(&format!("{}: hi", name(NAMES))).await;
    let mut times = Vec::new();
    for number in (1..=NAMES).step_by(usize::try_from(NAMES / COMPLETIONS)?) {
        times.push(complete(&im, &name(number)).await);
    }
    im.type_text(":q!\r");
    im.ended().await;
    Ok(vec![percentile_ms(&times, 0.99)])
}

async fn complete(im: &Tty, name: &str) -> Duration {
    let typed = format!("@{}", &name[..9]);
    im.type_text(&typed);
    im.shows(&typed).await;
    let begun = Instant::now();
    im.type_text("\t");
    let shown = im.shows(&format!("> @{name}")).await;
    im.type_text(CTRL_U);
    let gone = format!("@{name}");
    im.until("an empty line", move |screen| {
        !screen.contents().contains(&gone)
    })
    .await;
    shown.duration_since(begun)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nine_characters_tell_all_names_apart() {
        let beginnings: HashSet<_> = (1..=NAMES)
            .map(|number| name(number)[..9].to_owned())
            .collect();
        assert_eq!(beginnings.len() as u64, NAMES);
    }
}
