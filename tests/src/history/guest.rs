//! `Guest`: a user of CIM, every step of which is recorded.

use std::sync::Arc;

use im_common::id::{DeviceId, UserId};
use im_common::message::Recipient;
use im_common::name::UserName;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::checker::Outcome;
use super::{ActorIx, History};
use crate::cim::{
    Account, CimClient, CimRoute, Habits, Listener, NoReply, Nothing, Received, Reply, code,
};

/// What users of CIM count as. CIM has no devices.
const DEVICE: &str = "cim";

/// A user of CIM on its client.
pub struct Guest {
    history: History,
    ix: ActorIx,
    user: UserId,
    client: CimClient,
    /// CIM sends over one HTTP request each: only one after another they have an order.
    in_turn: Mutex<()>,
}

struct Recorder {
    history: History,
    ix: ActorIx,
}

impl Listener for Recorder {
    fn received(&self, received: Received) {
        let sender = user_of(received.sender);
        self.history.on_text(self.ix, sender, &received.text);
    }
}

fn user_of(id: i64) -> UserId {
    UserId::new(id.unsigned_abs()).expect("CIM's numbers are ids")
}

impl Guest {
    /// Registers a name and connects.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn join(history: &History, route: &CimRoute, name: &str, habits: Habits) -> Self {
        let account = route.account(name).await;
        let user = user_of(account.user_id);
        let device = DeviceId::new(DEVICE).expect("a valid device");
        let user_name = UserName::new(name).expect("a valid name");
        let ix = history.enter(user, &user_name, &device);
        let recorder = Arc::new(Recorder {
            history: history.clone(),
            ix,
        });
        let client = CimClient::build(route, &account, habits, recorder).await;
        Self {
            history: history.clone(),
            ix,
            user,
            client: client.unwrap_or_else(|error| panic!("{name}: {error}")),
            in_turn: Mutex::new(()),
        }
    }

    /// Sends to a user or to everybody, once what it sent before has ended. CIM's SDK sends nothing
    /// twice: without an answer nobody knows how it ended.
    pub async fn send(&self, to: Recipient) {
        let _turn = self.in_turn.lock().await;
        let (number, text) = self.history.submitting(self.ix, &to, "");
        let began = Instant::now();
        let reply = self.offer(&to, &text).await;
        let outcome = match &reply {
            Ok(reply) if [code::SUCCESS, code::OFF_LINE].contains(&reply.code.as_str()) => {
                Outcome::Accepted
            }
            Ok(_) => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        self.history
            .ended_as(self.ix, number, outcome, began.elapsed());
    }

    async fn offer(&self, to: &Recipient, text: &str) -> Result<Reply<Nothing>, NoReply> {
        let (route, me) = (self.client.route(), self.client.id());
        match to {
            Recipient::Lobby => route.say(me, text).await,
            Recipient::User(user) => {
                let user = i64::try_from(user.number()).expect("53 bits fit");
                route.send(me, user, text).await
            }
            Recipient::Name(name) => panic!("CIM knows no names as addresses: {name}"),
        }
    }

    /// Its user.
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// Its number and name.
    pub fn account(&self) -> &Account {
        self.client.account()
    }

    /// Its client.
    pub const fn client(&self) -> &CimClient {
        &self.client
    }
}
