//! What invoices call to be collected, and the payments of an invoice that come of it.

use serde_json::{Value, json};
use taximeter_kernel::id::{Id, Invoice, Mode, Scope};
use taximeter_kernel::money::Currency;
use taximeter_service::ctx::{Caller, Ctx};
use taximeter_service::customers::{self, Customer};
use taximeter_service::payment_methods::{self, PaymentMethod};
use taximeter_service::payments::{self, Attempt, InvoiceToPay};
use taximeter_testkit::TestApp;

use super::attached;
use crate::shop::{happened, latest_event};
use crate::support::{id, ids, price};

const PAYMENTS: &str = "/v1/invoice_payments";

/// An invoice of a customer, as far as collecting it goes.
struct Bill {
    customer: String,
    invoice: Id<Invoice>,
}

async fn bill(app: &TestApp) -> Bill {
    let (price, customer) = (price(app, "").await, crate::support::customer(app).await);
    let form = format!(
        "customer={customer}&items[0][price]={price}&collection_method=send_invoice\
         &days_until_due=7"
    );
    let made = app.made("/v1/subscriptions", &form).await;
    let invoice = Id::parse(made["latest_invoice"].as_str().unwrap()).unwrap();
    Bill { customer, invoice }
}

async fn begin(app: &TestApp) -> Ctx {
    let scope = Scope { account: app.account().clone(), mode: Mode::Test };
    let caller = Caller::time(scope, Id::generate((app.services().entropy)()));
    Ctx::begin(app.services(), caller, app.now()).await.unwrap()
}

async fn customer_of(ctx: &mut Ctx, bill: &Bill) -> Customer {
    customers::retrieve_any(ctx, &bill.customer).await.unwrap()
}

async fn method(ctx: &mut Ctx, id: &str) -> PaymentMethod {
    payment_methods::retrieve(ctx, id).await.unwrap()
}

fn to_pay<'a>(bill: &'a Bill, customer: &'a Customer, amount_minor: i64) -> InvoiceToPay<'a> {
    let currency = Currency::parse("usd").unwrap();
    InvoiceToPay { invoice: &bill.invoice, customer, amount_minor, currency }
}

/// Tries to collect a bill and commits whatever came of it.
async fn attempt(app: &TestApp, bill: &Bill, card: &str, amount: i64) -> Attempt {
    let mut ctx = begin(app).await;
    let customer = customer_of(&mut ctx, bill).await;
    let method = method(&mut ctx, card).await;
    let to_pay = to_pay(bill, &customer, amount);
    let attempt = payments::attempt(&mut ctx, &to_pay, &method, true).await.unwrap();
    ctx.commit().await.unwrap();
    attempt
}

/// The payments of a bill, as its list has them.
async fn payments_of(app: &TestApp, bill: &Bill) -> Vec<Value> {
    let list = app.read(&format!("{PAYMENTS}?invoice={}", bill.invoice)).await;
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_invoice_is_collected_once_whatever_is_tried_again() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let card = attached(&app, "visa", &bill.customer).await;
        let before = latest_event(&app).await;
        let mut ctx = begin(&app).await;
        let customer = customer_of(&mut ctx, &bill).await;
        let to_pay = to_pay(&bill, &customer, 701);
        let open = payments::open_for_invoice(&mut ctx, to_pay).await.unwrap();
        let again = payments::open_for_invoice(&mut ctx, to_pay).await.unwrap();
        assert_eq!(open, again);
        ctx.commit().await.unwrap();
        let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
        assert_eq!(
            (&payment["status"], &payment["amount_requested"]),
            (&json!("open"), &json!(701))
        );
        assert_eq!((&payment["amount_paid"], &payment["is_default"]), (&Value::Null, &json!(true)));
        app.advance_s(7);
        for _ in 0..3 {
            assert!(matches!(attempt(&app, &bill, &card, 701).await, Attempt::Paid));
        }
        let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
        assert_eq!((&payment["status"], &payment["amount_paid"]), (&json!("paid"), &json!(701)));
        assert_eq!(payment["status_transitions"]["paid_at"], app.now().0);
        assert_eq!(ids(&app.read("/v1/charges").await).len(), 1);
        assert_eq!(
            happened(&app, Some(&before)).await,
            [
                "payment_intent.created",
                "charge.succeeded",
                "payment_intent.succeeded",
                "invoice_payment.paid"
            ]
        );
        let path = format!("{PAYMENTS}/{}?expand[]=payment.payment_intent", id(payment));
        let intent = &app.read(&path).await["payment"]["payment_intent"];
        assert_eq!((&intent["status"], &intent["amount"]), (&json!("succeeded"), &json!(701)));
        assert_eq!(intent["payment_method"], card.as_str());
    }
}

