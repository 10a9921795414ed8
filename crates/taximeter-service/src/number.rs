//! Exact numbers on the wire.

use serde_json::{Number, Value};
use taximeter_kernel::decimal::Decimal;

/// A JSON number with every digit of the decimal. `3025.5` is written `3025.5`, not as the nearest
/// binary float.
#[must_use]
pub fn json_number(decimal: Decimal) -> Value {
    decimal.to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_of_a_decimal_reaches_the_wire() {
        let exact = "123456789012345678.000000000000000001";
        assert_eq!(json_number(exact.parse().unwrap()).to_string(), exact);
        assert_eq!(json_number(Decimal::ZERO).to_string(), "0");
    }
}
