//! `/v1/billing/meters/{id}/event_summaries`

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::meter_events::event;
use crate::support::{customer, error, ids, meter};

const HOUR: i64 = START.0 - START.0 % 3_600;
const DAY: i64 = START.0 - START.0 % 86_400;

/// A meter's events at these offsets from the hour in which tests begin, and the summaries' path.
async fn metered(app: &TestApp, formula: &str, events: &[(i64, &str)]) -> String {
    let meter = meter(app, "e", formula, "").await;
    let customer = customer(app).await;
    for (at, value) in events {
        let form = format!("{}&timestamp={}", event(&customer, value), HOUR + at);
        app.made("/v1/billing/meter_events", &form).await;
    }
    format!("/v1/billing/meters/{meter}/event_summaries?customer={customer}")
}

/// Start, end and value of each row.
fn rows(list: &Value) -> Vec<(i64, i64, String)> {
    let row = |row: &Value| {
        let at = |name: &str| row[name].as_i64().unwrap();
        (at("start_time"), at("end_time"), row["aggregated_value"].to_string())
    };
    list["data"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn a_span_without_buckets_has_one_row_even_of_nothing() {
    for app in TestApp::everywhere().await {
        let path = metered(&app, "sum", &[(0, "7"), (59, "5"), (60, "3"), (-1, "100")]).await;
        let span = async |from: i64, to: i64| {
            app.read(&format!("{path}&start_time={}&end_time={}", HOUR + from, HOUR + to)).await
        };
        // The start belongs to the span, the end does not.
        let list = span(0, 60).await;
        assert_eq!(rows(&list), [(HOUR, HOUR + 60, "12".into())]);
        let (meter, _) = path.split_once('?').unwrap();
        assert_eq!(list["url"], meter);
        let row = &list["data"][0];
        assert_eq!(row["object"], "billing.meter_event_summary");
        assert_eq!(row["livemode"], false);
        assert!(meter.contains(row["meter"].as_str().unwrap()));
        assert_eq!(rows(&span(60, 120).await), [(HOUR + 60, HOUR + 120, "3".into())]);
        assert_eq!(rows(&span(120, 180).await), [(HOUR + 120, HOUR + 180, "0".into())]);
        assert_eq!(rows(&span(-60, 120).await)[0].2, "115");
    }
}

#[tokio::test]
async fn buckets_come_newest_first_and_only_where_there_is_usage() {
    let app = TestApp::start().await;
    app.advance_s(3_600);
    let events = [(0, "7"), (3_599, "0.5"), (-3_600, "3"), (-86_400, "-5")];
    for (formula, hours, days) in [
        ("sum", ["7.5", "3", "-5"], ["10.5", "-5"]),
        ("count", ["2", "1", "1"], ["3", "1"]),
        ("last", ["0.5", "3", "-5"], ["0.5", "-5"]),
    ] {
        let path = metered(&app, formula, &events).await;
        let span = format!("&start_time={}&end_time={}", DAY - 86_400, DAY + 86_400);
        let list = app.read(&format!("{path}{span}&value_grouping_window=hour")).await;
        let expected = [0, -3_600, -86_400].into_iter().zip(hours);
        let expected: Vec<_> =
            expected.map(|(at, value)| (HOUR + at, HOUR + at + 3_600, value.to_owned())).collect();
        assert_eq!(rows(&list), expected, "{formula}");
        assert_eq!(list["has_more"], false);
        let list = app.read(&format!("{path}{span}&value_grouping_window=day")).await;
        let expected = [DAY, DAY - 86_400].into_iter().zip(days);
        let expected: Vec<_> =
            expected.map(|(at, value)| (at, at + 86_400, value.to_owned())).collect();
        assert_eq!(rows(&list), expected, "{formula}");
        let (meter, _) = path.split_once("/event_summaries").unwrap();
        app.made(&format!("{meter}/deactivate"), "").await;
    }
}

#[tokio::test]
async fn times_stand_on_the_boundaries_of_their_buckets() {
    let app = TestApp::start().await;
    let path = metered(&app, "sum", &[]).await;
    let misaligned = |param: &str, at: i64, unit: &str| {
        format!("400 - {param}: Invalid {param}: {at} must be aligned with {unit} boundaries.")
    };
    let missing =
        |param: &str| format!("400 parameter_missing {param}: Missing required param: {param}.");
    let after = "400 - end_time: Invalid end_time: must be after start_time.";
    let cases = [
        (String::new(), missing("start_time")),
        (format!("&start_time={HOUR}"), missing("end_time")),
        (
            format!("&start_time={}&end_time={}", HOUR + 1, HOUR + 60),
            misaligned("start_time", HOUR + 1, "minute"),
        ),
        (
            format!("&start_time={HOUR}&end_time={}", HOUR + 61),
            misaligned("end_time", HOUR + 61, "minute"),
        ),
        (
            format!("&start_time={HOUR}&end_time={}&value_grouping_window=hour", HOUR + 60),
            misaligned("end_time", HOUR + 60, "hour"),
        ),
        (
            format!("&start_time={HOUR}&end_time={}&value_grouping_window=day", DAY + 86_400),
            misaligned("start_time", HOUR, "UTC day"),
        ),
        (format!("&start_time={HOUR}&end_time={HOUR}"), after.to_owned()),
        (format!("&start_time={HOUR}&end_time={}", HOUR - 60), after.to_owned()),
        (
            format!("&start_time={HOUR}&end_time={}&value_grouping_window=week", HOUR + 60),
            "400 - value_grouping_window: Invalid value_grouping_window: must be one of day or hour"
                .to_owned(),
        ),
        (
            format!("&start_time={HOUR}&end_time={}&dimension_filters[a]=b", HOUR + 60),
            "400 parameter_unknown dimension_filters: Received unknown parameter: dimension_filters"
                .to_owned(),
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(error(&app.get(&format!("{path}{query}")).await), expected, "{query}");
    }
    let (meter, _) = path.split_once('?').unwrap();
    let span = format!("start_time={HOUR}&end_time={}", HOUR + 60);
    assert_eq!(error(&app.get(&format!("{meter}?{span}")).await), missing("customer"));
    assert_eq!(
        error(&app.get(&format!("{meter}?{span}&customer=cus_x")).await),
        "400 resource_missing customer: No such customer: 'cus_x'"
    );
}

#[tokio::test]
async fn pages_of_buckets_neither_repeat_nor_skip_and_their_ids_are_stable() {
    for app in TestApp::everywhere().await {
        app.advance_s(12 * 3_600);
        let events: Vec<(i64, &str)> = (0..7).map(|hour| (hour * 3_600, "1")).collect();
        let path = metered(&app, "sum", &events).await;
        let span = format!(
            "{path}&start_time={HOUR}&end_time={}&value_grouping_window=hour",
            HOUR + 12 * 3_600
        );
        let all = ids(&app.read(&format!("{span}&limit=100")).await);
        assert_eq!(all.len(), 7);
        let mut seen = Vec::new();
        let mut page = app.read(&format!("{span}&limit=3")).await;
        loop {
            seen.extend(ids(&page));
            if page["has_more"] == false {
                break;
            }
            let last = seen.last().unwrap();
            page = app.read(&format!("{span}&limit=3&starting_after={last}")).await;
        }
        assert_eq!(seen, all);
        let before = app.read(&format!("{span}&limit=3&ending_before={}", all[5])).await;
        assert_eq!((ids(&before), before["has_more"].clone()), (all[2..5].to_vec(), json!(true)));
        let before = app.read(&format!("{span}&ending_before={}", all[2])).await;
        assert_eq!((ids(&before), before["has_more"].clone()), (all[..2].to_vec(), json!(false)));
        let unknown = error(&app.get(&format!("{span}&starting_after=mtrusg_x")).await);
        assert_eq!(
            unknown,
            "400 resource_missing starting_after: No such meter event summary: 'mtrusg_x'"
        );
        let app = app.restart().await;
        assert_eq!(ids(&app.read(&format!("{span}&limit=100")).await), all);
    }
}
