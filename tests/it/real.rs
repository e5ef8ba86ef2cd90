//! The cluster of `scripts/cluster.sh`: real processes, real Redis and etcd, real kills.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use im_client::ConnectionState;
use im_common::id::MessageId;
use im_common::message::Recipient;
use im_common::secret::ClusterSecret;
use im_tests::PATIENCE;
use im_tests::http::Http;
use im_tests::process::{binary, root};
use im_tests::user::{PASSWORD, TestUser, accepted};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// A cluster that the script started; stopped and wiped when dropped.
struct Scripted {
    folder: TempDir,
}

impl Scripted {
    fn up() -> Self {
        let scripted = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        scripted.script(&["up"]);
        scripted
    }

    fn script(&self, args: &[&str]) -> String {
        let output = Command::new(root().join("scripts/cluster.sh"))
            .args(args)
            .env("IM_CLUSTER_DIR", self.folder.path())
            .env("IM_BIN_DIR", binary("im").parent().expect("a folder"))
            .output()
            .expect("the script runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Kills a process. The script's own `kill` also waits until the process is reaped, which may
    /// take seconds where that is left to the first process of a container.
    fn kill(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join(format!("run/{name}.pid")));
        let pid = pid.expect("the process runs");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
    }

    /// The routes' URLs, from their ready lines.
    fn routes(&self) -> Vec<String> {
        let ready = |number: usize| {
            let line =
                std::fs::read_to_string(self.folder.path().join(format!("run/route-{number}.out")));
            let line = line.expect("a ready line");
            format!(
                "http://{}",
                line.trim().rsplit(' ').next().expect("an address")
            )
        };
        (1..=2).map(ready).collect()
    }

    /// A counter summed over the routes.
    async fn counter(&self, name: &str) -> u64 {
        let secret =
            ClusterSecret::from_file(&self.folder.path().join("secret")).expect("the secret");
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let mut sum = 0;
        for route in self.routes() {
            let request = http.get(format!("{route}/internal/v1/metrics"));
            let request = request.header("authorization", secret.node_credential().header());
            let text = request
                .send()
                .await
                .expect("the route answers")
                .text()
                .await
                .expect("text");
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name} ")));
            sum += line.expect("the counter").parse::<u64>().expect("a number");
        }
        sum
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let down = Command::new(root().join("scripts/cluster.sh"))
            .arg("down")
            .env("IM_CLUSTER_DIR", self.folder.path())
            .status();
        assert!(down.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

const USERS: usize = 300;
/// So many of them also send over HTTP.
const HTTP_USERS: usize = 10;
const MESSAGES: usize = 20_000;
/// Sent at once; all are accepted before the next wave.
const WAVE: usize = 1_000;

fn server_of(user: &TestUser) -> String {
    let state = user.client().state().borrow().clone();
    let server = state.server().map(ToString::to_string);
    server.unwrap_or_else(|| panic!("not attached: {state:?}"))
}

/// Registers through one route and logs in through both, half of the users each.
async fn connect_all(routes: &[String]) -> Vec<TestUser> {
    let registered = stream::iter(0..USERS).map(|number| async move {
        im_client::register(&routes[..1], &name(number), PASSWORD)
            .await
            .expect("registered");
    });
    registered.buffer_unordered(8).collect::<Vec<()>>().await;
    // One route after the other, so that each deals its own turns.
    let mut users = Vec::new();
    for number in 0..USERS {
        let mut urls = routes.to_vec();
        urls.rotate_left(number % routes.len());
        users.push(TestUser::offline(&urls, &name(number)));
    }
    stream::iter(users.iter_mut())
        .map(TestUser::reconnect)
        .buffer_unordered(8)
        .collect::<Vec<()>>()
        .await;
    users
}

fn name(number: usize) -> String {
    format!("user-{number}")
}

/// One of the 20,000 messages: who sends it, to whom, and over what.
struct Errand {
    sender: usize,
    to_lobby: bool,
    /// Over HTTP, by this route; over the sender's socket when missing.
    route: Option<usize>,
}

impl Errand {
    fn new(number: usize) -> Self {
        let route = (number % 20 == 7).then_some(number / 20 % 2);
        let sender = if route.is_some() {
            number / 20 % HTTP_USERS
        } else {
            number % USERS
        };
        Self {
            sender,
            to_lobby: number % 25 == 2,
            route,
        }
    }

    /// Who sees it. What is sent over HTTP reaches the sender's own socket too.
    fn readers(&self) -> Vec<usize> {
        let is_reader = |user: &usize| {
            let is_addressed = self.to_lobby || *user == (self.sender + 1) % USERS;
            if *user == self.sender {
                self.route.is_some()
            } else {
                is_addressed
            }
        };
        (0..USERS).filter(is_reader).collect()
    }
}

/// Sends some messages and waits until all are accepted.
async fn send_wave(users: &[TestUser], web: &[[Http; 2]], wave: std::ops::Range<usize>) {
    let send = |number: usize| async move {
        let errand = Errand::new(number);
        let peer = users[(errand.sender + 1) % USERS].address();
        let to = if errand.to_lobby {
            Recipient::Lobby
        } else {
            peer
        };
        let text = format!("message {number}");
        match errand.route {
            None => {
                accepted(users[errand.sender].client().send(to, text)).await;
            }
            Some(route) => {
                post(&web[errand.sender][route], &to, &text).await;
            }
        }
    };
    join_all(wave.map(send)).await;
}

/// Sends over HTTP as the README tells to: under an id, and again when there was no answer.
async fn post(http: &Http, to: &Recipient, text: &str) {
    let id = MessageId::fresh().to_string();
    let body = serde_json::json!({"to": to.to_string(), "text": text, "id": id});
    let answer = async {
        loop {
            let request = http.request(reqwest::Method::POST, "/v1/messages");
            if let Ok(answer) = request.json(&body).send().await {
                break answer;
            }
        }
    };
    let answer = timeout(PATIENCE, answer).await.expect("the route answers");
    assert_eq!(answer.status(), 200);
}

/// A few users can also send over HTTP, by both routes.
async fn log_in_on_the_web(routes: &[String]) -> Vec<[Http; 2]> {
    let mut web = Vec::new();
    for number in 0..HTTP_USERS {
        let user = name(number);
        web.push([
            Http::log_in(&routes[0], &user, "web-1").await,
            Http::log_in(&routes[1], &user, "web-2").await,
        ]);
    }
    web
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_users_and_a_killed_server() {
    let scripted = Scripted::up();
    let users = connect_all(&scripted.routes()).await;
    let mut placed: HashMap<String, Vec<usize>> = HashMap::new();
    for (number, user) in users.iter().enumerate() {
        placed.entry(server_of(user)).or_default().push(number);
    }
    let shares: Vec<usize> = placed.values().map(Vec::len).collect();
    assert_eq!(shares, [100, 100, 100]);

    let before = scripted.counter("im_pushes_total").await;
    users[0].say("one push for each server").await;
    join_all(
        users[1..]
            .iter()
            .map(|user| user.expect("one push for each server")),
    )
    .await;
    assert_eq!(scripted.counter("im_pushes_total").await - before, 3);

    let web = log_in_on_the_web(&scripted.routes()).await;
    let waves = (0..MESSAGES).step_by(WAVE).map(|start| start..start + WAVE);
    let victims = victims_of(&scripted, &placed);
    let mut recovery = Duration::ZERO;
    for wave in waves {
        let is_middle = wave.start == MESSAGES / 2;
        let kill = async {
            if is_middle {
                recovery = kill_server(&scripted, &users, &victims, &placed).await;
            }
        };
        tokio::join!(send_wave(&users, &web, wave), kill);
    }

    check_all(&users).await;
    // A killed server leaves no ghosts: its users may log in anew at once.
    let mut anew = users[victims[0]].another_device("test");
    timeout(Duration::from_secs(2), anew.reconnect())
        .await
        .expect("login at once");
    eprintln!("100 users of a killed server were back after {recovery:?}");
}

/// Kills `server-2` while messages are under way; returns how long its users were away.
async fn kill_server(
    scripted: &Scripted,
    users: &[TestUser],
    victims: &[usize],
    placed: &HashMap<String, Vec<usize>>,
) -> Duration {
    let killed = Instant::now();
    scripted.kill("server-2");
    let back = victims
        .iter()
        .map(|&number| attached_elsewhere(&users[number], placed));
    let back = timeout(Duration::from_secs(5), join_all(back)).await;
    back.expect("users of a killed server are back within 5 s");
    killed.elapsed()
}

/// The users on the server that runs as `server-2`.
fn victims_of(scripted: &Scripted, placed: &HashMap<String, Vec<usize>>) -> Vec<usize> {
    let log =
        std::fs::read_to_string(scripted.folder.path().join("log/server-2.log")).expect("its log");
    let id = placed
        .keys()
        .find(|id| log.contains(id.as_str()))
        .expect("the server logs its id");
    placed[id].clone()
}

async fn attached_elsewhere(user: &TestUser, placed: &HashMap<String, Vec<usize>>) {
    let dead = server_of_number(user, placed);
    let mut state = user.client().state();
    let elsewhere = |state: &ConnectionState| {
        let server = state.server();
        server.is_some_and(|server| server.to_string() != dead)
    };
    state.wait_for(elsewhere).await.expect("the client lives");
}

fn server_of_number(user: &TestUser, placed: &HashMap<String, Vec<usize>>) -> String {
    let name = user.address().to_string();
    let on = |numbers: &Vec<usize>| numbers.iter().any(|&number| self::name(number) == name);
    placed
        .iter()
        .find(|(_, numbers)| on(numbers))
        .expect("every user was placed")
        .0
        .clone()
}

/// Every user sees every message meant for them once, in order, and nothing else.
async fn check_all(users: &[TestUser]) {
    let mut expected = vec![0; USERS];
    for reader in (0..MESSAGES).flat_map(|number| Errand::new(number).readers()) {
        expected[reader] += 1;
    }
    // The message about pushes came from the first user.
    expected.iter_mut().skip(1).for_each(|count| *count += 1);
    join_all(
        users
            .iter()
            .zip(&expected)
            .map(|(user, &count)| user.expect_count(count)),
    )
    .await;
    for (user, count) in users.iter().zip(expected) {
        user.check_order();
        assert_eq!(user.seen_count(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_route_dies_before_the_push_arrives_all_the_same() {
    let scripted = Scripted::up();
    let routes = scripted.routes();
    let bob = TestUser::register(&routes[1..], "bob").await;
    let alice = TestUser::register(&routes[1..], "alice").await;
    // Whatever route-1 had accepted and not pushed yet when it was killed, route-2 must finish.
    let http = Http::log_in(&routes[0], "alice", "web").await;
    let body = |number| serde_json::json!({"to": "bob", "text": format!("{number}")});
    let burst = async {
        let mut count = 0;
        loop {
            let answers =
                join_all((0..16).map(|offset| try_post(&http, body(count + offset)))).await;
            let accepted = answers.into_iter().flatten().count();
            count += 16;
            if accepted < 16 || count >= 20_000 {
                return;
            }
        }
    };
    let kill = async {
        bob.expect_count(200).await;
        scripted.kill("route-1");
    };
    tokio::join!(burst, kill);
    let stored = alice
        .client()
        .history(&bob.address(), None, 1)
        .await
        .expect("history");
    let head = stored.last().expect("messages were stored").sequence.0;
    bob.expect_count(usize::try_from(head).expect("a count"))
        .await;
    bob.check_order();
}

async fn try_post(http: &Http, body: serde_json::Value) -> Option<()> {
    let request = http
        .request(reqwest::Method::POST, "/v1/messages")
        .json(&body);
    let response = request.send().await.ok()?;
    response.status().is_success().then_some(())
}
