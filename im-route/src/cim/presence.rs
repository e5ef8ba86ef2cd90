//! Who is online, in one answer, as CIM's clients expect it.

use axum::extract::State;
use im_common::transport::OnlineQuery;

use super::account::User;
use super::envelope::{Answer, Success};
use crate::http::App;
use crate::presence::PAGE_USERS_MAX;

/// Users in one answer: about a megabyte. Others are not listed.
const USERS_MAX: usize = 20_000;

/// Lists everybody, by name; nothing at all when nobody is there.
pub(super) async fn online(State(app): State<App>) -> Answer<Vec<User>> {
    let mut users = Vec::new();
    let mut after = Some(String::new());
    while let Some(start) = after.filter(|_| users.len() < USERS_MAX) {
        let query = OnlineQuery {
            after: start,
            limit: PAGE_USERS_MAX,
            ..OnlineQuery::default()
        };
        let page = app.presence.online(&query).await;
        users.extend(page.users.into_iter().map(|user| User {
            user_id: user.user.number(),
            user_name: user.name.to_string(),
        }));
        after = page.next;
    }
    Ok(Success((!users.is_empty()).then_some(users)))
}
