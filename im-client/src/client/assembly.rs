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
use crate::outbox::SharedOutbox;
use crate::positions::Positions;
use crate::route_api::RouteApi;
use crate::session::Session;
use crate::state::{ConnectionState, Reporter};
use crate::timeline::Timeline;

/// What a client is made of, once it is logged in.
pub(crate) struct ClientConfig {
    pub(crate) route: RouteApi,
    pub(crate) send_timeout: Duration,
    pub(crate) handler: Option<Arc<dyn MessageHandler>>,
}

impl Client {
    /// Starts the tasks of a device that is logged in.
    pub(crate) fn start(mut config: ClientConfig, login: Login) -> Self {
        let handler = config.handler.take();
        let (handle, state) = Handle::new(config, &login);
        let receiving = handler.map(|handler| {
            let (receiving, events) = Receiving::new(&handle);
            let dispatch = dispatch::run(handler, Arc::downgrade(&handle), events);
            handle.tasks.spawn("handler", dispatch);
            receiving
        });
        handle.attach(login, state, receiving);
        Self { handle }
    }

    /// As [`Client::start`], for a program that takes from the stream what a handler would get.
    pub(crate) fn start_with_events(config: ClientConfig, login: Login) -> (Self, Events) {
        let (handle, state) = Handle::new(config, &login);
        let (receiving, events) = Receiving::new(&handle);
        handle.attach(login, state, Some(receiving));
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
    fn new(config: ClientConfig, login: &Login) -> (Arc<Self>, watch::Sender<ConnectionState>) {
        let (state, state_receiver) = watch::channel(ConnectionState::Connecting);
        let handle = Arc::new(Self {
            identity: login.identity().clone(),
            route: config.route,
            token: login.token().clone(),
            outbox: Arc::new(SharedOutbox::new()),
            state: state_receiver,
            send_timeout: config.send_timeout,
            tasks: Tasks::new(),
        });
        (handle, state)
    }

    /// Starts the task that keeps the client attached.
    fn attach(
        &self,
        login: Login,
        state: watch::Sender<ConnectionState>,
        receiving: Option<Receiving>,
    ) {
        let (inbox, events, is_busy) = match receiving {
            Some(Receiving {
                inbox,
                events,
                is_busy,
            }) => (Some(inbox), events, Some(is_busy)),
            None => (None, EventSender::to_nobody(), None),
        };
        let traffic = Traffic {
            outbox: Arc::clone(&self.outbox),
            inbox,
            reporter: Reporter { state, events },
            closing: self.tasks.token(),
        };
        let session = Session::new(login, traffic, is_busy);
        self.tasks.spawn("session", session.run());
    }
}

/// What the session of a client that receives has to do with.
struct Receiving {
    inbox: Inbox,
    events: EventSender,
    is_busy: watch::Receiver<bool>,
}

impl Receiving {
    fn new(handle: &Handle) -> (Self, Events) {
        let positions = Arc::new(Positions::default());
        let (events, feeds) = Events::new(Arc::clone(&positions), handle.tasks.token());
        let timeline = Timeline::new(handle.identity.user, handle.identity.device.clone());
        let receiving = Self {
            inbox: Inbox::new(timeline, feeds.steps, positions),
            events: feeds.news,
            is_busy: feeds.is_busy,
        };
        (receiving, events)
    }
}
