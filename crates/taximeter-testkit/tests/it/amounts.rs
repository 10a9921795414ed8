//! What usage costs, line by line, through the API: Stripe's worked examples and our own.

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, lines, metered, monthly, preview, subscribe, used};

/// A line: what it says, for how much, what it costs.
type Line = (&'static str, &'static str, i64);

/// Prices usage by these terms; for each usage, the lines expected.
async fn check(terms: &str, cases: &[(&str, &[Line])]) {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let price = metered(&app, &meter, "Unit", terms).await;
        for (usage, expected) in cases {
            let who = customer(&app, "").await;
            let sub = subscribe(&app, &who, &[&price], "").await;
            if !usage.is_empty() {
                used(&app, "units", &who, usage, START).await;
            }
            let invoice = preview(&app, &sub).await;
            let found = lines(&invoice);
            let found: Vec<_> = found.iter().map(|(d, q, a)| (&**d, &**q, *a)).collect();
            assert_eq!(found, *expected, "{terms}: {usage}");
            let total: i64 = expected.iter().map(|(_, _, amount)| amount).sum();
            for name in ["subtotal", "total", "subtotal_excluding_tax", "total_excluding_tax"] {
                assert_eq!(invoice[name], total, "{name}");
            }
        }
    }
}

/// As [`check`], of the total only.
async fn check_totals(terms: &str, cases: &[(&str, i64)]) {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let price = metered(&app, &meter, "Unit", terms).await;
        for (usage, total) in cases {
            let who = customer(&app, "").await;
            let sub = subscribe(&app, &who, &[&price], "").await;
            used(&app, "units", &who, usage, START).await;
            assert_eq!(preview(&app, &sub).await["total"], *total, "{terms}: {usage}");
        }
    }
}

#[tokio::test]
async fn a_unit_price_is_multiplied_exactly_and_rounded_once() {
    check(
        "currency=usd&unit_amount_decimal=0.04",
        &[
            ("", &[("0 × Unit (at $0.0004 / month)", "0", 0)]),
            ("250", &[("250 × Unit (at $0.0004 / month)", "250", 10)]),
            ("37", &[("37 × Unit (at $0.0004 / month)", "37", 1)]),
            ("-3", &[("0 × Unit (at $0.0004 / month)", "0", 0)]),
        ],
    )
    .await;
    check(
        "currency=usd&unit_amount_decimal=0.05",
        &[("30", &[("30 × Unit (at $0.0005 / month)", "30", 2)])],
    )
    .await;
    check(
        "currency=usd&unit_amount_decimal=0.000000000001",
        &[(
            "999999999999",
            &[("999999999999 × Unit (at $0.00000000000001 / month)", "999999999999", 1)],
        )],
    )
    .await;
}

#[tokio::test]
async fn a_part_of_a_unit_costs_a_part_of_the_price() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let price = metered(&app, &meter, "Unit", "currency=usd&unit_amount=3").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&price], "").await;
        used(&app, "units", &who, "1.75", START).await;
        used(&app, "units", &who, "0.75", START).await;
        let line = &preview(&app, &sub).await["lines"]["data"][0];
        assert_eq!([&line["quantity"], &line["quantity_decimal"]], [&json!(2), &json!("2.5")]);
        assert_eq!([&line["amount"], &line["subtotal"]], [8, 8]);
        assert_eq!(line["description"], "2.5 × Unit (at $0.03 / month)");
        assert_eq!(line["pricing"]["unit_amount_decimal"], "3");
    }
}

