//! The form of answers, also to what is no request.

use im_common::transport::OnlineUser;

use super::*;

#[tokio::test]
async fn a_name_keeps_its_id_and_answers_are_as_cim_writes_them() {
    let bench = Bench::new(None).await;
    let request = Request::post("/registerAccount")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"userName":"zhangsan","reqNo":"1","x":[]}"#))
        .unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = to_bytes(response.into_body(), 1024).await.unwrap();
    let id = bench.register("zhangsan").await;
    let expected = format!(
        r#"{{"code":"9000","message":"Success","reqNo":null,"dataBody":{{"userId":{id},"userName":"zhangsan"}}}}"#
    );
    assert_eq!(body, expected.as_bytes());
    assert_ne!(bench.register("lisi").await, id);
}

#[tokio::test]
async fn who_is_online_comes_in_one_answer_and_nobody_is_null() {
    let bench = Bench::new(None).await;
    let ask = || bench.ask("GET", "/onlineUser", "", "");
    let (status, answer) = ask().await;
    assert_eq!((status, &answer["dataBody"]), (200, &Value::Null));
    let user = |number: u64| {
        let name = UserName::new(&format!("u{number:05}")).unwrap();
        OnlineUser {
            folded: name.folded(),
            user: UserId::new(number).unwrap(),
            name,
        }
    };
    *bench.server.online.lock() = (1..=2500).map(user).collect();
    let (_, answer) = ask().await;
    let users = answer["dataBody"].as_array().unwrap();
    assert_eq!(users.len(), 2500);
    assert_eq!(users[0], json!({ "userId": 1, "userName": "u00001" }));
}

#[tokio::test]
async fn what_is_no_request_of_cim_gets_the_error_of_its_framework() {
    let bench = Bench::new(None).await;
    let json = "application/json";
    for (method, path, kind, body, expected, error) in [
        ("POST", "/login", json, "{", 400, "Bad Request"),
        (
            "POST",
            "/login",
            json,
            r#"{"userId":"x"}"#,
            400,
            "Bad Request",
        ),
        ("POST", "/login", json, "[]", 400, "Bad Request"),
        ("GET", "/login", json, "", 405, "Method Not Allowed"),
        ("POST", "/onlineUser", json, "{}", 405, "Method Not Allowed"),
        (
            "POST",
            "/login",
            "text/plain",
            "{}",
            415,
            "Unsupported Media Type",
        ),
        ("POST", "/nothing", json, "{}", 404, "Not Found"),
    ] {
        let (status, answer) = bench.ask(method, path, kind, body).await;
        assert_eq!(status, expected, "{method} {path} {answer}");
        let fault = answer.as_object().unwrap();
        assert_eq!(fault.len(), 4);
        assert_eq!(
            (&answer["status"], &answer["error"]),
            (&expected.into(), &error.into())
        );
        assert_eq!(answer["path"], path);
        assert!(fault["timestamp"].as_str().unwrap().ends_with("+00:00"));
    }
}
