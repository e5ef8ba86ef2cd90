//! Where the archive of an account is: a file for each account and cluster.

use std::io;
use std::path::PathBuf;

use im_common::name::UserName;

use crate::cli::state;

/// The folder of the archives; created when missing.
pub(super) fn folder() -> io::Result<PathBuf> {
    state::folder("archive")
}

/// The name of the file for a user of the cluster with these routes. A cluster has no name of its
/// own: it is known by the first of its routes.
pub(super) fn file_name(user: &UserName, routes: &[String]) -> String {
    let route = routes.first().map_or("", String::as_str);
    let address = route
        .split_once("://")
        .map_or(route, |(_, address)| address);
    let mut name = format!("{}@", user.folded());
    for byte in address.trim_end_matches('/').bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            b'A'..=b'Z' => name.push(char::from(byte.to_ascii_lowercase())),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name.push_str(".db");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_of_each_cluster_has_a_file() {
        for (user, route, expected) in [
            (
                "Alice",
                "http://127.0.0.1:8083",
                "alice@127.0.0.1%3a8083.db",
            ),
            ("a.b", "https://Chat.Example/", "a.b@chat.example.db"),
            (
                "小明",
                "http://[::1]:1/im/../x",
                "小明@%5b%3a%3a1%5d%3a1%2fim%2f..%2fx.db",
            ),
        ] {
            let user = UserName::new(user).unwrap();
            assert_eq!(file_name(&user, &[route.to_owned()]), expected);
        }
    }
}
