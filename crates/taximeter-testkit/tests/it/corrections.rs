//! Corrections of single events: `/v1` and `/v2` adjustments, and an event's own address.

use serde_json::{Value, json};
use taximeter_service::ctx::{Caller, Ctx};
use taximeter_service::idempotency::KEPT_S;
use taximeter_service::usage_audit::{self, INTENT_KEPT_S};
use taximeter_testkit::{Response, START, TestApp};

use crate::meter_events::event;
use crate::support::{customer, error, id, ids, meter, refused};

const EVENTS: &str = "/v1/billing/meter_events";
const ADJUSTMENTS: &str = "/v1/billing/meter_event_adjustments";
const ADJUSTMENTS_V2: &str = "/v2/billing/meter_event_adjustments";
const AUDIT: &str = "/v1/billing/usage_audit";
const DAY: i64 = 86_400;

/// The usage of the day before the start and the two after it.
pub(crate) async fn usage(app: &TestApp, meter: &str, customer: &str) -> Value {
    let midnight = START.0 - START.0 % DAY;
    let (start, end) = (midnight - DAY, midnight + 3 * DAY);
    let list = app
        .read(&format!(
            "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
             &end_time={end}"
        ))
        .await;
    list["data"][0]["aggregated_value"].clone()
}

/// A meter, a customer, and an event of 7 with the identifier `i` and one of 13.
async fn recorded(app: &TestApp) -> (String, String) {
    let meter = meter(app, "e", "sum", "").await;
    let customer = customer(app).await;
    app.made(EVENTS, &format!("{}&identifier=i", event(&customer, "7"))).await;
    app.made(EVENTS, &event(&customer, "13")).await;
    (meter, customer)
}

fn cancel(identifier: &str) -> String {
    format!("event_name=e&type=cancel&cancel[identifier]={identifier}")
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

#[tokio::test]
async fn a_canceled_event_does_not_count_and_canceling_it_again_is_no_error() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        assert_eq!(usage(&app, &meter, &customer).await, 20);
        for _ in 0..2 {
            let answer = app.made(ADJUSTMENTS, &cancel("i")).await;
            let expected = json!({
                "object": "billing.meter_event_adjustment",
                "cancel": { "identifier": "i" },
                "event_name": "e",
                "livemode": false,
                "status": "complete",
                "type": "cancel",
            });
            assert_eq!(answer, expected);
            assert_eq!(usage(&app, &meter, &customer).await, 13);
        }
        // Its identifier stays taken.
        let again = app.post(EVENTS, &format!("{}&identifier=i", event(&customer, "7"))).await;
        assert_eq!(error(&again), "400 - -: An event already exists with identifier i.");
        assert_eq!(ids(&app.read(AUDIT).await).len(), 1);
        let app = app.restart().await;
        assert_eq!(usage(&app, &meter, &customer).await, 13);
    }
}

#[tokio::test]
async fn v2_cancels_alike_and_names_its_adjustment() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        let body = r#"{"event_name":"e","type":"cancel","cancel":{"identifier":"i"}}"#;
        let answer = app.made(ADJUSTMENTS_V2, body).await;
        assert!(id(&answer).starts_with("mtr_event_adj_"));
        assert_eq!(answer["created"], "2026-01-15T10:30:00.000Z");
        assert_eq!(answer["cancel"], json!({ "identifier": "i" }));
        assert_eq!(answer["status"], "complete");
        assert_eq!(usage(&app, &meter, &customer).await, 13);
        let unknown = r#"{"event_name":"e","type":"cancel","cancel":{"identifier":"x"}}"#;
        assert_eq!(
            error(&app.post(ADJUSTMENTS_V2, unknown).await),
            "400 invalid_cancel_configuration cancel[identifier]: No such meter event: 'x'"
        );
    }
}

