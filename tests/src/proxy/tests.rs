use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Sends back whatever it gets; returns its address.
async fn echo(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let more = tasks.clone();
    tasks.spawn("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            more.spawn("echoed", async move {
                let (mut read, mut write) = stream.split();
                // Ends with an error when it is cut, as it should.
                let _end = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn through(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn says(stream: &mut TcpStream, text: &[u8]) -> Duration {
    let asked = tokio::time::Instant::now();
    stream.write_all(text).await.unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, text);
    asked.elapsed()
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_plain_wire_carries_everything_and_says_goodbye() {
    let proxy = Proxy::start(echo(&Tasks::new()).await).await;
    let mut stream = through(&proxy).await;
    says(&mut stream, &vec![7; 300_000]).await;
    assert_eq!(proxy.links(), 1);
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_cut_resets_and_a_new_connection_passes() {
    let proxy = Proxy::start(echo(&Tasks::new()).await).await;
    let mut stream = through(&proxy).await;
    says(&mut stream, b"one").await;
    assert_eq!(proxy.cut(), 1);
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    says(&mut through(&proxy).await, b"two").await;
}

#[tokio::test]
async fn a_stall_holds_back_and_a_swallow_loses() {
    let proxy = Proxy::start(echo(&Tasks::new()).await).await;
    let mut stream = through(&proxy).await;
    let mut answer = [0];
    proxy.set(Flows {
        down: Flow::stalled(),
        ..Flows::default()
    });
    stream.write_all(b"a").await.unwrap();
    assert!(timeout(SHORT, stream.read(&mut answer)).await.is_err());
    proxy.heal();
    stream.read_exact(&mut answer).await.unwrap();
    proxy.set(Flows::both(Flow::swallowed()));
    stream.write_all(b"b").await.unwrap();
    assert!(timeout(SHORT, stream.read(&mut answer)).await.is_err());
    proxy.heal();
    says(&mut stream, b"c").await;
}

#[tokio::test]
async fn slow_late_and_sliced_wires_keep_the_order() {
    let proxy = Proxy::start(echo(&Tasks::new()).await).await;
    let mut stream = through(&proxy).await;
    let delay = Duration::from_millis(50);
    proxy.set(Flows::both(Flow::delayed(delay, delay).sliced()));
    let text: Vec<u8> = (0..=255).collect();
    assert!(says(&mut stream, &text).await >= 2 * delay);
    proxy.set(Flows::both(Flow::slow(1000)));
    assert!(says(&mut stream, &[1; 200]).await >= SHORT);
}

#[tokio::test]
async fn a_closed_door_refuses_and_opens_again() {
    let proxy = Proxy::start(echo(&Tasks::new()).await).await;
    let mut stream = through(&proxy).await;
    says(&mut stream, b"one").await;
    proxy.refuse();
    let refused = async {
        while TcpStream::connect(proxy.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(crate::PATIENCE, refused).await.unwrap();
    says(&mut stream, b"still open").await;
    proxy.heal();
    let opened = async {
        while TcpStream::connect(proxy.address()).await.is_err() {
            sleep(PAUSE).await;
        }
    };
    timeout(crate::PATIENCE, opened).await.unwrap();
}

#[tokio::test]
async fn a_recording_is_repeated_at_the_target() {
    let tasks = Tasks::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await;
    proxy.record(4);
    let mut stream = through(&proxy).await;
    stream.write_all(b"abcdef").await.unwrap();
    let (mut first, _) = listener.accept().await.unwrap();
    let mut got = [0; 6];
    first.read_exact(&mut got).await.unwrap();
    tasks.spawn("target", async move {
        let (mut second, _) = listener.accept().await.unwrap();
        let mut again = [0; 4];
        second.read_exact(&mut again).await.unwrap();
        assert_eq!(&again, b"abcd");
    });
    assert_eq!(proxy.replay().await, 1);
    assert!(!tasks.token().is_cancelled(), "the target saw other bytes");
}
