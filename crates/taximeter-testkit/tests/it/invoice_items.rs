//! `/v1/invoiceitems`: what is pending until an invoice sweeps it.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{customer, error, id, ids, refused, subscription, written};

const ITEMS: &str = "/v1/invoiceitems";
const ACACIA: (&str, &str) = ("stripe-version", "2025-02-24.acacia");

/// A one-time price of 350 minor units, 290 in euros.
async fn price(app: &TestApp) -> Value {
    let form = "currency=usd&unit_amount=350&product_data[name]=Setup\
                &currency_options[eur][unit_amount]=290";
    app.made("/v1/prices", form).await
}

async fn rate(app: &TestApp, form: &str) -> String {
    let form = format!("display_name=VAT&percentage=7&{form}");
    id(&app.made("/v1/tax_rates", &form).await).to_owned()
}

#[tokio::test]
async fn an_item_of_an_amount_has_a_price_of_its_own() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let form = format!(
            "customer={customer}&amount=1300&currency=usd&description=Work&metadata[a]=1\
             &period[start]=7&period[end]=13"
        );
        let made = app.made(ITEMS, &form).await;
        let details = &made["pricing"]["price_details"];
        let expected = json!({
            "id": id(&made),
            "object": "invoiceitem",
            "amount": 1300,
            "currency": "usd",
            "customer": customer,
            "customer_account": null,
            "date": app.now().0,
            "description": "Work",
            "discountable": true,
            "discounts": [],
            "invoice": null,
            "livemode": false,
            "metadata": { "a": "1" },
            "parent": null,
            "period": { "end": 13, "start": 7 },
            "pricing": {
                "price_details": details,
                "type": "price_details",
                "unit_amount_decimal": "1300",
            },
            "proration": false,
            "quantity": 1,
            "quantity_decimal": "1",
            "tax_rates": [],
            "test_clock": null,
        });
        assert_eq!(made, expected);
        let path = format!("{ITEMS}/{}", id(&made));
        assert_eq!(app.read(&path).await, made);
        let whole = app
            .read(&format!("{path}?expand[]=pricing.price_details.price&expand[]=customer"))
            .await;
        let price = &whole["pricing"]["price_details"]["price"];
        assert_eq!(price["unit_amount"], 1300);
        assert_eq!((&price["active"], &price["type"]), (&json!(false), &json!("one_time")));
        assert_eq!(whole["customer"]["currency"], "usd");
        let product = details["product"].as_str().unwrap();
        let product = app.read(&format!("/v1/products/{product}")).await;
        assert_eq!((&product["name"], &product["active"]), (&json!("Work"), &json!(false)));
    }
}

#[tokio::test]
async fn an_amount_comes_from_a_price_a_unit_amount_or_itself_and_is_rounded_once() {
    for app in TestApp::everywhere().await {
        let price = price(&app).await;
        let product = price["product"].as_str().unwrap();
        let of_price = format!("pricing[price]={}", id(&price));
        let data = format!("price_data[product]={product}&price_data[currency]=usd");
        for (form, amount, quantity, exact, description) in [
            (of_price.clone(), 350, 1, "1", json!("Setup")),
            (format!("{of_price}&quantity=3"), 1050, 3, "3", json!("Setup")),
            (format!("{of_price}&currency=usd&quantity=0"), 0, 0, "0", json!("Setup")),
            // 350 × 2.501 = 875.35.
            (format!("{of_price}&quantity_decimal=2.501"), 875, 2, "2.501", json!("Setup")),
            (
                format!("{data}&price_data[unit_amount_decimal]=0.05&quantity=30"),
                2,
                30,
                "30",
                json!("Setup"),
            ),
            ("unit_amount_decimal=3.6&currency=usd&quantity=31".into(), 112, 31, "31", Value::Null),
            ("unit_amount_decimal=-3.5&currency=usd&quantity=3".into(), -11, 3, "3", Value::Null),
            ("amount=-700&currency=usd".into(), -700, 1, "1", Value::Null),
            ("amount=0&currency=usd&description=D".into(), 0, 1, "1", json!("D")),
        ] {
            let customer = customer(&app).await;
            let made = app.made(ITEMS, &format!("customer={customer}&{form}")).await;
            let found = (
                made["amount"].as_i64().unwrap(),
                made["quantity"].as_i64().unwrap(),
                made["quantity_decimal"].as_str().unwrap(),
                &made["description"],
            );
            assert_eq!(found, (amount, quantity, exact, &description), "{form}");
            assert_eq!(made["discountable"], amount >= 0, "{form}");
        }
        let customer = customer(&app).await;
        let form = format!("customer={customer}&currency=eur&quantity=2&{of_price}");
        let made = app.made(ITEMS, &form).await;
        assert_eq!((&made["amount"], &made["currency"]), (&json!(580), &json!("eur")));
        assert_eq!(made["pricing"]["unit_amount_decimal"], "290");
    }
}

