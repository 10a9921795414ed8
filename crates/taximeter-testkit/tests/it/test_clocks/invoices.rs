//! What usage by a test clock comes to: years apart on one server, and billed between the instants of
//! the clock.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::usage::{at, clocked, event};
use super::{DAY, HOUR, moved_to};
use crate::shop::{id, lines, meter, metered, monthly, subscribe};

const EVENTS: &str = "/v1/billing/meter_events";

/// The totals by day of a customer, oldest first: the days on which something was used.
async fn days(app: &TestApp, meter: &str, customer: &str, start: i64, end: i64) -> Vec<(i64, i64)> {
    let list = app
        .read(&format!(
            "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
             &end_time={end}&value_grouping_window=day&limit=100"
        ))
        .await;
    assert_eq!(list["has_more"], false);
    let rows = list["data"].as_array().unwrap().iter().rev();
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    rows.map(|row| (number(row, "start_time"), number(row, "aggregated_value"))).collect()
}

async fn used(app: &TestApp, customer: &str, value: i64) {
    let form = event(customer, "").replace("payload[value]=7", &format!("payload[value]={value}"));
    app.made(EVENTS, &form).await;
}

/// One who lives by a clock, what it is billed for, and what it used by the month.
struct Life {
    clock: String,
    customer: String,
    sub: String,
    months: [i64; 4],
}

#[tokio::test]
async fn years_apart_on_one_server_usage_summaries_and_invoices_are_exact() {
    for mut app in TestApp::everywhere().await {
        let meter = meter(&app, "e").await;
        let calls = metered(&app, &meter, "Calls", "currency=usd&unit_amount=3").await;
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        // Both begin months of 31, 30 and 31 days.
        let months = |year: i64| {
            let month = |name: &str| at(&format!("{year}-{name}-01T00:00:00Z"));
            [month("05"), month("06"), month("07"), month("08")]
        };
        let mut lives = Vec::new();
        for year in [2024, 2031] {
            let months = months(year);
            let (clock, customer) = clocked(&app, months[0]).await;
            let sent = "collection_method=send_invoice&days_until_due=30";
            let sub = id(&subscribe(&app, &customer, &[&calls, &seat], sent).await);
            lives.push(Life { clock, customer, sub, months });
        }
        // Each uses 101 on its 4th day, 7 on its 11th, by turns; and ten more each month.
        for month in 0..3 {
            for (number, life) in (0..).zip(&lives) {
                let first = life.months[month];
                for (day, value) in [(3, 101), (10, 7)] {
                    moved_to(&app, &life.clock, first + day * DAY).await;
                    used(&app, &life.customer, value + 10 * i64::try_from(month).unwrap() + number)
                        .await;
                }
            }
            app = app.restart().await;
            for life in &lives {
                moved_to(&app, &life.clock, life.months[month + 1]).await;
                moved_to(&app, &life.clock, life.months[month + 1] + HOUR).await;
            }
        }
        for (number, Life { customer, sub, months, .. }) in (0..).zip(&lives) {
            let mut expected = Vec::new();
            for (month, first) in (0..).zip(&months[..3]) {
                expected.push((first + 3 * DAY, 101 + 10 * month + number));
                expected.push((first + 10 * DAY, 7 + 10 * month + number));
            }
            assert_eq!(days(&app, &meter, customer, months[0], months[3]).await, expected);
            let other = [1_975, 2_024, 2_031][if number == 0 { 2 } else { 1 }];
            let elsewhere = at(&format!("{other}-05-01T00:00:00Z"));
            assert_eq!(days(&app, &meter, customer, elsewhere, elsewhere + 92 * DAY).await, []);
            let invoices = app.read(&format!("/v1/invoices?subscription={sub}")).await;
            let billed: Vec<_> = invoices["data"].as_array().unwrap().iter().rev().collect();
            assert_eq!(billed.len(), 4);
            for (month, invoice) in (0..).zip(&billed[1..]) {
                let quantity = 108 + 20 * month + 2 * number;
                assert_eq!(invoice["total"], 700 + 3 * quantity);
                assert_eq!(invoice["status"], "open");
                let line = format!("{quantity} × Calls (at $0.03 / month)");
                assert!(
                    lines(invoice).contains(&(line, quantity.to_string(), 3 * quantity)),
                    "{:?}",
                    lines(invoice)
                );
            }
        }
    }
}

#[tokio::test]
async fn usage_is_billed_in_the_period_in_which_the_clock_stands_and_late_while_the_draft_waits() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e").await;
        let calls = metered(&app, &meter, "Calls", "currency=usd&unit_amount=3").await;
        let began = at("2031-05-01T00:00:00Z");
        let (clock, ada) = clocked(&app, began).await;
        let sent = "collection_method=send_invoice&days_until_due=30";
        let sub = id(&subscribe(&app, &ada, &[&calls], sent).await);
        let latest = async || {
            let sub = app.read(&format!("/v1/subscriptions/{sub}")).await;
            app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
        };
        // The first second of the period, and the last one.
        let boundary = began + 31 * DAY;
        used(&app, &ada, 100).await;
        moved_to(&app, &clock, boundary - 1).await;
        let amended = event(&ada, "&identifier=a").replace("[value]=7", "[value]=20");
        app.made(EVENTS, &amended).await;
        moved_to(&app, &clock, boundary).await;
        // At the boundary begins the next one.
        used(&app, &ada, 1_000).await;
        assert_eq!(latest().await["total"], 360);
        // The draft's hour, to its last second.
        moved_to(&app, &clock, boundary + HOUR - 1).await;
        let late = event(&ada, &format!("&timestamp={}", boundary - 1));
        app.made(EVENTS, &late).await;
        let payload = format!("payload[stripe_customer_id]={ada}&payload[value]=21");
        app.made(&format!("{EVENTS}/a/amend"), &payload).await;
        moved_to(&app, &clock, boundary + HOUR).await;
        let open = latest().await;
        assert_eq!((&open["status"], &open["total"]), (&json!("open"), &json!(384)));
        app.made(EVENTS, &late).await;
        assert_eq!(latest().await["total"], 384, "too late");
        let line = id(&open["lines"]["data"][0]);
        let path = format!("/v1/invoices/{}/lines/{line}/explanation", id(&open));
        let told = app.read(&path).await["usage"]["events"].clone();
        assert_eq!(told, json!({ "amended": 1, "canceled": 0, "counted": 3, "late": 1 }));
        moved_to(&app, &clock, boundary + 30 * DAY).await;
        assert_eq!(latest().await["total"], 3_000);
    }
}