#[tokio::test]
async fn an_adjustment_that_cancels_nothing_is_refused() {
    let app = TestApp::start().await;
    recorded(&app).await;
    refused(
        &app,
        &[
            (ADJUSTMENTS, "", "400 parameter_missing cancel: Missing required param: cancel."),
            (
                ADJUSTMENTS,
                "event_name=e&type=cancel&cancel[customer]=cus_x",
                "400 parameter_missing cancel[identifier]: Missing required param: \
                 cancel[identifier].",
            ),
            (
                ADJUSTMENTS,
                "event_name=e&type=range&cancel[identifier]=i",
                "400 - type: Invalid type: must be one of cancel",
            ),
            (
                ADJUSTMENTS,
                "event_name=e&type=cancel&identifier=i&cancel[identifier]=i",
                "400 parameter_unknown identifier: Received unknown parameter: identifier",
            ),
            (
                ADJUSTMENTS,
                &cancel("x"),
                "400 resource_missing cancel[identifier]: No such meter event: 'x'",
            ),
            (
                ADJUSTMENTS,
                "event_name=other&type=cancel&cancel[identifier]=i",
                "400 resource_missing cancel[identifier]: No such meter event: 'i'",
            ),
        ],
    )
    .await;
    let live = app.live().post(ADJUSTMENTS, &cancel("i")).await;
    assert_eq!(error(&live), "400 resource_missing cancel[identifier]: No such meter event: 'i'");
}

#[tokio::test]
async fn an_event_can_be_corrected_for_as_long_as_its_meter_says() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        app.advance_s(DAY + 1);
        let old = "400 - cancel[identifier]: A meter event can be canceled for 24 hours after it \
                   was received. 'i' was received at 2026-01-15T10:30:00.000Z.";
        assert_eq!(error(&app.post(ADJUSTMENTS, &cancel("i")).await), old);
        let path = format!("/v1/billing/meters/{meter}");
        app.made(&path, "adjustment_window_seconds=86401").await;
        app.made(ADJUSTMENTS, &cancel("i")).await;
        assert_eq!(usage(&app, &meter, &customer).await, 13);
        // What is done already is answered as it was, and a restore is a correction, too.
        app.advance_s(1);
        app.made(ADJUSTMENTS, &cancel("i")).await;
        let restored = app.post(&format!("{EVENTS}/i/restore"), "").await;
        assert!(
            error(&restored).contains("can be restored for 86401 seconds"),
            "{}",
            text(&restored)
        );
    }
}

#[tokio::test]
async fn an_identifier_of_several_customers_needs_the_customer() {
    for app in TestApp::everywhere().await {
        let (meter, one) = recorded(&app).await;
        let other = customer(&app).await;
        app.made(EVENTS, &format!("{}&identifier=i", event(&other, "101"))).await;
        let which =
            "Several customers have a meter event with identifier 'i'. Name the customer in";
        assert_eq!(
            error(&app.post(ADJUSTMENTS, &cancel("i")).await),
            format!("400 - cancel[customer]: {which} cancel[customer].")
        );
        let cancel_at = format!("{EVENTS}/i/cancel");
        assert_eq!(
            error(&app.post(&cancel_at, "").await),
            "400 - customer: Events of several customers have the identifier 'i'. Say whose you \
             mean, or use the event's id."
        );
        app.made(ADJUSTMENTS, &format!("{}&cancel[customer]={other}", cancel("i"))).await;
        assert_eq!(usage(&app, &meter, &one).await, 20);
        assert_eq!(usage(&app, &meter, &other).await, 0);
        app.made(&cancel_at, &format!("customer={one}")).await;
        assert_eq!(usage(&app, &meter, &one).await, 13);
    }
}

#[tokio::test]
async fn an_event_is_canceled_restored_and_amended_at_its_own_address() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        let at = |verb: &str| format!("{EVENTS}/i/{verb}");
        let canceled = app.made(&at("cancel"), "").await;
        assert_eq!((&canceled["id"], &canceled["identifier"]), (&json!("mevt_1"), &json!("i")));
        assert_eq!(canceled["status"], "canceled");
        assert_eq!(usage(&app, &meter, &customer).await, 13);
        assert_eq!(
            error(&app.post(&at("amend"), &format!("timestamp={}", START.0 - 60)).await),
            "400 - -: This meter event is canceled. Restore it before you amend it."
        );
        app.made(&at("restore"), "").await;
        app.made(&at("restore"), "").await;
        assert_eq!(usage(&app, &meter, &customer).await, 20);
        let payload = format!("payload[stripe_customer_id]={customer}&payload[value]=101.5");
        let amended = app.made(&at("amend"), &payload).await;
        assert_eq!((&amended["value"], &amended["status"]), (&json!("101.5"), &json!("counted")));
        assert_eq!(amended["timestamp"], START.0);
        assert_eq!(usage(&app, &meter, &customer).await, json!(114.5));
        // The first version is at the first place of the log, and stands for the event for ever.
        let moved = app
            .made(&format!("{EVENTS}/mevt_1/amend"), &format!("timestamp={}", START.0 - 5 * DAY))
            .await;
        assert_eq!(
            (&moved["identifier"], &moved["payload"]["value"]),
            (&json!("i"), &json!("101.5"))
        );
        assert_eq!(usage(&app, &meter, &customer).await, 13);
        app.made(&format!("{EVENTS}/mevt_1/cancel"), "").await;
        let app = app.restart().await;
        app.made(&at("restore"), "").await;
        app.made(&at("amend"), &format!("timestamp={}", START.0)).await;
        assert_eq!(usage(&app, &meter, &customer).await, json!(114.5));
        let actions: Vec<Value> = app.read(AUDIT).await["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["action"].clone())
            .collect();
        let expected =
            ["amend", "restore", "cancel", "amend", "amend", "restore", "cancel"].map(Value::from);
        assert_eq!(actions, expected);
    }
}

