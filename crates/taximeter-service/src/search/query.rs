//! The grammar of a query, and whether a row matches.

use crate::error::{Error, Result};
use crate::search::Searchable;

/// The most clauses a query may have (Stripe's bound).
const CLAUSES_MAX: usize = 10;
/// The fewest characters of a substring.
const SUBSTRING_CHARS_MIN: usize = 3;

/// A field that a query may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in the query.
    pub name: &'static str,
    /// What its values are.
    pub kind: FieldKind,
}

/// What the values of a field are, and so which operators it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// An id or a word: `:` only.
    Token,
    /// Prose: `:` and `~`.
    Text,
    /// A number or an instant: `:` and the comparisons.
    Numeric,
    /// A map: `metadata["key"]:"value"`.
    Map,
}

/// The value of a field of a row.
#[derive(Debug, Clone, Copy)]
pub enum FieldValue<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// A truth value.
    Bool(bool),
    /// A map.
    Map(&'a std::collections::BTreeMap<String, String>),
    /// Nothing.
    Null,
}

impl<'a> From<Option<&'a str>> for FieldValue<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Match,
    Equal,
    Substring,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    negated: bool,
    field: &'static str,
    kind: FieldKind,
    key: Option<String>,
    op: Op,
    /// `None` for `null`.
    value: Option<String>,
}

/// A parsed query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    clauses: Vec<Clause>,
    any: bool,
}

fn refuse(message: impl Into<String>) -> Error {
    Error::invalid(message).param("query")
}

impl Query {
    /// Reads a query over `fields`.
    ///
    /// # Errors
    /// A 400 that says what is wrong with it.
    pub fn parse(text: &str, fields: &[Field]) -> Result<Self> {
        let mut rest = text.trim();
        let (mut clauses, mut any, mut all) = (Vec::new(), false, false);
        loop {
            let (clause, after) = clause(rest, fields)?;
            clauses.push(clause);
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
            if let Some(after) = keyword(rest, "or") {
                (any, rest) = (true, after);
            } else {
                all = true;
                rest = keyword(rest, "and").unwrap_or(rest);
            }
        }
        if any && all {
            return Err(refuse("A search query cannot combine AND and OR."));
        }
        if clauses.len() > CLAUSES_MAX {
            return Err(refuse(format!("A search query can have at most {CLAUSES_MAX} clauses.")));
        }
        Ok(Self { clauses, any })
    }

    /// Whether a row is one that the query asks for.
    pub fn matches<T: Searchable>(&self, row: &T) -> bool {
        let holds = |clause: &Clause| clause.holds(row.field(clause.field)) != clause.negated;
        if self.any { self.clauses.iter().any(holds) } else { self.clauses.iter().all(holds) }
    }
}

/// What follows a keyword that `text` begins with, in either case.
fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let tail = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && tail.starts_with(char::is_whitespace))
        .then(|| tail.trim_start())
}

fn clause<'a>(text: &'a str, fields: &[Field]) -> Result<(Clause, &'a str)> {
    let (negated, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let field = fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
        refuse(format!(
            "Field `{name}` is an unsupported search field for this resource. Supported fields: {}.",
            known.join(", ")
        ))
    })?;
    let (key, rest) = map_key(field, rest)?;
    let (op, rest) = operator(field, rest)?;
    let (value, rest) = value(rest)?;
    check_value(field, op, value.as_deref())?;
    Ok((Clause { negated, field: field.name, kind: field.kind, key, op, value }, rest))
}

/// The `["key"]` of a map field.
fn map_key<'a>(field: &Field, text: &'a str) -> Result<(Option<String>, &'a str)> {
    if field.kind != FieldKind::Map {
        return Ok((None, text));
    }
    let name = field.name;
    let wanted = || refuse(format!("Field `{name}` needs a key: {name}[\"key\"]:\"value\"."));
    let inner = text.strip_prefix('[').ok_or_else(wanted)?;
    let (key, rest) = quoted(inner)?.ok_or_else(wanted)?;
    let rest = rest.strip_prefix(']').ok_or_else(wanted)?;
    Ok((Some(key), rest))
}

