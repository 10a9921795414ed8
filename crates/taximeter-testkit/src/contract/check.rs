//! Holds a JSON body against what Stripe's SDKs declare, field by field.
//!
//! Also a module of `xtask` (by path), so it knows nothing but `serde_json`.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// Fields of ours on Stripe's objects, those of Stripe's that the SDKs' types do not list, and those
/// that only some of [`OUR_OBJECTS`] have: (object, path within the object, why).
const EXTRA_FIELDS: &[(&str, &str, &str)] = &[
    ("billing.analytics.meter_usage_row", "approximate", "as of a summary"),
    ("billing.meter", "adjustment_window_seconds", "ours: how long an event can be corrected"),
    ("billing.meter", "default_aggregation.percentile", "ours: of the formula of that name"),
    ("billing.meter", "dimension_payload_keys", "Stripe's, in private preview"),
    ("billing.meter", "late_event_window_seconds", "ours: how late an event may be"),
    ("billing.meter", "value_settings.max_digits", "ours: how large a value may be"),
    ("billing.meter_event", "backfill", OUR_EVENT),
    ("billing.meter_event", "customer", OUR_EVENT),
    ("billing.meter_event", "dimensions", OUR_EVENT),
    ("billing.meter_event", "id", OUR_EVENT),
    ("billing.meter_event", "meter", OUR_EVENT),
    ("billing.meter_event", "status", OUR_EVENT),
    ("billing.meter_event", "value", OUR_EVENT),
    ("billing.meter_event_summary", "approximate", "ours: a percentile of very many values"),
    ("billing.meter_event_summary", "dimensions", "Stripe's, in private preview"),
    ("v2.core.event", "data", "a thin event that no snapshot event tells of says it itself"),
    (
        "v2.core.event",
        "related_object",
        "a delivered thin event carries it; the SDKs read it outside the declared class",
    ),
];

/// Fields that are null where the SDKs' types do not say so: (object, path, why).
const EXTRA_NULLS: &[(&str, &str, &str)] =
    &[("v2.core.event", "context", "Stripe sends it so, and the SDKs read it of every event")];

/// Enum values of ours, or of Stripe's that the SDKs' types do not list:
/// (object, path within the object, value, why).
const EXTRA_VALUES: &[(&str, &str, &str, &str)] = &[
    ("billing.meter", "default_aggregation.formula", "average", OUR_FORMULA),
    ("billing.meter", "default_aggregation.formula", "max", OUR_FORMULA),
    ("billing.meter", "default_aggregation.formula", "min", OUR_FORMULA),
    ("billing.meter", "default_aggregation.formula", "percentile", OUR_FORMULA),
    ("billing.meter", "default_aggregation.formula", "unique_count", OUR_FORMULA),
    ("billing.meter", "default_aggregation.formula", "weighted_sum", OUR_FORMULA),
];

const OUR_EVENT: &str = "ours: of an event that is read back";
const OUR_FORMULA: &str = "ours: a formula that Stripe lacks";

