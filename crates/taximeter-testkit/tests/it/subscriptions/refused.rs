//! What no subscription may be, and in which words it is refused.

use taximeter_testkit::TestApp;

use crate::shop::{self, customer, id, metered, monthly, subscribe, told};

const PATH: &str = "/v1/subscriptions";

/// Posts each form, with `CUS`, `GOLD`, `OIL`, `EUR`, `ONCE` and `TOKENS` replaced by ids, and holds
/// the refusal against code, param and message.
async fn check(cases: &[(&str, [&str; 3])]) {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let once = "currency=usd&unit_amount=7&product_data[name]=Once";
        let names = [
            ("CUS", customer(&app, "").await),
            ("GOLD", monthly(&app, "Gold", "currency=usd&unit_amount=1000").await),
            ("OIL", monthly(&app, "Oil", "currency=usd&unit_amount=0").await),
            ("EUR", monthly(&app, "Euro", "currency=eur&unit_amount=1000").await),
            ("ONCE", id(&app.made("/v1/prices", once).await)),
            ("TOKENS", metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await),
        ];
        let named = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
        };
        for (form, expected) in cases {
            let said = shop::refused(&app, PATH, &named(form)).await;
            assert_eq!(said, expected.map(named), "{form}");
        }
        assert_eq!(app.read(&format!("{PATH}?status=all")).await["data"], serde_json::json!([]));
        assert_eq!(app.read("/v1/invoices").await["data"], serde_json::json!([]));
    }
}

#[tokio::test]
async fn an_unknown_or_deleted_customer_is_not_found() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let deleted = customer(&app, "").await;
        app.delete(&format!("/v1/customers/{deleted}")).await;
        for id in ["cus_nobody", &deleted] {
            let answer = app.post(PATH, &shop::subscription(id, &[&price], "")).await;
            let message = format!("No such customer: '{id}'");
            assert_eq!(told(&answer, 404), ["resource_missing", "customer", message.as_str()]);
        }
    }
}

