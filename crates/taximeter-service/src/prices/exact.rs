//! An exact decimal in a JSON column: a string there, since a JSON number may pass through a float.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use taximeter_kernel::decimal::Decimal;

/// A decimal that JSON holds as a string: `"0.05"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact(pub Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_written_as_a_string_and_read_back_from_nothing_else() {
        let exact = Exact("0.000000000007".parse().unwrap());
        let text = serde_json::to_string(&exact).unwrap();
        assert_eq!(text, "\"0.000000000007\"");
        assert_eq!(serde_json::from_str::<Exact>(&text).unwrap(), exact);
        assert!(serde_json::from_str::<Exact>("0.5").is_err());
        assert!(serde_json::from_str::<Exact>("\"5e-1\"").is_err());
    }
}
