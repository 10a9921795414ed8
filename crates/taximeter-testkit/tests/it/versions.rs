//! `Stripe-Version`: older clients see what they were written against.

use serde_json::{Value, json};
use taximeter_testkit::{Response, TestApp};

use crate::support::{customer, error, id, price};

const ACACIA: &str = "2025-02-24.acacia";
const BASIL: &str = "2025-03-31.basil";

async fn get(app: &TestApp, version: &str, path: &str) -> Value {
    ok(app.send("GET", path, &[("stripe-version", version)], "").await)
}

async fn post(app: &TestApp, version: &str, path: &str, form: &str) -> Value {
    ok(app.send("POST", path, &[("stripe-version", version)], form).await)
}

fn ok(response: Response) -> Value {
    let body = response.json();
    assert_eq!(response.status, 200, "{body}");
    drop(response);
    body
}

/// A subscription with an invoice: its form.
async fn form(app: &TestApp) -> String {
    let (price, customer) = (price(app, "").await, customer(app).await);
    format!(
        "customer={customer}&items[0][price]={price}&collection_method=send_invoice\
         &days_until_due=7&metadata[a]=1"
    )
}

#[tokio::test]
async fn versions_are_echoed_and_unknown_ones_refused() {
    let app = TestApp::start().await;
    for version in
        ["2026-10-28.endive", "2026-08-26.dahlia", ACACIA, "2020-08-27", "2026-11-25.endive"]
    {
        let answer = app.send("GET", "/v1/customers", &[("stripe-version", version)], "").await;
        assert_eq!((answer.status, answer.header("stripe-version")), (200, version));
    }
    for version in ["latest", "2026-10-28", "2025-02-24.basil", "2026-13-01.endive", ""] {
        let answer = app.send("GET", "/v1/customers", &[("stripe-version", version)], "").await;
        assert_eq!(error(&answer), format!("400 - -: Invalid Stripe API version: {version}"));
    }
}

#[tokio::test]
async fn before_basil_a_subscription_has_the_period_itself() {
    for app in TestApp::everywhere().await {
        let made = post(&app, ACACIA, "/v1/subscriptions", &form(&app).await).await;
        let path = format!("/v1/subscriptions/{}", id(&made));
        let item = &made["items"]["data"][0];
        assert_eq!(made["current_period_start"], item["current_period_start"]);
        assert_eq!(made["current_period_end"], item["current_period_end"]);
        assert!(made["current_period_end"].is_i64());
        let newer = get(&app, BASIL, &path).await;
        assert_eq!(newer.get("current_period_end"), None);
        let list = get(&app, ACACIA, "/v1/subscriptions").await;
        assert_eq!(list["data"][0]["current_period_end"], made["current_period_end"]);
    }
}

#[tokio::test]
async fn before_basil_an_invoice_names_its_subscription_and_lines_their_price_and_plan() {
    for app in TestApp::everywhere().await {
        let made = app.made("/v1/subscriptions", &form(&app).await).await;
        let path = format!("/v1/invoices/{}", made["latest_invoice"].as_str().unwrap());
        let price = made["items"]["data"][0]["price"].clone();
        let old = get(&app, ACACIA, &path).await;
        assert_eq!(old["subscription"], made["id"]);
        assert_eq!(old["subscription_details"]["metadata"], json!({ "a": "1" }));
        assert_eq!(old["paid"], false);
        for null in ["charge", "payment_intent", "tax", "discount", "quote"] {
            assert_eq!(old[null], Value::Null, "{null}");
            assert!(old.get(null).is_some(), "{null}");
        }
        for newer in ["parent", "total_taxes"] {
            assert_eq!(old.get(newer), None, "{newer}");
        }
        let line = &old["lines"]["data"][0];
        assert_eq!(line["price"], price);
        assert_eq!(line["plan"]["object"], "plan");
        assert_eq!(line["plan"]["amount"], 700);
        assert_eq!(line["plan"]["interval"], "month");
        assert_eq!(line["type"], "subscription");
        assert_eq!(line["proration"], false);
        assert_eq!(line["subscription_item"], made["items"]["data"][0]["id"]);
        for newer in ["parent", "pricing", "taxes"] {
            assert_eq!(line.get(newer), None, "{newer}");
        }
        // The same wherever a line stands.
        let list = get(&app, ACACIA, "/v1/invoices").await;
        assert_eq!(list["data"][0]["lines"]["data"][0], *line);
        let lines = get(&app, ACACIA, &format!("{path}/lines")).await;
        assert_eq!(lines["data"][0], *line);
        let within = format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(&made));
        assert_eq!(get(&app, ACACIA, &within).await["latest_invoice"]["lines"]["data"][0], *line);
        let newer = get(&app, BASIL, &path).await;
        assert_eq!(newer["parent"]["subscription_details"]["subscription"], made["id"]);
        assert_eq!(newer.get("subscription"), None);
    }
}

#[tokio::test]
async fn before_basil_invoices_are_expanded_under_their_old_names() {
    for app in TestApp::everywhere().await {
        let made = app.made("/v1/subscriptions", &form(&app).await).await;
        let path = format!("/v1/invoices/{}", made["latest_invoice"].as_str().unwrap());
        let query = "expand[]=subscription.customer&expand[]=lines.data.price.product\
                     &expand[]=payment_intent";
        let old = get(&app, ACACIA, &format!("{path}?{query}")).await;
        assert_eq!(old["subscription"]["id"], made["id"]);
        assert_eq!(old["subscription"]["customer"]["object"], "customer");
        assert_eq!(old["lines"]["data"][0]["price"]["product"]["object"], "product");
        assert_eq!(old["payment_intent"], Value::Null);
        let within =
            format!("/v1/subscriptions/{}?expand[]=latest_invoice.payment_intent", id(&made));
        assert_eq!(get(&app, ACACIA, &within).await["latest_invoice"]["object"], "invoice");
        let gone = app.get(&format!("{path}?expand[]=payment_intent")).await;
        assert_eq!(
            error(&gone),
            "400 - -: This property cannot be expanded because it doesn't exist: payment_intent."
        );
    }
}

#[tokio::test]
async fn before_clover_a_subscription_is_billed_in_classic_mode_unless_told_otherwise() {
    for app in TestApp::everywhere().await {
        let form = form(&app).await;
        for (version, more, mode) in [
            (ACACIA, "", "classic"),
            (BASIL, "", "classic"),
            ("2025-08-27.basil", "", "classic"),
            ("2025-09-30.clover", "", "flexible"),
            ("2026-10-28.endive", "", "flexible"),
            (BASIL, "&billing_mode[type]=flexible", "flexible"),
            ("2026-10-28.endive", "&billing_mode[type]=classic", "classic"),
        ] {
            let path = "/v1/subscriptions";
            let made = post(&app, version, path, &format!("{form}{more}")).await;
            let read = app.read(&format!("{path}/{}", id(&made))).await;
            assert_eq!(read["billing_mode"]["type"], mode, "{version} {more}");
        }
    }
}