#[tokio::test]
async fn an_amended_event_is_checked_like_a_new_one() {
    let app = TestApp::start().await;
    let (meter, customer) = recorded(&app).await;
    let other = crate::support::customer(&app).await;
    let path = format!("{EVENTS}/i/amend");
    let who = format!("payload[stripe_customer_id]={customer}");
    let oldest = START.0 - 35 * DAY;
    refused(
        &app,
        &[
            (&path, "", "400 parameter_missing payload: Missing required param: payload."),
            (&path, &who, "400 - payload[value]: Value key value not found in payload."),
            (
                &path,
                &format!("{who}&payload[value]=x"),
                "400 - payload[value]: Invalid value in the event payload: 'x' is not a decimal \
                 number.",
            ),
            (
                &path,
                &format!("payload[stripe_customer_id]={other}&payload[value]=1"),
                &format!(
                    "400 - payload[stripe_customer_id]: Invalid payload: the customer of a meter \
                     event cannot change; it is {customer}."
                ),
            ),
            (
                &path,
                &format!("timestamp={}", oldest - 1),
                &format!(
                    "400 - timestamp: The event timestamp cannot be more than 35 days in past. \
                     Expected a timestamp greater than or equal to {oldest}."
                ),
            ),
            (
                &path,
                "identifier=j",
                "400 parameter_unknown identifier: Received unknown parameter: identifier",
            ),
            (
                &format!("{EVENTS}/x/amend"),
                "timestamp=1",
                "404 resource_missing id: No such meter event: 'x'",
            ),
            (
                &format!("{EVENTS}/mevt_99/cancel"),
                "",
                "404 resource_missing id: No such meter event: 'mevt_99'",
            ),
        ],
    )
    .await;
    assert_eq!(usage(&app, &meter, &customer).await, 20);
    assert_eq!(ids(&app.read(AUDIT).await).len(), 0);
    let elsewhere = app.live().post(&format!("{EVENTS}/mevt_1/cancel"), "").await;
    assert_eq!(error(&elsewhere), "404 resource_missing id: No such meter event: 'mevt_1'");
}

#[tokio::test]
async fn the_usage_of_a_deleted_customer_and_of_an_inactive_meter_can_be_corrected() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        assert_eq!(app.delete(&format!("/v1/customers/{customer}")).await.status, 200);
        app.made(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
        app.made(ADJUSTMENTS, &cancel("i")).await;
        let entry = &app.read(AUDIT).await["data"][0];
        assert_eq!(entry["customer"], customer.as_str());
    }
}

#[tokio::test]
async fn every_correction_has_its_entry_and_entries_are_found() {
    for app in TestApp::everywhere().await {
        let (meter, one) = recorded(&app).await;
        let other = customer(&app).await;
        app.made(EVENTS, &format!("{}&identifier=j", event(&other, "101"))).await;
        app.advance_s(60);
        let form = format!("{}&reason=Sent+by+mistake", cancel("i"));
        let response = app.post(ADJUSTMENTS, &form).await;
        app.made(&format!("{EVENTS}/j/cancel"), "").await;
        let entry = app.read(&format!("{AUDIT}?customer={one}")).await["data"][0].clone();
        let payload = json!({ "stripe_customer_id": one, "value": "7" });
        let state =
            |status: &str| json!({ "status": status, "timestamp": START.0, "payload": payload });
        let expected = json!({
            "id": entry["id"],
            "object": "billing.usage_audit_entry",
            "action": "cancel",
            "after": state("canceled"),
            "api_key": entry["api_key"],
            "backfill": null,
            "before": state("counted"),
            "created": START.0 + 60,
            "customer": one,
            "event": "mevt_1",
            "identifier": "i",
            "livemode": false,
            "meter": meter,
            "reason": "Sent by mistake",
            "request": response.header("request-id"),
        });
        assert_eq!(entry, expected);
        assert!(entry["api_key"].as_str().unwrap().starts_with("key_"));
        assert_eq!(app.read(&format!("{AUDIT}/{}", id(&entry))).await, entry);
        let found = async |query: String| ids(&app.read(&format!("{AUDIT}?{query}")).await).len();
        assert_eq!(found(format!("meter={meter}")).await, 2);
        assert_eq!(found("meter=mtr_x".into()).await, 0);
        assert_eq!(found("event=i".into()).await, 1);
        assert_eq!(found("event=mevt_3".into()).await, 1);
        assert_eq!(found(format!("event=mevt_3&customer={one}")).await, 0);
        assert_eq!(found("limit=1".into()).await, 1);
        let [foreign, _] = app.another_account("Other").await;
        assert_eq!(ids(&app.with_key(&foreign).read(AUDIT).await).len(), 0);
        assert_eq!(
            error(&app.get(&format!("{AUDIT}/uaud_x")).await),
            "404 resource_missing id: No such usage audit entry: 'uaud_x'"
        );
    }
}

