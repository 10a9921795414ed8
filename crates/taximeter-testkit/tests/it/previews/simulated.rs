//! Previews of subscriptions that do not exist yet.

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use crate::shop::{self, customer, id, lines, metered, monthly, told};

const PATH: &str = "/v1/invoices/create_preview";

#[tokio::test]
async fn a_new_subscription_is_previewed_by_its_first_invoice() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let who = customer(&app, "").await;
        shop::used(&app, "units", &who, "13", START).await;
        let before = shop::latest_event(&app).await;
        let form = format!(
            "customer={who}&subscription_details[items][0][price]={gold}\
             &subscription_details[items][0][quantity]=7\
             &subscription_details[items][1][price]={unit}"
        );
        let invoice = app.made(PATH, &form).await;
        let seven = ("7 × Gold (at $10.00 / month)".to_owned(), "7".to_owned(), 7000);
        assert_eq!(lines(&invoice), std::slice::from_ref(&seven));
        assert!(id(&invoice).starts_with("upcoming_in_"));
        assert_eq!(invoice["billing_reason"], "upcoming");
        for at in ["created", "period_start", "period_end"] {
            assert_eq!(invoice[at], START.0, "{at}");
        }
        // There is no subscription to name.
        assert_eq!(invoice["parent"], json!(null));
        assert_eq!(invoice["lines"]["data"][0]["subscription"], json!(null));
        let classic = format!("{form}&subscription_details[billing_mode][type]=classic");
        let nothing = ("0 × Unit (at $0.01 / month)".to_owned(), "0".to_owned(), 0);
        assert_eq!(lines(&app.made(PATH, &classic).await), [nothing, seven]);
        assert_eq!(shop::happened(&app, Some(&before)).await, Vec::<String>::new());
        assert_eq!(app.read("/v1/subscriptions?status=all").await["data"], json!([]));
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["currency"], json!(null));
        let query = "expand[]=lines.data.subscription&expand[]=parent&expand[]=customer";
        let shown = app.made(PATH, &format!("{form}&{query}")).await;
        assert_eq!(shown["customer"]["id"], who.as_str());
    }
}

#[tokio::test]
async fn a_new_subscription_without_a_first_invoice_is_previewed_at_the_end_of_its_first_period() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
        let who = customer(&app, "").await;
        let form = format!("customer={who}&subscription_details[items][0][price]={unit}");
        let invoice = app.made(PATH, &form).await;
        let nothing = ("0 × Unit (at $0.01 / month)".to_owned(), "0".to_owned(), 0);
        assert_eq!(lines(&invoice), [nothing]);
        // From 2026-01-15 to 2026-02-15, 31 days.
        assert_eq!(invoice["period_start"], START.0);
        assert_eq!(invoice["period_end"], START.0 + 31 * 86_400);
        assert_eq!(invoice["lines"]["data"][0]["subscription"], json!(null));
    }
}

#[tokio::test]
async fn a_new_subscription_is_previewed_as_it_recurs_when_that_is_asked_for() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let who = customer(&app, "").await;
        let form = format!(
            "customer={who}&subscription_details[items][0][price]={gold}\
             &subscription_details[items][1][price]={unit}"
        );
        let month = ("1 × Gold (at $10.00 / month)".to_owned(), "1".to_owned(), 1000);
        let nothing = ("0 × Unit (at $0.01 / month)".to_owned(), "0".to_owned(), 0);
        let first = app.made(PATH, &format!("{form}&preview_mode=next")).await;
        assert_eq!(lines(&first), std::slice::from_ref(&month));
        let typical = app.made(PATH, &format!("{form}&preview_mode=recurring")).await;
        assert_eq!(lines(&typical), [nothing, month]);
    }
}

#[tokio::test]
async fn a_new_subscription_is_previewed_in_the_currency_asked_for() {
    for app in TestApp::everywhere().await {
        let terms = "currency=usd&unit_amount=1000&currency_options[eur][unit_amount]=900";
        let gold = monthly(&app, "Gold", terms).await;
        let who = customer(&app, "").await;
        let form = format!("customer={who}&subscription_details[items][0][price]={gold}");
        assert_eq!(app.made(PATH, &form).await["total"], 1000);
        let eur = app.made(PATH, &format!("{form}&currency=eur")).await;
        assert_eq!([&eur["currency"], &eur["total"]], [&json!("eur"), &json!(900)]);
        let said = told(&app.post(PATH, &format!("{form}&currency=gbp")).await, 400);
        assert_eq!(said[1], "subscription_details[items][0][price]");
    }
}

#[tokio::test]
async fn a_new_subscription_is_held_against_the_rules_of_subscriptions() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
        let who = customer(&app, "").await;
        let items = "subscription_details[items]";
        for (more, param) in [
            (
                format!("{items}[0][price]={unit}&{items}[0][quantity]=7"),
                format!("{items}[0][quantity]"),
            ),
            (format!("{items}[0][price]={unit}&{items}[1][price]={unit}"), "plan".to_owned()),
            (format!("{items}[0][price]=price_none"), format!("{items}[0][price]")),
            (format!("{items}[0][quantity]=7"), format!("{items}[0][price]")),
        ] {
            let said = told(&app.post(PATH, &format!("customer={who}&{more}")).await, 400);
            assert_eq!(said[1], param, "{more}");
        }
    }
}
