//! What waits for somebody: into the private conversation of sender and receiver, unread.

use std::collections::{HashMap, HashSet};

use im_common::backend::Stores;
use im_common::backend::messages::Appended;
use im_common::cim::device;
use im_common::id::{ConversationId, Members, UserId};
use im_common::message::{Draft, Identity};

use super::offline::Offline;
use super::source::{Source, WAITING};
use super::summary::Summary;

/// Imports everything that waits, receiver by receiver, each in CIM's order.
pub(super) async fn import(
    source: &mut Source,
    stores: &Stores,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let mut walk = Source::walk(WAITING);
    while let Some(lists) = source.next(&mut walk).await? {
        for list in lists {
            let mut import = Import::begin(stores, &list, summary).await?;
            import.list(source, &list).await?;
        }
    }
    Ok(())
}

/// What waits for one receiver.
struct Import<'a> {
    stores: &'a Stores,
    summary: &'a mut Summary,
    /// As CIM has it.
    id: String,
    /// None when there is no such account here.
    receiver: Option<UserId>,
    senders: HashMap<UserId, Option<Identity>>,
}

impl<'a> Import<'a> {
    async fn begin(
        stores: &'a Stores,
        list: &str,
        summary: &'a mut Summary,
    ) -> anyhow::Result<Self> {
        let mut import = Self {
            stores,
            summary,
            id: list[WAITING.len()..].to_owned(),
            receiver: None,
            senders: HashMap::new(),
        };
        if let Ok(user) = import.id.parse() {
            import.receiver = import.identity(user).await?.map(|identity| identity.user);
        }
        Ok(import)
    }

    /// Page by page. CIM may deliver meanwhile, which takes ids from the front: then some are not
    /// seen, and need not be.
    async fn list(&mut self, source: &mut Source, list: &str) -> anyhow::Result<()> {
        let mut from = 0;
        loop {
            let page = source.waiting(list, from).await?;
            if page.is_empty() {
                return Ok(());
            }
            from += isize::try_from(page.len())?;
            self.page(page).await?;
        }
    }

    async fn page(&mut self, page: Vec<(String, Option<String>)>) -> anyhow::Result<()> {
        let mut drafts = Vec::new();
        for (id, value) in page {
            let Some(value) = value else {
                self.summary.expired += 1;
                continue;
            };
            match self.drafts(&id, &value).await? {
                Ok(parts) => drafts.extend(parts),
                Err(why) => self.summary.leave_message(&id, &self.id, why),
            }
        }
        self.append(drafts).await
    }

    /// The messages that a stored one becomes, or why none.
    async fn drafts(
        &mut self,
        id: &str,
        value: &str,
    ) -> anyhow::Result<Result<Vec<Draft>, String>> {
        let Some(receiver) = self.receiver else {
            return Ok(Err("there is no such account here".to_owned()));
        };
        let message = match Offline::read(id, value) {
            Ok(message) => message,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let Some(sender) = self.identity(message.sender).await? else {
            let why = format!("its sender, {}, has no account here", message.sender);
            return Ok(Err(why));
        };
        let draft = |(id, text)| Draft {
            conversation: ConversationId::private(sender.user, receiver),
            id,
            sender: sender.clone(),
            text,
        };
        Ok(Ok(message.parts.into_iter().map(draft).collect()))
    }

    async fn identity(&mut self, user: UserId) -> anyhow::Result<Option<Identity>> {
        if let Some(known) = self.senders.get(&user) {
            return Ok(known.clone());
        }
        let name = self.stores.directory.name_of(user).await?;
        let identity = name.map(|name| Identity {
            user,
            name,
            device: device(),
        });
        self.senders.insert(user, identity.clone());
        Ok(identity)
    }

    /// Enlists first: a message that is stored is found by whoever it is for. The fan-out is left
    /// to the nodes, which take up what nobody settled.
    async fn append(&mut self, drafts: Vec<Draft>) -> anyhow::Result<()> {
        let conversations: HashSet<_> = drafts.iter().map(|draft| &draft.conversation).collect();
        for conversation in conversations {
            if let Members::Users(users) = conversation.members() {
                self.stores.messages.enlist(conversation, &users).await?;
            }
        }
        for appended in self.stores.messages.append(drafts).await {
            match appended? {
                Appended::New(_) => self.summary.messages.imported += 1,
                Appended::Duplicate(_) => self.summary.messages.known += 1,
            }
        }
        Ok(())
    }
}
