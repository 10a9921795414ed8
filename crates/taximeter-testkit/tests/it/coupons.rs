//! `/v1/coupons`

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{error, id, ids, refused, written};

const COUPONS: &str = "/v1/coupons";

#[tokio::test]
async fn a_coupon_of_per_cents_keeps_all_that_it_is_told() {
    for app in TestApp::everywhere().await {
        let product = app.made("/v1/products", "name=P").await;
        let by = app.now().0 + 1_000;
        let form = format!(
            "id=SAVE-12.5_x&percent_off=12.5&duration=repeating&duration_in_months=3&name=N\
             &max_redemptions=7&redeem_by={by}&metadata[a]=1&applies_to[products][]={}\
             &expand[]=applies_to",
            id(&product)
        );
        let made = app.made(COUPONS, &form).await;
        let expected = json!({
            "id": "SAVE-12.5_x",
            "object": "coupon",
            "amount_off": null,
            "applies_to": { "products": [id(&product)] },
            "created": app.now().0,
            "currency": null,
            "duration": "repeating",
            "duration_in_months": 3,
            "livemode": false,
            "max_redemptions": 7,
            "metadata": { "a": "1" },
            "name": "N",
            "percent_off": 12.5,
            "redeem_by": by,
            "times_redeemed": 0,
            "valid": true,
        });
        assert_eq!(made, expected);
        let path = format!("{COUPONS}/{}", id(&made));
        let read = app.read(&path).await;
        assert_eq!(read.get("applies_to"), None, "shown when it is asked for");
        assert_eq!(app.read(&format!("{path}?expand[]=applies_to")).await, made);
        // It can be redeemed in its last second.
        app.advance_s(1_000);
        assert_eq!(app.read(&path).await["valid"], true);
        app.advance_s(1);
        assert_eq!(app.read(&path).await["valid"], false);
        assert_eq!(app.read(COUPONS).await["data"][0]["valid"], false);
    }
}

#[tokio::test]
async fn a_coupon_of_an_amount_may_have_several_currencies() {
    for app in TestApp::everywhere().await {
        let form = "amount_off=700&currency=usd&currency_options[eur][amount_off]=650\
                    &expand[]=currency_options";
        let made = app.made(COUPONS, form).await;
        assert_eq!(made["duration"], "once");
        assert_eq!(made["percent_off"], Value::Null);
        assert_eq!(
            made["currency_options"],
            json!({ "eur": { "amount_off": 650 }, "usd": { "amount_off": 700 } })
        );
        let text = id(&made);
        assert!(text.len() == 8 && text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
        let path = format!("{COUPONS}/{text}");
        let change = "currency_options[gbp][amount_off]=600&currency_options[eur][amount_off]=660\
                      &name=N&expand[]=currency_options";
        let changed = app.made(&path, change).await;
        assert_eq!(
            changed["currency_options"],
            json!({
                "eur": { "amount_off": 660 }, "gbp": { "amount_off": 600 },
                "usd": { "amount_off": 700 },
            })
        );
        assert_eq!(changed["name"], "N");
        assert_eq!(changed["amount_off"], 700);
    }
}

#[tokio::test]
async fn a_deleted_coupon_is_gone_and_its_id_free() {
    for app in TestApp::everywhere().await {
        let path = format!("{COUPONS}/GOLD");
        app.made(COUPONS, "id=GOLD&percent_off=7").await;
        let taken = "400 resource_already_exists id: Coupon already exists.";
        assert_eq!(error(&app.post(COUPONS, "id=GOLD&percent_off=13").await), taken);
        let deleted = app.delete(&path).await.json();
        assert_eq!(deleted, json!({ "id": "GOLD", "object": "coupon", "deleted": true }));
        let missing = "404 resource_missing id: No such coupon: 'GOLD'";
        assert_eq!(error(&app.get(&path).await), missing);
        assert_eq!(error(&app.delete(&path).await), missing);
        assert_eq!(error(&app.post(&path, "name=N").await), missing);
        assert_eq!(ids(&app.read(COUPONS).await), Vec::<String>::new());
        assert_eq!(app.made(COUPONS, "id=GOLD&percent_off=13").await["percent_off"], 13);
        let kinds: Vec<String> = written(&app).await.into_iter().map(|e| e.kind).collect();
        assert_eq!(kinds, ["coupon.created", "coupon.deleted", "coupon.created"]);
    }
}

#[tokio::test]
async fn a_coupon_that_breaks_a_rule_is_refused() {
    let app = TestApp::start().await;
    app.made(COUPONS, "id=PERCENT&percent_off=7").await;
    app.made(COUPONS, "id=AMOUNT&amount_off=7&currency=usd").await;
    let percent = "400 - percent_off: Invalid percent_off: must be greater than 0 and at most 100, \
                   with at most 4 digits after the point.";
    let amount =
        "Invalid amount: must be between 1 and 999999999999, in the smallest currency unit.";
    refused(
        &app,
        &[
            (COUPONS, "percent_off=3.33333", percent),
            (
                COUPONS,
                "percent_off=7&currency=usd",
                "400 - currency: `currency` is only supported with `amount_off`.",
            ),
            (
                COUPONS,
                "amount_off=0&currency=usd",
                &format!("400 parameter_invalid_integer amount_off: {amount}"),
            ),
            (
                COUPONS,
                "amount_off=7&currency=usd&currency_options[eur][amount_off]=1000000000000",
                &format!("400 amount_too_large currency_options[eur][amount_off]: {amount}"),
            ),
            (
                COUPONS,
                "amount_off=7&currency=usd&currency_options[usd][amount_off]=8",
                "400 - currency_options[usd]: The coupon's own currency `usd` cannot be given \
                 another amount.",
            ),
            (
                COUPONS,
                "percent_off=7&redeem_by=4102444800",
                "400 - redeem_by: Invalid timestamp: can be no more than five years in the future.",
            ),
            (
                COUPONS,
                "percent_off=7&applies_to[products][]=prod_none",
                "400 resource_missing applies_to[products][0]: No such product: 'prod_none'",
            ),
            (
                "/v1/coupons/PERCENT",
                "currency_options[eur][amount_off]=7",
                "400 - currency_options: `currency_options` is only supported if the coupon is \
                 amount-based.",
            ),
            (
                "/v1/coupons/AMOUNT",
                "currency_options[usd][amount_off]=8",
                "400 - currency_options[usd]: The coupon's own currency `usd` cannot be given \
                 another amount.",
            ),
        ],
    )
    .await;
}
