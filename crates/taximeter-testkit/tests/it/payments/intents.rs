//! `/v1/payment_intents` and the charges they come to.

use serde_json::{Value, json};
use taximeter_testkit::{Response, TestApp};

use super::{INTENTS, attached, paid};
use crate::shop::{happened, latest_event};
use crate::support::{customer, error, id, ids, refused};

/// Whether the fields of an intent are what they should be.
fn states(intent: &Value) -> [Value; 4] {
    ["status", "amount_received", "amount_capturable", "attempts"]
        .map(|name| intent.get(name).cloned().unwrap_or(Value::Null))
}

#[tokio::test]
async fn an_intent_goes_from_method_to_confirmation_to_success() {
    for app in TestApp::everywhere().await {
        let intent = app.made(INTENTS, "amount=701&currency=usd&description=D").await;
        assert_eq!(states(&intent)[..3], [json!("requires_payment_method"), json!(0), json!(0)]);
        assert_eq!(intent["capture_method"], "automatic_async");
        let automatic = json!({ "allow_redirects": "always", "enabled": true });
        assert_eq!(intent["automatic_payment_methods"], automatic);
        let secret = intent["client_secret"].as_str().unwrap();
        assert!(secret.starts_with(&format!("{}_secret_", id(&intent))), "{secret}");
        let path = format!("{INTENTS}/{}", id(&intent));
        let named = app.made(&path, "payment_method=pm_card_visa&amount=713").await;
        assert_eq!(named["status"], "requires_confirmation");
        let paid = app.made(&format!("{path}/confirm"), "").await;
        assert_eq!(states(&paid)[..3], [json!("succeeded"), json!(713), json!(0)]);
        assert_eq!(app.read(&path).await, paid);
        let charge = app.read(&format!("{path}?expand[]=latest_charge")).await;
        let charge = &charge["latest_charge"];
        assert_eq!(charge["amount"], 713);
        assert_eq!(charge["amount_captured"], 713);
        assert_eq!(charge["captured"], true);
        assert_eq!(charge["paid"], true);
        assert_eq!(charge["description"], "D");
        assert_eq!(charge["status"], "succeeded");
        assert_eq!(charge["payment_intent"], id(&intent));
        assert_eq!(charge["payment_method_details"]["card"]["last4"], "4242");
        assert_eq!(
            happened(&app, None).await,
            ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
        );
    }
}

/// What came of confirming a payment with a test card: the status, and of an error its code and
/// why the bank declined.
async fn outcome(app: &TestApp, card: &str, more: &str) -> [Value; 3] {
    let form = format!("amount=701&currency=usd&payment_method=pm_card_{card}&confirm=true{more}");
    let answer = app.post(INTENTS, &form).await;
    let body = answer.json();
    if answer.status == 200 {
        return [body["status"].clone(), Value::Null, Value::Null];
    }
    assert_eq!((answer.status, &body["error"]["type"]), (402, &json!("card_error")), "{body}");
    let error = &body["error"];
    let status = error["payment_intent"]["status"].clone();
    [status, error["code"].clone(), error["decline_code"].clone()]
}

#[tokio::test]
async fn each_test_card_does_what_it_is_for() {
    const FAILED: &str = "requires_payment_method";
    for app in TestApp::everywhere().await {
        for (card, status, code, decline_code) in [
            ("visa", "succeeded", "", ""),
            ("visa_debit", "succeeded", "", ""),
            ("mastercard", "succeeded", "", ""),
            ("amex", "succeeded", "", ""),
            ("de", "succeeded", "", ""),
            ("threeDSecureOptional", "succeeded", "", ""),
            ("cvcCheckFail", "succeeded", "", ""),
            ("chargeDeclined", FAILED, "card_declined", "generic_decline"),
            ("chargeDeclinedInsufficientFunds", FAILED, "card_declined", "insufficient_funds"),
            ("chargeDeclinedLostCard", FAILED, "card_declined", "lost_card"),
            ("chargeDeclinedStolenCard", FAILED, "card_declined", "stolen_card"),
            ("chargeDeclinedFraudulent", FAILED, "card_declined", "fraudulent"),
            ("chargeDeclinedExpiredCard", FAILED, "expired_card", ""),
            ("chargeDeclinedIncorrectCvc", FAILED, "incorrect_cvc", ""),
            ("chargeDeclinedProcessingError", FAILED, "processing_error", ""),
            ("chargeCustomerFail", FAILED, "card_declined", "generic_decline"),
            ("authenticationRequired", "requires_action", "", ""),
            ("threeDSecure2Required", "requires_action", "", ""),
            ("threeDSecureRequired", "requires_action", "", ""),
            ("authenticationRequiredOnSetup", "requires_action", "", ""),
            ("authenticationRequiredSetupForOffSession", "requires_action", "", ""),
        ] {
            let word = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
            let expected = [json!(status), word(code), word(decline_code)];
            assert_eq!(outcome(&app, card, "").await, expected, "{card}");
        }
    }
}

