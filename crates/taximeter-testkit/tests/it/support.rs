//! What the tests of the API share.

use serde_json::Value;
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_testkit::{Response, START, TestApp};

/// An error in one line: status, type unless it is `invalid_request_error`, code, param, message.
/// `400 parameter_missing currency: Missing required param: currency.`
pub(crate) fn error(response: &Response) -> String {
    let body = response.json();
    let error = &body["error"];
    assert!(error.is_object(), "{} {body}", response.status);
    let word = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
    let kind = match word("type").as_str() {
        "invalid_request_error" => String::new(),
        other => format!("{other} "),
    };
    let param = if error["invalid_param"].is_string() { "invalid_param" } else { "param" };
    let (code, param, message) = (word("code"), word(param), word("message"));
    format!("{} {kind}{code} {param}: {message}", response.status)
}

/// Sends forms that must be refused: path, form, the error as [`error`] writes it.
pub(crate) async fn refused(app: &TestApp, cases: &[(&str, &str, &str)]) {
    for (path, form, expected) in cases {
        assert_eq!(error(&app.post(path, form).await), *expected, "{path} {form}");
    }
}

/// Reads what must be refused: path with its query, the error as [`error`] writes it.
pub(crate) async fn unreadable(app: &TestApp, cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(error(&app.get(path).await), *expected, "{path}");
    }
}

/// The id of an object.
pub(crate) fn id(object: &Value) -> &str {
    object["id"].as_str().expect("an object with an id")
}

/// The ids of a list's objects, in its order.
pub(crate) fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().expect("a list").iter().map(|object| id(object).to_owned()).collect()
}

/// A meter for events of a name, and the id of its own.
pub(crate) async fn meter(app: &TestApp, event_name: &str, formula: &str, more: &str) -> String {
    let form = format!(
        "display_name=M&event_name={event_name}&default_aggregation[formula]={formula}{more}"
    );
    id(&app.made("/v1/billing/meters", &form).await).to_owned()
}

/// A new customer's id.
pub(crate) async fn customer(app: &TestApp) -> String {
    id(&app.made("/v1/customers", "").await).to_owned()
}

/// The total of the day in which every test begins, and the days around it.
pub(crate) async fn total(app: &TestApp, meter: &str, customer: &str) -> Value {
    let hour = START.0 - START.0 % 3_600;
    let (start, end) = (hour - 40 * 86_400, hour + 86_400);
    let list = app
        .read(&format!(
            "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
             &end_time={end}"
        ))
        .await;
    list["data"][0]["aggregated_value"].clone()
}

/// A price of a product of its own, recurring monthly unless `more` says otherwise.
pub(crate) async fn price(app: &TestApp, more: &str) -> String {
    let form = format!(
        "currency=usd&unit_amount=700&product_data[name]=P&recurring[interval]=month{more}"
    );
    id(&app.made("/v1/prices", &form).await).to_owned()
}

/// A subscription of a new customer to a metered price: there is nothing to pay at its start.
pub(crate) async fn subscription(app: &TestApp) -> Value {
    let meter = meter(app, "of_subscription", "sum", "").await;
    let metered = format!("&recurring[usage_type]=metered&recurring[meter]={meter}");
    let (price, customer) = (price(app, &metered).await, customer(app).await);
    app.made("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}")).await
}

/// An event as the outbox holds it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) kind: String,
    pub(crate) object: Value,
    pub(crate) previous: Value,
    pub(crate) idempotency_key: Option<String>,
}

impl Row for Written {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        let json = |text: &str| serde_json::from_str(text).expect("JSON");
        let object: String = cells.get("object")?;
        let previous: Option<String> = cells.get("previous_attributes")?;
        Ok(Self {
            kind: cells.get("type")?,
            object: json(&object),
            previous: previous.map_or(Value::Null, |text| json(&text)),
            idempotency_key: cells.get("idempotency_key")?,
        })
    }
}

/// Every event that was written, oldest first.
pub(crate) async fn written(app: &TestApp) -> Vec<Written> {
    let mut tx = app.services().db.begin_read().await.expect("a transaction");
    let sql = "SELECT type, object, previous_attributes, idempotency_key FROM events \
               WHERE account = $1 ORDER BY seq LIMIT 1000";
    tx.rows(sql, vec![Arg::from(app.account())]).await.expect("the events")
}
