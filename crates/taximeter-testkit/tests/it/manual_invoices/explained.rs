//! Lines explained: what was counted, by which terms, and how it was rounded.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::TestApp;

use super::{INVOICES, draft, item, path};
use crate::shop;
use crate::support::{customer, error, ids, meter};

const DAY_S: i64 = 86_400;
const TIERS: &str = "currency=usd&billing_scheme=tiered&tiers_mode=graduated&tiers[0][up_to]=7\
                     &tiers[0][unit_amount]=0&tiers[0][flat_amount]=900&tiers[1][up_to]=inf\
                     &tiers[1][unit_amount_decimal]=3.6";

async fn explained(app: &TestApp, invoice: &str, line: &str) -> Value {
    app.read(&format!("{INVOICES}/{invoice}/lines/{line}/explanation")).await
}

/// An open invoice for a month in which 31.5 were used in three hours: one event came late, one was
/// canceled, one came after the invoice was finalized. Gives its id and the customer's.
pub(crate) async fn of_usage(app: &TestApp) -> (String, String) {
    let who = shop::customer(app, "").await;
    let window = format!("&adjustment_window_seconds={}", 101 * DAY_S);
    let meter = meter(app, "call", "sum", &window).await;
    let price = shop::metered(app, &meter, "Calls", TIERS).await;
    let more = "collection_method=send_invoice&days_until_due=7";
    shop::subscribe(app, &who, &[&price], more).await;
    let start = app.now().0;
    app.live_s(10 * DAY_S).await;
    let hour = start - start % 3_600 + 5 * DAY_S;
    for (value, at) in [("3", hour + 7), ("10", hour + 13), ("17", hour + 3_600)] {
        shop::used(app, "call", &who, value, Timestamp(at)).await;
    }
    let form = format!(
        "event_name=call&identifier=wrong&payload[stripe_customer_id]={who}&payload[value]=1300\
         &timestamp={hour}"
    );
    app.made("/v1/billing/meter_events", &form).await;
    let form = "event_name=call&type=cancel&cancel[identifier]=wrong";
    app.made("/v1/billing/meter_event_adjustments", form).await;
    app.live_s(21 * DAY_S + 60).await;
    shop::used(app, "call", &who, "1.5", Timestamp(start + 30 * DAY_S)).await;
    app.live_s(2 * 3_600).await;
    let list = app.read(&format!("{INVOICES}?customer={who}&status=open")).await;
    let invoice = ids(&list)[0].clone();
    shop::used(app, "call", &who, "101", Timestamp(start + 30 * DAY_S)).await;
    (invoice, who)
}

#[tokio::test]
async fn a_metered_line_tells_of_its_hours_its_events_and_its_tiers() {
    for app in TestApp::everywhere().await {
        let (invoice, _) = of_usage(&app).await;
        let shown = app.read(&format!("{INVOICES}/{invoice}")).await;
        let lines = ids(&shown["lines"]);
        // 900 flat for the first 7, 24.5 at 3.6 are 88.2.
        assert_eq!(shown["total"], 988);
        let told = explained(&app, &invoice, &lines[2]).await;
        assert_eq!(told["kind"], "metered");
        assert_eq!(told["rounding"], "half_away_from_zero");
        let usage = &told["usage"];
        assert_eq!(
            (&usage["quantity"], &usage["billed_quantity"]),
            (&json!("31.5"), &json!("31.5"))
        );
        assert_eq!(
            usage["aggregation"],
            json!({"formula": "sum", "percentile": null, "window": null})
        );
        let events = json!({ "amended": 0, "canceled": 1, "counted": 4, "late": 1 });
        assert_eq!(usage["events"], events);
        let hours: Vec<_> = usage["hours"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hour| (hour["quantity"].as_str().unwrap(), hour["events"].as_u64().unwrap()))
            .collect();
        assert_eq!(hours, [("13", 2), ("17", 1), ("1.5", 1)]);
        let part = |of: &Value| {
            ["part", "tier", "quantity", "unit_amount_decimal", "amount_exact", "amount", "line"]
                .map(|name| of[name].clone())
        };
        let rated: Vec<_> = told["rated"].as_array().unwrap().iter().map(part).collect();
        let line = |at: usize| json!(lines[at]);
        let expected = [
            [json!("tier_units"), json!(1), json!("7"), json!("0"), json!("0"), json!(0), line(0)],
            [
                json!("tier_flat"),
                json!(1),
                json!("0"),
                json!("900"),
                json!("900"),
                json!(900),
                line(1),
            ],
            [
                json!("tier_units"),
                json!(2),
                json!("24.5"),
                json!("3.6"),
                json!("88.2"),
                json!(88),
                line(2),
            ],
        ];
        assert_eq!(rated, expected);
        assert_eq!(told["price"]["tiers"][1]["unit_amount_decimal"], "3.6");
        assert_eq!((&told["amount"], &told["quantity"]), (&json!(88), &json!("24.5")));
        assert!(told["content_hash"].as_str().unwrap().starts_with("sha256:"));
        let other = explained(&app, &invoice, &lines[1]).await;
        assert_ne!(told["content_hash"], other["content_hash"]);
        assert_eq!(explained(&app, &invoice, &lines[2]).await, told, "later usage changes nothing");
    }
}

