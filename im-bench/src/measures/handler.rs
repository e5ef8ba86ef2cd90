//! How many messages one handler takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use im_client::{Message, Recipient};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Bound, Row};
use crate::stage::Stage;

const MESSAGES: u64 = 200_000;
/// Below what a client may leave unanswered.
const UNANSWERED_MAX: usize = 5_000;

pub(crate) const ROWS: &[Row] = &[
    Row {
        what: "messages into one handler for each second of CPU",
        how: "200,000 waiting in the lobby; CPU of the whole client process: frames, order, acks, handler",
        bound: Bound::AtLeast(100_000.0),
        unit: "/s",
    },
    Row {
        what: "messages into one handler",
        how: "as above, by the clock: the standalone reads them from its store meanwhile",
        bound: Bound::None,
        unit: "/s",
    },
];

#[derive(Default)]
struct Count {
    handled: AtomicU64,
    done: Notify,
}

pub(crate) async fn run(stage: &Stage) -> anyhow::Result<Vec<f64>> {
    let count = Arc::new(Count::default());
    let counted = Arc::clone(&count);
    let listener = stage
        .somebody("listener")
        .await?
        .handler(move |_: Message| {
            if counted.handled.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
                counted.done.notify_one();
            }
            std::future::ready(())
        });
    // Once, so that its place in the lobby is before everything that follows.
    listener.clone().connect().await?.close().await;
    fill_lobby(stage).await?;

    let (begun, cpu) = (Instant::now(), cpu_time());
    let client = listener.connect().await?;
    count.done.notified().await;
    let (took, used) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
    client.close().await;
    let rate = |time: Duration| MESSAGES as f64 / time.as_secs_f64();
    Ok(vec![rate(used), rate(took)])
}

async fn fill_lobby(stage: &Stage) -> anyhow::Result<()> {
    let talker = stage.somebody("talker").await?.connect().await?;
    let texts = stream::iter(0..MESSAGES);
    let sends = texts.map(|number| talker.send(Recipient::Lobby, format!("message {number}")));
    let mut answers = sends.buffered(UNANSWERED_MAX);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    talker.close().await;
    Ok(())
}

/// What this process has used so far, in all its threads.
fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    // Neither is negative for a time that has passed.
    let seconds = u64::try_from(used.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(used.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}
