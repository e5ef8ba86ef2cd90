//! `World`: the cluster of one scenario, everybody in it, and what can be done to them.

mod people;
mod waiting;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Index, IndexMut};

use im_common::backend::registry::ServerInfo;
use im_common::message::Recipient;
use im_server::ServerConfig;
use im_tests::cluster::TestCluster;
use im_tests::dice::Dice;
use im_tests::history::{Actor, History};
use im_tests::injected::Injected;
use im_tests::proxy::Proxy;

use crate::scenario::{Between, Shape};

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
}
