//! One connection through the proxy: two pumps, one for each direction.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::replay::Tape;
use super::{Flow, Flows};

/// Bytes of one read.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that may be on their way, so that a delay does not make the wire narrow.
const CHUNKS_MAX: usize = 64;
/// A slow wire is written to so many times in a second.
const SHARES_PER_SECOND: u32 = 20;

/// Both sockets of one connection.
pub(super) struct Link {
    client: TcpStream,
    server: TcpStream,
    tape: Option<Tape>,
}

/// Makes the socket end with a reset instead of a goodbye once it is dropped.
pub(super) fn reset(stream: &TcpStream) {
    // A socket that is gone already needs none.
    let _gone = stream.set_zero_linger();
}

impl Link {
    pub(super) fn new(client: TcpStream, server: TcpStream, tape: Option<Tape>) -> Self {
        for stream in [&client, &server] {
            // Bytes shall leave as they come; a failure shows at the next use.
            let _gone = stream.set_nodelay(true);
        }
        Self {
            client,
            server,
            tape,
        }
    }

    /// Carries bytes until both sides are done, one breaks, or the link is cut: then both are reset.
    pub(super) async fn run(mut self, flows: watch::Receiver<Flows>, cut: CancellationToken) {
        let tape = self.tape.take();
        let (client_read, client_write) = self.client.split();
        let (server_read, server_write) = self.server.split();
        let both = async {
            tokio::try_join!(
                carry(
                    client_read,
                    server_write,
                    (flows.clone(), |all| all.up),
                    tape
                ),
                carry(server_read, client_write, (flows, |all| all.down), None),
            )
        };
        let is_over = tokio::select! {
            () = cut.cancelled() => false,
            done = both => done.is_ok(),
        };
        if !is_over {
            reset(&self.client);
            reset(&self.server);
        }
    }
}

type Setting = (watch::Receiver<Flows>, fn(Flows) -> Flow);

/// A chunk and when it is to arrive.
type Timed = (Instant, Bytes);

/// One direction.
async fn carry(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    (flows, pick): Setting,
    tape: Option<Tape>,
) -> io::Result<()> {
    let (chunks, arriving) = mpsc::channel(CHUNKS_MAX);
    let reading = read(from, (flows.clone(), pick), chunks, tape);
    tokio::try_join!(reading, write(to, (flows, pick), arriving)).map(drop)
}

async fn read(
    mut from: ReadHalf<'_>,
    (flows, pick): Setting,
    chunks: mpsc::Sender<Timed>,
    tape: Option<Tape>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut due = Instant::now();
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if let Some(tape) = &tape {
            tape.keep(&buffer[..count]);
        }
        let flow = pick(*flows.borrow());
        if flow.is_swallowed {
            continue;
        }
        due = due.max(Instant::now() + flow.delay + part_of(flow.jitter));
        let chunk = Bytes::copy_from_slice(&buffer[..count]);
        if chunks.send((due, chunk)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    (mut flows, pick): Setting,
    mut arriving: mpsc::Receiver<Timed>,
) -> io::Result<()> {
    while let Some((due, mut chunk)) = arriving.recv().await {
        if due > Instant::now() {
            sleep_until(due).await;
        }
        while !chunk.is_empty() {
            let flow = passable(&mut flows, pick).await;
            let share = share_of(&flow, chunk.len());
            if let Some(rate) = flow.bytes_per_second {
                let share = u32::try_from(share).expect("at most a chunk");
                sleep(Duration::from_secs(1) * share / rate.max(1)).await;
            }
            to.write_all(&chunk.split_to(share)).await?;
        }
    }
    // The goodbye waits like everything else.
    passable(&mut flows, pick).await;
    to.shutdown().await
}

/// Waits while the direction is stalled. A swallowed one keeps its goodbye to itself as well.
async fn passable(flows: &mut watch::Receiver<Flows>, pick: fn(Flows) -> Flow) -> Flow {
    let passes = |flows: &Flows| !pick(*flows).is_stalled && !pick(*flows).is_swallowed;
    let flow = flows.wait_for(passes).await.ok().map(|flows| pick(*flows));
    match flow {
        Some(flow) => flow,
        // The proxy ends, and with it the link.
        None => std::future::pending().await,
    }
}

fn share_of(flow: &Flow, available: usize) -> usize {
    let share = match flow.bytes_per_second {
        _ if flow.is_sliced => 1,
        Some(rate) => (rate / SHARES_PER_SECOND).max(1) as usize,
        None => available,
    };
    share.min(available)
}

/// Between nothing and all of it. Where bytes are cut need not repeat: timing never does.
fn part_of(jitter: Duration) -> Duration {
    if jitter.is_zero() {
        return Duration::ZERO;
    }
    let thousandths = RandomState::new().hash_one(0) % 1000;
    jitter * u32::try_from(thousandths).expect("below a thousand") / 1000
}
