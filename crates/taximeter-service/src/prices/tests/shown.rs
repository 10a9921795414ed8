//! What clients see.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_recurring_price_shows_every_field() {
    let mut price = price(&format!(
        "currency=usd&unit_amount_decimal=5.0&{MONTHLY}&recurring[interval_count]=3\
         &recurring[usage_type]=metered&recurring[meter]=mtr_7&recurring[trial_period_days]=7\
         &transform_quantity[divide_by]=60&transform_quantity[round]=up"
    ));
    price.metadata.insert("a".to_owned(), "b".to_owned());
    price.lookup_key = Some("gold".to_owned());
    assert_eq!(
        price.wire(),
        json!({
            "id": "price_7",
            "object": "price",
            "active": true,
            "billing_scheme": "per_unit",
            "created": 1_700_000_000,
            "currency": "usd",
            "currency_options": {
                "usd": {
                    "custom_unit_amount": null,
                    "tax_behavior": "unspecified",
                    "unit_amount": 5,
                    "unit_amount_decimal": "5",
                },
            },
            "custom_unit_amount": null,
            "livemode": false,
            "lookup_key": "gold",
            "metadata": { "a": "b" },
            "nickname": null,
            "product": "prod_7",
            "recurring": {
                "interval": "month",
                "interval_count": 3,
                "meter": "mtr_7",
                "trial_period_days": 7,
                "usage_type": "metered",
            },
            "tax_behavior": "unspecified",
            "tiers_mode": null,
            "transform_quantity": { "divide_by": 60, "round": "up" },
            "type": "recurring",
            "unit_amount": 5,
            "unit_amount_decimal": "5",
        })
    );
    assert_eq!(
        price.plan_wire(),
        json!({
            "id": "price_7",
            "object": "plan",
            "active": true,
            "amount": 5,
            "amount_decimal": "5",
            "billing_scheme": "per_unit",
            "created": 1_700_000_000,
            "currency": "usd",
            "interval": "month",
            "interval_count": 3,
            "livemode": false,
            "metadata": { "a": "b" },
            "meter": "mtr_7",
            "nickname": null,
            "product": "prod_7",
            "tiers_mode": null,
            "transform_usage": { "divide_by": 60, "round": "up" },
            "trial_period_days": 7,
            "usage_type": "metered",
        })
    );
}

#[test]
fn a_fraction_shows_only_as_a_decimal() {
    let shown = price("currency=usd&unit_amount_decimal=0.05").wire();
    assert_eq!(shown["unit_amount"], Value::Null);
    assert_eq!(shown["unit_amount_decimal"], "0.05");
    assert_eq!(shown["recurring"], Value::Null);
    assert_eq!(shown["type"], "one_time");
}

#[test]
fn a_price_that_does_not_recur_is_no_plan() {
    assert_eq!(price("currency=usd&unit_amount=4").plan_wire(), Value::Null);
}

#[test]
fn tiers_show_both_forms_in_every_currency() {
    let price = price(&format!(
        "{TIERED}&tiers_mode=volume&tiers[0][up_to]=1000&tiers[0][flat_amount]=900\
         &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=3.6\
         &currency_options[eur][tiers][0][up_to]=inf&currency_options[eur][tiers][0][unit_amount]=3"
    ));
    let shown = price.wire();
    assert_eq!(shown["unit_amount"], Value::Null);
    assert_eq!(shown["unit_amount_decimal"], Value::Null);
    assert_eq!(shown["tiers_mode"], "volume");
    let tiers = json!([
        {
            "flat_amount": 900,
            "flat_amount_decimal": "900",
            "unit_amount": null,
            "unit_amount_decimal": null,
            "up_to": 1000,
        },
        {
            "flat_amount": null,
            "flat_amount_decimal": null,
            "unit_amount": null,
            "unit_amount_decimal": "3.6",
            "up_to": null,
        },
    ]);
    assert_eq!(shown["tiers"], tiers);
    assert_eq!(shown["currency_options"]["usd"]["tiers"], tiers);
    assert_eq!(shown["currency_options"]["eur"]["tiers"][0]["unit_amount"], 3);
    assert_eq!(price.plan_wire()["tiers"], tiers);
}