#[tokio::test]
async fn whoever_is_away_cannot_authenticate() {
    let required = [
        json!("requires_payment_method"),
        json!("authentication_required"),
        json!("authentication_required"),
    ];
    for app in TestApp::everywhere().await {
        let away = "&off_session=true";
        assert_eq!(outcome(&app, "authenticationRequired", away).await, required);
        assert_eq!(outcome(&app, "authenticationRequiredOnSetup", away).await, required);
        let [status, ..] = outcome(&app, "authenticationRequiredSetupForOffSession", away).await;
        assert_eq!(status, "succeeded");
        let unwilling = "&error_on_requires_action=true";
        assert_eq!(outcome(&app, "authenticationRequired", unwilling).await, required);
    }
}

#[tokio::test]
async fn a_declined_payment_stays_on_record_and_can_be_tried_again() {
    for app in TestApp::everywhere().await {
        let intent = app.made(INTENTS, "amount=701&currency=usd").await;
        let path = format!("{INTENTS}/{}", id(&intent));
        let before = latest_event(&app).await;
        let confirm = format!("{path}/confirm");
        let answer = app.post(&confirm, "payment_method=pm_card_chargeDeclined").await;
        assert_eq!(error(&answer), "402 card_error card_declined -: Your card was declined.");
        let error = &answer.json()["error"];
        let charge = error["charge"].as_str().unwrap();
        assert_eq!(error["payment_method"]["card"]["last4"], "0002");
        let failed = app.read(&path).await;
        assert_eq!(error["payment_intent"], failed);
        assert_eq!(failed["status"], "requires_payment_method");
        assert_eq!(failed["payment_method"], Value::Null);
        assert_eq!(failed["latest_charge"], charge);
        let last = &failed["last_payment_error"];
        assert_eq!(last["code"], "card_declined");
        assert_eq!(last["decline_code"], "generic_decline");
        assert_eq!(last["charge"], charge);
        assert_eq!(last["payment_method"]["id"], error["payment_method"]["id"]);
        let charge = app.read(&format!("/v1/charges/{charge}")).await;
        assert_eq!(charge["status"], "failed");
        assert_eq!(charge["paid"], false);
        assert_eq!(charge["amount_captured"], 0);
        assert_eq!(charge["failure_code"], "card_declined");
        assert_eq!(charge["outcome"]["reason"], "generic_decline");
        assert_eq!(
            happened(&app, Some(&before)).await,
            ["charge.failed", "payment_intent.payment_failed"]
        );
        let paid = app.made(&confirm, "payment_method=pm_card_visa").await;
        assert_eq!(paid["status"], "succeeded");
        assert_eq!(paid["last_payment_error"], Value::Null);
        let charges = app.read(&format!("/v1/charges?payment_intent={}", id(&intent))).await;
        let statuses: Vec<&Value> =
            charges["data"].as_array().unwrap().iter().map(|c| &c["status"]).collect();
        assert_eq!(statuses, ["succeeded", "failed"]);
    }
}

#[tokio::test]
async fn a_decline_is_answered_alike_under_its_key_and_charged_once() {
    async fn send(app: &TestApp, form: &str) -> Response {
        app.send("POST", INTENTS, &[("idempotency-key", form)], form).await
    }
    for app in TestApp::everywhere().await {
        for (count, (card, status)) in (1..).zip([("chargeDeclined", 402), ("visa", 200)]) {
            let form =
                format!("amount=701&currency=usd&confirm=true&payment_method=pm_card_{card}");
            let first = send(&app, &form).await;
            let again = send(&app, &form).await;
            assert_eq!((first.status, again.status), (status, status));
            assert_eq!(first.body, again.body);
            assert_eq!(again.header("idempotent-replayed"), "true");
            assert_eq!(ids(&app.read("/v1/charges").await).len(), count, "{card}");
            assert_eq!(ids(&app.read(INTENTS).await).len(), count, "{card}");
        }
    }
}

