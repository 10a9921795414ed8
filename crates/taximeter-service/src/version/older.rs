//! How answers looked before 2025-03-31 (basil) and 2025-09-30 (clover): one function per object that
//! changed.

use serde_json::{Map, Value, json};

use super::{ApiVersion, BASIL, CLOVER};

/// Turns an answer of the newest version into one of `version`.
pub fn render(answer: &mut Value, version: &ApiVersion) {
    if version.is_before(BASIL) {
        visit(answer, &before_basil);
    }
    if version.is_before(CLOVER) {
        visit(answer, &before_clover);
    }
}

/// Whether `version` shows the object whole whose id the newest version shows there.
pub(crate) fn shows_whole(object: &str, path: &str, version: &ApiVersion) -> bool {
    match (object, path) {
        ("line_item" | "invoiceitem", "pricing.price_details.price") => version.is_before(BASIL),
        ("discount", "source.coupon") | ("promotion_code", "promotion.coupon") => {
            version.is_before(CLOVER)
        }
        _ => false,
    }
}

/// Properties that had other places, as paths within the newest version's object.
pub(crate) fn moved(object: &str, version: &ApiVersion) -> &'static [(&'static str, &'static str)] {
    match object {
        "discount" if version.is_before(CLOVER) => &[("coupon", "source.coupon")],
        "promotion_code" if version.is_before(CLOVER) => &[("coupon", "promotion.coupon")],
        _ if !version.is_before(BASIL) => &[],
        "invoice" => &[("subscription", "parent.subscription_details.subscription")],
        "line_item" | "invoiceitem" => &[("price", "pricing.price_details.price")],
        _ => &[],
    }
}

/// Whether a property that the newest version does not have could be expanded in `version`.
pub(crate) fn is_expandable(object: &str, property: &str, version: &ApiVersion) -> bool {
    let gone = matches!(
        (object, property),
        ("invoice", "charge" | "discount" | "payment_intent" | "quote")
            | ("subscription", "discount")
            | ("line_item", "plan" | "tax_rates")
    );
    let moved = moved(object, version).iter().any(|(name, _)| *name == property);
    moved || (gone && version.is_before(BASIL))
}

/// Calls `change` on every object, innermost first.
fn visit(value: &mut Value, change: &dyn Fn(&str, &mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        // An event tells of its object as it was told when it happened, whoever reads it.
        Value::Object(members) if members.get("object").is_some_and(|it| it == "event") => {}
        Value::Object(members) => {
            members.values_mut().for_each(|member| visit(member, change));
            if let Some(object) = members.get("object").and_then(Value::as_str) {
                let object = object.to_owned();
                change(&object, members);
            }
        }
        _ => {}
    }
}

fn before_basil(object: &str, members: &mut Map<String, Value>) {
    match object {
        "subscription" => subscription(members),
        "invoice" => invoice(members),
        "line_item" => line_item(members),
        "invoiceitem" => invoice_item(members),
        "credit_note" => credit_note(members),
        _ => {}
    }
}

/// The mode in which a subscription is billed has a name since 2025-06; what follows flexible
/// mode's settings came with clover.
fn before_clover(object: &str, members: &mut Map<String, Value>) {
    match object {
        "subscription" => {
            members.remove("billing_schedules");
        }
        "subscription_schedule" => {
            members.remove("pause_schedules");
        }
        "discount" => coupon_itself(members, "source"),
        "promotion_code" => coupon_itself(members, "promotion"),
        _ => {}
    }
}

/// A coupon stood on what it was redeemed for, whole, and not as the one kind of source there is.
fn coupon_itself(members: &mut Map<String, Value>, source: &str) {
    if let Some(source) = members.remove(source) {
        members.insert("coupon".into(), source["coupon"].clone());
    }
}

/// The period stood on the subscription: from the last item to begin to the first to end.
fn subscription(members: &mut Map<String, Value>) {
    let bounds = |name: &str| -> Vec<i64> {
        let items = members.get("items").and_then(|items| items["data"].as_array());
        items.into_iter().flatten().filter_map(|item| item[name].as_i64()).collect()
    };
    let start = bounds("current_period_start").into_iter().max();
    let end = bounds("current_period_end").into_iter().min();
    members.insert("current_period_start".into(), json!(start));
    members.insert("current_period_end".into(), json!(end));
    members.insert("discount".into(), Value::Null);
}

