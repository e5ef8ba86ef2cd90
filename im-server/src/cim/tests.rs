//! A server without sockets, and a client that speaks CIM.

mod received;

use std::sync::Arc;
use std::time::Duration;

use im_common::cim;
use im_common::frame::encode;
use im_common::id::Members;
use im_common::message::{Identity, StoredMessage};
use im_common::name::UserName;
use im_common::stream::FrameStream;
use im_common::transport::{OpenLogin, Push};
use prost::Message as _;
use tokio::io::DuplexStream;
use tokio::time::{advance, timeout};

use super::connection::serve;
use super::frame::{Frame, MESSAGE, OFFLINE, PING};
use crate::fixture::{Bench, Call, PATIENCE, position, stored, user_of};

const SILENCE: Duration = Duration::from_secs(33);
/// What a client may leave unread before its server cannot write.
const PIPE_BYTES: usize = 64 * 1024;

/// The other end of a connection.
struct CimClient {
    stream: FrameStream<DuplexStream>,
}

impl CimClient {
    /// Opens a connection over a pipe.
    fn connect(bench: &Bench) -> Self {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let serve = serve(far, Arc::clone(&bench.context), SILENCE);
        bench.tasks.spawn("cim connection", serve);
        Self {
            stream: FrameStream::new(near),
        }
    }

    /// Opens a connection of a user who is logged in, and reads what the fixture's route says that
    /// the user missed.
    async fn attach(bench: &mut Bench, name: &str) -> Self {
        let mut client = Self::open(bench, name).await;
        for _ in 4..=9 {
            assert!(matches!(bench.call().await, Call::Sync));
            assert_eq!(client.next().await.command, OFFLINE);
        }
        client
    }

    async fn open(bench: &mut Bench, name: &str) -> Self {
        log_in(bench, name, 1);
        let mut client = Self::connect(bench);
        client.say_login(name).await;
        assert!(matches!(bench.call().await, Call::Attach(..)));
        client
    }

    async fn say(&mut self, frame: Frame) {
        let mut frames = [encode(&frame)].into();
        let written = self.stream.write_all(&mut frames).await;
        written.expect("the server listens");
    }

    async fn say_login(&mut self, name: &str) {
        self.say(Frame {
            text: name.to_owned(),
            user: i64::try_from(user_of(name).number()).unwrap(),
            ..Frame::default()
        })
        .await;
    }

    async fn ping(&mut self) {
        self.say(Frame {
            text: "ping".to_owned(),
            // The SDK names the last client that was made in its process.
            user: 1,
            command: PING,
            ..Frame::default()
        })
        .await;
        assert_eq!(self.next().await.text, "pong");
    }

    async fn next(&mut self) -> Frame {
        let frame = timeout(PATIENCE, self.stream.next()).await;
        let bytes = frame.expect("the server says nothing").unwrap();
        Frame::decode(bytes.expect("the server has hung up")).unwrap()
    }

    async fn is_hung_up_on(&mut self) {
        let end = timeout(PATIENCE, self.stream.next()).await;
        assert!(matches!(end, Ok(Ok(None))), "{end:?}");
    }
}

fn log_in(bench: &Bench, name: &str, epoch: u64) {
    let login = OpenLogin {
        identity: Identity {
            user: user_of(name),
            name: UserName::new(name).unwrap(),
            device: cim::device(),
        },
        epoch,
    };
    bench.uplink.logins.lock().insert(user_of(name), login);
}

async fn push(bench: &Bench, message: StoredMessage) {
    let to = Members::Everyone;
    bench
        .context
        .connections
        .deliver(vec![Push { message, to }])
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_comes_first_then_what_is_said_and_nothing_twice() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    push(&bench, stored(9, "missed")).await;
    push(&bench, stored(10, "hello")).await;
    let frame = client.next().await;
    assert_eq!((frame.command, frame.text.as_str()), (MESSAGE, "hello"));
    let user = user_of("zhangsan").to_string();
    assert_eq!(frame.properties["receiveUserId"], user);
    assert_eq!(
        frame.properties["sendUserId"],
        user_of("sender").to_string()
    );
    assert_eq!(frame.properties["sendUserName"], "sender");
}

