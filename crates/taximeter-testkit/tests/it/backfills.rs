//! `/v1/billing/meter_event_backfills`

use serde_json::{Value, json};
use taximeter_service::meter_event_backfills::{CHUNK_EVENTS, resume_all};
use taximeter_testkit::{START, TestApp};

use crate::corrections::usage;
use crate::meter_events::event;
use crate::support::{customer, error, id, ids, meter, refused, unreadable};

const EVENTS: &str = "/v1/billing/meter_events";
const BACKFILLS: &str = "/v1/billing/meter_event_backfills";
/// 2026-01-15T00:00:00Z
const MIDNIGHT: i64 = START.0 - START.0 % 86_400;

/// A backfill of the morning in which every test begins.
async fn opened(app: &TestApp, meter: &str, more: &str) -> String {
    let end = MIDNIGHT + 10 * 3_600;
    let form = format!("meter={meter}&timeframe_start={MIDNIGHT}&timeframe_end={end}{more}");
    id(&app.made(BACKFILLS, &form).await).to_owned()
}

/// Adds events: customer, value, seconds after midnight, identifier or nothing.
async fn add(app: &TestApp, backfill: &str, events: &[(&str, &str, i64, &str)]) -> Value {
    let mut form = String::new();
    for (place, (customer, value, at, identifier)) in events.iter().enumerate() {
        let at = MIDNIGHT + at;
        form.push_str(&format!(
            "&events[{place}][payload][stripe_customer_id]={customer}\
             &events[{place}][payload][value]={value}&events[{place}][timestamp]={at}"
        ));
        if !identifier.is_empty() {
            form.push_str(&format!("&events[{place}][identifier]={identifier}"));
        }
    }
    app.made(&format!("{BACKFILLS}/{backfill}/events"), &form[1..]).await
}

async fn record(app: &TestApp, customer: &str, value: &str, at: i64, identifier: &str) {
    let form =
        format!("{}&timestamp={}&identifier={identifier}", event(customer, value), MIDNIGHT + at);
    app.made(EVENTS, &form).await;
}

async fn run(app: &TestApp, backfill: &str, verb: &str) -> Value {
    app.made(&format!("{BACKFILLS}/{backfill}/{verb}"), "").await
}

/// What a preview says of each customer: id, now, after, difference.
async fn previewed(app: &TestApp, backfill: &str) -> Vec<[Value; 4]> {
    let list = app.read(&format!("{BACKFILLS}/{backfill}/preview?limit=100")).await;
    let row = |row: &Value| {
        ["customer", "usage_now", "usage_after", "difference"].map(|name| row[name].clone())
    };
    list["data"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn a_backfill_is_staged_previewed_applied_and_reverted() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        record(&app, &customer, "7", 60, "a").await;
        let backfill = opened(&app, &meter, "").await;
        let path = format!("{BACKFILLS}/{backfill}");
        let counts = |staged, recorded| {
            json!({
                "recorded": recorded, "repeated": 0, "replaced": 0, "skipped": 0, "staged": staged,
            })
        };
        let expected = json!({
            "id": backfill,
            "object": "billing.meter_event_backfill",
            "created": START.0,
            "customer": null,
            "events": counts(0, 0),
            "livemode": false,
            "meter": meter,
            "replace_existing": false,
            "status": "open",
            "status_transitions": { "applied_at": null, "discarded_at": null, "reverted_at": null },
            "timeframe_end": MIDNIGHT + 36_000,
            "timeframe_start": MIDNIGHT,
            "updated": START.0,
        });
        assert_eq!(app.read(&path).await, expected);
        let events = [(customer.as_str(), "13.5", 0, ""), (&customer, "101", 35_999, "b")];
        assert_eq!(add(&app, &backfill, &events).await["events"], counts(2, 0));
        assert_eq!(usage(&app, &meter, &customer).await, 7);
        let preview = [json!(customer), json!(7), json!(121.5), json!(114.5)];
        assert_eq!(previewed(&app, &backfill).await, [preview]);
        app.advance_s(7);
        let applied = run(&app, &backfill, "apply").await;
        assert_eq!((&applied["status"], &applied["events"]), (&json!("applied"), &counts(2, 2)));
        assert_eq!(applied["status_transitions"]["applied_at"], START.0 + 7);
        assert_eq!(usage(&app, &meter, &customer).await, json!(121.5));
        assert_eq!(run(&app, &backfill, "apply").await, applied);
        let app = app.restart().await;
        assert_eq!(usage(&app, &meter, &customer).await, json!(121.5));
        app.advance_s(6);
        let reverted = run(&app, &backfill, "revert").await;
        assert_eq!(reverted["status"], "reverted");
        assert_eq!(reverted["status_transitions"]["reverted_at"], START.0 + 13);
        assert_eq!(usage(&app, &meter, &customer).await, 7);
        assert_eq!(run(&app, &backfill, "revert").await, reverted);
        assert_eq!(app.read(BACKFILLS).await["data"], json!([reverted]));
    }
}

