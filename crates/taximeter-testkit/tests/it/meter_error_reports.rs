//! Reports of what could not be counted, and the thin events that tell of them.

use serde_json::{Value, json};
use taximeter_service::meter_errors::reports::report_due;
use taximeter_testkit::TestApp;

use crate::meter_event_stream::{event, named, send, token};
use crate::support::{customer, ids, meter, unreadable};

const REPORTS: &str = "/v1/billing/meter_error_reports";

/// Makes the reports that are due.
async fn tick(app: &TestApp) -> usize {
    report_due(app.services(), app.now()).await.unwrap()
}

async fn reports(app: &TestApp) -> Vec<Value> {
    app.read(REPORTS).await["data"].as_array().unwrap().clone()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one report, looked at from every side")]
async fn a_report_tells_of_ten_seconds_of_a_meter_once() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let token = token(&app).await;
        // 10:30:07, the span 10:30:00 to 10:30:10.
        app.advance_s(7);
        let bad =
            [named(&customer, "x", "i"), named("cus_x", "1", "j"), named(&customer, "y", "k")];
        send(&app, &token, &bad).await;
        app.advance_s(4);
        assert_eq!(tick(&app).await, 0, "the span is over, but answers may still be on their way");
        app.advance_s(1);
        assert_eq!(tick(&app).await, 1);
        assert_eq!(tick(&app).await, 0);
        let report = reports(&app).await[0].clone();
        let sample = |message: &str, identifier: &str| json!({ "error_message": message, "request": { "identifier": identifier } });
        let invalid = |value: &str| {
            format!("Invalid value in the event payload: '{value}' is not a decimal number.")
        };
        let reason = json!({
            "error_count": 3,
            "error_types": [
                {
                    "code": "meter_event_customer_not_found",
                    "error_count": 1,
                    "sample_errors": [sample("No such customer: 'cus_x'", "j")],
                },
                {
                    "code": "meter_event_invalid_value",
                    "error_count": 2,
                    "sample_errors": [sample(&invalid("x"), "i"), sample(&invalid("y"), "k")],
                },
            ],
        });
        let expected = json!({
            "id": report["id"],
            "object": "billing.meter_error_report",
            "created": app.now().0,
            "developer_message_summary": "There are 3 invalid events",
            "event": report["event"],
            "event_type": "v1.billing.meter.error_report_triggered",
            "livemode": false,
            "meter": meter,
            "reason": reason,
            "validation_end": app.now().0 - 2,
            "validation_start": app.now().0 - 12,
        });
        assert_eq!(report, expected);
        let thin =
            app.read(&format!("/v2/core/events/{}", report["event"].as_str().unwrap())).await;
        let expected = json!({
            "id": report["event"],
            "object": "v2.core.event",
            "context": null,
            "created": "2026-01-15T10:30:12.000Z",
            "data": {
                "developer_message_summary": "There are 3 invalid events",
                "reason": reason,
                "validation_end": "2026-01-15T10:30:10.000Z",
                "validation_start": "2026-01-15T10:30:00.000Z",
            },
            "livemode": false,
            "related_object": {
                "id": meter,
                "type": "billing.meter",
                "url": format!("/v1/billing/meters/{meter}"),
            },
            "type": "v1.billing.meter.error_report_triggered",
        });
        assert_eq!(thin, expected);
        let errors = app.read("/v1/billing/meter_event_errors").await;
        for error in errors["data"].as_array().unwrap() {
            assert_eq!(error["report"], report["id"]);
        }
    }
}

#[tokio::test]
async fn each_meter_each_span_and_the_lack_of_a_meter_have_reports_of_their_own() {
    for app in TestApp::everywhere().await {
        let (one, other) = (meter(&app, "e", "sum", "").await, meter(&app, "f", "sum", "").await);
        let token = token(&app).await;
        let of = |name: &str| {
            let mut event = event("cus_x", "1");
            event["event_name"] = name.into();
            event
        };
        send(&app, &token, &[of("e"), of("f"), of("none"), of("nothing")]).await;
        app.advance_s(10);
        send(&app, &token, &[of("e")]).await;
        app.advance_s(60);
        assert_eq!(tick(&app).await, 4);
        let seen: Vec<(Value, Value)> = reports(&app)
            .await
            .iter()
            .map(|it| (it["meter"].clone(), it["reason"]["error_count"].clone()))
            .collect();
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[0], (json!(one), json!(1)), "the latest span is told of last");
        for expected in [(json!(one), 1), (json!(other), 1), (Value::Null, 2)] {
            assert!(seen[1..].contains(&(expected.0.clone(), json!(expected.1))), "{seen:?}");
        }
        let of_other = app.read(&format!("{REPORTS}?meter={other}")).await;
        assert_eq!(of_other["data"].as_array().unwrap().len(), 1);
        let id = ids(&of_other)[0].clone();
        assert_eq!(app.read(&format!("{REPORTS}/{id}")).await, of_other["data"][0]);
        let none = app.read("/v2/core/events?types[0]=v1.billing.meter.no_meter_found").await;
        assert_eq!(none["data"].as_array().unwrap().len(), 1);
        assert_eq!(none["data"][0]["related_object"], Value::Null);
        let sample = &none["data"][0]["data"]["reason"]["error_types"][0]["sample_errors"][0];
        assert_eq!(sample["error_message"], "No active meter found for event name: none.");
        let by_meter = app.read(&format!("/v2/core/events?object_id={other}")).await;
        assert_eq!(by_meter["data"][0]["type"], "v1.billing.meter.error_report_triggered");
    }
}

#[tokio::test]
async fn a_report_counts_all_and_shows_ten_of_a_type() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    let token = token(&app).await;
    let events: Vec<Value> = (0..73).map(|n| named("cus_x", "1", &format!("i{n}"))).collect();
    send(&app, &token, &events).await;
    app.advance_s(60);
    tick(&app).await;
    let kind = reports(&app).await[0]["reason"]["error_types"][0].clone();
    assert_eq!(kind["error_count"], 73);
    let samples = kind["sample_errors"].as_array().unwrap();
    assert_eq!((samples.len(), &samples[9]["request"]["identifier"]), (10, &json!("i9")));
}

#[tokio::test]
async fn events_that_only_v2_tells_of_are_not_told_of_by_v1() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        send(&app, &token(&app).await, &[event("cus_x", "1")]).await;
        app.advance_s(60);
        tick(&app).await;
        let v1 = app.read("/v1/events").await;
        assert_eq!(v1["data"].as_array().unwrap().len(), 1, "{v1}");
        let thin = reports(&app).await[0]["event"].as_str().unwrap().replace("thin_", "");
        assert_eq!(app.get(&format!("/v1/events/{thin}")).await.status, 404);
        assert_eq!(app.get("/v2/core/events/evt_thin_none").await.status, 404);
        unreadable(
            &app,
            &[(
                &format!("{REPORTS}/mtrerr_x"),
                "404 resource_missing id: No such meter error report: 'mtrerr_x'",
            )],
        )
        .await;
    }
}

#[tokio::test]
async fn processes_that_report_at_once_report_nothing_twice() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let token = token(&app).await;
        for _ in 0..7 {
            send(&app, &token, &[event("cus_x", "1")]).await;
            app.advance_s(10);
        }
        app.advance_s(60);
        let (one, other) = tokio::join!(tick(&app), tick(&app));
        let rest = tick(&app).await;
        assert_eq!(one + other + rest, 7);
        assert_eq!(reports(&app).await.len(), 7);
    }
}