#[tokio::test]
async fn a_declined_invoice_can_be_collected_later_for_what_is_left_of_it() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let bad = attached(&app, "chargeCustomerFail", &bill.customer).await;
        let good = attached(&app, "visa", &bill.customer).await;
        let Attempt::Declined { error } = attempt(&app, &bill, &bad, 701).await else {
            panic!("declined")
        };
        assert_eq!((error.kind.status(), error.code), (402, Some("card_declined")));
        let told = error.payment.unwrap();
        assert_eq!(told.decline_code, Some("generic_decline"));
        let charge = app.read(&format!("/v1/charges/{}", told.charge.unwrap())).await;
        assert_eq!(charge["status"], "failed");
        assert!(matches!(attempt(&app, &bill, &good, 613).await, Attempt::Paid));
        let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
        let amounts = (&payment["amount_requested"], &payment["amount_paid"]);
        assert_eq!(amounts, (&json!(613), &json!(613)));
        let list = app.read("/v1/charges").await;
        let all: Vec<_> =
            list["data"].as_array().unwrap().iter().map(|c| c["status"].clone()).collect();
        assert_eq!(all, ["succeeded", "failed"]);
    }
}

#[tokio::test]
async fn an_invoice_waits_for_whoever_must_authenticate_and_is_paid_by_it() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let card = attached(&app, "authenticationRequired", &bill.customer).await;
        let Attempt::RequiresAction { payment_intent } = attempt(&app, &bill, &card, 701).await
        else {
            panic!("an action")
        };
        let path = format!("/v1/test_helpers/payment_intents/{payment_intent}/authenticate");
        let paid = app.made(&path, "outcome=succeed").await;
        assert_eq!(paid["status"], "succeeded");
        let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
        assert_eq!(payment["status"], "paid");
    }
}

#[tokio::test]
async fn whoever_pays_may_confirm_the_invoices_intent_themselves() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let mut ctx = begin(&app).await;
        let customer = customer_of(&mut ctx, &bill).await;
        let open = payments::open_for_invoice(&mut ctx, to_pay(&bill, &customer, 701)).await;
        let intent = open.unwrap().payment_intent;
        ctx.commit().await.unwrap();
        let path = format!("/v1/payment_intents/{intent}");
        let declined = format!("{path}/confirm");
        let answer = app.post(&declined, "payment_method=pm_card_chargeDeclined").await;
        assert_eq!(answer.status, 402);
        let paid = app.made(&format!("{path}/confirm"), "payment_method=pm_card_visa").await;
        assert_eq!(paid["status"], "succeeded");
        let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
        assert_eq!(payment["status"], "paid");
        // What paid is the customer's from now on.
        let cards = app.read(&format!("/v1/customers/{}/payment_methods", bill.customer)).await;
        assert_eq!(ids(&cards), [paid["payment_method"].as_str().unwrap()]);
    }
}

