//! Coming back with the token of an earlier login.

use super::*;
use crate::Token;

fn with_token(route: &Route) -> ClientBuilder {
    let token = Token::new("token 1");
    Client::builder().route(&route.address).token(token)
}

#[tokio::test]
async fn a_token_takes_the_place_of_the_password() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let token = builder(&route).log_in().await.unwrap();
    assert_eq!(token.as_str(), "token 1");
    let again = Client::builder().route(&route.address).token(token);
    let (client, (_peer, hello)) = tokio::join!(again.connect(), server.attach());
    let client = client.unwrap();
    assert_eq!(client.identity().name.as_str(), "alice");
    assert_eq!(client.identity().device.as_str(), "here");
    assert_eq!(client.token().as_str(), "token 1");
    assert!(hello.attempt > 1000, "an earlier program made some");
    assert_eq!(hello.ticket, "ticket 2");
    assert_eq!(route.calls(), ["/v1/login", "/v1/ticket"]);
}

#[tokio::test]
async fn a_token_whose_login_has_ended_says_so() {
    let route = Route::start(&[]).await;
    for code in [Code::LOGGED_OUT, Code::UNAUTHENTICATED] {
        route.refuse("/v1/ticket", code);
        let error = with_token(&route).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.code(), Some(code));
        assert!(!error.is_retryable());
    }
    assert_eq!(route.calls(), ["/v1/ticket", "/v1/ticket"]);
}

#[tokio::test]
async fn a_client_with_a_token_ends_with_its_login() {
    let server = Server::start("s1").await;
    let route = Route::start(&[&server]).await;
    let (client, mut peer) = attached(with_token(&route), &server).await;
    route.refuse("/v1/ticket", Code::UNAUTHENTICATED);
    peer.say(wire::Close::new(Code::TICKET_EXPIRED, 0)).await;
    let refused = ConnectionState::Refused(Code::UNAUTHENTICATED);
    assert_eq!(client.ended().await, refused);
    assert_eq!(route.calls(), ["/v1/ticket", "/v1/ticket"]);
}

#[tokio::test]
async fn a_token_of_another_login_is_not_used() {
    let route = Route::start(&[]).await;
    for (wrong, word) in [
        (with_token(&route).user("bob"), "bob"),
        (with_token(&route).device("there"), "there"),
        (with_token(&route).password("secret"), "password"),
    ] {
        let error = wrong.log_in().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
    let right = with_token(&route).user("Alice").device("here");
    right.log_in().await.unwrap();
}

#[tokio::test]
async fn a_login_ends_without_a_connection() {
    let route = Route::start(&[]).await;
    with_token(&route).log_out().await.unwrap();
    assert_eq!(route.calls(), ["/v1/logout"]);
    route.refuse("/v1/logout", Code::UNAUTHENTICATED);
    let error = with_token(&route).log_out().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let error = builder(&route).log_out().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
