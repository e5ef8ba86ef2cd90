//! A client with the habits of CIM's Java SDK: what it does by itself from `build()` to `close()`.

use std::sync::Arc;
use std::time::Duration;

use im_common::tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{Command, Frame};
use super::inbox::{Listener, unroll};
use super::route::{Account, CimRoute, NoReply, Placed, code};
use super::socket::CimSocket;
use crate::PATIENCE;

/// When the SDK does what.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Between two pings. It writes nothing else on the long connection.
    pub ping_every: Duration,
    /// From `build()` to asking for what waited, which it does once.
    pub fetch_after: Duration,
    /// From losing its connection to logging in again, and between two attempts.
    pub backoff: Duration,
    /// Whether it comes back by itself.
    pub reconnects: bool,
}

impl Habits {
    /// The SDK's own. Its backoff is random, from 3 to 9 s.
    pub const SDK: Self = Self {
        ping_every: Duration::from_secs(10),
        fetch_after: Duration::from_secs(5),
        backoff: Duration::from_secs(6),
        reconnects: true,
    };
    /// The same at a pace for tests.
    pub const BRISK: Self = Self {
        ping_every: Duration::from_secs(1),
        fetch_after: Duration::from_millis(500),
        backoff: Duration::from_millis(300),
        reconnects: true,
    };
    /// Connected once, and nothing by itself but pings.
    pub const NONE: Self = Self {
        ping_every: Duration::from_secs(1),
        fetch_after: Duration::MAX,
        backoff: Duration::MAX,
        reconnects: false,
    };
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum NotBuilt {
    /// The login was answered with this code.
    #[error("login: {0}")]
    Refused(String),
    /// The login was not answered.
    #[error("login: {0}")]
    NoReply(#[from] NoReply),
    /// The server that the login named did not accept.
    #[error("{0:?}: {1}")]
    Connect(Placed, std::io::Error),
}

/// A user of CIM whose client runs. Dropping it ends it as a program that is killed.
pub struct CimClient {
    shared: Arc<Shared>,
    connected: watch::Receiver<bool>,
    stop: CancellationToken,
    tasks: Tasks,
    _killed_on_drop: DropGuard,
}

struct Shared {
    route: CimRoute,
    account: Account,
    habits: Habits,
    listener: Arc<dyn Listener>,
    connected: watch::Sender<bool>,
}

impl CimClient {
    /// Logs in, connects and says who it is. There is no answer to that: from here on it counts as
    /// connected.
    ///
    /// # Errors
    /// When one of these fails; nothing is tried again.
    pub async fn build(
        route: &CimRoute,
        account: &Account,
        habits: Habits,
        listener: Arc<dyn Listener>,
    ) -> Result<Self, NotBuilt> {
        let (connected, is_connected) = watch::channel(true);
        let shared = Arc::new(Shared {
            route: route.clone(),
            account: account.clone(),
            habits,
            listener,
            connected,
        });
        let socket = shared.enter().await?;
        let tasks = Tasks::new();
        let stop = tasks.token();
        let life = Arc::clone(&shared);
        tasks.spawn("cim client", {
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(life.live(socket)).await;
            }
        });
        let fetch = Arc::clone(&shared);
        tasks.spawn("cim client fetch", {
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(fetch.fetch_once()).await;
            }
        });
        Ok(Self {
            shared,
            connected: is_connected,
            _killed_on_drop: stop.clone().drop_guard(),
            stop,
            tasks,
        })
    }

    /// The user.
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// The user's number.
    pub fn id(&self) -> i64 {
        self.shared.account.user_id
    }

    /// Its route.
    pub fn route(&self) -> &CimRoute {
        &self.shared.route
    }

    /// Whether it has a connection.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Waits until it has a connection, or has none.
    pub async fn expect_connected(&self, is_connected: bool) {
        let mut connected = self.connected.clone();
        let changed = connected.wait_for(|now| *now == is_connected);
        let changed = timeout(PATIENCE, changed).await;
        let name = &self.account().user_name;
        assert!(
            matches!(changed, Ok(Ok(_))),
            "{name}: not connected: {is_connected}"
        );
    }

    /// Ends as `close()` does: the connection first, then `offLine`.
    ///
    /// # Errors
    /// When `offLine` is not answered as it should be.
    pub async fn close(self) -> Result<(), NoReply> {
        self.kill().await;
        let reply = self.shared.route.off_line(self.id()).await?;
        reply.assert_code(code::SUCCESS);
        Ok(())
    }

    /// Ends as a program that is killed: nobody is told.
    pub async fn kill(&self) {
        self.stop.cancel();
        let ended = self.tasks.wait(PATIENCE).await;
        ended.expect("a client that is stopped ends");
    }
}

impl Shared {
    async fn enter(&self) -> Result<CimSocket, NotBuilt> {
        let reply = self.route.log_in(&self.account).await?;
        if reply.code != code::SUCCESS {
            return Err(NotBuilt::Refused(reply.code));
        }
        let placed = reply.success();
        let socket = CimSocket::log_in(&placed, &self.account).await;
        socket.map_err(|error| NotBuilt::Connect(placed, error))
    }

    async fn live(&self, mut socket: CimSocket) {
        loop {
            self.serve(&mut socket).await;
            drop(socket);
            self.connected.send_replace(false);
            if !self.habits.reconnects {
                return;
            }
            socket = self.come_back().await;
            self.connected.send_replace(true);
        }
    }

    /// Until the connection ends.
    async fn serve(&self, socket: &mut CimSocket) {
        let first = Instant::now() + self.habits.ping_every;
        let mut ping = interval_at(first, self.habits.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(frame) => self.take(frame),
                    None => return,
                },
                _ = ping.tick() => {
                    let frame = Frame::ping(self.account.user_id);
                    if socket.say(&frame).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Every frame that is no pong counts as a message.
    fn take(&self, frame: Frame) {
        if frame.command == Command::Ping {
            assert_eq!(frame.text, "pong");
            return;
        }
        for received in unroll(frame, self.account.user_id) {
            self.listener.received(received);
        }
    }

    /// Says that it is gone, waits, logs in: again and again until it has a connection.
    async fn come_back(&self) -> CimSocket {
        loop {
            // The route may be away too; whatever it says, the SDK goes on.
            self.route.off_line(self.account.user_id).await.ok();
            sleep(self.habits.backoff).await;
            if let Ok(socket) = self.enter().await {
                return socket;
            }
        }
    }

    async fn fetch_once(&self) {
        sleep(self.habits.fetch_after).await;
        // The SDK does not look at the answer.
        self.route.fetch_offline(self.account.user_id).await.ok();
    }
}
