//! What may be pasted into a report: no secrets, and no more of this machine than it takes.

/// Stands for what nobody should paste.
pub(super) const REDACTED: &str = "[redacted]";

/// An address without the name and the password that may stand in it.
pub(super) fn address(route: &str) -> String {
    let (scheme, rest) = route.split_once("://").unwrap_or(("", route));
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        None => route.to_owned(),
        Some((login, _)) => {
            let rest = &rest[login.len()..];
            let scheme = if scheme.is_empty() { "http" } else { scheme };
            format!("{scheme}://{REDACTED}{rest}")
        }
    }
}

/// A text without the path of the home folder, which has the user's name in it.
pub(super) fn home(text: &str) -> String {
    match std::env::var("HOME") {
        Ok(home) if home.len() > 1 => text.replace(&home, "~"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_does_not_tell_who_asks() {
        for (route, shown) in [
            ("http://me:pw@host:1/x@y", "http://[redacted]@host:1/x@y"),
            ("me:pw@host", "http://[redacted]@host"),
            ("http://host:1/a@b", "http://host:1/a@b"),
            ("host:1", "host:1"),
        ] {
            assert_eq!(address(route), shown);
        }
    }
}
