//! Lists and searches of subscriptions.

use serde_json::Value;
use taximeter_testkit::{START, TestApp};

use crate::shop::{customer, encoded, id, ids, monthly, subscribe, told};

const FREE: &str = "currency=usd&unit_amount=0";
const MONTH_S: i64 = 31 * 86_400;

#[tokio::test]
async fn a_list_has_its_filters() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let dear = monthly(&app, "Dear", "currency=usd&unit_amount=1000").await;
        let day = format!("{FREE}&recurring[interval]=day&product_data[name]=Day");
        let day = id(&app.made("/v1/prices", &day).await);
        let (ada, bob) = (customer(&app, "").await, customer(&app, "").await);
        let active = id(&subscribe(&app, &ada, &[&gold], "").await);
        app.advance_s(7);
        let sent = "collection_method=send_invoice&days_until_due=7";
        let sent = id(&subscribe(&app, &bob, &[&gold, &day], sent).await);
        app.advance_s(6);
        let open = "payment_behavior=default_incomplete";
        let incomplete = id(&subscribe(&app, &ada, &[&dear], open).await);
        let over = id(&subscribe(&app, &ada, &[&gold], "").await);
        app.delete(&format!("/v1/subscriptions/{over}")).await;
        let (start, later) = (START.0, START.0 + 7);
        for (query, expected) in [
            (String::new(), vec![&incomplete, &sent, &active]),
            ("status=all".into(), vec![&over, &incomplete, &sent, &active]),
            ("status=active".into(), vec![&sent, &active]),
            ("status=incomplete".into(), vec![&incomplete]),
            ("status=canceled".into(), vec![&over]),
            ("status=ended".into(), vec![&over]),
            ("status=trialing".into(), vec![]),
            (format!("customer={ada}"), vec![&incomplete, &active]),
            (format!("price={gold}"), vec![&sent, &active]),
            (format!("plan={dear}"), vec![&incomplete]),
            ("collection_method=send_invoice".into(), vec![&sent]),
            (format!("created={start}"), vec![&active]),
            (format!("created[gt]={start}&created[lte]={later}"), vec![&sent]),
            (format!("current_period_start[lt]={later}"), vec![&active]),
            (format!("current_period_start[gte]={later}"), vec![&incomplete, &sent]),
            // The first of its periods to end is the day's.
            (format!("current_period_end[lt]={}", start + MONTH_S), vec![&sent]),
            (format!("current_period_end={}", start + MONTH_S), vec![&active]),
            ("limit=1".into(), vec![&incomplete]),
            (format!("starting_after={incomplete}&limit=1"), vec![&sent]),
            (format!("ending_before={active}"), vec![&incomplete, &sent]),
            (format!("ending_before={active}&limit=1"), vec![&sent]),
        ] {
            let list = app.read(&format!("/v1/subscriptions?{query}")).await;
            assert_eq!(ids(&list).iter().collect::<Vec<_>>(), expected, "{query}");
            assert_eq!(list["url"], "/v1/subscriptions");
        }
        let first = app.read("/v1/subscriptions?limit=2").await;
        assert_eq!(first["has_more"], true);
        let items: &Value = &first["data"][1]["items"]["data"];
        assert_eq!(items[1]["price"]["id"], day.as_str());
        let said = told(&app.get("/v1/subscriptions?status=over").await, 400);
        assert_eq!(said[1], "status");
        let said = told(&app.get("/v1/subscriptions?starting_after=sub_none").await, 400);
        assert_eq!(said[..2], ["resource_missing", "starting_after"]);
    }
}

#[tokio::test]
async fn a_search_has_its_fields() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let who = customer(&app, "").await;
        let first = id(&subscribe(&app, &who, &[&gold], "metadata[tier]=7").await);
        app.advance_s(7);
        let over = id(&subscribe(&app, &who, &[&gold], "metadata[tier]=13").await);
        app.delete(&format!("/v1/subscriptions/{over}")).await;
        let later = START.0 + 7;
        for (query, expected) in [
            ("status:'active'".to_owned(), vec![&first]),
            ("status:'canceled'".to_owned(), vec![&over]),
            ("metadata['tier']:'7'".to_owned(), vec![&first]),
            ("-metadata['tier']:null".to_owned(), vec![&over, &first]),
            (format!("created>={later}"), vec![&over]),
            (format!("canceled_at:{later}"), vec![&over]),
            ("canceled_at:null".to_owned(), vec![&first]),
        ] {
            let encoded = encoded(&query);
            let found = app.read(&format!("/v1/subscriptions/search?query={encoded}")).await;
            assert_eq!(ids(&found).iter().collect::<Vec<_>>(), expected, "{query}");
            assert_eq!(found["data"][0]["items"]["data"][0]["price"]["id"], gold.as_str());
        }
        let said = told(&app.get("/v1/subscriptions/search?query=customer%3A%27x%27").await, 400);
        assert!(said[2].contains("customer"), "{}", said[2]);
    }
}

#[tokio::test]
async fn a_subscription_shows_its_customer_invoice_and_product_when_asked() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", FREE).await;
        let sub = subscribe(&app, &customer(&app, "name=Ada").await, &[&gold], "").await;
        let query = "expand[]=customer&expand[]=latest_invoice&expand[]=items.data.price.product";
        let shown = app.read(&format!("/v1/subscriptions/{}?{query}", id(&sub))).await;
        assert_eq!(shown["customer"]["name"], "Ada");
        assert_eq!(shown["latest_invoice"]["id"], sub["latest_invoice"]);
        assert_eq!(shown["items"]["data"][0]["price"]["product"]["name"], "Gold");
        let query = "expand[]=data.latest_invoice.lines.data.pricing.price_details.price";
        told(&app.get(&format!("/v1/subscriptions?{query}")).await, 400);
    }
}
