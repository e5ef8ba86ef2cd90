//! A terminal of our own: every byte that a program writes to it is kept, and drawn on a screen.
//!
//! [`Terminal`](crate::terminal::Terminal) is what people have; this is for what they do not see:
//! which bytes come, when, and what they would do. When they come is noted on a thread that does nothing
//! else.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use vt100::capture::{
    BasicFormattedCaptureRange, BasicFormattedCaptureState, basic_formatted_to_plain,
};
use vt100::{Callbacks, Parser, Screen};

use crate::PATIENCE;

/// As many as [`Terminal`](crate::terminal::Terminal) has.
const COLUMNS: u16 = 100;
const ROWS: u16 = 30;
/// More than a test says, and a bound for a measure that says a million messages.
const SCROLLBACK_ROWS: usize = 50_000;
/// What a terminal takes at once.
const READ_BYTES: usize = 64 * 1024;

/// A terminal of 100 columns and 30 lines with one program in it, which is killed when this is
/// dropped.
pub struct Tty {
    controller: File,
    child: Child,
    record: Arc<Mutex<Record>>,
    reader: JoinHandle<()>,
}

/// What came, and what became of it.
struct Record {
    bytes: Vec<u8>,
    screen: Parser<Liberties>,
    waiting: Option<Waiting>,
}

/// Somebody who waits for the screen to look a certain way, and is told since when it does.
struct Waiting {
    is_there: Box<dyn Fn(&Screen) -> bool + Send>,
    found: oneshot::Sender<Instant>,
}

/// What the program did to the terminal besides drawing.
#[derive(Debug, Default)]
struct Liberties {
    taken: Vec<String>,
}

impl Tty {
    /// Starts a program that has this terminal, and nothing else, before it.
    pub fn start(program: &Command) -> Self {
        let (controller, user) = open().expect("the system has terminals");
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).expect("a terminal has a size");
        let end = || Stdio::from(user.try_clone().expect("a descriptor to spare"));
        // Only the leader of a session can make a terminal its own.
        let mut leader = Command::new("setsid");
        leader.arg("--ctty").arg(program.get_program());
        leader
            .args(program.get_args())
            .env("TERM", "xterm-256color");
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => leader.env(name, value),
                None => leader.env_remove(name),
            };
        }
        let child = leader.stdin(end()).stdout(end()).stderr(end()).spawn();
        let size = |cells| NonZeroU16::new(cells).expect("more than nothing");
        let liberties = Liberties::default();
        let record = Arc::new(Mutex::new(Record {
            bytes: Vec::new(),
            screen: Parser::new_with_callbacks(
                size(ROWS),
                size(COLUMNS),
                SCROLLBACK_ROWS,
                liberties,
            ),
            waiting: None,
        }));
        let source = controller.try_clone().expect("a descriptor to spare");
        let kept = Arc::clone(&record);
        // Ends with the last program that has the terminal open.
        let reader = std::thread::spawn(move || keep(source, &kept));
        Self {
            controller,
            child: child.expect("setsid is part of every Linux"),
            record,
            reader,
        }
    }

    /// Starts a shell command that has this terminal, and nothing else, before it.
    pub fn run(command: &str) -> Self {
        Self::start(Command::new("sh").args(["-c", command]))
    }

    /// Types these bytes.
    pub fn type_text(&self, text: &str) {
        (&self.controller)
            .write_all(text.as_bytes())
            .expect("the terminal is open");
    }

    /// The id of the program's process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Everything the program has written.
    pub fn written(&self) -> Vec<u8> {
        self.record.lock().bytes.clone()
    }

    /// Every line there was so far, those that have left the screen too; one that the terminal has
    /// wrapped is one line.
    pub fn lines(&self) -> Vec<String> {
        let record = self.record.lock();
        let mut text = String::new();
        let range = BasicFormattedCaptureRange::Full(&mut BasicFormattedCaptureState::new());
        let written = record
            .screen
            .screen()
            .write_contents_formatted_basic(&mut text, range);
        written.expect("a string takes any text");
        let plain: String = basic_formatted_to_plain(&text).collect();
        plain.lines().map(str::to_owned).collect()
    }

    /// Whatever the program did beyond drawing: titles, clipboard, bells, and what is not known.
    pub fn liberties(&self) -> Vec<String> {
        self.record.lock().screen.callbacks().taken.clone()
    }

    /// Waits until the screen satisfies a condition, and returns when the bytes that made it so
    /// arrived. One caller at a time.
    pub async fn until(
        &self,
        what: &str,
        is_there: impl Fn(&Screen) -> bool + Send + 'static,
    ) -> Instant {
        let found = self.record.lock().watch(Box::new(is_there));
        match timeout(PATIENCE, found).await {
            Ok(Ok(at)) => at,
            _ => panic!("waited in vain for {what}; the end:\n{}", self.last_lines()),
        }
    }

    /// Waits until the screen shows a text.
    pub async fn shows(&self, text: &str) -> Instant {
        let expected = text.to_owned();
        self.until(text, move |screen| screen.contents().contains(&expected))
            .await
    }

    /// Waits until the program has ended and all that it wrote is there, and returns its exit code;
    /// a signal has none.
    pub async fn ended(&mut self) -> Option<i32> {
        let pause = Duration::from_millis(1);
        let wait = async {
            loop {
                let status = self.child.try_wait().expect("a child can be waited for");
                if let Some(status) = status
                    && self.reader.is_finished()
                {
                    return status.code();
                }
                tokio::time::sleep(pause).await;
            }
        };
        let ended = timeout(PATIENCE, wait).await;
        ended.unwrap_or_else(|_| panic!("it does not end; the end:\n{}", self.last_lines()))
    }

    fn last_lines(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(usize::from(ROWS))..].join("\n")
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        // Fails only for one that has ended.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Record {
    fn watch(
        &mut self,
        is_there: Box<dyn Fn(&Screen) -> bool + Send>,
    ) -> oneshot::Receiver<Instant> {
        let (found, receiver) = oneshot::channel();
        self.waiting = Some(Waiting { is_there, found });
        self.look(Instant::now());
        receiver
    }

    fn take(&mut self, bytes: &[u8], arrived: Instant) {
        self.bytes.extend_from_slice(bytes);
        self.screen.process(bytes);
        self.look(arrived);
    }

    fn look(&mut self, now: Instant) {
        let screen = self.screen.screen();
        if let Some(waiting) = self.waiting.take_if(|waiting| (waiting.is_there)(screen)) {
            // Whoever waited may have given up.
            let _ = waiting.found.send(now);
        }
    }
}

