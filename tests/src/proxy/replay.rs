//! Requests that arrive twice: what connections sent first, kept and sent once more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt as _, sink};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the answers to a repeated connection are read.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// The first bytes of connections, each from its beginning: whole requests and perhaps the
/// beginning of one more, which the target then waits for in vain.
pub(super) struct Recording {
    bytes_max: usize,
    tapes: Mutex<Vec<Tape>>,
}

/// The first bytes of one connection.
#[derive(Clone)]
pub(super) struct Tape {
    bytes_max: usize,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Tape {
    pub(super) fn keep(&self, bytes: &[u8]) {
        let mut kept = self.bytes.lock();
        let room = self.bytes_max - kept.len();
        kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }
}

impl Recording {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            tapes: Mutex::default(),
        }
    }

    pub(super) fn begin(&self) -> Tape {
        let tape = Tape {
            bytes_max: self.bytes_max,
            bytes: Arc::default(),
        };
        self.tapes.lock().push(tape.clone());
        tape
    }

    pub(super) async fn replay(&self, target: SocketAddr) -> usize {
        let kept: Vec<Vec<u8>> = {
            let tapes = self.tapes.lock();
            tapes.iter().map(|tape| tape.bytes.lock().clone()).collect()
        };
        let told = kept.iter().filter(|bytes| !bytes.is_empty());
        let repeated = join_all(told.map(|bytes| repeat(target, bytes))).await;
        repeated.into_iter().filter(Result::is_ok).count()
    }
}

async fn repeat(target: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    let (mut answers, mut requests) = stream.split();
    let mut nowhere = sink();
    let reading = tokio::io::copy(&mut answers, &mut nowhere);
    let both = async { tokio::try_join!(requests.write_all(bytes), reading) };
    // The target keeps the connection open: it ends when the answers are in.
    match timeout(ANSWERS_WITHIN, both).await {
        Ok(done) => done.map(drop),
        Err(_) => Ok(()),
    }
}
