//! Takes in sockets: listens, and makes a task of each client.
//!
//! Each entrance says what becomes of a socket that came through it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use im_common::code::Code;
use im_common::stream::FrameStream;
use im_common::tasks::Tasks;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::closing::close;
use crate::connection::{Context, serve};

/// A storm of reconnects waits here instead of being reset; the kernel may cap it.
const BACKLOG: u32 = 4096;
/// Out of descriptors: others must close first.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// One line says it.
const LOG_FAILURES_EVERY: Duration = Duration::from_secs(1);
/// Clients that are told at once that the server is full; beyond them sockets are just closed.
const TURNED_AWAY_MAX: usize = 256;

/// Listens for clients.
pub(crate) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let open = || -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        // Accepted sockets inherit it; it frees those whose network vanished in mid-write.
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().with_context(|| format!("cannot listen on {address}"))
}

/// Accepts sockets until told to stop; then the port is closed.
pub(crate) async fn accept(
    listener: TcpListener,
    stop: CancellationToken,
    take_in: impl Fn(TcpStream, IpAddr),
) {
    let mut last_logged: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Frames leave in one write each turn; waiting for more would only delay them.
                let _ = socket.set_nodelay(true);
                take_in(socket, peer.ip());
            }
            Err(error) => {
                if last_logged.is_none_or(|last| last.elapsed() >= LOG_FAILURES_EVERY) {
                    last_logged = Some(Instant::now());
                    tracing::warn!(%error, "cannot accept");
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

/// The entrance for clients that speak this cluster's own frames.
pub(crate) fn entrance(context: Arc<Context>, clients: Tasks) -> impl Fn(TcpStream, IpAddr) {
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    move |socket, _| take_in(socket, &context, &clients, &turned_away)
}

fn take_in(
    socket: TcpStream,
    context: &Arc<Context>,
    clients: &Tasks,
    turned_away: &Arc<Semaphore>,
) {
    if let Some(permit) = context.connections.admit() {
        let context = Arc::clone(context);
        clients.spawn("connection", async move {
            serve(socket, context).await;
            drop(permit);
        });
    } else if let Ok(permit) = Arc::clone(turned_away).try_acquire_owned() {
        clients.spawn("turning away", async move {
            close(FrameStream::new(socket), Default::default(), Code::FULL).await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use im_common::wire::server_frame::Frame;

    use super::*;
    use crate::fixture::{Bench, PATIENCE, TestClient};

    #[tokio::test]
    async fn at_a_full_server_some_are_told_and_the_others_cost_nothing() {
        let bench = Bench::new();
        let connections = &bench.context.connections;
        let taken: Vec<_> = std::iter::from_fn(|| connections.admit()).collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let turned_away = Arc::new(Semaphore::new(1));
        let clients = Tasks::new();
        let come = async || {
            let client = TcpStream::connect(address).await.unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            take_in(socket, &bench.context, &clients, &turned_away);
            TestClient::new(client)
        };
        let mut told = come().await;
        let mut others = come().await;
        let Frame::Close(close) = told.next().await else {
            panic!("not told");
        };
        assert_eq!(Code::from(close.code), Code::FULL);
        assert!(others.stream.next().await.unwrap().is_none(), "just closed");
        drop((told, taken));
        clients.wait(PATIENCE).await.unwrap();
        assert_eq!(turned_away.available_permits(), 1);
    }
}
