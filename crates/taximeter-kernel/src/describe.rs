//! The description of an invoice line, in Stripe's wording.

use crate::calendar::Recurrence;
use crate::decimal::Decimal;
use crate::money::{Currency, format_amount};
use crate::price::{Scheme, UsageType};
use crate::rate::{Part, RatedLine};
use crate::time::Timestamp;

/// What a line is of.
#[derive(Debug, Clone, Copy)]
pub struct LineContext<'a> {
    /// The product's name.
    pub product_name: &'a str,
    /// What the product calls one unit, if anything: `seat`.
    pub unit_label: Option<&'a str>,
    /// The price's currency.
    pub currency: Currency,
    /// The price's scheme, by which the line was rated.
    pub scheme: &'a Scheme,
    /// How often the price recurs; nothing for a one-time price.
    pub recurrence: Option<Recurrence>,
    /// Where the quantity comes from.
    pub usage_type: UsageType,
}

/// The description of a rated line.
///
/// - per unit: `1 × Monthly Price (at $15.00 / month)`, `(at $100.00 every 3 months)`;
/// - package: `9892 × Calls (at $0.08 per 60 units / month)`;
/// - tier: `31 credit × Usage (Tier 2 at $0.036 / month)`, its flat amount
///   `Usage (Tier 1 at $9.00 / month)`;
/// - one-time: `2 × Name`.
#[must_use]
pub fn describe(line: &RatedLine, what: &LineContext<'_>) -> String {
    let name = what.product_name;
    match line.part {
        Part::Whole => {
            let counted = counted(line.quantity, what);
            match (what.recurrence, what.scheme) {
                (Some(recurrence), Scheme::PerUnit { unit_amount, transform }) => {
                    let money = format_amount(*unit_amount, what.currency);
                    let per_package = match transform {
                        Some(packages) => format!(" per {} units", packages.divide_by),
                        None => String::new(),
                    };
                    format!("{counted} (at {money}{per_package}{})", each(recurrence))
                }
                (None, Scheme::PerUnit { .. }) | (_, Scheme::Tiered { .. }) => counted,
            }
        }
        Part::TierUnits { tier, unit_amount } => {
            let counted = counted(line.quantity, what);
            format!("{counted} {}", at_tier(tier, unit_amount, what))
        }
        Part::TierFlat { tier, flat_amount } => {
            format!("{name} {}", at_tier(tier, flat_amount, what))
        }
    }
}

/// The description of a trial's line under billing mode `flexible`: `Free trial for 1 × Name`.
#[must_use]
pub fn describe_trial_flexible(quantity: Decimal, what: &LineContext<'_>) -> String {
    format!("Free trial for {}", counted(quantity, what))
}

/// The description of a trial's line under billing mode `classic`: `Trial period for Name`, or
/// `10 × Name (Free trial)` for metered prices.
#[must_use]
pub fn describe_trial_classic(quantity: Decimal, what: &LineContext<'_>) -> String {
    match what.usage_type {
        UsageType::Licensed => format!("Trial period for {}", what.product_name),
        UsageType::Metered => format!("{} (Free trial)", counted(quantity, what)),
    }
}

/// The description of what a change in a period gives back or charges: `Unused time on Gold after 01
/// Sep 2026`, `Remaining time on 3 × Gold after 01 Sep 2026`. One of a thing is not counted.
#[must_use]
pub fn describe_proration(unused: bool, quantity: i64, name: &str, at: Timestamp) -> String {
    let what = if unused { "Unused" } else { "Remaining" };
    let counted = if quantity == 1 { name.to_owned() } else { format!("{quantity} × {name}") };
    format!("{what} time on {counted} after {}", crate::calendar::day_in_words(at))
}

/// `31 credit × Usage`, or `31 × Usage` where a unit has no name.
fn counted(quantity: Decimal, what: &LineContext<'_>) -> String {
    let name = what.product_name;
    match what.unit_label {
        Some(label) => format!("{quantity} {label} × {name}"),
        None => format!("{quantity} × {name}"),
    }
}

/// `(Tier 2 at $0.036 / month)`.
fn at_tier(tier: usize, amount: Decimal, what: &LineContext<'_>) -> String {
    let money = format_amount(amount, what.currency);
    let each = what.recurrence.map(each).unwrap_or_default();
    format!("(Tier {tier} at {money}{each})")
}