#[tokio::test]
async fn packages_are_filled_up_or_given_away() {
    let minutes = "currency=usd&unit_amount=1000&transform_quantity[divide_by]=60\
        &transform_quantity[round]=up";
    check(
        minutes,
        &[
            ("", &[("0 × Unit (at $10.00 per 60 units / month)", "0", 0)]),
            ("150", &[("150 × Unit (at $10.00 per 60 units / month)", "150", 3000)]),
            ("120", &[("120 × Unit (at $10.00 per 60 units / month)", "120", 2000)]),
            ("120.5", &[("120.5 × Unit (at $10.00 per 60 units / month)", "120.5", 3000)]),
        ],
    )
    .await;
    check(
        "currency=usd&unit_amount=8&transform_quantity[divide_by]=60&transform_quantity[round]=up",
        &[("9892", &[("9892 × Unit (at $0.08 per 60 units / month)", "9892", 1320)])],
    )
    .await;
    check_totals(
        "currency=usd&unit_amount=4&transform_quantity[divide_by]=100&transform_quantity[round]=down",
        &[("99", 0), ("199", 4), ("200", 8)],
    )
    .await;
}

/// Stripe's example: 7.00 up to 5, 6.50 up to 10, then 6.00.
const PLAIN: &str = "currency=usd&billing_scheme=tiered\
    &tiers[0][up_to]=5&tiers[0][unit_amount]=700&tiers[1][up_to]=10&tiers[1][unit_amount]=650\
    &tiers[2][up_to]=inf&tiers[2][unit_amount]=600";

/// Stripe's other example: five tiers, each with a flat amount.
const FLAT: &str = "currency=usd&billing_scheme=tiered\
    &tiers[0][up_to]=5&tiers[0][unit_amount]=500&tiers[0][flat_amount]=1000\
    &tiers[1][up_to]=10&tiers[1][unit_amount]=400&tiers[1][flat_amount]=2000\
    &tiers[2][up_to]=15&tiers[2][unit_amount]=300&tiers[2][flat_amount]=3000\
    &tiers[3][up_to]=20&tiers[3][unit_amount]=200&tiers[3][flat_amount]=4000\
    &tiers[4][up_to]=inf&tiers[4][unit_amount]=100&tiers[4][flat_amount]=5000";

