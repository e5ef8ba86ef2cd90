//! A chat: lines in, messages out, until the user leaves.
//!
//! The same loop serves a terminal and a pipe. At a terminal somebody watches: failures are told,
//! and leaving succeeds. In a pipe nobody does: the exit code tells the worst that happened.

mod arriving;
mod leaving;
mod obey;

use std::io;

use im_common::message::Recipient;
use rust_i18n::t;
use tokio_util::sync::CancellationToken;

use self::arriving::Arriving;
pub(super) use self::arriving::show;
use self::leaving::Leave;
use super::command::{self, Command, Line};
use super::exit::Exit;
use super::failure::Failure;
use super::input::{Input, Typed};
use super::names::Names;
use super::outgoing::{Answered, News, Outgoing};
use super::render::colour::Colour;
use super::render::{View, notice};
use super::screen::Screen;
use super::signals::Signals;
use super::status::{self, Status};
use super::terminal::{self, Restored};
use super::{state, tell};
use crate::{Client, ClientBuilder, ConnectionState, Error};

/// What a chat needs.
#[derive(Debug)]
pub struct ChatOptions {
    /// A client with routes, user, password and device; the chat adds its handler and connects.
    pub builder: ClientBuilder,
    /// Whether names are in colour.
    pub colour: Colour,
    /// Lines to print first.
    pub greeting: Vec<String>,
    /// Ends the chat in good order when cancelled.
    pub stop: CancellationToken,
}

/// Why a chat did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The terminal cannot be used.
    #[error("cannot use the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The client cannot connect.
    #[error(transparent)]
    Client(#[from] Error),
}

/// Chats on standard input and output until the user leaves, the login ends, or SIGINT, SIGTERM
/// or SIGHUP comes. The terminal is left as it was found.
pub async fn chat(options: ChatOptions) -> Result<Exit, ChatError> {
    let ChatOptions {
        builder,
        colour,
        greeting,
        stop,
    } = options;
    let mut signals = Signals::listen()?;
    let names = Names::default();
    let is_edited = terminal::is_interactive();
    let restored = is_edited.then(Restored::at_end).flatten();
    let (input, screen) = open(is_edited, &names)?;
    let view = View::of_terminal(colour);
    for line in greeting {
        let _ = screen.print(format!("{line}\n")).await;
    }
    let handler = Arriving {
        screen: screen.clone(),
        names: names.clone(),
        view: view.clone(),
    };
    let client = tokio::select! {
        client = builder.handler(handler).connect() => client?,
        exit = signals.next() => return Ok(exit),
        () = stop.cancelled() => return Ok(Exit::Terminated),
    };
    let chat = Chat {
        client,
        signals,
        stop,
        input,
        screen,
        view,
        names,
        outgoing: Outgoing::default(),
        status: Status::default(),
        restored,
        is_edited,
        is_asked: false,
        is_leaving: false,
        signalled: None,
        next_page: None,
        worst: Exit::Done,
    };
    Ok(chat.run().await)
}

fn open(is_edited: bool, names: &Names) -> io::Result<(Input, Screen)> {
    if !is_edited {
        return Ok((Input::plain()?, Screen::plain()?));
    }
    let history = state::state_dir().and_then(|folder| state::input_history(&folder));
    if let Err(error) = &history {
        tell(&format!("lines typed here will not be remembered: {error}"));
    }
    Input::edited(names.clone(), history.ok())
}

/// A chat that is under way.
struct Chat {
    client: Client,
    signals: Signals,
    stop: CancellationToken,
    input: Input,
    screen: Screen,
    view: View,
    names: Names,
    outgoing: Outgoing,
    status: Status,
    restored: Option<Restored>,
    /// Whether somebody sits at a prompt.
    is_edited: bool,
    /// Whether a line is being typed.
    is_asked: bool,
    /// Whether Ctrl-C came last: the next one leaves.
    is_leaving: bool,
    /// A signal that came while something else was awaited.
    signalled: Option<Exit>,
    /// What `:more` asks for: prefix and place.
    next_page: Option<(String, String)>,
    /// The worst that happened.
    worst: Exit,
}

/// What happens next in a chat.
enum Step {
    Signal(Exit),
    Unread,
    State(ConnectionState),
    Sends(News),
    Typed(Typed),
}

