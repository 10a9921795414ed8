//! How a subscription ends.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{
    self, customer, events_since, happened, id, ids, latest_event, lines, metered, monthly,
    subscribe, told, used,
};

const DAY_S: i64 = 86_400;

async fn deleted(app: &TestApp, path: &str) -> Value {
    let answer = app.delete(path).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

#[tokio::test]
async fn a_canceled_subscription_is_over_and_leaves_the_list() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&gold], "").await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        app.advance_s(7);
        let before = latest_event(&app).await;
        let query = "?cancellation_details[comment]=Bye&cancellation_details[feedback]=unused";
        let over = deleted(&app, &format!("{path}{query}")).await;
        assert_eq!(over["status"], "canceled");
        for at in ["canceled_at", "ended_at"] {
            assert_eq!(over[at], START.0 + 7, "{at}");
        }
        assert_eq!(
            over["cancellation_details"],
            json!({
                "comment": "Bye", "feedback": "unused", "feedback_option": null,
                "reason": "cancellation_requested",
            })
        );
        assert_eq!(over["latest_invoice"], sub["latest_invoice"]);
        assert_eq!(app.read(&path).await, over);
        let events = events_since(&app, Some(&before)).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["type"], "customer.subscription.deleted");
        assert_eq!(events[0]["data"]["object"], over);
        assert_eq!(app.read("/v1/subscriptions").await["data"], json!([]));
        for status in ["canceled", "all", "ended"] {
            let list = app.read(&format!("/v1/subscriptions?status={status}")).await;
            assert_eq!(ids(&list), [id(&sub)], "{status}");
        }
        // A second time there is nothing left to cancel.
        let message = format!("No such subscription: '{}'", id(&sub));
        for path in [path.clone(), format!("{path}?invoice_now=true")] {
            let again = told(&app.delete(&path).await, 404);
            assert_eq!(again, ["resource_missing", "id", message.as_str()]);
        }
    }
}

#[tokio::test]
async fn cancel_takes_its_parameters_from_the_body_too() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let sub = subscribe(&app, &customer(&app, "").await, &[&gold], "").await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        let bearer = format!("Bearer {}", app.test_key());
        let form = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let refused = app.request("DELETE", &path, &form, b"prorate=maybe").await;
        assert_eq!(told(&refused, 400)[1], "prorate");
        assert_eq!(app.read(&path).await["status"], "active");
        let body = b"cancellation_details[comment]=Bye&prorate=false";
        let over = app.request("DELETE", &path, &form, body).await.json();
        assert_eq!(over["cancellation_details"]["comment"], "Bye");
    }
}

#[tokio::test]
async fn without_invoice_now_usage_is_not_billed() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&tokens], "").await;
        used(&app, "tokens", &who, "700", START).await;
        let over = deleted(&app, &format!("/v1/subscriptions/{}", id(&sub))).await;
        assert_eq!(over["latest_invoice"], json!(null));
        assert_eq!(app.read("/v1/invoices").await["data"], json!([]));
    }
}

#[tokio::test]
async fn invoice_now_bills_the_usage_up_to_but_not_at_the_end() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let idle = shop::meter(&app, "idle").await;
        let idle = metered(&app, &idle, "Idle", "currency=usd&unit_amount=7").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let who = customer(&app, "invoice_prefix=ACME").await;
        let sub = subscribe(&app, &who, &[&gold, &idle, &tokens], "").await;
        app.advance_s(DAY_S);
        let now = app.now();
        used(&app, "tokens", &who, "1000", Timestamp(START.0 - 1)).await;
        used(&app, "tokens", &who, "700", START).await;
        used(&app, "tokens", &who, "13", Timestamp(now.0 - 1)).await;
        used(&app, "tokens", &who, "100", now).await;
        let before = latest_event(&app).await;
        let over = deleted(&app, &format!("/v1/subscriptions/{}?invoice_now=true", id(&sub))).await;
        assert_ne!(over["latest_invoice"], sub["latest_invoice"]);
        let path = format!("/v1/invoices/{}", over["latest_invoice"].as_str().unwrap());
        let invoice = app.read(&path).await;
        assert_eq!(
            [&invoice["status"], &invoice["billing_reason"]],
            ["open", "subscription_update"]
        );
        assert_eq!([&invoice["number"], &invoice["total"]], [&json!("ACME-0002"), &json!(2852)]);
        assert_eq!(
            lines(&invoice),
            [
                ("713 × Tokens (at $0.04 / month)".to_owned(), "713".to_owned(), 2852),
                ("0 × Idle (at $0.07 / month)".to_owned(), "0".to_owned(), 0),
            ]
        );
        let period = &invoice["lines"]["data"][0]["period"];
        assert_eq!(*period, json!({ "start": START.0, "end": now.0 }));
        assert_eq!([&invoice["period_start"], &invoice["period_end"]], [now.0, now.0]);
        assert_eq!(
            happened(&app, Some(&before)).await,
            [
                "invoice.created",
                "customer.subscription.deleted",
                "customer.updated",
                "invoice.finalized",
                "payment_intent.created",
                // Nothing pays it.
                "invoice.updated",
                "invoice.payment_failed",
                "customer.updated",
            ]
        );
    }
}