/// Objects of ours, and the fields that all of them have: (object, fields).
const OUR_OBJECTS: &[(&str, &[&str])] = &[
    // Stripe's, in public preview.
    ("billing.analytics.meter_usage", &["livemode", "object", "refreshed_at", "rows"]),
    (
        "billing.analytics.meter_usage_row",
        &["dimensions", "ends_at", "id", "meter", "object", "starts_at", "value"],
    ),
    (
        "billing.settings",
        &[
            "after_retries",
            "default_currency",
            "draft_grace_seconds",
            "object",
            "retry_after_days",
            "upcoming_days",
            "will_be_due_days",
        ],
    ),
    (
        "billing.meter_error_report",
        &[
            "created",
            "developer_message_summary",
            "event",
            "event_type",
            "id",
            "livemode",
            "meter",
            "object",
            "reason",
            "validation_end",
            "validation_start",
        ],
    ),
    (
        "billing.meter_event_batch",
        &["created", "duplicates", "livemode", "object", "outcomes", "recorded", "rejected"],
    ),
    (
        "billing.meter_event_error",
        &[
            "code",
            "created",
            "customer",
            "event",
            "event_name",
            "id",
            "identifier",
            "livemode",
            "message",
            "meter",
            "object",
            "payload",
            "report",
            "request",
            "resolved_at",
            "status",
            "timestamp",
        ],
    ),
    (
        "billing.meter_event_error_replay",
        &["failed", "has_more", "last", "livemode", "object", "succeeded"],
    ),
    (
        "billing.meter_event_backfill",
        &[
            "created",
            "customer",
            "events",
            "id",
            "livemode",
            "meter",
            "object",
            "replace_existing",
            "status",
            "status_transitions",
            "timeframe_end",
            "timeframe_start",
            "updated",
        ],
    ),
    (
        "billing.meter_event_backfill_preview",
        &[
            "backfill",
            "customer",
            "difference",
            "events",
            "id",
            "livemode",
            "meter",
            "object",
            "usage_after",
            "usage_now",
        ],
    ),
    (
        "invoice_line_explanation",
        &[
            "amount",
            "content_hash",
            "currency",
            "discount_amounts",
            "invoice",
            "kind",
            "line",
            "livemode",
            "object",
            "period",
            "price",
            "proration",
            "quantity",
            "rated",
            "rounding",
            "subtotal",
            "taxes",
            "usage",
        ],
    ),
    (
        "billing.usage_audit_entry",
        &[
            "action",
            "after",
            "api_key",
            "backfill",
            "before",
            "created",
            "customer",
            "event",
            "id",
            "identifier",
            "livemode",
            "meter",
            "object",
            "reason",
            "request",
        ],
    ),
    (
        "stripecli.session",
        &[
            "default_version",
            "display_connect_filter_warning",
            "latest_version",
            "object",
            "reconnect_delay",
            "secret",
            "websocket_authorized_feature",
            "websocket_id",
            "websocket_url",
        ],
    ),
    (
        "webhook_delivery",
        &[
            "attempts",
            "created",
            "event",
            "event_type",
            "id",
            "livemode",
            "next_attempt_at",
            "object",
            "status",
            "under_way",
            "webhook_endpoint",
        ],
    ),
];

/// Error codes that Stripe answers with and the SDKs' list lacks: (code, where it is documented).
const EXTRA_CODES: &[(&str, &str)] = &[
    ("archived_meter", "v2 meter events"),
    ("billing_meter_event_session_expired", "v2 meter event stream"),
    ("duplicate_meter_event", "v2 meter events"),
    ("forbidden", "v2, where no other code says more"),
    ("idempotency_error", "v2 idempotency"),
    ("internal_error", "v2, where no other code says more"),
    ("invalid_cancel_configuration", "v2 meter event adjustments"),
    ("invalid_request", "v2, where no other code says more"),
    ("meter_event_dimension_count_too_high", "reports of meter errors"),
    ("missing_dimension_payload_keys", "reports of meter errors"),
    ("no_meter", "v2 meter events"),
    ("not_found", "v2 core events"),
    ("payload_invalid_value", "v2 meter events"),
    ("payload_no_customer_defined", "v2 meter events"),
    ("payload_no_value_defined", "v2 meter events"),
    ("property_expansion_max_depth", "expanding objects"),
    ("too_many_concurrent_requests", "v2 meter events"),
    ("unauthorized", "v2, where no other code says more"),
];

fn is_extra(at: &Place) -> bool {
    EXTRA_FIELDS.iter().any(|it| it.0 == at.object && it.1 == at.within)
}

/// What v2 errors call the parameter at fault, on the error classes that have one.
const INVALID_PARAM: &str = "invalid_param";

/// The values of `error.type`: v1's four, then v2's that name an error class of the SDKs.
const ERROR_TYPES: &[&str] = &[
    "api_error",
    "card_error",
    "idempotency_error",
    "invalid_request_error",
    "rate_limit",
    "temporary_session_expired",
];

static CONTRACT: LazyLock<Value> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in; a broken one is a bug")]
    serde_json::from_str(include_str!("../../../../contract/stripe-objects.json"))
        .expect("contract/stripe-objects.json is JSON")
});

