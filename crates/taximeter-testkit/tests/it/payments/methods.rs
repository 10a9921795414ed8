//! `/v1/payment_methods`, and the payment methods of a customer.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::{METHODS, attached};
use crate::shop::happened;
use crate::support::{customer, error, id, ids, refused};

const CARD: &str = "type=card&card[number]=4242424242424242&card[exp_month]=7&card[exp_year]=2099";
const CUSTOMERS: &str = "/v1/customers";

#[tokio::test]
async fn a_card_is_kept_without_its_number_and_its_code() {
    for app in TestApp::everywhere().await {
        let form = format!(
            "{CARD}&card[cvc]=737&billing_details[name]=Ada&billing_details[address][city]=Bonn\
             &metadata[a]=1&allow_redisplay=limited"
        );
        let made = app.made(METHODS, &form).await;
        assert!(id(&made).starts_with("pm_"));
        assert_eq!(made["billing_details"]["name"], "Ada");
        assert_eq!(made["billing_details"]["address"]["city"], "Bonn");
        assert_eq!(made["metadata"], json!({ "a": "1" }));
        assert_eq!(made["allow_redisplay"], "limited");
        assert_eq!(made["customer"], Value::Null);
        let card = &made["card"];
        let shown = ["brand", "last4", "funding", "country"].map(|name| card[name].clone());
        assert_eq!(shown, ["visa", "4242", "credit", "US"]);
        assert_eq!((&card["exp_month"], &card["exp_year"]), (&json!(7), &json!(2099)));
        assert_eq!(card["checks"]["cvc_check"], "unchecked");
        assert_eq!(app.read(&format!("{METHODS}/{}", id(&made))).await, made);
        let mut tx = app.services().db.begin_read().await.unwrap();
        let sql = "SELECT card FROM payment_methods ORDER BY seq LIMIT 9";
        let rows: Vec<String> = tx.rows(sql, Vec::new()).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].contains("42424242") && !rows[0].contains("737"), "{rows:?}");
    }
}

#[tokio::test]
async fn a_number_has_one_fingerprint_within_an_account_and_another_elsewhere() {
    for app in TestApp::everywhere().await {
        let by_number = app.made(METHODS, CARD).await;
        let by_token = app.made(METHODS, "type=card&card[token]=tok_visa").await;
        let other = app.made(METHODS, "type=card&card[token]=tok_amex").await;
        assert_eq!(by_number["card"]["fingerprint"], by_token["card"]["fingerprint"]);
        assert_ne!(by_number["card"]["fingerprint"], other["card"]["fingerprint"]);
        let [key, _] = app.another_account("Other").await;
        let elsewhere = app.with_key(&key).made(METHODS, CARD).await;
        assert_ne!(by_number["card"]["fingerprint"], elsewhere["card"]["fingerprint"]);
    }
}

#[tokio::test]
async fn each_use_of_a_test_cards_name_makes_a_payment_method_of_its_own() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        for (name, brand, last4, funding) in [
            ("visa", "visa", "4242", "credit"),
            ("visa_debit", "visa", "5556", "debit"),
            ("mastercard", "mastercard", "4444", "credit"),
            ("mastercard_prepaid", "mastercard", "5100", "prepaid"),
            ("amex", "amex", "0005", "credit"),
            ("discover", "discover", "1117", "credit"),
            ("chargeCustomerFail", "visa", "0341", "credit"),
            ("authenticationRequired", "visa", "3184", "credit"),
            ("threeDSecure2Required", "visa", "3184", "credit"),
        ] {
            let path = format!("{METHODS}/pm_card_{name}/attach");
            let form = format!("customer={customer}");
            let (one, other) = (app.made(&path, &form).await, app.made(&path, &form).await);
            assert_ne!(id(&one), id(&other), "{name}");
            let shown = ["brand", "last4", "funding"].map(|field| one["card"][field].clone());
            assert_eq!(shown, [brand, last4, funding], "{name}");
            assert_eq!(one["customer"], customer.as_str());
        }
        let all = format!("{CUSTOMERS}/{customer}/payment_methods?limit=100");
        assert_eq!(ids(&app.read(&all).await).len(), 18);
    }
}

