//! The long connection: bytes or frames, without any of the SDK's habits.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frame::Frame;
use super::route::{Account, Placed};
use crate::PATIENCE;

/// What is read at once.
const CHUNK_BYTES: usize = 8 * 1024;

/// A connection to a server.
pub struct CimSocket {
    stream: TcpStream,
    arrived: Vec<u8>,
}

impl CimSocket {
    /// Connects and says nothing.
    ///
    /// # Errors
    /// When nobody accepts.
    pub async fn connect(placed: &Placed) -> std::io::Result<Self> {
        Ok(Self {
            stream: TcpStream::connect((placed.ip.as_str(), placed.cim_server_port)).await?,
            arrived: Vec::new(),
        })
    }

    /// Connects and says who it is, without any login over HTTP.
    ///
    /// # Errors
    /// When nobody accepts.
    pub async fn log_in(placed: &Placed, account: &Account) -> std::io::Result<Self> {
        let mut socket = Self::connect(placed).await?;
        socket
            .say(&Frame::login(account.user_id, &account.user_name))
            .await?;
        Ok(socket)
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn say(&mut self, frame: &Frame) -> std::io::Result<()> {
        self.write(&frame.encode()).await
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next frame, none once the connection has ended. Cancel-safe.
    ///
    /// # Panics
    /// When the server says what CIM's server never says.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let frame = Frame::take(&mut self.arrived);
            if let Some(frame) = frame.unwrap_or_else(|error| panic!("{error}: {self:?}")) {
                return Some(frame);
            }
            let mut chunk = [0; CHUNK_BYTES];
            match self.stream.read(&mut chunk).await {
                Ok(count @ 1..) => self.arrived.extend_from_slice(&chunk[..count]),
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// The next frame, which must come in time.
    pub async fn expect(&mut self) -> Frame {
        let frame = timeout(PATIENCE, self.next()).await;
        let frame = frame.expect("the server says something in time");
        frame.expect("the server does not close")
    }

    /// Waits until the server closes, whatever it says before.
    pub async fn expect_end(mut self) {
        let end = async { while self.next().await.is_some() {} };
        let ended = timeout(PATIENCE, end).await;
        ended.expect("the server closes in time");
    }

    /// Ends it as a network does that fails: no farewell, and what is on its way is gone.
    pub fn cut(self) {
        self.stream.set_zero_linger().expect("an open socket");
    }

    /// Whether the server still answers: a ping is followed by a pong, whatever comes before it.
    pub async fn is_alive(&mut self) -> bool {
        // Not the user's id: CIM's SDK pings with that of whatever client was built last.
        if self.say(&Frame::ping(1)).await.is_err() {
            return false;
        }
        let pong = async {
            while let Some(frame) = self.next().await {
                if frame.text == "pong" {
                    return true;
                }
            }
            false
        };
        timeout(PATIENCE, pong).await.unwrap_or(false)
    }
}

impl std::fmt::Debug for CimSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let front = &self.arrived[..self.arrived.len().min(64)];
        write!(f, "CimSocket({front:02x?})")
    }
}
