//! `Relay`: what stands between clients and one server, and lets a test treat them badly.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use im_common::tasks::Tasks;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Bytes carried at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// How the relay treats what passes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Carries it.
    Flows,
    /// Carries nothing and says nothing, as a link that is half open.
    Frozen,
    /// Carries it a byte at a time.
    Trickles,
    /// Takes no new connection; those that are there flow.
    Refuses,
}

/// One relay. Clones share it; it ends with the tasks it was started with.
#[derive(Clone)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: watch::Sender<Option<String>>,
    manner: watch::Sender<Manner>,
    cut: Mutex<CancellationToken>,
    tasks: Tasks,
}

impl Relay {
    /// Listens on any free port; connections wait until the target is known.
    pub async fn start(tasks: &Tasks) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let relay = Self {
            address: listener
                .local_addr()
                .expect("a bound listener has an address"),
            shared: Arc::new(Shared {
                target: watch::Sender::new(None),
                manner: watch::Sender::new(Manner::Flows),
                cut: Mutex::default(),
                tasks: tasks.clone(),
            }),
        };
        let (accepting, ended) = (Arc::clone(&relay.shared), tasks.token());
        tasks.spawn("relay", async move {
            ended.run_until_cancelled(accept(listener, accepting)).await;
        });
        relay
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to this server from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        self.shared.target.send_replace(Some(server.to_string()));
    }

    /// From now on, also for connections that are there.
    pub fn set(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// Ends every connection that is there, without a word.
    pub fn cut(&self) {
        std::mem::take(&mut *self.shared.cut.lock()).cancel();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // Out of files, or whatever else: the client finds out and comes again.
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        if *shared.manner.borrow() == Manner::Refuses {
            continue;
        }
        let (cut, ended) = (shared.cut.lock().clone(), shared.tasks.token());
        let carrying = carry(client, Arc::clone(&shared));
        shared.tasks.spawn("relayed connection", async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = ended.cancelled() => {}
                () = carrying => {}
            }
        });
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut target = shared.target.subscribe();
    let Ok(address) = target
        .wait_for(Option::is_some)
        .await
        .map(|known| known.clone())
    else {
        return;
    };
    let Ok(server) = TcpStream::connect(address.unwrap_or_default()).await else {
        return;
    };
    for socket in [&client, &server] {
        socket.set_nodelay(true).ok();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pass(from_client, to_server, shared.manner.subscribe()),
        pass(from_server, to_client, shared.manner.subscribe()),
    );
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut manner: watch::Receiver<Manner>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let Ok(now) = manner
            .wait_for(|manner| *manner != Manner::Frozen)
            .await
            .map(|now| *now)
        else {
            return;
        };
        let slice = if now == Manner::Trickles { 1 } else { read };
        for piece in chunk[..read].chunks(slice) {
            if to.write_all(piece).await.is_err() {
                return;
            }
        }
    }
    // Half a close is passed on: what the other side still says must arrive.
    to.shutdown().await.ok();
}
