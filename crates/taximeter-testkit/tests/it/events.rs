//! What is written to the outbox: each change once, with what it changed, and nothing of what did
//! not happen.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::support::{Written, customer, id, meter, price, subscription, written};

/// The kinds of what was written since `from` events ago.
fn kinds(events: &[Written], from: usize) -> Vec<&str> {
    events[from..].iter().map(|event| event.kind.as_str()).collect()
}

#[tokio::test]
async fn what_happens_to_a_meter_is_told_once_each() {
    for app in TestApp::everywhere().await {
        let path = format!("/v1/billing/meters/{}", meter(&app, "e", "sum", "").await);
        let made = app.read(&path).await;
        app.advance_s(7);
        app.made(&path, "").await;
        app.made(&path, "display_name=M").await;
        let renamed = app.made(&path, "display_name=N").await;
        let stopped = app.made(&format!("{path}/deactivate"), "").await;
        let started = app.made(&format!("{path}/reactivate"), "").await;
        let before = json!({ "display_name": "M", "updated": START.0 });
        let happened: Vec<_> = written(&app)
            .await
            .into_iter()
            .map(|event| (event.kind, event.object, event.previous))
            .collect();
        let expected = [
            ("billing.meter.created", made, Value::Null),
            ("billing.meter.updated", renamed, before),
            ("billing.meter.deactivated", stopped, Value::Null),
            ("billing.meter.reactivated", started, Value::Null),
        ];
        let expected = expected.map(|(kind, object, before)| (kind.to_owned(), object, before));
        assert_eq!(happened, expected);
    }
}

#[tokio::test]
async fn what_happens_to_a_customer_is_told_once_each() {
    for app in TestApp::everywhere().await {
        let form = "name=N&metadata[a]=1&metadata[b]=2&address[city]=Bonn&address[line1]=L";
        let made = app.made("/v1/customers", form).await;
        let path = format!("/v1/customers/{}", id(&made));
        app.made(&path, "name=N&metadata[a]=1").await;
        let form = "name=M&phone=7&metadata[a]=&metadata[b]=3&metadata[updated]=4\
                    &address[city]=Ulm&address[line1]=L&preferred_locales[]=de&balance=-500";
        let changed = app.made(&path, form).await;
        app.delete(&path).await;
        let events = written(&app).await;
        let expected = ["customer.created", "customer.updated", "customer.deleted"];
        assert_eq!(kinds(&events, 0), expected);
        assert_eq!([&events[0].object, &events[1].object], [&made, &changed]);
        let before = json!({
            "address": { "city": "Bonn" },
            "balance": 0,
            "metadata": { "a": "1", "b": "2", "updated": null },
            "name": "N",
            "phone": null,
            "preferred_locales": [],
        });
        assert_eq!(events[1].previous, before);
        // The last that was known of it, not the stub it leaves.
        assert_eq!(events[2].object, changed);
    }
}

#[tokio::test]
async fn an_event_shows_no_more_of_an_object_than_a_plain_read_does() {
    for app in TestApp::everywhere().await {
        let form = "currency=usd&product_data[name]=P&recurring[interval]=month\
                    &billing_scheme=tiered&tiers_mode=graduated&tiers[0][up_to]=inf\
                    &tiers[0][unit_amount]=7&expand[]=tiers&expand[]=currency_options";
        let price = app.made("/v1/prices", form).await;
        assert_eq!(price["tiers"].as_array().unwrap().len(), 1);
        let plain = app.read(&format!("/v1/prices/{}", id(&price))).await;
        let events = written(&app).await;
        let event = events.iter().find(|event| event.kind == "price.created").unwrap();
        assert_eq!(event.object, plain);
        assert_eq!(plain["tiers"], Value::Null);
    }
}

#[tokio::test]
async fn a_subscription_tells_of_itself_and_of_its_invoice() {
    for app in TestApp::everywhere().await {
        let metered = subscription(&app).await;
        let from = written(&app).await.len();
        let (price, customer) = (price(&app, "").await, customer(&app).await);
        let before = written(&app).await.len();
        assert!(before > from);
        let form = format!(
            "customer={customer}&items[0][price]={price}&collection_method=send_invoice\
             &days_until_due=7"
        );
        app.made("/v1/subscriptions", &form).await;
        let events = written(&app).await;
        let mut seen = kinds(&events, before);
        seen.sort_unstable();
        assert_eq!(seen, ["customer.subscription.created", "customer.updated", "invoice.created"]);
        let before = events.len();
        let path = format!("/v1/subscriptions/{}", id(&metered));
        app.made(&path, "metadata[a]=1").await;
        let ended = app.delete(&path).await.json();
        let events = written(&app).await;
        assert_eq!(
            kinds(&events, before),
            ["customer.subscription.updated", "customer.subscription.deleted"]
        );
        assert_eq!(events[before].previous, json!({ "metadata": { "a": null } }));
        assert_eq!(events[before + 1].object, ended);
    }
}

#[tokio::test]
async fn what_is_refused_replayed_or_only_read_tells_nothing() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let path = format!("/v1/customers/{customer}");
        let meter = meter(&app, "e", "sum", "").await;
        let key = [("idempotency-key", "k")];
        app.send("POST", &path, &key, "name=N").await;
        let before = written(&app).await.len();
        for (method, path, form, status) in [
            ("POST", path.as_str(), "name=N", 200),
            // Works, then fails to expand: all of it is undone.
            ("POST", path.as_str(), "name=M&expand[]=name", 400),
            ("POST", "/v1/customers", "name=M&expand[]=nothing", 400),
            ("POST", "/v1/products", "name=M&default_price_data[currency]=usd", 400),
            ("POST", "/v1/billing/meters", "", 400),
            ("POST", &format!("/v1/billing/meters/{meter}/reactivate"), "", 400),
            ("DELETE", "/v1/customers/cus_x", "", 404),
            ("GET", path.as_str(), "", 200),
        ] {
            let headers = if form == "name=N" { &key[..] } else { &[] };
            let answer = app.send(method, path, headers, form).await;
            assert_eq!(answer.status, status, "{method} {path} {form}");
        }
        assert_eq!(written(&app).await.len(), before);
        assert_eq!(app.read(&path).await["name"], "N");
    }
}