#[tokio::test]
async fn a_backfill_can_replace_what_is_there_and_puts_it_back() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let (one, other) = (customer(&app).await, customer(&app).await);
        record(&app, &one, "7", 60, "a").await;
        record(&app, &one, "11", 120, "gone").await;
        record(&app, &one, "1000", 36_000, "outside").await;
        record(&app, &other, "13", 60, "a").await;
        app.made(&format!("{EVENTS}/gone/cancel"), "").await;
        let backfill = opened(&app, &meter, "&replace_existing=true").await;
        // With identifiers that are taken: of an event that is replaced, of one that was canceled,
        // and of one that stays.
        let events = [(one.as_str(), "70", 60, "a"), (&one, "110", 120, "gone")];
        add(&app, &backfill, &events).await;
        add(&app, &backfill, &[(&one, "3", 180, "outside"), (&one, "0.5", 180, "")]).await;
        let row = |customer: &str, now, after, difference| {
            [json!(customer), json!(now), json!(after), json!(difference)]
        };
        let mut expected = [
            row(&one, json!(7), json!(180.5), json!(173.5)),
            row(&other, 13.into(), 0.into(), (-13).into()),
        ];
        expected.sort_by_key(|row| row[0].as_str().unwrap().to_owned());
        assert_eq!(previewed(&app, &backfill).await, expected);
        let applied = run(&app, &backfill, "apply").await;
        let counts = json!({
            "recorded": 3, "repeated": 0, "replaced": 2, "skipped": 1, "staged": 4,
        });
        assert_eq!(applied["events"], counts);
        assert_eq!(usage(&app, &meter, &one).await, json!(1180.5));
        assert_eq!(usage(&app, &meter, &other).await, 0);
        run(&app, &backfill, "revert").await;
        // What had been canceled before stays so.
        assert_eq!(usage(&app, &meter, &one).await, 1007);
        assert_eq!(usage(&app, &meter, &other).await, 13);
    }
}

#[tokio::test]
async fn a_backfill_of_one_customer_leaves_the_others_alone() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let (one, other) = (customer(&app).await, customer(&app).await);
        for customer in [&one, &other] {
            record(&app, customer, "7", 60, "a").await;
        }
        let more = format!("&replace_existing=true&customer={one}");
        let backfill = opened(&app, &meter, &more).await;
        let path = format!("{BACKFILLS}/{backfill}/events");
        let form = format!(
            "events[0][payload][stripe_customer_id]={other}&events[0][payload][value]=1\
             &events[0][timestamp]={MIDNIGHT}"
        );
        assert_eq!(
            error(&app.post(&path, &form).await),
            "400 - events[0][payload][stripe_customer_id]: Invalid payload: the backfill is for \
             another customer."
        );
        assert_eq!(previewed(&app, &backfill).await, [[json!(one), json!(7), json!(0), json!(-7)]]);
        run(&app, &backfill, "apply").await;
        assert_eq!(usage(&app, &meter, &one).await, 0);
        assert_eq!(usage(&app, &meter, &other).await, 7);
    }
}

