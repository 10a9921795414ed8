//! What a request may not charge, and how it is told.

use super::*;

/// A request, the parameter it is told of (empty for none), and how the message begins.
fn check(cases: &[(&str, &str, &str)]) {
    for (request, param, message) in cases {
        let error = terms(request).unwrap_err();
        assert_eq!(error.param.as_deref().unwrap_or(""), *param, "{request}: {error}");
        assert!(error.message.starts_with(message), "{request}: {error}");
    }
}

/// The same for the rest of a graduated price.
fn check_tiers(cases: &[(&str, &str, &str)]) {
    for (tiers, param, message) in cases {
        check(&[(&format!("{TIERED}&tiers_mode=graduated{tiers}"), param, message)]);
    }
}

const NO_AMOUNT: &str =
    "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.";

#[test]
fn amounts_have_their_form_and_bounds() {
    check(&[
        ("unit_amount=4", "currency", "Missing required param: currency."),
        ("currency=xyz&unit_amount=4", "currency", "Invalid currency: xyz. "),
        ("currency=usd", "", NO_AMOUNT),
        (
            "currency=usd&unit_amount=4&unit_amount_decimal=4",
            "unit_amount",
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
        ),
        ("currency=usd&unit_amount=-1", "unit_amount", "Invalid non-negative integer"),
        ("currency=usd&unit_amount=4.5", "unit_amount", "Invalid integer: 4.5"),
        (
            "currency=usd&unit_amount_decimal=-0.5",
            "unit_amount_decimal",
            "Invalid non-negative decimal",
        ),
        (
            "currency=usd&unit_amount_decimal=0.0000000000007",
            "unit_amount_decimal",
            "Invalid decimal: must have at most 12 decimal places",
        ),
        ("currency=usd&unit_amount=1000000000000", "unit_amount", "Amount must be no more than"),
        (
            "currency=usd&unit_amount_decimal=999999999999.5",
            "unit_amount_decimal",
            "Amount must be no more than 999999999999 in the currency's smallest unit.",
        ),
        ("currency=usd&custom_unit_amount[enabled]=true", "custom_unit_amount", "Received unknown"),
    ]);
    assert_eq!(
        terms("currency=usd&unit_amount=1000000000000").unwrap_err().code,
        Some("amount_too_large")
    );
}

#[test]
fn a_scheme_takes_only_its_own_parameters() {
    let tiers = "tiers_mode=volume&tiers[0][up_to]=inf&tiers[0][unit_amount]=7";
    check(&[
        (
            &format!("currency=usd&billing_scheme=tiered&{tiers}"),
            "interval",
            "Prices with `type=one_time` are not supported with tiered billing.",
        ),
        (&format!("currency=usd&{tiers}"), "tiers_mode", "`tiers_mode` can only be used with"),
        (
            "currency=usd&tiers[0][up_to]=inf&tiers[0][unit_amount]=7",
            "tiers",
            "`tiers` can only be used with `billing_scheme=tiered`.",
        ),
        (TIERED, "tiers_mode", "Missing required param: tiers_mode."),
        (&format!("{TIERED}&tiers_mode=volume"), "tiers", "Missing required param: tiers."),
        (
            &format!("{TIERED}&{tiers}&unit_amount_decimal=4"),
            "unit_amount_decimal",
            "`unit_amount_decimal` cannot be used with `billing_scheme=tiered`",
        ),
        (
            &format!(
                "{TIERED}&{tiers}&transform_quantity[divide_by]=7&transform_quantity[round]=up"
            ),
            "transform_quantity",
            "`transform_quantity` cannot be combined with `tiers`.",
        ),
        (
            "currency=usd&unit_amount=4&transform_quantity[divide_by]=0&transform_quantity[round]=up",
            "transform_quantity[divide_by]",
            "This value must be greater than or equal to 1.",
        ),
    ]);
}

