//! Which of Stripe's endpoints and parameters are honoured, as a document and as a check.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

/// Parameters of ours that Stripe's endpoints lack: (method, path, parameter, why).
const OUR_PARAMS: &[(&str, &str, &str, &str)] = &[
    ("POST", "/v1/subscription_schedules", "phases[][iterations]", OLDER_PHASES),
    ("POST", "/v1/subscription_schedules/{id}", "phases[][iterations]", OLDER_PHASES),
    ("POST", "/v1/invoices/create_preview", "schedule_details[phases][][iterations]", OLDER_PHASES),
    ("POST", "/v1/payment_intents", "payment_method_types", OLDER_TYPES),
    ("POST", "/v1/payment_intents/{id}", "payment_method_types", OLDER_TYPES),
    ("POST", "/v1/payment_intents/{id}/confirm", "payment_method_types", OLDER_TYPES),
    ("POST", "/v1/setup_intents", "payment_method_types", OLDER_TYPES),
    ("POST", "/v1/setup_intents/{id}", "payment_method_types", OLDER_TYPES),
    (
        "GET",
        "/v2/core/events",
        "page",
        "the `next_page_url` of a v2 list carries it; the SDKs follow that address as it is",
    ),
    ("POST", ADJUSTMENTS, "cancel[customer]", "whose event, where an identifier is of several"),
    ("POST", ADJUSTMENTS, "reason", "for the audit trail"),
    ("POST", ADJUSTMENTS_V2, "cancel[customer]", "whose event, where an identifier is of several"),
    ("POST", ADJUSTMENTS_V2, "reason", "for the audit trail"),
    ("GET", SUMMARIES, "dimension_filters", "Stripe's, in private preview"),
    ("GET", SUMMARIES, "dimension_group_by_keys", "Stripe's, in private preview"),
    ("POST", "/v1/customers", "coupon", BEFORE_BASIL),
    ("POST", "/v1/customers", "promotion_code", BEFORE_BASIL),
    ("POST", "/v1/customers/{id}", "coupon", BEFORE_BASIL),
    ("POST", "/v1/customers/{id}", "promotion_code", BEFORE_BASIL),
    ("POST", "/v1/invoiceitems", "price", BEFORE_BASIL),
    ("POST", "/v1/invoiceitems", "unit_amount", BEFORE_BASIL),
    ("POST", "/v1/invoiceitems/{id}", "price", BEFORE_BASIL),
    ("POST", "/v1/invoiceitems/{id}", "unit_amount", BEFORE_BASIL),
    ("POST", "/v1/promotion_codes", "coupon", "Stripe's, in versions before 2025-09-30"),
    ("POST", METERS, "adjustment_window_seconds", "how long an event can be corrected"),
    ("POST", METERS, "default_aggregation[percentile]", "of the formula of that name"),
    ("POST", METERS, "dimension_payload_keys", "Stripe's, in private preview"),
    ("POST", METERS, "late_event_window_seconds", "how late an event may be"),
    ("POST", METERS, "value_settings[max_digits]", "how large a value may be"),
    ("POST", METER, "adjustment_window_seconds", "how long an event can be corrected"),
    ("POST", METER, "late_event_window_seconds", "how late an event may be"),
    ("POST", METER, "value_settings", "what of it can change"),
    ("POST", METER, "value_settings[max_digits]", "how large a value may be"),
];

const OLDER_TYPES: &str = "Stripe's name of `allowed_payment_method_types` before 2026-10-28";
const OLDER_PHASES: &str = "Stripe's, in versions before 2025-09-30";
const BEFORE_BASIL: &str = "Stripe's, in versions before 2025-03-31";
const ADJUSTMENTS: &str = "/v1/billing/meter_event_adjustments";
const ADJUSTMENTS_V2: &str = "/v2/billing/meter_event_adjustments";
const METERS: &str = "/v1/billing/meters";
const METER: &str = "/v1/billing/meters/{id}";
const SUMMARIES: &str = "/v1/billing/meters/{id}/event_summaries";

static CONTRACT: LazyLock<Value> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in; a broken one is a bug")]
    serde_json::from_str(include_str!("../../../../contract/stripe-endpoints.json"))
        .expect("contract/stripe-endpoints.json is JSON")
});

/// One endpoint that we serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedEndpoint {
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// The path with its variables in braces, under any name: `/v1/customers/{id}`.
    pub path: String,
    /// What is honoured, inner parameters and leaves: `recurring`, `recurring[interval]`,
    /// `tiers[][up_to]`, `currency_options[*][tiers][][up_to]`, `metadata`. `expand` goes without
    /// saying. A parameter with a leaf that is honoured is honoured itself.
    pub params: Vec<String>,
}