#[tokio::test]
async fn a_card_that_is_declined_cannot_be_attached() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        for (card, told) in [
            ("chargeDeclined", "card_declined -: Your card was declined."),
            ("visa_chargeDeclined", "card_declined -: Your card was declined."),
            (
                "chargeDeclinedInsufficientFunds",
                "card_declined -: Your card has insufficient funds.",
            ),
            ("chargeDeclinedLostCard", "card_declined -: Your card was declined."),
            ("chargeDeclinedStolenCard", "card_declined -: Your card was declined."),
            ("chargeDeclinedFraudulent", "card_declined -: Your card was declined."),
            ("chargeDeclinedExpiredCard", "expired_card exp_month: Your card has expired."),
            (
                "chargeDeclinedIncorrectCvc",
                "incorrect_cvc cvc: Your card's security code is incorrect.",
            ),
            (
                "chargeDeclinedProcessingError",
                "processing_error -: An error occurred while processing your card. Try again in a \
                 little bit.",
            ),
            (
                "chargeDeclinedVelocityLimitExceeded",
                "card_declined -: Your card was declined for making repeated attempts too \
                 frequently or exceeding its amount limit.",
            ),
        ] {
            let path = format!("{METHODS}/pm_card_{card}/attach");
            let answer = app.post(&path, &format!("customer={customer}")).await;
            assert_eq!(error(&answer), format!("402 card_error {told}"), "{card}");
        }
        let all = app.read(&format!("{CUSTOMERS}/{customer}/payment_methods")).await;
        assert_eq!(ids(&all), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_decline_says_why_the_bank_declined() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        for (card, decline_code) in [
            ("chargeDeclined", json!("generic_decline")),
            ("chargeDeclinedInsufficientFunds", json!("insufficient_funds")),
            ("chargeDeclinedLostCard", json!("lost_card")),
            ("chargeDeclinedStolenCard", json!("stolen_card")),
            ("chargeDeclinedFraudulent", json!("fraudulent")),
            ("chargeDeclinedVelocityLimitExceeded", json!("card_velocity_exceeded")),
            ("chargeDeclinedExpiredCard", Value::Null),
            ("chargeDeclinedIncorrectCvc", Value::Null),
            ("chargeDeclinedProcessingError", Value::Null),
        ] {
            let path = format!("{METHODS}/pm_card_{card}/attach");
            let answer = app.post(&path, &format!("customer={customer}")).await.json();
            assert_eq!(answer["error"]["decline_code"], decline_code, "{card}");
        }
    }
}

