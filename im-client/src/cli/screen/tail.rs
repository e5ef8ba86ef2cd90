//! The last lines that were printed, and how many rows they take: for drawing them again.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar;

use super::wrap::wrap;

/// What is kept: the largest window full of text, some 300 columns by 100 rows, twice.
const BYTES_MAX: usize = 64 * 1024;
/// Where tabs lead.
const TAB_STOP: usize = 8;

/// The last lines.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Tail {
    /// Notes whole lines.
    pub(super) fn push(&mut self, text: &str) {
        for line in text.lines() {
            self.bytes += line.len();
            self.lines.push_back(line.to_owned());
        }
        while self.bytes > BYTES_MAX
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// The last whole lines that fit into so many rows of so many columns.
    pub(super) fn fitting(&self, rows: usize, columns: usize) -> String {
        let mut left = rows;
        let mut fitting = VecDeque::new();
        for line in self.lines.iter().rev() {
            let wrapped = wrap(line, columns);
            let Some(rest) = left.checked_sub(rows_of(&wrapped, columns)) else {
                break;
            };
            left = rest;
            fitting.push_front(wrapped + "\n");
        }
        fitting.into_iter().collect()
    }
}

/// How many rows a text takes in a window. Our own colours take no place.
pub(super) fn rows_of(text: &str, columns: usize) -> usize {
    end_of(text, columns).0 + 1
}

/// How many rows a line being edited takes: when it fills its last row, the cursor needs another.
pub(super) fn rows_with_cursor(text: &str, columns: usize) -> usize {
    let (row, column) = end_of(text, columns);
    row + 1 + usize::from(column == columns)
}

/// The last row and the column behind the last character.
fn end_of(text: &str, columns: usize) -> (usize, usize) {
    let (mut row, mut column) = (0, 0);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let width = match c {
            '\u{1b}' => {
                // Colours are the only sequences that we print, and they end with this letter.
                characters.by_ref().find(|c| *c == 'm');
                0
            }
            '\n' => {
                (row, column) = (row + 1, 0);
                0
            }
            '\t' => TAB_STOP - column % TAB_STOP,
            c => c.width().unwrap_or(0),
        };
        column += width;
        if column > columns {
            (row, column) = (row + 1, width);
        }
    }
    (row, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_terminals_wrap() {
        for (text, columns, rows, with_cursor) in [
            ("", 10, 1, 1),
            ("0123456789", 10, 1, 2),
            ("0123456789a", 10, 2, 2),
            // A wide character does not fit into the last column.
            ("012345678张", 10, 2, 2),
            ("\u{1b}[31mbob\u{1b}[0m: hi", 7, 1, 2),
            ("a\nb", 10, 2, 2),
            ("cafe\u{301}", 4, 1, 2),
        ] {
            assert_eq!(rows_of(text, columns), rows, "{text:?}");
            assert_eq!(rows_with_cursor(text, columns), with_cursor, "{text:?}");
        }
    }

    #[test]
    fn the_last_whole_lines_fit() {
        let mut tail = Tail::default();
        tail.push("one\ntwo is longer\n");
        tail.push("three\n");
        assert_eq!(tail.fitting(1, 10), "three\n");
        assert_eq!(tail.fitting(2, 10), "three\n");
        assert_eq!(tail.fitting(3, 10), "two is longer\nthree\n");
        assert_eq!(tail.fitting(9, 10), "one\ntwo is longer\nthree\n");
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut tail = Tail::default();
        for _ in 0..10 {
            tail.push(&"x".repeat(BYTES_MAX / 4));
        }
        assert_eq!(tail.lines.len(), 4);
    }
}
