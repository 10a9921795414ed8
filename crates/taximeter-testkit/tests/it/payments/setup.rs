//! `/v1/setup_intents`.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::{INTENTS, attached};
use crate::shop::{happened, latest_event};
use crate::support::{customer, error, id, ids, refused};

const SETUPS: &str = "/v1/setup_intents";

#[tokio::test]
async fn a_card_is_set_up_and_becomes_the_customers() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let before = latest_event(&app).await;
        let form = format!("customer={customer}&payment_method_types[]=card&description=D");
        let intent = app.made(SETUPS, &form).await;
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(intent["usage"], "off_session");
        assert_eq!(intent["automatic_payment_methods"], Value::Null);
        let path = format!("{SETUPS}/{}", id(&intent));
        let named = app.made(&path, "payment_method=pm_card_visa&metadata[a]=1").await;
        assert_eq!(named["status"], "requires_confirmation");
        let done = app.made(&format!("{path}/confirm"), "").await;
        assert_eq!(done["status"], "succeeded");
        assert_eq!(done["metadata"], json!({ "a": "1" }));
        assert_eq!(app.read(&path).await, done);
        let card = done["payment_method"].as_str().unwrap();
        let cards = app.read(&format!("/v1/customers/{customer}/payment_methods")).await;
        assert_eq!(ids(&cards), [card]);
        assert_eq!(
            happened(&app, Some(&before)).await,
            ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]
        );
        let list = app.read(&format!("{SETUPS}?customer={customer}&payment_method={card}")).await;
        assert_eq!(ids(&list), [id(&intent)]);
        let told = error(&app.post(&format!("{path}/cancel"), "").await);
        assert_eq!(
            told,
            "400 setup_intent_unexpected_state -: You cannot cancel this SetupIntent because it has \
             a status of succeeded. Only a SetupIntent with one of the following statuses may be \
             canceled: requires_payment_method, requires_confirmation, requires_action."
        );
    }
}

#[tokio::test]
async fn a_card_that_is_declined_is_not_set_up_and_that_is_on_record() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let before = latest_event(&app).await;
        let form =
            format!("customer={customer}&confirm=true&payment_method=pm_card_chargeDeclined");
        let answer = app.post(SETUPS, &form).await;
        assert_eq!(error(&answer), "402 card_error card_declined -: Your card was declined.");
        let told = &answer.json()["error"];
        let intent = app.read(&format!("{SETUPS}/{}", id(&told["setup_intent"]))).await;
        assert_eq!(told["setup_intent"], intent);
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(intent["last_setup_error"]["decline_code"], "generic_decline");
        assert_eq!(
            happened(&app, Some(&before)).await,
            ["setup_intent.created", "setup_intent.setup_failed"]
        );
        let cards = app.read(&format!("/v1/customers/{customer}/payment_methods")).await;
        assert_eq!(ids(&cards), Vec::<String>::new());
    }
}

#[tokio::test]
async fn who_set_a_card_up_by_authenticating_need_not_be_there_later() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let pay = |card: &str, more: &str| {
            format!(
                "amount=701&currency=usd&customer={customer}&payment_method={card}&confirm=true\
                 {more}"
            )
        };
        let plain = attached(&app, "authenticationRequiredOnSetup", &customer).await;
        let away = app.post(INTENTS, &pay(&plain, "&off_session=true")).await;
        assert!(error(&away).starts_with("402 card_error authentication_required"));
        let form = format!(
            "customer={customer}&confirm=true&payment_method=pm_card_authenticationRequiredOnSetup\
             &return_url=https://example.com"
        );
        for (outcome, status) in [("fail", "requires_payment_method"), ("succeed", "succeeded")] {
            let waits = app.made(SETUPS, &form).await;
            assert_eq!(waits["status"], "requires_action");
            assert_eq!(waits["next_action"]["type"], "redirect_to_url");
            let path = format!("/v1/test_helpers/setup_intents/{}/authenticate", id(&waits));
            let after = app.made(&path, &format!("outcome={outcome}")).await;
            assert_eq!(after["status"], status);
            if outcome == "fail" {
                let code = &after["last_setup_error"]["code"];
                assert_eq!(code, "setup_intent_authentication_failure");
                continue;
            }
            let card = after["payment_method"].as_str().unwrap();
            let paid = app.made(INTENTS, &pay(card, "&off_session=true")).await;
            assert_eq!(paid["status"], "succeeded");
            let there = app.made(INTENTS, &pay(card, "")).await;
            assert_eq!(there["status"], "requires_action");
        }
    }
}

#[tokio::test]
async fn a_setup_intent_that_was_given_up_stays_so() {
    for app in TestApp::everywhere().await {
        let intent = app.made(SETUPS, "usage=on_session").await;
        let path = format!("{SETUPS}/{}", id(&intent));
        let gone = app.made(&format!("{path}/cancel"), "cancellation_reason=abandoned").await;
        assert_eq!(gone["status"], "canceled");
        assert_eq!(gone["cancellation_reason"], "abandoned");
        refused(
            &app,
            &[(
                &format!("{path}/confirm"),
                "payment_method=pm_card_visa",
                "400 setup_intent_unexpected_state -: You cannot confirm this SetupIntent because \
                 it has a status of canceled. Only a SetupIntent with one of the following \
                 statuses may be confirmed: requires_payment_method, requires_confirmation, \
                 requires_action.",
            )],
        )
        .await;
    }
}