#[test]
fn a_broken_rule_of_tiers_names_the_parameter_that_breaks_it() {
    let end = "&tiers[1][up_to]=inf&tiers[1][unit_amount]=7";
    check_tiers(&[
        (
            &format!("&tiers[0][up_to]=0&tiers[0][unit_amount]=7{end}"),
            "tiers[0][up_to]",
            "This value",
        ),
        (
            "&tiers[0][up_to]=5&tiers[0][unit_amount]=7&tiers[1][up_to]=5&tiers[1][unit_amount]=7\
             &tiers[2][up_to]=inf&tiers[2][unit_amount]=7",
            "tiers[1][up_to]",
            "The `up_to` of a tier must be greater than that of the tier before it.",
        ),
        (
            &format!("&tiers[0][up_to]=inf&tiers[0][unit_amount]=7{end}"),
            "tiers[0][up_to]",
            "Only the last tier may have `up_to=inf`.",
        ),
        (
            "&tiers[0][up_to]=5&tiers[0][unit_amount]=7",
            "tiers[0][up_to]",
            "The last tier must have `up_to=inf`.",
        ),
        (&format!("&tiers[0][up_to]=5{end}"), "tiers[0]", "A tier requires at least one of"),
        (
            &format!("&tiers[0][up_to]=5&tiers[0][unit_amount]=-7{end}"),
            "tiers[0][unit_amount]",
            "Invalid non-negative integer",
        ),
        (
            &format!("&tiers[0][up_to]=5&tiers[0][unit_amount_decimal]=0.0000000000007{end}"),
            "tiers[0][unit_amount_decimal]",
            "Invalid decimal: must have at most 12 decimal places",
        ),
        (
            &format!("&tiers[0][up_to]=5&tiers[0][flat_amount_decimal]=0.5{end}"),
            "tiers[0][flat_amount_decimal]",
            "Invalid decimal: must be a whole number",
        ),
        (
            &format!("&tiers[0][up_to]=5&tiers[0][flat_amount]=1000000000000{end}"),
            "tiers[0][flat_amount]",
            "Amount must be no more than",
        ),
        (
            &format!(
                "&tiers[0][up_to]=5&tiers[0][flat_amount]=7&tiers[0][flat_amount_decimal]=7{end}"
            ),
            "tiers[0][flat_amount]",
            "You may only specify one of these parameters: flat_amount, flat_amount_decimal.",
        ),
        ("&tiers[0][unit_amount]=7", "tiers[0][up_to]", "Missing required param"),
        ("&tiers[0][up_to]=never&tiers[0][unit_amount]=7", "tiers[0][up_to]", "Invalid integer"),
    ]);
}

#[test]
fn the_first_hundred_tiers_are_enough() {
    let mut text =
        format!("{TIERED}&tiers_mode=volume&tiers[100][up_to]=inf&tiers[100][unit_amount]=7");
    for index in 0..100 {
        text += &format!("&tiers[{index}][up_to]={}&tiers[{index}][unit_amount]=7", index + 1);
    }
    check(&[(&text, "tiers", "Invalid array: at most 100 elements are accepted")]);
}

#[test]
fn a_currency_option_keeps_the_rules_of_the_price() {
    let price = "currency=usd&unit_amount=4&currency_options";
    let tiered = format!(
        "{TIERED}&tiers_mode=volume&tiers[0][up_to]=inf&tiers[0][unit_amount]=7&currency_options"
    );
    check(&[
        (&format!("{price}[eur][tax_behavior]=inclusive"), "currency_options[eur]", NO_AMOUNT),
        (&format!("{price}[xyz][unit_amount]=3"), "currency_options[xyz]", "Invalid currency: xyz"),
        (
            &format!("{price}[usd][unit_amount]=3"),
            "currency_options[usd]",
            "Invalid currency_options",
        ),
        (
            &format!("{price}[eur][unit_amount]=3&currency_options[EUR][unit_amount]=3"),
            "currency_options[EUR]",
            "Invalid currency_options: EUR comes twice.",
        ),
        (
            &format!("{price}[eur][unit_amount_decimal]=-3"),
            "currency_options[eur][unit_amount_decimal]",
            "Invalid non-negative decimal",
        ),
        (
            &format!(
                "{price}[eur][tiers][0][up_to]=inf&currency_options[eur][tiers][0][unit_amount]=7"
            ),
            "currency_options[eur][tiers]",
            "`tiers` can only be used with",
        ),
        (
            &format!("{tiered}[eur][unit_amount]=3"),
            "currency_options[eur][unit_amount]",
            "`unit_amount` cannot be used with `billing_scheme=tiered`",
        ),
        (
            &format!(
                "{tiered}[eur][tiers][0][up_to]=0&currency_options[eur][tiers][0][unit_amount]=3"
            ),
            "currency_options[eur][tiers][0][up_to]",
            "The last tier must have `up_to=inf`.",
        ),
    ]);
}