#[tokio::test]
async fn an_event_that_is_recorded_already_is_not_counted_again() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        record(&app, &customer, "7", 60, "a").await;
        let backfill = opened(&app, &meter, "").await;
        let events = [(customer.as_str(), "7", 60, "a"), (&customer, "13", 120, "b")];
        add(&app, &backfill, &events).await;
        // The same call again, as after an answer that was lost.
        let again = add(&app, &backfill, &events).await;
        let counts = json!({
            "recorded": 0, "repeated": 2, "replaced": 0, "skipped": 0, "staged": 2,
        });
        assert_eq!(again["events"], counts);
        let preview = [json!(customer), json!(7), json!(20), json!(13)];
        assert_eq!(previewed(&app, &backfill).await, [preview]);
        let applied = run(&app, &backfill, "apply").await;
        assert_eq!(
            (&applied["events"]["recorded"], &applied["events"]["skipped"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(usage(&app, &meter, &customer).await, 20);
        // The event that was there is not the backfill's to remove.
        run(&app, &backfill, "revert").await;
        assert_eq!(usage(&app, &meter, &customer).await, 7);
    }
}

#[tokio::test]
async fn events_may_be_older_than_new_events_may() {
    let app = TestApp::start().await;
    let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
    let start = MIDNIGHT - 1_000 * 86_400;
    let form = format!("meter={meter}&timeframe_start={start}&timeframe_end={MIDNIGHT}");
    let backfill = id(&app.made(BACKFILLS, &form).await).to_owned();
    add(&app, &backfill, &[(&customer, "7", -1_000 * 86_400, "")]).await;
    run(&app, &backfill, "apply").await;
    let list = app
        .read(&format!(
            "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
             &end_time={}",
            start + 60
        ))
        .await;
    assert_eq!(list["data"][0]["aggregated_value"], 7);
}

#[tokio::test]
async fn ten_thousand_events_come_in_one_call_as_json() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        let backfill = opened(&app, &meter, "").await;
        let path = format!("{BACKFILLS}/{backfill}/events");
        let auth = format!("Bearer {}", app.test_key());
        let post = async |kind: &str, body: &str| {
            let headers = [
                ("authorization", auth.as_str()),
                ("content-type", kind),
                ("idempotency-key", "k"),
            ];
            app.request("POST", &path, &headers, body.as_bytes()).await
        };
        let send = async |count: usize| {
            let event = |place: usize| {
                json!({
                    "event_name": "e",
                    "timestamp": MIDNIGHT + i64::try_from(place).unwrap(),
                    "payload": { "stripe_customer_id": customer, "value": "0.5" },
                })
            };
            let body = json!({ "events": (0..count).map(event).collect::<Vec<_>>() }).to_string();
            post("application/json", &body).await
        };
        let many = "400 - events: Invalid array: at most 10000 elements are accepted";
        assert_eq!(error(&send(10_001).await), many);
        for _ in 0..2 {
            let answer = send(10_000).await;
            assert_eq!(answer.json()["events"]["staged"], 10_000, "{:?}", answer.json());
        }
        run(&app, &backfill, "apply").await;
        assert_eq!(usage(&app, &meter, &customer).await, 5_000);
        let text = post("text/plain", "x").await;
        assert!(error(&text).contains("Invalid request Content-Type: text/plain"));
    }
}

