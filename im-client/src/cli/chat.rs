//! A chat: lines in, messages out, until the user leaves.
//!
//! The same loop serves a terminal and a pipe. At a terminal somebody watches: the prompt is there
//! before the connection, failures are told, and leaving succeeds. In a pipe nobody does: the exit
//! code tells the worst that happened.

mod ai;
mod arriving;
mod conversations;
mod delays;
mod delivery;
mod leaving;
mod link;
mod obey;
mod past;
mod people;
mod sending;

use std::io;

use futures::future::BoxFuture;
use im_common::message::Recipient;
use rust_i18n::t;
use tokio_util::sync::CancellationToken;

use self::arriving::Arriving;
pub(super) use self::arriving::show;
use self::conversations::Conversations;
use self::delays::Delays;
use self::delivery::{Delivery, DeliveryNews};
use self::leaving::Leave;
use self::link::{Link, LinkNews};
use self::past::More;
use super::archive::{Archive, Trouble};
use super::command::{self, Command, Line};
use super::delayed::Delayed;
use super::exit::Exit;
use super::failure::Failure;
use super::input::{Input, Typed};
use super::names::Names;
use super::outgoing::{News, Outgoing};
use super::render::colour::Colour;
use super::render::{View, notice, safe};
use super::screen::Screen;
use super::signals::{Continued, Signals};
use super::status::{self, Status};
use super::terminal::{self, Restored};
use super::{state, tell};
use crate::{ClientBuilder, ConnectionState, Error, OnlinePage};

/// What a chat needs.
#[derive(Debug)]
pub struct ChatOptions {
    /// A client with routes, user, password and device; the chat adds its handler and connects.
    pub builder: ClientBuilder,
    /// Where messages are kept for looking back and for search.
    pub archive: Archive,
    /// Whether names are in colour.
    pub colour: Colour,
    /// Lines to print first.
    pub greeting: Vec<String>,
    /// Whether the terminal rings for private messages and mentions.
    pub bell: bool,
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
    let signals = Signals::listen()?;
    let continued = Continued::listen()?;
    let names = Names::default();
    let is_edited = terminal::is_interactive();
    let restored = is_edited.then(Restored::at_end).flatten();
    let (input, screen) = open(is_edited, &names)?;
    if let Some(restored) = &restored {
        restored.silence();
    }
    let view = View::of_terminal(options.colour);
    for line in options.greeting {
        let _ = screen.print(format!("{}\n", safe::line(&line))).await;
    }
    let conversations = Conversations::default();
    let name = safe::line(options.builder.name());
    let builder = options.builder.handler(Arriving {
        screen: screen.clone(),
        names: names.clone(),
        view: view.clone(),
        archive: options.archive.clone(),
        conversations: is_edited.then(|| conversations.clone()),
        has_bell: is_edited && options.bell,
    });
    let chat = Chat {
        link: Link::dial(builder),
        name,
        signals,
        continued,
        stop: options.stop,
        input,
        screen,
        view,
        names,
        conversations,
        archive: options.archive,
        outgoing: Outgoing::default(),
        delivery: Delivery::default(),
        delays: Delays::default(),
        meeting: people::nobody(),
        early: Vec::new(),
        status: Status::default(),
        _restored: restored,
        is_edited,
        is_ai: false,
        is_asked: false,
        is_leaving: false,
        signalled: None,
        next_page: None,
        worst: Exit::Done,
    };
    chat.run().await
}

fn open(is_edited: bool, names: &Names) -> io::Result<(Input, Screen)> {
    if !is_edited {
        return Ok((Input::plain()?, Screen::plain()?));
    }
    let history = state::state_dir().and_then(|folder| state::input_history(&folder));
    if let Err(error) = &history {
        tell(&t!("chat.lines_not_remembered", error = error));
    }
    let (input, above) = Input::edited(names.clone(), history.ok())?;
    Ok((input, Screen::above(above)?))
}

/// A chat that is under way.
struct Chat {
    link: Link,
    /// What the prompt calls its user.
    name: String,
    signals: Signals,
    continued: Continued,
    stop: CancellationToken,
    input: Input,
    screen: Screen,
    view: View,
    names: Names,
    conversations: Conversations,
    archive: Archive,
    outgoing: Outgoing,
    delivery: Delivery,
    delays: Delays,
    /// Who was online when the chat began.
    meeting: BoxFuture<'static, Result<OnlinePage, Error>>,
    /// What was typed before there was a connection.
    early: Vec<(Recipient, String)>,
    status: Status,
    _restored: Option<Restored>,
    /// Whether somebody sits at a prompt.
    is_edited: bool,
    /// Whether plain lines are answered here.
    is_ai: bool,
    /// Whether a line is being typed.
    is_asked: bool,
    /// Whether Ctrl-C came last: the next one leaves.
    is_leaving: bool,
    /// A signal that came while something else was awaited.
    signalled: Option<Exit>,
    /// What `:more` asks for.
    next_page: Option<More>,
    /// The worst that happened.
    worst: Exit,
}

