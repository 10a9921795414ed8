//! Changes that wait until they are paid.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::proration::{april, latest, moved};
use crate::shop::{customer, events_since, id, latest_event, lines, monthly, refused, subscribe};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const FAILS: &str = "pm_card_chargeCustomerFail";
const WAITS: &str = "payment_behavior=pending_if_incomplete&proration_behavior=always_invoice";

async fn pays_with(app: &TestApp, who: &str, card: &str) -> String {
    let path = format!("/v1/payment_methods/{card}/attach");
    let method = id(&app.made(&path, &format!("customer={who}")).await);
    let form = format!("invoice_settings[default_payment_method]={method}");
    app.made(&format!("/v1/customers/{who}"), &form).await;
    method
}

/// A seat for 10.00 a month at half of its period, and a card that is declined from then on.
struct Half {
    clock: String,
    who: String,
    item: String,
    path: String,
}

impl Half {
    async fn of(app: &TestApp, more: &str) -> Self {
        let (clock, who) = april(app).await;
        let seat = monthly(app, "Seat", "currency=usd&unit_amount=1000").await;
        let sub = subscribe(app, &who, &[&seat], more).await;
        moved(app, &clock, 15 * DAY).await;
        pays_with(app, &who, FAILS).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        Self { clock, who, item: id(&sub["items"]["data"][0]), path }
    }

    async fn sub(&self, app: &TestApp) -> Value {
        app.read(&self.path).await
    }

    async fn now(&self, app: &TestApp) -> i64 {
        let clock = app.read(&format!("/v1/test_helpers/test_clocks/{}", self.clock)).await;
        clock["frozen_time"].as_i64().unwrap()
    }

    fn seats(&self, quantity: i64) -> String {
        format!("items[0][id]={}&items[0][quantity]={quantity}&{WAITS}", self.item)
    }

    /// Pays the invoice that it waits for.
    async fn pay(&self, app: &TestApp) -> Value {
        let invoice = latest_of(&self.sub(app).await);
        let method = pays_with(app, &self.who, "pm_card_visa").await;
        let form = format!("payment_method={method}");
        app.made(&format!("/v1/invoices/{invoice}/pay"), &form).await
    }
}

fn latest_of(sub: &Value) -> String {
    sub["latest_invoice"].as_str().unwrap().to_owned()
}

fn quantities(sub: &Value) -> Vec<i64> {
    let items = sub["items"]["data"].as_array().unwrap();
    items.iter().map(|item| item["quantity"].as_i64().unwrap()).collect()
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let mut amounts: Vec<i64> = lines(invoice).into_iter().map(|line| line.2).collect();
    amounts.sort_unstable();
    amounts
}

/// The types of what happened to subscriptions and invoices since an event.
async fn happened(app: &TestApp, after: &str) -> Vec<String> {
    let events = events_since(app, Some(after)).await;
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap().to_owned());
    kinds.filter(|kind| kind.starts_with("customer.sub") || kind.starts_with("invoice.")).collect()
}

#[tokio::test]
async fn a_change_that_is_declined_waits_until_its_invoice_is_paid() {
    for app in TestApp::everywhere().await {
        let half = Half::of(&app, "").await;
        let now = half.now(&app).await;
        let before = latest_event(&app).await;
        let sub = app.made(&half.path, &half.seats(2)).await;
        assert_eq!(quantities(&sub), [1], "nothing changed yet");
        assert_eq!(sub["status"], "active");
        let update = &sub["pending_update"];
        assert_eq!(update["expires_at"], now + 23 * HOUR);
        assert_eq!(update["subscription_items"][0]["id"], json!(half.item));
        assert_eq!(update["subscription_items"][0]["quantity"], 2);
        assert_eq!(update["billing_cycle_anchor"], json!(null));
        assert_eq!(half.sub(&app).await, sub);
        let open = app.read(&format!("/v1/invoices/{}", latest_of(&sub))).await;
        assert_eq!((&open["status"], &open["amount_due"]), (&json!("open"), &json!(500)));
        assert_eq!(open["auto_advance"], false);
        assert_eq!(amounts(&open), [-500, 1_000]);
        assert_eq!(
            happened(&app, &before).await,
            [
                "invoice.created",
                "customer.subscription.updated",
                "invoice.finalized",
                "invoice.updated",
                "invoice.payment_failed",
                "customer.subscription.updated",
            ]
        );

        let before = latest_event(&app).await;
        assert_eq!(half.pay(&app).await["status"], "paid");
        let sub = half.sub(&app).await;
        assert_eq!(quantities(&sub), [2]);
        assert_eq!(sub["pending_update"], json!(null));
        let told = happened(&app, &before).await;
        assert_eq!(
            told[told.len() - 2..],
            ["customer.subscription.updated", "customer.subscription.pending_update_applied"]
        );
        moved(&app, &half.clock, 15 * DAY).await;
        assert_eq!(amounts(&latest(&app, &id(&sub)).await), [2_000], "and nothing twice");
    }
}

