//! `GET /v1/billing/meter_events` and `GET /v1/billing/meter_events/{id}`

use serde_json::{Value, json};
use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::id::{Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::KeyKind;
use taximeter_testkit::{START, TestApp};
use taximeter_usage::{Action, Amendment, Correction};

use crate::meter_events::event;
use crate::support::{customer, error, id, ids, meter, unreadable};

const EVENTS: &str = "/v1/billing/meter_events";
const HOUR: i64 = START.0 - START.0 % 3_600;

/// Records an event under an identifier.
async fn record(app: &TestApp, name: &str, customer: &str, identifier: &str, more: &str) {
    let form = event(customer, "7").replacen("event_name=e", &format!("event_name={name}"), 1);
    app.made(EVENTS, &format!("{form}&identifier={identifier}{more}")).await;
}

async fn correct(app: &TestApp, name: &str, identifier: &str, action: Action) {
    let order = Correction {
        scope: Scope { account: app.account().clone(), mode: Mode::Test },
        event_name: name.to_owned(),
        identifier: identifier.to_owned(),
        customer: None,
        now: app.now(),
        window_s: None,
        action,
    };
    app.services().usage.correct(vec![order]).await.unwrap();
}

/// The identifiers of a list's events, in its order.
fn identifiers(list: &Value) -> Vec<String> {
    let events = list["data"].as_array().unwrap().iter();
    events.map(|event| event["identifier"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_event_is_read_back_with_all_that_it_says() {
    for app in TestApp::everywhere().await {
        let keys = "&dimension_payload_keys[]=region&dimension_payload_keys[]=model";
        let (meter, customer) = (meter(&app, "e", "sum", keys).await, customer(&app).await);
        let more = format!("&payload[model]=&payload[region]=eu&timestamp={}", HOUR + 13);
        record(&app, "e", &customer, "i/1 ä", &more.replace('ä', "%C3%A4")).await;
        let list = app.read(EVENTS).await;
        assert_eq!(list["url"], "/v1/billing/meter_events?limit=10");
        assert_eq!(list["has_more"], false);
        let event = &list["data"][0];
        assert!(id(event).starts_with("mevt_"));
        let expected = json!({
            "id": id(event),
            "object": "billing.meter_event",
            "backfill": null,
            "created": START.0,
            "customer": customer,
            "dimensions": { "region": "eu", "model": "" },
            "event_name": "e",
            "identifier": "i/1 ä",
            "livemode": false,
            "meter": meter,
            "payload": {
                "stripe_customer_id": customer, "value": "7", "model": "", "region": "eu",
            },
            "status": "counted",
            "timestamp": HOUR + 13,
            "value": "7",
        });
        assert_eq!(*event, expected);
        assert_eq!(app.read(&format!("{EVENTS}/{}", id(event))).await, expected);
        assert_eq!(app.read(&format!("{EVENTS}/i%2F1%20%C3%A4")).await, expected);
    }
}

#[tokio::test]
async fn the_value_is_what_was_counted() {
    let app = TestApp::start().await;
    let customer = customer(&app).await;
    for (formula, value) in [
        ("sum", json!("-0.50")),
        ("max", json!("-0.50")),
        ("count", Value::Null),
        ("unique_count", Value::Null),
    ] {
        let meter = meter(&app, formula, formula, "").await;
        let form = event(&customer, "-0.50");
        let form = form.replacen("event_name=e", &format!("event_name={formula}"), 1);
        app.made(EVENTS, &form).await;
        let read = app.read(&format!("{EVENTS}?meter={meter}")).await["data"][0].clone();
        // In its shortest form: what was sent is in the payload.
        let value = if value.is_null() { value } else { json!("-0.5") };
        assert_eq!(read["value"], value, "{formula}");
        assert_eq!(read["dimensions"], Value::Null);
        assert_eq!(read["payload"]["value"], "-0.50");
    }
}

#[tokio::test]
async fn events_are_listed_as_they_came_in_and_by_what_they_say() {
    for app in TestApp::everywhere().await {
        let first = meter(&app, "a", "sum", "").await;
        meter(&app, "b", "sum", "").await;
        let (ada, bob) = (customer(&app).await, customer(&app).await);
        record(&app, "a", &ada, "1", &format!("&timestamp={}", HOUR + 60)).await;
        record(&app, "b", &ada, "2", &format!("&timestamp={HOUR}")).await;
        record(&app, "a", &bob, "3", &format!("&timestamp={}", HOUR - 60)).await;
        // The name passes to another meter.
        app.made(&format!("/v1/billing/meters/{first}/deactivate"), "").await;
        let heir = meter(&app, "a", "sum", "").await;
        record(&app, "a", &ada, "4", &format!("&timestamp={}", HOUR + 120)).await;
        let of = async |query: &str| identifiers(&app.read(&format!("{EVENTS}?{query}")).await);
        assert_eq!(of("").await, ["4", "3", "2", "1"]);
        assert_eq!(of(&format!("customer={ada}")).await, ["4", "2", "1"]);
        assert_eq!(of(&format!("customer={bob}")).await, ["3"]);
        assert_eq!(of(&format!("meter={first}")).await, ["3", "1"]);
        assert_eq!(of(&format!("meter={heir}")).await, ["4"]);
        assert_eq!(of("event_name=a").await, ["4", "3", "1"]);
        assert_eq!(of("event_name=b").await, ["2"]);
        assert_eq!(of(&format!("event_name=a&meter={first}&customer={ada}")).await, ["1"]);
        for (range, expected) in [
            (format!("timestamp={HOUR}"), vec!["2"]),
            (format!("timestamp[gte]={HOUR}"), vec!["4", "2", "1"]),
            (format!("timestamp[gt]={HOUR}"), vec!["4", "1"]),
            (format!("timestamp[lte]={HOUR}"), vec!["3", "2"]),
            (format!("timestamp[lt]={HOUR}"), vec!["3"]),
            (format!("timestamp[gte]={HOUR}&timestamp[lt]={}", HOUR + 61), vec!["2", "1"]),
            (format!("timestamp[gt]={HOUR}&timestamp[lt]={HOUR}"), vec![]),
        ] {
            assert_eq!(of(&range).await, expected, "{range}");
            let bobs = of(&format!("{range}&event_name=a&customer={bob}")).await;
            assert_eq!(bobs.len(), usize::from(expected.contains(&"3")), "{range}");
        }
        // The address of a list holds all that it was asked, so that it can be asked for the rest.
        let query = format!("customer={ada}&event_name=a&limit=1&status=counted&timestamp[gt]=12");
        let list = app.read(&format!("{EVENTS}?{query}&timestamp[lte]={}", HOUR + 60)).await;
        assert_eq!(identifiers(&list), ["1"]);
        let url = list["url"].as_str().unwrap();
        let written = query.replace("[gt]=12", "%5Bgte%5D=13");
        assert_eq!(url, format!("{EVENTS}?{written}&timestamp%5Blte%5D={}", HOUR + 60));
        assert_eq!(app.read(url).await, list);
        let list = app.read(&format!("{EVENTS}?event_name=%C3%A4%26b%20c")).await;
        assert_eq!(list["url"], format!("{EVENTS}?event_name=%C3%A4%26b%20c&limit=10"));
        for nothing in [
            format!("event_name=b&meter={first}"),
            "event_name=c".to_owned(),
            "customer=cus_x".to_owned(),
            "customer=not%20an%20id".to_owned(),
            "meter=mtr_x".to_owned(),
            "meter=not%20an%20id".to_owned(),
        ] {
            assert_eq!(of(&nothing).await, [""; 0], "{nothing}");
        }
    }
}

#[tokio::test]
async fn canceled_and_amended_events_are_told_apart() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        for identifier in ["1", "2", "3", "4"] {
            record(&app, "e", &customer, identifier, "").await;
        }
        correct(&app, "e", "2", Action::Cancel).await;
        let amendment = Amendment {
            timestamp: Timestamp(HOUR),
            measure: Measure::Number(Decimal::from_int(13)),
            dimensions: Vec::new(),
            payload: vec![("value".to_owned(), "13".to_owned())],
        };
        correct(&app, "e", "3", Action::Amend(Box::new(amendment))).await;
        let of = async |query: &str| identifiers(&app.read(&format!("{EVENTS}?{query}")).await);
        assert_eq!(of("status=canceled").await, ["2"]);
        assert_eq!(of("status=amended").await, ["3"]);
        assert_eq!(of("status=counted").await, ["3", "4", "1"]);
        assert_eq!(of("").await, ["3", "4", "3", "2", "1"]);
        assert_eq!(of("status=counted&limit=2").await, ["3", "4"]);
        assert_eq!(app.read(&format!("{EVENTS}?status=counted&limit=2")).await["has_more"], true);
        // The identifier names the version that counts; the id of each version names that one.
        let now = app.read(&format!("{EVENTS}/3")).await;
        assert_eq!((&now["value"], &now["status"]), (&json!("13"), &json!("counted")));
        let before = app.read(&format!("{EVENTS}?status=amended")).await["data"][0].clone();
        assert_eq!((&before["value"], &before["status"]), (&json!("7"), &json!("amended")));
        assert_eq!(app.read(&format!("{EVENTS}/{}", id(&before))).await, before);
        assert_eq!(app.read(&format!("{EVENTS}/2")).await["status"], "canceled");
    }
}

#[tokio::test]
async fn pages_of_events_neither_repeat_nor_skip_in_either_direction() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        meter(&app, "noise", "sum", "").await;
        let customer = customer(&app).await;
        for n in 0..7 {
            record(&app, "e", &customer, &n.to_string(), "").await;
            record(&app, "noise", &customer, &format!("n{n}"), "").await;
        }
        let events = format!("{EVENTS}?event_name=e");
        let all = ids(&app.read(&events).await);
        assert_eq!(all.len(), 7);
        for limit in [1, 3, 7] {
            let mut seen: Vec<String> = Vec::new();
            loop {
                let after = seen.last().map(|id| format!("&starting_after={id}"));
                let after = after.unwrap_or_default();
                let page = app.read(&format!("{events}&limit={limit}{after}")).await;
                seen.extend(ids(&page));
                if page["has_more"] == false {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit}");
            let mut seen: Vec<String> = vec![all[6].clone()];
            loop {
                let path = format!("{events}&limit={limit}&ending_before={}", seen[0]);
                let page = app.read(&path).await;
                seen.splice(0..0, ids(&page));
                if page["has_more"] == false {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit}");
        }
        // An event that comes in meanwhile moves nothing.
        record(&app, "e", &customer, "late", "").await;
        let after = app.read(&format!("{events}&limit=2&starting_after={}", all[0])).await;
        assert_eq!(ids(&after), all[1..3]);
    }
}

#[tokio::test]
async fn an_identifier_of_several_customers_needs_the_customer() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let (ada, bob) = (customer(&app).await, customer(&app).await);
        record(&app, "e", &ada, "same", "").await;
        record(&app, "e", &bob, "same", "").await;
        let ambiguous = "400 - customer: Events of several customers have the identifier 'same'. Say \
                         whose you mean, or use the event's id.";
        unreadable(&app, &[("/v1/billing/meter_events/same", ambiguous)]).await;
        for customer in [&ada, &bob] {
            let event = app.read(&format!("{EVENTS}/same?customer={customer}")).await;
            assert_eq!(event["customer"], **customer);
            let by_id = format!("{EVENTS}/{}", id(&event));
            assert_eq!(app.read(&format!("{by_id}?customer={customer}")).await, event);
            let other = if *customer == ada { &bob } else { &ada };
            let missing = format!("404 resource_missing id: No such meter event: '{}'", id(&event));
            assert_eq!(error(&app.get(&format!("{by_id}?customer={other}")).await), missing);
        }
    }
}

