//! Everybody in a world: how they come, go, and are named.

use futures::future::join_all;
use im_client::ConnectionState;
use im_common::backend::directory::Registered;
use im_common::id::{ConversationId, UserId};
use im_common::message::Recipient;
use im_common::name::UserName;
use im_common::secret::Secret;
use im_tests::history::Actor;
use tokio::runtime::Handle;

use super::{Who, World};

/// `im_tests::user::PASSWORD` with the least that Argon2 can do, so that hundreds log in within a
/// second; the real cost has tests of its own.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$StPauzMV++mP080aXhm9PA$wYucziVJeGVgsYxX9lqkCmbok0akMJcOBXvmeKOV4/w";

impl World {
    /// New users, attached.
    pub(crate) async fn join<const N: usize>(&mut self, names: [&str; N]) -> [Who; N] {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let users = self.join_all(&names).await;
        users.try_into().expect("as many users as names")
    }

    /// So many new users, attached.
    pub(crate) async fn crowd(&mut self, count: usize) -> Vec<Who> {
        let names: Vec<String> = (0..count).map(|number| format!("member{number}")).collect();
        self.join_all(&names).await
    }

    async fn join_all(&mut self, names: &[String]) -> Vec<Who> {
        let mut users = Vec::new();
        for name in names {
            users.push(self.register(name).await);
        }
        self.attach(&users).await;
        users
    }

    /// A new user, not attached. Its account is made in the store, where it costs nothing.
    pub(crate) async fn register(&mut self, name: &str) -> Who {
        let name = UserName::new(name).expect("a valid name");
        let backend = self.cluster.backend().await;
        let hash = Secret(PASSWORD_HASH.to_owned());
        let Ok(Registered::New(account)) = backend.directory.register(&name, hash).await else {
            panic!("{name} is registered already");
        };
        // As a route does: new users begin with what the lobby says from now on.
        let lobby = backend.messages.heads(&[ConversationId::Lobby]).await;
        let lobby = lobby.expect("an embedded store answers");
        let begun = backend.messages.begin_at(account.user, &lobby).await;
        begun.expect("an embedded store answers");
        // Everybody knows all routes, and begins with another one.
        let urls = self.urls(self.actors.len());
        let actor = Actor::known(&self.history, &urls, (account.user, name));
        self.enter(actor)
    }

    /// Another device of somebody, not attached.
    pub(crate) fn device(&mut self, of: Who, device: &str) -> Who {
        let actor = self[of].on_device(device);
        self.enter(actor)
    }

    /// The same device of somebody in another program, not attached. It takes no part in the end:
    /// its place in the history is that of the other.
    pub(crate) fn rival(&mut self, of: Who) -> Who {
        let actor = self[of].rival();
        let who = self.enter(actor);
        self.gone.push(who);
        who
    }

    fn enter(&mut self, actor: Actor) -> Who {
        self.actors.push(actor);
        Who(self.actors.len() - 1)
    }

    /// Attaches them all at once.
    pub(crate) async fn attach(&mut self, who: &[Who]) {
        let wanted = self.select(who);
        let attached = join_all(wanted.map(async |actor| {
            let outcome = actor.attach().await;
            outcome.unwrap_or_else(|error| panic!("attach {}: {error}", actor.name()));
        }));
        attached.await;
    }

    /// Attaches one whose program is this runtime, and dies with it.
    pub(crate) async fn attach_in(&mut self, program: &Handle, who: Who) {
        let outcome = self[who].attach_in(program).await;
        outcome.unwrap_or_else(|error| panic!("attach {}: {error}", self[who].name()));
    }

    /// As [`World::attach`], where some may be displaced before they are there.
    pub(crate) async fn try_attach(&mut self, who: &[Who]) {
        join_all(self.select(who).map(Actor::attach)).await;
    }

    /// Closes them, then attaches them again.
    pub(crate) async fn attach_anew(&mut self, who: &[Who]) {
        self.close(who).await;
        self.attach(who).await;
    }

    /// Closes them all at once.
    pub(crate) async fn close(&mut self, who: &[Who]) {
        join_all(self.select(who).map(Actor::close)).await;
    }

    /// Their programs die.
    pub(crate) async fn abandon(&mut self, who: &[Who]) {
        for actor in self.select(who) {
            let state = (!actor.has_ended()).then(|| actor.state());
            actor.abandon();
            // Unlike a program, a task ends a moment later, and may handle one message more.
            if let Some(mut state) = state {
                state.wait_for(ConnectionState::is_final).await.ok();
                actor.abandon();
            }
        }
    }

    /// They will not be back, and nothing is asked of them.
    pub(crate) fn retire(&mut self, who: &[Who]) {
        self.select(who).for_each(Actor::retire);
        self.gone.extend(who);
    }

    fn select<'a>(&'a mut self, who: &'a [Who]) -> impl Iterator<Item = &'a mut Actor> {
        let all = self.actors.iter_mut().enumerate();
        all.filter(|(index, _)| who.contains(&Who(*index)))
            .map(|(_, actor)| actor)
    }

    /// Everybody who is to be there in the end.
    pub(crate) fn everybody(&self) -> Vec<Who> {
        let all = (0..self.actors.len()).map(Who);
        all.filter(|who| !self.gone.contains(who)).collect()
    }

    /// Everybody's ids, also of those who are gone.
    pub(crate) fn users(&self) -> Vec<UserId> {
        let mut users: Vec<UserId> = self.actors.iter().map(Actor::user).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// As an address.
    pub(crate) fn to(&self, who: Who) -> Recipient {
        Recipient::Name(self[who].name().clone())
    }
}
