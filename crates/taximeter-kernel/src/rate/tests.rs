//! Tests of rating: the worked examples as one line each, then the laws every scheme obeys.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use proptest::prelude::*;

use super::*;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Reads `unit 3.6`, `package 8/60 up`, `graduated 5@700+1000 inf@600` (up to @ unit + flat, `_` for
/// a unit amount that is not set).
fn scheme(text: &str) -> Scheme {
    let (kind, rest) = text.split_once(' ').unwrap();
    let mode = match kind {
        "unit" => return Scheme::PerUnit { unit_amount: dec(rest), transform: None },
        "package" => return package(rest),
        "graduated" => TierMode::Graduated,
        "volume" => TierMode::Volume,
        other => panic!("no scheme {other}"),
    };
    let tiers = rest.split(' ').map(|tier| {
        let (up_to, amounts) = tier.split_once('@').unwrap();
        let (unit, flat) = match amounts.split_once('+') {
            Some((unit, flat)) => (unit, Some(dec(flat))),
            None => (amounts, None),
        };
        Tier {
            up_to: if up_to == "inf" { None } else { Some(up_to.parse().unwrap()) },
            unit_amount: if unit == "_" { None } else { Some(dec(unit)) },
            flat_amount: flat,
        }
    });
    let scheme = Scheme::Tiered { mode, tiers: tiers.collect() };
    assert_eq!(scheme.validate(), Ok(()), "{text}");
    scheme
}

fn package(text: &str) -> Scheme {
    let (price, round) = text.split_once(' ').unwrap();
    let (unit_amount, divide_by) = price.split_once('/').unwrap();
    let round = RoundQuantity::parse(round).unwrap();
    let transform = Some(TransformQuantity { divide_by: divide_by.parse().unwrap(), round });
    Scheme::PerUnit { unit_amount: dec(unit_amount), transform }
}

/// Rates and compares `scheme | quantity | lines`, a line being `quantity=amount`, with `#tier` in
/// front for the units of a tier and `flat#tier` for its flat amount.
fn check(case: &str) {
    let [price, quantity, expected] = case.split(" | ").collect::<Vec<_>>().try_into().unwrap();
    let lines = rate(&scheme(price), dec(quantity)).unwrap();
    let shown = lines.iter().map(|line| {
        let part = match line.part {
            Part::Whole => String::new(),
            Part::TierUnits { tier, .. } => format!("#{tier}:"),
            Part::TierFlat { tier, .. } => format!("flat#{tier}:"),
        };
        format!("{part}{}={}", line.quantity, line.amount_minor)
    });
    assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{case}");
}

/// Rates and compares `scheme | quantity total, quantity total, …`.
fn check_totals(case: &str) {
    let (price, totals) = case.split_once(" | ").unwrap();
    for pair in totals.split(", ") {
        let (quantity, expected) = pair.split_once(' ').unwrap();
        assert_eq!(
            total(&scheme(price), dec(quantity)).to_string(),
            expected,
            "{price} {quantity}"
        );
    }
}

fn total(scheme: &Scheme, quantity: Decimal) -> i64 {
    total_minor(&rate(scheme, quantity).unwrap()).unwrap()
}

#[test]
fn a_unit_price_is_multiplied_and_rounded_once() {
    check("unit 4 | 100 | 100=400");
    check("unit 0.05 | 30 | 30=2");
    check("unit 0.04 | 250 | 250=10");
    check("unit 3.6 | 31 | 31=112");
    check("unit 0.05 | 29 | 29=1");
    check("unit 0.000000000001 | 499999999999 | 499999999999=0");
    check("unit 0.000000000001 | 500000000000 | 500000000000=1");
    check("unit 100 | 2.345 | 2.345=235");
    check("unit 7 | 0 | 0=0");
}

#[test]
fn a_package_bills_whole_packages_and_shows_the_raw_quantity() {
    check("package 1000/60 up | 150 | 150=3000");
    check("package 1000/60 down | 150 | 150=2000");
    check("package 8/60 up | 9892 | 9892=1320");
    check("package 4/100 up | 3025 | 3025=124");
    check("package 4/100 up | 1 | 1=4");
    check("package 4/100 up | 100 | 100=4");
    check("package 4/100 up | 100.5 | 100.5=8");
    check("package 4/100 down | 99.999 | 99.999=0");
    check("package 4/100 up | 0 | 0=0");
    check_totals("package 4/100 up | 101 8, 200 8, 201 12");
    check_totals("package 1000/5 up | 1 1000, 3 1000, 5 1000, 6 2000");
}

#[test]
fn volume_bills_every_unit_at_the_one_tier_reached() {
    let docs = "volume 5@700 10@650 inf@600";
    check_totals(&format!("{docs} | 1 700, 5 3500, 6 3900, 20 12000, 25 15000"));
    check(&format!("{docs} | 6 | #2:6=3900"));
    check(
        "volume 5@500+1000 10@400+2000 15@300+3000 20@200+4000 inf@100+5000 | 12 | #3:12=3600 flat#3:0=3000",
    );
    check("volume 5@500+1000 inf@100 | 5.5 | #2:5.5=550");
    check("volume 5@500+1000 inf@100 | 0 | #1:0=0 flat#1:0=1000");
}

#[test]
fn graduated_bills_each_unit_at_its_own_tier() {
    let docs = "graduated 5@700 10@650 inf@600";
    check_totals(&format!("{docs} | 1 700, 5 3500, 6 4150, 20 12750, 25 15750"));
    check(
        "graduated 5@500+1000 10@400+2000 15@300+3000 20@200+4000 inf@100+5000 | 12 | #1:5=2500 flat#1:0=1000 #2:5=2000 flat#2:0=2000 #3:2=600 flat#3:0=3000",
    );
    check("graduated 1000@0 inf@4 | 1500 | #1:1000=0 #2:500=2000");
    check("graduated 5@700 inf@650 | 5 | #1:5=3500");
    check("graduated 5@700 inf@650 | 5.5 | #1:5=3500 #2:0.5=325");
}

#[test]
fn real_invoices_come_out_line_by_line() {
    let credits = "graduated 1000@0+900 inf@3.6+0";
    check(&format!("{credits} | 1031 | #1:1000=0 flat#1:0=900 #2:31=112 flat#2:0=0"));
    check_totals(&format!("{credits} | 1031 1012"));
    check("graduated 5000@_+999 inf@0.1 | 0 | #1:0=0 flat#1:0=999");
    check("volume 10@1800 inf@1500 | 1 | #1:1=1800");
}

#[test]
fn zero_usage_bills_the_first_flat_amount_unless_the_fee_is_a_first_unit() {
    check_totals("graduated 5@500+1000 inf@100 | 0 1000");
    check_totals("volume 5@500+1000 inf@100 | 0 1000");
    check_totals("graduated 1@900 inf@5 | 0 0, 1 900, 2 905");
}

#[test]
fn each_tier_line_is_rounded_on_its_own() {
    // 0.5 and 0.5 would be 1 together.
    check("graduated 1@0.5 inf@0.5 | 2 | #1:1=1 #2:1=1");
}

#[test]
fn a_tier_without_a_unit_price_still_shows_its_units_at_nothing() {
    let lines = rate(&scheme("graduated 5@_+999 inf@1"), dec("3")).unwrap();
    assert_eq!(lines[0].part, Part::TierUnits { tier: 1, unit_amount: Decimal::ZERO });
    assert_eq!(lines[1].part, Part::TierFlat { tier: 1, flat_amount: dec("999") });
    assert_eq!((lines[0].unit_amount, lines[1].unit_amount), (Some(Decimal::ZERO), None));
}

#[test]
fn negative_usage_is_billed_as_none() {
    assert_eq!(billable_quantity(dec("-3")), Decimal::ZERO);
    assert_eq!(billable_quantity(dec("2.5")), dec("2.5"));
    assert_eq!(rate(&scheme("unit 7"), dec("-3")), Err(RateError::NegativeQuantity));
}

#[test]
fn a_quantity_that_cannot_be_rated_is_an_error() {
    let bounded = Scheme::Tiered {
        mode: TierMode::Graduated,
        tiers: vec![Tier { up_to: Some(5), unit_amount: Some(dec("1")), flat_amount: None }],
    };
    assert_eq!(rate(&bounded, dec("6")), Err(RateError::NoTier));
    let far = dec("1000000000000000000000000000000");
    assert_eq!(rate(&scheme("unit 7"), far), Err(RateError::Amount(DecimalError::Overflow)));
    let no_units = package("4/0 up");
    assert_eq!(rate(&no_units, far), Err(RateError::Amount(DecimalError::DivisionByZero)));
    let line = rate(&scheme("unit 1"), Decimal::from(i64::MAX)).unwrap();
    assert_eq!(total_minor(&[line[0], line[0]]), Err(RateError::Amount(DecimalError::Overflow)));
}

fn any_quantity() -> impl Strategy<Value = Decimal> {
    (0_i128..1_000_000_000, 0_u8..=6).prop_map(|(m, scale)| Decimal::new(m, scale).unwrap())
}

fn any_amount() -> impl Strategy<Value = Decimal> {
    (0_i128..1_000_000, 0_u8..=6).prop_map(|(m, scale)| Decimal::new(m, scale).unwrap())
}

/// One to five tiers, whose ends rise, each with a unit amount and perhaps a flat one.
fn any_tiers() -> impl Strategy<Value = Vec<Tier>> {
    let tier = (1_i64..500, any_amount(), proptest::option::of(0_i64..10_000));
    proptest::collection::vec(tier, 1..=5).prop_map(|drawn| {
        let mut up_to = 0;
        let mut tiers: Vec<Tier> = Vec::new();
        for (width, unit_amount, flat) in drawn {
            up_to += width;
            tiers.push(Tier {
                up_to: Some(up_to),
                unit_amount: Some(unit_amount),
                flat_amount: flat.map(Decimal::from),
            });
        }
        tiers.last_mut().unwrap().up_to = None;
        tiers
    })
}

proptest! {
    #[test]
    fn the_units_of_graduated_tiers_add_up_to_the_quantity(
        tiers in any_tiers(), quantity in any_quantity(),
    ) {
        let lines = rate(&Scheme::Tiered { mode: TierMode::Graduated, tiers }, quantity).unwrap();
        let mut units = Decimal::ZERO;
        for line in &lines {
            units = units.checked_add(line.quantity).unwrap();
        }
        prop_assert_eq!(units, quantity);
    }

    #[test]
    fn graduated_never_costs_less_for_more(
        tiers in any_tiers(), a in any_quantity(), more in any_quantity(),
    ) {
        let scheme = Scheme::Tiered { mode: TierMode::Graduated, tiers };
        prop_assert!(total(&scheme, a) <= total(&scheme, a.checked_add(more).unwrap()));
    }

    #[test]
    fn a_package_never_costs_less_for_more(
        price in any_amount(), divide_by in 1_i64..1_000, up in any::<bool>(),
        a in any_quantity(), more in any_quantity(),
    ) {
        let round = if up { RoundQuantity::Up } else { RoundQuantity::Down };
        let transform = Some(TransformQuantity { divide_by, round });
        let scheme = Scheme::PerUnit { unit_amount: price, transform };
        prop_assert!(total(&scheme, a) <= total(&scheme, a.checked_add(more).unwrap()));
    }

    #[test]
    fn a_package_costs_its_price_for_each_multiple(
        price in 0_i64..1_000, divide_by in 1_i64..1_000, packages in 0_i64..1_000, up in any::<bool>(),
    ) {
        let round = if up { RoundQuantity::Up } else { RoundQuantity::Down };
        let transform = Some(TransformQuantity { divide_by, round });
        let scheme = Scheme::PerUnit { unit_amount: price.into(), transform };
        prop_assert_eq!(total(&scheme, (packages * divide_by).into()), packages * price);
    }

    /// At an end, the next tier has not begun; one step further costs the step at the next unit
    /// amount, plus the next flat amount.
    #[test]
    fn graduated_tiers_meet_at_their_edges(
        widths in proptest::collection::vec((1_i64..50, 0_i64..100, 0_i64..100), 2..5),
    ) {
        let mut up_to = 0;
        let mut tiers = Vec::new();
        for (width, unit, flat) in &widths {
            up_to += width;
            tiers.push(Tier {
                up_to: Some(up_to),
                unit_amount: Some((*unit).into()),
                flat_amount: Some((*flat).into()),
            });
        }
        tiers.last_mut().unwrap().up_to = None;
        let edges: Vec<i64> = tiers.iter().filter_map(|tier| tier.up_to).collect();
        let scheme = Scheme::Tiered { mode: TierMode::Graduated, tiers };
        for (edge, (_, unit, flat)) in edges.iter().zip(widths.iter().skip(1)) {
            let step = total(&scheme, (edge + 1).into()) - total(&scheme, (*edge).into());
            prop_assert_eq!(step, unit + flat);
        }
    }

    /// Against a model that looks at each unit on its own.
    #[test]
    fn tiers_agree_with_counting_unit_by_unit(
        widths in proptest::collection::vec((1_i64..20, 0_i64..100), 1..5), quantity in 1_i64..100,
    ) {
        let mut tiers = Vec::new();
        let mut up_to = 0;
        for (width, unit) in &widths {
            up_to += width;
            let unit_amount = Some((*unit).into());
            tiers.push(Tier { up_to: Some(up_to), unit_amount, flat_amount: None });
        }
        tiers.last_mut().unwrap().up_to = None;
        let price_of = |unit: i64| {
            let tier = tiers.iter().find(|t| t.up_to.is_none_or(|end| unit <= end)).unwrap();
            tier.unit_amount.unwrap().to_i64().unwrap()
        };
        let graduated: i64 = (1..=quantity).map(price_of).sum();
        let volume = quantity * price_of(quantity);
        let of = |mode| total(&Scheme::Tiered { mode, tiers: tiers.clone() }, quantity.into());
        prop_assert_eq!(of(TierMode::Graduated), graduated);
        prop_assert_eq!(of(TierMode::Volume), volume);
    }

    #[test]
    fn a_line_is_within_half_a_minor_unit_of_the_exact_product(
        price in any_amount(), quantity in any_quantity(),
    ) {
        let scheme = Scheme::PerUnit { unit_amount: price, transform: None };
        let exact = price.checked_mul(quantity).unwrap();
        let gap = Decimal::from(total(&scheme, quantity)).checked_sub(exact).unwrap();
        prop_assert!(dec("-0.5") < gap && gap <= dec("0.5"));
    }
}
