//! Reading SQL just far enough: what is code, what is quoted, what is comment.

/// A run of SQL text of one nature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Keywords, names, numbers, operators.
    Code(&'a str),
    /// A `'text'` or a `"name"` with its quotes. A doubled quote inside ends one piece and starts
    /// the next, which is as good.
    Quoted(&'a str),
    /// `-- to the end of the line` or `/* to here */`.
    Comment(&'a str),
}

/// Cuts SQL into pieces that, put together, are the SQL.
pub(crate) fn pieces(sql: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let (piece, after) = first_piece(rest)?;
        rest = after;
        Some(piece)
    })
}

/// What opens a piece that is not code, what closes it, and whether it is a comment.
const OPENED: [(&str, &str, bool); 4] =
    [("'", "'", false), ("\"", "\"", false), ("--", "\n", true), ("/*", "*/", true)];

fn first_piece(sql: &str) -> Option<(Piece<'_>, &str)> {
    if sql.is_empty() {
        return None;
    }
    for (open, close, is_comment) in OPENED {
        if let Some(inside) = sql.strip_prefix(open) {
            let after = inside.split_once(close).map_or("", |(_, after)| after);
            let (piece, after) = sql.split_at(sql.len() - after.len());
            let piece = if is_comment { Piece::Comment(piece) } else { Piece::Quoted(piece) };
            return Some((piece, after));
        }
    }
    let end = OPENED.iter().filter_map(|(open, ..)| sql.find(open)).min().unwrap_or(sql.len());
    let (code, after) = sql.split_at(end);
    Some((Piece::Code(code), after))
}

/// What is wrong with a statement that takes `arguments` arguments, if anything.
///
/// SQLite would bind NULL to a placeholder without an argument, ignore an argument without a
/// placeholder and run a second statement after a `;`. PostgreSQL would not.
pub(crate) fn statement_fault(sql: &str, arguments: usize) -> Option<&'static str> {
    let mut placeholders = 0;
    for piece in pieces(sql) {
        let Piece::Code(code) = piece else { continue };
        if code.contains(';') {
            return Some("more than one statement, or a `;`");
        }
        if code.contains('?') {
            return Some("a placeholder that is not like $1");
        }
        for after in code.split('$').skip(1) {
            let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
            let Ok(number) = digits.parse::<usize>() else {
                return Some("a placeholder that is not like $1");
            };
            placeholders = placeholders.max(number);
        }
    }
    (placeholders != arguments).then_some("not as many arguments as placeholders")
}

/// Splits at each `;` that is code. Comments are left out, and so are empty statements.
pub(crate) fn statements(sql: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = String::new();
    for piece in pieces(sql) {
        match piece {
            Piece::Comment(_) => open.push('\n'),
            Piece::Quoted(text) => open.push_str(text),
            Piece::Code(code) => {
                let mut parts = code.split(';');
                open.push_str(parts.next().unwrap_or(""));
                for part in parts {
                    done.push(std::mem::replace(&mut open, part.to_owned()));
                }
            }
        }
    }
    done.push(open);
    done.retain(|statement| !statement.trim().is_empty());
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_statements(sql: &str, expected: &[&str]) {
        let found: Vec<String> = statements(sql).iter().map(|s| s.trim().to_owned()).collect();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_where_it_is_code() {
        check_statements("A; B;\nC", &["A", "B", "C"]);
        check_statements("A 'x;' \"y;\"; B", &["A 'x;' \"y;\"", "B"]);
        check_statements("A 'it''s;'; B", &["A 'it''s;'", "B"]);
        check_statements("A -- not; here\n; B /* nor; here */;", &["A", "B"]);
        check_statements(" ;; -- nothing\n", &[]);
        check_statements("A '-- no comment; '; B", &["A '-- no comment; '", "B"]);
    }

    #[test]
    fn pieces_put_together_are_the_text() {
        let sql = "a 'b''c' -- d\n\"e\" /* f */ 'open; é";
        let joined: String = pieces(sql)
            .map(|piece| match piece {
                Piece::Code(text) | Piece::Quoted(text) | Piece::Comment(text) => text,
            })
            .collect();
        assert_eq!(joined, sql);
    }

    #[test]
    fn a_statement_has_as_many_arguments_as_placeholders() {
        assert_eq!(statement_fault("SELECT $2, $1, $2, '$3' -- $4", 2), None);
        assert!(statement_fault("SELECT $1, $2", 1).is_some());
        assert!(statement_fault("SELECT $1", 2).is_some());
        assert!(statement_fault("SELECT 7", 1).is_some());
        assert_eq!(statement_fault("SELECT $11", 11), None);
    }

    #[test]
    fn a_statement_that_only_one_database_would_take_is_refused() {
        for sql in ["SELECT 7;", "SELECT 7; SELECT 13", "SELECT ?", "SELECT ?1", "SELECT $a"] {
            assert!(statement_fault(sql, 0).is_some(), "{sql}");
        }
        assert_eq!(statement_fault("SELECT ';?$1' -- ;", 0), None);
    }
}