#[tokio::test]
async fn a_preview_is_exact_by_every_formula() {
    for (formula, more, after) in [
        ("sum", "", json!(40)),
        ("count", "", json!(5)),
        ("last", "", json!(13)),
        ("max", "", json!(17)),
        ("min", "", json!(1)),
        ("average", "", json!(8)),
        ("unique_count", "", json!(4)),
        ("percentile", "&default_aggregation[percentile]=50", json!(7)),
        ("sum", "&event_time_window=hour", json!(33)),
        ("count", "&event_time_window=day", json!(1)),
    ] {
        let app = TestApp::start().await;
        let meter = meter(&app, "e", formula, more).await;
        let customer = customer(&app).await;
        // 7 at 0:10, 2 at 1:00, 1 at 9:00; then 17 at 1:30 and 13 at 9:59, received later.
        for (value, at) in [("7", 600), ("2", 3_600), ("1", 32_400)] {
            record(&app, &customer, value, at, &format!("i{at}")).await;
        }
        let backfill = opened(&app, &meter, "").await;
        let mut events = vec![(customer.as_str(), "17", 5_400, ""), (&customer, "13", 35_940, "")];
        if formula == "unique_count" {
            events[0].1 = "7";
        }
        add(&app, &backfill, &events).await;
        let expected = match (formula, more) {
            ("sum", "&event_time_window=hour") => json!(37),
            _ => after,
        };
        let [row] = previewed(&app, &backfill).await.try_into().unwrap();
        assert_eq!(row[2], expected, "{formula}{more}");
        run(&app, &backfill, "apply").await;
        let (start, end) = (MIDNIGHT, MIDNIGHT + 36_000);
        let list = app
            .read(&format!(
                "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
                 &end_time={end}"
            ))
            .await;
        assert_eq!(list["data"][0]["aggregated_value"], expected, "{formula}{more}");
    }
}

#[tokio::test]
async fn a_preview_with_a_window_or_a_level_looks_beyond_the_timeframe() {
    for (formula, more) in [
        ("weighted_sum", ""),
        ("sum", "&event_time_window=day"),
        ("last", "&event_time_window=hour"),
        ("weighted_sum", "&event_time_window=hour"),
    ] {
        for replace in ["", "&replace_existing=true"] {
            let app = TestApp::start().await;
            let meter = meter(&app, "e", formula, more).await;
            let customer = customer(&app).await;
            for (value, at) in [("7", -40_000), ("2", 3_600), ("1", 36_060)] {
                record(&app, &customer, value, at, &format!("i{at}")).await;
            }
            // From 0:30 to 10:00: both ends cut an hour or a day.
            let (start, end) = (MIDNIGHT + 1_800, MIDNIGHT + 36_000);
            let form =
                format!("meter={meter}&timeframe_start={start}&timeframe_end={end}{replace}");
            let backfill = id(&app.made(BACKFILLS, &form).await).to_owned();
            add(&app, &backfill, &[(&customer, "17", 5_400, ""), (&customer, "13", 1_800, "")])
                .await;
            let [row] = previewed(&app, &backfill).await.try_into().unwrap();
            run(&app, &backfill, "apply").await;
            let list = app
                .read(&format!(
                    "/v1/billing/meters/{meter}/event_summaries?customer={customer}\
                     &start_time={start}&end_time={end}"
                ))
                .await;
            let name = format!("{formula}{more}{replace}");
            assert_eq!(list["data"][0]["aggregated_value"], row[2], "{name}");
            assert_ne!(row[1], row[2], "{name}");
        }
    }
}

#[tokio::test]
async fn a_preview_is_paged_by_customer() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let backfill = opened(&app, &meter, "").await;
    let mut customers = Vec::new();
    for value in ["1", "2", "3"] {
        let customer = customer(&app).await;
        add(&app, &backfill, &[(&customer, value, 60, "")]).await;
        customers.push(customer);
    }
    customers.sort();
    let path = format!("{BACKFILLS}/{backfill}/preview");
    let first = app.read(&format!("{path}?limit=2")).await;
    assert_eq!((ids(&first), &first["has_more"]), (customers[..2].to_vec(), &json!(true)));
    let rest = app.read(&format!("{path}?limit=2&starting_after={}", customers[1])).await;
    assert_eq!((ids(&rest), &rest["has_more"]), (customers[2..].to_vec(), &json!(false)));
    let before = app.read(&format!("{path}?limit=1&ending_before={}", customers[2])).await;
    assert_eq!(ids(&before), [customers[1].clone()]);
    let only = app.read(&format!("{path}?customer={}", customers[0])).await;
    assert_eq!(ids(&only), [customers[0].clone()]);
}

