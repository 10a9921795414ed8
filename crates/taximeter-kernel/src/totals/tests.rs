//! Totals, with the numbers of the reference and what holds of any invoice.

#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use proptest::prelude::*;

use super::*;

fn line(subtotal_minor: i64) -> Line {
    Line { subtotal_minor, discountable: true }
}

fn lines(subtotals: &[i64]) -> Vec<Line> {
    subtotals.iter().copied().map(line).collect()
}

fn percent(text: &str) -> Discount {
    Discount::Percent(text.parse().unwrap())
}

fn of_invoice(discount: Discount, lines: &[bool]) -> Reduction {
    Reduction { discount, level: Level::Invoice, lines: lines.to_vec() }
}

fn of_lines(discount: Discount, lines: &[bool]) -> Reduction {
    Reduction { discount, level: Level::Lines, lines: lines.to_vec() }
}

fn rate(percent: &str, behavior: Behavior, lines: &[bool]) -> Rate {
    Rate { percent: percent.parse().unwrap(), behavior, lines: lines.to_vec() }
}

fn exclusive(percent: &str, lines: &[bool]) -> Rate {
    rate(percent, Behavior::Exclusive, lines)
}

fn inclusive(percent: &str, lines: &[bool]) -> Rate {
    rate(percent, Behavior::Inclusive, lines)
}

/// What each discount takes off each line.
fn off(totals: &Totals) -> Vec<Vec<i64>> {
    totals.lines.iter().map(|line| line.discounts_minor.clone()).collect()
}

/// Subtotal, the same without tax, total without tax, total.
fn sums(totals: &Totals) -> [i64; 4] {
    [
        totals.subtotal_minor,
        totals.subtotal_excluding_tax_minor,
        totals.total_excluding_tax_minor,
        totals.total_minor,
    ]
}

fn tax(amount_minor: i64, taxable_minor: i64) -> Option<Tax> {
    Some(Tax { amount_minor, taxable_minor })
}

const BOTH: &[bool] = &[true, true];
const TAXED: Taxation = Taxation::Taxed;

#[test]
fn an_invoice_without_discounts_and_taxes_comes_to_its_lines() {
    let totals = totals(&lines(&[1300, -700, 7]), &[], &[], TAXED).unwrap();
    assert_eq!(sums(&totals), [607; 4]);
    assert_eq!(sums(&super::totals(&[], &[], &[], TAXED).unwrap()), [0; 4]);
}

#[test]
fn the_reference_spreads_500_over_1000_and_2000_as_166_and_334() {
    let lines = lines(&[1000, 2000]);
    let reductions = [of_invoice(Discount::Amount(500), BOTH)];
    let totals = totals(&lines, &reductions, &[exclusive("10", BOTH)], TAXED).unwrap();
    assert_eq!(off(&totals), [[166], [334]]);
    assert_eq!(totals.discounts_minor, [500]);
    assert_eq!(totals.lines[0].taxes, [tax(83, 834)]);
    assert_eq!(totals.lines[1].taxes, [tax(167, 1666)]);
    assert_eq!(totals.taxes, [tax(250, 2500)]);
    assert_eq!(sums(&totals), [3000, 3000, 2500, 2750]);
}

#[test]
fn discounts_of_lines_come_first_and_are_in_the_subtotal() {
    let reductions = [
        of_invoice(percent("10"), BOTH),
        of_lines(percent("50"), &[true, false]),
        of_invoice(Discount::Amount(100), BOTH),
    ];
    let totals = totals(&lines(&[1000, 2000]), &reductions, &[], TAXED).unwrap();
    // 500 of the first; 10 % of 500 + 2000 is 250, spread 50 and 200; 100 of 450 + 1800.
    assert_eq!(off(&totals), [[50, 500, 20], [200, 0, 80]]);
    assert_eq!(totals.lines[0].amount_minor, 500);
    assert_eq!(totals.lines[0].subtotal_minor, 1000);
    assert_eq!(totals.discounts_minor, [250, 500, 100]);
    assert_eq!(sums(&totals), [2500, 2500, 2150, 2150]);
}

#[test]
fn a_discount_of_an_item_is_taken_off_its_tiers_together() {
    let reductions = [of_lines(Discount::Amount(700), &[true, true, false])];
    let totals = totals(&lines(&[900, 112, 1300]), &reductions, &[], TAXED).unwrap();
    assert_eq!(off(&totals), [[622], [78], [0]]);
    assert_eq!(totals.subtotal_minor, 1612);
}

