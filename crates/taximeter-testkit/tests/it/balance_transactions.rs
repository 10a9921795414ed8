//! `/v1/customers/{id}/balance_transactions`: every change of a balance is a row.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{customer, error, id, ids, refused};

fn rows(customer: &str) -> String {
    format!("/v1/customers/{customer}/balance_transactions")
}

/// Holds a customer's balance against its rows: their sum, and what the newest ends with.
async fn check_ledger(app: &TestApp, customer: &str) -> i64 {
    let balance = app.read(&format!("/v1/customers/{customer}")).await["balance"].clone();
    let list = app.read(&format!("{}?limit=100", rows(customer))).await;
    assert_eq!(list["has_more"], false);
    let rows = list["data"].as_array().unwrap();
    let sum: i64 = rows.iter().map(|row| row["amount"].as_i64().unwrap()).sum();
    assert_eq!(balance, sum);
    assert_eq!(balance, rows.first().map_or(json!(0), |row| row["ending_balance"].clone()));
    // Each ends where the one after it begins.
    for (later, earlier) in rows.iter().zip(rows.iter().skip(1)) {
        let begins = later["ending_balance"].as_i64().unwrap() - later["amount"].as_i64().unwrap();
        assert_eq!(earlier["ending_balance"], begins);
    }
    sum
}

#[tokio::test]
async fn a_change_of_a_balance_keeps_all_that_it_is_told() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let form = "amount=-700&currency=eur&description=D&metadata[a]=1";
        let made = app.made(&rows(&customer), form).await;
        let expected = json!({
            "id": id(&made),
            "object": "customer_balance_transaction",
            "amount": -700,
            "checkout_session": null,
            "created": app.now().0,
            "credit_note": null,
            "currency": "eur",
            "customer": customer,
            "customer_account": null,
            "description": "D",
            "ending_balance": -700,
            "invoice": null,
            "livemode": false,
            "metadata": { "a": "1" },
            "type": "adjustment",
        });
        assert_eq!(made, expected);
        let path = format!("{}/{}", rows(&customer), id(&made));
        assert_eq!(app.read(&path).await, made);
        let changed = app.made(&path, "description=&metadata[b]=2").await;
        assert_eq!(changed["description"], Value::Null);
        assert_eq!(changed["metadata"], json!({ "a": "1", "b": "2" }));
        let whole = app.read(&format!("{path}?expand[]=customer")).await;
        assert_eq!(whole["customer"]["balance"], -700);
        assert_eq!(whole["customer"]["currency"], "eur");
    }
}