#[tokio::test]
async fn invoice_now_of_an_invoice_to_be_sent_leaves_a_draft() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let who = customer(&app, "").await;
        let more = "collection_method=send_invoice&days_until_due=7";
        let sub = subscribe(&app, &who, &[&tokens], more).await;
        let over = deleted(&app, &format!("/v1/subscriptions/{}?invoice_now=true", id(&sub))).await;
        let path = format!("/v1/invoices/{}", over["latest_invoice"].as_str().unwrap());
        let invoice = app.read(&path).await;
        assert_eq!([&invoice["status"], &invoice["number"]], [&json!("draft"), &json!(null)]);
        // Canceled in the second in which it began, it bills a period of no length.
        assert_eq!(lines(&invoice)[0].2, 0);
    }
}

#[tokio::test]
async fn with_nothing_metered_there_is_nothing_to_bill_now() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let sub = subscribe(&app, &customer(&app, "").await, &[&gold], "").await;
        let over = deleted(&app, &format!("/v1/subscriptions/{}?invoice_now=true", id(&sub))).await;
        assert_eq!(over["latest_invoice"], sub["latest_invoice"]);
    }
}

#[tokio::test]
async fn deleting_a_customer_cancels_its_subscriptions() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let who = customer(&app, "").await;
        let subs = [
            id(&subscribe(&app, &who, &[&gold], "").await),
            id(&subscribe(&app, &who, &[&gold], "").await),
        ];
        let before = latest_event(&app).await;
        deleted(&app, &format!("/v1/customers/{who}")).await;
        for sub in &subs {
            let over = app.read(&format!("/v1/subscriptions/{sub}")).await;
            assert_eq!([&over["status"], &over["ended_at"]], [&json!("canceled"), &json!(START.0)]);
        }
        assert_eq!(
            happened(&app, Some(&before)).await,
            ["customer.subscription.deleted", "customer.subscription.deleted", "customer.deleted"]
        );
    }
}

#[tokio::test]
async fn a_customer_deleted_while_a_subscription_is_canceled_ends_it_once() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        for _ in 0..7 {
            let who = customer(&app, "").await;
            let sub = id(&subscribe(&app, &who, &[&tokens], "").await);
            let before = latest_event(&app).await;
            let cancel = format!("/v1/subscriptions/{sub}?invoice_now=true");
            let delete = format!("/v1/customers/{who}");
            let (cancel, delete) = tokio::join!(app.delete(&cancel), app.delete(&delete));
            assert_eq!(delete.status, 200, "{}", delete.json());
            assert!([200, 404].contains(&cancel.status), "{}", cancel.json());
            let happened = happened(&app, Some(&before)).await;
            let ended = happened.iter().filter(|kind| *kind == "customer.subscription.deleted");
            assert_eq!(ended.count(), 1);
        }
    }
}

#[tokio::test]
async fn a_subscription_canceled_twice_at_once_is_billed_once() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=100").await;
        let who = customer(&app, "").await;
        for invoices in 1..=7 {
            let sub = id(&subscribe(&app, &who, &[&tokens], "").await);
            app.advance_s(1);
            let path = format!("/v1/subscriptions/{sub}?invoice_now=true");
            let (one, other) = tokio::join!(app.delete(&path), app.delete(&path));
            let mut statuses = [one.status, other.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 404]);
            let list = app.read(&format!("/v1/invoices?customer={who}")).await;
            assert_eq!(ids(&list).len(), invoices);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_renewed_can_be_canceled() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let dear = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=99999999").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&dear], "").await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        used(&app, "tokens", &who, "999999999999999", Timestamp(START.0 + 1)).await;
        app.advance_s(32 * DAY_S);
        // More than can be billed.
        shop::refused(&app, &path, "metadata[a]=1").await;
        told(&app.delete(&format!("{path}?invoice_now=true")).await, 400);
        let over = deleted(&app, &path).await;
        assert_eq!([&over["status"], &over["latest_invoice"]], [&json!("canceled"), &Value::Null]);
        app.work().await;
    }
}
