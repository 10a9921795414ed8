//! The invoice with which a subscription begins.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::shop::{
    self, customer, happened, id, latest_event, lines, metered, monthly, subscribe, subscription,
};

const TEN: &str = "currency=usd&unit_amount=1000";

async fn invoice_of(app: &TestApp, sub: &Value) -> Value {
    app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
}

#[tokio::test]
async fn with_nothing_to_pay_with_a_charge_is_refused_or_left_open() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "").await;
        for behavior in
            ["", "payment_behavior=allow_incomplete", "payment_behavior=error_if_incomplete"]
        {
            let form = subscription(&who, &[&price], behavior);
            let [code, param, message] = shop::refused(&app, "/v1/subscriptions", &form).await;
            assert_eq!([&*code, &*param], ["resource_missing", ""]);
            assert!(
                message.starts_with("This customer has no attached payment source"),
                "{message}"
            );
        }
        assert_eq!(app.read("/v1/subscriptions?status=all").await["data"], json!([]));
        let sub = subscribe(&app, &who, &[&price], "payment_behavior=default_incomplete").await;
        assert_eq!(sub["status"], "incomplete");
        let invoice = invoice_of(&app, &sub).await;
        assert_eq!(
            [&invoice["status"], &invoice["billing_reason"]],
            ["open", "subscription_create"]
        );
        for (name, value) in [
            ("amount_due", 1000),
            ("amount_paid", 0),
            ("amount_remaining", 1000),
            ("subtotal", 1000),
            ("subtotal_excluding_tax", 1000),
            ("total", 1000),
            ("total_excluding_tax", 1000),
            ("starting_balance", 0),
            ("ending_balance", 0),
            ("period_start", START.0),
            ("period_end", START.0),
            ("created", START.0),
            ("effective_at", START.0),
            ("attempt_count", 0),
        ] {
            assert_eq!(invoice[name], value, "{name}");
        }
        assert_eq!([&invoice["attempted"], &invoice["auto_advance"]], [false, false]);
        assert_eq!(invoice["status_transitions"]["finalized_at"], START.0);
        assert_eq!(invoice["status_transitions"]["paid_at"], json!(null));
        let line = &invoice["lines"]["data"][0];
        assert_eq!(line["description"], "1 × Gold (at $10.00 / month)");
        assert_eq!(line["period"], json!({ "start": START.0, "end": 1_771_151_400 }));
        assert_eq!(line["invoice"], invoice["id"]);
    }
}

#[tokio::test]
async fn a_credit_that_covers_the_first_invoice_pays_it() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "balance=-1300&invoice_prefix=ACME&next_invoice_sequence=7").await;
        let before = latest_event(&app).await;
        let sub = subscribe(&app, &who, &[&price], "").await;
        assert_eq!(sub["status"], "active");
        let invoice = invoice_of(&app, &sub).await;
        assert_eq!([&invoice["status"], &invoice["number"]], ["paid", "ACME-0007"]);
        for (name, value) in [
            ("total", 1000),
            ("starting_balance", -1300),
            ("ending_balance", -300),
            ("amount_due", 0),
            ("amount_paid", 0),
            ("amount_remaining", 0),
        ] {
            assert_eq!(invoice[name], value, "{name}");
        }
        assert_eq!(invoice["attempted"], true);
        assert_eq!(invoice["status_transitions"]["paid_at"], START.0);
        let read = app.read(&format!("/v1/customers/{who}")).await;
        assert_eq!([&read["balance"], &read["next_invoice_sequence"]], [-300, 8]);
        assert_eq!(
            happened(&app, Some(&before)).await,
            [
                "setup_intent.created",
                "customer.subscription.created",
                "invoice.created",
                "customer.updated",
                "invoice.finalized",
                "invoice.paid",
                "invoice.payment_succeeded",
            ]
        );
        let events = shop::events_since(&app, Some(&before)).await;
        assert_eq!(events[1]["data"]["object"], sub);
        let previous = &events[3]["data"]["previous_attributes"];
        assert_eq!([&previous["balance"], &previous["next_invoice_sequence"]], [-1300, 7]);
        assert_eq!(previous.get("currency"), Some(&json!(null)));
        assert_eq!(events[2]["data"]["object"]["status"], "draft");
        assert_eq!(events[2]["data"]["object"]["number"], json!(null));
        assert_eq!(events[4]["data"]["object"]["number"], "ACME-0007");
    }
}