#[tokio::test]
async fn a_pending_item_changes_with_what_it_is_told() {
    for app in TestApp::everywhere().await {
        let (price, customer) = (price(&app).await, customer(&app).await);
        let vat = rate(&app, "inclusive=false").await;
        let form = format!("customer={customer}&pricing[price]={}&tax_rates[]={vat}", id(&price));
        let made = app.made(ITEMS, &form).await;
        assert_eq!(made["tax_rates"][0]["percentage"], 7);
        let path = format!("{ITEMS}/{}", id(&made));
        let of = async |form: &str| app.made(&path, form).await;
        assert_eq!(of("quantity=3").await["amount"], 1050);
        assert_eq!(of("description=D&metadata[a]=1").await["amount"], 1050);
        let by_unit = of("unit_amount_decimal=12.5").await;
        assert_eq!((&by_unit["amount"], &by_unit["quantity"]), (&json!(38), &json!(3)));
        assert_eq!(of("quantity_decimal=0.5").await["amount"], 6);
        let whole = of("amount=101").await;
        assert_eq!((&whole["amount"], &whole["quantity"]), (&json!(101), &json!(1)));
        assert_eq!(whole["description"], "D");
        assert_eq!(whole["metadata"], json!({ "a": "1" }));
        let last = of("tax_rates=&discountable=false&period[start]=7&period[end]=7").await;
        assert_eq!(last["tax_rates"], json!([]));
        assert_eq!(last["discountable"], false);
        assert_eq!(last["period"], json!({ "start": 7, "end": 7 }));
        assert_eq!(app.read(&path).await, last);
    }
}

#[tokio::test]
async fn discounts_of_an_item_are_ids_that_can_be_expanded_and_replaced() {
    for app in TestApp::everywhere().await {
        app.made("/v1/coupons", "id=A&percent_off=7").await;
        app.made("/v1/coupons", "id=B&amount_off=7&currency=usd").await;
        let customer = customer(&app).await;
        let form = format!(
            "customer={customer}&amount=700&currency=usd&discounts[0][coupon]=A\
             &discounts[1][coupon]=B"
        );
        let made = app.made(ITEMS, &form).await;
        let path = format!("{ITEMS}/{}", id(&made));
        let [first, second] = made["discounts"].as_array().unwrap().as_slice() else {
            panic!("{made}")
        };
        let whole = app.read(&format!("{path}?expand[]=discounts.source.coupon")).await;
        assert_eq!(whole["discounts"][0]["invoice_item"], id(&made));
        assert_eq!(whole["discounts"][0]["source"]["coupon"]["percent_off"], 7);
        assert_eq!(whole["discounts"][1]["id"], *second);
        // One that is kept is not redeemed again.
        let kept =
            app.made(&path, &format!("discounts[0][discount]={}", second.as_str().unwrap())).await;
        assert_eq!(kept["discounts"], json!([second]));
        assert_eq!(app.read("/v1/coupons/A").await["times_redeemed"], 1);
        assert_eq!(app.read("/v1/coupons/B").await["times_redeemed"], 1);
        assert_eq!(app.made(&path, "description=D").await["discounts"], json!([second]));
        let over = format!("discounts[0][discount]={}", first.as_str().unwrap());
        let gone = format!(
            "400 - discounts[0][discount]: The discount `{}` is over.",
            first.as_str().unwrap()
        );
        assert_eq!(error(&app.post(&path, &over).await), gone);
        assert_eq!(app.made(&path, "discounts=").await["discounts"], json!([]));
        let twice = "discounts[0][coupon]=A&discounts[1][coupon]=A";
        assert_eq!(
            error(&app.post(&path, twice).await),
            "400 - discounts[1]: The coupon `A` cannot be applied twice to the same object."
        );
        assert_eq!(app.read("/v1/coupons/A").await["times_redeemed"], 1);
    }
}

