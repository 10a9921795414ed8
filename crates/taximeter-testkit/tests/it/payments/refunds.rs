//! `/v1/refunds`.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::{INTENTS, paid};
use crate::shop::{happened, latest_event};
use crate::support::{id, ids, refused};

const REFUNDS: &str = "/v1/refunds";

#[tokio::test]
async fn a_charge_is_given_back_in_parts_until_nothing_is_left() {
    for app in TestApp::everywhere().await {
        let intent = paid(&app, "visa", "").await;
        let charge = intent["latest_charge"].as_str().unwrap();
        let before = latest_event(&app).await;
        let form = format!("charge={charge}&amount=101&reason=duplicate&metadata[a]=1");
        let part = app.made(REFUNDS, &form).await;
        assert_eq!(part["amount"], 101);
        assert_eq!(part["charge"], charge);
        assert_eq!(part["payment_intent"], id(&intent));
        assert_eq!(part["reason"], "duplicate");
        assert_eq!(part["status"], "succeeded");
        assert_eq!(part["metadata"], json!({ "a": "1" }));
        assert_eq!(happened(&app, Some(&before)).await, ["refund.created", "charge.refunded"]);
        let path = format!("/v1/charges/{charge}");
        let left = app.read(&path).await;
        assert_eq!((&left["amount_refunded"], &left["refunded"]), (&json!(101), &json!(false)));
        let too_much = "400 - amount: Refund amount ($6.01) is greater than unrefunded amount on \
                        charge ($6.00)";
        let form = format!("charge={charge}");
        refused(&app, &[(REFUNDS, &format!("{form}&amount=601"), too_much)]).await;
        let rest = app.made(REFUNDS, &format!("payment_intent={}", id(&intent))).await;
        assert_eq!(rest["amount"], 600);
        let left = app.read(&path).await;
        assert_eq!((&left["amount_refunded"], &left["refunded"]), (&json!(701), &json!(true)));
        let gone =
            format!("400 charge_already_refunded -: Charge {charge} has already been refunded.");
        refused(&app, &[(REFUNDS, &form, &gone)]).await;
        let list = app.read(&format!("{REFUNDS}?charge={charge}")).await;
        assert_eq!(ids(&list), [id(&rest), id(&part)]);
        let list = app.read(&format!("{REFUNDS}?payment_intent={}", id(&intent))).await;
        assert_eq!(ids(&list).len(), 2);
        assert_eq!(app.read(&format!("{REFUNDS}/{}", id(&part))).await, part);
    }
}

#[tokio::test]
async fn a_refund_names_what_it_goes_back_to_and_takes_notes() {
    for app in TestApp::everywhere().await {
        let customer = crate::support::customer(&app).await;
        let intent = paid(&app, "visa", &format!("&customer={customer}")).await;
        let form = format!("payment_intent={}&expand[]=charge&expand[]=customer", id(&intent));
        let made = app.made(REFUNDS, &form).await;
        assert_eq!(made["customer"]["id"], customer.as_str());
        assert_eq!(made["payment_method"], intent["payment_method"]);
        assert_eq!(made["charge"]["amount_refunded"], 701);
        let path = format!("{REFUNDS}/{}", id(&made));
        let noted = app.made(&path, "metadata[a]=1&metadata[b]=2").await;
        assert_eq!(noted["metadata"], json!({ "a": "1", "b": "2" }));
        let noted = app.made(&path, "metadata[a]=").await;
        assert_eq!(noted["metadata"], json!({ "b": "2" }));
        let told = app.read("/v1/events?type=refund.updated").await;
        assert_eq!(ids(&told).len(), 2);
    }
}

#[tokio::test]
async fn what_was_never_taken_cannot_be_given_back() {
    for app in TestApp::everywhere().await {
        let open = app.made(INTENTS, "amount=701&currency=usd").await;
        let held = paid(&app, "visa", "&capture_method=manual").await;
        let charge = held["latest_charge"].as_str().unwrap();
        let failed = app
            .post(
                INTENTS,
                "amount=701&currency=usd&payment_method=pm_card_chargeDeclined&confirm=true",
            )
            .await;
        let failed = failed.json()["error"]["charge"].as_str().unwrap().to_owned();
        let unpaid = format!(
            "400 - payment_intent: This PaymentIntent ({}) does not have a successful charge to \
             refund.",
            id(&open)
        );
        let not_taken = |charge: &str| {
            format!(
                "400 charge_not_refundable -: Charge {charge} has not been captured, so there is \
                 nothing to refund."
            )
        };
        refused(
            &app,
            &[
                (REFUNDS, &format!("payment_intent={}", id(&open)), &unpaid),
                (REFUNDS, &format!("charge={charge}"), &not_taken(charge)),
                (REFUNDS, &format!("charge={failed}"), &not_taken(&failed)),
            ],
        )
        .await;
        assert_eq!(app.read(REFUNDS).await["data"], Value::Array(Vec::new()));
    }
}
