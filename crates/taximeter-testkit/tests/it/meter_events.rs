//! `/v1/billing/meter_events`, the summaries of a meter, and `/v2/billing/meter_events`.

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use crate::support::{customer, error, meter, refused, total};

const EVENTS: &str = "/v1/billing/meter_events";
/// 2026-01-15T10:00:00Z: the hour in which every test begins.
const HOUR: i64 = START.0 - START.0 % 3_600;

/// The form of an event of a customer.
pub(crate) fn event(customer: &str, value: &str) -> String {
    format!("event_name=e&payload[stripe_customer_id]={customer}&payload[value]={value}")
}

#[tokio::test]
async fn an_event_is_answered_as_it_was_counted() {
    for app in TestApp::everywhere().await {
        meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        let form = format!("{}&identifier=i&timestamp={}", event(&customer, "7"), HOUR + 13);
        let answer = app.made(EVENTS, &format!("{form}&payload[region]=eu&payload[note]=")).await;
        let expected = json!({
            "object": "billing.meter_event",
            "created": START.0,
            "event_name": "e",
            "identifier": "i",
            "livemode": false,
            "payload": {
                "stripe_customer_id": customer, "value": "7", "region": "eu", "note": "",
            },
            "timestamp": HOUR + 13,
        });
        assert_eq!(answer, expected);
        let bare = app.made(EVENTS, &event(&customer, "7")).await;
        assert_eq!(bare["timestamp"], START.0);
        assert_eq!(bare["identifier"].as_str().unwrap().len(), 36);
    }
}

#[tokio::test]
async fn every_event_is_in_the_next_read() {
    for app in TestApp::everywhere().await {
        for (formula, totals) in
            [("sum", [json!(7), json!(20), json!(13.5)]), ("count", [json!(1), json!(2), json!(3)])]
        {
            let meter = meter(&app, "e", formula, "").await;
            let customer = customer(&app).await;
            assert_eq!(total(&app, &meter, &customer).await, 0);
            for (value, expected) in ["7", "13", "-6.5"].iter().zip(totals) {
                app.made(EVENTS, &event(&customer, value)).await;
                assert_eq!(total(&app, &meter, &customer).await, expected, "{formula}");
            }
            app.made(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
        }
    }
}

#[tokio::test]
async fn last_is_the_value_of_the_greatest_timestamp_then_of_the_latest_arrival() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "last", "").await;
    let customer = customer(&app).await;
    for (value, at, expected) in [("7", 10, 7), ("13", 5, 7), ("11", 10, 11), ("3", 20, 3)] {
        app.made(EVENTS, &format!("{}&timestamp={}", event(&customer, value), HOUR + at)).await;
        assert_eq!(total(&app, &meter, &customer).await, expected);
    }
}

#[tokio::test]
async fn of_a_window_only_the_event_received_last_counts() {
    let app = TestApp::start().await;
    for (window, second_hour) in [("hour", 13 + 5), ("day", 5)] {
        let more = format!("&event_time_window={window}");
        let meter = meter(&app, "e", "sum", &more).await;
        let customer = customer(&app).await;
        let send = async |value: &str, at: i64| {
            app.made(EVENTS, &format!("{}&timestamp={}", event(&customer, value), HOUR + at)).await;
            total(&app, &meter, &customer).await
        };
        assert_eq!(send("7", 60).await, 7);
        // An earlier timestamp in the same window, received later, replaces it.
        assert_eq!(send("13", 30).await, 13);
        assert_eq!(send("5", -30).await, second_hour);
        app.made(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
    }
}

#[tokio::test]
async fn decimals_and_negatives_of_fifteen_digits_are_counted_exactly() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    for (values, expected) in [
        (&["0.1", "0.2"][..], "0.3"),
        (&["123456789012345", "0.00000000000123"], "123456789012345.00000000000123"),
        (&["999999999999999", "1"], "1000000000000000"),
        (&["-7", "2.5"], "-4.5"),
        (&["0.1000", "00.9"], "1"),
    ] {
        let customer = customer(&app).await;
        for value in values {
            app.made(EVENTS, &event(&customer, value)).await;
        }
        assert_eq!(total(&app, &meter, &customer).await.to_string(), expected);
    }
}