/// A method and a path without the names of its variables.
fn key(method: &str, path: &str) -> String {
    let mut key = format!("{} ", method.to_uppercase());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        key.push('/');
        key.push_str(if segment.starts_with('{') { "{}" } else { segment });
    }
    key
}

/// `images[]` and `metadata[*]` are `images` and `metadata`: the last step names no parameter.
fn trimmed(param: &str) -> &str {
    let mut param = param;
    while let Some(shorter) = param.strip_suffix("[]").or_else(|| param.strip_suffix("[*]")) {
        param = shorter;
    }
    param
}

/// The bracket paths of an endpoint's parameters, inner ones before their leaves.
fn param_paths(params: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, schema) in params.as_object().into_iter().flatten() {
        push_paths(name, schema, &mut paths);
    }
    paths.sort();
    paths.dedup();
    paths
}

fn push_paths(path: &str, schema: &Value, paths: &mut Vec<String>) {
    match schema["type"].as_str().unwrap_or_default() {
        "array" => push_paths(&format!("{path}[]"), &schema["of"], paths),
        "map" => push_paths(&format!("{path}[*]"), &schema["of"], paths),
        "union" => {
            for alternative in schema["of"].as_array().into_iter().flatten() {
                push_paths(path, alternative, paths);
            }
        }
        _ => {
            for (name, inner) in schema["fields"].as_object().into_iter().flatten() {
                push_paths(&format!("{path}[{name}]"), inner, paths);
            }
        }
    }
    paths.push(trimmed(path).to_owned());
}

/// What is honoured of an endpoint: what it says, what that is part of, and `expand`.
fn honoured(offered: &OfferedEndpoint) -> BTreeSet<String> {
    let mut found = BTreeSet::from(["expand".to_owned()]);
    for param in &offered.params {
        let mut param = trimmed(param);
        found.insert(param.to_owned());
        while let Some((outer, _)) = param.rsplit_once('[') {
            param = trimmed(outer);
            found.insert(param.to_owned());
        }
    }
    found
}

fn endpoints() -> &'static [Value] {
    CONTRACT["endpoints"].as_array().map_or(&[], Vec::as_slice)
}

fn key_of(endpoint: &Value) -> String {
    let text = |name: &str| endpoint[name].as_str().unwrap_or_default();
    key(text("method"), text("path"))
}

fn group_of(endpoint: &Value) -> &str {
    endpoint["group"].as_str().unwrap_or_default()
}

fn title_of(endpoint: &Value) -> String {
    let text = |name: &str| endpoint[name].as_str().unwrap_or_default();
    format!("{} {}", text("method"), text("path"))
}

fn is_ours(offered: &OfferedEndpoint, param: &str) -> bool {
    OUR_PARAMS
        .iter()
        .any(|it| key(it.0, it.1) == key(&offered.method, &offered.path) && it.2 == param)
}

/// What we offer that cannot be right: parameters that Stripe's endpoint of the same name does not
/// have, and endpoints of Stripe's that the contract does not describe. Empty when all is well.
#[must_use]
pub fn unknown_params(offered: &[OfferedEndpoint]) -> Vec<String> {
    let known: BTreeMap<String, &Value> = endpoints().iter().map(|it| (key_of(it), it)).collect();
    let mut wrong = Vec::new();
    for endpoint in offered {
        let key = key(&endpoint.method, &endpoint.path);
        let Some(stripes) = known.get(&key) else {
            if is_undescribed(&key) {
                wrong.push(format!("{key}: Stripe's, but not in the contract: extend its groups"));
            }
            continue;
        };
        let params = param_paths(&stripes["params"]);
        for param in honoured(endpoint) {
            if !params.contains(&param) && param != "expand" && !is_ours(endpoint, &param) {
                wrong.push(format!("{key}: Stripe has no parameter `{param}`"));
            }
        }
    }
    wrong
}

/// Whether Stripe has the endpoint, in a group whose parameters the contract leaves out.
fn is_undescribed(wanted: &str) -> bool {
    CONTRACT["others"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str()?.split_once(' '))
        .any(|(method, path)| key(method, path) == wanted)
}

