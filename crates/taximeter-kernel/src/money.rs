//! Currencies, and money as whole minor units of one.

use crate::decimal::{self, Decimal};

/// The largest amount a price or charge may have, in minor units: 9,999,999,999.99 in US dollars.
pub const AMOUNT_MINOR_MAX: i64 = 999_999_999_999;

/// Every currency taken, lower case, in alphabetical order: [`Currency::parse`] searches by halves.
const CODES: [&str; 143] = [
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt",
    "bgn", "bhd", "bif", "bmd", "bnd", "bob", "brl", "bsd", "btn", "bwp", "byn", "bzd", "cad",
    "cdf", "chf", "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp",
    "etb", "eur", "fjd", "fkp", "gbp", "gel", "ghs", "gip", "gmd", "gnf", "gtq", "gyd", "hkd",
    "hnl", "hrk", "htg", "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs",
    "khr", "kmf", "krw", "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl",
    "mga", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn",
    "nio", "nok", "npr", "nzd", "omr", "pab", "pen", "pgk", "php", "pkr", "pln", "pyg", "qar",
    "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp", "sle", "sos", "srd",
    "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "usd",
    "uyu", "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xcg", "xof", "xpf", "yer", "zar", "zmw",
];

/// A currency that Stripe takes, by its ISO 4217 code. Ordered by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(&'static str);

/// A code that is none of the currencies taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a supported currency code")]
pub struct UnknownCurrency;

impl Currency {
    /// The dollar of the United States.
    pub const USD: Self = Self("usd");

    /// The currency of a code in any case: `usd`, `USD`.
    ///
    /// # Errors
    /// [`UnknownCurrency`] when no currency has the code.
    pub fn parse(code: &str) -> Result<Self, UnknownCurrency> {
        let lower = code.to_ascii_lowercase();
        let code = CODES.binary_search(&lower.as_str()).ok().and_then(|at| CODES.get(at));
        code.copied().map(Self).ok_or(UnknownCurrency)
    }

    /// Every currency, in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.into_iter().map(Self)
    }

    /// The ISO code in lower case, as on the wire: `usd`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0
    }

    /// How many decimals lie between the unit and its minor unit: 2 for USD (1 dollar is 100 cents),
    /// 0 for JPY, 3 for KWD.
    ///
    /// ISK and UGX have no minor unit in use, but Stripe represents them with two decimals (and takes
    /// only multiples of 100); so do we.
    #[must_use]
    pub fn exponent(self) -> u8 {
        match self.0 {
            "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf"
            | "vnd" | "vuv" | "xaf" | "xof" | "xpf" => 0,
            "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
            _ => 2,
        }
    }

    /// The smallest amount that can be charged, in minor units, where one is known: 50 for USD
    /// (0.50), 30 for GBP, 50 for JPY (50 yen).
    #[must_use]
    pub fn minimum_charge_minor(self) -> Option<i64> {
        match self.0 {
            "gbp" => Some(30),
            "ars" | "aud" | "brl" | "cad" | "chf" | "cop" | "eur" | "idr" | "ils" | "inr"
            | "jpy" | "krw" | "nzd" | "php" | "rub" | "sgd" | "usd" | "zar" => Some(50),
            "aed" | "myr" | "pln" | "ron" => Some(200),
            "dkk" => Some(250),
            "nok" | "sek" => Some(300),
            "hkd" => Some(400),
            "mxn" | "thb" => Some(1_000),
            "czk" => Some(1_500),
            "huf" => Some(17_500),
            _ => None,
        }
    }
}

/// An amount of one currency in whole minor units: `{ minor: 1500, currency: usd }` is 15 dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Minor units of the currency: cents for USD, yen for JPY.
    pub minor: i64,
    /// What the minor units are of.
    pub currency: Currency,
}

/// Why two amounts have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The amounts are of different currencies.
    #[error("amounts of different currencies")]
    CurrencyMismatch,
    /// The result does not fit.
    #[error("amount too large")]
    Overflow,
}

impl Money {
    /// The sum. 15.00 + 0.36 = 15.36 (1500 + 36 = 1536 cents).
    ///
    /// # Errors
    /// [`MoneyError`] when the currencies differ or the sum does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.combined(other, i64::checked_add)
    }

    /// The difference, which may be negative. 1.00 - 15.00 = -14.00 (-1400 cents).
    ///
    /// # Errors
    /// [`MoneyError`] when the currencies differ or the difference does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.combined(other, i64::checked_sub)
    }

    fn combined(
        self,
        other: Self,
        operation: fn(i64, i64) -> Option<i64>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor = operation(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, currency: self.currency })
    }
}

