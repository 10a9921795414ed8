//! `/v1/billing/meters`

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{error, id, ids, meter, refused, unreadable};

const METERS: &str = "/v1/billing/meters";

#[tokio::test]
async fn a_meter_made_of_names_and_a_formula_shows_its_defaults() {
    for app in TestApp::everywhere().await {
        let form = "display_name=Tokens&event_name=tokens&default_aggregation[formula]=sum";
        let meter = app.made(METERS, form).await;
        assert!(id(&meter).starts_with("mtr_"));
        let expected = json!({
            "id": id(&meter),
            "object": "billing.meter",
            "created": app.now().0,
            "customer_mapping": { "event_payload_key": "stripe_customer_id", "type": "by_id" },
            "adjustment_window_seconds": 86_400,
            "default_aggregation": { "formula": "sum" },
            "dimension_payload_keys": null,
            "display_name": "Tokens",
            "event_name": "tokens",
            "event_time_window": null,
            "late_event_window_seconds": 3_024_000,
            "livemode": false,
            "status": "active",
            "status_transitions": { "deactivated_at": null },
            "updated": app.now().0,
            "value_settings": { "event_payload_key": "value", "max_digits": 15 },
        });
        assert_eq!(meter, expected);
        assert_eq!(app.read(&format!("{METERS}/{}", id(&meter))).await, expected);
    }
}

#[tokio::test]
async fn a_meter_keeps_all_that_it_is_told() {
    for app in TestApp::everywhere().await {
        let form = "display_name=Peak&event_name=peak&default_aggregation[formula]=last\
                    &customer_mapping[event_payload_key]=who&customer_mapping[type]=by_id\
                    &value_settings[event_payload_key]=how_much&event_time_window=hour";
        let meter = app.made(METERS, form).await;
        assert_eq!(meter["customer_mapping"]["event_payload_key"], "who");
        assert_eq!(meter["value_settings"]["event_payload_key"], "how_much");
        assert_eq!(meter["default_aggregation"]["formula"], "last");
        assert_eq!(meter["event_time_window"], "hour");
    }
}

#[tokio::test]
async fn what_is_no_meter_is_refused() {
    let app = TestApp::start().await;
    let long = |n: usize| "x".repeat(n);
    let (l251, l101) = (long(251), long(101));
    let base = "event_name=e&default_aggregation[formula]=sum";
    let too_long = format!("display_name={l251}&{base}");
    let long_event = format!("display_name=d&event_name={l101}&default_aggregation[formula]=sum");
    let long_key = format!("display_name=d&{base}&value_settings[event_payload_key]={l101}");
    let shown = long(60);
    let cut = |param: &str, max: usize| {
        format!("400 - {param}: Invalid string: {shown}…; must be at most {max} characters")
    };
    let cases = [
        ("", "400 parameter_missing display_name: Missing required param: display_name."),
        ("display_name=d", "400 parameter_missing event_name: Missing required param: event_name."),
        (
            "display_name=d&event_name=e",
            "400 parameter_missing default_aggregation: Missing required param: \
             default_aggregation.",
        ),
        (
            "display_name=d&event_name=e&default_aggregation[formula]=median",
            "400 - default_aggregation[formula]: Invalid default_aggregation[formula]: must be one \
             of count, last, sum, average, max, min, percentile, unique_count, or weighted_sum",
        ),
        (
            &format!("display_name=d&{base}&event_time_window=week"),
            "400 - event_time_window: Invalid event_time_window: must be one of day or hour",
        ),
        (
            &format!("display_name=d&{base}&customer_mapping[type]=by_id"),
            "400 parameter_missing customer_mapping[event_payload_key]: Missing required param: \
             customer_mapping[event_payload_key].",
        ),
        (
            &format!("display_name=d&{base}&customer_mapping[event_payload_key]=k"),
            "400 parameter_missing customer_mapping[type]: Missing required param: \
             customer_mapping[type].",
        ),
        (
            &format!(
                "display_name=d&{base}&customer_mapping[event_payload_key]=k&customer_mapping[type]=by_name"
            ),
            "400 - customer_mapping[type]: Invalid customer_mapping[type]: must be one of by_id",
        ),
        (
            &format!("display_name=d&{base}&metadata[a]=b"),
            "400 parameter_unknown metadata: Received unknown parameter: metadata",
        ),
        (&too_long, &cut("display_name", 250)),
        (&long_event, &cut("event_name", 100)),
        (&long_key, &cut("value_settings[event_payload_key]", 100)),
    ];
    for (form, expected) in cases {
        assert_eq!(error(&app.post(METERS, form).await), expected, "{form}");
    }
    assert_eq!(app.read(METERS).await["data"], json!([]));
}

