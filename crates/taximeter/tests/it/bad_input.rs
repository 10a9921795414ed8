//! Malformed requests: each gets exactly the error that its row says, and none leaves a trace.
//!
//! The rows are in `bad_input/*.txt`; how they are written is told in [`row`].

mod fixtures;
mod row;

use serde_json::Value;
use taximeter_testkit::TestApp;

use fixtures::Places;
use row::{Row, rows};

/// The tables, by what the requests in them get wrong.
const TABLES: &[(&str, &str)] = &[
    ("auth", include_str!("bad_input/auth.txt")),
    ("bodies", include_str!("bad_input/bodies.txt")),
    ("corrections", include_str!("bad_input/corrections.txt")),
    ("customers", include_str!("bad_input/customers.txt")),
    ("discounts", include_str!("bad_input/discounts.txt")),
    ("expand", include_str!("bad_input/expand.txt")),
    ("idempotency", include_str!("bad_input/idempotency.txt")),
    ("ids", include_str!("bad_input/ids.txt")),
    ("intake", include_str!("bad_input/intake.txt")),
    ("invoices", include_str!("bad_input/invoices.txt")),
    ("lists", include_str!("bad_input/lists.txt")),
    ("meter_event_list", include_str!("bad_input/meter_event_list.txt")),
    ("meter_events", include_str!("bad_input/meter_events.txt")),
    ("meter_usage", include_str!("bad_input/meter_usage.txt")),
    ("meters", include_str!("bad_input/meters.txt")),
    ("payments", include_str!("bad_input/payments.txt")),
    ("prices", include_str!("bad_input/prices.txt")),
    ("products", include_str!("bad_input/products.txt")),
    ("routes", include_str!("bad_input/routes.txt")),
    ("schedules", include_str!("bad_input/schedules.txt")),
    ("search", include_str!("bad_input/search.txt")),
    ("subscriptions", include_str!("bad_input/subscriptions.txt")),
    ("summaries", include_str!("bad_input/summaries.txt")),
    ("v2", include_str!("bad_input/v2.txt")),
    ("webhooks", include_str!("bad_input/webhooks.txt")),
];

/// What is read before and after: whatever a request leaves behind is in one of these.
const READABLE: &[&str] = &[
    "/v1/customers?limit=100",
    "/v1/products?limit=100",
    "/v1/prices?limit=100",
    "/v1/prices?limit=100&active=false",
    "/v1/billing/meters?limit=100",
    "/v1/billing/meter_event_backfills?limit=100",
    "/v1/billing/meter_event_errors?limit=100",
    "/v1/billing/usage_audit?limit=100",
    "/v1/subscription_schedules?limit=100",
    "/v1/subscriptions?limit=100&status=all",
    "/v1/invoices?limit=100",
    "/v1/coupons?limit=100",
    "/v1/promotion_codes?limit=100",
    "/v1/tax_rates?limit=100",
    "/v1/invoiceitems?limit=100",
    "/v1/credit_notes?limit=100",
    "/v1/webhook_endpoints?limit=100",
    "/v1/webhook_endpoints/{{hook}}/deliveries?limit=100",
    "/v1/payment_methods?limit=100",
    "/v1/payment_intents?limit=100",
    "/v1/setup_intents?limit=100",
    "/v1/charges?limit=100",
    "/v1/refunds?limit=100",
];

#[tokio::test]
async fn each_malformed_request_gets_the_error_of_its_row_and_leaves_no_trace() {
    let mut wrong = Vec::new();
    for app in TestApp::everywhere().await {
        let database = app.services().db.kind();
        let places = fixtures::make(&app).await;
        let before = readable(&app, &places).await;
        for (table, text) in TABLES {
            for row in rows(text, &places) {
                if let Err(what) = check(&app, &row).await {
                    wrong.push(format!("{table}.txt on {database:?}: {}\n{what}", row.name));
                }
            }
        }
        if readable(&app, &places).await != before {
            wrong.push(format!("on {database:?}: something was made or changed"));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn each_table_can_be_read_and_no_row_is_there_twice() {
    let places = Places::pretended();
    let mut names = Vec::new();
    for (table, text) in TABLES {
        let rows = rows(text, &places);
        let written = text.lines().filter(|line| line.starts_with("= ")).count();
        assert_eq!(rows.len(), written, "{table}.txt");
        for row in rows {
            assert!((400..500).contains(&row.status), "{table}.txt: {}", row.name);
            names.push(row.name);
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two rows have one name");
}

/// Sends a row's request and holds all of the answer against the row.
async fn check(app: &TestApp, row: &Row) -> Result<(), String> {
    let headers: Vec<(&str, &str)> =
        row.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let response = app.request(&row.method, &row.path, &headers, &row.body).await;
    let status = response.status;
    let body: Value = serde_json::from_slice(&response.body)
        .map_err(|_| format!("  {status} {}", String::from_utf8_lossy(&response.body)))?;
    if (status, &body) != (row.status, &row.answer) {
        return Err(format!(
            "  expected {} {}\n  received {status} {body}",
            row.status, row.answer
        ));
    }
    for name in ["request-id", "stripe-version"] {
        if response.headers.get(name).is_none() {
            return Err(format!("  has no header {name}"));
        }
    }
    Ok(())
}

/// Everything that can be read of the test mode, and of the usage of its customer.
async fn readable(app: &TestApp, places: &Places) -> Vec<Value> {
    let usage = places.fill(
        "/v1/billing/meters/{{mtr}}/event_summaries?customer={{cus}}&start_time=0&end_time=4102444800",
    );
    let mut answers = Vec::new();
    for path in READABLE.iter().copied().chain([usage.as_str()]) {
        answers.push(fixtures::send(app, "GET", &places.fill(path), &[], "").await);
    }
    answers
}
