//! A user of CIM with an inbox.

use std::sync::Arc;
use std::time::Duration;

use im_tests::PATIENCE;
use im_tests::cim::{
    Account, CimClient, CimRoute, CimSocket, Habits, Inbox, NotBuilt, Placed, Received, code,
};
use tokio::time::{interval, timeout};

/// How often the list of who is online is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A user whose client runs.
pub(super) struct Friend {
    pub(super) client: CimClient,
    pub(super) inbox: Arc<Inbox>,
}

impl Friend {
    /// Registers and connects.
    pub(super) async fn join(route: &CimRoute, name: &str) -> Self {
        let account = route.account(name).await;
        Self::enter(route, &account).await
    }

    /// Connects with an account that there is, and waits until it is listed: there is no answer to
    /// a login frame.
    pub(super) async fn enter(route: &CimRoute, account: &Account) -> Self {
        let entered = Self::try_enter(route, account, Habits::BRISK).await;
        let entered = entered.unwrap_or_else(|error| panic!("{}: {error}", account.user_name));
        entered.is_listed().await;
        entered
    }

    /// Waits until everybody sees that the user is there.
    pub(super) async fn is_listed(&self) {
        let (route, name) = (self.client.route(), &self.account().user_name);
        let listed = async {
            let mut look = interval(LOOK_EVERY);
            while !online(route).await.contains(name) {
                look.tick().await;
            }
        };
        let listed = timeout(PATIENCE, listed).await;
        listed.unwrap_or_else(|_| panic!("{name} is not listed"));
    }

    pub(super) async fn try_enter(
        route: &CimRoute,
        account: &Account,
        habits: Habits,
    ) -> Result<Self, NotBuilt> {
        let inbox = Arc::new(Inbox::default());
        let listener = Arc::clone(&inbox);
        let client = CimClient::build(route, account, habits, listener).await?;
        Ok(Self { client, inbox })
    }

    pub(super) fn id(&self) -> i64 {
        self.client.id()
    }

    /// Sends to a user and returns the code.
    pub(super) async fn send(&self, to: i64, text: &str) -> String {
        let reply = self.client.route().send(self.id(), to, text).await;
        reply.expect("the route answers").code
    }

    /// Sends to a user who is there.
    pub(super) async fn tell(&self, to: &Self, text: &str) {
        assert_eq!(self.send(to.id(), text).await, code::SUCCESS);
    }

    /// Sends to everybody.
    pub(super) async fn say(&self, text: &str) {
        let reply = self.client.route().say(self.id(), text).await;
        reply.expect("the route answers").assert_code(code::SUCCESS);
    }

    /// Waits for a text, which must come from this user.
    pub(super) async fn hears(&self, text: &str, from: &Account) -> Received {
        let received = self.inbox.expect(text).await;
        assert_eq!(received.sender, from.user_id, "{received:?}");
        assert_eq!(received.sender_name, from.user_name, "{received:?}");
        received
    }

    pub(super) fn account(&self) -> &Account {
        self.client.account()
    }
}

/// Logs in over HTTP alone.
pub(super) async fn placed(route: &CimRoute, account: &Account) -> Placed {
    let reply = route.log_in(account).await;
    reply.expect("the route answers").success()
}

/// Logs in over HTTP and TCP, without any habits.
pub(super) async fn attach(route: &CimRoute, account: &Account) -> CimSocket {
    let placed = placed(route, account).await;
    let socket = CimSocket::log_in(&placed, account).await;
    socket.expect("the server accepts")
}

/// The names of those who are online, sorted.
pub(super) async fn online(route: &CimRoute) -> Vec<String> {
    let reply = route.online().await.expect("the route answers");
    reply.assert_code(code::SUCCESS);
    // Null when there is nobody.
    let mut names: Vec<String> = reply
        .body
        .unwrap_or_default()
        .into_iter()
        .map(|user| user.user_name)
        .collect();
    names.sort();
    names
}