#[tokio::test]
async fn items_are_listed_by_what_they_are_and_deleted_while_they_are_pending() {
    for app in TestApp::everywhere().await {
        let (one, other) = (customer(&app).await, customer(&app).await);
        let mut made = Vec::new();
        for (customer, amount) in [(&one, 7), (&one, 13), (&other, 101)] {
            let form = format!("customer={customer}&amount={amount}&currency=usd");
            made.push(id(&app.made(ITEMS, &form).await).to_owned());
        }
        for (query, expected) in [
            (String::new(), &[2, 1, 0][..]),
            (format!("customer={one}"), &[1, 0]),
            ("pending=true".into(), &[2, 1, 0]),
            ("pending=false".into(), &[]),
            ("invoice=in_x".into(), &[]),
            ("limit=1".into(), &[2]),
        ] {
            let expected: Vec<_> = expected.iter().map(|at: &usize| made[*at].clone()).collect();
            assert_eq!(ids(&app.read(&format!("{ITEMS}?{query}")).await), expected, "{query}");
        }
        let path = format!("{ITEMS}/{}", made[0]);
        let deleted = app.delete(&path).await.json();
        assert_eq!(deleted, json!({ "id": made[0], "object": "invoiceitem", "deleted": true }));
        let missing = format!("404 resource_missing id: No such invoiceitem: '{}'", made[0]);
        assert_eq!(error(&app.get(&path).await), missing);
        assert_eq!(error(&app.delete(&path).await), missing);
        assert_eq!(ids(&app.read(&format!("{ITEMS}?customer={one}")).await), [made[1].clone()]);
        let events = written(&app).await;
        let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
        assert_eq!((count("invoiceitem.created"), count("invoiceitem.deleted")), (3, 1));
    }
}

#[tokio::test]
async fn an_item_of_a_subscription_names_it() {
    for app in TestApp::everywhere().await {
        let made = subscription(&app).await;
        let (sub, who) = (id(&made), made["customer"].as_str().unwrap());
        let item = app.made(ITEMS, &format!("customer={who}&subscription={sub}&amount=7")).await;
        assert_eq!(item["currency"], "usd");
        let parent = json!({
            "subscription_details": { "subscription": sub }, "type": "subscription_details",
        });
        assert_eq!(item["parent"], parent);
        let other = customer(&app).await;
        let wrong = format!(
            "400 - subscription: The subscription `{sub}` does not belong to the customer `{other}`."
        );
        let form = format!("customer={other}&subscription={sub}&amount=7");
        assert_eq!(error(&app.post(ITEMS, &form).await), wrong);
        let form = format!("customer={who}&subscription={sub}&amount=7&currency=eur");
        let wrong = "400 - currency: The currency of the invoice item (`eur`) must be that of the \
                     subscription (`usd`).";
        assert_eq!(error(&app.post(ITEMS, &form).await), wrong);
    }
}

