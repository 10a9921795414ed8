//! What is written for people: plain lines, and tables whose columns stand under each other.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

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

/// A number in groups of three: `1,234,567`.
pub(crate) fn number_shown(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes with one decimal, rounded down: `63.9 MiB`.
pub(crate) fn bytes_shown(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit_bytes = 1;
    let mut shown = format!("{bytes} B");
    for unit in UNITS {
        unit_bytes *= 1_024;
        if bytes < unit_bytes {
            break;
        }
        let tenths = u128::from(bytes) * 10 / u128::from(unit_bytes);
        shown = match tenths % 10 {
            0 => format!("{} {unit}", tenths / 10),
            tenth => format!("{}.{tenth} {unit}", tenths / 10),
        };
    }
    shown
}

/// A length of time, short: `640 ms`, `12.3 s`.
pub(crate) fn duration_shown(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ ..1_000 => format!("{millis} ms"),
        millis => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
    }
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
    fn numbers_are_shown_to_be_read() {
        for (number, shown) in [(0, "0"), (101, "101"), (1_013, "1,013"), (7_654_321, "7,654,321")]
        {
            assert_eq!(number_shown(number), shown);
        }
        for (bytes, shown) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1 KiB"),
            (67_000_000, "63.8 MiB"),
            (1 << 30, "1 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes_shown(bytes), shown);
        }
        for (millis, shown) in [(7, "7 ms"), (999, "999 ms"), (1_099, "1.0 s"), (71_370, "71.3 s")]
        {
            assert_eq!(duration_shown(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn columns_stand_under_each_other_and_lines_end_without_spaces() {
        let rows = [["ID", "NAME", "X"], ["7", "é", ""], ["101", "long name", "y"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "ID   NAME       X\n7    é\n101  long name  y\n");
    }
}