#[tokio::test]
async fn a_card_that_cannot_be_one_is_refused_by_its_parameter() {
    for app in TestApp::everywhere().await {
        let number = |number: &str| CARD.replace("4242424242424242", number);
        let test_mode = "402 card_error card_declined number: Your card was declined. Your request \
                         was in test mode, but used a non test card. For a list of valid test \
                         cards, visit: https://stripe.com/docs/testing.";
        for (form, told) in [
            (
                number("4242424242424241"),
                "402 card_error incorrect_number number: Your card number is incorrect.",
            ),
            (number("4012888888881881"), test_mode),
            (
                CARD.replace("exp_month]=7", "exp_month]=13"),
                "402 card_error invalid_expiry_month exp_month: Your card's expiration month is \
                 invalid.",
            ),
            (
                CARD.replace("2099", "2019"),
                "402 card_error invalid_expiry_year exp_year: Your card's expiration year is \
                 invalid.",
            ),
            (
                format!("{CARD}&card[cvc]=7"),
                "402 card_error invalid_cvc cvc: Your card's security code is invalid.",
            ),
        ] {
            assert_eq!(error(&app.post(METHODS, &form).await), told, "{form}");
        }
        assert_eq!(ids(&app.read(METHODS).await), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_attached_card_can_be_changed_and_a_loose_one_cannot() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let card = attached(&app, "visa", &customer).await;
        let path = format!("{METHODS}/{card}");
        let changed = app
            .made(
                &path,
                "billing_details[email]=ada@example.com&card[exp_month]=11&card[exp_year]=2077\
                 &metadata[a]=1&allow_redisplay=always",
            )
            .await;
        assert_eq!(changed["billing_details"]["email"], "ada@example.com");
        assert_eq!(changed["card"]["exp_month"], 11);
        assert_eq!(changed["card"]["exp_year"], 2077);
        assert_eq!(changed["allow_redisplay"], "always");
        assert_eq!(app.read(&path).await, changed);
        let cleared = app.made(&path, "billing_details[email]=&metadata=").await;
        assert_eq!(cleared["billing_details"]["email"], Value::Null);
        assert_eq!(cleared["metadata"], json!({}));
        let events = happened(&app, None).await;
        assert_eq!(
            events,
            [
                "customer.created",
                "payment_method.attached",
                "payment_method.updated",
                "payment_method.updated"
            ]
        );
        let loose = app.made(METHODS, CARD).await;
        refused(
            &app,
            &[(
                &format!("{METHODS}/{}", id(&loose)),
                "metadata[a]=1",
                "400 - -: You must save this PaymentMethod to a customer before you can update it.",
            )],
        )
        .await;
    }
}

#[tokio::test]
async fn a_detached_card_is_nobodys_and_cannot_be_used_again() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let card = attached(&app, "visa", &customer).await;
        let who = format!("{CUSTOMERS}/{customer}");
        let default = format!("invoice_settings[default_payment_method]={card}");
        let set = app.made(&who, &default).await;
        assert_eq!(set["invoice_settings"]["default_payment_method"], card.as_str());
        let gone = app.made(&format!("{METHODS}/{card}/detach"), "").await;
        assert_eq!(gone["customer"], Value::Null);
        let after = app.read(&who).await;
        assert_eq!(after["invoice_settings"]["default_payment_method"], Value::Null);
        let events = app.read("/v1/events?type=payment_method.detached").await;
        assert_eq!(events["data"][0]["data"]["previous_attributes"]["customer"], customer.as_str());
        let spent = "400 - -: This PaymentMethod was previously used without being attached to a \
                     Customer or was detached from a Customer, and may not be used again.";
        refused(
            &app,
            &[
                (&format!("{METHODS}/{card}/attach"), &format!("customer={customer}"), spent),
                (
                    "/v1/payment_intents",
                    &format!("amount=700&currency=usd&customer={customer}&payment_method={card}"),
                    spent,
                ),
                (
                    &format!("{METHODS}/{card}/detach"),
                    "",
                    "400 - -: The payment method you provided is not attached to a customer so \
                     detachment is impossible.",
                ),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn a_card_is_attached_once_and_to_one() {
    for app in TestApp::everywhere().await {
        let (ada, grace) = (customer(&app).await, customer(&app).await);
        let card = attached(&app, "visa", &ada).await;
        let path = format!("{METHODS}/{card}/attach");
        let again = app.made(&path, &format!("customer={ada}")).await;
        assert_eq!(id(&again), card);
        let taken = "400 - -: The payment method you provided has already been attached to a \
                     customer.";
        refused(&app, &[(&path, &format!("customer={grace}"), taken)]).await;
        let attached = app.read("/v1/events?type=payment_method.attached").await;
        assert_eq!(ids(&attached).len(), 1);
        let of = |who: &str| format!("{CUSTOMERS}/{who}/payment_methods");
        assert_eq!(ids(&app.read(&of(&ada)).await), [card.as_str()]);
        assert_eq!(ids(&app.read(&of(&grace)).await), Vec::<String>::new());
        assert_eq!(ids(&app.read(&format!("{METHODS}?customer={ada}&type=card")).await).len(), 1);
        assert_eq!(app.read(&format!("{}/{card}", of(&ada))).await["id"], card.as_str());
        assert_eq!(
            error(&app.get(&format!("{}/{card}", of(&grace))).await),
            format!("404 resource_missing payment_method: No such PaymentMethod: '{card}'")
        );
    }
}

#[tokio::test]
async fn a_customer_is_made_with_what_it_pays_with() {
    for app in TestApp::everywhere().await {
        let form = "payment_method=pm_card_visa\
                    &invoice_settings[default_payment_method]=pm_card_visa\
                    &expand[]=invoice_settings.default_payment_method";
        let made = app.made(CUSTOMERS, form).await;
        let default = &made["invoice_settings"]["default_payment_method"];
        assert_eq!(default["card"]["last4"], "4242");
        assert_eq!(default["customer"], id(&made));
        let list = app.read(&format!("{CUSTOMERS}/{}/payment_methods", id(&made))).await;
        assert_eq!(ids(&list), [id(default)]);
        // Attaching alone does not make it the default.
        let made = app.made(CUSTOMERS, "payment_method=pm_card_visa").await;
        assert_eq!(made["invoice_settings"]["default_payment_method"], Value::Null);
        let customer = customer(&app).await;
        let loose = app.made(METHODS, CARD).await;
        let not_attached = |card: &str| {
            format!(
                "400 resource_missing invoice_settings[default_payment_method]: The customer does \
                 not have a payment method with the ID {card}. The payment method must be attached \
                 to the customer."
            )
        };
        let path = format!("{CUSTOMERS}/{customer}");
        for card in [id(&loose), "pm_none"] {
            let default = format!("invoice_settings[default_payment_method]={card}");
            assert_eq!(error(&app.post(&path, &default).await), not_attached(card));
            assert_eq!(error(&app.post(CUSTOMERS, &default).await), not_attached(card));
        }
        let before = ids(&app.read(CUSTOMERS).await);
        assert_eq!(
            error(&app.post(CUSTOMERS, "payment_method=pm_card_chargeDeclined").await),
            "402 card_error card_declined -: Your card was declined."
        );
        assert_eq!(ids(&app.read(CUSTOMERS).await), before);
    }
}

#[tokio::test]
async fn deleting_a_customer_detaches_what_it_pays_with() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let cards =
            [attached(&app, "visa", &customer).await, attached(&app, "amex", &customer).await];
        app.delete(&format!("{CUSTOMERS}/{customer}")).await;
        for card in &cards {
            let card = app.read(&format!("{METHODS}/{card}")).await;
            assert_eq!(card["customer"], Value::Null);
        }
        let detached = app.read("/v1/events?type=payment_method.detached").await;
        assert_eq!(ids(&detached).len(), 2);
    }
}

#[tokio::test]
async fn nobody_collects_in_live_mode_and_the_refusal_names_the_way_that_is_there() {
    for app in TestApp::everywhere().await {
        let told = "400 testmode_charges_only -: No payment provider collects in live mode, only \
                    `manual`: bill with `collection_method=send_invoice`, and pay an invoice with \
                    `paid_out_of_band=true` once its money has come in.";
        let customer = app.live().made(CUSTOMERS, "").await;
        let named = format!("customer={}", id(&customer));
        for (path, form) in [
            (METHODS, CARD),
            ("/v1/payment_methods/pm_card_visa/attach", &named),
            (CUSTOMERS, "payment_method=pm_card_visa"),
            ("/v1/payment_intents", "amount=700&currency=usd"),
            ("/v1/setup_intents", ""),
        ] {
            assert_eq!(error(&app.live().post(path, form).await), told, "{path}");
        }
    }
}

#[tokio::test]
async fn one_tenant_cannot_read_or_use_what_anothers_customers_pay_with() {
    for app in TestApp::everywhere().await {
        let ada = customer(&app).await;
        let card = attached(&app, "visa", &ada).await;
        let intent = super::paid(&app, "visa", "").await;
        let charge = intent["latest_charge"].as_str().unwrap();
        let refund = app.made("/v1/refunds", &format!("charge={charge}&amount=7")).await;
        let setup = app.made("/v1/setup_intents", "").await;
        let [key, _] = app.another_account("Other").await;
        let other = app.with_key(&key);
        for (noun, path) in [
            ("PaymentMethod", format!("{METHODS}/{card}")),
            ("payment_intent", format!("/v1/payment_intents/{}", id(&intent))),
            ("charge", format!("/v1/charges/{charge}")),
            ("refund", format!("/v1/refunds/{}", id(&refund))),
            ("setupintent", format!("/v1/setup_intents/{}", id(&setup))),
        ] {
            let (list, own) = path.rsplit_once('/').unwrap();
            let missing = format!("404 resource_missing id: No such {noun}: '{own}'");
            assert_eq!(error(&other.get(&path).await), missing);
            assert_eq!(ids(&other.read(list).await), Vec::<String>::new());
            let cursor = other.get(&format!("{list}?starting_after={own}")).await;
            let missing = format!("400 resource_missing starting_after: No such {noun}: '{own}'");
            assert_eq!(error(&cursor), missing);
            let live = app.live().get(&path).await;
            assert!(error(&live).contains("a similar object exists in test mode"), "{noun}");
        }
        let theirs = other.made(CUSTOMERS, "").await;
        let form = format!("customer={}", id(&theirs));
        assert_eq!(
            error(&other.post(&format!("{METHODS}/{card}/attach"), &form).await),
            format!("404 resource_missing id: No such PaymentMethod: '{card}'")
        );
    }
}