#[tokio::test]
async fn the_intent_of_an_invoice_is_given_up_with_it_and_only_with_it() {
    for app in TestApp::everywhere().await {
        for (by_void, reason) in [(true, "void_invoice"), (false, "automatic")] {
            let bill = bill(&app).await;
            let mut ctx = begin(&app).await;
            let customer = customer_of(&mut ctx, &bill).await;
            let to_pay = to_pay(&bill, &customer, 701);
            let open = payments::open_for_invoice(&mut ctx, to_pay).await.unwrap();
            ctx.commit().await.unwrap();
            let path = format!("/v1/payment_intents/{}", open.payment_intent);
            for (verb, form, told) in [
                (
                    "/cancel",
                    "",
                    "You cannot cancel this PaymentIntent because it was created by an",
                ),
                ("", "amount=702", "You cannot update the amount of this PaymentIntent because"),
            ] {
                let answer = app.post(&format!("{path}{verb}"), form).await;
                let text = crate::support::error(&answer);
                assert!(text.contains(told), "{text}");
            }
            let mut ctx = begin(&app).await;
            if by_void {
                payments::cancel_for_invoice(&mut ctx, &bill.invoice).await.unwrap();
            } else {
                payments::paid_off_stripe(&mut ctx, &to_pay).await.unwrap();
            }
            let of_invoice = payments::of_invoice(&mut ctx, &bill.invoice).await.unwrap();
            ctx.commit().await.unwrap();
            assert_eq!(of_invoice.len(), 1);
            let intent = app.read(&path).await;
            assert_eq!(intent["status"], "canceled");
            assert_eq!(intent["cancellation_reason"], reason);
            let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
            assert_eq!(payment["status"], "canceled");
            assert_eq!(payment["status_transitions"]["canceled_at"], app.now().0);
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_follows_what_remains_of_the_invoice() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        for (remaining, asked, status) in
            [(701, 701, "open"), (13, 13, "open"), (0, 13, "canceled")]
        {
            let mut ctx = begin(&app).await;
            let customer = customer_of(&mut ctx, &bill).await;
            let to_pay = to_pay(&bill, &customer, remaining);
            if remaining == 701 {
                payments::open_for_invoice(&mut ctx, to_pay).await.unwrap();
            }
            payments::remaining_changed(&mut ctx, &to_pay).await.unwrap();
            ctx.commit().await.unwrap();
            let [payment] = &payments_of(&app, &bill).await[..] else { panic!("one payment") };
            assert_eq!(
                (&payment["status"], &payment["amount_requested"]),
                (&json!(status), &json!(asked))
            );
            let intent = payment["payment"]["payment_intent"].as_str().unwrap();
            let intent = app.read(&format!("/v1/payment_intents/{intent}")).await;
            assert_eq!(intent["amount"], asked);
        }
    }
}

#[tokio::test]
async fn an_invoices_own_method_goes_before_its_subscriptions_and_the_customers() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let cards = [
            attached(&app, "visa", &bill.customer).await,
            attached(&app, "amex", &bill.customer).await,
            attached(&app, "jcb", &bill.customer).await,
        ];
        let [own, subscription, default] = &cards;
        let path = format!("/v1/customers/{}", bill.customer);
        app.made(&path, &format!("invoice_settings[default_payment_method]={default}")).await;
        let gone = attached(&app, "discover", &bill.customer).await;
        app.made(&format!("/v1/payment_methods/{gone}/detach"), "").await;
        let mut ctx = begin(&app).await;
        let customer = customer_of(&mut ctx, &bill).await;
        for (of_subscription, of_invoice, expected) in [
            (Some(subscription), Some(own), own),
            (Some(subscription), None, subscription),
            (Some(subscription), Some(&gone), subscription),
            (None, None, default),
            (Some(&gone), None, default),
        ] {
            let found = payments::method_for(
                &mut ctx,
                &customer,
                of_subscription.map(String::as_str),
                of_invoice.map(String::as_str),
            );
            let found = found.await.unwrap().unwrap();
            assert_eq!(found.id.as_str(), expected);
        }
        let mut bare = customer.clone();
        bare.invoice_settings.default_payment_method = None;
        assert_eq!(payments::method_for(&mut ctx, &bare, None, None).await.unwrap(), None);
    }
}

#[tokio::test]
async fn payments_are_listed_by_invoice_by_intent_and_by_status() {
    for app in TestApp::everywhere().await {
        let (one, other) = (bill(&app).await, bill(&app).await);
        let card = attached(&app, "visa", &one.customer).await;
        attempt(&app, &one, &card, 701).await;
        let bad = attached(&app, "chargeCustomerFail", &other.customer).await;
        attempt(&app, &other, &bad, 13_00).await;
        let [paid] = &payments_of(&app, &one).await[..] else { panic!("one payment") };
        let [open] = &payments_of(&app, &other).await[..] else { panic!("one payment") };
        let intent = paid["payment"]["payment_intent"].as_str().unwrap();
        for (query, found) in [
            (String::new(), vec![id(open), id(paid)]),
            ("status=paid".to_owned(), vec![id(paid)]),
            ("status=open".to_owned(), vec![id(open)]),
            ("status=canceled".to_owned(), vec![]),
            (
                format!("payment[type]=payment_intent&payment[payment_intent]={intent}"),
                vec![id(paid)],
            ),
            ("created[lt]=7".to_owned(), vec![]),
        ] {
            assert_eq!(ids(&app.read(&format!("{PAYMENTS}?{query}")).await), found, "{query}");
        }
    }
}
