//! The types of a product's parameters: what is decoded is sound.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{ID_BYTES_MAX, Id, Product as ProductKind};

use crate::error::{Error, Result};
use crate::params::{Decode, Node, Path, Schema, Text};

/// The most characters of a statement descriptor (card networks').
pub(super) const STATEMENT_DESCRIPTOR_CHARS_MAX: usize = 22;
/// The most decimals of a dimension (Stripe's).
pub(super) const DIMENSION_DECIMALS_MAX: u8 = 2;
/// The largest dimension: no parcel is larger, and any reader of JSON holds it exactly.
pub(super) const DIMENSION_MAX: i64 = 9_999_999_999;

fn refuse<T>(path: Path<'_>, message: impl Into<String>) -> Result<T> {
    Err(Error::invalid(message).param(path.to_string()))
}

/// An array of at most `MAX` elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtMost<T, const MAX: usize>(pub Vec<T>);

impl<T: Decode, const MAX: usize> Decode for AtMost<T, MAX> {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let items = Vec::<T>::decode(node, path)?;
        if items.len() > MAX {
            return refuse(path, format!("Invalid array: at most {MAX} elements are accepted"));
        }
        Ok(Self(items))
    }

    fn schema() -> Schema {
        Vec::<T>::schema()
    }
}

/// An id of the caller's choosing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenId(pub Id<ProductKind>);

impl Decode for ChosenId {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = Text::<ID_BYTES_MAX>::decode(node, path)?;
        match Id::parse(&text) {
            Ok(id) => Ok(Self(id)),
            Err(_) => refuse(
                path,
                format!(
                    "Invalid id: must be 1 to {ID_BYTES_MAX} ASCII letters, digits, `_`, `-` or `.`"
                ),
            ),
        }
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// The text of a card statement. Letters beyond ASCII are left out, as Stripe does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementDescriptor(pub String);

impl Decode for StatementDescriptor {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = Text::<STATEMENT_DESCRIPTOR_CHARS_MAX>::decode(node, path)?;
        if text.contains(['<', '>', '\\', '"', '\'']) {
            return refuse(
                path,
                "Invalid statement descriptor: must not contain any of <, >, \\, \" and '",
            );
        }
        let ascii: String = text.chars().filter(char::is_ascii).collect();
        if !ascii.contains(|c: char| c.is_ascii_alphabetic()) {
            return refuse(path, "Invalid statement descriptor: must contain at least one letter");
        }
        Ok(Self(ascii))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// A tax code: `txcd_` and eight digits. Which of them exist is the tax engine's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxCode(pub String);

impl Decode for TaxCode {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text = Text::<255>::decode(node, path)?;
        let digits = text.strip_prefix("txcd_").unwrap_or("");
        if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return refuse(path, "Invalid tax code: must be `txcd_` followed by 8 digits");
        }
        Ok(Self(text.into()))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// The address of a public page or picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(pub String);

impl Decode for Url {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let text: Text = Text::decode(node, path)?;
        let scheme_length = ["https://", "http://"].iter().find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then_some(scheme.len())
        });
        let host = scheme_length.and_then(|length| text[length..].split(['/', '?', '#']).next());
        let spaced = text.contains(|c: char| c.is_whitespace() || c.is_control());
        if host.is_none_or(str::is_empty) || spaced {
            return Err(Error::invalid("Not a valid URL")
                .code("url_invalid")
                .param(path.to_string()));
        }
        Ok(Self(text.into()))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// A length in inches or a weight in ounces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimension(pub Decimal);

impl Decode for Dimension {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let size = Decimal::decode(node, path)?;
        if size.scale() > DIMENSION_DECIMALS_MAX {
            return refuse(
                path,
                format!(
                    "Invalid decimal: must have at most {DIMENSION_DECIMALS_MAX} decimal places"
                ),
            );
        }
        if size.is_negative() || size > Decimal::from_int(DIMENSION_MAX) {
            return refuse(path, format!("Invalid decimal: must be between 0 and {DIMENSION_MAX}"));
        }
        Ok(Self(size))
    }

    fn schema() -> Schema {
        Schema::Leaf
    }
}

/// The text of a value, for a field that is kept as text.
macro_rules! texts {
    ($($name:ident),*) => {$(
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    )*};
}

texts!(StatementDescriptor, TaxCode, Url);

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<T: Decode>(text: &str) -> Result<T> {
        T::decode(Some(Node::Text(text.to_owned())), Path::ROOT.child("x"))
    }

    #[test]
    fn a_statement_descriptor_is_what_card_networks_take() {
        let kept = |text: &str| decode::<StatementDescriptor>(text).map(|s| s.0).ok();
        assert_eq!(kept("TOKENS 13").as_deref(), Some("TOKENS 13"));
        assert_eq!(kept("Café Zürich").as_deref(), Some("Caf Zrich"));
        assert_eq!(kept(&"a".repeat(22)).as_deref(), Some("a".repeat(22).as_str()));
        for text in [&"a".repeat(23), "a<b", "a>b", "a\\b", "a\"b", "a'b", "1234", "éü", ""] {
            assert_eq!(kept(text), None, "{text}");
        }
    }

    #[test]
    fn a_tax_code_is_txcd_and_eight_digits() {
        assert!(decode::<TaxCode>("txcd_10103001").is_ok());
        for text in ["txcd_1010300", "txcd_101030011", "10103001", "txcd_1010300a", "TXCD_10103001"]
        {
            assert_eq!(decode::<TaxCode>(text).unwrap_err().param.as_deref(), Some("x"), "{text}");
        }
    }

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for text in ["https://example.com", "HTTP://example.com/a?b#c", "http://[::1]:80/"] {
            assert!(decode::<Url>(text).is_ok(), "{text}");
        }
        for text in
            ["example.com", "https://", "https:///a", "ftp://a", "https://a b", "é", "http:/a"]
        {
            assert_eq!(decode::<Url>(text).unwrap_err().code, Some("url_invalid"), "{text}");
        }
    }

    #[test]
    fn a_dimension_has_two_decimals_at_most() {
        for text in ["0", "0.01", "13", "9999999999"] {
            assert!(decode::<Dimension>(text).is_ok(), "{text}");
        }
        for text in ["0.001", "-1", "9999999999.01", "10000000000", "1 in"] {
            assert!(decode::<Dimension>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_array_has_its_bound() {
        let list = |n: usize| Some(Node::List(vec![Node::Text("7".to_owned()); n]));
        let path = Path::ROOT.child("x");
        assert_eq!(AtMost::<i64, 3>::decode(list(3), path).unwrap().0, [7, 7, 7]);
        assert!(AtMost::<i64, 3>::decode(list(4), path).is_err());
    }

    #[test]
    fn a_chosen_id_holds_only_what_an_id_may() {
        assert!(decode::<ChosenId>("gold-2.v1_x").is_ok());
        for text in ["gold plan", "gold/plan", "gold,plan", "größe"] {
            assert_eq!(decode::<ChosenId>(text).unwrap_err().param.as_deref(), Some("x"), "{text}");
        }
    }
}
