//! What every `Directory` must do.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use super::{fresh_device, fresh_name, fresh_user};
use crate::backend::directory::{Account, Adopted, Directory, LOGINS_MAX, Login, Registered};
use crate::id::UserId;
use crate::name::UserName;
use crate::secret::Secret;

/// Runs every check.
pub async fn suite(directory: Arc<dyn Directory>) {
    let directory = &*directory;
    a_registered_user_is_found(directory).await;
    an_account_without_a_password_stays_without(directory).await;
    a_name_is_found_without_regard_to_case(directory).await;
    a_look_alike_is_taken_but_not_found(directory).await;
    of_look_alikes_at_once_one_succeeds(directory).await;
    ids_are_given_once(directory).await;
    an_adopted_account_keeps_its_id(directory).await;
    an_adopted_account_takes_nothing_from_others(directory).await;
    an_adopted_id_is_not_drawn(directory).await;
    a_login_ends_the_earlier_one_of_its_device(directory).await;
    only_the_login_that_holds_can_be_ended(directory).await;
    epochs_rise_after_logging_out(directory).await;
    logins_at_once_have_different_epochs(directory).await;
    one_login_too_many_ends_the_oldest(directory).await;
}

async fn register(directory: &dyn Directory, name: &UserName) -> Registered {
    let hash = Secret(format!("$argon2id$hash of {name}"));
    directory.register(name, hash).await.unwrap()
}

async fn register_new(directory: &dyn Directory, name: &UserName) -> Account {
    match register(directory, name).await {
        Registered::New(account) => account,
        Registered::Taken => panic!("{name} is taken"),
    }
}

/// Everything about an account comes back as it was given.
pub async fn a_registered_user_is_found(directory: &dyn Directory) {
    let name = fresh_name("Alice");
    assert_eq!(directory.find(&name).await.unwrap(), None);
    let account = register_new(directory, &name).await;
    assert_eq!(account.name, name);
    assert_eq!(account.password_hash.0, format!("$argon2id$hash of {name}"));
    let user = account.user;
    assert_eq!(directory.find(&name).await.unwrap(), Some(account.clone()));
    assert_eq!(directory.account(user).await.unwrap(), Some(account));
    assert_eq!(directory.name_of(user).await.unwrap(), Some(name));
    assert_eq!(directory.name_of(fresh_user()).await.unwrap(), None);
    assert_eq!(directory.account(fresh_user()).await.unwrap(), None);
}

/// No hash is as good as any other, and comes back as none.
pub async fn an_account_without_a_password_stays_without(directory: &dyn Directory) {
    let name = fresh_name("Open");
    let registered = directory.register(&name, Secret(String::new())).await;
    let Registered::New(account) = registered.unwrap() else {
        panic!("{name} is taken");
    };
    assert!(!account.has_password());
    let found = directory.account(account.user).await.unwrap();
    assert_eq!(found, Some(account));
}

/// Whatever case is asked for, the answer has the case that was chosen.
pub async fn a_name_is_found_without_regard_to_case(directory: &dyn Directory) {
    let name = fresh_name("Дмитрий");
    let account = register_new(directory, &name).await;
    let shouted = UserName::new(&name.as_str().to_uppercase()).unwrap();
    assert_eq!(directory.find(&shouted).await.unwrap(), Some(account));
    assert_eq!(register(directory, &shouted).await, Registered::Taken);
}

/// Somebody else's name cannot be imitated; asking for the imitation does not lead to somebody.
pub async fn a_look_alike_is_taken_but_not_found(directory: &dyn Directory) {
    let name = fresh_name("bo1-z");
    register_new(directory, &name).await;
    let look_alike = UserName::new(&name.as_str().replacen('1', "l", 1)).unwrap();
    assert_ne!(look_alike.folded(), name.folded());
    assert_eq!(look_alike.skeleton(), name.skeleton());
    assert_eq!(register(directory, &look_alike).await, Registered::Taken);
    assert_eq!(directory.find(&look_alike).await.unwrap(), None);
}

