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
            "400 - dimension_filters[a]: Invalid dimension_filters[a]: 'a' is no dimension of the \
             meter, which has none."
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

/// A meter with dimensions, its events of value, region and model at these offsets, and the path of
/// its summaries over the two hours around the start of [`HOUR`].
async fn by_dimension(app: &TestApp, events: &[(i64, &str, &str, &str)]) -> String {
    let keys = "&dimension_payload_keys[]=region&dimension_payload_keys[]=model";
    let meter = meter(app, "e", "sum", keys).await;
    let customer = customer(app).await;
    for (at, value, region, model) in events {
        let form = format!(
            "{}&payload[region]={region}&payload[model]={model}&timestamp={}",
            event(&customer, value),
            HOUR + at
        );
        app.made("/v1/billing/meter_events", &form).await;
    }
    format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={}&end_time={}",
        HOUR - 3_600,
        HOUR + 3_600
    )
}

const DIMENSIONED: &[(i64, &str, &str, &str)] = &[
    (0, "7", "eu", "large"),
    (1, "13", "eu", "small"),
    (2, "0.5", "us", "large"),
    (-1, "101", "us", "small"),
    (-2, "3", "", "large"),
];

/// Dimensions and value of each row.
fn grouped(list: &Value) -> Vec<(String, String)> {
    let row = |row: &Value| (row["dimensions"].to_string(), row["aggregated_value"].to_string());
    list["data"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn totals_are_filtered_by_dimension() {
    for app in TestApp::everywhere().await {
        let path = by_dimension(&app, DIMENSIONED).await;
        for (filters, total) in [
            ("", "124.5"),
            ("&dimension_filters[region]=eu", "20"),
            ("&dimension_filters[region][0]=eu", "20"),
            ("&dimension_filters[region][0]=eu&dimension_filters[region][1]=us", "121.5"),
            ("&dimension_filters[region]=us&dimension_filters[model]=large", "0.5"),
            ("&dimension_filters[region]=", "3"),
            ("&dimension_filters[region]=mars", "0"),
        ] {
            let list = app.read(&format!("{path}{filters}")).await;
            assert_eq!(grouped(&list), [("null".to_owned(), total.to_owned())], "{filters}");
        }
        // A meter without dimensions has no such field.
        let plain = meter(&app, "plain", "sum", "").await;
        let (_, query) = path.split_once('?').unwrap();
        let list = app.read(&format!("/v1/billing/meters/{plain}/event_summaries?{query}")).await;
        assert_eq!(list["data"][0].get("dimensions"), None);
    }
}

#[tokio::test]
async fn totals_are_grouped_by_dimension_and_buckets_come_first() {
    for app in TestApp::everywhere().await {
        let path = by_dimension(&app, DIMENSIONED).await;
        let of = async |query: &str| grouped(&app.read(&format!("{path}{query}")).await);
        let row = |dimensions: Value, value: &str| (dimensions.to_string(), value.to_owned());
        let by_region = [
            row(json!({"region": ""}), "3"),
            row(json!({"region": "eu"}), "20"),
            row(json!({"region": "us"}), "101.5"),
        ];
        assert_eq!(of("&dimension_group_by_keys[0]=region").await, by_region);
        let hourly = "&dimension_group_by_keys[]=model&dimension_group_by_keys[]=region\
                      &value_grouping_window=hour";
        let by_hour = [
            row(json!({"model": "large", "region": "eu"}), "7"),
            row(json!({"model": "large", "region": "us"}), "0.5"),
            row(json!({"model": "small", "region": "eu"}), "13"),
            row(json!({"model": "large", "region": ""}), "3"),
            row(json!({"model": "small", "region": "us"}), "101"),
        ];
        assert_eq!(of(hourly).await, by_hour);
        let filtered = "&dimension_group_by_keys[]=model&dimension_filters[region]=eu";
        assert_eq!(
            of(filtered).await,
            [row(json!({"model": "large"}), "7"), row(json!({"model": "small"}), "13")]
        );
        // Groups occur with usage only, even where a span without buckets would have a row.
        assert_eq!(of("&dimension_group_by_keys[]=model&dimension_filters[region]=mars").await, []);
    }
}

#[tokio::test]
async fn what_is_no_dimension_of_the_meter_is_refused() {
    let app = TestApp::start().await;
    let path = by_dimension(&app, &[]).await;
    let long = "v".repeat(501);
    let many: String = (0..101).map(|n| format!("&dimension_filters[region][]={n}")).collect();
    let has = "which has region, model.";
    let by = "dimension_group_by_keys";
    for (query, expected) in [
        (
            "&dimension_filters[colour]=red".to_owned(),
            format!(
                "400 - dimension_filters[colour]: Invalid dimension_filters[colour]: 'colour' is no \
                 dimension of the meter, {has}"
            ),
        ),
        (
            format!("&{by}[]=region&{by}[]=colour"),
            format!("400 - {by}[1]: Invalid {by}[1]: 'colour' is no dimension of the meter, {has}"),
        ),
        (
            format!("&{by}[]=region&{by}[]=region"),
            format!("400 - {by}[1]: Invalid {by}[1]: 'region' is there twice."),
        ),
        (
            format!("&dimension_filters[region]={long}"),
            format!(
                "400 - dimension_filters[region]: Invalid string: {}…; must be at most 500 \
                 characters",
                &long[..60]
            ),
        ),
        (
            many,
            "400 - dimension_filters[region]: Invalid array: 1 to 100 values are accepted"
                .to_owned(),
        ),
        ("&dimension_filters=eu".to_owned(), "400 - dimension_filters: Invalid object".to_owned()),
        (format!("&{by}=region"), format!("400 - {by}: Invalid array")),
    ] {
        assert_eq!(error(&app.get(&format!("{path}{query}")).await), expected, "{query}");
    }
    let (start, end) = (DAY - 10_001 * 3_600 - DAY % 3_600, DAY);
    let (meter, query) = path.split_once('?').unwrap();
    let (customer, _) = query.split_once('&').unwrap();
    let wide = format!("{meter}?{customer}&start_time={start}&end_time={end}");
    assert_eq!(
        error(&app.get(&format!("{wide}&value_grouping_window=hour&{by}[]=model")).await),
        "400 - end_time: Invalid end_time: a span grouped by dimensions can have at most 10000 of \
         value_grouping_window."
    );
    assert_eq!(app.get(&format!("{wide}&value_grouping_window=hour")).await.status, 200);
}

#[tokio::test]
async fn pages_of_groups_neither_repeat_nor_skip_in_either_direction() {
    for app in TestApp::everywhere().await {
        let path = by_dimension(&app, DIMENSIONED).await;
        let hourly = format!(
            "{path}&dimension_group_by_keys[]=model&dimension_group_by_keys[]=region\
             &value_grouping_window=hour"
        );
        let all = ids(&app.read(&hourly).await);
        assert_eq!(all.len(), 5);
        for limit in 1..=5 {
            let mut seen: Vec<String> = Vec::new();
            loop {
                let after = seen.last().map(|id| format!("&starting_after={id}"));
                let after = after.unwrap_or_default();
                let page = app.read(&format!("{hourly}&limit={limit}{after}")).await;
                seen.extend(ids(&page));
                if page["has_more"] == false {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit}");
            let mut seen: Vec<String> = vec![all[4].clone()];
            loop {
                let page =
                    app.read(&format!("{hourly}&limit={limit}&ending_before={}", seen[0])).await;
                seen.splice(0..0, ids(&page));
                if page["has_more"] == false {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit}");
        }
        // An id is of the query it came from: another filter has other totals.
        let other = format!("{hourly}&dimension_filters[region]=eu&starting_after={}", all[1]);
        let unknown = format!(
            "400 resource_missing starting_after: No such meter event summary: '{}'",
            all[1]
        );
        assert_eq!(error(&app.get(&other).await), unknown);
    }
}

#[tokio::test]
async fn a_page_beyond_a_long_empty_stretch_is_found() {
    let app = TestApp::start().await;
    // 800 hours are more than are read at once; the oldest event is in the last of several pieces.
    let path = metered(&app, "sum", &[(0, "7"), (-200 * 3_600, "5"), (-799 * 3_600, "3")]).await;
    let path = format!(
        "{path}&start_time={}&end_time={}&value_grouping_window=hour",
        HOUR - 800 * 3_600,
        HOUR + 3_600
    );
    let hours = |list: &Value| -> Vec<i64> {
        rows(list).iter().map(|row| (HOUR - row.0) / 3_600).collect()
    };
    assert_eq!(hours(&app.read(&path).await), [0, 200, 799]);
    let first = app.read(&format!("{path}&limit=1")).await;
    assert_eq!((hours(&first), &first["has_more"]), (vec![0], &json!(true)));
    let second = app.read(&format!("{path}&limit=2&starting_after={}", ids(&first)[0])).await;
    assert_eq!((hours(&second), &second["has_more"]), (vec![200, 799], &json!(false)));
    let back = app.read(&format!("{path}&limit=1&ending_before={}", ids(&second)[1])).await;
    assert_eq!((hours(&back), &back["has_more"]), (vec![200], &json!(true)));
    let newest = app.read(&format!("{path}&limit=1&ending_before={}", ids(&back)[0])).await;
    assert_eq!((hours(&newest), &newest["has_more"]), (vec![0], &json!(false)));
}

#[tokio::test]
async fn every_formula_gives_its_number_whole_and_by_the_hour() {
    for app in TestApp::everywhere().await {
        app.advance_s(2 * 3_600);
        // Two in the first hour, three in the second.
        let events = [(0, "7"), (1_800, "-2.5"), (3_600, "13"), (5_400, "7"), (7_199, "0.5")];
        for (formula, whole, hours) in [
            ("sum", "25", ["20.5", "4.5"]),
            ("count", "5", ["3", "2"]),
            ("last", "0.5", ["0.5", "-2.5"]),
            ("max", "13", ["13", "7"]),
            ("min", "-2.5", ["0.5", "-2.5"]),
            // The sevens are one.
            ("unique_count", "4", ["3", "2"]),
            ("average", "5", ["6.833333333333", "2.25"]),
            // 7 for two hours, -2.5 for one and a half, 13 for one, 7 for a half, 0.5 for a second;
            // in the second hour the level of 4.5 is carried over.
            ("weighted_sum", "26.750138888889", ["21.000138888889", "5.75"]),
            ("percentile&default_aggregation[percentile]=50", "7", ["7", "-2.5"]),
            ("percentile&default_aggregation[percentile]=99.9", "13", ["13", "7"]),
        ] {
            let path = metered(&app, formula, &events).await;
            let span = format!("{path}&start_time={HOUR}&end_time={}", HOUR + 7_200);
            assert_eq!(rows(&app.read(&span).await)[0].2, whole, "{formula}");
            let list = app.read(&format!("{span}&value_grouping_window=hour")).await;
            let values: Vec<String> = rows(&list).into_iter().map(|row| row.2).collect();
            assert_eq!(values, hours, "{formula}");
            let (meter, _) = path.split_once("/event_summaries").unwrap();
            app.made(&format!("{meter}/deactivate"), "").await;
        }
    }
}

#[tokio::test]
async fn a_level_is_carried_into_hours_without_events() {
    let app = TestApp::start().await;
    app.advance_s(4 * 3_600);
    let path = metered(&app, "weighted_sum", &[(0, "100"), (3 * 3_600, "-100")]).await;
    let span = format!("{path}&start_time={HOUR}&end_time={}", HOUR + 4 * 3_600);
    let list = app.read(&format!("{span}&value_grouping_window=hour")).await;
    let values: Vec<_> =
        rows(&list).into_iter().map(|row| ((row.0 - HOUR) / 3_600, row.2)).collect();
    // In the fourth hour there is an event, though it leaves nothing to pay for.
    let hundred = |hour| (hour, "100".to_owned());
    assert_eq!(values, [(3, "0".to_owned()), hundred(2), hundred(1), hundred(0)]);
    assert_eq!(rows(&app.read(&span).await)[0].2, "300");
}