/// An amount as people read it, exact: at least the currency's decimals and as many more as it has.
/// 1500 minor units of USD are `$15.00`, 3.6 are `$0.036`, -500 are `-$5.00`; 123400 of CHF are
/// `CHF 1,234.00`.
#[must_use]
pub fn format_amount(minor: Decimal, currency: Currency) -> String {
    let sign = if minor.is_negative() { "-" } else { "" };
    let places = usize::from(minor.scale()).saturating_add(usize::from(currency.exponent()));
    let (whole, fraction) = decimal::digits(minor.mantissa().unsigned_abs(), places);
    let point = if fraction.is_empty() { "" } else { "." };
    let whole = grouped(&whole);
    match currency.0 {
        "usd" => format!("{sign}${whole}{point}{fraction}"),
        "eur" => format!("{sign}€{whole}{point}{fraction}"),
        "gbp" => format!("{sign}£{whole}{point}{fraction}"),
        "jpy" => format!("{sign}¥{whole}{point}{fraction}"),
        code => format!("{sign}{} {whole}{point}{fraction}", code.to_ascii_uppercase()),
    }
}

/// Digits in groups of three from the right: `1234567` is `1,234,567`.
fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len().saturating_mul(2));
    for (digit, after) in digits.chars().zip((0..digits.len()).rev()) {
        text.push(digit);
        if after > 0 && after.is_multiple_of(3) {
            text.push(',');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    #[test]
    fn every_code_parses_in_any_case() {
        assert!(CODES.is_sorted());
        for code in CODES {
            assert_eq!(currency(code).code(), code);
            assert_eq!(currency(&code.to_ascii_uppercase()).code(), code);
        }
        assert_eq!(Currency::all().count(), CODES.len());
    }

    #[test]
    fn an_unknown_code_is_refused() {
        for code in ["", "us", "usdx", "xyz", "usd ", "€", "aaa", "zzz"] {
            assert_eq!(Currency::parse(code), Err(UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn the_exceptional_currencies_are_all_known() {
        let count = |exponent| Currency::all().filter(|c| c.exponent() == exponent).count();
        assert_eq!((count(0), count(3)), (15, 5));
        assert_eq!(Currency::all().filter(|c| c.minimum_charge_minor().is_some()).count(), 31);
    }

    #[test]
    fn a_currency_has_its_decimals_and_its_smallest_charge() {
        let cases = [
            ("usd", 2, Some(50)),
            ("jpy", 0, Some(50)),
            ("kwd", 3, None),
            ("isk", 2, None),
            ("ugx", 2, None),
            ("gbp", 2, Some(30)),
            ("huf", 2, Some(17_500)),
            ("czk", 2, Some(1_500)),
        ];
        for (code, exponent, minimum) in cases {
            assert_eq!(currency(code).exponent(), exponent, "{code}");
            assert_eq!(currency(code).minimum_charge_minor(), minimum, "{code}");
        }
    }

    #[test]
    fn amounts_add_only_within_a_currency_and_never_wrap() {
        let usd = |minor| Money { minor, currency: currency("usd") };
        let eur = Money { minor: 1, currency: currency("eur") };
        assert_eq!(usd(1500).checked_add(usd(36)), Ok(usd(1536)));
        assert_eq!(usd(100).checked_sub(usd(1500)), Ok(usd(-1400)));
        assert_eq!(usd(1).checked_add(eur), Err(MoneyError::CurrencyMismatch));
        assert_eq!(usd(i64::MAX).checked_add(usd(1)), Err(MoneyError::Overflow));
        assert_eq!(usd(i64::MIN).checked_sub(usd(1)), Err(MoneyError::Overflow));
    }

    #[test]
    fn an_amount_is_written_exactly_in_the_manner_of_its_currency() {
        let cases = [
            ("1500", "usd", "$15.00"),
            ("3.6", "usd", "$0.036"),
            ("0", "usd", "$0.00"),
            ("-500", "usd", "-$5.00"),
            ("0.000000000001", "usd", "$0.00000000000001"),
            ("500", "jpy", "¥500"),
            ("0.5", "jpy", "¥0.5"),
            ("300", "eur", "€3.00"),
            ("100", "gbp", "£1.00"),
            ("300", "chf", "CHF 3.00"),
            ("-300", "chf", "-CHF 3.00"),
            ("1234", "kwd", "KWD 1.234"),
            ("123400", "usd", "$1,234.00"),
            ("99999", "usd", "$999.99"),
            ("100000000", "usd", "$1,000,000.00"),
            ("1234567", "jpy", "¥1,234,567"),
        ];
        for (minor, code, written) in cases {
            assert_eq!(format_amount(minor.parse().unwrap(), currency(code)), written);
        }
    }
}