#[tokio::test]
async fn a_credit_that_does_not_reach_leaves_the_rest_due() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "balance=-300").await;
        let form = subscription(&who, &[&price], "");
        shop::refused(&app, "/v1/subscriptions", &form).await;
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["balance"], -300);
        let sub = subscribe(&app, &who, &[&price], "payment_behavior=default_incomplete").await;
        let invoice = invoice_of(&app, &sub).await;
        assert_eq!([&invoice["amount_due"], &invoice["ending_balance"]], [700, 0]);
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["balance"], 0);
    }
}

#[tokio::test]
async fn less_than_can_be_charged_is_carried_over_to_the_next_invoice() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", "currency=usd&unit_amount=49").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&price], "").await;
        assert_eq!(sub["status"], "active");
        let invoice = invoice_of(&app, &sub).await;
        assert_eq!([&invoice["status"], &invoice["number"]][0], "paid");
        assert_eq!(
            [&invoice["total"], &invoice["amount_due"], &invoice["ending_balance"]],
            [49, 0, 49]
        );
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["balance"], 49);
        let second = subscribe(&app, &who, &[&price], "payment_behavior=default_incomplete").await;
        assert_eq!(second["status"], "incomplete");
        let invoice = invoice_of(&app, &second).await;
        assert_eq!(
            [&invoice["total"], &invoice["amount_due"], &invoice["ending_balance"]],
            [49, 98, 0]
        );
    }
}

#[tokio::test]
async fn an_invoice_to_be_sent_is_a_draft_for_an_hour() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "balance=-300&name=Ada").await;
        let before = latest_event(&app).await;
        let more = "collection_method=send_invoice&days_until_due=7&metadata[tier]=7";
        let sub = subscribe(&app, &who, &[&price], more).await;
        assert_eq!(sub["status"], "active");
        assert_eq!(
            happened(&app, Some(&before)).await,
            ["customer.subscription.created", "customer.updated", "invoice.created"]
        );
        let invoice = invoice_of(&app, &sub).await;
        assert_eq!(invoice["status"], "draft");
        for null in [
            "number",
            "next_payment_attempt",
            "effective_at",
            "ending_balance",
            "hosted_invoice_url",
        ] {
            assert_eq!(invoice[null], json!(null), "{null}");
        }
        assert_eq!(invoice["auto_advance"], true);
        assert_eq!(invoice["automatically_finalizes_at"], START.0 + 3_600);
        assert_eq!(invoice["due_date"], START.0 + 7 * 86_400);
        // What a balance does to it is settled when it is finalized.
        assert_eq!([&invoice["amount_due"], &invoice["amount_remaining"]], [1000, 1000]);
        let balance = |customer: Value| customer["balance"].clone();
        assert_eq!(balance(app.read(&format!("/v1/customers/{who}")).await), -300);
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["next_invoice_sequence"], 1);
    }
}

#[tokio::test]
async fn a_draft_follows_its_customer_and_subscription_and_a_final_invoice_does_not() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", TEN).await;
        for (more, follows) in [
            ("collection_method=send_invoice&days_until_due=7&metadata[tier]=7", true),
            ("payment_behavior=default_incomplete&metadata[tier]=7", false),
        ] {
            let who = customer(&app, "name=Ada&email=ada@example.com").await;
            let sub = subscribe(&app, &who, &[&price], more).await;
            app.made(&format!("/v1/subscriptions/{}", id(&sub)), "metadata[tier]=13").await;
            app.made(&format!("/v1/customers/{who}"), "name=Bob&email=&balance=70").await;
            let invoice = invoice_of(&app, &sub).await;
            let (tier, name, email, balance) = if follows {
                ("13", "Bob", json!(null), 70)
            } else {
                ("7", "Ada", json!("ada@example.com"), 0)
            };
            let details = &invoice["parent"]["subscription_details"];
            assert_eq!(details["metadata"], json!({ "tier": tier }));
            assert_eq!(details["subscription"], sub["id"]);
            let line = &invoice["lines"]["data"][0];
            assert_eq!(line["metadata"], json!({ "tier": tier }));
            assert_eq!(
                [&invoice["customer_name"], &invoice["customer_email"]],
                [&json!(name), &email]
            );
            assert_eq!(invoice["starting_balance"], balance);
            assert_eq!(invoice["metadata"], json!({}));
            let listed = &app.read("/v1/invoices?limit=1").await["data"][0];
            assert_eq!(*listed, invoice);
        }
    }
}

