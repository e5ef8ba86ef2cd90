//! How many messages one handler takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use im_client::{ClientBuilder, FileStore, Message, Recipient};
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
    Row {
        what: "messages into one handler with a `FileStore` for each second of CPU",
        how: "as above, and the place is saved after each message, before the next",
        bound: Bound::None,
        unit: "/s",
    },
    Row {
        what: "messages into one handler with a `FileStore`",
        how: "as above, by the clock",
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
    let keeping = stage.somebody("keeper").await?;
    let keeping = keeping.store(FileStore::new(stage.file("keeper")));
    let listeners = [stage.somebody("listener").await?, keeping];
    for listener in &listeners {
        // Once, so that its place in the lobby is before everything that follows.
        let nothing = |_: Message| std::future::ready(());
        let client = listener.clone().handler(nothing).connect().await?;
        client.close().await;
    }
    fill_lobby(stage).await?;
    let mut figures = Vec::with_capacity(ROWS.len());
    for listener in listeners {
        figures.extend(listen(listener).await?);
    }
    Ok(figures)
}

/// Takes everything: for each second of CPU, and by the clock.
async fn listen(listener: ClientBuilder) -> anyhow::Result<[f64; 2]> {
    let count = Arc::new(Count::default());
    let counted = Arc::clone(&count);
    let listener = listener.handler(move |_: Message| {
        if counted.handled.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
            counted.done.notify_one();
        }
        std::future::ready(())
    });
    let (begun, cpu) = (Instant::now(), cpu_time());
    let client = listener.connect().await?;
    count.done.notified().await;
    let (took, used) = (begun.elapsed(), cpu_time().saturating_sub(cpu));
    client.close().await;
    let rate = |time: Duration| MESSAGES as f64 / time.as_secs_f64();
    Ok([rate(used), rate(took)])
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
