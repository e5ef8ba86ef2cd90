//! The entrance for clients of CIM: its frames on one side, this server's own parts on the other.
//!
//! A CIM client is a device like any other, with a session, a place in the table and positions in
//! the logs. What its protocol lacks is done here on its behalf: it shows no ticket, so the route is
//! asked whether it is logged in; it asks for nothing, so the [`reader`] fetches what it missed; it
//! acks nothing, so [`unconfirmed`] decides what counts as received.

mod config;
mod connection;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod login;
mod questions;
mod reader;
#[cfg(test)]
mod tests;
mod unconfirmed;

use std::net::IpAddr;
use std::sync::Arc;

use im_common::network::Network;
use im_common::tasks::Tasks;
use tokio::net::{TcpListener, TcpStream};

pub use self::config::CimConfig;
use self::connection::serve;
use crate::connection::Context;

/// Says what an operator must know who opens this entrance.
pub(crate) fn warn(config: &CimConfig, listener: &TcpListener) {
    let address = listener.local_addr().ok();
    tracing::warn!(
        address = address.map(tracing::field::display),
        networks = config.allow.networks.len(),
        "CIM's protocol has no authentication: whoever reaches this port when a user without a \
         password has logged in can be that user; users with a password are not concerned"
    );
}

/// Serves clients of CIM that come from where they may. Its protocol cannot say why a client is
/// turned away: the connection just ends.
pub(crate) fn entrance(
    config: CimConfig,
    context: Arc<Context>,
    clients: Tasks,
) -> impl Fn(TcpStream, IpAddr) {
    move |socket, peer| {
        if !Network::admit(&config.allow.networks, peer) {
            tracing::debug!(%peer, "not from an allowed network");
            return;
        }
        let Some(permit) = context.connections.admit() else {
            return;
        };
        let (context, silence) = (Arc::clone(&context), config.silence);
        clients.spawn("cim connection", async move {
            serve(socket, context, silence).await;
            drop(permit);
        });
    }
}
