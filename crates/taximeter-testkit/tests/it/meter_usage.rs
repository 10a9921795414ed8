//! `/v1/billing/analytics/meter_usage`

use serde_json::{Value, json};
use taximeter_kernel::aggregate::{
    Aggregation, Formula, Measure, PERCENTILE_EXACT_MAX, Percentile,
};
use taximeter_kernel::id::{Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};
use taximeter_usage::{BATCH_EVENTS_MAX, Batch, NewEvent};

use crate::meter_events::event;
use crate::support::{customer, error, meter};

const USAGE: &str = "/v1/billing/analytics/meter_usage";
const HOUR: i64 = START.0 - START.0 % 3_600;

/// The second of an instant.
fn at(text: &str) -> i64 {
    Timestamp::from_rfc3339(text).unwrap().0
}

/// Records an event of the name, with further payload.
async fn record(app: &TestApp, name: &str, customer: &str, at: i64, value: &str, more: &str) {
    let form = event(customer, value).replacen("event_name=e", &format!("event_name={name}"), 1);
    app.made("/v1/billing/meter_events", &format!("{form}&timestamp={at}{more}")).await;
}

/// Start and end of a row, its meter, and its value.
fn rows(usage: &Value) -> Vec<(i64, i64, Option<String>, String)> {
    let row = |row: &Value| {
        let at = |name: &str| row[name].as_i64().unwrap();
        let meter = row["meter"].as_str().map(str::to_owned);
        (at("starts_at"), at("ends_at"), meter, row["value"].to_string())
    };
    usage["rows"]["data"].as_array().unwrap().iter().map(row).collect()
}

/// The lengths of the rows' buckets in hours, and their values.
fn hours(usage: &Value) -> Vec<(i64, String)> {
    rows(usage).into_iter().map(|(start, end, _, value)| ((end - start) / 3_600, value)).collect()
}

#[tokio::test]
async fn the_usage_of_a_meter_is_one_row_without_buckets() {
    for app in TestApp::everywhere().await {
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        record(&app, "e", &customer, HOUR, "7", "").await;
        record(&app, "e", &customer, HOUR + 60, "0.5", "").await;
        let query = format!("customer={customer}&starts_at={HOUR}&meters[0][meter]={meter}");
        let usage = app.read(&format!("{USAGE}?{query}&ends_at={}", HOUR + 60)).await;
        let id = usage["rows"]["data"][0]["id"].clone();
        assert!(id.as_str().unwrap().starts_with("mtrusgrow_"));
        assert_eq!(
            usage,
            json!({
                "object": "billing.analytics.meter_usage",
                "livemode": false,
                "refreshed_at": app.now().0,
                "rows": {
                    "object": "list",
                    "data": [{
                        "id": id,
                        "object": "billing.analytics.meter_usage_row",
                        "dimensions": null,
                        "ends_at": HOUR + 60,
                        "meter": meter,
                        "starts_at": HOUR,
                        "value": 7,
                    }],
                    "has_more": false,
                    "url": USAGE,
                },
            })
        );
        // Even of nothing, and named alike in every read.
        let nothing = app.read(&format!("{USAGE}?{query}&ends_at={}", HOUR + 60)).await;
        assert_eq!(nothing, usage);
        let later = format!("{USAGE}?{query}&ends_at={}", HOUR + 120)
            .replace(&format!("starts_at={HOUR}"), &format!("starts_at={}", HOUR + 60));
        assert_eq!(rows(&app.read(&later).await)[0].3, "0.5");
    }
}

#[tokio::test]
async fn all_meters_are_added_up_when_none_is_named() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let span = format!("{USAGE}?customer={customer}&starts_at={HOUR}&ends_at={}", HOUR + 7_200);
        assert_eq!(rows(&app.read(&span).await), [(HOUR, HOUR + 7_200, None, "0".into())]);
        for (name, formula) in [("a", "sum"), ("b", "count"), ("stopped", "max")] {
            meter(&app, name, formula, "").await;
        }
        app.advance_s(3_600);
        record(&app, "a", &customer, HOUR, "7", "").await;
        record(&app, "a", &customer, HOUR + 3_600, "-0.25", "").await;
        record(&app, "b", &customer, HOUR, "100", "").await;
        record(&app, "stopped", &customer, HOUR, "13", "").await;
        let meters = app.read("/v1/billing/meters").await;
        let stopped = meters["data"][0]["id"].as_str().unwrap();
        app.made(&format!("/v1/billing/meters/{stopped}/deactivate"), "").await;
        // 7 and -0.25, 1 event, 13.
        assert_eq!(rows(&app.read(&span).await), [(HOUR, HOUR + 7_200, None, "20.75".into())]);
        let hourly = app.read(&format!("{span}&value_grouping_window=hour")).await;
        assert_eq!(
            rows(&hourly),
            [
                (HOUR, HOUR + 3_600, None, "21".into()),
                (HOUR + 3_600, HOUR + 7_200, None, "-0.25".into()),
            ]
        );
    }
}