#[tokio::test]
async fn the_display_name_changes_and_it_moves_updated() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let path = format!("{METERS}/{meter}");
        let made = app.read(&path).await;
        app.advance_s(7);
        // Nothing to change is no change.
        assert_eq!(app.made(&path, "").await, made);
        assert_eq!(app.made(&path, "display_name=M").await, made);
        let renamed = app.made(&path, "display_name=Renamed").await;
        assert_eq!(renamed["display_name"], "Renamed");
        assert_eq!(renamed["updated"], made["updated"].as_i64().unwrap() + 7);
        assert_eq!(renamed["created"], made["created"]);
        let unknown = |name: &str| {
            format!("400 parameter_unknown {name}: Received unknown parameter: {name}")
        };
        for name in [
            "event_name",
            "default_aggregation",
            "customer_mapping",
            "event_time_window",
            "dimension_payload_keys",
            "status",
        ] {
            let answer = app.post(&path, &format!("{name}=x")).await;
            assert_eq!(error(&answer), unknown(name));
        }
        let key = app.post(&path, "value_settings[event_payload_key]=x").await;
        assert_eq!(error(&key), unknown("value_settings[event_payload_key]"));
        assert_eq!(app.read(&path).await, renamed);
    }
}

#[tokio::test]
async fn the_bounds_of_a_meter_are_what_its_maker_says_and_can_change() {
    for app in TestApp::everywhere().await {
        let bounds = |meter: &Value| {
            let bound = |name: &str| meter[name].as_i64().unwrap();
            (
                bound("late_event_window_seconds"),
                bound("adjustment_window_seconds"),
                meter["value_settings"]["max_digits"].as_i64().unwrap(),
            )
        };
        let form = "display_name=M&event_name=e&default_aggregation[formula]=sum\
                    &late_event_window_seconds=3600&adjustment_window_seconds=315360000\
                    &value_settings[max_digits]=28";
        let made = app.made(METERS, form).await;
        assert_eq!(bounds(&made), (3_600, 315_360_000, 28));
        assert_eq!(made["value_settings"]["event_payload_key"], "value");
        let path = format!("{METERS}/{}", id(&made));
        for (form, expected) in [
            ("value_settings[max_digits]=15", (3_600, 315_360_000, 15)),
            ("late_event_window_seconds=315360000", (315_360_000, 315_360_000, 15)),
            ("adjustment_window_seconds=3600", (315_360_000, 3_600, 15)),
        ] {
            assert_eq!(bounds(&app.made(&path, form).await), expected, "{form}");
            assert_eq!(bounds(&app.read(&path).await), expected, "{form}");
        }
        let wrong = |param: &str, min: i64, max: i64| {
            format!("400 - {param}: Invalid {param}: must be between {min} and {max}.")
        };
        for (param, min, max) in [
            ("late_event_window_seconds", 3_600, 315_360_000),
            ("adjustment_window_seconds", 3_600, 315_360_000),
            ("value_settings[max_digits]", 15, 28),
        ] {
            for value in [min - 1, max + 1] {
                let sent = format!("{param}={value}");
                assert_eq!(error(&app.post(&path, &sent).await), wrong(param, min, max), "{sent}");
                let new = format!(
                    "display_name=M&event_name=other&default_aggregation[formula]=sum&{sent}"
                );
                assert_eq!(error(&app.post(METERS, &new).await), wrong(param, min, max), "{sent}");
            }
        }
    }
}

