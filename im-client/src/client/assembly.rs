//! Puts a client together and waits for its first connection.

use std::sync::Arc;
use std::time::Duration;

use im_common::tasks::Tasks;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Client, Handle};
use crate::connection::Traffic;
use crate::dispatch;
use crate::error::{Error, ErrorKind};
use crate::events::{EventSender, Events};
use crate::handler::MessageHandler;
use crate::inbox::Inbox;
use crate::login::Login;
use crate::outbox::{EndedSends, SharedOutbox};
use crate::positions::Positions;
use crate::route_api::RouteApi;
use crate::session::Session;
use crate::state::{ConnectionState, Reporter};
use crate::store::Keeper;
use crate::timeline::Timeline;

/// What a client is made of, once it is logged in.
pub(crate) struct ClientConfig {
    pub(crate) route: RouteApi,
    pub(crate) send_timeout: Duration,
    pub(crate) handler: Option<Arc<dyn MessageHandler>>,
    /// What tells the store, and how sends of an earlier program end.
    pub(crate) keeping: Option<(Keeper, EndedSends)>,
}

impl Client {
    /// Starts the tasks of a device that is logged in.
    pub(crate) fn start(mut config: ClientConfig, login: Login) -> Self {
        let handler = config.handler.take();
        let (keeper, progress) = Progress::of(config.keeping.take());
        let (handle, state) = Handle::new(config, &login, keeper.as_ref());
        let receiving = handler.map(|handler| {
            let (receiving, events) = Receiving::new(&handle, progress);
            let dispatch = dispatch::run(handler, Arc::downgrade(&handle), events);
            handle.tasks.spawn("handler", dispatch);
            receiving
        });
        handle.attach(login, state, receiving, keeper);
        Self { handle }
    }

    /// As [`Client::start`], for a program that takes from the stream what a handler would get.
    pub(crate) fn start_with_events(mut config: ClientConfig, login: Login) -> (Self, Events) {
        let (keeper, progress) = Progress::of(config.keeping.take());
        let (handle, state) = Handle::new(config, &login, keeper.as_ref());
        let (receiving, events) = Receiving::new(&handle, progress);
        handle.attach(login, state, Some(receiving), keeper);
        (Self { handle }, events)
    }

    /// Waits for the first connection; the last known cause becomes the error.
    pub(crate) async fn wait_until_attached(&self, deadline: Instant) -> Result<(), Error> {
        let mut state = self.state();
        let mut last = Error::new(ErrorKind::Timeout, "no server answered in time");
        loop {
            let current = state.borrow_and_update().clone();
            match current {
                current if current.is_attached() => return Ok(()),
                ConnectionState::Refused(code) => {
                    return Err(Error::refused(code, code.meaning()));
                }
                ConnectionState::BackingOff {
                    code: Some(code),
                    reason,
                    ..
                } => last = Error::refused(code, reason),
                ConnectionState::BackingOff { reason, .. } => {
                    last = Error::new(ErrorKind::Unreachable, reason);
                }
                current if current.is_final() => {
                    return Err(Error::new(ErrorKind::Closed, "the client is closed"));
                }
                _ => {}
            }
            match timeout_at(deadline, state.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Error::new(ErrorKind::Closed, "the client is closed")),
                Err(_) => return Err(last),
            }
        }
    }
}

impl Handle {
    fn new(
        config: ClientConfig,
        login: &Login,
        keeper: Option<&Keeper>,
    ) -> (Arc<Self>, watch::Sender<ConnectionState>) {
        let (state, state_receiver) = watch::channel(ConnectionState::Connecting);
        let handle = Arc::new(Self {
            identity: login.identity().clone(),
            route: config.route,
            token: login.token().clone(),
            outbox: keeper.map_or_else(|| Arc::new(SharedOutbox::new()), Keeper::outbox),
            state: state_receiver,
            send_timeout: config.send_timeout,
            tasks: Tasks::new(),
        });
        (handle, state)
    }

    /// Starts the task that keeps the client attached, and the one that tells its store.
    fn attach(
        &self,
        login: Login,
        state: watch::Sender<ConnectionState>,
        receiving: Option<Receiving>,
        keeper: Option<Keeper>,
    ) {
        let (inbox, events, is_busy) = match receiving {
            Some(Receiving {
                inbox,
                events,
                is_busy,
            }) => (Some(inbox), events, Some(is_busy)),
            None => (None, EventSender::to_nobody(), None),
        };
        let keeping = keeper.map(|keeper| keeper.start(events.clone(), &self.tasks));
        let traffic = Traffic {
            outbox: Arc::clone(&self.outbox),
            inbox,
            reporter: Reporter { state, events },
            closing: self.tasks.token(),
        };
        let session = Session::new(login, traffic, is_busy, keeping);
        self.tasks.spawn("session", session.run());
    }
}

/// How far an earlier program was, and this one is.
struct Progress {
    positions: Arc<Positions>,
    ended: Option<EndedSends>,
}

impl Progress {
    fn of(keeping: Option<(Keeper, EndedSends)>) -> (Option<Keeper>, Self) {
        let (keeper, ended) = keeping.unzip();
        let positions = keeper.as_ref().map(Keeper::positions);
        let positions = positions.unwrap_or_default();
        (keeper, Self { positions, ended })
    }
}

/// What the session of a client that receives has to do with.
struct Receiving {
    inbox: Inbox,
    events: EventSender,
    is_busy: watch::Receiver<bool>,
}

impl Receiving {
    fn new(handle: &Handle, progress: Progress) -> (Self, Events) {
        let Progress { positions, ended } = progress;
        let mut timeline = Timeline::new(handle.identity.user, handle.identity.device.clone());
        timeline.restore(&positions.latest(usize::MAX));
        let (events, feeds) = Events::new(Arc::clone(&positions), ended, handle.tasks.token());
        let receiving = Self {
            inbox: Inbox::new(timeline, feeds.steps, positions),
            events: feeds.news,
            is_busy: feeds.is_busy,
        };
        (receiving, events)
    }
}