#[tokio::test]
async fn each_meter_has_its_own_filters_and_groups() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let keys = "&dimension_payload_keys[]=region";
        let (a, b) = (meter(&app, "a", "sum", keys).await, meter(&app, "b", "max", keys).await);
        for (name, offset, value, region) in [
            ("a", 0, "7", "eu"),
            ("a", 1, "13", "us"),
            ("a", 3_600, "5", "us"),
            ("b", 0, "101", "eu"),
            ("b", 1, "0.5", "us"),
        ] {
            app.advance_s(3_600);
            let more = format!("&payload[region]={region}");
            record(&app, name, &customer, HOUR + offset, value, &more).await;
        }
        let query = format!(
            "{USAGE}?customer={customer}&starts_at={HOUR}&ends_at={}&value_grouping_window=hour\
             &meters[0][meter]={b}&meters[0][dimension_filters][region][0]=us\
             &meters[1][meter]={a}&meters[1][dimension_group_by_keys][0]=region",
            HOUR + 7_200
        );
        let usage = app.read(&query).await;
        let told: Vec<_> = usage["rows"]["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                (row["meter"] == json!(a), row["dimensions"].to_string(), row["value"].to_string())
            })
            .collect();
        let row = |of_a: bool, dimensions: &str, value: &str| {
            (of_a, dimensions.to_owned(), value.to_owned())
        };
        // By time, then in the order asked for, then by the values.
        assert_eq!(
            told,
            [
                row(false, "null", "0.5"),
                row(true, r#"{"region":"eu"}"#, "7"),
                row(true, r#"{"region":"us"}"#, "13"),
                row(true, r#"{"region":"us"}"#, "5"),
            ]
        );
        let ids: std::collections::BTreeSet<_> = usage["rows"]["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 4);
    }
}

#[tokio::test]
async fn days_and_months_are_those_of_the_zone() {
    for app in TestApp::everywhere().await {
        // 2026-04-01T00:00 in Berlin, where the clocks were put forward on March 29.
        app.advance_s(at("2026-03-31T22:00:00Z") - START.0);
        let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
        for (when, value) in [
            ("2026-02-28T22:59:59Z", "1000"),
            ("2026-02-28T23:00:00Z", "7"),
            ("2026-03-28T22:59:59Z", "13"),
            ("2026-03-28T23:00:00Z", "101"),
            ("2026-03-29T21:59:59Z", "0.5"),
            ("2026-03-29T22:00:00Z", "3"),
            ("2026-03-31T21:59:59Z", "5"),
            ("2026-03-31T22:00:00Z", "2000"),
        ] {
            record(&app, "e", &customer, at(when), value, "").await;
        }
        let of = async |start: &str, end: &str, more: &str| {
            let query = format!(
                "{USAGE}?customer={customer}&meters[0][meter]={meter}&starts_at={}&ends_at={}{more}",
                at(start),
                at(end)
            );
            hours(&app.read(&query).await)
        };
        let berlin = "&timezone=Europe/Berlin&value_grouping_window=";
        // March has an hour less.
        let march = ("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
        assert_eq!(
            of(march.0, march.1, &format!("{berlin}month")).await,
            [(31 * 24 - 1, "129.5".to_owned())]
        );
        assert_eq!(
            of("2026-03-28T23:00:00Z", "2026-03-30T22:00:00Z", &format!("{berlin}day")).await,
            [(23, "101.5".to_owned()), (24, "3".to_owned())]
        );
        // In UTC the same span is cut elsewhere, and its ends are parts of months.
        assert_eq!(
            of(march.0, march.1, "&value_grouping_window=month").await,
            [(1, "7".to_owned()), (31 * 24 - 2, "122.5".to_owned())]
        );
        // From a Saturday's last hour: what is left of its week, then weeks from Monday on.
        assert_eq!(
            of(march.0, march.1, &format!("{berlin}week")).await,
            [(24, "7".to_owned()), (6 * 24 + 23, "114.5".to_owned()), (48, "8".to_owned()),]
        );
        // Half past here is the full hour there.
        let india = "&timezone=Asia/Kolkata&value_grouping_window=hour";
        let start = at("2026-03-28T22:00:00Z");
        let query = format!(
            "{USAGE}?customer={customer}&meters[0][meter]={meter}&starts_at={start}&ends_at={}{india}",
            start + 7_200
        );
        let cut: Vec<_> = rows(&app.read(&query).await)
            .into_iter()
            .map(|(from, to, _, value)| ((from - start) / 60, (to - start) / 60, value))
            .collect();
        assert_eq!(cut, [(30, 90, "114".to_owned())]);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let app = TestApp::start().await;
    let (meter, customer) = (meter(&app, "e", "sum", "").await, customer(&app).await);
    let of = format!("{USAGE}?customer={customer}");
    let span = format!("{of}&starts_at={HOUR}&ends_at={}", HOUR + 60);
    let many: String = (0..101).map(|n| format!("&meters[{n}][meter]={meter}")).collect();
    for (query, expected) in [
        (USAGE.to_owned(), "400 parameter_missing customer: Missing required param: customer."),
        (of.clone(), "400 parameter_missing starts_at: Missing required param: starts_at."),
        (
            span.replace(&customer, "cus_x"),
            "400 resource_missing customer: No such customer: 'cus_x'",
        ),
        (
            format!("{of}&starts_at=61&ends_at=120"),
            "400 - starts_at: Invalid starts_at: 61 must be aligned with minute boundaries.",
        ),
        (
            format!("{of}&starts_at=60&ends_at=121"),
            "400 - ends_at: Invalid ends_at: 121 must be aligned with minute boundaries.",
        ),
        (
            format!("{of}&starts_at=60&ends_at=60"),
            "400 - ends_at: Invalid ends_at: must be after starts_at.",
        ),
        (
            format!("{span}&timezone=Mars/Olympus"),
            "400 - timezone: Invalid timezone: 'Mars/Olympus' is not a name of the IANA's time zone \
             database, such as America/New_York.",
        ),
        (
            format!("{span}&value_grouping_window=year"),
            "400 - value_grouping_window: Invalid value_grouping_window: must be one of day, hour, \
             month, or week",
        ),
        (
            format!("{of}&starts_at=0&ends_at=36003600&value_grouping_window=hour"),
            "400 - ends_at: Invalid ends_at: a span can have at most 10000 of value_grouping_window.",
        ),
        (
            format!("{span}&meters[0][meter]=mtr_x"),
            "400 resource_missing meters[0][meter]: No such billing meter: 'mtr_x'",
        ),
        (
            format!("{span}&meters[0][dimension_filters][a]=b"),
            "400 parameter_missing meters[0][meter]: Missing required param: meters[0][meter].",
        ),
        (
            format!("{span}&meters[0][meter]={meter}&meters[0][dimension_filters][a]=b"),
            "400 - meters[0][dimension_filters][a]: Invalid meters[0][dimension_filters][a]: 'a' is \
             no dimension of the meter, which has none.",
        ),
        (
            format!("{span}&meters[0][meter]={meter}&meters[0][dimension_group_by_keys][0]=a"),
            "400 - meters[0][dimension_group_by_keys][0]: Invalid \
             meters[0][dimension_group_by_keys][0]: 'a' is no dimension of the meter, which has none.",
        ),
        (
            format!("{span}&meters[0][meter]={meter}&meters[0][tenant_filters][a]=b"),
            "400 parameter_unknown meters[0][tenant_filters]: Received unknown parameter: \
             meters[0][tenant_filters]",
        ),
        (format!("{span}{many}"), "400 - meters: Invalid array: 1 to 100 meters are accepted"),
    ] {
        assert_eq!(error(&app.get(&query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn an_answer_has_a_bounded_number_of_rows() {
    let app = TestApp::start().await;
    let keys = "&dimension_payload_keys[]=who";
    let (meter, customer) = (meter(&app, "e", "weighted_sum", keys).await, customer(&app).await);
    // A level is carried into every hour after: 13 groups in 800 hours are 10,400 rows.
    for who in 0..13 {
        let more = format!("&payload[who]={who}");
        record(&app, "e", &customer, HOUR - 800 * 3_600, "7", &more).await;
    }
    let query = |hours: i64| {
        format!(
            "{USAGE}?customer={customer}&starts_at={}&ends_at={HOUR}&value_grouping_window=hour\
             &meters[0][meter]={meter}&meters[0][dimension_group_by_keys][0]=who",
            HOUR - hours * 3_600
        )
    };
    assert_eq!(
        error(&app.get(&query(800)).await),
        "400 - -: There are more than 10000 rows. Ask for a shorter span, a longer \
         value_grouping_window, or fewer dimensions."
    );
    let usage = app.read(&query(13)).await;
    assert_eq!(rows(&usage).len(), 13 * 13);
    assert!(rows(&usage).iter().all(|row| row.3 == "7"));
}

#[tokio::test]
async fn the_other_mode_has_its_own_usage() {
    let app = TestApp::start().await;
    let customer = customer(&app).await;
    meter(&app, "e", "sum", "").await;
    record(&app, "e", &customer, HOUR, "7", "").await;
    let query = format!("{USAGE}?customer={customer}&starts_at={HOUR}&ends_at={}", HOUR + 60);
    assert_eq!(rows(&app.read(&query).await)[0].3, "7");
    assert_eq!(app.live().get(&query).await.status, 400);
}

/// Records so many values from 0 to 200, of which the middle one is 100.
async fn record_values(app: &TestApp, meter: &str, customer: &str, values: usize) {
    let (meter, customer) = (Id::parse(meter).unwrap(), Id::parse(customer).unwrap());
    let scope = Scope { account: app.account().clone(), mode: Mode::Test };
    let percentile = Percentile::parse("50").unwrap();
    let aggregation = Aggregation { formula: Formula::Percentile(percentile), window: None };
    let numbers: Vec<usize> = (0..values).collect();
    for numbers in numbers.chunks(BATCH_EVENTS_MAX) {
        let mut batch = Batch::new(scope.clone(), app.now());
        for number in numbers {
            let value = (number % 201).to_string();
            let event = NewEvent {
                meter: &meter,
                aggregation,
                event_name: "p",
                customer: &customer,
                identifier: &number.to_string(),
                timestamp: Timestamp(HOUR),
                measure: Measure::Number(value.parse().unwrap()),
                dimensions: &[],
                payload: &[],
                request: None,
                backfill: None,
            };
            batch.push(&event).unwrap();
        }
        app.services().usage.append(batch).await.unwrap();
    }
}

#[tokio::test]
async fn a_percentile_of_very_many_values_says_that_it_is_near() {
    let app = TestApp::start().await;
    let customer = customer(&app).await;
    let meter = meter(&app, "p", "percentile", "&default_aggregation[percentile]=50").await;
    record_values(&app, &meter, &customer, PERCENTILE_EXACT_MAX + 1).await;
    let usage = |start: i64, more: &str| {
        let span = format!("customer={customer}&starts_at={start}&ends_at={}", start + 3_600);
        format!("{USAGE}?{span}{more}")
    };
    let of_meter = format!("&meters[0][meter]={meter}");
    let summary = format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={HOUR}\
         &end_time={}",
        HOUR + 3_600
    );
    let near = |row: &Value, value: &str| {
        let number = row[value].as_f64().unwrap();
        assert!((99.5..=100.5).contains(&number), "{row}");
        assert_eq!(row["approximate"], true, "{row}");
    };
    for more in [of_meter.as_str(), ""] {
        near(&app.read(&usage(HOUR, more)).await["rows"]["data"][0], "value");
    }
    near(&app.read(&summary).await["data"][0], "aggregated_value");
    // Of few it says nothing.
    let few = &app.read(&usage(HOUR - 3_600, &of_meter)).await["rows"]["data"][0];
    assert_eq!((&few["value"], few.get("approximate")), (&json!(0), None));
}
