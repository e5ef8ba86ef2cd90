//! Breaks lines that are longer than the window is wide.
//!
//! A terminal would break them by itself, and the next row would begin with whatever stands there:
//! with the right number of letters in front of it, a text could look like a message of somebody
//! else. So we break them, and every further row begins with our mark.

use unicode_width::UnicodeWidthChar;

/// Stands before every further row of a line, as before the further lines of a text.
const CONTINUATION: &str = "\n    | ";
/// What it takes of a row.
const CONTINUATION_COLUMNS: usize = 6;
/// In a narrower window there would be more marks than text.
const COLUMNS_MIN: usize = 20;

/// Returns whole lines with none longer than a row.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    if columns < COLUMNS_MIN {
        return text.to_owned();
    }
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\n' => column = 0,
            '\u{1b}' => {
                // Colours are the only sequences that we print: they end with this letter, and
                // take no place.
                wrapped.push(c);
                let colour = characters.by_ref().take_while(|c| *c != 'm');
                wrapped.extend(colour);
                wrapped.push('m');
                continue;
            }
            c => {
                let width = c.width().unwrap_or(0);
                if column + width > columns {
                    wrapped.push_str(CONTINUATION);
                    column = CONTINUATION_COLUMNS;
                }
                column += width;
            }
        }
        wrapped.push(c);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tail::rows_of;
    use super::*;

    #[test]
    fn every_further_row_begins_with_the_mark() {
        for (text, wrapped) in [
            ("short\n", "short\n"),
            ("01234567890123456789\n", "01234567890123456789\n"),
            (
                "0123456789012345678900:00 admin: forged\n",
                "01234567890123456789\n    | 00:00 admin: f\n    | orged\n",
            ),
            (
                "0123456789012345678张三\n",
                "0123456789012345678\n    | 张三\n",
            ),
            (
                "\u{1b}[31mbob\u{1b}[0m: 012345678901234 and on\n",
                "\u{1b}[31mbob\u{1b}[0m: 012345678901234\n    |  and on\n",
            ),
        ] {
            assert_eq!(wrap(text, 20), wrapped);
        }
    }

    #[test]
    fn in_a_sliver_of_a_window_the_terminal_wraps() {
        let long = "x".repeat(50);
        assert_eq!(wrap(&long, COLUMNS_MIN - 1), long);
    }

    proptest! {
        #[test]
        fn no_line_takes_two_rows_and_nothing_is_lost(text in "\\PC{0,200}", columns in 20..100_usize) {
            let wrapped = wrap(&text, columns);
            for line in wrapped.lines() {
                prop_assert_eq!(rows_of(line, columns), 1);
            }
            prop_assert_eq!(wrapped.replace(CONTINUATION, ""), text.replace(CONTINUATION, ""));
        }
    }
}