/// The document that says, endpoint by endpoint, which parameters are honoured and which refused.
///
/// An endpoint with parameters `a` and `a[b]` of which `a[b]` is offered reads
/// "honoured (2): `a`, `a[b]`".
#[must_use]
pub fn coverage(offered: &[OfferedEndpoint]) -> String {
    let offered_by_key: BTreeMap<String, &OfferedEndpoint> =
        offered.iter().map(|it| (key(&it.method, &it.path), it)).collect();
    let mut counts = Counts::default();
    let mut body = String::new();
    let groups: Vec<&str> = endpoints().iter().map(group_of).collect();
    for group in groups.chunk_by(|a, b| a == b).filter_map(|same| same.first()) {
        body.push_str(&format!("\n## {group}\n"));
        let mut missing = String::new();
        for endpoint in endpoints().iter().filter(|it| group_of(it) == *group) {
            counts.endpoints += 1;
            let title = title_of(endpoint);
            match offered_by_key.get(&key_of(endpoint)) {
                None => missing.push_str(&format!("- `{title}` not offered: 404\n")),
                Some(offered) => {
                    counts.offered += 1;
                    body.push_str(&format!("\n### `{title}`\n"));
                    push_params(&mut body, &mut counts, endpoint, &honoured(offered));
                }
            }
        }
        if !missing.is_empty() {
            body.push_str(&format!("\n### Not offered: {group}\n\n{missing}"));
        }
    }
    let mut document = head(&counts);
    document.push_str(&body);
    push_beyond(&mut document, offered);
    document
}

#[derive(Default)]
struct Counts {
    endpoints: usize,
    offered: usize,
    params: usize,
    honoured: usize,
}

fn head(counts: &Counts) -> String {
    let source = &CONTRACT["source"];
    let text = |name: &str| source[name].as_str().unwrap_or_default();
    let others = CONTRACT["others"].as_array().map_or(0, Vec::len);
    format!(
        "# Stripe coverage\n\n\
         Generated from the router and from `contract/stripe-endpoints.json` (API version {}, \
         stripe-python {}). Do not edit.\n\n\
         - Endpoints offered: {} of the {} in the groups below.\n\
         - Parameters honoured on those: {} of {}.\n\
         - The SDKs call {others} endpoints in areas that are not ours (issuing, terminal, …): \
         not offered.\n\n\
         A parameter that is refused is answered with 400 `parameter_unknown`, never ignored. \
         `a[][b]` is `b` in each element of the array `a`; `a[*][b]` is `b` under each key of \
         the map `a`.\n",
        text("api_version"),
        text("stripe-python"),
        counts.offered,
        counts.endpoints,
        counts.honoured,
        counts.params,
    )
}

fn push_params(
    body: &mut String,
    counts: &mut Counts,
    endpoint: &Value,
    honoured: &BTreeSet<String>,
) {
    let (kept, refused): (Vec<_>, Vec<_>) =
        param_paths(&endpoint["params"]).into_iter().partition(|param| honoured.contains(param));
    counts.params += kept.len() + refused.len();
    counts.honoured += kept.len();
    if kept.is_empty() && refused.is_empty() {
        body.push_str("\nno parameters\n");
    }
    for (word, params) in [("honoured", kept), ("refused", refused)] {
        if !params.is_empty() {
            let names: Vec<_> = params.iter().map(|param| format!("`{param}`")).collect();
            body.push_str(&format!("\n{word} ({}): {}\n", names.len(), names.join(", ")));
        }
    }
}

