//! What every uplink does, in process and over HTTP.

use im_common::code::Code;
use im_common::id::{
    ConnectionId, ConversationId, LogEpoch, MessageId, Sequence, ServerId, SessionEpoch,
};
use im_common::message::{Fork, Identity, Position, Recipient, Session, Submission};
use im_common::name::UserName;
use im_common::transport::{DeviceAck, SyncRequest, Uplink};

use super::Links;

fn session(identity: &Identity, login: u64, attempt: u32) -> Session {
    Session {
        user: identity.user,
        device: identity.device.clone(),
        server: ServerId::new("elsewhere").expect("an id"),
        connection: ConnectionId(attempt.into()),
        epoch: SessionEpoch { login, attempt },
    }
}

fn offer(sender: &Identity, to: &Identity, text: &str) -> (Identity, Submission) {
    let to = Recipient::User(to.user);
    (
        sender.clone(),
        Submission {
            id: MessageId::fresh(),
            to,
            text: text.into(),
        },
    )
}

/// What every uplink does; `near` and `far` keep the names of two runs apart.
async fn submitting(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (alice, _) = links.somebody(&format!("alice-{run}")).await;
    let (bob, _) = links.somebody(&format!("bob-{run}")).await;
    let first = offer(&alice, &bob, "one");
    let mut conflicting = first.clone();
    conflicting.1.text = "other".into();
    let nobody = Recipient::Name(UserName::new("nobody-at-all").expect("a name"));
    let to_nobody = (
        alice.clone(),
        Submission {
            to: nobody,
            ..offer(&alice, &bob, "x").1
        },
    );
    let offers = vec![
        first.clone(),
        offer(&alice, &bob, ""),
        offer(&alice, &bob, "two"),
        to_nobody,
        first,
        conflicting,
    ];
    let outcomes = uplink.submit(offers).await;
    let sequences: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(receipt) => Ok(receipt.position.sequence.0),
            Err(refusal) => Err(refusal.code),
        })
        .collect();
    let expected = [
        Ok(1),
        Err(Code::TEXT_EMPTY),
        Ok(2),
        Err(Code::USER_UNKNOWN),
        Ok(1),
        Err(Code::ID_CONFLICT),
    ];
    assert_eq!(sequences, expected, "{run}");
}

async fn syncing(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (alice, _) = links.somebody(&format!("anna-{run}")).await;
    let (bob, _) = links.somebody(&format!("bert-{run}")).await;
    let offers = vec![offer(&alice, &bob, "one"), offer(&alice, &bob, "two")];
    assert!(uplink.submit(offers).await.iter().all(Result::is_ok));
    let conversation = ConversationId::private(alice.user, bob.user);
    let ask = |epoch, after| SyncRequest {
        conversation: conversation.clone(),
        epoch,
        after: Sequence(after),
    };
    let page = uplink
        .sync(bob.user, ask(LogEpoch(0), 0))
        .await
        .expect("a page");
    let texts: Vec<_> = page
        .messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!((texts, page.head), (vec!["one", "two"], Sequence(2)));
    assert_eq!(page.messages[0].sender, alice);
    let rest = uplink
        .sync(bob.user, ask(page.epoch, 1))
        .await
        .expect("a page");
    assert_eq!(rest.messages.len(), 1);
    assert_eq!(rest.fork, None);
    let earlier = LogEpoch(page.epoch.0 - 1);
    let void = uplink
        .sync(bob.user, ask(earlier, 1))
        .await
        .expect("a page");
    assert_eq!(
        (void.messages.len(), void.epoch),
        (0, page.epoch),
        "an epoch before the log began has nothing in common with it"
    );
    let fork = Fork {
        epoch: earlier,
        sequence: Sequence(0),
    };
    assert_eq!(void.fork, Some(fork));
    let (mallory, _) = links.somebody(&format!("mallory-{run}")).await;
    let refused = uplink
        .sync(mallory.user, ask(page.epoch, 0))
        .await
        .expect_err("not a member");
    assert_eq!(refused.code, Code::NOT_PERMITTED);
}

