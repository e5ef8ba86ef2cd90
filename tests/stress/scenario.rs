//! What a scenario is.

use futures::future::LocalBoxFuture;
use im_server::ServerConfig;

use crate::world::World;

/// One row of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What happens, in a line.
    pub(crate) about: &'static str,
    pub(crate) shape: Shape,
    pub(crate) run: for<'a> fn(&'a mut World) -> LocalBoxFuture<'a, ()>,
}

/// The cluster a scenario begins with.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) routes: usize,
    pub(crate) servers: usize,
    /// What stands between the clients and each server.
    pub(crate) between: Between,
    pub(crate) server: fn() -> ServerConfig,
    pub(crate) route: fn() -> im_route::RouteConfig,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    Relays,
}

/// The smallest cluster.
pub(crate) const ONE: Shape = Shape {
    routes: 1,
    servers: 1,
    between: Between::Nothing,
    server: ServerConfig::for_tests,
    route: im_route::RouteConfig::for_tests,
};

/// Everything twice.
pub(crate) const PAIR: Shape = Shape {
    routes: 2,
    servers: 2,
    ..ONE
};

/// Three servers, so that two are left when one goes.
pub(crate) const TRIO: Shape = Shape { servers: 3, ..PAIR };

/// Everything twice, and a relay before each server.
pub(crate) const RELAYED: Shape = Shape {
    between: Between::Relays,
    ..PAIR
};

/// Writes a row: where it runs, the function, what happens.
macro_rules! scenario {
    ($shape:expr, $run:ident, $about:literal) => {
        $crate::scenario::Scenario {
            name: stringify!($run),
            about: $about,
            shape: $shape,
            run: |world| Box::pin($run(world)),
        }
    };
}

pub(crate) use scenario;
