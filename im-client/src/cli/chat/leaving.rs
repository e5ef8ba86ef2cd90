//! The end of a chat: what is waited for, what is told, and the terminal given back.

use std::time::Duration;

use rust_i18n::t;
use tokio::time::timeout;

use super::{Chat, Exit, Failure};

/// How long `:q` waits for answers: what a person accepts. A pipe waits as long as sends may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// How long the end waits for the cluster to take note of it.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// How to leave.
pub(super) enum Leave {
    /// After what was sent is answered.
    Answered,
    /// Now, and so.
    AtOnce(Exit),
    /// The client has ended, for this reason.
    Ended(Failure),
}

impl Chat {
    /// Ends the chat; tells what is not known to be accepted.
    pub(super) async fn leave(mut self, leave: Leave) -> Exit {
        self.abandon_prompt().await;
        let (exit, reason) = match leave {
            Leave::Answered => (self.wait_for_answers().await, None),
            Leave::AtOnce(exit) => (exit, None),
            Leave::Ended(failure) => (failure.exit, Some(failure.to_string())),
        };
        if let Some(client) = self.link.client()
            && timeout(CLOSE_WITHIN, client.close()).await.is_err()
        {
            tracing::debug!("left before the cluster took note");
        }
        if let Some(reason) = reason {
            self.tell(&reason).await;
        }
        self.give_up_early().await;
        let unanswered: Vec<String> = self.outgoing.unanswered().map(str::to_owned).collect();
        for what in &unanswered {
            self.tell(&t!("chat.unknown_at_end", what = what)).await;
        }
        if self.is_edited {
            for line in self.unread() {
                self.tell(&line).await;
            }
        }
        if timeout(CLOSE_WITHIN, self.archive.clone().close())
            .await
            .is_err()
        {
            tracing::debug!("left before everything was kept");
        }
        match exit {
            Exit::Done if !unanswered.is_empty() => Exit::Unknown,
            exit => exit,
        }
    }

    /// Ends the line that is being typed; afterwards nothing draws a prompt again.
    pub(super) async fn abandon_prompt(&mut self) {
        if self.is_edited && std::mem::take(&mut self.is_asked) {
            self.input.stop().await;
        }
    }

    async fn wait_for_answers(&mut self) -> Exit {
        let patience = match self.is_edited {
            true => ANSWERS_WITHIN,
            // Every send ends by itself.
            false => Duration::MAX,
        };
        let answers = async {
            while self.outgoing.len() > 0 {
                let news = tokio::select! {
                    exit = self.signals.next() => return exit,
                    news = self.outgoing.next() => news,
                };
                self.follow(news).await;
            }
            self.worst
        };
        let exit = timeout(patience, answers).await;
        exit.unwrap_or(self.worst)
    }
}