/// What is wrong with a body of an answer or of a webhook; empty when the SDKs would accept it.
///
/// Every object inside is found by its `object` field and held against the SDKs' declaration of it:
/// all fields that are always sent are there and no others, types fit, enum values are known,
/// decimals are strings, null stands only where it may. Error bodies are held to theirs.
/// `{"object":"product","id":7}` gives among others `$.id: 7 is not a string`.
#[must_use]
pub fn check_body(body: &Value) -> Vec<String> {
    let mut check = Check { violations: Vec::new() };
    check.body(body);
    check.violations
}

/// Where a value stands: the whole path for the message, the object it belongs to for allow-lists.
#[derive(Clone)]
struct Place {
    path: String,
    object: String,
    within: String,
}

impl Place {
    fn root() -> Self {
        Self { path: "$".into(), object: String::new(), within: String::new() }
    }

    fn field(&self, name: &str) -> Self {
        let within =
            if self.within.is_empty() { name.into() } else { format!("{}.{name}", self.within) };
        Self { path: format!("{}.{name}", self.path), object: self.object.clone(), within }
    }

    fn index(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), ..self.clone() }
    }

    fn object(&self, name: &str) -> Self {
        Self { path: self.path.clone(), object: name.into(), within: String::new() }
    }
}

struct Check {
    violations: Vec<String>,
}

impl Check {
    fn wrong(&mut self, place: &Place, what: impl std::fmt::Display) {
        self.violations.push(format!("{}: {what}", place.path));
    }

    fn body(&mut self, body: &Value) {
        let root = Place::root();
        let Some(members) = body.as_object() else {
            return self.wrong(&root, "the body is not a JSON object");
        };
        if let Some(error) = members.get("error") {
            for name in members.keys().filter(|name| *name != "error") {
                self.wrong(&root.field(name), "not a member of an error body");
            }
            self.error(error, &root.field("error"));
        } else if members.contains_key("object") {
            self.object(body, &root);
        } else if members.contains_key("next_page_url") {
            self.page_of_v2(members, &root);
        } else if let (Some(outcomes), 1) = (members.get("outcomes"), members.len()) {
            // Ours: what the stream answers when it is asked to tell.
            self.is(outcomes.is_array(), outcomes, &root.field("outcomes"), "an array");
        } else if !members.is_empty() {
            // The v2 meter event stream answers `{}`; everything else says what it is.
            self.wrong(&root, "no `object`, `error` or `next_page_url`");
        }
    }

    fn error(&mut self, error: &Value, place: &Place) {
        let Some(members) = error.as_object() else {
            return self.wrong(place, "is not an object");
        };
        for (name, value) in members {
            let at = place.field(name);
            if !listed(&CONTRACT["error"]["fields"], name) && name != INVALID_PARAM {
                self.wrong(&at, "not a member of an error");
            } else if value.is_object() {
                self.object(value, &at);
            } else if value.as_str().is_none_or(str::is_empty) {
                self.wrong(&at, format!("{value} is not a text (absent members are left out)"));
            }
        }
        for name in ["type", "message"] {
            if !members.contains_key(name) {
                self.wrong(&place.field(name), "is missing");
            }
        }
        if let Some(kind) = members.get("type").and_then(Value::as_str)
            && !ERROR_TYPES.contains(&kind)
        {
            self.wrong(&place.field("type"), format!("`{kind}` is not a type of error"));
        }
        if let Some(code) = members.get("code").and_then(Value::as_str)
            && !listed(&CONTRACT["error"]["codes"], code)
            && !EXTRA_CODES.iter().any(|(known, _)| *known == code)
        {
            self.wrong(&place.field("code"), format!("`{code}` is not a known code"));
        }
    }

    fn page_of_v2(&mut self, members: &Map<String, Value>, place: &Place) {
        for (name, value) in members {
            let at = place.field(name);
            match name.as_str() {
                "data" => self.items(value, &at, &serde_json::json!({"type": "any_object"})),
                "next_page_url" | "previous_page_url" if value.is_null() || value.is_string() => {}
                "next_page_url" | "previous_page_url" => self.wrong(&at, "is not a text or null"),
                _ => self.wrong(&at, "not a member of a v2 page"),
            }
        }
        if !members.contains_key("data") {
            self.wrong(&place.field("data"), "is missing");
        }
    }

