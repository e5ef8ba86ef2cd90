//! Accounts, and who may log in.

use super::*;

#[tokio::test]
async fn names_that_cannot_be_or_belong_to_others_are_refused() {
    let bench = Bench::new(None).await;
    bench.register("Zhang").await;
    bench.register_native("alice").await;
    for name in [
        "login-status!",
        "a b",
        "",
        "12345",
        "zhang",
        "alice",
        "Alice",
    ] {
        let answer = bench
            .post("/registerAccount", json!({ "userName": name }))
            .await;
        let (code, message) = code(&answer);
        assert_eq!(code, "3000", "{name}");
        assert!(message.starts_with("invalid argument: "), "{message}");
        assert_eq!(answer["dataBody"], Value::Null);
    }
    let nothing = bench.post("/registerAccount", json!({})).await;
    assert_eq!(code(&nothing).0, "3000");
}

#[tokio::test]
async fn a_login_tells_where_to_connect() {
    let bench = Bench::new(Some("[::1]:11211")).await;
    let user = bench.register("zhangsan").await;
    let answer = bench.log_in(user, "zhangsan").await;
    assert_eq!(code(&answer), SUCCESS);
    let address = json!({ "ip": "::1", "cimServerPort": 11211, "httpPort": 8081 });
    assert_eq!(answer["dataBody"], address);
    let quoted = json!({ "userId": user.to_string(), "userName": "zhangsan" });
    assert_eq!(code(&bench.post("/login", quoted).await), SUCCESS);
}

#[tokio::test]
async fn who_is_not_who_they_say_or_has_a_password_does_not_get_in() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    let alice = bench.register_native("alice").await;
    // The same device name, but logged in with a password.
    let device = device();
    bench
        .backend
        .directory
        .log_in(alice, &device, [0; 32])
        .await
        .unwrap();
    assert!(bench.route.uplink().login(alice, &device).await.is_err());
    for (user, name) in [
        (user, "lisi"),
        (user, "Zhangsan"),
        (user, "not a name"),
        (user + 1000, "zhangsan"),
        (0, "zhangsan"),
        (u64::MAX >> 1, "zhangsan"),
        (alice.number(), "alice"),
    ] {
        assert_eq!(
            code(&bench.log_in(user, name).await),
            UNKNOWN,
            "{user} {name}"
        );
    }
    for path in ["/groupRoute", "/p2pRoute"] {
        let body = json!({ "userId": alice.number(), "receiveUserId": user, "msg": "hi" });
        assert_eq!(code(&bench.post(path, body).await), UNKNOWN);
    }
    assert_eq!(bench.texts(&ConversationId::Lobby).await, [""; 0]);
}

#[tokio::test]
async fn without_a_server_nobody_is_logged_in() {
    let bench = Bench::new(None).await;
    let user = bench.register("zhangsan").await;
    let none = (
        "7100",
        "cim server is not available, please try again later!",
    );
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), none);
    let device = device();
    let user = UserId::new(user).unwrap();
    assert!(bench.route.uplink().login(user, &device).await.is_err());
}

#[tokio::test]
async fn a_second_login_is_refused_while_the_first_lives_and_never_for_a_ghost() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    // The client could not connect.
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    bench.attach(user).await;
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), REPEAT);
    // The server that holds the session knows nothing of it any more.
    bench.server.holds.store(false, Ordering::Relaxed);
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
}

#[tokio::test]
async fn who_goes_off_line_can_log_in_at_once_and_a_late_goodbye_ends_nothing_newer() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    bench.log_in(user, "zhangsan").await;
    let old = bench.attach(user).await;
    let bye = json!({ "userId": user, "msg": "offLine" });
    let answer = bench.post("/offLine", bye.clone()).await;
    assert_eq!(code(&answer), SUCCESS);
    assert_eq!(answer["dataBody"], Value::Null);
    assert_eq!(*bench.server.kicked.lock(), std::slice::from_ref(&old));
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    let new = bench.attach(user).await;
    bench.route.uplink().detach(&old).await.unwrap();
    let held = bench.backend.sessions.locate(&[new.user]).await.unwrap();
    assert_eq!(held, [new]);
    for nobody in [json!({ "userId": 4711 }), json!({}), json!({ "userId": 0 })] {
        assert_eq!(code(&bench.post("/offLine", nobody).await), SUCCESS);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_keeps_nobody_from_going_off_line() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    bench.log_in(user, "zhangsan").await;
    bench.attach(user).await;
    bench.server.may_kick.forget_permits(1);
    let bye = bench.post("/offLine", json!({ "userId": user })).await;
    assert_eq!(code(&bye), SUCCESS);
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    bench.server.may_kick.add_permits(1);
}
