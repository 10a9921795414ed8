//! Discounts of customers: what a coupon is once it was applied.

use serde_json::{Value, json};
use taximeter_testkit::{Response, TestApp};

use crate::support::{customer, error, id, written};

const COUPONS: &str = "/v1/coupons";
const ACACIA: (&str, &str) = ("stripe-version", "2025-02-24.acacia");

/// Gives a customer a discount, as versions before basil do.
async fn give(app: &TestApp, customer: &str, form: &str) -> Response {
    app.send("POST", &format!("/v1/customers/{customer}"), &[ACACIA], form).await
}

async fn coupon(app: &TestApp, form: &str) {
    app.made(COUPONS, form).await;
}

#[tokio::test]
async fn a_customer_shows_its_discount_as_its_version_has_it() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=C&percent_off=12.5&duration=repeating&duration_in_months=3").await;
        let made = app.send("POST", "/v1/customers", &[ACACIA], "coupon=C&name=A").await.json();
        let older = &made["discount"];
        assert_eq!(older["coupon"]["percent_off"], 12.5);
        assert_eq!(older["coupon"]["times_redeemed"], 1);
        assert_eq!(older.get("source"), None);
        let path = format!("/v1/customers/{}", id(&made));
        let read = app.read(&path).await;
        let start = app.now().0;
        let expected = json!({
            "id": older["id"],
            "object": "discount",
            "checkout_session": null,
            "customer": id(&made),
            "customer_account": null,
            "end": older["end"],
            "invoice": null,
            "invoice_item": null,
            "promotion_code": null,
            "source": { "coupon": "C", "type": "coupon" },
            "start": start,
            "subscription": null,
            "subscription_item": null,
        });
        assert_eq!(read["discount"], expected);
        let days = (older["end"].as_i64().unwrap() - start) / 86_400;
        assert!((89..=92).contains(&days), "three months are {days} days");
        let deep = app.read(&format!("{path}?expand[]=discount.source.coupon")).await;
        assert_eq!(deep["discount"]["source"]["coupon"]["object"], "coupon");
        assert_eq!(app.read("/v1/customers").await["data"][0]["discount"], expected);
        // It ends by itself.
        app.advance_s(older["end"].as_i64().unwrap() - start - 1);
        assert_eq!(app.read(&path).await["discount"], expected);
        app.advance_s(1);
        assert_eq!(app.read(&path).await["discount"], Value::Null);
    }
}

#[tokio::test]
async fn a_removed_discount_is_gone_and_told_of() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=C&percent_off=7&duration=forever").await;
        let customer = customer(&app).await;
        let path = format!("/v1/customers/{customer}");
        let given = give(&app, &customer, "coupon=C").await.json();
        let removed = app.delete(&format!("{path}/discount")).await.json();
        assert_eq!(removed["deleted"], true);
        assert_eq!(removed["id"], given["discount"]["id"]);
        assert_eq!(removed["source"], json!({ "coupon": "C", "type": "coupon" }));
        assert_eq!(app.read(&path).await["discount"], Value::Null);
        let none = format!("404 resource_missing -: No active discount for customer: {customer}");
        assert_eq!(error(&app.delete(&format!("{path}/discount")).await), none);
        let kinds: Vec<String> = written(&app).await.into_iter().map(|e| e.kind).collect();
        assert_eq!(
            kinds[2..],
            [
                "customer.discount.created",
                "customer.updated",
                "customer.discount.deleted",
                "customer.updated",
            ]
        );
    }
}

#[tokio::test]
async fn a_new_discount_takes_the_place_of_the_old_and_an_empty_one_ends_it() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=A&percent_off=7&duration=forever").await;
        coupon(&app, "id=B&percent_off=13").await;
        let customer = customer(&app).await;
        let first = give(&app, &customer, "coupon=A").await.json();
        let second = give(&app, &customer, "coupon=B").await.json();
        assert_ne!(first["discount"]["id"], second["discount"]["id"]);
        assert_eq!(second["discount"]["coupon"]["id"], "B");
        assert_eq!(give(&app, &customer, "name=N").await.json()["discount"], second["discount"]);
        assert_eq!(give(&app, &customer, "coupon=").await.json()["discount"], Value::Null);
        // What was redeemed stays counted.
        assert_eq!(app.read(&format!("{COUPONS}/A")).await["times_redeemed"], 1);
        assert_eq!(app.read(&format!("{COUPONS}/B")).await["times_redeemed"], 1);
    }
}