#[tokio::test]
async fn every_formula_can_be_asked_for_and_is_shown() {
    for app in TestApp::everywhere().await {
        for formula in
            ["sum", "count", "last", "max", "min", "unique_count", "average", "weighted_sum"]
        {
            let meter = meter(&app, formula, formula, "").await;
            let shown = app.read(&format!("{METERS}/{meter}")).await;
            assert_eq!(shown["default_aggregation"], json!({ "formula": formula }));
        }
        for (sent, shown) in [("50", "50"), ("95.0", "95"), ("99.9", "99.9")] {
            let more = format!("&default_aggregation[percentile]={sent}");
            let meter = meter(&app, &format!("p{shown}"), "percentile", &more).await;
            let of = app.read(&format!("{METERS}/{meter}")).await["default_aggregation"].clone();
            assert_eq!(of, json!({ "formula": "percentile", "percentile": shown }));
        }
    }
}

#[tokio::test]
async fn a_percentile_stands_with_its_formula_only() {
    let app = TestApp::start().await;
    let param = "default_aggregation[percentile]";
    let form = |more: &str| format!("display_name=M&event_name=e&default_aggregation{more}");
    let none = format!("400 parameter_missing {param}: Missing required param: {param}.");
    assert_eq!(error(&app.post(METERS, &form("[formula]=percentile")).await), none);
    let other = format!(
        "400 - {param}: Invalid {param}: may only be specified when the formula is percentile."
    );
    let sum = form("[formula]=sum&default_aggregation[percentile]=95");
    assert_eq!(error(&app.post(METERS, &sum).await), other);
    let wrong = format!(
        "400 - {param}: Invalid {param}: must be from 50 to 99.9, with at most one digit after the \
         point."
    );
    for percentile in ["49.9", "100", "99.95", "p95", "-95", "9.5e1"] {
        let sent = form(&format!("[formula]=percentile&{param}={percentile}"));
        assert_eq!(error(&app.post(METERS, &sent).await), wrong, "{percentile}");
    }
}

#[tokio::test]
async fn the_dimensions_of_a_meter_are_named_once_and_for_all() {
    for app in TestApp::everywhere().await {
        let form = "display_name=M&event_name=e&default_aggregation[formula]=sum";
        let made = app
            .made(
                METERS,
                &format!("{form}&dimension_payload_keys[0]=region&dimension_payload_keys[1]=model"),
            )
            .await;
        assert_eq!(made["dimension_payload_keys"], json!(["region", "model"]));
        assert_eq!(app.read(&format!("{METERS}/{}", id(&made))).await, made);
        let many: String = (0..11).map(|n| format!("&dimension_payload_keys[]=k{n}")).collect();
        let long = "k".repeat(101);
        let shown = &long[..60];
        let key = "&dimension_payload_keys[]";
        let at = |place: usize, what: &str| {
            let param = format!("dimension_payload_keys[{place}]");
            format!("400 - {param}: Invalid {param}: {what}.")
        };
        for (more, expected) in [
            (
                many,
                "400 - dimension_payload_keys: Invalid array: at most 10 dimensions are accepted"
                    .to_owned(),
            ),
            (format!("{key}=a{key}=b{key}=a"), at(2, "'a' is there twice")),
            (format!("{key}=value"), at(0, "'value' is the key that holds the value")),
            (
                format!("{key}=a{key}=stripe_customer_id"),
                at(1, "'stripe_customer_id' is the key that names the customer"),
            ),
            (format!("{key}=a[b]"), at(0, "'a[b]' contains square brackets")),
            (
                format!("{key}={long}"),
                format!(
                    "400 - dimension_payload_keys[0]: Invalid string: {shown}…; must be at most \
                     100 characters"
                ),
            ),
            (
                "&dimension_payload_keys=a".to_owned(),
                "400 - dimension_payload_keys: Invalid array".to_owned(),
            ),
        ] {
            let form = form.replace("event_name=e", "event_name=other");
            let answer = app.post(METERS, &format!("{form}{more}")).await;
            assert_eq!(error(&answer), expected, "{more}");
        }
    }
}