#[tokio::test]
async fn what_is_no_backfill_is_refused() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let span =
        |start: i64, end: i64| format!("meter={meter}&timeframe_start={start}&timeframe_end={end}");
    let backfill = opened(&app, &meter, "").await;
    refused(
        &app,
        &[
            (BACKFILLS, "", "400 parameter_missing meter: Missing required param: meter."),
            (
                BACKFILLS,
                "meter=mtr_x&timeframe_start=0&timeframe_end=7",
                "400 resource_missing meter: No such billing meter: 'mtr_x'",
            ),
            (
                BACKFILLS,
                &format!("{}&customer=cus_x", span(0, 7)),
                "400 resource_missing customer: No such customer: 'cus_x'",
            ),
            (
                BACKFILLS,
                &span(7, 7),
                "400 - timeframe_end: Invalid timeframe_end: must be after timeframe_start.",
            ),
            (
                BACKFILLS,
                &span(7, START.0 + 1),
                "400 - timeframe_end: Invalid timeframe_end: must be in the past.",
            ),
            (
                &format!("{BACKFILLS}/mevtbf_x/apply"),
                "",
                "404 resource_missing id: No such meter event backfill: 'mevtbf_x'",
            ),
            (
                &format!("{BACKFILLS}/{backfill}/revert"),
                "",
                "400 - -: This meter event backfill is open; only one that is applied can be \
                 reverted.",
            ),
        ],
    )
    .await;
    unreadable(
        &app,
        &[(
            &format!("{BACKFILLS}/{backfill}/preview?customer="),
            "400 parameter_invalid_empty customer: You passed an empty string for 'customer'. We \
             assume empty values are an attempt to unset a parameter; however 'customer' cannot \
             be unset. You should remove 'customer' from your request or supply a non-empty value.",
        )],
    )
    .await;
    let elsewhere = app.live().get(&format!("{BACKFILLS}/{backfill}")).await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn a_faulty_event_is_named_and_keeps_the_others_of_its_call_out() {
    let app = TestApp::start().await;
    let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
    let backfill = opened(&app, &meter, "").await;
    let path = format!("{BACKFILLS}/{backfill}/events");
    let event = |value: &str, at: i64, more: &str| {
        format!(
            "events[0][payload][stripe_customer_id]={customer}&events[0][payload][value]={value}\
             &events[0][timestamp]={at}{more}"
        )
    };
    let end = MIDNIGHT + 36_000;
    let outside = format!(
        "400 - events[0][timestamp]: Invalid timestamp: must be at least {MIDNIGHT} and less than \
         {end}, the timeframe of the backfill."
    );
    refused(
        &app,
        &[
            (&path, "", "400 parameter_missing events: Missing required param: events."),
            (&path, "events=x", "400 - events: Invalid array"),
            (&path, "events[a]=x", "400 - events: Invalid array"),
            (&path, "events[0]=x", "400 - events[0]: Invalid object"),
            (&path, &event("1", MIDNIGHT - 1, ""), &outside),
            (&path, &event("1", end, ""), &outside),
            (
                &path,
                &event("x", MIDNIGHT, ""),
                "400 - events[0][payload][value]: Invalid value in the event payload: 'x' is not a \
                 decimal number.",
            ),
            (
                &path,
                &event("1", MIDNIGHT, "&events[0][event_name]=other"),
                "400 - events[0][event_name]: Invalid event_name: the events of this meter are \
                 called e.",
            ),
            (
                &path,
                &event("1", MIDNIGHT, &format!("&events[0][identifier]={backfill}-7")),
                "400 - events[0][identifier]: Invalid identifier: must not begin with the id of \
                 the backfill.",
            ),
            (
                &path,
                &event("1", MIDNIGHT, "").replace(&customer, "cus_x"),
                "400 resource_missing events[0][payload][stripe_customer_id]: No such customer: \
                 'cus_x'",
            ),
        ],
    )
    .await;
    let two = format!(
        "{}&{}",
        event("1", MIDNIGHT, ""),
        event("x", MIDNIGHT, "").replace("events[0]", "events[1]")
    );
    assert_eq!(app.post(&path, &two).await.status, 400);
    let left = app.read(&format!("{BACKFILLS}/{backfill}")).await;
    assert_eq!(left["events"]["staged"], 0);
}