#[tokio::test]
async fn before_basil_an_item_names_its_price_directly() {
    for app in TestApp::everywhere().await {
        let (price, customer) = (price(&app).await, customer(&app).await);
        let form = format!("customer={customer}&price={}&quantity=2", id(&price));
        let made = app.send("POST", ITEMS, &[ACACIA], &form).await.json();
        assert_eq!(made["price"]["id"], id(&price));
        assert_eq!((&made["unit_amount"], &made["amount"]), (&json!(350), &json!(700)));
        assert_eq!(made["unit_amount_decimal"], "350");
        assert_eq!(made["subscription"], Value::Null);
        for newer in ["pricing", "parent", "quantity_decimal"] {
            assert_eq!(made.get(newer), None, "{newer}");
        }
        let form = format!("customer={customer}&currency=usd&unit_amount=7&quantity=3");
        assert_eq!(app.send("POST", ITEMS, &[ACACIA], &form).await.json()["amount"], 21);
        let unknown = "400 parameter_unknown unit_amount: Received unknown parameter: unit_amount";
        assert_eq!(error(&app.post(ITEMS, &form).await), unknown);
    }
}

#[tokio::test]
async fn an_item_that_breaks_a_rule_is_refused() {
    let app = TestApp::start().await;
    let (price, who) = (price(&app).await, customer(&app).await);
    let off = rate(&app, "inclusive=true&active=false").await;
    let bound = customer(&app).await;
    app.made(ITEMS, &format!("customer={bound}&amount=7&currency=eur")).await;
    let of = |more: &str| format!("customer={who}&currency=usd&{more}");
    let exclusive_of = |one: &str, other: &str| {
        format!(
            "400 parameters_exclusive {one}: You may only specify one of these parameters: {one}, \
             {other}."
        )
    };
    refused(
        &app,
        &[
            (
                ITEMS,
                &format!("customer={who}&amount=7"),
                "400 parameter_missing currency: Missing required param: currency.",
            ),
            (ITEMS, &of("amount=7&quantity=2"), &exclusive_of("amount", "quantity")),
            (
                ITEMS,
                &of("unit_amount_decimal=7&quantity=2&quantity_decimal=2"),
                &exclusive_of("quantity", "quantity_decimal"),
            ),
            (
                ITEMS,
                &format!("customer={who}&currency=gbp&pricing[price]={}", id(&price)),
                "400 - pricing[price]: The price specified only supports `usd`. This doesn't match \
                 the expected currency: `gbp`.",
            ),
            (
                ITEMS,
                &of(&format!("amount=7&tax_rates[]={off}")),
                &format!(
                    "400 - tax_rates: The tax rate `{off}` is inactive and cannot be applied."
                ),
            ),
            (
                ITEMS,
                &of("amount=7&tax_rates[]=txr_none"),
                "400 resource_missing tax_rates[0]: No such tax rate: 'txr_none'",
            ),
            (
                ITEMS,
                &of("amount=7&discounts[0][coupon]=NONE"),
                "400 resource_missing discounts[0][coupon]: No such coupon: 'NONE'",
            ),
            (
                ITEMS,
                &of("amount=7&discounts[0][discount]=di_none"),
                "400 resource_missing discounts[0][discount]: No such discount: 'di_none'",
            ),
            (
                ITEMS,
                &format!("customer={bound}&amount=7&currency=usd"),
                "400 - -: You cannot combine currencies on a single customer. This customer has an \
                 active subscription, subscription schedule, discount, quote, or invoice item with \
                 currency eur.",
            ),
            (
                ITEMS,
                &of("amount=1000000000000"),
                "400 - amount: Invalid amount: the unit amount is beyond 999999999999.",
            ),
        ],
    )
    .await;
    assert_eq!(ids(&app.read(&format!("{ITEMS}?customer={who}")).await), Vec::<String>::new());
}