#[tokio::test]
async fn items_that_break_a_rule_are_refused() {
    check(&[
        ("customer=CUS", ["parameter_missing", "items", "Missing required param: items."]),
        (
            "customer=CUS&items[0][quantity]=2",
            ["parameter_missing", "items[0][price]", "Missing required param: items[0][price]."],
        ),
        (
            "customer=CUS&items[0][price]=price_none",
            ["resource_missing", "items[0][price]", "No such price: 'price_none'"],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&items[0][plan]=GOLD",
            [
                "parameters_exclusive",
                "items[0][price]",
                "You may only specify one of these parameters: price, price_data, plan.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&items[1][price]=GOLD",
            [
                "",
                "plan",
                "Cannot create a Subscription with multiple Subscription Items with the same Price: \
                 GOLD",
            ],
        ),
        (
            "customer=CUS&items[0][price]=ONCE",
            [
                "",
                "items[0][price]",
                "The price specified is set to `type=one_time` but this field only accepts prices \
                 with `type=recurring`.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&items[1][price]=TOKENS&items[1][quantity]=7",
            [
                "",
                "items[1][quantity]",
                "Quantity should not be specified where usage_type is metered. Remove \
                 `items[1][quantity]`.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&items[0][quantity]=-1",
            ["", "items[0][quantity]", "Invalid quantity: must be between 0 and 999999999999."],
        ),
        (
            "customer=CUS&items[0][price]=OIL&items[0][amount]=1",
            [
                "parameter_unknown",
                "items[0][amount]",
                "Received unknown parameter: items[0][amount]",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&items[0][quantity]=999999999999",
            ["amount_too_large", "", "The invoice amounts to more than can be billed."],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_subscription_has_at_most_twenty_items() {
    for app in TestApp::everywhere().await {
        let mut prices = Vec::new();
        for _ in 0..21 {
            prices.push(monthly(&app, "Gold", "currency=usd&unit_amount=0").await);
        }
        let prices: Vec<&str> = prices.iter().map(String::as_str).collect();
        let who = customer(&app, "").await;
        let [code, param, _] =
            shop::refused(&app, PATH, &shop::subscription(&who, &prices, "")).await;
        assert_eq!([&*code, &*param], ["", "items"]);
        let sub = subscribe(&app, &who, &prices[1..], "").await;
        assert_eq!(sub["items"]["data"].as_array().unwrap().len(), 20);
        assert_eq!(sub["items"]["has_more"], false);
    }
}

#[tokio::test]
async fn currencies_that_do_not_agree_are_refused() {
    check(&[
        (
            "customer=CUS&items[0][price]=GOLD&items[1][price]=EUR",
            [
                "",
                "items[1][price]",
                "This `price` has `currency=eur`, but other items use `currency=usd`. All items must \
                 have pricing in the same currency. Alternatively, all prices can be created with \
                 support for additional currencies.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=EUR&currency=usd",
            [
                "",
                "items[0][price]",
                "The price specified only supports `eur`. This doesn't match the expected currency: \
                 `usd`.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&currency=zzz",
            [
                "",
                "currency",
                "Invalid currency: zzz. It must be the three-letter ISO 4217 code of a supported \
                 currency, such as usd.",
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_refused() {
    check(&[
        (
            "customer=CUS&items[0][price]=GOLD&collection_method=send_invoice",
            [
                "",
                "days_until_due",
                "If invoice collection method is 'send_invoice', you must specify 'days_until_due'.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&days_until_due=7",
            [
                "",
                "days_until_due",
                "You can only specify 'days_until_due' if invoice collection method is \
                 'send_invoice'.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&collection_method=send_invoice&days_until_due=-1",
            ["", "days_until_due", "Invalid days_until_due: must be between 0 and 36500."],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&payment_behavior=pending_if_incomplete",
            [
                "",
                "payment_behavior",
                "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating \
                 a subscription.",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&payment_behavior=never",
            [
                "",
                "payment_behavior",
                "Invalid payment_behavior: must be one of allow_incomplete, default_incomplete, \
                 error_if_incomplete, or pending_if_incomplete",
            ],
        ),
        (
            "customer=CUS&items[0][price]=GOLD&billing_mode[type]=classic\
             &billing_mode[flexible][proration_discounts]=included",
            [
                "",
                "billing_mode[flexible]",
                "You can only specify `billing_mode[flexible]` when `billing_mode[type]` is \
                 `flexible`.",
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_not_built_yet_is_an_unknown_parameter() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let form = shop::subscription(&customer(&app, "").await, &[&price], "");
        for param in [
            "application_fee_percent=3",
            "automatic_tax[enabled]=true",
            "transfer_data[destination]=acct_x",
        ] {
            let name = param.split(['=', '[']).next().unwrap();
            let [code, said, _] = shop::refused(&app, PATH, &format!("{form}&{param}")).await;
            assert_eq!([&*code, &*said], ["parameter_unknown", name]);
        }
    }
}

#[tokio::test]
async fn what_is_switched_off_cannot_be_subscribed_to() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let oil = monthly(&app, "Oil", "currency=usd&unit_amount=0").await;
        let product = app.read(&format!("/v1/prices/{oil}")).await["product"].clone();
        let product = product.as_str().unwrap();
        app.made(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
        app.made(&format!("/v1/prices/{gold}"), "active=false").await;
        app.made(&format!("/v1/products/{product}"), "active=false").await;
        let who = customer(&app, "").await;
        for (price, code, message) in [
            (
                &gold,
                "",
                "The price specified is inactive. This field only accepts active prices."
                    .to_owned(),
            ),
            (
                &oil,
                "product_inactive",
                format!("The product {product} of the price specified is inactive."),
            ),
            (
                &tokens,
                "",
                format!("The price specified is backed by the meter {meter}, which is inactive."),
            ),
        ] {
            let said = shop::refused(&app, PATH, &shop::subscription(&who, &[price], "")).await;
            assert_eq!(said, [code, "items[0][price]", message.as_str()]);
        }
    }
}
