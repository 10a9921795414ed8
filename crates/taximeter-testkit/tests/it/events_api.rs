//! Reading what happened, as v1 and as v2 have it.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

async fn meters(app: &TestApp, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        let form =
            format!("display_name={name}&event_name={name}&default_aggregation[formula]=sum");
        let meter = app.made("/v1/billing/meters", &form).await;
        ids.push(meter["id"].as_str().unwrap().to_owned());
    }
    ids
}

fn types(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_are_listed_by_type_and_by_the_beginning_of_a_type() {
    for app in TestApp::everywhere().await {
        meters(&app, &["a"]).await;
        let customer = app.made("/v1/customers", "name=A").await;
        let path = format!("/v1/customers/{}", customer["id"].as_str().unwrap());
        app.made(&path, "name=B").await;
        for (query, expected) in [
            ("", vec!["customer.updated", "customer.created", "billing.meter.created"]),
            ("?type=customer.created", vec!["customer.created"]),
            ("?type=customer.*", vec!["customer.updated", "customer.created"]),
            ("?type=customer_*", vec![]),
            (
                "?types[]=customer.updated&types[]=billing.meter.created",
                vec!["customer.updated", "billing.meter.created"],
            ),
            ("?limit=1", vec!["customer.updated"]),
        ] {
            assert_eq!(types(&app.read(&format!("/v1/events{query}")).await), expected, "{query}");
        }
        let newest = app.read("/v1/events?limit=1").await["data"][0].clone();
        assert_eq!(newest["data"]["object"]["name"], "B");
        assert_eq!(newest["data"]["previous_attributes"], json!({ "name": "A" }));
        let read = app.read(&format!("/v1/events/{}", newest["id"].as_str().unwrap())).await;
        assert_eq!(read, newest);
    }
}

#[tokio::test]
async fn an_event_cannot_be_read_after_thirty_days() {
    let app = TestApp::start().await;
    app.made("/v1/customers", "").await;
    app.advance_s(30 * 86_400);
    assert_eq!(types(&app.read("/v1/events").await).len(), 1);
    app.advance_s(1);
    assert_eq!(types(&app.read("/v1/events").await).len(), 0);
}

#[tokio::test]
async fn thin_events_are_read_page_by_page_by_their_next_page_url() {
    for app in TestApp::everywhere().await {
        let ids = meters(&app, &["a", "b", "c"]).await;
        app.made("/v1/customers", "").await;
        let mut url = "/v2/core/events?limit=2&types[0]=v1.billing.meter.created".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = app.read(&url).await;
            for event in page["data"].as_array().unwrap() {
                seen.push(event["related_object"]["id"].as_str().unwrap().to_owned());
            }
            match page["next_page_url"].as_str() {
                Some(next) => url = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(seen, [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
        let of_one = app.read(&format!("/v2/core/events?object_id={}", ids[1])).await;
        let id = of_one["data"][0]["id"].as_str().unwrap();
        assert_eq!(app.read(&format!("/v2/core/events/{id}")).await, of_one["data"][0]);
        let missing = app.get("/v2/core/events/evt_thin_none").await;
        assert_eq!(
            (missing.status, missing.json()["error"]["code"].clone()),
            (404, json!("not_found"))
        );
    }
}
