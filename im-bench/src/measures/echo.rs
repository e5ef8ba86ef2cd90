//! How long until a key appears while messages pour in.

use std::time::Duration;

use im_client::{Client, Recipient};
use im_tests::tty::Tty;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{Bound, Row};
use crate::figures::percentile_ms;
use crate::stage::{Stage, USER, ready};

const MESSAGES_PER_SECOND: u32 = 1_000;
/// At this pace for long enough that a p99 means something.
const KEYS: usize = 1_000;
const KEY_EVERY: Duration = Duration::from_millis(13);
/// Fits beside the prompt; then the line is cleared.
const LINE_KEYS: usize = 60;
/// Clears the line.
const CTRL_U: &str = "\u{15}";

pub(crate) const ROWS: &[Row] = &[
    Row {
        what: "key until it is drawn, p50",
        how: "1,000 keys, one each 13 ms, 1,000 messages/s coming in",
        bound: Bound::None,
        unit: "ms",
    },
    Row {
        what: "key until it is drawn, p99",
        how: "as above",
        bound: Bound::AtMost(8.0),
        unit: "ms",
    },
    Row {
        what: "messages accepted meanwhile",
        how: "whether 1,000/s were really sent",
        bound: Bound::None,
        unit: "/s",
    },
];

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let talker = stage.somebody("talker").await?.connect().await?;
    let im = stage.im();
    ready(&im).await;
    let begun = Instant::now();
    let (times, sent) = tokio::select! {
        times = type_keys(&im) => (times, accepted_so_far(&talker).await?),
        never = talk(&talker) => match never {},
    };
    let rate = sent as f64 / begun.elapsed().as_secs_f64();
    talker.close().await;
    Ok(vec![
        percentile_ms(&times, 0.5),
        percentile_ms(&times, 0.99),
        rate,
    ])
}

/// Talks on and on.
async fn talk(talker: &Client) -> std::convert::Infallible {
    let mut ticks = interval(Duration::from_secs(1) / MESSAGES_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0_u64.. {
        ticks.tick().await;
        let text = format!("message {number}, as long as people write them at a keyboard");
        // Not waited for; how many were accepted is asked at the end.
        drop(talker.send(Recipient::Lobby, text));
    }
    unreachable!("nobody talks so long")
}

/// The lobby's newest number: nobody else talks there.
async fn accepted_so_far(talker: &Client) -> anyhow::Result<u64> {
    let newest = talker.history(&Recipient::Lobby, None, 1).await?;
    Ok(newest.last().map_or(0, |message| message.sequence.0))
}

async fn type_keys(im: &Tty) -> Vec<Duration> {
    let mut times = Vec::with_capacity(KEYS);
    let mut line = String::new();
    for (number, key) in ('a'..='z').cycle().take(KEYS).enumerate() {
        if number % LINE_KEYS == 0 {
            im.type_text(CTRL_U);
            line.clear();
            sees_line(im, String::new()).await;
        }
        line.push(key);
        let begun = Instant::now();
        im.type_text(key.encode_utf8(&mut [0; 4]));
        times.push(sees_line(im, line.clone()).await.duration_since(begun));
        sleep(KEY_EVERY).await;
    }
    times
}

/// Waits until the cursor stands behind the prompt and this.
async fn sees_line(im: &Tty, typed: String) -> Instant {
    let expected = format!("{USER}> {typed}");
    let what = expected.clone();
    im.until(&what, move |screen| {
        let (row, column) = screen.cursor_position();
        let text = screen.rows(0, column).nth(row.into());
        text.is_some_and(|text| text.trim_end() == expected.trim_end())
    })
    .await
}