#[tokio::test]
async fn what_is_no_event_is_refused_in_the_words_clients_look_for() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    let who = format!("event_name=e&payload[stripe_customer_id]={customer}");
    let digits = |value: &str| {
        format!(
            "400 - payload[value]: The value in the event payload can have at most 15 digits. \
             Received {value}."
        )
    };
    let invalid = |value: &str, why: &str| {
        format!("400 - payload[value]: Invalid value in the event payload: '{value}' {why}.")
    };
    let no_decimal = |value: &str| invalid(value, "is not a decimal number");
    let cases = [
        ("".into(), "400 parameter_missing event_name: Missing required param: event_name.".into()),
        (
            "event_name=e".into(),
            "400 parameter_missing payload: Missing required param: payload.".into(),
        ),
        ("event_name=e&payload=x".into(), "400 - payload: Invalid object".into()),
        (
            "event_name=x&payload[value]=1".into(),
            "400 - event_name: No active meter found for event name: x.".into(),
        ),
        (
            "event_name=e&payload[value]=1".into(),
            "400 - payload[stripe_customer_id]: Customer mapping key stripe_customer_id not found \
             in payload."
                .into(),
        ),
        (who.clone(), "400 - payload[value]: Value key value not found in payload.".to_owned()),
        (
            format!("{who}&payload[value]=1&payload[a][b]=c"),
            "400 - payload[a]: Invalid string".to_owned(),
        ),
        (
            format!("{who}&payload[value]=1&value=2"),
            "400 parameter_unknown value: Received unknown parameter: value".to_owned(),
        ),
        (
            format!("{who}&payload[value]=1&expand[]=customer"),
            "400 - -: This property cannot be expanded because it doesn't exist: customer."
                .to_owned(),
        ),
        (format!("{who}&payload[value]="), no_decimal("")),
        (format!("{who}&payload[value]=abc"), no_decimal("abc")),
        (format!("{who}&payload[value]=1e3"), no_decimal("1e3")),
        (format!("{who}&payload[value]=NaN"), no_decimal("NaN")),
        (format!("{who}&payload[value]=1,000"), no_decimal("1,000")),
        (format!("{who}&payload[value]=%2B1"), no_decimal("+1")),
        (format!("{who}&payload[value]=1234567890123456"), digits("1234567890123456")),
        (format!("{who}&payload[value]=-1.234567890123456"), digits("-1.234567890123456")),
        (
            format!("{who}&payload[value]=0.0000000000000000007"),
            invalid("0.0000000000000000007", "has more than 18 digits after the decimal point"),
        ),
    ];
    for (form, expected) in &cases {
        assert_eq!(error(&app.post(EVENTS, form).await), *expected, "{form}");
    }
    assert_eq!(total(&app, &meter, &customer).await, 0);
}

#[tokio::test]
async fn a_count_needs_no_value_but_one_that_is_there_is_a_number() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "count", "").await;
    let customer = customer(&app).await;
    let who = format!("event_name=e&payload[stripe_customer_id]={customer}");
    app.made(EVENTS, &who).await;
    app.made(EVENTS, &format!("{who}&payload[value]=-7")).await;
    assert_eq!(app.post(EVENTS, &format!("{who}&payload[value]=x")).await.status, 400);
    assert_eq!(total(&app, &meter, &customer).await, 2);
}

#[tokio::test]
async fn a_meter_says_under_which_keys_its_events_hold_what() {
    let app = TestApp::start().await;
    let more = "&customer_mapping[event_payload_key]=who&customer_mapping[type]=by_id\
                &value_settings[event_payload_key]=tokens";
    let meter = meter(&app, "e", "sum", more).await;
    let customer = customer(&app).await;
    let form = format!("event_name=e&payload[who]={customer}&payload[tokens]=7&payload[value]=100");
    app.made(EVENTS, &form).await;
    assert_eq!(total(&app, &meter, &customer).await, 7);
    let missing = "400 - payload[who]: Customer mapping key who not found in payload.";
    assert_eq!(error(&app.post(EVENTS, &event(&customer, "1")).await), missing);
}

