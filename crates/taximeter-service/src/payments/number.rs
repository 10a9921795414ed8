//! The check digit of a card's number.

/// Whether a number could be a card's: 12 to 19 digits whose check digit (Luhn's) is right.
/// 4242424242424242 could, 4242424242424241 could not.
#[must_use]
pub fn is_valid(number: &str) -> bool {
    if !(12..=19).contains(&number.len()) {
        return false;
    }
    let mut sum = 0_u32;
    for (place, digit) in number.chars().rev().enumerate() {
        let Some(digit) = digit.to_digit(10) else { return false };
        let counted = match (place.is_multiple_of(2), digit) {
            (true, digit) => digit,
            (false, 0..=4) => digit.saturating_mul(2),
            (false, _) => digit.saturating_mul(2).saturating_sub(9),
        };
        sum = sum.saturating_add(counted);
    }
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_digit_is_found() {
        assert!(is_valid("4242424242424242"));
        assert!(is_valid("378282246310005"));
        for wrong in ["4242424242424241", "4242", "", "4242-4242-4242-4242", "42424242424242424242"]
        {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