#[tokio::test]
async fn an_intent_waits_for_authentication_and_goes_on_by_it() {
    for app in TestApp::everywhere().await {
        for (card, outcome, status, code) in [
            ("authenticationRequired", "succeed", "succeeded", Value::Null),
            (
                "authenticationRequired",
                "fail",
                "requires_payment_method",
                json!("payment_intent_authentication_failure"),
            ),
            (
                "threeDSecureRequiredChargeDeclined",
                "succeed",
                "requires_payment_method",
                json!("card_declined"),
            ),
        ] {
            let waits = paid(&app, card, "&return_url=https://example.com/back").await;
            assert_eq!(waits["status"], "requires_action");
            assert_eq!(waits["next_action"]["type"], "redirect_to_url");
            let back = &waits["next_action"]["redirect_to_url"]["return_url"];
            assert_eq!(back, "https://example.com/back");
            assert_eq!(waits["latest_charge"], Value::Null);
            let path = format!("/v1/test_helpers/payment_intents/{}/authenticate", id(&waits));
            let after = app.made(&path, &format!("outcome={outcome}")).await;
            assert_eq!(after["status"], status, "{card} {outcome}");
            assert_eq!(after["last_payment_error"]["code"], code, "{card} {outcome}");
            assert_eq!(after["next_action"], Value::Null);
            let again = error(&app.post(&path, "outcome=succeed").await);
            let told = format!(
                "400 payment_intent_unexpected_state -: You cannot authenticate this PaymentIntent \
                 because it has a status of {status}. Only a PaymentIntent with one of the \
                 following statuses may be authenticated: requires_action."
            );
            assert_eq!(again, told);
        }
        let waits = paid(&app, "authenticationRequired", "").await;
        assert_eq!(waits["next_action"]["type"], "use_stripe_sdk");
    }
}