#[tokio::test]
async fn a_discarded_backfill_is_over_and_an_applied_one_cannot_be_discarded() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        let backfill = opened(&app, &meter, "").await;
        add(&app, &backfill, &[(&customer, "7", 60, "")]).await;
        let discarded = run(&app, &backfill, "discard").await;
        assert_eq!(discarded["status"], "discarded");
        assert_eq!(discarded["status_transitions"]["discarded_at"], START.0);
        assert_eq!(run(&app, &backfill, "discard").await, discarded);
        let path = |verb: &str| format!("{BACKFILLS}/{backfill}/{verb}");
        let over = |what: &str| {
            format!(
                "400 - -: This meter event backfill is discarded; only one that is open can be {what}."
            )
        };
        assert_eq!(error(&app.post(&path("apply"), "").await), over("applied"));
        assert_eq!(error(&app.get(&path("preview")).await), over("previewed"));
        let event = format!(
            "events[0][payload][stripe_customer_id]={customer}&events[0][payload][value]=1\
             &events[0][timestamp]={MIDNIGHT}"
        );
        assert_eq!(error(&app.post(&path("events"), &event).await), over("added to"));
        let other = opened(&app, &meter, "").await;
        run(&app, &other, "apply").await;
        let discard = app.post(&format!("{BACKFILLS}/{other}/discard"), "").await;
        assert_eq!(
            error(&discard),
            "400 - -: This meter event backfill is applied; only one that is open can be discarded."
        );
        let listed = async |query: &str| ids(&app.read(&format!("{BACKFILLS}?{query}")).await);
        assert_eq!(listed("status=applied").await, std::slice::from_ref(&other));
        assert_eq!(listed(&format!("meter={meter}")).await, [other, backfill]);
        assert_eq!(listed(&format!("customer={customer}")).await.len(), 0);
    }
}

#[tokio::test]
async fn the_audit_trail_tells_of_backfills() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        let backfill = opened(&app, &meter, "").await;
        add(&app, &backfill, &[(&customer, "7", 60, "")]).await;
        app.made(&format!("{BACKFILLS}/{backfill}/apply"), "reason=Lost+in+May").await;
        run(&app, &backfill, "revert").await;
        let trail = app.read(&format!("/v1/billing/usage_audit?backfill={backfill}")).await;
        let told: Vec<_> = trail["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let status = |side: &str| entry[side]["status"].as_str().unwrap().to_owned();
                let action = entry["action"].as_str().unwrap().to_owned();
                (action, status("before"), status("after"), entry["reason"].clone())
            })
            .collect();
        let step = |action: &str, before: &str, after: &str, reason: Value| {
            (action.to_owned(), before.to_owned(), after.to_owned(), reason)
        };
        let expected = [
            step("backfill_revert", "reverting", "reverted", Value::Null),
            step("backfill_revert", "applied", "reverting", Value::Null),
            step("backfill_apply", "applying", "applied", Value::Null),
            step("backfill_apply", "open", "applying", json!("Lost in May")),
        ];
        assert_eq!(told, expected);
    }
}

/// A backfill of several chunks that replaces several chunks: 2,300 events of 1 in place of 2,300 of
/// 10.
async fn large(app: &TestApp) -> (String, String, String) {
    let count = 2 * CHUNK_EVENTS + 300;
    let (meter, customer) = (meter(app, "e", "sum", "").await, customer(app).await);
    let backfill = |more: &'static str| opened(app, &meter, more);
    let (old, new) = (backfill("").await, backfill("&replace_existing=true").await);
    for (backfill, value) in [(&old, "10"), (&new, "1")] {
        let events: Vec<_> = (0..count)
            .map(|at| (customer.as_str(), value, i64::try_from(at).unwrap(), ""))
            .collect();
        for chunk in events.chunks(500) {
            add(app, backfill, chunk).await;
        }
    }
    run(app, &old, "apply").await;
    assert_eq!(usage(app, &meter, &customer).await, 10 * count);
    (meter, customer, new)
}

