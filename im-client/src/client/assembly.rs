//! Puts a client together and waits for its first connection.

use std::sync::Arc;
use std::time::Duration;

use im_common::tasks::Tasks;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Client, Handle};
use crate::connection::Traffic;
use crate::dispatch::{Dispatch, EventSender, QUEUE_EVENTS_MAX, QUEUE_STEPS_MAX};
use crate::error::{Error, ErrorKind};
use crate::handler::{Event, MessageHandler};
use crate::inbox::Inbox;
use crate::login::Login;
use crate::outbox::SharedOutbox;
use crate::positions::Positions;
use crate::route_api::RouteApi;
use crate::session::Session;
use crate::state::ConnectionState;
use crate::timeline::Timeline;

/// What a client is made of, once it is logged in.
pub(crate) struct ClientConfig {
    pub(crate) route: RouteApi,
    pub(crate) send_timeout: Duration,
    pub(crate) handler: Option<Arc<dyn MessageHandler>>,
}

impl Client {
    /// Starts the tasks of a device that is logged in.
    pub(crate) fn start(config: ClientConfig, login: Login) -> Self {
        let tasks = Tasks::new();
        let (state, state_receiver) = watch::channel(ConnectionState::Connecting);
        let handle = Arc::new(Handle {
            identity: login.identity().clone(),
            route: config.route,
            token: login.token().clone(),
            outbox: Arc::new(SharedOutbox::new()),
            state: state_receiver,
            send_timeout: config.send_timeout,
            tasks: tasks.clone(),
        });
        let receiving = config.handler.map(|handler| handle.receive(handler));
        let (inbox, events, dispatch) = match receiving {
            Some((inbox, events, dispatch)) => (Some(inbox), Some(events), Some(dispatch)),
            None => (None, None, None),
        };
        let traffic = Traffic {
            outbox: Arc::clone(&handle.outbox),
            inbox,
            events: EventSender::new(events),
            closing: tasks.token(),
        };
        let session = Session::new(login, traffic, state, dispatch);
        tasks.spawn("session", session.run());
        Self { handle }
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
    /// Starts the task that owns the handler.
    fn receive(
        self: &Arc<Self>,
        handler: Arc<dyn MessageHandler>,
    ) -> (Inbox, mpsc::Sender<Event>, JoinHandle<()>) {
        let (steps, steps_receiver) = mpsc::channel(QUEUE_STEPS_MAX);
        let (events, events_receiver) = mpsc::channel(QUEUE_EVENTS_MAX);
        let positions = Arc::new(Positions::default());
        let dispatch = Dispatch {
            handler,
            client: Arc::downgrade(self),
            steps: steps_receiver,
            events: events_receiver,
            positions: Arc::clone(&positions),
            closing: self.tasks.token(),
        };
        let dispatch = self.tasks.spawn("handler", dispatch.run());
        let timeline = Timeline::new(self.identity.user, self.identity.device.clone());
        (Inbox::new(timeline, steps, positions), events, dispatch)
    }
}