#[tokio::test]
async fn what_is_held_is_captured_whole_or_in_part_or_let_go() {
    for app in TestApp::everywhere().await {
        customer(&app).await;
        for (form, received, refundable) in
            [("", 701, 701), ("amount_to_capture=701", 701, 701), ("amount_to_capture=13", 13, 13)]
        {
            let before = latest_event(&app).await;
            let held = paid(&app, "visa", "&capture_method=manual").await;
            let path = format!("{INTENTS}/{}", id(&held));
            assert_eq!(states(&held)[..3], [json!("requires_capture"), json!(0), json!(701)]);
            let taken = app.made(&format!("{path}/capture"), form).await;
            assert_eq!(states(&taken)[..3], [json!("succeeded"), json!(received), json!(0)]);
            let charge = taken["latest_charge"].as_str().unwrap();
            let charge = app.read(&format!("/v1/charges/{charge}")).await;
            assert_eq!(charge["amount"], 701);
            assert_eq!(charge["amount_captured"], refundable);
            assert_eq!(
                happened(&app, Some(&before)).await,
                [
                    "payment_intent.created",
                    "charge.succeeded",
                    "payment_intent.amount_capturable_updated",
                    "charge.captured",
                    "payment_intent.succeeded"
                ]
            );
        }
        let held = paid(&app, "visa", "&capture_method=manual").await;
        let path = format!("{INTENTS}/{}", id(&held));
        refused(
            &app,
            &[(
                &format!("{path}/capture"),
                "amount_to_capture=702",
                "400 amount_too_large amount_to_capture: The amount to capture must be between 1 \
                 and the amount that can be captured, 701.",
            )],
        )
        .await;
        let form = "cancellation_reason=abandoned&expand[]=latest_charge";
        let gone = app.made(&format!("{path}/cancel"), form).await;
        assert_eq!(gone["status"], "canceled");
        assert_eq!(gone["cancellation_reason"], "abandoned");
        assert_eq!(gone["canceled_at"], app.now().0);
        assert_eq!(gone["amount_capturable"], 0);
        assert_eq!(gone["latest_charge"]["refunded"], true);
        refused(
            &app,
            &[
                (
                    &format!("{path}/capture"),
                    "",
                    "400 payment_intent_unexpected_state -: This PaymentIntent could not be \
                     captured because it has a status of canceled. Only a PaymentIntent with one \
                     of the following statuses may be captured: requires_capture.",
                ),
                (
                    &format!("{path}/cancel"),
                    "",
                    "400 payment_intent_unexpected_state -: You cannot cancel this PaymentIntent \
                     because it has a status of canceled. Only a PaymentIntent with one of the \
                     following statuses may be canceled: requires_payment_method, \
                     requires_capture, requires_confirmation, requires_action.",
                ),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn a_paid_intent_can_neither_be_confirmed_nor_changed_in_what_decides() {
    for app in TestApp::everywhere().await {
        let done = paid(&app, "visa", "").await;
        let path = format!("{INTENTS}/{}", id(&done));
        refused(
            &app,
            &[
                (
                    &format!("{path}/confirm"),
                    "",
                    "400 payment_intent_unexpected_state -: You cannot confirm this PaymentIntent \
                     because it has already succeeded after being previously confirmed.",
                ),
                (
                    &path,
                    "amount=7000",
                    "400 payment_intent_unexpected_state amount: This PaymentIntent's amount could \
                     not be updated because it has a status of succeeded. You may only update the \
                     amount of a PaymentIntent with one of the following statuses: \
                     requires_payment_method, requires_confirmation, requires_action.",
                ),
            ],
        )
        .await;
        let noted = app.made(&path, "description=D&metadata[a]=1").await;
        assert_eq!((&noted["description"], &noted["metadata"]), (&json!("D"), &json!({"a": "1"})));
    }
}

#[tokio::test]
async fn a_card_is_kept_for_the_customer_where_that_is_asked_for() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let once = paid(&app, "visa", &format!("&customer={customer}")).await;
        let of_customer = format!("/v1/customers/{customer}/payment_methods");
        assert_eq!(ids(&app.read(&of_customer).await), Vec::<String>::new());
        let form = format!("customer={customer}");
        let card = once["payment_method"].as_str().unwrap();
        let spent = app.post(&format!("/v1/payment_methods/{card}/attach"), &form).await;
        assert!(error(&spent).starts_with("400 - -: This PaymentMethod was previously used"));
        let more = format!("&customer={customer}&setup_future_usage=off_session");
        let kept = paid(&app, "visa", &more).await;
        let card = kept["payment_method"].as_str().unwrap();
        assert_eq!(ids(&app.read(&of_customer).await), [card]);
    }
}

#[tokio::test]
async fn a_customers_card_pays_only_for_that_customer() {
    for app in TestApp::everywhere().await {
        let (ada, grace) = (customer(&app).await, customer(&app).await);
        let card = attached(&app, "visa", &ada).await;
        let form = format!("amount=701&currency=usd&payment_method={card}");
        refused(
            &app,
            &[
                (
                    INTENTS,
                    &form,
                    &format!(
                        "400 - payment_method: The payment method you provided ({card}) is \
                         attached to a customer so for security purposes you must provide the \
                         customer in the request."
                    ),
                ),
                (
                    INTENTS,
                    &format!("{form}&customer={grace}"),
                    &format!(
                        "400 resource_missing payment_method: The customer does not have a payment \
                         method with the ID {card}. The payment method must be attached to the \
                         customer."
                    ),
                ),
            ],
        )
        .await;
        let paid = app.made(INTENTS, &format!("{form}&customer={ada}&confirm=true")).await;
        assert_eq!(paid["status"], "succeeded");
        let path = format!("{INTENTS}?customer={ada}&expand[]=data.payment_method");
        let list = app.read(&path).await;
        assert_eq!(list["data"][0]["payment_method"]["id"], card.as_str());
        assert_eq!(ids(&list).len(), 1);
        assert_eq!(ids(&app.read(&format!("{INTENTS}?customer={grace}")).await).len(), 0);
    }
}

#[tokio::test]
async fn intents_are_found_by_what_they_say() {
    for app in TestApp::everywhere().await {
        let found = paid(&app, "visa", "&metadata[order]=7").await;
        paid(&app, "visa", "&metadata[order]=8").await;
        app.made(INTENTS, "amount=701&currency=eur").await;
        for query in [
            "metadata%5B%22order%22%5D:%227%22",
            "metadata%5B%22order%22%5D:%227%22%20AND%20status:%22succeeded%22%20AND%20amount:701",
        ] {
            let page = app.read(&format!("{INTENTS}/search?query={query}")).await;
            assert_eq!(ids(&page), [id(&found)], "{query}");
        }
        let page = app.read(&format!("{INTENTS}/search?query=currency:%22eur%22")).await;
        assert_eq!(ids(&page).len(), 1);
    }
}

#[tokio::test]
async fn an_intent_is_read_with_its_own_secret_only() {
    for app in TestApp::everywhere().await {
        let intent = app.made(INTENTS, "amount=701&currency=usd").await;
        let path = format!("{INTENTS}/{}", id(&intent));
        let secret = intent["client_secret"].as_str().unwrap();
        assert_eq!(app.read(&format!("{path}?client_secret={secret}")).await, intent);
        assert_eq!(
            error(&app.get(&format!("{path}?client_secret=pi_x_secret_y")).await),
            "400 payment_intent_invalid_parameter client_secret: The client_secret provided does \
             not match the client_secret associated with this PaymentIntent."
        );
    }
}