#[tokio::test]
async fn what_is_not_there_cannot_be_read() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    record(&app, "e", &customer, "mevt_2", "").await;
    let missing = |id: &str| format!("404 resource_missing id: No such meter event: '{id}'");
    let long = "x".repeat(300);
    for id in ["mevt_2", "mevt_0", "mevt_18446744073709551616", "nothing", &long] {
        let path = format!("{EVENTS}/{id}");
        if id == "mevt_2" {
            // No second event is there, but one that is called so.
            assert_eq!(app.read(&path).await["identifier"], id);
        } else {
            assert_eq!(error(&app.get(&path).await), missing(id));
        }
    }
    let no_cursor = |param: &str, id: &str| {
        format!("400 resource_missing {param}: No such meter event: '{id}'")
    };
    for (query, expected) in [
        ("starting_after=mevt_2", no_cursor("starting_after", "mevt_2")),
        ("ending_before=mevt_x", no_cursor("ending_before", "mevt_x")),
        ("starting_after=nothing", no_cursor("starting_after", "nothing")),
        (
            "starting_after=mevt_1&ending_before=mevt_1",
            "400 parameters_exclusive starting_after: You may only specify one of these parameters: \
             starting_after, ending_before."
                .to_owned(),
        ),
        (
            "status=pending",
            "400 - status: Invalid status: must be one of counted, canceled, or amended".to_owned(),
        ),
        (
            "identifier=x",
            "400 parameter_unknown identifier: Received unknown parameter: identifier".to_owned(),
        ),
        (
            "timestamp[after]=7",
            "400 parameter_unknown timestamp[after]: Received unknown parameter: timestamp[after]"
                .to_owned(),
        ),
    ] {
        assert_eq!(error(&app.get(&format!("{EVENTS}?{query}")).await), expected, "{query}");
    }
    assert_eq!(
        error(&app.get(&format!("{EVENTS}/mevt_1?customer=cus_x")).await),
        "400 resource_missing customer: No such customer: 'cus_x'"
    );
}

