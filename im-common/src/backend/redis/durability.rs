//! Says at start what a Redis may lose of what was accepted, by its settings.

use std::collections::HashMap;

/// The settings that decide.
pub(super) const SETTINGS: [&str; 3] = ["appendonly", "appendfsync", "maxmemory-policy"];

/// What may be lost with these settings, and what to set instead. Settings that are not known say
/// nothing.
pub(super) fn risks(settings: &HashMap<String, String>) -> Vec<&'static str> {
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|set| set == value);
    let mut risks = Vec::new();
    if is("appendonly", "no") {
        risks.push("redis keeps nothing when it restarts: set appendonly yes");
    } else if is("appendfsync", "everysec") {
        risks.push("redis may lose the last second when its machine fails: set appendfsync always");
    } else if is("appendfsync", "no") {
        risks.push(
            "redis may lose the last half minute when its machine fails: set appendfsync always",
        );
    }
    let policy = settings.get("maxmemory-policy");
    if policy.is_some_and(|policy| policy != "noeviction") {
        risks.push("redis may throw messages away when its memory is full: set maxmemory-policy noeviction");
    }
    risks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: [&str; 3]) -> usize {
        let settings = SETTINGS.into_iter().zip(values);
        risks(
            &settings
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
        .len()
    }

    #[test]
    fn only_a_store_that_keeps_everything_is_without_risk() {
        assert_eq!(of(["yes", "always", "noeviction"]), 0);
        assert_eq!(of(["yes", "everysec", "noeviction"]), 1);
        assert_eq!(of(["yes", "no", "noeviction"]), 1);
        assert_eq!(of(["no", "always", "noeviction"]), 1);
        assert_eq!(of(["no", "everysec", "allkeys-lru"]), 2);
        assert!(
            risks(&HashMap::new()).is_empty(),
            "a Redis that does not tell"
        );
    }
}
