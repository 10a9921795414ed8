//! What a request may charge.

use taximeter_kernel::price::{Tier, TransformQuantity};

use super::*;

fn scheme(text: &str) -> Scheme {
    terms(text).unwrap().scheme
}

fn per_unit(amount: &str) -> Scheme {
    Scheme::PerUnit { unit_amount: amount.parse().unwrap(), transform: None }
}

#[test]
fn an_amount_is_an_integer_or_a_decimal() {
    assert_eq!(scheme("currency=usd&unit_amount=4"), per_unit("4"));
    assert_eq!(scheme("currency=usd&unit_amount=0"), per_unit("0"));
    assert_eq!(
        scheme("currency=usd&unit_amount_decimal=0.000000000007"),
        per_unit("0.000000000007")
    );
    assert_eq!(scheme("currency=usd&unit_amount_decimal=5.0"), per_unit("5"));
}

#[test]
fn the_guides_price_is_four_cents_for_each_hundred() {
    let terms = terms(
        "currency=usd&unit_amount=4&billing_scheme=per_unit&transform_quantity[divide_by]=100\
         &transform_quantity[round]=up&recurring[usage_type]=metered&recurring[interval]=month\
         &recurring[meter]=mtr_7&product_data[name]=Hypernian tokens",
    )
    .unwrap();
    let transform = TransformQuantity { divide_by: 100, round: RoundQuantity::Up };
    let unit_amount = "4".parse().unwrap();
    assert_eq!(terms.scheme, Scheme::PerUnit { unit_amount, transform: Some(transform) });
    let recurring = terms.recurring.unwrap();
    assert_eq!(recurring.recurrence, Recurrence::new(Interval::Month, 1).unwrap());
    assert_eq!(recurring.usage_type, UsageType::Metered);
    assert_eq!(recurring.meter.unwrap().as_str(), "mtr_7");
}

#[test]
fn tiers_take_integers_and_decimals_and_end_with_inf() {
    let text = format!(
        "{TIERED}&tiers_mode=graduated&tiers[0][up_to]=5&tiers[0][unit_amount]=700\
         &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=0.5&tiers[1][flat_amount_decimal]=13.0"
    );
    let tiers = vec![
        Tier { up_to: Some(5), unit_amount: Some("700".parse().unwrap()), flat_amount: None },
        Tier {
            up_to: None,
            unit_amount: Some("0.5".parse().unwrap()),
            flat_amount: Some("13".parse().unwrap()),
        },
    ];
    assert_eq!(scheme(&text), Scheme::Tiered { mode: TierMode::Graduated, tiers });
}

#[test]
fn a_currency_may_be_written_in_capitals() {
    assert_eq!(terms("currency=USD&unit_amount=4").unwrap().currency, currency_of("usd"));
}

#[test]
fn an_option_of_currency_has_the_packages_of_the_price() {
    let price = price(
        "currency=usd&unit_amount=4&transform_quantity[divide_by]=100&transform_quantity[round]=down\
         &currency_options[EUR][unit_amount_decimal]=3.7&currency_options[jpy][unit_amount]=11\
         &currency_options[jpy][tax_behavior]=inclusive",
    );
    let transform = Some(TransformQuantity { divide_by: 100, round: RoundQuantity::Down });
    let in_euros = Scheme::PerUnit { unit_amount: "3.7".parse().unwrap(), transform };
    assert_eq!(price.scheme_in(currency_of("eur")), Some(&in_euros));
    assert_eq!(price.scheme_in(currency_of("usd")), Some(&price.scheme));
    assert_eq!(price.scheme_in(currency_of("gbp")), None);
    let yen = &price.currency_options[&currency_of("jpy")];
    assert_eq!(yen.tax_behavior, TaxBehavior::Inclusive);
}

#[test]
fn three_years_is_the_longest_period() {
    for (interval, count) in [("day", 1095), ("week", 156), ("month", 36), ("year", 3)] {
        let count_of = |count: i64| {
            terms(&format!(
                "currency=usd&unit_amount=4&recurring[interval]={interval}&recurring[interval_count]={count}"
            ))
        };
        assert!(count_of(count).is_ok(), "{count} {interval}");
        let error = count_of(count + 1).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("recurring[interval_count]"));
    }
}

#[test]
fn a_change_leaves_what_it_does_not_mention() {
    let before = price(&format!(
        "currency=usd&unit_amount=4&{MONTHLY}&currency_options[eur][unit_amount]=3"
    ));
    let after = changed(&before, "nickname=Gold&currency_options[jpy][unit_amount]=11").unwrap();
    assert_eq!(after.nickname.as_deref(), Some("Gold"));
    assert_eq!(after.currency_options.len(), 2);
    assert_eq!(after.scheme, before.scheme);
    assert_eq!(changed(&after, "nickname=").unwrap().nickname, None);
    assert!(changed(&after, "currency_options=").unwrap().currency_options.is_empty());
    assert_eq!(changed(&after, "").unwrap(), after);
}

#[test]
fn a_currency_option_is_replaced_or_only_its_tax_behavior_is_said() {
    let before = price("currency=usd&unit_amount=4&currency_options[eur][unit_amount]=3");
    let euro = |price: &Price| price.currency_options[&currency_of("eur")].clone();
    let replaced = changed(&before, "currency_options[eur][unit_amount_decimal]=3.5").unwrap();
    assert_eq!(euro(&replaced).scheme, per_unit("3.5"));
    let said = changed(&replaced, "currency_options[eur][tax_behavior]=exclusive").unwrap();
    let option = CurrencyOption { scheme: per_unit("3.5"), tax_behavior: TaxBehavior::Exclusive };
    assert_eq!(euro(&said), option);
}

#[test]
fn tax_behavior_is_said_once() {
    let before = price("currency=usd&unit_amount=4");
    let said = changed(&before, "tax_behavior=inclusive").unwrap();
    assert_eq!(said.tax_behavior, TaxBehavior::Inclusive);
    assert_eq!(changed(&said, "tax_behavior=inclusive").unwrap(), said);
    for other in ["exclusive", "unspecified"] {
        let error = changed(&said, &format!("tax_behavior={other}")).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tax_behavior"));
    }
}

#[test]
fn a_price_described_inline_or_as_a_default_has_one_amount() {
    let node = form("currency=usd&product=prod_7&unit_amount=700&recurring[interval]=week");
    let inline = PriceData::decode(Some(node), Path::ROOT).unwrap();
    let terms = check::Asked::from(inline).check(Path::ROOT).unwrap();
    assert_eq!(terms.scheme, per_unit("700"));
    assert_eq!(terms.recurring.unwrap().usage_type, UsageType::Licensed);

    let node =
        form("currency=usd&unit_amount=13&currency_options[eur][unit_amount]=11&metadata[a]=b");
    let default = DefaultPriceData::decode(Some(node), Path::ROOT).unwrap();
    let terms = check::Asked::from(default).check(Path::ROOT).unwrap();
    assert_eq!(terms.currency_options[&currency_of("eur")].scheme, per_unit("11"));
}
