//! What a request carries before it has a type: texts, lists and maps.
//!
//! A form (`items[0][price]=p`) and a JSON body both become this tree, so one decoder serves the
//! v1 and the v2 API.

use std::fmt;

/// One untyped value of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A form's value or a JSON string.
    Text(String),
    /// A JSON number, as it was written.
    Number(String),
    /// A JSON boolean.
    Bool(bool),
    /// A JSON null.
    Null,
    /// `a[]=1&a[]=2`, or a JSON array.
    List(Vec<Self>),
    /// `a[b]=1`, or a JSON object. In a form `a[0]=1` is a map too: only the type that is wanted
    /// can tell an index from a key.
    Map(Vec<(String, Self)>),
}

impl Node {
    /// A map without members: a request without parameters.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Map(Vec::new())
    }

    /// Writes the tree so that equal parameters give equal text, whatever their order.
    pub fn canonical(&self, out: &mut String) {
        match self {
            Self::Text(text) => quoted('t', text, out),
            Self::Number(text) => quoted('n', text, out),
            Self::Bool(value) => out.push_str(if *value { "b1" } else { "b0" }),
            Self::Null => out.push('z'),
            Self::List(nodes) => {
                out.push('[');
                for node in nodes {
                    node.canonical(out);
                }
                out.push(']');
            }
            Self::Map(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                out.push('{');
                for (name, node) in sorted {
                    quoted('k', name, out);
                    node.canonical(out);
                }
                out.push('}');
            }
        }
    }
}

/// A text with its length in front, so that no two texts can run together.
fn quoted(tag: char, text: &str, out: &mut String) {
    out.push(tag);
    out.push_str(&text.len().to_string());
    out.push(':');
    out.push_str(text);
}

/// Where in the request a value stands: `items[0][price]`.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Self>,
    name: &'a str,
}

impl<'a> Path<'a> {
    /// The request itself.
    pub const ROOT: Path<'static> = Path { parent: None, name: "" };

    /// A member of what stands here.
    #[must_use]
    pub const fn child(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), name }
    }

    const fn is_root(&self) -> bool {
        self.parent.is_none()
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent {
            None => Ok(()),
            Some(parent) if parent.is_root() => f.write_str(self.name),
            Some(parent) => write!(f, "{parent}[{}]", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_with_brackets() {
        let items = Path::ROOT.child("items");
        let first = items.child("0");
        assert_eq!(first.child("price").to_string(), "items[0][price]");
    }

    #[test]
    fn equal_parameters_are_written_the_same_in_any_order() {
        let text = |s: &str| Node::Text(s.to_owned());
        let one = Node::Map(vec![("a".into(), text("1")), ("b".into(), text("2"))]);
        let other = Node::Map(vec![("b".into(), text("2")), ("a".into(), text("1"))]);
        let (mut left, mut right) = (String::new(), String::new());
        one.canonical(&mut left);
        other.canonical(&mut right);
        assert_eq!(left, right);
        let mut shifted = String::new();
        Node::Map(vec![("a".into(), text("1k1:bt1:2"))]).canonical(&mut shifted);
        assert_ne!(left, shifted);
    }
}
