//! What of a subscription can change.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::shop::{self, customer, events_since, id, latest_event, metered, monthly, subscribe};

const FREE: &str = "currency=usd&unit_amount=0";

async fn path(app: &TestApp, prices: &[&str], more: &str) -> String {
    let who = customer(app, "").await;
    format!("/v1/subscriptions/{}", id(&subscribe(app, &who, prices, more).await))
}

#[tokio::test]
async fn what_a_subscription_says_about_itself_changes_and_is_told() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let path = path(&app, &[&gold], "metadata[a]=1&metadata[b]=2&description=Old").await;
        let before = latest_event(&app).await;
        let form = "metadata[a]=&metadata[c]=3&description=&cancellation_details[comment]=Dear\
            &cancellation_details[feedback]=too_expensive";
        let sub = app.made(&path, form).await;
        assert_eq!(sub["metadata"], json!({ "b": "2", "c": "3" }));
        assert_eq!(sub["description"], json!(null));
        assert_eq!(
            sub["cancellation_details"],
            json!({
                "comment": "Dear", "feedback": "too_expensive", "feedback_option": null,
                "reason": null,
            })
        );
        assert_eq!(app.read(&path).await, sub);
        let events = events_since(&app, Some(&before)).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["type"], "customer.subscription.updated");
        assert_eq!(
            events[0]["data"]["previous_attributes"],
            json!({
                "cancellation_details": { "comment": null, "feedback": null },
                "description": "Old",
                "metadata": { "a": "1", "c": null },
            })
        );
        // Nothing changes, nothing happens.
        app.made(&path, "metadata[c]=3").await;
        assert_eq!(events_since(&app, Some(&before)).await.len(), 1);
        let cleared = app.made(&path, "metadata=&cancellation_details[feedback]=").await;
        assert_eq!(cleared["metadata"], json!({}));
        assert_eq!(cleared["cancellation_details"]["feedback"], json!(null));
    }
}

#[tokio::test]
async fn how_a_subscription_is_collected_changes_with_its_days_until_due() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let path = path(&app, &[&gold], "").await;
        for form in ["collection_method=send_invoice", "days_until_due=7"] {
            let [_, param, _] = shop::refused(&app, &path, form).await;
            assert_eq!(param, "days_until_due");
        }
        let shown = |sub: &Value| [sub["collection_method"].clone(), sub["days_until_due"].clone()];
        let sub = app.made(&path, "collection_method=send_invoice&days_until_due=7").await;
        assert_eq!(shown(&sub), [json!("send_invoice"), json!(7)]);
        let sub = app.made(&path, "days_until_due=13").await;
        assert_eq!(shown(&sub), [json!("send_invoice"), json!(13)]);
        let sub = app.made(&path, "collection_method=charge_automatically").await;
        assert_eq!(shown(&sub), [json!("charge_automatically"), json!(null)]);
    }
}

#[tokio::test]
async fn items_change_along_with_their_subscription() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "tokens").await;
        let tokens = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=4").await;
        let gold = monthly(&app, "Gold", FREE).await;
        let path = path(&app, &[&gold, &tokens], "items[1][metadata][a]=1").await;
        let items = app.read(&path).await["items"]["data"].clone();
        let (gold, tokens) = (id(&items[0]), id(&items[1]));
        let form = format!(
            "items[0][id]={tokens}&items[0][metadata][b]=2&items[1][id]={gold}&items[1][quantity]=7\
             &proration_behavior=none"
        );
        let sub = app.made(&path, &form).await;
        let data = &sub["items"]["data"];
        assert_eq!([&data[0]["id"], &data[0]["quantity"]], [&json!(gold), &json!(7)]);
        assert_eq!(data[1]["metadata"], json!({ "a": "1", "b": "2" }));
        for (form, expected) in [
            (
                format!("items[0][id]={tokens}&items[0][quantity]=8&proration_behavior=none"),
                ["", "items[0][quantity]"],
            ),
            ("items[0][id]=si_none".to_owned(), ["resource_missing", "items[0][id]"]),
            ("items[0][quantity]=7".to_owned(), ["parameter_missing", "items[0][price]"]),
            ("items[0][deleted]=true".to_owned(), ["parameter_missing", "items[0][id]"]),
            (format!("items[0][price]={gold}"), ["resource_missing", "items[0][price]"]),
            (
                format!("items[0][id]={gold}&items[0][quantity]=8&proration_date=5"),
                ["", "proration_date"],
            ),
            (
                "payment_behavior=pending_if_incomplete&off_session=true".to_owned(),
                ["", "off_session"],
            ),
        ] {
            let [code, param, _] = shop::refused(&app, &path, &form).await;
            assert_eq!([&*code, &*param], expected, "{form}");
        }
        assert_eq!(app.read(&path).await, sub);
    }
}

#[tokio::test]
async fn before_its_first_invoice_is_paid_only_its_words_change() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let path = path(&app, &[&gold], "payment_behavior=default_incomplete").await;
        let item = id(&app.read(&path).await["items"]["data"][0]);
        for form in [
            "collection_method=send_invoice&days_until_due=7".to_owned(),
            format!("items[0][id]={item}&items[0][quantity]=7&proration_behavior=none"),
        ] {
            let [_, _, message] = shop::refused(&app, &path, &form).await;
            assert!(message.contains("`incomplete`"), "{message}");
        }
        let more = "quantity=7&proration_behavior=none";
        shop::refused(&app, &format!("/v1/subscription_items/{item}"), more).await;
        let sub = app.made(&path, "metadata[a]=1&description=New").await;
        assert_eq!([&sub["description"], &sub["status"]], ["New", "incomplete"]);
    }
}

#[tokio::test]
async fn a_canceled_subscription_changes_only_in_metadata_and_why_it_ended() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let path = path(&app, &[&gold], "").await;
        let item = id(&app.read(&path).await["items"]["data"][0]);
        app.delete(&path).await;
        let expected = [
            "invalid_canceled_subscription_fields",
            "",
            "A canceled subscription can only update its cancellation_details and metadata.",
        ];
        for form in ["description=New", "proration_behavior=none", "items[0][id]=si_x"] {
            assert_eq!(shop::refused(&app, &path, form).await, expected, "{form}");
        }
        let item = format!("/v1/subscription_items/{item}");
        assert_eq!(shop::refused(&app, &item, "metadata[a]=1").await, expected);
        let form = "metadata[a]=1&cancellation_details[comment]=Bye";
        let sub = app.made(&path, form).await;
        assert_eq!(sub["metadata"], json!({ "a": "1" }));
        assert_eq!(sub["cancellation_details"]["comment"], "Bye");
        assert_eq!(sub["cancellation_details"]["reason"], "cancellation_requested");
    }
}

#[tokio::test]
async fn a_subscription_that_is_not_there_is_not_found() {
    for app in TestApp::everywhere().await {
        let path = "/v1/subscriptions/sub_none";
        let expected = ["resource_missing", "id", "No such subscription: 'sub_none'"];
        assert_eq!(shop::told(&app.get(path).await, 404), expected);
        assert_eq!(shop::told(&app.post(path, "metadata[a]=1").await, 404), expected);
        assert_eq!(shop::told(&app.delete(path).await, 404), expected);
    }
}