#[tokio::test]
async fn a_change_that_is_paid_at_once_never_waits() {
    for app in TestApp::everywhere().await {
        let half = Half::of(&app, "").await;
        pays_with(&app, &half.who, "pm_card_visa").await;
        let before = latest_event(&app).await;
        let sub = app.made(&half.path, &half.seats(2)).await;
        assert_eq!(quantities(&sub), [2]);
        assert_eq!(sub["pending_update"], json!(null));
        assert_eq!(latest(&app, &id(&sub)).await["amount_paid"], 500);
        let events = events_since(&app, Some(&before)).await;
        for event in &events {
            assert!(!event["type"].as_str().unwrap().contains("pending_update"), "{event}");
            assert_eq!(event["data"]["object"]["pending_update"], json!(null));
        }
        moved(&app, &half.clock, 15 * DAY).await;
        assert_eq!(amounts(&latest(&app, &id(&sub)).await), [2_000]);
    }
}

#[tokio::test]
async fn a_change_that_brings_credit_or_nothing_to_pay_is_made() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "items[0][quantity]=3").await;
    let sub = app.made(&half.path, &half.seats(1)).await;
    assert_eq!((quantities(&sub), &sub["pending_update"]), (vec![1], &json!(null)));
    assert_eq!(latest(&app, &id(&sub)).await["total"], -1_000);
    // It waits for the next invoice, not for a payment.
    let form = "payment_behavior=pending_if_incomplete&proration_behavior=create_prorations";
    let form = format!("items[0][id]={}&items[0][quantity]=7&{form}&metadata[a]=1", half.item);
    let sub = app.made(&half.path, &form).await;
    assert_eq!((quantities(&sub), &sub["metadata"]["a"]), (vec![7], &json!("1")));
}

#[tokio::test]
async fn a_change_that_is_not_paid_in_23_hours_is_given_up() {
    for app in TestApp::everywhere().await {
        let half = Half::of(&app, "").await;
        let open = latest_of(&app.made(&half.path, &half.seats(2)).await);
        moved(&app, &half.clock, 23 * HOUR - 1).await;
        assert!(half.sub(&app).await["pending_update"].is_object());
        let before = latest_event(&app).await;
        moved(&app, &half.clock, 1).await;
        let sub = half.sub(&app).await;
        assert_eq!((quantities(&sub), &sub["pending_update"]), (vec![1], &json!(null)));
        assert_eq!(sub["status"], "active");
        assert_eq!(app.read(&format!("/v1/invoices/{open}")).await["status"], "void");
        assert_eq!(
            happened(&app, &before).await,
            [
                "customer.subscription.updated",
                "customer.subscription.pending_update_expired",
                "invoice.updated",
                "invoice.voided",
            ]
        );
        moved(&app, &half.clock, 15 * DAY - 23 * HOUR).await;
        assert_eq!(amounts(&latest(&app, &id(&sub)).await), [1_000], "nothing is left of it");
    }
}

#[tokio::test]
async fn a_change_waits_no_longer_than_the_period_it_is_in() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "").await;
    moved(&app, &half.clock, 15 * DAY - HOUR).await;
    let end = half.now(&app).await + HOUR;
    let sub = app.made(&half.path, &half.seats(101)).await;
    assert_eq!(sub["pending_update"]["expires_at"], end);
    moved(&app, &half.clock, HOUR).await;
    let sub = half.sub(&app).await;
    assert_eq!((quantities(&sub), &sub["pending_update"]), (vec![1], &json!(null)));
    let renewal = latest(&app, &id(&sub)).await;
    assert_eq!(
        (&renewal["billing_reason"], amounts(&renewal)),
        (&json!("subscription_cycle"), vec![1_000])
    );
}