#[test]
fn metered_goes_with_a_meter_and_licensed_without() {
    let metered = format!("currency=usd&unit_amount=4&{MONTHLY}&recurring[usage_type]=metered");
    check(&[
        (
            &metered,
            "",
            "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters.",
        ),
        (
            &format!("currency=usd&unit_amount=4&{MONTHLY}&recurring[meter]=mtr_7"),
            "recurring[meter]",
            "A price with a meter must have `recurring[usage_type]=metered`.",
        ),
    ]);
    assert!(terms(&format!("{metered}&recurring[meter]=mtr_7")).is_ok());
}

#[test]
fn a_recurrence_has_its_form_and_bounds() {
    let price = "currency=usd&unit_amount=4&recurring";
    check(&[
        (&format!("{price}[interval_count]=1"), "recurring[interval]", "Missing required param"),
        (
            &format!("{price}[interval]=hour"),
            "recurring[interval]",
            "Invalid recurring[interval]: must be one of day, month, week, or year",
        ),
        (
            &format!("{price}[interval]=month&recurring[interval_count]=0"),
            "recurring[interval_count]",
            "This value must be greater than or equal to 1.",
        ),
        (
            &format!("{price}[interval]=month&recurring[interval_count]=-1"),
            "recurring[interval_count]",
            "This value must be greater than or equal to 1.",
        ),
        (
            &format!("{price}[interval]=day&recurring[interval_count]=9007199254740991"),
            "recurring[interval_count]",
            "Invalid interval_count: a price must recur within 3 years",
        ),
        (
            &format!("{price}[interval]=day&recurring[trial_period_days]=731"),
            "recurring[trial_period_days]",
            "Invalid trial_period_days: must be between 0 and 730.",
        ),
        (
            &format!("{price}[interval]=month&recurring[aggregate_usage]=sum"),
            "recurring[aggregate_usage]",
            "Received unknown parameter: recurring[aggregate_usage]",
        ),
    ]);
}

#[test]
fn what_a_price_charges_never_changes() {
    let before = price("currency=usd&unit_amount=4");
    for name in ["unit_amount", "currency", "product", "billing_scheme", "tiers_mode"] {
        let error = changed(&before, &format!("{name}=7")).unwrap_err();
        assert_eq!(error.code, Some("parameter_unknown"), "{name}");
        assert_eq!(error.param.as_deref(), Some(name));
    }
    let error = changed(&before, "recurring[interval]=month").unwrap_err();
    assert_eq!(error.code, Some("parameter_unknown"));
}

#[test]
fn a_fault_inside_inline_data_is_told_with_its_whole_path() {
    let node = form("currency=usd&product=prod_7&unit_amount=-1&recurring[interval]=week");
    let inline = PriceData::decode(Some(node), Path::ROOT).unwrap();
    let at = Path::ROOT.child("items[0][price_data]");
    let error = check::Asked::from(inline).check(at).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("items[0][price_data][unit_amount]"));
}

#[test]
fn a_list_takes_ten_lookup_keys() {
    let list = |count: usize| {
        let keys: Vec<String> = (0..count).map(|i| format!("lookup_keys[{i}]=key_{i}")).collect();
        List::decode(Some(form(&keys.join("&"))), Path::ROOT)
    };
    assert!(list(10).is_ok());
    assert_eq!(list(11).unwrap_err().param.as_deref(), Some("lookup_keys"));
}