impl Callbacks for Liberties {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.taken.push("bell".to_owned());
    }

    fn visual_bell(&mut self, _: &mut Screen) {
        self.taken.push("visual bell".to_owned());
    }

    fn resize(&mut self, _: &mut Screen, (rows, columns): (u16, u16)) {
        self.taken.push(format!("resize to {columns}x{rows}"));
    }

    fn set_window_icon_name(&mut self, _: &mut Screen, name: &[u8]) {
        self.taken.push(format!("icon {}", name.escape_ascii()));
    }

    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.taken.push(format!("title {}", title.escape_ascii()));
    }

    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.taken
            .push(format!("clipboard {}", data.escape_ascii()));
    }

    fn paste_from_clipboard(&mut self, _: &mut Screen, _: &[u8]) {
        self.taken.push("clipboard read".to_owned());
    }

    fn unhandled_control(&mut self, _: &mut Screen, byte: u8) {
        self.taken.push(format!("control {byte:#x}"));
    }

    fn unhandled_escape(&mut self, _: &mut Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.taken.push(format!("escape {:?}", char::from(byte)));
    }

    fn unhandled_osc(&mut self, _: &mut Screen, parameters: &[&[u8]]) {
        self.taken.push(format!("OSC {parameters:?}"));
    }
}

fn open() -> rustix::io::Result<(File, File)> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let path = ptsname(&controller, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let user = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())?;
    Ok((controller.into(), user.into()))
}

/// Takes what comes until nobody has the terminal open any more.
fn keep(mut source: File, record: &Mutex<Record>) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(length @ 1..) = source.read(&mut buffer) {
        let arrived = Instant::now();
        record.lock().take(&buffer[..length], arrived);
    }
}