async fn attaching(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (carol, login) = links.somebody(&format!("carol-{run}")).await;
    let (dave, _) = links.somebody(&format!("dave-{run}")).await;
    let outcome = uplink
        .submit(vec![
            offer(&dave, &carol, "hi"),
            offer(&dave, &carol, "again"),
        ])
        .await;
    let receipt = outcome[1].clone().expect("accepted");
    let conversation = receipt.position.conversation.clone();
    links
        .backend
        .messages
        .enlist(&conversation, &[carol.user])
        .await
        .expect("enlisted");
    let handled = async |positions| {
        let heads = uplink
            .heads(carol.user, &carol.device, positions)
            .await
            .expect("heads");
        assert!(heads.is_whole);
        let head = heads
            .heads
            .into_iter()
            .find(|head| head.newest.conversation == conversation)
            .expect("listed");
        (head.newest.sequence.0, head.handled.0)
    };
    let heads = uplink
        .attach(&session(&carol, login, 2), Vec::new())
        .await
        .expect("attached");
    assert!(
        heads
            .heads
            .iter()
            .any(|head| head.newest == receipt.position && head.handled == Sequence(0))
    );
    let position = |sequence| Position {
        sequence: Sequence(sequence),
        ..receipt.position.clone()
    };
    let ack = |sequence| DeviceAck {
        user: carol.user,
        device: carol.device.clone(),
        positions: vec![position(sequence)],
    };
    uplink.ack(vec![ack(2)]).await.expect("acked");
    uplink.ack(vec![ack(1)]).await.expect("acked");
    assert_eq!(
        handled(Vec::new()).await,
        (2, 2),
        "positions never move back, and level logs are listed"
    );
    assert_eq!(
        handled(vec![position(1)]).await,
        (2, 1),
        "the device knows best"
    );
}

async fn fencing(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (carol, login) = links.somebody(&format!("cora-{run}")).await;
    let newest = session(&carol, login, 2);
    uplink.attach(&newest, Vec::new()).await.expect("attached");
    let older = uplink
        .attach(&session(&carol, login, 1), Vec::new())
        .await
        .expect_err("older");
    assert_eq!(older.code, Code::DISPLACED);
    let stale = uplink
        .attach(&session(&carol, login - 1, 9), Vec::new())
        .await
        .expect_err("older login");
    assert!(
        [Code::DISPLACED, Code::LOGGED_OUT].contains(&stale.code),
        "{stale:?}"
    );
    let renewal = uplink
        .renew(vec![session(&carol, login, 1), session(&carol, login, 2)])
        .await
        .expect("renewed");
    assert_eq!(
        (renewal.superseded, renewal.restored),
        (vec![ConnectionId(1)], vec![])
    );
    uplink
        .detach(&session(&carol, login, 1))
        .await
        .expect("no effect");
    assert_eq!(
        links
            .backend
            .sessions
            .locate(&[carol.user])
            .await
            .expect("located")
            .len(),
        1
    );
    uplink
        .detach(&session(&carol, login, 2))
        .await
        .expect("detached");
    assert!(
        links
            .backend
            .sessions
            .locate(&[carol.user])
            .await
            .expect("located")
            .is_empty()
    );
    let restored = uplink
        .renew(vec![session(&carol, login, 2)])
        .await
        .expect("renewed");
    assert_eq!(restored.restored, [ConnectionId(2)]);
    links
        .backend
        .directory
        .log_out(carol.user, &carol.device, login)
        .await
        .expect("logged out");
    let ended = uplink
        .attach(&session(&carol, login, 3), Vec::new())
        .await
        .expect_err("logged out");
    assert_eq!(ended.code, Code::LOGGED_OUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_uplinks_keep_the_contract() {
    let links = Links::open().await;
    for (uplink, run) in [(&links.near_uplink, "near"), (&links.far_uplink, "far")] {
        submitting(&links, &**uplink, run).await;
        syncing(&links, &**uplink, run).await;
        attaching(&links, &**uplink, run).await;
        fencing(&links, &**uplink, run).await;
    }
    links.tasks.cancel();
}