/// Of several at once with the same skeleton exactly one succeeds.
pub async fn of_look_alikes_at_once_one_succeeds(directory: &dyn Directory) {
    let name = fresh_name("ro1t-z");
    let look_alike = UserName::new(&name.as_str().replacen('1', "l", 1)).unwrap();
    let shouted = UserName::new(&name.as_str().to_uppercase()).unwrap();
    let names: Vec<_> = [name, look_alike, shouted]
        .into_iter()
        .cycle()
        .take(15)
        .collect();
    let outcomes = join_all(names.iter().map(|name| register(directory, name))).await;
    let mut accounts = outcomes.into_iter().filter_map(|outcome| match outcome {
        Registered::New(account) => Some(account),
        Registered::Taken => None,
    });
    let winner = accounts.next().expect("one succeeds");
    assert_eq!(accounts.next(), None, "only one succeeds");
    assert_eq!(directory.find(&winner.name).await.unwrap(), Some(winner));
}

/// No two users have the same id, also when they register at once.
pub async fn ids_are_given_once(directory: &dyn Directory) {
    let names: Vec<_> = (0..16).map(|_| fresh_name("many")).collect();
    let accounts = join_all(names.iter().map(|name| register_new(directory, name))).await;
    let ids: BTreeSet<_> = accounts.iter().map(|account| account.user).collect();
    assert_eq!(ids.len(), names.len());
}

fn foreign(user: UserId, name: UserName) -> Account {
    Account {
        user,
        name,
        password_hash: Secret(String::new()),
    }
}

/// An account that was made elsewhere is found as any other, and can be taken over again.
pub async fn an_adopted_account_keeps_its_id(directory: &dyn Directory) {
    let account = foreign(fresh_user(), fresh_name("Guest"));
    assert_eq!(directory.adopt(&account).await.unwrap(), Adopted::New);
    let found = directory.find(&account.name).await.unwrap();
    assert_eq!(found.as_ref(), Some(&account));
    let name = directory.name_of(account.user).await.unwrap();
    assert_eq!(name.as_ref(), Some(&account.name));
    assert_eq!(directory.adopt(&account).await.unwrap(), Adopted::Known);
    assert_eq!(register(directory, &account.name).await, Registered::Taken);
}

/// Neither an id nor a name that somebody has is given to a stranger.
pub async fn an_adopted_account_takes_nothing_from_others(directory: &dyn Directory) {
    let owner = register_new(directory, &fresh_name("owner")).await;
    let shouted = UserName::new(&owner.name.as_str().to_uppercase()).unwrap();
    for stranger in [
        foreign(owner.user, fresh_name("other")),
        foreign(fresh_user(), owner.name.clone()),
        foreign(fresh_user(), shouted),
    ] {
        assert_eq!(directory.adopt(&stranger).await.unwrap(), Adopted::Taken);
    }
    let known = foreign(owner.user, owner.name.clone());
    assert_eq!(directory.adopt(&known).await.unwrap(), Adopted::Known);
    let found = directory.find(&owner.name).await.unwrap();
    assert_eq!(found, Some(owner), "with the password that it had");
}

/// Whoever registers next gets another id, however near the adopted one was.
pub async fn an_adopted_id_is_not_drawn(directory: &dyn Directory) {
    let last = register_new(directory, &fresh_name("last")).await.user;
    let next = UserId::new(last.number() + 1).unwrap();
    let account = foreign(next, fresh_name("next"));
    let adopted = directory.adopt(&account).await.unwrap();
    let after = register_new(directory, &fresh_name("after")).await.user;
    // In a shared store somebody else may have drawn it already.
    assert!(adopted == Adopted::Taken || after != next);
}