#[test]
fn what_is_not_discountable_not_covered_or_given_back_is_no_base() {
    let mut lines = lines(&[1000, 1000, 1000, -300]);
    lines[0].discountable = false;
    let reductions = [of_invoice(percent("12.5"), &[true, false, true, true])];
    let totals = totals(&lines, &reductions, &[], TAXED).unwrap();
    assert_eq!(off(&totals), [[0], [0], [125], [0]]);
    assert_eq!(sums(&totals), [2700, 2700, 2575, 2575]);
}

#[test]
fn an_amount_off_takes_no_more_than_there_is() {
    let reductions = [of_invoice(Discount::Amount(5000), BOTH), of_invoice(percent("100"), BOTH)];
    let totals = totals(&lines(&[300, 1]), &reductions, &[exclusive("19", BOTH)], TAXED).unwrap();
    assert_eq!(off(&totals), [[300, 0], [1, 0]]);
    assert_eq!(totals.taxes, [tax(0, 0)]);
    assert_eq!(sums(&totals), [301, 301, 0, 0]);
}

#[test]
fn inclusive_tax_is_within_what_discounts_left() {
    let reductions = [of_invoice(Discount::Amount(695), &[true])];
    let rates = [inclusive("19", &[true])];
    let totals = totals(&lines(&[2000]), &reductions, &rates, TAXED).unwrap();
    assert_eq!(totals.lines[0].taxes, [tax(208, 1097)]);
    assert_eq!(sums(&totals), [2000, 1792, 1097, 1305]);
}

#[test]
fn several_rates_tax_the_same_base() {
    let on_top = [exclusive("5", BOTH), exclusive("9.975", &[false, true])];
    let totals = totals(&lines(&[1000, 2000]), &[], &on_top, TAXED).unwrap();
    assert_eq!(totals.lines[0].taxes, [tax(50, 1000), None]);
    assert_eq!(totals.lines[1].taxes, [tax(100, 2000), tax(200, 2000)]);
    assert_eq!(totals.taxes, [tax(150, 3000), tax(200, 2000)]);
    assert_eq!(sums(&totals), [3000, 3000, 3000, 3350]);
    let within = [inclusive("5", &[true]), inclusive("9.5", &[true])];
    let totals = super::totals(&lines(&[1145]), &[], &within, TAXED).unwrap();
    assert_eq!(totals.taxes, [tax(50, 1000), tax(95, 1000)]);
    assert_eq!(sums(&totals), [1145, 1000, 1000, 1145]);
}

#[test]
fn a_rate_that_taxes_no_line_comes_to_nothing_at_all() {
    let rates = [exclusive("19", &[false]), exclusive("0", &[true])];
    let totals = totals(&lines(&[700]), &[], &rates, TAXED).unwrap();
    assert_eq!(totals.taxes, [None, tax(0, 700)]);
}

#[test]
fn an_exempt_customer_pays_no_tax() {
    let rates = [exclusive("19", BOTH), inclusive("7", &[false, true])];
    let totals = totals(&lines(&[1000, 2140]), &[], &rates, Taxation::Untaxed).unwrap();
    assert_eq!(totals.taxes, [tax(0, 0), tax(0, 0)]);
    assert_eq!(totals.lines[0].taxes, [tax(0, 0), None]);
    assert_eq!(sums(&totals), [3140; 4]);
}

#[test]
fn what_is_given_back_gives_its_tax_back() {
    let rates = [exclusive("19", BOTH)];
    let totals = totals(&lines(&[700, -1305]), &[], &rates, TAXED).unwrap();
    assert_eq!(totals.taxes, [tax(133 - 248, -605)]);
    assert_eq!(totals.total_minor, -720);
}

#[test]
fn credits_come_between_discounts_and_tax() {
    let reductions = [of_invoice(Discount::Amount(500), BOTH)];
    let left = discounted(&lines(&[1000, 2000]), &reductions).unwrap();
    assert_eq!(left.lines().iter().map(|line| line.net_minor).collect::<Vec<_>>(), [834, 1666]);
    let totals = left.clone().credited(&[834, 66]).unwrap();
    let totals = totals.taxed(&[exclusive("10", BOTH)], TAXED).unwrap();
    assert_eq!(totals.credits_minor, 900);
    assert_eq!(totals.taxes, [tax(160, 1600)]);
    assert_eq!(sums(&totals), [3000, 3000, 1600, 1760]);
    for credits in [[835, 0], [-1, 0]] {
        assert_eq!(left.clone().credited(&credits), Err(DecimalError::Overflow));
    }
}