#[tokio::test]
async fn with_volume_tiers_the_tier_reached_prices_all_units() {
    let volume = format!("{PLAIN}&tiers_mode=volume");
    check_totals(&volume, &[("1", 700), ("5", 3500), ("6", 3900), ("20", 12_000), ("25", 15_000)])
        .await;
    check(
        &format!("{FLAT}&tiers_mode=volume"),
        &[
            (
                "12",
                &[
                    ("12 × Unit (Tier 3 at $3.00 / month)", "12", 3600),
                    ("Unit (Tier 3 at $30.00 / month)", "0", 3000),
                ],
            ),
            (
                "",
                &[
                    ("0 × Unit (Tier 1 at $5.00 / month)", "0", 0),
                    ("Unit (Tier 1 at $10.00 / month)", "0", 1000),
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn with_graduated_tiers_each_tier_prices_its_own_units() {
    let graduated = format!("{PLAIN}&tiers_mode=graduated");
    check_totals(
        &graduated,
        &[("1", 700), ("5", 3500), ("6", 4150), ("20", 12_750), ("25", 15_750), ("5.5", 3825)],
    )
    .await;
    check(
        &format!("{FLAT}&tiers_mode=graduated"),
        &[
            (
                "12",
                &[
                    ("5 × Unit (Tier 1 at $5.00 / month)", "5", 2500),
                    ("Unit (Tier 1 at $10.00 / month)", "0", 1000),
                    ("5 × Unit (Tier 2 at $4.00 / month)", "5", 2000),
                    ("Unit (Tier 2 at $20.00 / month)", "0", 2000),
                    ("2 × Unit (Tier 3 at $3.00 / month)", "2", 600),
                    ("Unit (Tier 3 at $30.00 / month)", "0", 3000),
                ],
            ),
            (
                "-7",
                &[
                    ("0 × Unit (Tier 1 at $5.00 / month)", "0", 0),
                    ("Unit (Tier 1 at $10.00 / month)", "0", 1000),
                ],
            ),
        ],
    )
    .await;
    let first_free = "currency=usd&billing_scheme=tiered&tiers_mode=graduated\
        &tiers[0][up_to]=1000&tiers[0][unit_amount]=0&tiers[1][up_to]=inf&tiers[1][unit_amount]=4";
    check_totals(first_free, &[("1000", 0), ("1500", 2000)]).await;
}

#[tokio::test]
async fn a_real_invoice_of_tiers_comes_out_as_it_did() {
    check(
        "currency=usd&product_data[unit_label]=credit&billing_scheme=tiered&tiers_mode=graduated\
         &tiers[0][up_to]=1000&tiers[0][unit_amount]=0&tiers[0][flat_amount]=900\
         &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=3.6&tiers[1][flat_amount]=0",
        &[(
            "1031",
            &[
                ("1000 credit × Unit (Tier 1 at $0.00 / month)", "1000", 0),
                ("Unit (Tier 1 at $9.00 / month)", "0", 900),
                ("31 credit × Unit (Tier 2 at $0.036 / month)", "31", 112),
                ("Unit (Tier 2 at $0.00 / month)", "0", 0),
            ],
        )],
    )
    .await;
}

#[tokio::test]
async fn each_tiers_line_is_rounded_on_its_own() {
    check(
        "currency=usd&billing_scheme=tiered&tiers_mode=graduated\
         &tiers[0][up_to]=1&tiers[0][unit_amount_decimal]=0.5\
         &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=0.5",
        &[(
            "2",
            &[
                ("1 × Unit (Tier 1 at $0.005 / month)", "1", 1),
                ("1 × Unit (Tier 2 at $0.005 / month)", "1", 1),
            ],
        )],
    )
    .await;
}

#[tokio::test]
async fn yen_have_no_decimals_and_kuwaiti_dinars_three() {
    check("currency=jpy&unit_amount=7", &[("13", &[("13 × Unit (at ¥7 / month)", "13", 91)])])
        .await;
    check(
        "currency=jpy&unit_amount_decimal=0.5",
        &[("7", &[("7 × Unit (at ¥0.5 / month)", "7", 4)])],
    )
    .await;
    check(
        "currency=kwd&unit_amount=1507",
        &[("2", &[("2 × Unit (at KWD 1.507 / month)", "2", 3014)])],
    )
    .await;
}

#[tokio::test]
async fn a_subscription_in_another_currency_pays_that_currencys_price() {
    for app in TestApp::everywhere().await {
        let terms = "currency=usd&unit_amount=700&currency_options[eur][unit_amount_decimal]=650.5";
        let price = monthly(&app, "Gold", terms).await;
        let who = customer(&app, "").await;
        let more = "currency=eur&payment_behavior=default_incomplete&items[0][quantity]=3";
        let sub = subscribe(&app, &who, &[&price], more).await;
        let path = format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap());
        let invoice = app.read(&path).await;
        assert_eq!([&invoice["currency"], &invoice["total"]], [&json!("eur"), &json!(1952)]);
        let line = &invoice["lines"]["data"][0];
        assert_eq!(line["description"], "3 × Gold (at €6.505 / month)");
        assert_eq!([&line["currency"], &line["pricing"]["unit_amount_decimal"]], ["eur", "650.5"]);
    }
}

#[tokio::test]
async fn the_meters_formula_makes_the_quantity() {
    for app in TestApp::everywhere().await {
        for (formula, quantity) in [("sum", "20"), ("count", "3"), ("last", "4")] {
            let form = format!(
                "display_name=Meter&event_name={formula}&default_aggregation[formula]={formula}"
            );
            let meter = shop::id(&app.made("/v1/billing/meters", &form).await);
            let price = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
            let who = customer(&app, "").await;
            let sub = subscribe(&app, &who, &[&price], "").await;
            for value in ["13", "3", "4"] {
                used(&app, formula, &who, value, START).await;
            }
            assert_eq!(lines(&preview(&app, &sub).await)[0].1, quantity, "{formula}");
            // What is switched off is still counted for those who have it.
            app.made(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
            assert_eq!(lines(&preview(&app, &sub).await)[0].1, quantity, "{formula}");
        }
    }
}