/// The newest login of a device holds, with its own token.
pub async fn a_login_ends_the_earlier_one_of_its_device(directory: &dyn Directory) {
    let (user, phone, desk) = (fresh_user(), fresh_device(), fresh_device());
    assert_eq!(directory.login(user, &phone).await.unwrap(), None);
    let first = directory.log_in(user, &phone, [1; 32]).await.unwrap();
    let on_desk = directory.log_in(user, &desk, [2; 32]).await.unwrap();
    let second = directory.log_in(user, &phone, [3; 32]).await.unwrap();
    assert!(second > first);
    let login = |epoch, byte| {
        Some(Login {
            epoch,
            token_digest: [byte; 32],
        })
    };
    assert_eq!(
        directory.login(user, &phone).await.unwrap(),
        login(second, 3)
    );
    assert_eq!(
        directory.login(user, &desk).await.unwrap(),
        login(on_desk, 2)
    );
    assert_eq!(directory.login(fresh_user(), &phone).await.unwrap(), None);
}

/// A late logout of an earlier login changes nothing.
pub async fn only_the_login_that_holds_can_be_ended(directory: &dyn Directory) {
    let (user, device) = (fresh_user(), fresh_device());
    let first = directory.log_in(user, &device, [1; 32]).await.unwrap();
    let second = directory.log_in(user, &device, [2; 32]).await.unwrap();
    directory.log_out(user, &device, first).await.unwrap();
    directory
        .log_out(user, &fresh_device(), second)
        .await
        .unwrap();
    let login = directory.login(user, &device).await.unwrap();
    assert_eq!(login.map(|login| login.epoch), Some(second));
    directory.log_out(user, &device, second).await.unwrap();
    assert_eq!(directory.login(user, &device).await.unwrap(), None);
    directory.log_out(user, &device, second).await.unwrap();
}

/// A device that logged out does not begin anew: its old sessions must stay old.
pub async fn epochs_rise_after_logging_out(directory: &dyn Directory) {
    let (user, device) = (fresh_user(), fresh_device());
    let mut last = 0;
    for _ in 0..5 {
        let epoch = directory.log_in(user, &device, [0; 32]).await.unwrap();
        assert!(epoch > last);
        directory.log_out(user, &device, epoch).await.unwrap();
        last = epoch;
    }
}

/// Logins of one device at once: each has an epoch of its own, and the greatest holds.
pub async fn logins_at_once_have_different_epochs(directory: &dyn Directory) {
    let (user, device) = (fresh_user(), fresh_device());
    let calls = (0..16).map(|n| directory.log_in(user, &device, [n; 32]));
    let epochs: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let different: BTreeSet<_> = epochs.iter().copied().collect();
    assert_eq!(different.len(), epochs.len());
    let login = directory.login(user, &device).await.unwrap().unwrap();
    assert_eq!(Some(&login.epoch), different.last());
    assert_eq!(epochs[usize::from(login.token_digest[0])], login.epoch);
}

/// A user has at most [`LOGINS_MAX`] devices; the one that logged in first has to go.
pub async fn one_login_too_many_ends_the_oldest(directory: &dyn Directory) {
    let user = fresh_user();
    let devices: Vec<_> = (0..=LOGINS_MAX).map(|_| fresh_device()).collect();
    for device in &devices[..LOGINS_MAX] {
        directory.log_in(user, device, [0; 32]).await.unwrap();
    }
    // The first is not the oldest any more, and a device that is there needs no further place.
    let again = directory.log_in(user, &devices[0], [0; 32]).await.unwrap();
    assert!(directory.login(user, &devices[1]).await.unwrap().is_some());
    let last = directory
        .log_in(user, &devices[LOGINS_MAX], [0; 32])
        .await
        .unwrap();
    assert!(last > again);
    for (n, device) in devices.iter().enumerate() {
        let holds = directory.login(user, device).await.unwrap().is_some();
        assert_eq!(holds, n != 1, "device {n}");
    }
}
