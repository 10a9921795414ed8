//! What tests of billing start from: customers, meters, prices and usage, each in one line.

use serde_json::Value;
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{Response, TestApp};

/// The id of an object.
pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// The ids of a list, in its order.
pub(crate) fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(id).collect()
}

/// Makes a customer.
pub(crate) async fn customer(app: &TestApp, form: &str) -> String {
    id(&app.made("/v1/customers", form).await)
}

/// Makes a customer whose invoices are paid by a card.
pub(crate) async fn payer(app: &TestApp, form: &str) -> String {
    let who = customer(app, form).await;
    let attach = format!("customer={who}");
    let method = app.made("/v1/payment_methods/pm_card_visa/attach", &attach).await;
    let form = format!("invoice_settings[default_payment_method]={}", id(&method));
    app.made(&format!("/v1/customers/{who}"), &form).await;
    who
}

/// Makes a meter that sums, for events of this name.
pub(crate) async fn meter(app: &TestApp, event_name: &str) -> String {
    let form = format!(
        "display_name=Meter&event_name={event_name}&default_aggregation[formula]=sum\
         &customer_mapping[event_payload_key]=stripe_customer_id&customer_mapping[type]=by_id\
         &value_settings[event_payload_key]=value"
    );
    id(&app.made("/v1/billing/meters", &form).await)
}

/// Makes a price of `terms` that recurs monthly: `currency=usd&unit_amount=1000`.
pub(crate) async fn monthly(app: &TestApp, name: &str, terms: &str) -> String {
    let form = format!("{terms}&recurring[interval]=month&product_data[name]={name}");
    id(&app.made("/v1/prices", &form).await)
}

/// Makes a monthly price of `terms` for what a meter counts.
pub(crate) async fn metered(app: &TestApp, meter: &str, name: &str, terms: &str) -> String {
    let usage = format!("recurring[usage_type]=metered&recurring[meter]={meter}");
    monthly(app, name, &format!("{terms}&{usage}")).await
}

/// Makes a subscription, with whatever follows the customer and the items' prices in the form.
pub(crate) async fn subscribe(app: &TestApp, customer: &str, prices: &[&str], more: &str) -> Value {
    app.made("/v1/subscriptions", &subscription(customer, prices, more)).await
}

/// The form of [`subscribe`].
pub(crate) fn subscription(customer: &str, prices: &[&str], more: &str) -> String {
    let mut form = format!("customer={customer}");
    for (index, price) in prices.iter().enumerate() {
        form.push_str(&format!("&items[{index}][price]={price}"));
    }
    if !more.is_empty() {
        form.push_str(&format!("&{more}"));
    }
    form
}

/// Records usage.
pub(crate) async fn used(
    app: &TestApp,
    event_name: &str,
    customer: &str,
    value: &str,
    at: Timestamp,
) {
    let form = format!(
        "event_name={event_name}&payload[stripe_customer_id]={customer}&payload[value]={value}\
         &timestamp={}",
        at.0
    );
    app.made("/v1/billing/meter_events", &form).await;
}

/// Previews the next invoice of a subscription.
pub(crate) async fn preview(app: &TestApp, subscription: &Value) -> Value {
    app.made("/v1/invoices/create_preview", &format!("subscription={}", id(subscription))).await
}

/// The lines of an invoice: description, quantity and amount.
pub(crate) fn lines(invoice: &Value) -> Vec<(String, String, i64)> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    let line = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("description"), text("quantity_decimal"), line["amount"].as_i64().unwrap())
    };
    lines.iter().map(line).collect()
}

/// Takes what a refusal says: `[code, param, message]`, empty where it says nothing.
pub(crate) fn told(response: &Response, status: u16) -> [String; 3] {
    let body = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, status, "{body}");
    let error = &response.json()["error"];
    ["code", "param", "message"].map(|name| error[name].as_str().unwrap_or("").to_owned())
}

/// Posts what must be refused, and takes `[code, param, message]`.
pub(crate) async fn refused(app: &TestApp, path: &str, form: &str) -> [String; 3] {
    told(&app.post(path, form).await, 400)
}

/// The types of what happened since the event `after`, oldest first.
pub(crate) async fn happened(app: &TestApp, after: Option<&str>) -> Vec<String> {
    let events = events_since(app, after).await;
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// What happened since the event `after`, oldest first.
pub(crate) async fn events_since(app: &TestApp, after: Option<&str>) -> Vec<Value> {
    let since = after.map_or(String::new(), |id| format!("&ending_before={id}"));
    let list = app.read(&format!("/v1/events?limit=100{since}")).await;
    list["data"].as_array().unwrap().iter().rev().cloned().collect()
}

/// The latest event.
pub(crate) async fn latest_event(app: &TestApp) -> String {
    id(&app.read("/v1/events?limit=1").await["data"][0])
}

/// A text as a value of a URL's query, every byte escaped.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