    /// An object that says in `object` what it is.
    fn object(&mut self, value: &Value, place: &Place) {
        let Some(name) = value["object"].as_str() else {
            return self.wrong(place, "has no `object`");
        };
        let place = place.object(name);
        let any = serde_json::json!({"type": "any_object"});
        match name {
            "list" => return self.page(value, &place, &any),
            "search_result" => return self.search_result(value, &place),
            _ => {}
        }
        let declared = &CONTRACT["objects"][name];
        let stub_of_v2 = name.starts_with("v2.")
            && value.as_object().is_some_and(|it| it.len() == 2 && it.contains_key("id"));
        let ours = OUR_OBJECTS.iter().find(|(known, _)| *known == name);
        if let (true, Some((_, fields))) = (declared.is_null(), ours) {
            self.our_fields(value, fields, &place);
        } else if declared.is_null() {
            self.wrong(&place, format!("`{name}` is not an object of the contract"));
        } else if stub_of_v2 {
            self.value(&value["id"], &serde_json::json!({"type": "string"}), &place.field("id"));
        } else if value.get("deleted").is_none() {
            self.fields(value, &declared["fields"], &place);
        } else if declared["deleted"].is_null() {
            self.wrong(&place, format!("a {name} is never deleted"));
        } else {
            self.fields(value, &declared["deleted"], &place);
        }
    }

    fn fields(&mut self, value: &Value, declared: &Value, place: &Place) {
        let (Some(members), Some(declared)) = (value.as_object(), declared.as_object()) else {
            return self.wrong(place, format!("{value} is not an object"));
        };
        for (name, schema) in declared {
            match members.get(name) {
                Some(member) => self.value(member, schema, &place.field(name)),
                None if schema["optional"] == true => {}
                None => self.wrong(&place.field(name), "is missing"),
            }
        }
        for name in members.keys().filter(|name| !declared.contains_key(*name)) {
            let at = place.field(name);
            if !is_extra(&at) {
                self.wrong(&at, "not a field of Stripe's");
            }
        }
    }

    fn our_fields(&mut self, value: &Value, fields: &[&str], place: &Place) {
        for name in fields.iter().filter(|name| value.get(**name).is_none()) {
            self.wrong(&place.field(name), "is missing");
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let at = place.field(name);
            match fields.contains(&name.as_str()) {
                _ if name == "object" => {}
                is_ours if is_ours || is_extra(&at) => self.anything(member, &at),
                _ => self.wrong(&at, "not a field of ours"),
            }
        }
    }

    fn page(&mut self, value: &Value, place: &Place, of: &Value) {
        let envelope = serde_json::json!({
            "object": {"type": "enum", "values": ["list"]},
            "url": {"type": "string"},
            "has_more": {"type": "boolean"},
            "data": {"type": "array", "of": of},
        });
        self.fields(value, &envelope, place);
    }

    fn search_result(&mut self, value: &Value, place: &Place) {
        let envelope = serde_json::json!({
            "object": {"type": "enum", "values": ["search_result"]},
            "url": {"type": "string"},
            "has_more": {"type": "boolean"},
            "next_page": {"type": "string", "nullable": true},
            "total_count": {"type": "integer", "optional": true},
            "data": {"type": "array", "of": {"type": "any_object"}},
        });
        self.fields(value, &envelope, place);
    }

    fn items(&mut self, value: &Value, place: &Place, of: &Value) {
        let Some(items) = value.as_array() else {
            return self.wrong(place, format!("{} is not an array", brief(value)));
        };
        for (index, item) in items.iter().enumerate() {
            self.value(item, of, &place.index(index));
        }
    }