#[tokio::test]
async fn an_event_is_35_days_old_or_5_minutes_ahead_at_most() {
    let app = TestApp::start().await;
    let meter = meter(&app, "e", "sum", "").await;
    let customer = customer(&app).await;
    let at = |offset: i64| format!("{}&timestamp={}", event(&customer, "1"), START.0 + offset);
    app.made(EVENTS, &at(-35 * 86_400)).await;
    app.made(EVENTS, &at(300)).await;
    let oldest = START.0 - 35 * 86_400;
    let past = format!(
        "400 - timestamp: The event timestamp cannot be more than 35 days in past. Expected a \
         timestamp greater than or equal to {oldest}."
    );
    assert_eq!(error(&app.post(EVENTS, &at(-35 * 86_400 - 1)).await), past);
    let ahead = format!(
        "400 - timestamp: The event timestamp cannot be more than 5 minutes in the future. Expected \
         a timestamp less than or equal to {}.",
        START.0 + 300
    );
    assert_eq!(error(&app.post(EVENTS, &at(301)).await), ahead);
    refused(
        &app,
        &[(
            EVENTS,
            &format!("{}&timestamp=2026-01-15", event(&customer, "1")),
            "400 parameter_invalid_integer timestamp: Invalid integer: 2026-01-15",
        )],
    )
    .await;
    assert_eq!(total(&app, &meter, &customer).await, 2);
}

#[tokio::test]
async fn an_identifier_names_one_event_of_a_customer_in_a_mode() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let (one, other) = (customer(&app).await, customer(&app).await);
        let named = |customer: &str| format!("{}&identifier=i", event(customer, "7"));
        app.made(EVENTS, &named(&one)).await;
        let twice = "400 - -: An event already exists with identifier i.";
        assert_eq!(error(&app.post(EVENTS, &named(&one)).await), twice);
        app.made(EVENTS, &named(&other)).await;
        let form = "display_name=M&event_name=e&default_aggregation[formula]=sum";
        app.live().made("/v1/billing/meters", form).await;
        let live = app.live().made("/v1/customers", "").await;
        app.live().made(EVENTS, &named(live["id"].as_str().unwrap())).await;
        // A day is the least that Stripe promises; here an identifier stays taken.
        app.advance_s(25 * 3_600);
        assert_eq!(error(&app.post(EVENTS, &named(&one)).await), twice);
        assert_eq!(total(&app, &meter, &one).await, 7);
        assert_eq!(total(&app, &meter, &other).await, 7);
    }
}

#[tokio::test]
async fn what_changes_in_the_catalog_counts_for_the_next_event() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let none = "400 - event_name: No active meter found for event name: e.";
        assert_eq!(error(&app.post(EVENTS, &event(&customer, "7")).await), none);
        let first = meter(&app, "e", "sum", "").await;
        app.made(EVENTS, &event(&customer, "7")).await;
        app.made(&format!("/v1/billing/meters/{first}/deactivate"), "").await;
        assert_eq!(error(&app.post(EVENTS, &event(&customer, "7")).await), none);
        let second = meter(&app, "e", "sum", "").await;
        app.made(EVENTS, &event(&customer, "13")).await;
        assert_eq!(total(&app, &first, &customer).await, 7);
        assert_eq!(total(&app, &second, &customer).await, 13);
        // A customer's usage stays when it is deleted, and no more is taken.
        assert_eq!(app.delete(&format!("/v1/customers/{customer}")).await.status, 200);
        app.made(EVENTS, &event(&customer, "101")).await;
        let kept = app.read("/v1/billing/meter_event_errors").await;
        assert_eq!(kept["data"][0]["message"], format!("No such customer: '{customer}'"));
    }
}

#[tokio::test]
async fn usage_counts_before_there_is_a_subscription_and_after_a_restart() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let customer = customer(&app).await;
        app.made(EVENTS, &format!("{}&identifier=i", event(&customer, "7.25"))).await;
        let app = app.restart().await;
        assert_eq!(total(&app, &meter, &customer).await, json!(7.25));
        let twice = "400 - -: An event already exists with identifier i.";
        let again = app.post(EVENTS, &format!("{}&identifier=i", event(&customer, "7.25"))).await;
        assert_eq!(error(&again), twice);
    }
}
