//! Serves HTTP as `axum::serve` does, with bounds: who connects and says nothing, or says it too
//! slowly, is cut off.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Connections at a time; others wait in the backlog of the kernel. A node has a few of each other
/// node, so nearly all are of clients that log in or ask for history.
pub const CONNECTIONS_MAX: usize = 4096;
/// The first request must be there so soon, with all its headers.
pub const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// A later one may take longer: clients keep connections for up to 90 s, and must not find them
/// closed just when they use them.
pub const NEXT_REQUEST_WITHIN: Duration = Duration::from_secs(120);
/// How long a pool of connections should keep one that is idle. A burst of requests opens some that it
/// does not need; they have had no request yet when they are needed at last.
pub const POOLED_FOR: Duration = FIRST_REQUEST_WITHIN
    .checked_sub(Duration::from_secs(1))
    .unwrap();
/// What is said goodbye to has this long to hear it.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// After a failure to accept, such as too many open files.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves until `stop` is cancelled; then accepts no more, ends the requests under way and returns.
/// Dropping the future cuts them off.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    serve_at_most(CONNECTIONS_MAX, listener, router, stop).await;
}

async fn serve_at_most(
    connections_max: usize,
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place.expect("never closed"), listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = attend(stream, peer, router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection, until either side has enough. Handlers find out who asks as
/// `ConnectInfo<SocketAddr>`.
async fn attend(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    // As small answers go out at once, so does the end of large ones.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::new());
    let service = {
        let activity = Arc::clone(&activity);
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let busy = Busy::begin(&activity);
            let mut request: Request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = router.clone().oneshot(request);
            async move {
                let answer = answer.await;
                drop(busy);
                answer as Result<_, Infallible>
            }
        })
    };
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = activity.silence() => {}
    }
    connection.as_mut().graceful_shutdown();
    let late = async {
        activity.silence().await;
        sleep(GOODBYE_WITHIN).await;
    };
    tokio::select! {
        _ = connection => {}
        () = late => {}
    }
}

/// When a connection has to say something.
struct Activity(Mutex<(usize, Instant)>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new((0, Instant::now() + FIRST_REQUEST_WITHIN)))
    }

    /// Resolves when it should have asked something by now.
    async fn silence(&self) {
        loop {
            let (under_way, deadline) = *self.0.lock();
            if under_way == 0 && deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline.max(Instant::now() + GOODBYE_WITHIN)).await;
        }
    }
}

/// A request under way.
struct Busy(Arc<Activity>);

impl Busy {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.0.lock().0 += 1;
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut held = self.0.0.lock();
        *held = (held.0 - 1, Instant::now() + NEXT_REQUEST_WITHIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn started(stop: &CancellationToken) -> (std::net::SocketAddr, JoinSet<()>) {
        started_for(CONNECTIONS_MAX, stop).await
    }

    async fn started_for(
        connections_max: usize,
        stop: &CancellationToken,
    ) -> (std::net::SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let mut serving = JoinSet::new();
        serving.spawn(serve_at_most(
            connections_max,
            listener,
            router,
            stop.clone(),
        ));
        (address, serving)
    }

    /// Writes a little at a time until the other side closes; returns after how long that was.
    async fn closed_after(address: std::net::SocketAddr, drip: &'static [u8]) -> Duration {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let since = Instant::now();
        let mut bytes = drip.iter().cycle();
        loop {
            let mut answer = [0; 512];
            match timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
                Ok(Ok(0) | Err(_)) => return since.elapsed(),
                Ok(Ok(_)) => {}
                Err(_) => {
                    if let Some(byte) = bytes.next() {
                        let _ = stream.write_all(&[*byte]).await;
                    }
                }
            }
            assert!(since.elapsed() < Duration::from_secs(60), "never closed");
        }
    }

    #[tokio::test]
    async fn who_does_not_ask_in_time_is_cut_off() {
        let stop = CancellationToken::new();
        let (address, _serving) = started(&stop).await;
        let silent = closed_after(address, b"");
        let slow = closed_after(address, b"GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyy");
        let (silent, slow) = tokio::join!(silent, slow);
        for after in [silent, slow] {
            assert!(
                after >= FIRST_REQUEST_WITHIN - Duration::from_millis(100),
                "{after:?}"
            );
            assert!(
                after <= FIRST_REQUEST_WITHIN + 2 * GOODBYE_WITHIN,
                "{after:?}"
            );
        }
    }

    #[tokio::test]
    async fn silent_ones_hold_up_nobody_who_asks_and_stopping_waits_for_none() {
        let stop = CancellationToken::new();
        let (address, mut serving) = started(&stop).await;
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            stream.write_all(REQUEST).await.unwrap();
            let mut answer = [0; 1024];
            let read = timeout(Duration::from_secs(1), stream.read(&mut answer));
            let read = read.await.unwrap().unwrap();
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        }
        stop.cancel();
        let ended = timeout(Duration::from_secs(3), serving.join_next()).await;
        ended.expect("nobody keeps it from stopping");
    }

    /// Whether a request is answered.
    async fn is_answered(stream: &mut TcpStream, within: Duration) -> bool {
        let mut answer = [0; 1024];
        let read = timeout(within, stream.read(&mut answer)).await;
        read.is_ok_and(|read| answer[..read.unwrap()].starts_with(b"HTTP/1.1 200"))
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_for_one_and_then_is_served() {
        let stop = CancellationToken::new();
        let (address, mut serving) = started_for(2, &stop).await;
        let mut there = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(REQUEST).await.unwrap();
            assert!(is_answered(&mut stream, Duration::from_secs(5)).await);
            there.push(stream);
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(REQUEST).await.unwrap();
        assert!(!is_answered(&mut late, Duration::from_millis(300)).await);
        there.pop();
        assert!(is_answered(&mut late, Duration::from_secs(5)).await);

        // Stopping waits for nobody's place either.
        let mut never = TcpStream::connect(address).await.unwrap();
        never.write_all(REQUEST).await.unwrap();
        stop.cancel();
        let ended = timeout(Duration::from_secs(3), serving.join_next()).await;
        ended.expect("nobody keeps it from stopping");
    }
}
