//! Whether a text names its reader, as `@name`, and where.

use std::ops::Range;

use im_common::name::fold;

/// Whether a text mentions a name.
pub(in crate::cli) fn is_in(text: &str, name: &str) -> bool {
    places(text, name).next().is_some()
}

/// Every mention, each with its `@`.
pub(super) fn places(text: &str, name: &str) -> impl Iterator<Item = Range<usize>> {
    let folded = fold(name);
    let length = name.chars().count();
    text.match_indices('@').filter_map(move |(start, _)| {
        let behind = &text[start + 1..];
        let end = behind
            .char_indices()
            .nth(length)
            .map_or(behind.len(), |(end, _)| end);
        let (named, rest) = behind.split_at(end);
        // `@bobby` does not mean bob. In scripts without spaces the text goes on at once.
        let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_whole = !rest.starts_with(goes_on);
        (is_whole && fold(named) == folded).then_some(start..start + 1 + end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_a_whole_name() {
        for (text, name, expected) in [
            ("hi @bob!", "bob", Some(3..7)),
            ("hi @BOB", "Bob", Some(3..7)),
            ("@bobby", "bob", None),
            ("@bo", "bob", None),
            ("bob", "bob", None),
            ("@@bob", "bob", Some(1..5)),
            ("请@张三看一下", "张三", Some(3..10)),
            ("@", "bob", None),
        ] {
            assert_eq!(places(text, name).next(), expected, "{text:?}");
        }
    }
}
