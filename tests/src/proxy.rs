//! A TCP proxy in user space that can stand between any two parts and spoil what passes.
//!
//! [`Proxy::set`] says how each direction flows; [`Proxy::cut`] resets what is open;
//! [`Proxy::refuse`] closes the door; [`Proxy::heal`] makes it a plain wire again.

mod flow;
mod link;
mod replay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use im_common::tasks::Tasks;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use flow::Flow;
use link::Link;
use replay::Recording;

/// How long the proxy tries to reach its target, as loopback answers at once or never.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// What a link that stalls still takes from its target, where the system would take 32 MiB and more.
const RECEIVES_BYTES: u32 = 256 * 1024;
/// Pause of the listener when accepting or binding fails.
const PAUSE: Duration = Duration::from_millis(20);
/// As deep as the server's own, so that a storm of reconnects reaches it.
const BACKLOG: u32 = 4096;

/// How both directions of a proxy's connections flow.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Flows {
    /// From who dials to the target.
    pub up: Flow,
    /// From the target to who dials.
    pub down: Flow,
}

impl Flows {
    /// The same both ways.
    pub const fn both(flow: Flow) -> Self {
        Self {
            up: flow,
            down: flow,
        }
    }
}

/// A running proxy. It ends, with all its connections, when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Tasks,
}

struct Shared {
    flows: watch::Sender<Flows>,
    open: watch::Sender<bool>,
    target: Mutex<SocketAddr>,
    links: Mutex<Vec<CancellationToken>>,
    recording: Mutex<Option<Arc<Recording>>>,
    taken: AtomicU64,
}

impl Proxy {
    /// Starts a proxy on any free port of loopback.
    pub async fn start(target: SocketAddr) -> Self {
        let (listener, address) = loop {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::ports::free()));
            if let Ok(listener) = listen(address) {
                break (listener, address);
            }
        };
        let shared = Arc::new(Shared {
            flows: watch::Sender::new(Flows::default()),
            open: watch::Sender::new(true),
            target: Mutex::new(target),
            links: Mutex::default(),
            recording: Mutex::default(),
            taken: AtomicU64::new(0),
        });
        let tasks = Tasks::new();
        let accept = accept_all(Arc::clone(&shared), tasks.clone(), listener, address);
        tasks.spawn("proxy", accept);
        Self {
            address,
            shared,
            tasks,
        }
    }

    /// Where to dial.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends connections from now on elsewhere; those that are open stay.
    pub fn retarget(&self, target: SocketAddr) {
        *self.shared.target.lock() = target;
    }

    /// Changes how everything flows, also what is on its way.
    pub fn set(&self, flows: Flows) {
        self.shared.flows.send_replace(flows);
    }

    /// Resets every open connection, both sides; returns how many.
    pub fn cut(&self) -> usize {
        self.cut_where(|_| true)
    }

    /// Resets some of the open connections; `is_chosen` is asked with each one's place.
    pub fn cut_where(&self, mut is_chosen: impl FnMut(usize) -> bool) -> usize {
        let mut links = self.shared.links.lock();
        links.retain(|link| !link.is_cancelled());
        let chosen = links.iter().enumerate().filter(|(at, _)| is_chosen(*at));
        let mut count = 0;
        for (_, link) in chosen {
            link.cancel();
            count += 1;
        }
        count
    }

    /// Refuses new connections as a port does where nobody listens. Open ones stay.
    pub fn refuse(&self) {
        self.shared.open.send_replace(false);
    }

    /// A plain wire again, which takes connections.
    pub fn heal(&self) {
        self.shared.open.send_replace(true);
        self.set(Flows::default());
    }

    /// How many connections were taken since it began.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn links(&self) -> usize {
        let mut links = self.shared.links.lock();
        links.retain(|link| !link.is_cancelled());
        links.len()
    }

    /// From now on keeps the first bytes that each new connection sends up, at most `bytes_max` of
    /// each, to be sent once more by [`Proxy::replay`].
    pub fn record(&self, bytes_max: usize) {
        *self.shared.recording.lock() = Some(Arc::new(Recording::new(bytes_max)));
    }

    /// Sends what was recorded once more, each connection's bytes on a fresh connection to the
    /// target; answers are read and thrown away. Returns how many connections were repeated.
    pub async fn replay(&self) -> usize {
        let recording = self.shared.recording.lock().clone();
        let target = *self.shared.target.lock();
        match recording {
            Some(recording) => recording.replay(target).await,
            None => 0,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, client: TcpStream, cut: CancellationToken) {
        // Ends with the link, so that the list of links can tell which are over.
        let _over = cut.clone().drop_guard();
        let target = *self.target.lock();
        let server = timeout(CONNECT_WITHIN, dial(target)).await;
        let Ok(Ok(server)) = server else {
            link::reset(&client);
            return;
        };
        let recording = self.recording.lock().clone();
        let tape = recording.map(|recording| recording.begin());
        let flows = self.flows.subscribe();
        Link::new(client, server, tape).run(flows, cut).await;
    }
}

async fn dial(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVES_BYTES)?;
    socket.connect(target).await
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept_all(shared: Arc<Shared>, tasks: Tasks, first: TcpListener, address: SocketAddr) {
    let mut open = shared.open.subscribe();
    let mut listener = Some(first);
    while !tasks.token().is_cancelled() {
        if *open.borrow_and_update() {
            if listener.is_none() {
                listener = listen(address).ok();
            }
        } else {
            listener = None;
        }
        tokio::select! {
            biased;
            () = tasks.cancelled() => {}
            changed = open.changed() => changed.expect("the sender lives as long as this task"),
            stream = accept(listener.as_ref(), *shared.open.borrow()) => {
                let Some(stream) = stream else { continue };
                shared.taken.fetch_add(1, Ordering::Relaxed);
                let cut = tasks.token();
                let mut links = shared.links.lock();
                links.retain(|link| !link.is_cancelled());
                links.push(cut.clone());
                tasks.spawn("link", Arc::clone(&shared).serve(stream, cut));
            }
        }
    }
}

/// The next connection; nothing after a moment when there is no listener or it fails, and never
/// when there should be none.
async fn accept(listener: Option<&TcpListener>, should_listen: bool) -> Option<TcpStream> {
    match listener {
        Some(listener) => match listener.accept().await {
            Ok((stream, _)) => Some(stream),
            Err(_) => {
                sleep(PAUSE).await;
                None
            }
        },
        None if should_listen => {
            sleep(PAUSE).await;
            None
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