#[tokio::test]
async fn applying_and_reverting_go_on_after_a_crash_between_any_two_chunks() {
    for app in TestApp::everywhere().await {
        let (meter, customer, backfill) = large(&app).await;
        let count = 2 * CHUNK_EVENTS + 300;
        let mut app = app;
        for (verb, under_way, done, total) in [
            ("apply", "applying", "applied", count),
            ("revert", "reverting", "reverted", 10 * count),
        ] {
            let path = format!("{BACKFILLS}/{backfill}/{verb}");
            // The client goes away as soon as the work has begun, wherever it is then.
            let mut request = Box::pin(app.post(&path, ""));
            let begun = async {
                while app.read(&format!("{BACKFILLS}/{backfill}")).await["status"] != under_way {}
            };
            tokio::select! {
                biased;
                () = begun => {}
                answer = &mut request => panic!("it was too fast: {:?}", answer.json()),
            }
            drop(request);
            let mut crashes = 0;
            loop {
                app = app.restart().await;
                let left = resume_all(app.services(), app.now(), 1).await.unwrap();
                if left == 0 {
                    break;
                }
                crashes += 1;
            }
            assert!(crashes > 2, "{crashes}");
            let end = app.read(&format!("{BACKFILLS}/{backfill}")).await;
            assert_eq!(end["status"], done);
            assert_eq!(end["events"]["recorded"], count);
            assert_eq!(end["events"]["replaced"], count);
            assert_eq!(usage(&app, &meter, &customer).await, total, "{verb}");
        }
    }
}

#[tokio::test]
async fn a_chunk_that_the_log_has_and_the_database_forgot_is_not_done_twice() {
    for app in TestApp::everywhere().await {
        let (meter, customer, backfill) = large(&app).await;
        let count = 2 * CHUNK_EVENTS + 300;
        for (verb, total) in [("apply", count), ("revert", 10 * count)] {
            run(&app, &backfill, verb).await;
            assert_eq!(usage(&app, &meter, &customer).await, total);
            // As if the database had lost all that came after the chunks began.
            let (status, step) =
                if verb == "apply" { ("applying", "record") } else { ("reverting", "remove") };
            let mut tx = app.services().db.begin().await.unwrap();
            let sql = "UPDATE meter_event_backfills SET status = $2, step = $3, done_position = 0, \
                       recorded = 0 WHERE id = $1";
            let args = [backfill.as_str(), status, step].map(Into::into).to_vec();
            tx.execute(sql, args).await.unwrap();
            tx.commit().await.unwrap();
            let again = run(&app, &backfill, verb).await;
            assert_eq!(usage(&app, &meter, &customer).await, total, "{verb}");
            if verb == "apply" {
                assert_eq!(again["events"]["recorded"], count);
            }
        }
    }
}

#[tokio::test]
async fn two_calls_at_once_apply_a_backfill_once() {
    for app in TestApp::everywhere().await {
        let (meter, customer, backfill) = large(&app).await;
        let count = 2 * CHUNK_EVENTS + 300;
        let path = format!("{BACKFILLS}/{backfill}/apply");
        let (one, other) = tokio::join!(app.post(&path, ""), app.post(&path, ""));
        for answer in [one, other] {
            assert_eq!(answer.json()["status"], "applied", "{:?}", answer.json());
        }
        assert_eq!(usage(&app, &meter, &customer).await, count);
        let end = app.read(&format!("{BACKFILLS}/{backfill}")).await;
        assert_eq!(
            (&end["events"]["recorded"], &end["events"]["replaced"]),
            (&json!(count), &json!(count))
        );
    }
}