#[tokio::test]
async fn another_change_gives_up_the_one_that_waits() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "").await;
    let first = latest_of(&app.made(&half.path, &half.seats(2)).await);
    // What is said about it is no such change.
    let sub = app.made(&half.path, "description=Team").await;
    assert!(sub["pending_update"].is_object());
    let second = app.made(&half.path, &half.seats(3)).await;
    assert_eq!(second["pending_update"]["subscription_items"][0]["quantity"], 3);
    assert_eq!(app.read(&format!("/v1/invoices/{first}")).await["status"], "void");
    assert_eq!(amounts(&latest(&app, &id(&second)).await), [-500, 1_500]);
    let third = app.made(&half.path, "cancel_at_period_end=true").await;
    assert_eq!(third["pending_update"], json!(null));
    let void = app.read(&format!("/v1/invoices/{}", latest_of(&second))).await;
    assert_eq!(void["status"], "void");
}

#[tokio::test]
async fn taking_its_invoice_back_or_ending_gives_up_a_change_that_waits() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "").await;
    let open = latest_of(&app.made(&half.path, &half.seats(2)).await);
    app.made(&format!("/v1/invoices/{open}/void"), "").await;
    let sub = half.sub(&app).await;
    assert_eq!((quantities(&sub), &sub["pending_update"]), (vec![1], &json!(null)));
    let open = latest_of(&app.made(&half.path, &half.seats(2)).await);
    let over = app.delete(&half.path).await.json();
    assert_eq!((&over["status"], &over["pending_update"]), (&json!("canceled"), &json!(null)));
    assert_eq!(app.read(&format!("/v1/invoices/{open}")).await["status"], "void");
}

#[tokio::test]
async fn periods_that_begin_anew_with_a_payment_begin_when_they_were_asked_for() {
    for app in TestApp::everywhere().await {
        let half = Half::of(&app, "").await;
        let asked = half.now(&app).await;
        let form = format!("billing_cycle_anchor=now&metadata[why]=early&{WAITS}");
        let sub = app.made(&half.path, &form).await;
        assert_eq!(sub["billing_cycle_anchor"], asked - 15 * DAY);
        assert_eq!(sub["pending_update"]["billing_cycle_anchor"], asked);
        assert_eq!(sub["pending_update"]["metadata"], json!({ "why": "early" }));
        assert_eq!(amounts(&latest(&app, &id(&sub)).await), [-500, 1_000]);
        moved(&app, &half.clock, 2 * HOUR).await;
        let invoice = latest_of(&sub);
        app.made(&format!("/v1/invoices/{invoice}/pay"), "paid_out_of_band=true").await;
        let sub = half.sub(&app).await;
        assert_eq!(sub["billing_cycle_anchor"], asked);
        assert_eq!(sub["metadata"], json!({ "why": "early" }));
        let item = &sub["items"]["data"][0];
        assert_eq!(item["current_period_start"], asked);
        assert_eq!(item["current_period_end"], asked + 30 * DAY);
        // What was charged then is what a later change gives back.
        pays_with(&app, &half.who, "pm_card_visa").await;
        moved(&app, &half.clock, 15 * DAY - 2 * HOUR).await;
        app.made(&half.path, &half.seats(2)).await;
        assert_eq!(amounts(&latest(&app, &id(&sub)).await), [-500, 1_000]);
    }
}

#[tokio::test]
async fn a_trial_that_is_to_end_goes_on_until_that_is_paid() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "trial_period_days=30").await;
    let asked = half.now(&app).await;
    let sub = app.made(&half.path, &format!("trial_end=now&{WAITS}")).await;
    assert_eq!(sub["status"], "trialing");
    assert_eq!(sub["pending_update"]["trial_end"], asked);
    moved(&app, &half.clock, HOUR).await;
    assert_eq!(half.pay(&app).await["amount_paid"], 1_000);
    let sub = half.sub(&app).await;
    assert_eq!(sub["status"], "active");
    assert_eq!((&sub["trial_end"], &sub["billing_cycle_anchor"]), (&json!(asked), &json!(asked)));
    assert_eq!(sub["items"]["data"][0]["current_period_start"], asked);
}

