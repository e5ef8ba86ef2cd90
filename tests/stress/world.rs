//! `World`: the cluster of one scenario, everybody in it, and what can be done to them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Index, IndexMut};
use std::time::Duration;

use futures::future::join_all;
use im_client::ConnectionState;
use im_common::backend::directory::Registered;
use im_common::backend::registry::ServerInfo;
use im_common::id::{ConversationId, UserId};
use im_common::message::Recipient;
use im_common::name::UserName;
use im_common::secret::Secret;
use im_server::ServerConfig;
use im_tests::PATIENCE;
use im_tests::cluster::TestCluster;
use im_tests::dice::Dice;
use im_tests::history::{Actor, History};
use im_tests::injected::Injected;
use im_tests::proxy::Proxy;
use tokio::runtime::Handle;
use tokio::time::{interval, timeout};

use crate::patience;
use crate::scenario::{Between, Shape};

/// `im_tests::user::PASSWORD` with the least that Argon2 can do, so that hundreds log in within a
/// second; the real cost has tests of its own.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$StPauzMV++mP080aXhm9PA$wYucziVJeGVgsYxX9lqkCmbok0akMJcOBXvmeKOV4/w";

/// Where proxies lead until what is behind them has an address.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// One device of somebody in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who(usize);

/// Everything of one scenario.
pub(crate) struct World {
    pub(crate) cluster: TestCluster,
    pub(crate) history: History,
    /// The only source of chance in a scenario.
    pub(crate) dice: Dice,
    pub(crate) injected: Injected,
    /// As the servers, when the shape has them.
    pub(crate) relays: Vec<Proxy>,
    /// Addresses of routes that stay, whichever routes come and go.
    doors: Vec<Proxy>,
    actors: Vec<Actor>,
    /// Those who will not be back.
    gone: Vec<Who>,
    /// Servers that crashed and are still in the registry.
    ghosts: Vec<ServerInfo>,
    shape: Shape,
}

impl Index<Who> for World {
    type Output = Actor;

    fn index(&self, who: Who) -> &Actor {
        &self.actors[who.0]
    }
}

impl IndexMut<Who> for World {
    fn index_mut(&mut self, who: Who) -> &mut Actor {
        &mut self.actors[who.0]
    }
}

impl World {
    /// A cluster of that shape, with nobody in it.
    pub(crate) async fn begin(shape: Shape, seed: u64) -> Self {
        let injected = Injected::new(seed);
        let mut world = Self {
            cluster: TestCluster::with_faults(&injected).await,
            history: History::new(seed),
            dice: Dice::new(seed),
            injected,
            relays: Vec::new(),
            doors: Vec::new(),
            actors: Vec::new(),
            gone: Vec::new(),
            ghosts: Vec::new(),
            shape,
        };
        for _ in 0..shape.routes {
            world.doors.push(Proxy::start(NOWHERE).await);
            world.add_route().await;
        }
        for _ in 0..shape.servers {
            world.add_server().await;
        }
        world
    }

    /// One more route of the shape's kind.
    pub(crate) async fn add_route(&mut self) {
        self.cluster.add_route((self.shape.route)()).await;
        self.open_doors();
    }

    /// Ends a route without a word.
    pub(crate) async fn crash_route(&mut self) {
        self.fault("a route crashes");
        self.cluster.crash_route(0).await;
        self.open_doors();
    }

    /// Stops a route as an operator would.
    pub(crate) async fn stop_route(&mut self) {
        self.fault("a route stops");
        self.cluster.stop_route(0).await;
        self.open_doors();
    }

    fn open_doors(&self) {
        let routes = self.cluster.routes();
        for (index, door) in self.doors.iter().enumerate() {
            door.cut();
            if routes.is_empty() {
                door.refuse();
            } else {
                let url = &routes[index % routes.len()].url;
                let address = url.trim_start_matches("http://").parse();
                door.retarget(address.expect("an address and a port"));
                door.heal();
            }
        }
    }

    /// The routes' lasting addresses, another one first each time.
    fn urls(&self, turn: usize) -> Vec<String> {
        let url = |door: &Proxy| format!("http://{}", door.address());
        let mut urls: Vec<String> = self.doors.iter().map(url).collect();
        let count = urls.len();
        urls.rotate_left(turn % count);
        urls
    }

    /// One more server of the shape's kind.
    pub(crate) async fn add_server(&mut self) -> ServerInfo {
        self.add_server_with((self.shape.server)()).await
    }