#[tokio::test]
async fn a_coupon_is_redeemed_no_more_often_than_it_may_be() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=C&percent_off=7&max_redemptions=2").await;
        for _ in 0..2 {
            let customer = customer(&app).await;
            assert_eq!(give(&app, &customer, "coupon=C").await.status, 200);
        }
        let read = app.read(&format!("{COUPONS}/C")).await;
        assert_eq!((&read["times_redeemed"], &read["valid"]), (&json!(2), &json!(false)));
        let late = customer(&app).await;
        let over = "400 coupon_expired coupon: Coupon expired: C";
        assert_eq!(error(&give(&app, &late, "coupon=C").await), over);
        assert_eq!(app.read(&format!("/v1/customers/{late}")).await["discount"], Value::Null);
    }
}

#[tokio::test]
async fn a_deleted_coupon_stays_where_it_was_applied() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=C&percent_off=7&duration=forever").await;
        let customer = customer(&app).await;
        give(&app, &customer, "coupon=C").await;
        app.delete(&format!("{COUPONS}/C")).await;
        let path = format!("/v1/customers/{customer}?expand[]=discount.source.coupon");
        let coupon = &app.read(&path).await["discount"]["source"]["coupon"];
        assert_eq!((&coupon["percent_off"], &coupon["valid"]), (&json!(7), &json!(false)));
        let missing = "400 resource_missing coupon: No such coupon: 'C'";
        assert_eq!(error(&give(&app, &customer, "coupon=C").await), missing);
    }
}

#[tokio::test]
async fn a_promotion_code_is_redeemed_by_whom_it_is_for() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=C&percent_off=7").await;
        let (one, other) = (customer(&app).await, customer(&app).await);
        let code = async |more: &str| {
            let form = format!("promotion[type]=coupon&promotion[coupon]=C&{more}");
            id(&app.made("/v1/promotion_codes", &form).await).to_owned()
        };
        let own = code(&format!("customer={one}&max_redemptions=1")).await;
        let dear =
            code("restrictions[minimum_amount]=7&restrictions[minimum_amount_currency]=usd").await;
        let off = code("active=false").await;
        let refused = |why: &str| {
            format!("400 - promotion_code: This promotion code cannot be redeemed because {why}.")
        };
        let redeem =
            async |who: &str, code: &str| give(&app, who, &format!("promotion_code={code}")).await;
        assert_eq!(
            error(&redeem(&other, &own).await),
            refused("it is restricted to another customer")
        );
        assert_eq!(
            error(&redeem(&one, &dear).await),
            refused("it has a minimum amount, which a customer has not")
        );
        let inactive = refused("it is not active").replace(" - ", " coupon_expired ");
        assert_eq!(error(&redeem(&one, &off).await), inactive);
        let given = redeem(&one, &own).await.json();
        assert_eq!(given["discount"]["promotion_code"], own.as_str());
        let read = app.read(&format!("/v1/promotion_codes/{own}")).await;
        assert_eq!((&read["times_redeemed"], &read["active"]), (&json!(1), &json!(false)));
        assert_eq!(app.read(&format!("{COUPONS}/C")).await["times_redeemed"], 1);
        assert_eq!(error(&redeem(&one, &own).await), inactive);
        assert_eq!(
            error(&redeem(&one, "promo_none").await),
            "400 resource_missing promotion_code: No such promotion code: 'promo_none'"
        );
    }
}

#[tokio::test]
async fn since_basil_a_customer_is_given_no_discount() {
    for app in TestApp::everywhere().await {
        coupon(&app, "id=C&percent_off=7").await;
        let customer = customer(&app).await;
        for (path, form) in [
            ("/v1/customers".to_owned(), "coupon=C"),
            (format!("/v1/customers/{customer}"), "coupon="),
            (format!("/v1/customers/{customer}"), "promotion_code=promo_x"),
        ] {
            let (param, _) = form.split_once('=').unwrap();
            let expected =
                format!("400 parameter_unknown {param}: Received unknown parameter: {param}");
            assert_eq!(error(&app.post(&path, form).await), expected);
        }
        let both = "400 parameters_exclusive coupon: You may only specify one of these parameters: \
                    coupon, promotion_code.";
        let answer = give(&app, &customer, "coupon=C&promotion_code=promo_x").await;
        assert_eq!(error(&answer), both);
    }
}
