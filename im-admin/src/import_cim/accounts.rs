//! Accounts: users keep the numbers that their clients are configured with.

use im_common::backend::Stores;
use im_common::backend::directory::{Account, Adopted};
use im_common::id::{ConversationId, UserId};
use im_common::name::UserName;
use im_common::secret::Secret;

use super::source::{ACCOUNT, Source};
use super::summary::Summary;

/// Imports every account whose name can be one here.
pub(super) async fn import(
    source: &mut Source,
    stores: &Stores,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let mut walk = Source::walk(ACCOUNT);
    while let Some(keys) = source.next(&mut walk).await? {
        let names = source.values(&keys).await?;
        let named: Vec<String> = names
            .iter()
            .map(|name| name.clone().unwrap_or_default())
            .collect();
        let owners = source.values(&named).await?;
        for ((key, name), owner) in keys.iter().zip(names).zip(owners) {
            let id = &key[ACCOUNT.len()..];
            // Registering a name like that of this key, or one that expired, makes no account.
            let Some(name) = name else {
                summary.leave_account(id, "", "it has no name");
                continue;
            };
            match account(id, &name, key, owner) {
                Ok(account) => adopt(stores, &account, summary).await?,
                Err(why) => summary.leave_account(id, &name, why),
            }
        }
    }
    Ok(())
}

/// What an account is here, if it can be one. `owner` is whom CIM knows by this name.
fn account(id: &str, name: &str, key: &str, owner: Option<String>) -> Result<Account, String> {
    let user: UserId = id.parse().map_err(|error| format!("{error}"))?;
    match owner {
        // Two registrations at once: a name here has one owner, the one that CIM returns too.
        Some(owner) if owner.starts_with(ACCOUNT) && owner != key => {
            return Err(format!("its name belongs to {:?}", &owner[ACCOUNT.len()..]));
        }
        _ => {}
    }
    Ok(Account {
        user,
        name: UserName::new(name).map_err(|error| error.to_string())?,
        password_hash: Secret(String::new()),
    })
}

async fn adopt(stores: &Stores, account: &Account, summary: &mut Summary) -> anyhow::Result<()> {
    // Before the account is there, and only then: it begins in the lobby with what is said from now
    // on, and whoever has begun is not moved.
    if stores.directory.name_of(account.user).await?.is_none() {
        let lobby = stores.messages.heads(&[ConversationId::Lobby]).await?;
        stores.messages.begin_at(account.user, &lobby).await?;
    }
    match stores.directory.adopt(account).await? {
        Adopted::New => summary.accounts.imported += 1,
        Adopted::Known => summary.accounts.known += 1,
        Adopted::Taken => {
            let why = "the name, one that looks alike, or the number is somebody else's here";
            summary.leave_account(&account.user.to_string(), account.name.as_str(), why);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: &str, name: &str, owner: Option<&str>) -> Result<Account, String> {
        let key = format!("{ACCOUNT}{id}");
        account(id, name, &key, owner.map(str::to_owned))
    }

    #[test]
    fn an_account_keeps_its_number_and_has_no_password() {
        let id = "1547028929407";
        let account = read(id, "zhangsan", Some("cim-account:1547028929407")).unwrap();
        assert_eq!(account.user.to_string(), id);
        assert_eq!(account.name.as_str(), "zhangsan");
        assert_eq!(account.password_hash.0, "");
    }

    #[test]
    fn what_cannot_be_an_account_here_is_told_apart() {
        for (id, name, owner, why) in [
            ("x", "bob", None, "number"),
            ("0", "bob", None, "2^53"),
            ("1", "a b", None, "letters"),
            ("1", "", None, "characters"),
            ("1", "login-status\u{1b}", None, "letters"),
            ("1", "bob", Some("cim-account:2"), "belongs"),
        ] {
            let error = read(id, name, owner).unwrap_err();
            assert!(error.contains(why), "{id} {name:?}: {error}");
        }
    }
}