/// ` / month`, or ` every 3 months`.
fn each(recurrence: Recurrence) -> String {
    let interval = recurrence.interval().as_str();
    match recurrence.count() {
        1 => format!(" / {interval}"),
        count => format!(" every {count} {interval}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Interval;
    use crate::price::{RoundQuantity, Tier, TierMode, TransformQuantity};
    use crate::rate::rate;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn per_unit(unit_amount: &str) -> Scheme {
        Scheme::PerUnit { unit_amount: dec(unit_amount), transform: None }
    }

    fn package(unit_amount: &str, divide_by: i64) -> Scheme {
        let transform = Some(TransformQuantity { divide_by, round: RoundQuantity::Up });
        Scheme::PerUnit { unit_amount: dec(unit_amount), transform }
    }

    fn tiered(mode: TierMode, first: (i64, Option<&str>, Option<&str>), unit: &str) -> Scheme {
        let (up_to, unit_amount, flat_amount) = first;
        let first = Tier {
            up_to: Some(up_to),
            unit_amount: unit_amount.map(dec),
            flat_amount: flat_amount.map(dec),
        };
        let last = Tier { up_to: None, unit_amount: Some(dec(unit)), flat_amount: Some(dec("0")) };
        Scheme::Tiered { mode, tiers: vec![first, last] }
    }

    fn context<'a>(name: &'a str, scheme: &'a Scheme, interval: Interval) -> LineContext<'a> {
        LineContext {
            product_name: name,
            unit_label: None,
            currency: Currency::parse("usd").unwrap(),
            scheme,
            recurrence: Some(Recurrence::new(interval, 1).unwrap()),
            usage_type: UsageType::Metered,
        }
    }

    fn check(what: &LineContext<'_>, quantity: &str, expected: &[&str]) {
        let lines = rate(what.scheme, dec(quantity)).unwrap();
        let described: Vec<_> = lines.iter().map(|line| describe(line, what)).collect();
        assert_eq!(described, expected);
    }

    #[test]
    fn a_unit_price_names_quantity_product_price_and_interval() {
        let price = per_unit("1500");
        let what = context("Monthly Price", &price, Interval::Month);
        check(&what, "1", &["1 × Monthly Price (at $15.00 / month)"]);
        check(&what, "2.5", &["2.5 × Monthly Price (at $15.00 / month)"]);
        let labelled = LineContext { unit_label: Some("seat"), ..what };
        check(&labelled, "31", &["31 seat × Monthly Price (at $15.00 / month)"]);
    }

    #[test]
    fn a_longer_recurrence_is_written_with_every() {
        let price = per_unit("10000");
        let what = context("Plan", &price, Interval::Month);
        let quarterly =
            LineContext { recurrence: Some(Recurrence::new(Interval::Month, 3).unwrap()), ..what };
        check(&quarterly, "1", &["1 × Plan (at $100.00 every 3 months)"]);
    }

    #[test]
    fn a_package_names_its_size_and_keeps_the_raw_quantity() {
        let guide = package("4", 100);
        check(
            &context("Hypernian tokens", &guide, Interval::Month),
            "3025",
            &["3025 × Hypernian tokens (at $0.04 per 100 units / month)"],
        );
        let minutes = package("8", 60);
        check(
            &context("Name", &minutes, Interval::Month),
            "9892",
            &["9892 × Name (at $0.08 per 60 units / month)"],
        );
    }

    #[test]
    fn graduated_tiers_are_described_like_the_real_invoice() {
        let price = tiered(TierMode::Graduated, (1000, Some("0"), Some("900")), "3.6");
        let what = context("Gitpod Usage", &price, Interval::Month);
        let what = LineContext { unit_label: Some("credit"), ..what };
        check(
            &what,
            "1031",
            &[
                "1000 credit × Gitpod Usage (Tier 1 at $0.00 / month)",
                "Gitpod Usage (Tier 1 at $9.00 / month)",
                "31 credit × Gitpod Usage (Tier 2 at $0.036 / month)",
                "Gitpod Usage (Tier 2 at $0.00 / month)",
            ],
        );
    }

    #[test]
    fn zero_usage_shows_the_first_tiers_units_and_flat_amount() {
        let price = tiered(TierMode::Graduated, (5000, None, Some("999")), "0.1");
        let what = context("Basic", &price, Interval::Day);
        let what = LineContext { unit_label: Some("character"), ..what };
        check(
            &what,
            "0",
            &["0 character × Basic (Tier 1 at $0.00 / day)", "Basic (Tier 1 at $9.99 / day)"],
        );
    }

    #[test]
    fn a_volume_price_without_a_flat_amount_is_one_line() {
        let price = tiered(TierMode::Volume, (10, Some("1800"), None), "1500");
        let what = context("Point-Free Monthly", &price, Interval::Month);
        let what = LineContext { unit_label: Some("seat"), ..what };
        check(&what, "1", &["1 seat × Point-Free Monthly (Tier 1 at $18.00 / month)"]);
    }

    #[test]
    fn a_one_time_price_names_only_quantity_and_product() {
        let price = per_unit("1500");
        let what = context("Set-up", &price, Interval::Month);
        check(&LineContext { recurrence: None, ..what }, "2", &["2 × Set-up"]);
    }

    #[test]
    fn a_trial_is_worded_by_billing_mode_and_usage_type() {
        let price = per_unit("1500");
        let metered = context("Name", &price, Interval::Month);
        let licensed = LineContext { usage_type: UsageType::Licensed, ..metered };
        let one = Decimal::ONE;
        assert_eq!(describe_trial_flexible(one, &licensed), "Free trial for 1 × Name");
        assert_eq!(describe_trial_classic(one, &licensed), "Trial period for Name");
        assert_eq!(describe_trial_classic(dec("10"), &metered), "10 × Name (Free trial)");
    }

    #[test]
    fn a_proration_says_what_it_is_for_and_from_which_day() {
        let at = Timestamp::from_rfc3339("2026-09-01T13:07:05Z").unwrap();
        assert_eq!(
            describe_proration(true, 1, "Gold", at),
            "Unused time on Gold after 01 Sep 2026"
        );
        assert_eq!(
            describe_proration(false, 3, "Gold", at),
            "Remaining time on 3 × Gold after 01 Sep 2026"
        );
    }
}