#[tokio::test]
async fn an_event_name_is_reserved_among_active_meters() {
    for app in TestApp::everywhere().await {
        let first = meter(&app, "e", "sum", "").await;
        let form = "display_name=M&event_name=e&default_aggregation[formula]=sum";
        let taken = format!(
            "400 - event_name: An active meter with event name 'e' already exists: {first}."
        );
        assert_eq!(error(&app.post(METERS, form).await), taken);
        // Letter case makes another name, and the other mode is another world.
        meter(&app, "E", "sum", "").await;
        app.live().made(METERS, form).await;
        app.made(&format!("{METERS}/{first}/deactivate"), "").await;
        let second = meter(&app, "e", "count", "").await;
        let taken = format!(
            "400 - event_name: An active meter with event name 'e' already exists: {second}."
        );
        assert_eq!(error(&app.post(&format!("{METERS}/{first}/reactivate"), "").await), taken);
        app.made(&format!("{METERS}/{second}/deactivate"), "").await;
        assert_eq!(app.made(&format!("{METERS}/{first}/reactivate"), "").await["status"], "active");
    }
}

#[tokio::test]
async fn a_meter_is_switched_off_and_on_once_each() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "e", "sum", "").await;
        let path = format!("{METERS}/{meter}");
        let (off, on) = (format!("{path}/deactivate"), format!("{path}/reactivate"));
        refused(&app, &[(&on, "", "400 - -: This billing meter is already active.")]).await;
        app.advance_s(13);
        let stopped = app.made(&off, "").await;
        assert_eq!(stopped["status"], "inactive");
        assert_eq!(stopped["status_transitions"]["deactivated_at"], app.now().0);
        assert_eq!(stopped["updated"], app.now().0);
        app.advance_s(7);
        refused(&app, &[(&off, "", "400 - -: This billing meter is already inactive.")]).await;
        assert_eq!(app.read(&path).await, stopped);
        // A stopped meter can still be renamed.
        assert_eq!(app.made(&path, "display_name=X").await["status"], "inactive");
        let started = app.made(&on, "").await;
        assert_eq!(started["status"], "active");
        assert_eq!(started["status_transitions"]["deactivated_at"], json!(null));
        assert_eq!(started["updated"], app.now().0);
        refused(
            &app,
            &[(&off, "now=1", "400 parameter_unknown now: Received unknown parameter: now")],
        )
        .await;
    }
}

#[tokio::test]
async fn meters_are_listed_by_status() {
    for app in TestApp::everywhere().await {
        let first = meter(&app, "a", "sum", "").await;
        let second = meter(&app, "b", "sum", "").await;
        app.made(&format!("{METERS}/{first}/deactivate"), "").await;
        let of = async |query: &str| ids(&app.read(&format!("{METERS}?{query}")).await);
        assert_eq!(of("").await, [second.clone(), first.clone()]);
        assert_eq!(of("status=active").await, [second]);
        assert_eq!(of("status=inactive").await, [first]);
        unreadable(
            &app,
            &[(
                "/v1/billing/meters?status=archived",
                "400 - status: Invalid status: must be one of active or inactive",
            )],
        )
        .await;
    }
}

#[tokio::test]
async fn a_meter_that_is_not_there_is_a_404_for_every_verb() {
    let app = TestApp::start().await;
    let missing = "404 resource_missing id: No such billing meter: 'mtr_x'";
    unreadable(
        &app,
        &[
            ("/v1/billing/meters/mtr_x", missing),
            (
                "/v1/billing/meters/mtr_x/event_summaries?customer=cus_x&start_time=0&end_time=60",
                missing,
            ),
        ],
    )
    .await;
    refused(
        &app,
        &[
            ("/v1/billing/meters/mtr_x", "display_name=x", missing),
            ("/v1/billing/meters/mtr_x/deactivate", "", missing),
            ("/v1/billing/meters/mtr_x/reactivate", "", missing),
        ],
    )
    .await;
    let gone = "404 - -: Unrecognized request URL (DELETE: /v1/billing/meters/mtr_x). Please see \
                https://stripe.com/docs or we can help at https://support.stripe.com/.";
    assert_eq!(error(&app.delete("/v1/billing/meters/mtr_x").await), gone);
}

#[tokio::test]
async fn two_requests_at_once_cannot_both_take_an_event_name() {
    for app in TestApp::everywhere().await {
        let form = "display_name=M&event_name=e&default_aggregation[formula]=sum";
        let (one, other) = tokio::join!(app.post(METERS, form), app.post(METERS, form));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        assert_eq!(ids(&app.read(METERS).await).len(), 1);
    }
}
