//! What a mistyped word was probably meant to be.

/// Longer words are not compared: nobody mistypes that much.
const WORD_CHARS_MAX: usize = 16;
/// More wrong letters than this and a suggestion would be a guess.
const TYPOS_MAX: usize = 2;

/// The known word that is nearest to this one, if any is near.
pub(super) fn among<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.is_empty() || word.len() > WORD_CHARS_MAX {
        return None;
    }
    known
        .map(|known| (typos(&word, known), known))
        // A word with nothing right in it is no typo of a short one.
        .filter(|(typos, known)| *typos <= TYPOS_MAX && *typos < known.len().max(word.len()))
        .min_by_key(|(typos, _)| *typos)
        .map(|(_, known)| known)
}

/// Levenshtein distance.
fn typos(word: &[char], known: &str) -> usize {
    let mut previous: Vec<usize> = (0..=word.len()).collect();
    for (row, expected) in known.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, typed) in word.iter().enumerate() {
            let replaced = previous[column] + usize::from(*typed != expected);
            let shorter = previous[column + 1].min(current[column]) + 1;
            current.push(replaced.min(shorter));
        }
        previous = current;
    }
    previous[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let near = |word| among(word, ["history", "route", "q"].into_iter());
        for (word, meant) in [
            ("histroy", Some("history")),
            ("ROUT", Some("route")),
            ("x", None),
            ("something-else", None),
            ("", None),
        ] {
            assert_eq!(near(word), meant, "{word}");
        }
        assert_eq!(near(&"r".repeat(WORD_CHARS_MAX + 1)), None);
    }
}
