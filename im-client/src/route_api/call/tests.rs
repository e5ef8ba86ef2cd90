use super::*;
use im_common::api::User;
use im_common::tasks::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A route that answers every call in the same way and reports the head of each request.
async fn route(status: &str, body: &str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let length = body.len();
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let (heads, receiver) = mpsc::channel(16);
    Tasks::new().spawn("route", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).await.unwrap();
            let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
            heads.send(head).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, receiver)
}

/// An address where nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

const ALICE: &str = r#"{"user_id":7,"name":"alice","new_field":true}"#;

#[tokio::test]
async fn the_next_route_is_asked_and_remembered() {
    let (good, mut heads) = route("200 OK", ALICE).await;
    let routes = Routes::new(&[nowhere().await, good]).unwrap();
    let call = Call::new(Method::GET, &["v1", "users", "a/b ?"])
        .token("secret")
        .query("limit", Some(3));
    let user: User = routes.answer(&call).await.unwrap();
    assert_eq!(user.user_id, 7);
    let head = heads.recv().await.unwrap();
    assert!(
        head.starts_with("GET /v1/users/a%2Fb%20%3F?limit=3 HTTP/1.1"),
        "{head}"
    );
    assert!(head.contains("authorization: Bearer secret"), "{head}");
    assert_eq!(routes.preferred.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_refusal_is_final_and_carries_its_code() {
    let body = r#"{"code":4015,"error":"wrong_password","message":"no","retryable":false}"#;
    let (first, _heads) = route("401 Unauthorized", body).await;
    let (second, mut untouched) = route("200 OK", ALICE).await;
    let routes = Routes::new(&[first, second]).unwrap();
    let call = Call::new(Method::GET, &["v1", "users", "x"]);
    let error = routes.answer::<User>(&call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused(Code::WRONG_PASSWORD));
    assert!(untouched.try_recv().is_err());
}

#[tokio::test]
async fn a_route_in_trouble_is_passed_over() {
    let busy = r#"{"code":1002,"error":"overloaded","message":"later","retryable":true}"#;
    let (first, _first_heads) = route("503 Service Unavailable", busy).await;
    let (second, _second_heads) = route("502 Bad Gateway", "<html>").await;
    let (third, _third_heads) = route("200 OK", ALICE).await;
    let call = Call::new(Method::GET, &["v1", "users", "x"]);
    let routes = Routes::new(&[&first, &second, &third]).unwrap();
    assert!(routes.answer::<User>(&call).await.is_ok());
    let routes = Routes::new(&[&second, &first]).unwrap();
    let error = routes.answer::<User>(&call).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::OVERLOADED));
    assert!(error.is_retryable());
}

#[tokio::test]
async fn what_is_no_route_is_told_apart() {
    let (page, _heads) = route("404 Not Found", "<html>").await;
    let call = Call::new(Method::GET, &["v1", "users", "x"]);
    let routes = Routes::new(&[page]).unwrap();
    let error = routes.answer::<User>(&call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let routes = Routes::new(&[nowhere().await]).unwrap();
    let error = routes.answer::<User>(&call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    for wrong in ["", "ftp://x", "https://x", "http://", "a b"] {
        let error = Routes::new(&[wrong]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong:?}");
    }
    assert!(Routes::new::<&str>(&[]).is_err());
}