    fn value(&mut self, value: &Value, schema: &Value, place: &Place) {
        let extra = EXTRA_NULLS.iter().any(|it| it.0 == place.object && it.1 == place.within);
        if value.is_null() && (schema["nullable"] == true || extra) {
            return;
        }
        match schema["type"].as_str().unwrap_or_default() {
            "string" => self.is(value.is_string(), value, place, "a string"),
            "integer" => {
                self.is(value.is_i64() || value.is_u64(), value, place, "an integer");
            }
            "number" => self.is(value.is_number(), value, place, "a number"),
            "boolean" => self.is(value.is_boolean(), value, place, "a boolean"),
            "true" => self.is(*value == true, value, place, "true"),
            "decimal" => {
                let fits = value.as_str().is_some_and(is_decimal);
                self.is(fits, value, place, "a decimal number in a string");
            }
            "enum" => self.enumerated(value, schema, place),
            "any" => self.anything(value, place),
            "any_object" => self.object(value, place),
            "array" => self.items(value, place, &schema["of"]),
            "map" => self.map(value, schema, place),
            "struct" => self.fields(value, &schema["fields"], place),
            "list" => self.list(value, schema, place),
            "object" => self.one_of(value, schema, place),
            "expandable" if value.is_string() => {
                self.is(value != "", value, place, "an id");
            }
            "expandable" => self.one_of(value, schema, place),
            "union" => self.union(value, schema, place),
            other => self.wrong(place, format!("the contract has an unknown type `{other}`")),
        }
    }

    fn is(&mut self, fits: bool, value: &Value, place: &Place, what: &str) {
        if !fits {
            self.wrong(place, format!("{} is not {what}", brief(value)));
        }
    }

    fn enumerated(&mut self, value: &Value, schema: &Value, place: &Place) {
        let known = schema["values"].as_array().is_some_and(|values| values.contains(value));
        let extra = EXTRA_VALUES
            .iter()
            .any(|it| it.0 == place.object && it.1 == place.within && *value == it.2);
        if !known && !extra {
            self.wrong(place, format!("{} is not one of {}", brief(value), schema["values"]));
        }
    }

    /// A value of any shape: objects inside that say what they are must be what they say.
    fn anything(&mut self, value: &Value, place: &Place) {
        match value {
            Value::Object(members) if members.get("object").is_some_and(Value::is_string) => {
                self.object(value, place);
            }
            Value::Object(members) => {
                for (name, member) in members {
                    self.anything(member, &place.field(name));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.anything(item, &place.index(index));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn map(&mut self, value: &Value, schema: &Value, place: &Place) {
        let Some(members) = value.as_object() else {
            return self.wrong(place, format!("{} is not a map", brief(value)));
        };
        if place.object == "event" && place.within == "data.object" {
            return self.object(value, place);
        }
        if place.object == "event" && place.within == "data.previous_attributes" {
            // Holds only what changed, so objects within are partial.
            return;
        }
        for (name, member) in members {
            self.value(member, &schema["of"], &place.field(name));
        }
    }

    fn list(&mut self, value: &Value, schema: &Value, place: &Place) {
        if value["object"] == "list" {
            self.page(value, &place.object("list"), &schema["of"]);
        } else {
            self.wrong(place, format!("{} is not a list object", brief(value)));
        }
    }

    fn one_of(&mut self, value: &Value, schema: &Value, place: &Place) {
        let name = value["object"].as_str().unwrap_or_default();
        if listed(&schema["objects"], name) {
            self.object(value, place);
        } else {
            self.wrong(place, format!("{} is not one of {}", brief(value), schema["objects"]));
        }
    }

    fn union(&mut self, value: &Value, schema: &Value, place: &Place) {
        let mut closest: Option<Vec<String>> = None;
        for alternative in schema["of"].as_array().into_iter().flatten() {
            let mut attempt = Self { violations: Vec::new() };
            attempt.value(value, alternative, place);
            if closest.as_ref().is_none_or(|it| attempt.violations.len() < it.len()) {
                closest = Some(attempt.violations);
            }
        }
        self.violations.extend(closest.unwrap_or_default());
    }
}

fn listed(list: &Value, text: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|it| it == text))
}

/// Plain decimal notation: `12`, `-0.005`; no exponent, no bare point, no leading `+`.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

/// A value for a message, cut to a readable length.
fn brief(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