#[tokio::test]
async fn in_classic_mode_a_metered_item_has_a_line_of_nothing() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let tiers = "currency=usd&billing_scheme=tiered&tiers_mode=volume\
            &tiers[0][up_to]=inf&tiers[0][flat_amount]=900";
        let calls = metered(&app, &meter, "Calls", tiers).await;
        let who = customer(&app, "").await;
        shop::used(&app, "tokens", &who, "7", START).await;
        let sub = subscribe(&app, &who, &[&tokens, &calls], "billing_mode[type]=classic").await;
        let invoice = invoice_of(&app, &sub).await;
        assert_eq!([&invoice["status"], &invoice["number"]][0], "paid");
        assert_eq!(
            lines(&invoice),
            [
                ("0 × Calls".to_owned(), "0".to_owned(), 0),
                ("0 × Tokens (at $0.04 / month)".to_owned(), "0".to_owned(), 0),
            ]
        );
    }
}

#[tokio::test]
async fn the_first_invoice_bills_licensed_items_newest_first_and_tier_by_tier() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let tiers = "currency=usd&billing_scheme=tiered&tiers_mode=graduated\
            &tiers[0][up_to]=5&tiers[0][unit_amount]=700&tiers[0][flat_amount]=0\
            &tiers[1][up_to]=inf&tiers[1][unit_amount]=650";
        let seats = monthly(&app, "Seats", tiers).await;
        let gold = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "").await;
        let more = "payment_behavior=default_incomplete&items[1][quantity]=6";
        let sub = subscribe(&app, &who, &[&gold, &seats, &tokens], more).await;
        let invoice = invoice_of(&app, &sub).await;
        let line =
            |text: &str, quantity: &str, amount| (text.to_owned(), quantity.to_owned(), amount);
        assert_eq!(
            lines(&invoice),
            [
                line("5 × Seats (Tier 1 at $7.00 / month)", "5", 3500),
                line("Seats (Tier 1 at $0.00 / month)", "0", 0),
                line("1 × Seats (Tier 2 at $6.50 / month)", "1", 650),
                line("1 × Gold (at $10.00 / month)", "1", 1000),
            ]
        );
        assert_eq!(invoice["total"], 5150);
        let items = &sub["items"]["data"];
        for (at, item) in [(0, 1), (2, 1), (3, 0)] {
            let parent = &invoice["lines"]["data"][at]["parent"]["subscription_item_details"];
            assert_eq!(parent["subscription_item"], items[item]["id"]);
        }
        let pricing =
            |at: usize| invoice["lines"]["data"][at]["pricing"]["unit_amount_decimal"].clone();
        assert_eq!(
            [pricing(0), pricing(1), pricing(3)],
            [json!("700"), json!(null), json!("1000")]
        );
    }
}

#[tokio::test]
async fn invoices_made_together_for_one_customer_have_numbers_of_their_own() {
    const TOGETHER: usize = 7;
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "invoice_prefix=ACME&balance=-1700").await;
        let app = std::sync::Arc::new(app);
        let form = subscription(&who, &[&price], "payment_behavior=default_incomplete");
        let requests: Vec<_> = (0..TOGETHER)
            .map(|_| {
                let (app, form) = (std::sync::Arc::clone(&app), form.clone());
                tokio::spawn(async move { app.made("/v1/subscriptions", &form).await })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
        let invoices = app.read(&format!("/v1/invoices?customer={who}")).await;
        let invoices = invoices["data"].as_array().unwrap();
        let numbers: Vec<_> = invoices.iter().map(|i| i["number"].as_str().unwrap()).collect();
        assert_eq!(
            numbers,
            [
                "ACME-0007",
                "ACME-0006",
                "ACME-0005",
                "ACME-0004",
                "ACME-0003",
                "ACME-0002",
                "ACME-0001"
            ]
        );
        // The credit of 17.00 is used once: 10.00 on the first invoice and 7.00 on the second.
        let due: i64 = invoices.iter().map(|i| i["amount_due"].as_i64().unwrap()).sum();
        assert_eq!(due, 7 * 1000 - 1700);
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["balance"], 0);
    }
}

#[tokio::test]
async fn a_number_that_is_used_already_is_told_as_such() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let first = customer(&app, "invoice_prefix=ACME").await;
        subscribe(&app, &first, &[&price], "").await;
        app.made(&format!("/v1/customers/{first}"), "invoice_prefix=OTHER").await;
        let second = customer(&app, "invoice_prefix=ACME").await;
        let form = subscription(&second, &[&price], "");
        let [_, _, message] = shop::refused(&app, "/v1/subscriptions", &form).await;
        assert_eq!(
            message,
            "The invoice number ACME-0001 is already used. Set the customer's \
             `next_invoice_sequence` to one that is not."
        );
        app.made(&format!("/v1/customers/{second}"), "next_invoice_sequence=2").await;
        app.made("/v1/subscriptions", &form).await;
    }
}
