//! CIM's own ports. Its clients are configured with that of the route, and are told the others.

/// What a server has.
#[derive(Debug, Clone, Copy)]
pub struct ServerPorts {
    /// For clients.
    pub clients: u16,
    /// Its HTTP.
    pub http: u16,
}

/// The route's HTTP.
pub const ROUTE: u16 = 8083;
/// Servers on one machine count up; a third one would meet the route.
pub const SERVERS: [ServerPorts; 2] = [
    ServerPorts {
        clients: 11_211,
        http: 8081,
    },
    ServerPorts {
        clients: 11_212,
        http: 8082,
    },
];

/// Every one of them.
pub fn all() -> impl Iterator<Item = u16> {
    let of_servers = SERVERS.iter().flat_map(|ports| [ports.clients, ports.http]);
    [ROUTE].into_iter().chain(of_servers)
}