    /// One more server.
    pub(crate) async fn add_server_with(&mut self, mut config: ServerConfig) -> ServerInfo {
        if self.shape.between == Between::Nothing {
            return self.cluster.add_server(config).await;
        }
        let relay = Proxy::start(NOWHERE).await;
        config.advertise = Some(relay.address().to_string());
        let info = self.cluster.add_server(config).await;
        let server = self.cluster.servers().last().expect("just added");
        relay.retarget(server.client_address);
        self.relays.push(relay);
        info
    }

    /// Notes what is done, for whoever reads the history.
    pub(crate) fn fault(&self, what: &str) {
        self.history.fault(what);
    }

    /// Ends a server without a word; its entry stays until the scenario is over, or
    /// [`World::end_leases`].
    pub(crate) fn crash_server(&mut self, index: usize) {
        self.fault("a server crashes");
        let ghost = self.cluster.crash_server(index);
        self.ghosts.push(ghost);
        if index < self.relays.len() {
            self.relays.remove(index).cut();
        }
    }

    /// Stops a server as an operator would.
    pub(crate) async fn drain_server(&mut self, index: usize) {
        self.fault("a server drains");
        self.cluster.drain_server(index).await;
        if index < self.relays.len() {
            self.relays.remove(index).cut();
        }
    }

    /// The registry drops those that crashed.
    pub(crate) async fn end_leases(&mut self) {
        for ghost in std::mem::take(&mut self.ghosts) {
            self.cluster.end_lease(&ghost).await;
        }
    }

    /// Ends everything, and says what does not end by itself.
    pub(crate) async fn end(mut self) -> Vec<String> {
        let everybody = self.everybody();
        self.close(&everybody).await;
        drop(self.actors);
        self.cluster.stop().await
    }

    /// Ends every connection of a client to a server, without a word.
    pub(crate) fn cut_relays(&self) {
        for relay in &self.relays {
            relay.cut();
        }
    }

    /// Nothing more goes wrong.
    pub(crate) async fn heal(&mut self) {
        self.injected.heal();
        for relay in &self.relays {
            relay.heal();
        }
        self.end_leases().await;
    }

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

    /// Each of them sends so many messages to any of the others, one in four to the lobby. Does
    /// not wait.
    pub(crate) fn chatter(&mut self, who: &[Who], each: usize) {
        for _ in 0..each {
            for from in who {
                let peer = *self.dice.pick(who);
                let to = match self.dice.below(4) {
                    0 => Recipient::Lobby,
                    _ => self.to(peer),
                };
                self[*from].send(to);
            }
        }
    }

    /// Waits until every send has ended and everybody has everything.
    pub(crate) async fn settle(&self) {
        if !self.history.settle(patience::of(PATIENCE)).await {
            panic!("not settled in time: {}", self.history.verdict());
        }
    }

    /// Waits until a device's acks are with the store: nothing that it handled comes again,
    /// whatever becomes of it.
    pub(crate) async fn acked(&self, who: Who) {
        let messages = self.cluster.backend().await.messages;
        let (user, device) = (self[who].user(), self[who].device());
        let level = async || {
            let mut logs = messages.conversations(user).await.ok()?;
            logs.push(ConversationId::Lobby);
            let heads = messages.heads(&logs).await.ok()?;
            let positions = messages.begin(user, device).await.ok()?;
            let mut begun = heads.iter().filter(|head| head.sequence.0 > 0);
            Some(begun.all(|head| positions.contains(head)))
        };
        let mut look = interval(Duration::from_millis(20));
        let acked = async {
            while level().await != Some(true) {
                look.tick().await;
            }
        };
        if timeout(patience::of(PATIENCE), acked).await.is_err() {
            panic!("waited in vain until {} has acked", self[who].name());
        }
    }

    /// Waits until they are all attached.
    pub(crate) async fn all_attached(&self, who: &[Who]) {
        self.until("all are attached", || {
            who.iter().all(|who| self[*who].is_attached())
        })
        .await;
    }

    /// Waits until the cluster has accepted so many sends.
    pub(crate) async fn accepted(&self, count: u64) {
        self.until("enough is accepted", || self.history.accepted() >= count)
            .await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let mut look = interval(Duration::from_millis(5));
        let held = async {
            while !holds() {
                look.tick().await;
            }
        };
        if timeout(patience::of(PATIENCE), held).await.is_err() {
            panic!("waited in vain until {what}");
        }
    }
}