#[tokio::test]
async fn a_balance_is_the_sum_of_its_rows_whatever_changes_it() {
    for app in TestApp::everywhere().await {
        let made = app.made("/v1/customers", "balance=-1300").await;
        let (customer, path) = (id(&made), format!("/v1/customers/{}", id(&made)));
        assert_eq!(check_ledger(&app, customer).await, -1300);
        for (at, form, expected) in [
            (&rows(customer), "amount=700&currency=usd", -600),
            (&path, "balance=101", 101),
            (&path, "balance=101", 101),
            (&path, "name=N", 101),
            (&rows(customer), "amount=-101&currency=usd", 0),
            (&path, "balance=-7", -7),
            (&path, "balance=0", 0),
        ] {
            app.made(at, form).await;
            assert_eq!(check_ledger(&app, customer).await, expected, "{form}");
        }
        let list = app.read(&rows(customer)).await;
        let kinds: Vec<&str> =
            list["data"].as_array().unwrap().iter().map(|r| r["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, [&["adjustment"; 5][..], &["initial"]].concat());
        // A change that is refused leaves no row.
        let refused = app.post(&path, "balance=7&invoice_prefix=x").await;
        assert_eq!(refused.status, 400);
        assert_eq!(check_ledger(&app, customer).await, 0);
    }
}

/// An invoice of a customer that is sent, finalized, of so many minor units.
async fn invoice(app: &TestApp, customer: &str, amount: i64) -> Value {
    let form =
        format!("currency=usd&unit_amount={amount}&product_data[name]=P&recurring[interval]=month");
    let price = app.made("/v1/prices", &form).await;
    let form = format!(
        "customer={customer}&items[0][price]={}&collection_method=send_invoice&days_until_due=7",
        id(&price)
    );
    let made = app.made("/v1/subscriptions", &form).await;
    let path = format!("/v1/invoices/{}/finalize", made["latest_invoice"].as_str().unwrap());
    app.made(&path, "").await
}

#[tokio::test]
async fn invoices_take_from_the_balance_and_give_back_by_rows() {
    for app in TestApp::everywhere().await {
        let made = app.made("/v1/customers", "balance=-1300").await;
        let customer = id(&made);
        let first = invoice(&app, customer, 700).await;
        assert_eq!((&first["status"], &first["amount_due"]), (&json!("paid"), &json!(0)));
        assert_eq!(check_ledger(&app, customer).await, -600);
        let second = invoice(&app, customer, 1301).await;
        assert_eq!(second["amount_due"], 701);
        assert_eq!(check_ledger(&app, customer).await, 0);
        // Too little to be charged: it is owed.
        invoice(&app, customer, 7).await;
        assert_eq!(check_ledger(&app, customer).await, 7);
        app.made(&format!("/v1/invoices/{}/void", id(&second)), "").await;
        assert_eq!(check_ledger(&app, customer).await, -593);
        let of_second = app.read(&format!("{}?invoice={}", rows(customer), id(&second))).await;
        let kinds: Vec<&str> = of_second["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["unapplied_from_invoice", "applied_to_invoice"]);
    }
}

#[tokio::test]
async fn a_balance_without_a_currency_gets_the_customers() {
    for app in TestApp::everywhere().await {
        let made = app.made("/v1/customers", "balance=-7").await;
        let first = &app.read(&rows(id(&made))).await["data"][0];
        assert_eq!((&first["currency"], &first["type"]), (&json!("usd"), &json!("initial")));
        app.made(&rows(id(&made)), "amount=7&currency=eur").await;
        let list = app.read(&rows(id(&made))).await;
        assert_eq!(list["data"][1]["currency"], "eur");
        assert_eq!(app.read(&format!("/v1/customers/{}", id(&made))).await["currency"], "eur");
    }
}

#[tokio::test]
async fn rows_are_listed_newest_first_and_only_of_their_customer() {
    for app in TestApp::everywhere().await {
        let (one, other) = (customer(&app).await, customer(&app).await);
        let mut made = Vec::new();
        for amount in [7, 13, 101] {
            let form = format!("amount={amount}&currency=usd");
            made.insert(0, id(&app.made(&rows(&one), &form).await).to_owned());
            app.made(&rows(&other), &form).await;
        }
        let list = app.read(&rows(&one)).await;
        assert_eq!(list["url"], rows(&one));
        assert_eq!(ids(&list), made);
        let page = app.read(&format!("{}?limit=1&starting_after={}", rows(&one), made[0])).await;
        assert_eq!((ids(&page), &page["has_more"]), (vec![made[1].clone()], &json!(true)));
        let up = app.read(&format!("{}?limit=1&ending_before={}", rows(&one), made[2])).await;
        assert_eq!(ids(&up), [made[1].clone()]);
        assert_eq!(ids(&app.read(&format!("{}?invoice=in_x", rows(&one))).await).len(), 0);
        let missing =
            format!("404 resource_missing id: No such customer balance transaction: '{}'", made[0]);
        let elsewhere = format!("{}/{}", rows(&other), made[0]);
        assert_eq!(error(&app.get(&elsewhere).await), missing);
        assert_eq!(error(&app.post(&elsewhere, "description=x").await), missing);
    }
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_is_refused() {
    let app = TestApp::start().await;
    let customer = customer(&app).await;
    let rows = rows(&customer);
    app.made(&rows, "amount=7&currency=usd").await;
    refused(
        &app,
        &[
            (
                &rows,
                "currency=usd",
                "400 parameter_missing amount: Missing required param: amount.",
            ),
            (
                &rows,
                "amount=7",
                "400 parameter_missing currency: Missing required param: currency.",
            ),
            (&rows, "amount=0&currency=usd", "400 - amount: Invalid amount: must not be 0."),
            (
                &rows,
                "amount=7&currency=eur",
                "400 - -: You cannot combine currencies on a single customer. This customer has an \
                 active subscription, subscription schedule, discount, quote, or invoice item with \
                 currency usd.",
            ),
            (
                &rows,
                "amount=999999999999&currency=usd",
                "400 - balance: Invalid balance: must be between -999999999999 and 999999999999.",
            ),
            (
                "/v1/customers/cus_x/balance_transactions",
                "amount=7&currency=usd",
                "404 resource_missing id: No such customer: 'cus_x'",
            ),
        ],
    )
    .await;
    assert_eq!(check_ledger(&app, &customer).await, 7);
}