/// The context of a request of the test key that is being answered.
async fn ctx(app: &TestApp, entry: &Value) -> Ctx {
    let caller = Caller {
        scope: taximeter_kernel::id::Scope {
            account: app.account().clone(),
            mode: taximeter_kernel::id::Mode::Test,
        },
        key: taximeter_kernel::id::Id::parse(entry["api_key"].as_str().unwrap()).unwrap(),
        version: taximeter_service::version::ApiVersion::newest(),
        request: taximeter_kernel::id::Id::parse("req_7").unwrap(),
        idempotency_key: None,
        by_time: false,
    };
    Ctx::begin(app.services(), caller, app.now()).await.unwrap()
}

#[tokio::test]
async fn a_request_that_was_cut_short_after_its_correction_is_answered_on_retry() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        let client = app.with_key(app.test_key());
        let key = [("idempotency-key", "k")];
        // The log has the cancel, but the transaction that tells of it is held up at its end.
        let mut held = app.services().db.begin().await.unwrap();
        let lock = "SELECT id FROM customers WHERE id = $1";
        let _row: Option<String> =
            held.optional_for_update(lock, vec![customer.as_str().into()]).await.unwrap();
        let form = cancel("i");
        let mut first = Box::pin(client.send("POST", ADJUSTMENTS, &key, &form));
        tokio::select! {
            biased;
            answer = &mut first => panic!("it did not wait: {}", text(&answer)),
            _ = app.get(AUDIT) => {}
        }
        held.rollback().await.unwrap();
        // Until the usage is gone: then its client goes, too.
        tokio::select! {
            biased;
            () = async { while usage(&app, &meter, &customer).await != 13 {} } => {}
            answer = &mut first => assert_eq!(answer.status, 200),
        }
        drop(first);
        let app = app.restart().await;
        let client = app.with_key(app.test_key());
        let again = client.send("POST", ADJUSTMENTS, &key, &form).await;
        assert_eq!(again.status, 200, "{}", text(&again));
        assert_eq!(again.json()["status"], "complete");
        assert_eq!(usage(&app, &meter, &customer).await, 13);
        assert_eq!(ids(&app.read(AUDIT).await).len(), 1);
        app.advance_s(KEPT_S);
        assert_eq!(ids(&app.read(AUDIT).await).len(), 1);
    }
}