fn push_beyond(document: &mut String, offered: &[OfferedEndpoint]) {
    let known: BTreeSet<String> = endpoints().iter().map(key_of).collect();
    let mut ours: Vec<_> = offered
        .iter()
        .filter(|it| !known.contains(&key(&it.method, &it.path)))
        .map(|it| (it.path.as_str(), it.method.as_str()))
        .collect();
    ours.sort_unstable();
    document.push_str("\n## Beyond Stripe\n\n");
    if ours.is_empty() {
        document.push_str("None.\n");
    }
    for (path, method) in ours {
        document.push_str(&format!("- `{method} {path}`\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(method: &str, path: &str, params: &[&str]) -> OfferedEndpoint {
        OfferedEndpoint {
            method: method.into(),
            path: path.into(),
            params: params.iter().map(|it| (*it).into()).collect(),
        }
    }

    /// What the document says under an endpoint's title.
    fn section<'a>(document: &'a str, title: &str) -> &'a str {
        let start = document.split_once(&format!("### `{title}`\n\n")).unwrap().1;
        start.split("\n#").next().unwrap()
    }

    #[test]
    fn the_contract_knows_the_endpoints_we_care_about() {
        assert!(endpoints().len() > 250, "the contract lost endpoints");
        for wanted in [
            "POST /v1/billing/meter_events",
            "GET /v1/billing/meters/{}/event_summaries",
            "POST /v1/invoices/create_preview",
            "DELETE /v1/subscriptions/{}",
            "POST /v1/test_helpers/test_clocks/{}/advance",
            "POST /v2/billing/meter_event_stream",
            "GET /v2/core/events",
        ] {
            assert!(endpoints().iter().any(|it| key_of(it) == wanted), "{wanted}");
        }
    }

    #[test]
    fn parameters_are_listed_with_what_is_inside_them() {
        let prices = endpoints().iter().find(|it| key_of(it) == "POST /v1/prices").unwrap();
        let paths = param_paths(&prices["params"]);
        for wanted in [
            "recurring",
            "recurring[interval]",
            "tiers",
            "tiers[][up_to]",
            "currency_options",
            "currency_options[*][tiers][][up_to]",
            "metadata",
        ] {
            assert!(paths.iter().any(|it| it == wanted), "{wanted} in {paths:?}");
        }
        assert!(!paths.iter().any(|it| it.ends_with(']') && trimmed(it) != it));
        let list = endpoints().iter().find(|it| key_of(it) == "GET /v1/prices").unwrap();
        assert!(param_paths(&list["params"]).contains(&"created[gte]".to_owned()));
    }

    #[test]
    fn honoured_and_refused_parameters_stand_under_their_endpoint() {
        let document =
            coverage(&[offer("post", "/v1/billing/alerts", &["title", "usage_threshold[gte]"])]);
        assert_eq!(
            section(&document, "POST /v1/billing/alerts"),
            "honoured (4): `expand`, `title`, `usage_threshold`, `usage_threshold[gte]`\n\n\
             refused (6): `alert_type`, `usage_threshold[filters]`, \
             `usage_threshold[filters][][customer]`, `usage_threshold[filters][][type]`, \
             `usage_threshold[meter]`, `usage_threshold[recurrence]`\n"
        );
        assert!(document.contains("- Parameters honoured on those: 4 of 10.\n"));
        assert!(document.contains("- Endpoints offered: 1 of the "));
        assert!(document.contains("\n- `POST /v1/prices` not offered: 404\n"));
    }

    #[test]
    fn a_variable_of_a_path_may_have_any_name() {
        let offered =
            [offer("DELETE", "/v1/subscriptions/{id}", &["prorate", "cancellation_details"])];
        assert_eq!(unknown_params(&offered), [""; 0]);
        let document = coverage(&offered);
        assert!(document.contains("### `DELETE /v1/subscriptions/{subscription_exposed_id}`"));
        assert!(document.ends_with("\n## Beyond Stripe\n\nNone.\n"));
    }

    #[test]
    fn endpoints_of_ours_are_listed_as_beyond_stripe() {
        let offered = [offer("GET", "/v1/usage/export", &["from"]), offer("GET", "/health", &[])];
        assert_eq!(unknown_params(&offered), [""; 0]);
        assert!(
            coverage(&offered)
                .ends_with("\n## Beyond Stripe\n\n- `GET /health`\n- `GET /v1/usage/export`\n")
        );
    }

    #[test]
    fn a_parameter_that_stripe_lacks_is_flagged() {
        let offered = [offer(
            "POST",
            "/v1/prices",
            &["images[]", "metadata[*]", "recurring[anchor]", "tiers[][up_to]"],
        )];
        assert_eq!(
            unknown_params(&offered),
            [
                "POST /v1/prices: Stripe has no parameter `images`",
                "POST /v1/prices: Stripe has no parameter `recurring[anchor]`",
            ]
        );
    }

    #[test]
    fn an_endpoint_of_stripes_outside_the_contract_is_flagged() {
        assert_eq!(
            unknown_params(&[offer("GET", "/v1/issuing/cards/{id}", &[])]),
            ["GET /v1/issuing/cards/{}: Stripe's, but not in the contract: extend its groups"]
        );
    }

    #[test]
    fn every_allowed_parameter_of_ours_is_one_that_stripe_lacks() {
        for (method, path, param, why) in OUR_PARAMS {
            assert!(!why.is_empty());
            let stripes = endpoints().iter().find(|it| key_of(it) == key(method, path));
            let stripes = stripes.map(|it| param_paths(&it["params"])).unwrap_or_default();
            assert!(!stripes.iter().any(|it| it == param), "{param}");
        }
    }
}