impl Chat {
    async fn run(mut self) -> Exit {
        if self.is_edited {
            let identity = self.client.identity();
            let (name, id) = (&identity.name, identity.user);
            let welcome = t!("chat.welcome", name = name, id = id);
            self.tell(&welcome).await;
        }
        let mut state = self.client.state();
        state.mark_changed();
        loop {
            self.ask();
            let step = tokio::select! {
                biased;
                exit = self.signals.next() => Step::Signal(exit),
                () = self.stop.cancelled() => Step::Signal(Exit::Terminated),
                () = self.screen.gone() => Step::Unread,
                // The sender lives as long as the client.
                Ok(()) = state.changed() => Step::State(state.borrow_and_update().clone()),
                news = self.outgoing.next() => Step::Sends(news),
                // A pipe waits for room; a person is told.
                typed = self.input.next(), if self.is_edited || self.outgoing.has_room() => {
                    Step::Typed(typed)
                }
            };
            let leave = self.take(step).await;
            if let Some(leave) = leave.or_else(|| self.signalled.map(Leave::AtOnce)) {
                return self.leave(leave).await;
            }
        }
    }

    async fn take(&mut self, step: Step) -> Option<Leave> {
        match step {
            Step::Signal(Exit::Interrupted) if self.is_edited => self.interrupted().await,
            Step::Signal(exit) => Some(Leave::AtOnce(exit)),
            Step::Unread => Some(Leave::AtOnce(self.worst)),
            Step::State(state) => self.state_changed(&state).await,
            Step::Sends(news) => {
                self.follow(news).await;
                None
            }
            Step::Typed(typed) => {
                self.is_asked = false;
                self.typed(typed).await
            }
        }
    }

    async fn typed(&mut self, typed: Typed) -> Option<Leave> {
        let line = match typed {
            Typed::Line(line) => line,
            Typed::Interrupted => return self.interrupted().await,
            Typed::End => return Some(Leave::Answered),
            Typed::Unreadable(why) => {
                self.fail(Exit::Fixable, &format!("not sent: {why}")).await;
                return None;
            }
        };
        self.is_leaving = false;
        match command::parse(&line) {
            Ok(Line::Empty) => None,
            Ok(Line::Say { to, text }) => {
                self.say(to, text).await;
                None
            }
            Ok(Line::Command(Command::Quit)) => Some(Leave::Answered),
            Ok(Line::Command(Command::QuitAtOnce)) => Some(Leave::AtOnce(self.worst)),
            Ok(Line::Command(command)) => {
                self.obey(command).await;
                None
            }
            Err(mistake) => {
                self.fail(Exit::Fixable, &mistake.to_string()).await;
                None
            }
        }
    }

    async fn say(&mut self, to: Recipient, text: String) {
        if !self.outgoing.has_room() {
            let full = "not sent: too many messages are not answered yet; try again in a while";
            self.fail(Exit::RateLimited, full).await;
            return;
        }
        let sending = self.client.send(to.clone(), text.as_str());
        self.outgoing.add(sending, &to, &text);
    }

    async fn follow(&mut self, news: News) {
        match news {
            News::Late => {
                let late = format!("still sending: {} not answered yet", self.outgoing.len());
                self.tell(&late).await;
            }
            News::Answered(Answered { what, result, .. }) => {
                if let Err(error) = result {
                    let exit = Exit::from(&error);
                    let outcome = match exit {
                        Exit::Unknown => "unknown whether it was sent",
                        _ => "not sent",
                    };
                    self.fail(exit, &format!("{outcome}: {what}: {error}"))
                        .await;
                }
            }
        }
        if self.outgoing.has_caught_up() {
            self.tell("nothing waits for an answer any more").await;
        }
    }

    async fn state_changed(&mut self, state: &ConnectionState) -> Option<Leave> {
        if state.is_final() {
            return Some(Leave::Ended(status::ending(state)));
        }
        if let Some(note) = self.status.note(state) {
            self.tell(&note).await;
        }
        None
    }

    async fn interrupted(&mut self) -> Option<Leave> {
        if std::mem::replace(&mut self.is_leaving, true) {
            return Some(Leave::AtOnce(Exit::Interrupted));
        }
        self.tell("Ctrl-C again leaves; so do :q and Ctrl-D").await;
        None
    }

    fn ask(&mut self) {
        if !std::mem::replace(&mut self.is_asked, true) {
            self.input
                .ask(&format!("{}> ", self.client.identity().name));
        }
    }

    /// Tells a failure. Somebody at a prompt has seen it; a pipe ends with it.
    async fn fail(&mut self, exit: Exit, why: &str) {
        if !self.is_edited && self.worst == Exit::Done {
            self.worst = exit;
        }
        self.tell(why).await;
    }

    /// Says something that is no message: to a person above the prompt, from a pipe apart from
    /// its output.
    async fn tell(&self, text: &str) {
        match self.is_edited {
            // Nobody reads any more: the loop ends with the next step.
            true => drop(self.screen.print(notice(text)).await),
            false => tell(text),
        }
    }
}
