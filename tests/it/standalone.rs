//! The standalone binary as a process: start, stop, kill -9, restart.

use im_common::message::Recipient;
use im_tests::process::Process;
use im_tests::standalone::Standalone;
use im_tests::user::{TestUser, accepted};
use tempfile::TempDir;

async fn start(folder: &TempDir) -> (Process, String) {
    let data_dir = format!("--data-dir={}", folder.path().display());
    let standalone = Standalone::start(&[&data_dir]).await;
    let url = standalone.url();
    (standalone.process, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_loses_nothing_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (process, url) = start(&folder).await;
    let alice = TestUser::register(std::slice::from_ref(&url), "alice").await;
    let mut bob = TestUser::register(&[url], "bob").await;
    bob.disconnect().await;
    let mut sent = Vec::new();
    for number in 0..300 {
        sent.push(alice.client().send(bob.address(), number.to_string()));
    }
    // All but the last hundred are accepted for certain; of those, some may be.
    let tail = sent.split_off(200);
    futures::future::join_all(sent.into_iter().map(accepted)).await;
    process.signal("KILL").await;
    drop(tail);
    process.ended().await;

    let (process, url) = start(&folder).await;
    let mut bob = TestUser::offline(&[url], "bob");
    bob.reconnect().await;
    let seen = bob.expect_count(200).await;
    assert!(
        seen.iter()
            .enumerate()
            .all(|(number, message)| message.text == number.to_string())
    );
    bob.check_order();
    process.signal("TERM").await;
    let ended = process.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_ride_out_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = format!("--data-dir={}", folder.path().display());
    let (process, url) = start(&folder).await;
    let address = url.trim_start_matches("http://").to_owned();
    let alice = TestUser::register(std::slice::from_ref(&url), "alice").await;
    let bob = TestUser::register(&[url], "bob").await;
    alice.send(&bob, "before").await;
    process.signal("KILL").await;
    process.ended().await;
    let while_away = alice.client().send(bob.address(), "while away");
    let route_listen = format!("--route-listen={address}");
    let args = [
        "--headless",
        &data_dir,
        &route_listen,
        "--server-listen=127.0.0.1:0",
    ];
    let mut process = Process::start("im-standalone", &args).await;
    process.ready().await;
    accepted(while_away).await;
    bob.expect("while away").await;
    bob.check_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_bot_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_process, url) = start(&folder).await;
    let alice = TestUser::register(&[url], "alice").await;
    let echo: Recipient = "echo".parse().expect("a name");
    accepted(alice.client().send(echo, "anybody there?")).await;
    assert_eq!(
        alice.expect("anybody there?").await.sender_name.as_str(),
        "echo"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_folder_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_first, _) = start(&folder).await;
    let data_dir = format!("--data-dir={}", folder.path().display());
    let args = [
        "--headless",
        &data_dir,
        "--route-listen=127.0.0.1:0",
        "--server-listen=127.0.0.1:0",
    ];
    let ended = Process::start("im-standalone", &args).await.ended().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("another process") || ended.stderr.contains("in use"),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_names_the_flag_that_helps() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("--route-listen={}", taken.local_addr().expect("an address"));
    let args = [
        "--headless",
        "--ephemeral",
        &listen,
        "--server-listen=127.0.0.1:0",
    ];
    let ended = Process::start("im-standalone", &args).await.ended().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--route-listen"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_keeps_nobody_from_stopping() {
    use tokio::io::AsyncWriteExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (process, url) = start(&folder).await;
    let address = url.trim_start_matches("http://");
    let mut stuck = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    stuck
        .write_all(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        .await
        .expect("written");
    process.signal("TERM").await;
    let ended = process.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}