/// What an invoice is for stood on the invoice itself, and so did how it was paid.
fn invoice(members: &mut Map<String, Value>) {
    let parent = members.remove("parent").unwrap_or(Value::Null);
    let details = &parent["subscription_details"];
    let is_subscription = details.is_object();
    members.insert("subscription".into(), details["subscription"].clone());
    let metadata = if is_subscription { details["metadata"].clone() } else { Value::Null };
    members.insert("subscription_details".into(), json!({ "metadata": metadata }));
    members.insert("subscription_proration_date".into(), Value::Null);
    members.insert("quote".into(), Value::Null);
    members.insert("paid".into(), json!(members.get("status") == Some(&json!("paid"))));
    members.insert("paid_out_of_band".into(), false.into());
    let charge =
        members.get("payment_intent").map_or(Value::Null, |it| it["latest_charge"].clone());
    members.insert("charge".into(), charge);
    // Whoever reads an invoice puts it in; an event does not tell of it.
    members.entry("payment_intent").or_insert(Value::Null);
    for null in ["application_fee_amount", "transfer_data"] {
        members.insert(null.into(), Value::Null);
    }
    members.insert("discount".into(), Value::Null);
    let taxes = members.remove("total_taxes").unwrap_or(Value::Null);
    let sum: i64 =
        taxes.as_array().into_iter().flatten().filter_map(|t| t["amount"].as_i64()).sum();
    let any = taxes.as_array().is_some_and(|taxes| !taxes.is_empty());
    members.insert("tax".into(), if any { json!(sum) } else { Value::Null });
    members.insert("total_tax_amounts".into(), tax_amounts(&taxes));
    for newer in ["amount_overpaid", "payments", "confirmation_secret"] {
        members.remove(newer);
    }
}

/// A line named its price, plan and item directly.
fn line_item(members: &mut Map<String, Value>) {
    let parent = members.remove("parent").unwrap_or(Value::Null);
    let pricing = members.remove("pricing").unwrap_or(Value::Null);
    let kind =
        if parent["type"] == "invoice_item_details" { "invoiceitem" } else { "subscription" };
    let own =
        if kind == "invoiceitem" { "invoice_item_details" } else { "subscription_item_details" };
    let details = &parent[own];
    let price = pricing["price_details"]["price"].clone();
    let unit = pricing["unit_amount_decimal"].clone();
    members.insert("type".into(), kind.into());
    if details["invoice_item"].is_string() {
        members.insert("invoice_item".into(), details["invoice_item"].clone());
    }
    members.insert("plan".into(), plan_of(&price));
    members.insert("price".into(), price);
    members.insert("proration".into(), details["proration"].clone());
    members.insert("proration_details".into(), details["proration_details"].clone());
    members.insert("subscription_item".into(), details["subscription_item"].clone());
    members.insert("unit_amount_excluding_tax".into(), unit);
    let amount = members.get("amount").cloned().unwrap_or(Value::Null);
    members.insert("amount_excluding_tax".into(), amount);
    let taxes = members.remove("taxes").unwrap_or(Value::Null);
    members.insert("tax_amounts".into(), tax_amounts(&taxes));
    members.insert("tax_rates".into(), json!([]));
    for newer in ["quantity_decimal", "subtotal"] {
        members.remove(newer);
    }
}

/// An invoice item named its price and subscription directly.
fn invoice_item(members: &mut Map<String, Value>) {
    let parent = members.remove("parent").unwrap_or(Value::Null);
    let pricing = members.remove("pricing").unwrap_or(Value::Null);
    let details = &parent["subscription_details"];
    let price = pricing["price_details"]["price"].clone();
    let unit = pricing["unit_amount_decimal"].clone();
    let whole = unit.as_str().and_then(|unit| unit.parse::<i64>().ok());
    members.insert("plan".into(), Value::Null);
    members.insert("price".into(), price);
    members.insert("subscription".into(), details["subscription"].clone());
    if details["subscription_item"].is_string() {
        members.insert("subscription_item".into(), details["subscription_item"].clone());
    }
    members.insert("unit_amount".into(), json!(whole));
    members.insert("unit_amount_decimal".into(), unit);
    for newer in ["net_amount", "proration_details", "quantity_decimal"] {
        members.remove(newer);
    }
}

/// A credit note had one refund, and taxes of another form.
fn credit_note(members: &mut Map<String, Value>) {
    let refunds = members.remove("refunds").unwrap_or(Value::Null);
    members.insert("refund".into(), refunds[0]["refund"].clone());
    let taxes = members.remove("total_taxes").unwrap_or(Value::Null);
    members.insert("tax_amounts".into(), tax_amounts(&taxes));
}

/// Taxes as they were told of before basil.
fn tax_amounts(taxes: &Value) -> Value {
    let amount = |tax: &Value| {
        json!({
            "amount": tax["amount"],
            "inclusive": tax["tax_behavior"] == "inclusive",
            "tax_rate": tax["tax_rate_details"]["tax_rate"],
            "taxability_reason": tax["taxability_reason"],
            "taxable_amount": tax["taxable_amount"],
        })
    };
    taxes.as_array().into_iter().flatten().map(amount).collect()
}

/// The plan that a price was, from what its wire form says.
fn plan_of(price: &Value) -> Value {
    if !price.is_object() {
        return Value::Null;
    }
    let recurring = &price["recurring"];
    json!({
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "aggregate_usage": null,
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": recurring["trial_period_days"],
        "usage_type": recurring["usage_type"],
    })
}