#[tokio::test]
async fn an_invoice_that_is_finalized_explains_itself_the_same_after_a_correction() {
    for app in TestApp::everywhere().await {
        let (invoice, _) = of_usage(&app).await;
        let shown = app.read(&format!("{INVOICES}/{invoice}")).await;
        let line = ids(&shown["lines"])[2].clone();
        let told = explained(&app, &invoice, &line).await;
        app.made("/v1/billing/meter_events/wrong/restore", "").await;
        assert_eq!(explained(&app, &invoice, &line).await, told);
        assert_eq!(app.read(&format!("{INVOICES}/{invoice}")).await, shown);
    }
}

#[tokio::test]
async fn licensed_lines_items_and_prorations_are_explained_too() {
    for app in TestApp::everywhere().await {
        let who = shop::customer(&app, "").await;
        let gold = shop::monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let packs = "currency=usd&unit_amount=7&transform_quantity[divide_by]=100\
                     &transform_quantity[round]=up";
        let packs = shop::monthly(&app, "Packs", packs).await;
        let more = "collection_method=send_invoice&days_until_due=7&items[1][quantity]=101";
        let subscription = shop::subscribe(&app, &who, &[&gold, &packs], more).await;
        let invoice = subscription["latest_invoice"].as_str().unwrap();
        let lines = ids(&app.read(&format!("{INVOICES}/{invoice}")).await["lines"]);
        let told = explained(&app, invoice, &lines[0]).await;
        assert_eq!((&told["kind"], &told["usage"]), (&json!("licensed"), &Value::Null));
        let part = &told["rated"][0];
        assert_eq!((&part["quantity"], &part["billed_units"]), (&json!("101"), &json!("2")));
        assert_eq!((&part["amount_exact"], &part["amount"]), (&json!("14"), &json!(14)));
        app.live_s(10 * DAY_S).await;
        let items = ids(&subscription["items"]);
        let form = format!("items[0][id]={}&items[0][quantity]=3", items[0]);
        app.made(&format!("/v1/subscriptions/{}", shop::id(&subscription)), &form).await;
        let include = "&pending_invoice_items_behavior=include";
        let made = draft(&app, &who, include).await;
        let line = ids(&made["lines"])[0].clone();
        let told = explained(&app, made["id"].as_str().unwrap(), &line).await;
        assert_eq!(told["kind"], "proration");
        let part = json!({ "seconds": 21 * DAY_S, "of_seconds": 31 * DAY_S });
        assert_eq!(told["proration"], part);
        assert_eq!((&told["quantity"], &told["amount"]), (&json!("3"), &json!(2032)));
        let app = &app;
        let other = customer(app).await;
        let made = draft(app, &other, "").await;
        let form =
            format!("unit_amount_decimal=3.6&quantity=31&invoice={}", made["id"].as_str().unwrap());
        item(app, &other, &form).await;
        let made = app.read(&path(&made)).await;
        let line = ids(&made["lines"])[0].clone();
        let told = explained(app, made["id"].as_str().unwrap(), &line).await;
        assert_eq!(told["kind"], "invoice_item");
        assert_eq!(told["rated"][0]["amount_exact"], "111.6");
        assert_eq!(told["rated"][0]["amount"], 112);
        let none = format!("{}/lines/il_none/explanation", path(&made));
        assert_eq!(
            error(&app.get(&none).await),
            "404 resource_missing id: No such line_item: 'il_none'"
        );
    }
}