#[tokio::test]
async fn what_a_crash_left_without_an_entry_gets_it_from_its_intent() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        app.made(ADJUSTMENTS, &cancel("i")).await;
        let entry = app.read(AUDIT).await["data"][0].clone();
        // As if the process had died between the log and the trail.
        let mut ctx = ctx(&app, &entry).await;
        let columns = "account, livemode, id, action, meter, customer, event_position, identifier, \
                       state_before, state_after, reason, api_key, request, created";
        assert_eq!(columns.split(", ").count(), 14);
        let copy = "INSERT INTO usage_audit_intents (account, livemode, id, action, meter, \
                    customer, event_position, identifier, state_before, state_after, reason, \
                    api_key, request, created) SELECT account, livemode, id, action, meter, \
                    customer, event_position, identifier, state_before, state_after, reason, \
                    api_key, request, created FROM usage_audit ORDER BY seq LIMIT 1";
        ctx.tx.execute(copy, Vec::new()).await.unwrap();
        ctx.tx.execute("DELETE FROM usage_audit", Vec::new()).await.unwrap();
        // And another intent, of a cancel that never came to the log.
        let never = "INSERT INTO usage_audit_intents (account, livemode, id, action, meter, \
                     customer, event_position, identifier, state_before, state_after, reason, \
                     api_key, request, created) SELECT account, livemode, 'uaud_never', action, \
                     meter, customer, 2, 'other', state_before, state_after, reason, api_key, \
                     request, created FROM usage_audit_intents ORDER BY id LIMIT 1";
        ctx.tx.execute(never, Vec::new()).await.unwrap();
        ctx.commit().await.unwrap();
        let settle = async || usage_audit::settle_all(app.services(), app.now()).await.unwrap();
        assert_eq!(settle().await, 0);
        app.advance_s(INTENT_KEPT_S);
        assert_eq!(settle().await, 1);
        assert_eq!(app.read(AUDIT).await["data"], json!([entry]));
        assert_eq!(settle().await, 0);
        let mut tx = app.services().db.begin_read().await.unwrap();
        let sql = "SELECT COUNT(*) AS n FROM usage_audit_intents";
        assert_eq!(tx.one::<i64>(sql, Vec::new()).await.unwrap(), 0);
        drop(tx);
        assert_eq!(usage(&app, &meter, &customer).await, 13);
    }
}

#[tokio::test]
async fn several_intents_of_one_correction_become_one_entry() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        app.made(ADJUSTMENTS, &cancel("i")).await;
        // As if three requests had come at once, one had canceled, and all had died.
        let mut tx = app.services().db.begin().await.unwrap();
        for name in ["uaud_a", "uaud_b", "uaud_c"] {
            let copy = "INSERT INTO usage_audit_intents (account, livemode, id, action, meter, \
                        customer, event_position, identifier, state_before, state_after, reason, \
                        api_key, request, created) SELECT account, livemode, $1, action, meter, \
                        customer, event_position, identifier, state_before, state_after, reason, \
                        api_key, request, created FROM usage_audit ORDER BY seq LIMIT 1";
            tx.execute(copy, vec![name.into()]).await.unwrap();
        }
        tx.execute("DELETE FROM usage_audit", Vec::new()).await.unwrap();
        tx.commit().await.unwrap();
        // The next request settles what it finds, and cancels nothing that is canceled.
        app.made(ADJUSTMENTS, &cancel("i")).await;
        assert_eq!(ids(&app.read(AUDIT).await).len(), 1);
        // A second cancel, after a restore, is another correction.
        app.made(&format!("{EVENTS}/i/restore"), "").await;
        app.made(ADJUSTMENTS, &cancel("i")).await;
        assert_eq!(ids(&app.read(AUDIT).await).len(), 3);
        app.advance_s(INTENT_KEPT_S);
        assert_eq!(usage_audit::settle_all(app.services(), app.now()).await.unwrap(), 0);
        assert_eq!(ids(&app.read(AUDIT).await).len(), 3);
        assert_eq!(usage(&app, &meter, &customer).await, 13);
    }
}

#[tokio::test]
async fn of_two_requests_at_once_one_corrects_and_one_entry_is_made() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = recorded(&app).await;
        let form = cancel("i");
        let (one, other, third) = tokio::join!(
            app.post(ADJUSTMENTS, &form),
            app.post(ADJUSTMENTS, &form),
            app.post(ADJUSTMENTS, &form)
        );
        for answer in [one, other, third] {
            assert_eq!(answer.status, 200, "{}", text(&answer));
        }
        assert_eq!(usage(&app, &meter, &customer).await, 13);
        assert_eq!(ids(&app.read(AUDIT).await).len(), 1);
    }
}

#[tokio::test]
async fn a_restricted_key_corrects_usage_only_when_it_may() {
    use taximeter_service::api_keys::KeyKind;
    let app = TestApp::start().await;
    recorded(&app).await;
    let reader = app.key(KeyKind::Restricted, "billing_meter_event_adjustment=read").await;
    let writer = app.key(KeyKind::Restricted, "billing_meter_event_adjustment=write").await;
    let (reader, writer) = (app.with_key(&reader), app.with_key(&writer));
    assert_eq!(reader.post(ADJUSTMENTS, &cancel("i")).await.status, 403);
    assert_eq!(reader.post(&format!("{EVENTS}/i/cancel"), "").await.status, 403);
    assert_eq!(writer.post(ADJUSTMENTS, &cancel("i")).await.status, 200);
    assert_eq!(ids(&reader.read(AUDIT).await).len(), 1);
}
