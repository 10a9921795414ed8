//! What an invoice comes to: from its total and the customer's balance to the amount due.

use crate::money::{AMOUNT_MINOR_MAX, Currency};

/// What is due, and what finalizing does to the customer's balance. Minor units.
///
/// A balance below zero is the customer's credit, one above zero is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// What the customer is asked to pay.
    pub amount_due: i64,
    /// The balance before.
    pub starting_balance: i64,
    /// The balance after.
    pub ending_balance: i64,
}

/// An amount that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invoice amounts to more than can be billed")]
pub struct TooLarge;

/// Settles a `total` against a `balance`, in minor units of `currency`.
///
/// - A credit is used up to the total: total 1000, balance -300 gives 700 due, balance 0.
/// - What is owed is added: total 1000, balance 200 gives 1200 due, balance 0.
/// - A negative total becomes credit: total -334, balance 0 gives 0 due, balance -334.
/// - Less than the currency's minimum charge is carried over: 30 US cents give 0 due, balance 30.
///
/// # Errors
/// [`TooLarge`] when an amount does not fit, or more than [`AMOUNT_MINOR_MAX`] would be due.
pub fn settle(total: i64, balance: i64, currency: Currency) -> Result<Settlement, TooLarge> {
    let (due, ending) = if total < 0 {
        (0, balance.checked_add(total).ok_or(TooLarge)?)
    } else {
        let credit_used = balance.checked_neg().ok_or(TooLarge)?.max(0).min(total);
        let debit = balance.max(0);
        let due = total.checked_sub(credit_used).and_then(|d| d.checked_add(debit));
        let ending = balance.checked_add(credit_used).and_then(|b| b.checked_sub(debit));
        (due.ok_or(TooLarge)?, ending.ok_or(TooLarge)?)
    };
    if due > AMOUNT_MINOR_MAX {
        return Err(TooLarge);
    }
    let too_small = due > 0 && currency.minimum_charge_minor().is_some_and(|least| due < least);
    let (amount_due, ending_balance) =
        if too_small { (0, ending.checked_add(due).ok_or(TooLarge)?) } else { (due, ending) };
    Ok(Settlement { amount_due, starting_balance: balance, ending_balance })
}

/// The number of a customer's `sequence`-th invoice: `DF67D6F2-0037`.
#[must_use]
pub fn number(prefix: &str, sequence: i64) -> String {
    format!("{prefix}-{sequence:04}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        Currency::parse("usd").unwrap()
    }

    #[test]
    fn a_total_is_settled_against_the_balance() {
        // total, balance | due, balance after
        for (total, balance, due, after) in [
            (1000, 0, 1000, 0),
            (1000, -300, 700, 0),
            (1000, -1300, 0, -300),
            (1000, 200, 1200, 0),
            (-334, 0, 0, -334),
            (-334, 100, 0, -234),
            (0, -70, 0, -70),
            (0, 0, 0, 0),
            (30, 0, 0, 30),
            (30, 25, 55, 0),
            (50, 0, 50, 0),
            (49, 0, 0, 49),
        ] {
            let settled = settle(total, balance, usd()).unwrap();
            assert_eq!(
                (settled.amount_due, settled.ending_balance),
                (due, after),
                "{total} {balance}"
            );
        }
    }

    #[test]
    fn an_amount_that_does_not_fit_is_refused() {
        assert_eq!(settle(AMOUNT_MINOR_MAX, 1, usd()), Err(TooLarge));
        assert_eq!(settle(-1, i64::MIN, usd()), Err(TooLarge));
        assert_eq!(settle(1, i64::MIN, usd()), Err(TooLarge));
    }

    #[test]
    fn an_invoice_number_is_padded_to_four_digits_and_grows_past_them() {
        assert_eq!(number("DF67D6F2", 37), "DF67D6F2-0037");
        assert_eq!(number("ACME", 12_345), "ACME-12345");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_total_due_and_balance(
            total in -1_000_000_000_i64..1_000_000_000,
            balance in -1_000_000_000_i64..1_000_000_000,
        ) {
            let s = settle(total, balance, usd()).unwrap();
            let (before, after) = (total.checked_add(balance), s.amount_due.checked_add(s.ending_balance));
            prop_assert_eq!(before, after);
            prop_assert!(s.amount_due >= 0);
        }
    }
}