#[tokio::test(start_paused = true)]
async fn nobody_hears_themselves() {
    let mut bench = Bench::new();
    // What the fixture's route says that the user missed is the user's own.
    let mut client = CimClient::open(&mut bench, "sender").await;
    for _ in 4..=9 {
        assert!(matches!(bench.call().await, Call::Sync));
    }
    client.ping().await;
    push(&bench, stored(10, "my own")).await;
    let mut answer = stored(11, "an answer");
    answer.sender.user = user_of("bob");
    push(&bench, answer).await;
    assert_eq!(client.next().await.text, "an answer");
}

#[tokio::test(start_paused = true)]
async fn who_has_not_logged_in_is_hung_up_on() {
    let bench = Bench::new();
    for frame in [
        Frame::default(),
        Frame {
            user: -1,
            ..Frame::default()
        },
    ] {
        let mut client = CimClient::connect(&bench);
        client.say(frame).await;
        client.is_hung_up_on().await;
    }
    let mut unknown = CimClient::connect(&bench);
    unknown.say_login("zhangsan").await;
    unknown.is_hung_up_on().await;
    log_in(&bench, "zhangsan", 1);
    bench
        .uplink
        .logins
        .lock()
        .get_mut(&user_of("zhangsan"))
        .unwrap()
        .identity
        .name = UserName::new("lisi").unwrap();
    let mut misnamed = CimClient::connect(&bench);
    misnamed.say_login("zhangsan").await;
    misnamed.is_hung_up_on().await;
    let mut silent = CimClient::connect(&bench);
    silent.is_hung_up_on().await;
    assert_eq!(bench.context.connections.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_login_is_good_for_one_connection_and_the_next_login_takes_over() {
    let mut bench = Bench::new();
    let mut first = CimClient::attach(&mut bench, "zhangsan").await;
    let mut second = CimClient::connect(&bench);
    second.say_login("zhangsan").await;
    second.is_hung_up_on().await;
    first.ping().await;
    log_in(&bench, "zhangsan", 2);
    let mut third = CimClient::connect(&bench);
    third.say_login("zhangsan").await;
    first.is_hung_up_on().await;
    for _ in 4..=9 {
        assert_eq!(third.next().await.command, OFFLINE);
    }
    third.ping().await;
}

#[tokio::test(start_paused = true)]
async fn frames_that_make_no_sense_poison_nothing() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    for nonsense in [&b"\x03\xff\xff\xff"[..], b"\x02\x18\x63", b"\x02\x18\x01"] {
        let mut frames = [bytes::Bytes::from_static(nonsense)].into();
        client.stream.write_all(&mut frames).await.unwrap();
    }
    client.say_login("zhangsan").await;
    client.ping().await;
    for too_large in [&b"\xff\xff\xff\xff\x0f"[..], b"\x81\x80\x10"] {
        let mut client = CimClient::connect(&bench);
        let mut frames = [bytes::Bytes::copy_from_slice(too_large)].into();
        client.stream.write_all(&mut frames).await.unwrap();
        client.is_hung_up_on().await;
    }
    // An empty frame is a login of user 0.
    let mut frames = [bytes::Bytes::from_static(b"\0")].into();
    client.stream.write_all(&mut frames).await.unwrap();
    client.is_hung_up_on().await;
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_connection_also_of_one_that_never_pinged() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    advance(SILENCE - Duration::from_secs(1)).await;
    client.ping().await;
    advance(SILENCE - Duration::from_secs(1)).await;
    tokio::task::yield_now().await;
    assert_eq!(bench.context.connections.count(), 1);
    advance(Duration::from_secs(1)).await;
    client.is_hung_up_on().await;
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_catches_up_from_the_log() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    bench.context.connections.all()[0].outbound.fall_behind();
    assert!(matches!(bench.call().await, Call::Heads));
    push(&bench, stored(12, "beyond a gap")).await;
    for _ in 10..=12 {
        assert_eq!(client.next().await.batch, ["missed"]);
    }
    push(&bench, stored(13, "hello")).await;
    assert_eq!(client.next().await.text, "hello");
}
