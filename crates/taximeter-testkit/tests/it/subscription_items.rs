//! The items of subscriptions through the API.

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use crate::shop::{
    self, customer, events_since, id, ids, latest_event, metered, monthly, refused, subscribe, told,
};

const ITEMS: &str = "/v1/subscription_items";
const FREE: &str = "currency=usd&unit_amount=0";

#[tokio::test]
async fn items_are_listed_oldest_first() {
    for app in TestApp::everywhere().await {
        let mut prices = Vec::new();
        for _ in 0..5 {
            prices.push(monthly(&app, "Gold", FREE).await);
        }
        let prices: Vec<&str> = prices.iter().map(String::as_str).collect();
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &prices, "").await;
        let all = ids(&sub["items"]);
        let path = format!("/v1/subscription_items?subscription={}", id(&sub));
        assert_eq!(sub["items"]["url"], path.as_str());
        for (query, expected, has_more) in [
            (String::new(), &all[..], false),
            ("&limit=2".to_owned(), &all[..2], true),
            (format!("&limit=2&starting_after={}", all[1]), &all[2..4], true),
            (format!("&limit=2&starting_after={}", all[2]), &all[3..], false),
            (format!("&limit=2&ending_before={}", all[4]), &all[2..4], true),
            (format!("&ending_before={}", all[0]), &all[..0], false),
        ] {
            let list = app.read(&format!("{path}{query}")).await;
            assert_eq!(ids(&list), expected, "{query}");
            assert_eq!(list["has_more"], has_more, "{query}");
            assert_eq!(list["url"], path.as_str());
        }
        assert_eq!(app.read(&path).await["data"][0], sub["items"]["data"][0]);
        let other = subscribe(&app, &who, &prices[..1], "").await;
        let foreign = format!("{path}&starting_after={}", ids(&other["items"])[0]);
        assert_eq!(told(&app.get(&foreign).await, 400)[1], "starting_after");
    }
}

#[tokio::test]
async fn a_list_needs_its_subscription() {
    for app in TestApp::everywhere().await {
        let said = told(&app.get("/v1/subscription_items").await, 400);
        assert_eq!(said[..2], ["parameter_missing", "subscription"]);
        let said = told(&app.get("/v1/subscription_items?subscription=sub_none").await, 400);
        let message = "No such subscription: 'sub_none'";
        assert_eq!(said, ["resource_missing", "subscription", message]);
        let said = told(&app.get("/v1/subscription_items/si_none").await, 404);
        assert_eq!(said, ["resource_missing", "id", "No such subscription_item: 'si_none'"]);
    }
}

#[tokio::test]
async fn an_items_metadata_and_quantity_change_and_are_told() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let sub = subscribe(&app, &customer(&app, "").await, &[&gold], "").await;
        let path = format!("/v1/subscription_items/{}", ids(&sub["items"])[0]);
        assert_eq!(app.read(&path).await, sub["items"]["data"][0]);
        let before = latest_event(&app).await;
        let form = "metadata[a]=1&quantity=7&proration_behavior=none";
        let item = app.made(&path, form).await;
        assert_eq!([&item["quantity"], &item["metadata"]], [&json!(7), &json!({ "a": "1" })]);
        assert_eq!(app.read(&path).await, item);
        let events = events_since(&app, Some(&before)).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["type"], "customer.subscription.updated");
        assert_eq!(events[0]["data"]["object"]["items"]["data"][0], item);
        // The next period is billed by the new quantity.
        assert_eq!(shop::lines(&shop::preview(&app, &sub).await)[0].1, "7");
        // The quantity it has is no change, however it would be billed.
        app.made(&path, "quantity=7&proration_behavior=always_invoice").await;
        assert_eq!(events_since(&app, Some(&before)).await.len(), 1);
    }
}