#[tokio::test]
async fn items_and_what_is_sold_once_come_with_the_payment() {
    for app in TestApp::everywhere().await {
        let half = Half::of(&app, "").await;
        let more = monthly(&app, "More", "currency=usd&unit_amount=300").await;
        let setup = "currency=usd&unit_amount=700&product_data[name]=Setup";
        let setup = id(&app.made("/v1/prices", setup).await);
        let form = format!(
            "items[0][id]={}&items[0][deleted]=true&items[1][price]={more}\
             &items[1][quantity]=7&add_invoice_items[0][price]={setup}&{WAITS}",
            half.item
        );
        let sub = app.made(&half.path, &form).await;
        assert_eq!(quantities(&sub), [1]);
        // Half of 10.00 back, half of 21.00, and the setup.
        let open = latest(&app, &id(&sub)).await;
        assert_eq!((amounts(&open), &open["total"]), (vec![-500, 700, 1_050], &json!(1_250)));
        half.pay(&app).await;
        let sub = half.sub(&app).await;
        assert_eq!(quantities(&sub), [7]);
        assert_eq!(sub["items"]["data"][0]["price"]["id"], json!(more));
        assert_eq!(app.get(&format!("/v1/subscription_items/{}", half.item)).await.status, 404);
        moved(&app, &half.clock, 15 * DAY).await;
        assert_eq!(amounts(&latest(&app, &id(&sub)).await), [2_100]);
    }
}

#[tokio::test]
async fn one_item_can_wait_as_well() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "").await;
    let more = monthly(&app, "More", "currency=usd&unit_amount=300").await;
    let sub = id(&half.sub(&app).await);
    let form = format!("subscription={sub}&price={more}&quantity=7&{WAITS}");
    let added = app.made("/v1/subscription_items", &form).await;
    assert_eq!((&added["quantity"], &added["price"]["id"]), (&json!(7), &json!(more)));
    let path = format!("/v1/subscription_items/{}", id(&added));
    assert_eq!(app.get(&path).await.status, 404, "it is not there before it is paid for");
    half.pay(&app).await;
    assert_eq!(app.read(&path).await["quantity"], 7);
    pays_with(&app, &half.who, FAILS).await;
    let changed = app.made(&path, &format!("quantity=13&{WAITS}")).await;
    assert_eq!(changed["quantity"], 7);
    half.pay(&app).await;
    assert_eq!(app.read(&path).await["quantity"], 13);
}

#[tokio::test]
async fn only_what_is_paid_for_can_wait() {
    let app = TestApp::start().await;
    let half = Half::of(&app, "").await;
    let before = half.sub(&app).await;
    let item = format!("items[0][id]={}", half.item);
    for (form, param) in [
        ("description=Team".to_owned(), "description"),
        ("off_session=true".to_owned(), "off_session"),
        ("discounts=".to_owned(), "discounts"),
        ("default_payment_method=".to_owned(), "default_payment_method"),
        ("cancel_at=min_period_end".to_owned(), "cancel_at"),
        (format!("{item}&items[0][metadata][a]=1"), "items[0][metadata]"),
        (format!("{item}&items[0][tax_rates]="), "items[0][tax_rates]"),
    ] {
        let said = refused(&app, &half.path, &format!("{form}&{WAITS}")).await;
        let name = param.strip_prefix("items[0][").map_or(param, |name| name.trim_end_matches(']'));
        let message = format!(
            "When `payment_behavior` is set to `pending_if_incomplete`, you can only pass supported \
             params. `{name}` is not supported. See \
             https://stripe.com/docs/billing/subscriptions/pending-updates-reference\
             #supported-attributes for more details."
        );
        assert_eq!(said, ["", param, &message]);
    }
    let path = format!("/v1/subscription_items/{}", half.item);
    assert_eq!(refused(&app, &path, &format!("metadata[a]=1&{WAITS}")).await[1], "metadata");
    let gone = app.delete(&format!("{path}?{WAITS}")).await;
    assert_eq!((gone.status, &gone.json()["error"]["param"]), (400, &json!("payment_behavior")));
    assert_eq!(half.sub(&app).await, before);
    let sent = "collection_method=send_invoice&days_until_due=7";
    let who = customer(&app, "").await;
    let sent = subscribe(&app, &who, &[&price_of(&before)], sent).await;
    let form = format!("billing_cycle_anchor=now&{WAITS}");
    let said = refused(&app, &format!("/v1/subscriptions/{}", id(&sent)), &form).await;
    assert_eq!(said[1], "payment_behavior");
}

fn price_of(sub: &Value) -> String {
    id(&sub["items"]["data"][0]["price"])
}
