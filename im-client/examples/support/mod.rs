//! What every example needs first: a route, and an account there.

use im_client::{Client, ClientBuilder, Code, Error};

const PASSWORD: &str = "correct horse battery";

/// The route that `IM_ROUTE` names, else that of a standalone on this machine (`cargo run`).
pub(crate) fn route() -> String {
    std::env::var("IM_ROUTE").unwrap_or_else(|_| "http://127.0.0.1:8083".to_owned())
}

/// Sets up a client of an account, which is registered unless it exists.
pub(crate) async fn account(route: &str, name: &str) -> Result<ClientBuilder, Error> {
    match im_client::register(&[route], name, PASSWORD).await {
        Err(error) if error.code() != Some(Code::NAME_TAKEN) => Err(error),
        _ => Ok(Client::builder().route(route).user(name).password(PASSWORD)),
    }
}
