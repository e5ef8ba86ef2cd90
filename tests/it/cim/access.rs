//! Who is let in at all, and what an operator sees and sets.

use im_common::cim::Allowed;
use im_route::RouteConfig;
use im_server::ServerConfig;
use im_tests::cim::{CimSocket, NoReply, code};
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::process::Process;

use super::friend::{Friend, attach, placed};

/// As an operator gives it.
const FAR_AWAY: &str = "192.0.2.0/24";

fn open_route() -> RouteConfig {
    let mut config = RouteConfig::for_tests();
    config.cim.listen = Some("127.0.0.1:0".parse().expect("an address"));
    config
}

fn open_server() -> ServerConfig {
    let mut config = ServerConfig::for_tests();
    config.cim.listen = Some("127.0.0.1:0".parse().expect("an address"));
    config
}

fn status<T>(reply: Result<T, NoReply>) -> u16 {
    match reply {
        Err(NoReply::Status(status, _)) => status.as_u16(),
        Err(NoReply::Lost(error)) => panic!("{error}"),
        Ok(_) => 200,
    }
}

/// As it comes, nobody speaks CIM here.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_nothing_is_there() {
    let cluster = TestCluster::embedded().await;
    assert_eq!(cluster.routes()[0].cim, None);
    let http = Http::anonymous(&cluster.urls(0)[0]);
    let (status, _) = http
        .post("/registerAccount", serde_json::json!({"userName": "alice"}))
        .await;
    assert_eq!(status, 404);
}

/// A shared secret, where one is required, is required for everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_can_be_required() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, "open sesame\n").expect("a file");
    let mut config = open_route();
    config.cim.secret_file = Some(file);
    let mut cluster = TestCluster::embedded_with(0, 0).await;
    cluster.add_route(config).await;
    cluster.add_cim_server().await;
    let stranger = cluster.cim();
    let wrong = cluster.cim().with_header("authorization", "Bearer guess");
    for route in [&stranger, &wrong] {
        assert_eq!(status(route.register("alice").await), 401);
        assert_eq!(status(route.off_line(1).await), 401);
        assert_eq!(status(route.online().await), 401);
        assert_eq!(status(route.say(1, "x").await), 401);
    }
    let route = cluster.cim();
    let route = route.with_header("authorization", "Bearer open sesame");
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    alice.tell(&bob, "hello").await;
    bob.hears("hello", alice.account()).await;
}

/// Networks that are not allowed reach neither the route nor a server.
#[tokio::test(flavor = "multi_thread")]
async fn networks_can_be_kept_out() {
    let far_away = || Allowed {
        networks: vec![FAR_AWAY.parse().expect("a network")],
    };
    let mut config = open_route();
    config.cim.allow = far_away();
    let mut cluster = TestCluster::embedded_with(0, 0).await;
    cluster.add_route(config).await;
    assert_eq!(status(cluster.cim().register("alice").await), 403);

    cluster.add_cim_route().await;
    let mut config = open_server();
    config.cim.allow = far_away();
    cluster.add_server(config).await;
    let route = cluster.cim();
    let alice = route.account("alice").await;
    let placed = placed(&route, &alice).await;
    if let Ok(socket) = CimSocket::log_in(&placed, &alice).await {
        socket.expect_end().await;
    }
    let login = route.log_in(&alice).await.expect("an answer");
    login.assert_code(code::SUCCESS);
}

/// Clients are told the address that the operator says, also one of IPv6.
#[tokio::test(flavor = "multi_thread")]
async fn the_advertised_address_is_what_clients_are_told() {
    let mut cluster = TestCluster::embedded_with(0, 0).await;
    cluster.add_cim_route().await;
    let mut config = open_server();
    config.cim.advertise = Some("[2001:db8::7]:11211".to_owned());
    cluster.add_server(config).await;
    let route = cluster.cim();
    let alice = route.account("alice").await;
    let told = placed(&route, &alice).await;
    assert_eq!(
        (told.ip.as_str(), told.cim_server_port),
        ("2001:db8::7", 11_211)
    );
}

/// Who says nothing, and who never says who it is, does not stay for ever.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_silent_is_let_go() {
    let mut cluster = TestCluster::embedded_with(0, 0).await;
    cluster.add_cim_route().await;
    let mut config = open_server();
    config.cim.silence = std::time::Duration::from_millis(1500);
    cluster.add_server(config).await;
    let route = cluster.cim();
    let alice = route.account("alice").await;
    let told = placed(&route, &alice).await;
    let nameless = CimSocket::connect(&told).await.expect("it accepts");
    nameless.expect_end().await;
    // It never pings, which CIM takes for a reason to keep it.
    attach(&route, &alice).await.expect_end().await;
    let login = route.log_in(&alice).await.expect("an answer");
    login.assert_code(code::SUCCESS);
}

/// No text, and no password, is in the log; that there is no authentication is.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_warns_and_tells_no_texts() {
    let options = [
        "--headless",
        "--ephemeral",
        "--route-listen=127.0.0.1:0",
        "--server-listen=127.0.0.1:0",
        "--cim-route-listen=127.0.0.1:0",
        "--cim-server-listen=127.0.0.1:0",
        "--log=trace",
    ];
    let mut process = Process::start("im-standalone", &options).await;
    let ready = process.ready().await;
    let url = format!(
        "http://{}",
        ready["cim-route"].as_str().expect("an address")
    );
    let route = im_tests::cim::CimRoute::new(&url);
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    alice.tell(&bob, "a private matter").await;
    bob.hears("a private matter", alice.account()).await;
    process.signal("TERM").await;
    let ended = process.ended().await;
    assert!(
        ended.stderr.contains("no authentication"),
        "{}",
        ended.stderr
    );
    assert!(
        !ended.stderr.contains("a private matter"),
        "a text is in the log"
    );
}