#[tokio::test]
async fn a_change_of_an_item_against_the_rules_is_refused() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let gold = monthly(&app, "Gold", FREE).await;
        let sub = subscribe(&app, &customer(&app, "").await, &[&gold, &tokens], "").await;
        let items = ids(&sub["items"]);
        let [gold, tokens] =
            [0, 1].map(|at: usize| format!("/v1/subscription_items/{}", items[at]));
        for (path, form, code, param) in [
            (&gold, "quantity=-1&proration_behavior=none", "", "quantity"),
            (&tokens, "quantity=7&proration_behavior=none", "", "quantity"),
            (&gold, "quantity=many", "parameter_invalid_integer", "quantity"),
            (&gold, "price=price_x", "resource_missing", "price"),
            (&gold, "payment_behavior=pending_if_incomplete&metadata[a]=1", "", "metadata"),
        ] {
            let said = refused(&app, path, form).await;
            assert_eq!(said[..2], [code, param], "{form}");
        }
        assert_eq!(app.read(&gold).await["quantity"], 1);
        let gone = app.delete(&gold).await.json();
        assert_eq!(gone["deleted"], true);
        assert_eq!(app.get(&gold).await.status, 404);
    }
}

#[tokio::test]
async fn an_item_is_added_and_billed_with_the_period_of_its_subscription() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
        let other = metered(&app, &meter, "Other", "currency=usd&unit_amount=2").await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let who = customer(&app, "").await;
        let subscription = subscribe(&app, &who, &[&unit], "").await;
        let sub = id(&subscription);
        let end = subscription["items"]["data"][0]["current_period_end"].clone();
        shop::used(&app, "units", &who, "7", START).await;
        app.advance_s(86_400);
        shop::used(&app, "units", &who, "13", app.now()).await;
        let added =
            app.made(ITEMS, &format!("subscription={sub}&price={other}&metadata[a]=b")).await;
        assert_eq!(added["current_period_start"], app.now().0);
        assert_eq!(added["current_period_end"], end);
        assert_eq!(added["metadata"], json!({ "a": "b" }));
        // A licensed price is paid for from the next period on, when told so.
        let form = format!("subscription={sub}&price={gold}&quantity=3");
        app.made(ITEMS, &format!("{form}&proration_behavior=none")).await;
        // Usage before an item was added is not its own: 13 of the 20.
        let invoice = app.made("/v1/invoices/create_preview", &format!("subscription={sub}")).await;
        let amounts: Vec<_> =
            invoice["lines"]["data"].as_array().unwrap().iter().map(|l| &l["amount"]).collect();
        assert_eq!(amounts, [3000, 26, 20]);
        let read = app.read(&format!("/v1/subscriptions/{sub}")).await;
        assert_eq!(read["items"]["data"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn an_item_that_does_not_go_with_its_subscription_is_refused() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", "currency=usd&unit_amount=1").await;
        let euro = metered(&app, &meter, "Euro", "currency=eur&unit_amount=1").await;
        let who = customer(&app, "").await;
        let subscription = subscribe(&app, &who, &[&unit], "").await;
        let sub = id(&subscription);
        let item = id(&subscription["items"]["data"][0]);
        for (form, param, message) in [
            (
                format!("price={unit}"),
                "subscription",
                "Missing required param: subscription.".to_owned(),
            ),
            (format!("subscription={sub}"), "price", "Missing required param: price.".to_owned()),
            (
                format!("subscription={sub}&price={unit}"),
                "plan",
                format!(
                    "A new item with Price {unit} can't be added to this Subscription because an \
                     existing Subscription Item {item} is already using that Price."
                ),
            ),
            (
                format!("subscription={sub}&price={euro}"),
                "price",
                "The price specified only supports `eur`. This doesn't match the expected \
                 currency: `usd`."
                    .to_owned(),
            ),
            (
                format!("subscription={sub}&price=price_none"),
                "price",
                "No such price: 'price_none'".to_owned(),
            ),
        ] {
            let said = told(&app.post(ITEMS, &form).await, 400);
            assert_eq!((said[1].as_str(), &said[2]), (param, &message), "{form}");
        }
        app.delete(&format!("/v1/subscriptions/{sub}")).await;
        let form = format!("subscription={sub}&price={euro}");
        let said = told(&app.post(ITEMS, &form).await, 400);
        assert_eq!(said[0], "invalid_canceled_subscription_fields");
    }
}
