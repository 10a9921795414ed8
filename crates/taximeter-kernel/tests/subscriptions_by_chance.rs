//! Random subscriptions, billed: what the rules of rating, proration, discounts, taxes and balances
//! come to together, against arithmetic that is as plain as can be.
#![cfg(test)]
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use proptest::prelude::*;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::discount::Discount;
use taximeter_kernel::invoice::settle;
use taximeter_kernel::money::Currency;
use taximeter_kernel::price::{Scheme, Tier, TierMode};
use taximeter_kernel::prorate;
use taximeter_kernel::rate::{rate, total_minor};
use taximeter_kernel::tax::Behavior;
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_kernel::totals::{Level, Line, Rate, Reduction, Taxation, totals};

/// So many cases in each property.
const CASES: u32 = 10_000;

/// A tier: how many units wide, and thousandths of a minor unit for each.
type Width = (i64, i64);

fn config() -> ProptestConfig {
    ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() }
}

fn thousandths(count: i64) -> Decimal {
    Decimal::new(count.into(), 3).expect("three places")
}

/// Half away from zero.
fn rounded(amount: i128, by: i128) -> i64 {
    let half = (2 * amount.abs() + by) / (2 * by);
    i64::try_from(amount.signum() * half).expect("small")
}

fn tiers(widths: &[Width]) -> Vec<Tier> {
    let mut end = 0;
    let last = widths.len() - 1;
    let tier = |(at, (width, unit)): (usize, &Width)| {
        end += width;
        let (up_to, unit_amount) = ((at < last).then_some(end), Some(thousandths(*unit)));
        Tier { up_to, unit_amount, flat_amount: None }
    };
    widths.iter().enumerate().map(tier).collect()
}

/// What `quantity` thousandths cost in graduated tiers.
fn graduated(widths: &[Width], quantity: i64) -> i64 {
    let (mut left, mut cost) = (quantity, 0);
    for (at, (width, unit)) in widths.iter().enumerate() {
        let here = if at + 1 == widths.len() { left } else { left.min(width * 1_000) };
        cost += rounded(i128::from(here) * i128::from(*unit), 1_000_000);
        left -= here;
    }
    cost
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn graduated_tiers_cost_what_their_units_do(
        widths in prop::collection::vec((1_i64..50, 0_i64..900_000), 1..5),
        quantity in 0_i64..200_000,
    ) {
        let scheme = Scheme::Tiered { mode: TierMode::Graduated, tiers: tiers(&widths) };
        let lines = rate(&scheme, thousandths(quantity)).unwrap();
        prop_assert_eq!(total_minor(&lines).unwrap(), graduated(&widths, quantity));
    }

    #[test]
    fn what_changes_give_back_and_charge_is_what_was_in_force(
        amounts in prop::collection::vec(0_i64..100_000, 2..8),
        seconds in 100_i64..3_000_000,
        shares in prop::collection::vec(1_i64..100, 7),
    ) {
        let period = Period { start: Timestamp(0), end: Timestamp(seconds) };
        // Each amount is in force from one change to the next, the last to the end.
        let (mut billed, mut exact, mut since) = (amounts[0], 0_i128, 0);
        for (pair, share) in amounts.windows(2).zip(&shares) {
            let at = since + (seconds - since - 1) * share / 100;
            let rest = |amount| prorate::of_rest(amount, period, Timestamp(at)).unwrap();
            billed += rest(pair[1]) - rest(pair[0]);
            exact += i128::from(pair[0]) * i128::from(at - since);
            since = at;
        }
        exact += i128::from(*amounts.last().unwrap()) * i128::from(seconds - since);
        // No more than half a minor unit is rounded for each line.
        let off = (i128::from(billed) * i128::from(seconds) - exact).abs();
        let lines = i128::try_from(2 * (amounts.len() - 1)).unwrap();
        prop_assert!(2 * off <= lines * i128::from(seconds), "{billed} for {exact} ÷ {seconds}");
    }

    #[test]
    fn an_invoice_adds_up_from_lines_to_balance(
        amounts in prop::collection::vec(-5_000_i64..100_000, 1..12),
        percent in 1_i64..=100,
        off in 1_i64..50_000,
        tax in 0_i64..30_000,
        balance in -50_000_i64..50_000,
    ) {
        let every = vec![true; amounts.len()];
        let line = |amount: &i64| Line { subtotal_minor: *amount, discountable: *amount > 0 };
        let lines: Vec<_> = amounts.iter().map(line).collect();
        let reduction =
            |discount| Reduction { discount, level: Level::Invoice, lines: every.clone() };
        let reductions =
            [reduction(Discount::Percent(percent.into())), reduction(Discount::Amount(off))];
        let behavior = Behavior::Exclusive;
        let rate = Rate { percent: thousandths(tax), behavior, lines: every.clone() };
        let all = totals(&lines, &reductions, &[rate], Taxation::Taxed).unwrap();
        prop_assert_eq!(all.subtotal_minor, amounts.iter().sum::<i64>());
        let taken: i64 = all.discounts_minor.iter().sum();
        // Each line's tax is rounded by itself.
        let mut taxes = 0;
        for line in &all.lines {
            prop_assert!(line.net_minor >= 0 || line.net_minor == line.subtotal_minor);
            taxes += rounded(i128::from(line.net_minor) * i128::from(tax), 100_000);
        }
        prop_assert_eq!(all.total_minor, all.subtotal_minor - taken + taxes);
        let settled = settle(all.total_minor, balance, Currency::parse("usd").unwrap()).unwrap();
        prop_assert_eq!(all.total_minor + balance, settled.amount_due + settled.ending_balance);
        prop_assert!(settled.amount_due == 0 || settled.amount_due >= 50);
    }
}