#[test]
fn an_amount_that_does_not_fit_is_an_error() {
    let overflow =
        |lines: &[i64], rates: &[Rate]| totals(&self::lines(lines), &[], rates, TAXED).unwrap_err();
    assert_eq!(overflow(&[i64::MAX, 1], &[]), DecimalError::Overflow);
    assert_eq!(overflow(&[i64::MAX], &[exclusive("1", &[true])]), DecimalError::Overflow);
}

/// Any discount over any of eight lines.
fn reductions() -> impl Strategy<Value = Vec<Reduction>> {
    let discount = prop_oneof![
        (1_i64..=100).prop_map(|percent| Discount::Percent(percent.into())),
        (1_i64..5_000).prop_map(Discount::Amount),
    ];
    let level = prop_oneof![Just(Level::Lines), Just(Level::Invoice)];
    let reduction = (discount, level, prop::collection::vec(any::<bool>(), 8))
        .prop_map(|(discount, level, lines)| Reduction { discount, level, lines });
    prop::collection::vec(reduction, 0..4)
}

fn rates() -> impl Strategy<Value = Vec<Rate>> {
    let behavior = prop_oneof![Just(Behavior::Exclusive), Just(Behavior::Inclusive)];
    let rate = (0_i64..30, behavior, prop::collection::vec(any::<bool>(), 8))
        .prop_map(|(percent, behavior, lines)| Rate { percent: percent.into(), behavior, lines });
    prop::collection::vec(rate, 0..3)
}

proptest! {
    #[test]
    fn everything_sums_up(
        subtotals in prop::collection::vec((-500_i64..10_000, any::<bool>()), 0..8),
        reductions in reductions(),
        rates in rates(),
    ) {
        let lines: Vec<Line> = subtotals
            .iter()
            .map(|(subtotal_minor, discountable)| Line {
                subtotal_minor: *subtotal_minor,
                discountable: *discountable,
            })
            .collect();
        let totals = totals(&lines, &reductions, &rates, TAXED).unwrap();
        let amounts: i64 = totals.lines.iter().map(|line| line.amount_minor).sum();
        prop_assert_eq!(totals.subtotal_minor, amounts);
        let (mut net, mut on_top, mut within) = (0, 0, 0);
        for (line, given) in totals.lines.iter().zip(&lines) {
            net += line.net_minor;
            let off: i64 = line.discounts_minor.iter().sum();
            prop_assert_eq!(line.subtotal_minor - off, line.net_minor);
            // No line gives more than it has, and what is no base gives nothing.
            if given.discountable && given.subtotal_minor > 0 {
                prop_assert!(line.net_minor >= 0 && line.discounts_minor.iter().all(|d| *d >= 0));
            } else {
                prop_assert_eq!(off, 0);
            }
            for (tax, rate) in line.taxes.iter().zip(&rates) {
                let amount = tax.map_or(0, |tax| tax.amount_minor);
                match rate.behavior {
                    Behavior::Exclusive => on_top += amount,
                    Behavior::Inclusive => within += amount,
                }
            }
        }
        prop_assert_eq!(totals.total_minor, net + on_top);
        prop_assert_eq!(totals.total_excluding_tax_minor, net - within);
        prop_assert_eq!(totals.subtotal_excluding_tax_minor, totals.subtotal_minor - within);
        let subtotals: i64 = lines.iter().map(|line| line.subtotal_minor).sum();
        let off: i64 = totals.discounts_minor.iter().sum();
        prop_assert_eq!(net, subtotals - off);
        let taxes: i64 = totals.taxes.iter().flatten().map(|tax| tax.amount_minor).sum();
        prop_assert_eq!(taxes, on_top + within);
        for (discount, reduction) in totals.discounts_minor.iter().zip(&reductions) {
            if let Discount::Amount(most) = reduction.discount {
                prop_assert!(*discount <= most);
            }
        }
    }
}