/// What happens next in a chat.
enum Step {
    Signal(Exit),
    Continued,
    Unread,
    Link(LinkNews),
    Sends(News),
    Delivery(DeliveryNews),
    Due(Delayed),
    Met(Result<OnlinePage, Error>),
    Trouble(Trouble),
    Typed(Typed),
}

impl Chat {
    async fn run(mut self) -> Result<Exit, ChatError> {
        loop {
            self.ask();
            let client = self.link.client().cloned();
            let has_room = client.is_some() && self.outgoing.has_room();
            let step = tokio::select! {
                biased;
                exit = self.signals.next() => Step::Signal(exit),
                () = self.continued.next() => Step::Continued,
                () = self.stop.cancelled() => Step::Signal(Exit::Terminated),
                () = self.screen.gone() => Step::Unread,
                news = self.link.next() => Step::Link(news),
                news = self.outgoing.next() => Step::Sends(news),
                // A pipe waits for room; a person is told.
                typed = self.input.next(), if self.is_edited || has_room => Step::Typed(typed),
                delayed = self.delays.next(), if has_room => Step::Due(delayed),
                page = &mut self.meeting => Step::Met(page),
                news = self.delivery.next(client.as_ref()) => Step::Delivery(news),
                trouble = self.archive.trouble() => Step::Trouble(trouble),
            };
            if let Step::Link(LinkNews::Failed(error)) = step {
                self.abandon_prompt().await;
                self.give_up_early().await;
                return Err(error.into());
            }
            let leave = self.take(step).await;
            if let Some(leave) = leave.or_else(|| self.signalled.map(Leave::AtOnce)) {
                return Ok(self.leave(leave).await);
            }
        }
    }

    async fn take(&mut self, step: Step) -> Option<Leave> {
        match step {
            Step::Signal(Exit::Interrupted) if self.is_edited => return self.interrupted().await,
            Step::Signal(exit) => return Some(Leave::AtOnce(exit)),
            Step::Continued => self.input.resume(),
            Step::Unread => return Some(Leave::AtOnce(self.worst)),
            Step::Link(LinkNews::State(state)) => return self.state_changed(&state).await,
            Step::Link(_) => self.welcome().await,
            Step::Sends(news) => self.follow(news).await,
            Step::Delivery(news) => self.delivered(news).await,
            Step::Trouble(trouble) => self.tell(&trouble.to_string()).await,
            Step::Due(delayed) => self.send_delayed(delayed).await,
            Step::Met(page) => self.met(page),
            Step::Typed(typed) => {
                self.is_asked = false;
                return self.typed(typed).await;
            }
        }
        None
    }

    /// The first connection is there.
    async fn welcome(&mut self) {
        let Some(client) = self.link.client().filter(|_| self.is_edited) else {
            return;
        };
        let identity = client.identity();
        let (name, id) = (&identity.name, identity.user);
        self.name = name.to_string();
        let welcome = t!("chat.welcome", name = name, id = id);
        self.tell(&welcome).await;
        self.meet();
        self.send_early().await;
        self.load_delays().await;
    }

    async fn typed(&mut self, typed: Typed) -> Option<Leave> {
        let line = match typed {
            Typed::Line(line) => line,
            Typed::Interrupted => return self.interrupted().await,
            Typed::End => return Some(Leave::Answered),
            Typed::Unreadable(why) => {
                self.fail(Exit::Fixable, &t!("chat.unreadable", reason = why))
                    .await;
                return None;
            }
        };
        self.is_leaving = false;
        match command::parse(&line) {
            Ok(Line::Empty) => {}
            Ok(Line::Text(text)) => self.say_plainly(text).await,
            Ok(Line::Say { to, text }) => self.say(to, text).await,
            Ok(Line::Command(Command::Quit)) => return Some(Leave::Answered),
            Ok(Line::Command(Command::QuitAtOnce)) => return Some(Leave::AtOnce(self.worst)),
            Ok(Line::Command(command)) => self.obey(command).await,
            Err(mistake) => self.fail(Exit::Fixable, &mistake.to_string()).await,
        }
        None
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
        self.tell(&t!("chat.interrupted")).await;
        None
    }

    fn ask(&mut self) {
        if !std::mem::replace(&mut self.is_asked, true) {
            self.input.ask(&self.prompt());
        }
    }

    /// Who speaks, to whom: `alice> `, `alice @bob> `, `alice (ai)> `.
    fn prompt(&self) -> String {
        let focus = match (self.is_ai, self.conversations.focus().name) {
            (true, _) => " (ai)".to_owned(),
            (false, Some(name)) => format!(" @{}", safe::line(&name)),
            (false, None) => String::new(),
        };
        format!("{}{focus}> ", self.name)
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