fn operator<'a>(field: &Field, text: &'a str) -> Result<(Op, &'a str)> {
    const OPS: [(&str, Op); 7] = [
        (">=", Op::GreaterOrEqual),
        ("<=", Op::LessOrEqual),
        (">", Op::Greater),
        ("<", Op::Less),
        (":", Op::Match),
        ("=", Op::Equal),
        ("~", Op::Substring),
    ];
    let (op, rest) = OPS
        .iter()
        .find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (*op, rest)))
        .ok_or_else(|| refuse(format!("Expected an operator after `{}`.", field.name)))?;
    let allowed = match op {
        Op::Match => true,
        Op::Substring => field.kind == FieldKind::Text,
        Op::Equal | Op::Greater | Op::GreaterOrEqual | Op::Less | Op::LessOrEqual => {
            field.kind == FieldKind::Numeric
        }
    };
    if !allowed {
        return Err(refuse(format!("Field `{}` does not support this operator.", field.name)));
    }
    Ok((op, rest))
}

/// A text in single or double quotes, and what follows it; `None` when there is no quote.
fn quoted(text: &str) -> Result<Option<(String, &str)>> {
    let Some(quote) = text.chars().next().filter(|c| *c == '"' || *c == '\'') else {
        return Ok(None);
    };
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok(Some((out, &text[at + c.len_utf8()..]))),
            c => out.push(c),
        }
    }
    Err(refuse("A quoted value in the search query is not closed."))
}

fn value(text: &str) -> Result<(Option<String>, &str)> {
    if let Some((value, rest)) = quoted(text)? {
        return Ok((Some(value), rest));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word == "null" {
        return Ok((None, rest));
    }
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '-');
    if !plain && word != "true" && word != "false" {
        return Err(refuse(format!("String values must be quoted: `{word}`.")));
    }
    Ok((Some(word.to_owned()), rest))
}

fn check_value(field: &Field, op: Op, value: Option<&str>) -> Result<()> {
    let Some(value) = value else {
        return if op == Op::Match {
            Ok(())
        } else {
            Err(refuse("`null` can only be used with the `:` operator."))
        };
    };
    if field.kind == FieldKind::Numeric && value.parse::<i64>().is_err() {
        return Err(refuse(format!("Field `{}` needs a number, not `{value}`.", field.name)));
    }
    if op == Op::Substring && value.chars().count() < SUBSTRING_CHARS_MIN {
        return Err(refuse(format!(
            "A substring needs at least {SUBSTRING_CHARS_MIN} characters: `{value}`."
        )));
    }
    Ok(())
}

impl Clause {
    fn holds(&self, field: FieldValue<'_>) -> bool {
        match field {
            FieldValue::Null => self.value.is_none(),
            FieldValue::Map(map) => {
                let held = self.key.as_ref().and_then(|key| map.get(key));
                match (held, &self.value) {
                    (held, None) => held.is_none(),
                    (Some(held), Some(value)) => same(held, value),
                    (None, Some(_)) => false,
                }
            }
            FieldValue::Bool(held) => {
                self.value.as_deref() == Some(if held { "true" } else { "false" })
            }
            FieldValue::Number(held) => self.compares(held),
            FieldValue::Text(held) => self.value.as_ref().is_some_and(|v| self.reads(held, v)),
        }
    }

    fn compares(&self, held: i64) -> bool {
        let Some(wanted) = self.value.as_ref().and_then(|v| v.parse::<i64>().ok()) else {
            return false;
        };
        match self.op {
            Op::Match | Op::Equal => held == wanted,
            Op::Greater => held > wanted,
            Op::GreaterOrEqual => held >= wanted,
            Op::Less => held < wanted,
            Op::LessOrEqual => held <= wanted,
            Op::Substring => false,
        }
    }

    fn reads(&self, held: &str, value: &str) -> bool {
        if self.op == Op::Substring {
            return held.to_lowercase().contains(&value.to_lowercase());
        }
        same(held, value) || (self.kind == FieldKind::Text && has_words(held, value))
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Whether `held` has all the words of `wanted`, in their order.
fn has_words(held: &str, wanted: &str) -> bool {
    let (held, wanted) = (held.to_lowercase(), wanted.to_lowercase());
    let mut words = held.split_whitespace();
    let mut any = false;
    for word in wanted.split_whitespace() {
        any = true;
        if !words.any(|held| held == word) {
            return false;
        }
    }
    any
}