#[tokio::test]
async fn neither_the_other_mode_nor_another_account_sees_an_event() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        record(&app, "e", &customer, "mine", "").await;
        let event = app.read(&format!("{EVENTS}/mine")).await;
        let [strange, strange_live] = app.another_account("Other").await;
        for client in [app.live(), app.with_key(&strange), app.with_key(&strange_live)] {
            for name in ["mine", id(&event)] {
                assert_eq!(client.get(&format!("{EVENTS}/{name}")).await.status, 404);
            }
            assert_eq!(client.read(EVENTS).await["data"], json!([]));
            let after = format!("{EVENTS}?ending_before={}", id(&event));
            assert_eq!(client.read(&after).await["data"], json!([]));
        }
    }
}

#[tokio::test]
async fn a_restricted_key_reads_events_when_it_may() {
    let app = TestApp::start().await;
    meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    record(&app, "e", &customer, "i", "").await;
    let span = format!("customer={customer}&starts_at={HOUR}&ends_at={}", HOUR + 60);
    let usage = format!("/v1/billing/analytics/meter_usage?{span}");
    for (permissions, events, of_meters) in [
        ("billing_meter_event=read", 200, 403),
        ("billing_meter_event=write", 200, 403),
        ("billing_meter=read", 403, 200),
        ("customer=write", 403, 403),
    ] {
        let key = app.key(KeyKind::Restricted, permissions).await;
        let client = app.with_key(&key);
        for path in [EVENTS.to_owned(), format!("{EVENTS}/i")] {
            assert_eq!(client.get(&path).await.status, events, "{permissions} {path}");
        }
        assert_eq!(client.get(&usage).await.status, of_meters, "{permissions}");
    }
}
