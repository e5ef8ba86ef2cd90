//! The command `im` in scripts: settings, logins that are kept, languages, what it prints for
//! programs.

mod doctor;
mod generated;
mod logins;
mod schemas;
mod settings;

use im_tests::scene::Scene;
use std::time::Duration;

use im_tests::user::TestUser;
use serde_json::Value;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn tail_prints_the_conversations_and_senders_asked_for() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    let routes = scene.urls();
    let bob = TestUser::register(routes, "bob").await;
    let carol = TestUser::register(routes, "carol").await;
    // Each device begins here; what comes from now on waits for all of them.
    for device in ["a", "b", "c", "d"] {
        let args = ["tail", "nobody", "--device", device];
        let ended = scene.run("alice", &args).await;
        assert_eq!(ended.code(), Some(7), "{ended:?}");
    }
    for (user, to, text) in [
        (&bob, "lobby", "bob to all"),
        (&carol, "alice", "carol to alice"),
        (&bob, "alice", "bob to alice"),
        (&carol, "lobby", "carol to all"),
    ] {
        let to: im_client::Recipient = to.parse().expect("a recipient");
        user.client().send(to, text).await.expect("accepted");
    }
    for (device, filters, texts) in [
        ("a", &["bob"][..], &["bob to alice"][..]),
        (
            "b",
            &["lobby", "bob"],
            &["bob to alice", "bob to all", "carol to all"],
        ),
        (
            "c",
            &["--from", "carol"],
            &["carol to alice", "carol to all"],
        ),
        ("d", &["lobby", "--from", "CAROL"], &["carol to all"]),
    ] {
        let count = texts.len().to_string();
        let mut args = vec!["tail", "--json", "--device", device, "--count", &count];
        args.extend(filters);
        let ended = scene.run("alice", &args).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let mut printed: Vec<String> = ended.stdout.iter().map(|line| text_of(line)).collect();
        // Between two conversations there is no order.
        printed.sort();
        assert_eq!(printed, texts, "{filters:?}");
    }
}

fn text_of(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["text"].as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_bounds_connecting_too() {
    let scene = Scene::set().await;
    // It takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let route = format!("http://{}", silent.local_addr().expect("an address"));
    let begun = Instant::now();
    let args = ["--route", &route, "--timeout", "1", "send", "lobby", "hi"];
    let ended = scene.run("alice", &args).await;
    assert!(matches!(ended.code(), Some(3 | 8)), "{ended:?}");
    // Without the option it would have been ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(9), "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_chinese_where_the_reader_does() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    let help = scene.bare(&["--help"], &[("LC_ALL", "zh_CN.UTF-8")]).await;
    let help = help.ended().await.stdout.join("\n");
    assert!(help.contains("示例：") && !help.contains("Usage"), "{help}");
    let wrong = [("IM_LANGUAGE", "zh-CN")];
    for (args, told) in [
        (&["--rout", "x"][..], "这里没有选项 --rout"),
        (&["sned"], "没有命令 sned"),
        (&["send", "bob"], "缺少：<TEXT>"),
        (&["--user"], "--user <NAME> 需要一个值"),
        (&["--colour", "blue"], "不能是“blue”"),
        (&["--timeout", "0"], "不能是“0”"),
    ] {
        let ended = scene.bare(args, &wrong).await.ended().await;
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        let is_english = ["Usage", "error", "possible", "For more"];
        let is_english = is_english.iter().any(|word| ended.stderr.contains(word));
        assert!(ended.stderr.contains(told) && !is_english, "{ended:?}");
    }
    let args = ["send", "nobody", "hi", "--language", "zh-CN"];
    let ended = scene.run("alice", &args).await;
    assert!(ended.stderr.contains("没有这个用户"), "{ended:?}");
    std::fs::create_dir(scene.home.file("im")).ok();
    std::fs::write(scene.home.file("im/config.toml"), "language = \"zh-CN\"\n").expect("written");
    let help = scene.bare(&["send", "--help"], &[]).await.ended().await;
    assert!(help.stdout.join("\n").contains("用法："), "{help:?}");
}
