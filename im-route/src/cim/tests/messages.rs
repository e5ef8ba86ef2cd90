//! Messages: to one user, to everybody.

use im_common::message::TEXT_BYTES_MAX;

use super::*;

#[tokio::test]
async fn a_private_message_is_stored_before_the_sender_is_told_that_nobody_is_there() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let (one, other) = (
        bench.register("zhangsan").await,
        bench.register("lisi").await,
    );
    let message = json!({ "userId": one, "receiveUserId": other, "msg": "hello;;world" });
    assert_eq!(
        code(&bench.post("/p2pRoute", message.clone()).await),
        OFFLINE
    );
    assert_eq!(bench.texts(&private(one, other)).await, ["hello;;world"]);
    bench.log_in(other, "lisi").await;
    bench.attach(other).await;
    assert_eq!(code(&bench.post("/p2pRoute", message).await), SUCCESS);
    let nobody = json!({ "userId": one, "receiveUserId": 4711, "msg": "hello" });
    assert_eq!(code(&bench.post("/p2pRoute", nobody).await), UNKNOWN);
    let fetch = json!({ "receiveUserId": other });
    assert_eq!(code(&bench.post("/fetchOfflineMsgs", fetch).await), SUCCESS);
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_nothing_of_a_bad_one_is_stored() {
    let bench = Bench::new(None).await;
    let (one, other) = (
        bench.register("zhangsan").await,
        bench.register("lisi").await,
    );
    let batch = |texts: Value| {
        let (msg, path) = ("not this", "/p2pRoute");
        let body = json!({ "userId": one, "receiveUserId": other, "msg": msg, "batchMsg": texts });
        bench.post(path, body)
    };
    let many: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(code(&batch(json!(many)).await), OFFLINE);
    assert_eq!(bench.texts(&private(one, other)).await, many);
    let too_long = "x".repeat(TEXT_BYTES_MAX + 1);
    for bad in [
        json!(["a", null]),
        json!(["a", ""]),
        json!(["a", too_long]),
        json!(vec!["a"; 1001]),
    ] {
        assert_eq!(code(&batch(bad).await).0, "3000");
    }
    assert_eq!(bench.texts(&private(one, other)).await, many);
    assert_eq!(code(&batch(json!([])).await), OFFLINE);
    let texts = bench.texts(&private(one, other)).await;
    assert_eq!(texts.last().unwrap(), "not this");
}

#[tokio::test]
async fn everybody_hears_the_group() {
    let bench = Bench::new(None).await;
    let user = bench.register("zhangsan").await;
    let longest = "张".repeat(TEXT_BYTES_MAX / 3);
    for text in ["hello", longest.as_str()] {
        let answer = bench
            .post("/groupRoute", json!({ "userId": user, "msg": text }))
            .await;
        assert_eq!(code(&answer), SUCCESS);
        assert_eq!(answer["dataBody"], Value::Null);
    }
    assert_eq!(
        bench.texts(&ConversationId::Lobby).await,
        ["hello", &longest]
    );
    let unknown = json!({ "userId": 4711, "msg": "hi" });
    assert_eq!(code(&bench.post("/groupRoute", unknown).await), UNKNOWN);
    for wrong in [
        json!({ "userId": user }),
        json!({ "msg": "hi" }),
        json!({ "userId": user, "msg": "" }),
    ] {
        assert_eq!(code(&bench.post("/groupRoute", wrong).await).0, "3000");
    }
}
