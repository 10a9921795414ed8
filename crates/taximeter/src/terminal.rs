//! What is written for people: plain lines, and tables whose columns stand under each other.

use std::io::{self, IsTerminal as _, Write as _};

/// Whether the user has not asked programs to leave colour away (<https://no-color.org>).
#[expect(clippy::disallowed_methods, reason = "part of the binary's configuration")]
pub(crate) fn wants_colour() -> bool {
    std::env::var("NO_COLOR").is_ok_and(|value| value.is_empty())
        || std::env::var_os("NO_COLOR").is_none()
}

/// Whether standard output shows colour.
pub(crate) fn stdout_has_colour() -> bool {
    io::stdout().is_terminal() && wants_colour()
}

/// Writes to standard output. A reader that is gone is no error: it has seen what it wanted.
pub(crate) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _closed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a line to standard error: what explains a result without being part of it.
pub(crate) fn note(text: &str) {
    let _closed = writeln!(io::stderr(), "{text}");
}

/// Rows as lines, each column as wide as its widest cell and two spaces from the next.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            let padding = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_lines_end_without_spaces() {
        let rows = [["ID", "NAME", "X"], ["7", "é", ""], ["101", "long name", "y"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "ID   NAME       X\n7    é\n101  long name  y\n");
    }
}
