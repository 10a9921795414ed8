//! Invoices: read, listed, searched, line by line.

use serde_json::{Value, json};
use taximeter_db::Arg;
use taximeter_testkit::{START, TestApp};

use crate::shop::{customer, encoded, id, ids, monthly, subscribe, told};

const TEN: &str = "currency=usd&unit_amount=1000";
const OPEN: &str = "payment_behavior=default_incomplete";
const SENT: &str = "collection_method=send_invoice&days_until_due=7";

/// Subscribes and returns the id of the first invoice.
async fn invoiced(app: &TestApp, who: &str, price: &str, more: &str) -> String {
    subscribe(app, who, &[price], more).await["latest_invoice"].as_str().unwrap().to_owned()
}

async fn execute(app: &TestApp, sql: &'static str, id: &str) {
    let mut tx = app.services().db.begin().await.unwrap();
    assert!(tx.execute(sql, vec![Arg::from(id)]).await.unwrap() > 0);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_list_has_its_filters() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", TEN).await;
        let free = monthly(&app, "Free", "currency=usd&unit_amount=0").await;
        let (ada, bob) = (customer(&app, "").await, customer(&app, "").await);
        let open = invoiced(&app, &ada, &gold, OPEN).await;
        app.advance_s(7);
        let draft = invoiced(&app, &bob, &gold, SENT).await;
        app.advance_s(6);
        let sub = subscribe(&app, &ada, &[&free], "").await;
        let paid = sub["latest_invoice"].as_str().unwrap().to_owned();
        let due = START.0 + 7 + 7 * 86_400;
        for (query, expected) in [
            (String::new(), vec![&paid, &draft, &open]),
            ("status=open".to_owned(), vec![&open]),
            ("status=draft".to_owned(), vec![&draft]),
            ("status=paid".to_owned(), vec![&paid]),
            ("status=void".to_owned(), vec![]),
            (format!("customer={ada}"), vec![&paid, &open]),
            (format!("subscription={}", id(&sub)), vec![&paid]),
            ("collection_method=send_invoice".to_owned(), vec![&draft]),
            (format!("created={}", START.0 + 7), vec![&draft]),
            (format!("created[gt]={}", START.0), vec![&paid, &draft]),
            (format!("due_date[gte]={due}"), vec![&draft]),
            (format!("due_date[lt]={due}"), vec![]),
            (format!("starting_after={paid}&limit=1"), vec![&draft]),
            (format!("ending_before={open}&limit=1"), vec![&draft]),
        ] {
            let list = app.read(&format!("/v1/invoices?{query}")).await;
            assert_eq!(ids(&list).iter().collect::<Vec<_>>(), expected, "{query}");
            assert_eq!(list["url"], "/v1/invoices");
        }
        let said = told(&app.get("/v1/invoices?starting_after=in_none").await, 400);
        assert_eq!(said[..2], ["resource_missing", "starting_after"]);
        let said = told(&app.get("/v1/invoices/in_none").await, 404);
        assert_eq!(said, ["resource_missing", "id", "No such invoice: 'in_none'"]);
    }
}

#[tokio::test]
async fn a_search_has_its_fields() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", TEN).await;
        let euro = monthly(&app, "Euro", "currency=eur&unit_amount=0").await;
        let (ada, bob) = (
            customer(&app, "invoice_prefix=ADA").await,
            customer(&app, "invoice_prefix=BOB").await,
        );
        let open = invoiced(&app, &ada, &gold, OPEN).await;
        app.advance_s(7);
        let sub = subscribe(&app, &bob, &[&euro], "").await;
        let paid = sub["latest_invoice"].as_str().unwrap().to_owned();
        for (query, expected) in [
            ("status:'open'".to_owned(), vec![&open]),
            ("currency:'eur'".to_owned(), vec![&paid]),
            (format!("customer:'{ada}'"), vec![&open]),
            (format!("subscription:'{}'", id(&sub)), vec![&paid]),
            ("number:'ADA-0001'".to_owned(), vec![&open]),
            ("total>999".to_owned(), vec![&open]),
            ("total<1000".to_owned(), vec![&paid]),
            (format!("created>{}", START.0), vec![&paid]),
            ("receipt_number:null".to_owned(), vec![&paid, &open]),
            ("last_finalization_error_code:null AND status:'paid'".to_owned(), vec![&paid]),
        ] {
            let encoded = encoded(&query);
            let found = app.read(&format!("/v1/invoices/search?query={encoded}")).await;
            assert_eq!(ids(&found).iter().collect::<Vec<_>>(), expected, "{query}");
        }
    }
}

/// A price whose every unit is a tier of its own, up to `count` of them.
fn many_tiers(count: i64) -> String {
    let mut terms = "currency=usd&billing_scheme=tiered&tiers_mode=graduated".to_owned();
    for at in 0..count {
        let up_to = if at + 1 == count { "inf".to_owned() } else { (at + 1).to_string() };
        terms.push_str(&format!("&tiers[{at}][up_to]={up_to}&tiers[{at}][unit_amount]={at}"));
    }
    terms
}

#[tokio::test]
async fn an_invoice_shows_ten_lines_and_the_rest_page_by_page() {
    for app in TestApp::everywhere().await {
        let price = monthly(&app, "Steps", &many_tiers(13)).await;
        let who = customer(&app, "").await;
        let invoice = invoiced(&app, &who, &price, &format!("{OPEN}&items[0][quantity]=13")).await;
        let shown = app.read(&format!("/v1/invoices/{invoice}")).await;
        let path = format!("/v1/invoices/{invoice}/lines");
        let embedded = &shown["lines"];
        assert_eq!(ids(embedded).len(), 10);
        assert_eq!([&embedded["has_more"], &embedded["url"]], [&json!(true), &json!(path)]);
        let all = app.read(&format!("{path}?limit=100")).await;
        let amounts: Vec<_> =
            all["data"].as_array().unwrap().iter().map(|l| l["amount"].clone()).collect();
        assert_eq!(amounts, (0..13).map(Value::from).collect::<Vec<_>>(), "in the invoice's order");
        let all = ids(&all);
        assert_eq!(ids(embedded), all[..10]);
        for (query, expected, has_more) in [
            (String::new(), &all[..10], true),
            (format!("starting_after={}", all[9]), &all[10..], false),
            (format!("starting_after={}&limit=2", all[9]), &all[10..12], true),
            (format!("ending_before={}&limit=2", all[12]), &all[10..12], true),
            (format!("ending_before={}&limit=3", all[3]), &all[..3], false),
        ] {
            let page = app.read(&format!("{path}?{query}")).await;
            assert_eq!(ids(&page), expected, "{query}");
            assert_eq!(
                [&page["has_more"], &page["url"]],
                [&json!(has_more), &json!(path)],
                "{query}"
            );
        }
        let said = told(&app.get(&format!("{path}?starting_after=il_none")).await, 400);
        assert_eq!(said[1], "starting_after");
        assert_eq!(app.get("/v1/invoices/in_none/lines").await.status, 404);
    }
}

#[tokio::test]
async fn the_longest_invoice_reads_back_whole() {
    for app in TestApp::everywhere().await {
        let mut prices = Vec::new();
        for _ in 0..11 {
            prices.push(monthly(&app, "Steps", &many_tiers(100)).await);
        }
        let prices: Vec<&str> = prices.iter().map(String::as_str).collect();
        let quantities: String =
            (0..prices.len()).map(|at| format!("&items[{at}][quantity]=100")).collect();
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &prices, &format!("{OPEN}{quantities}")).await;
        let invoice = sub["latest_invoice"].as_str().unwrap();
        let invoice = app.read(&format!("/v1/invoices/{invoice}")).await;
        assert_eq!(invoice["total"], 11 * 4950);
    }
}

#[tokio::test]
async fn an_invoice_shows_what_it_names_when_asked() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "name=Ada").await;
        let sub = subscribe(&app, &who, &[&gold], OPEN).await;
        let path = format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap());
        let query = "expand[]=customer&expand[]=parent.subscription_details.subscription\
            &expand[]=lines.data.subscription&expand[]=payments";
        let shown = app.read(&format!("{path}?{query}")).await;
        assert_eq!(shown["customer"]["name"], "Ada");
        assert_eq!(shown["parent"]["subscription_details"]["subscription"]["id"], sub["id"]);
        assert_eq!(shown["lines"]["data"][0]["subscription"]["id"], sub["id"]);
        assert_eq!(shown["payments"]["data"][0]["amount_requested"], 1000);
        let plain = app.read(&path).await;
        assert_eq!([plain.get("payments"), plain.get("confirmation_secret")], [None, None]);
        let list = app.read("/v1/invoices?expand[]=data.customer").await;
        assert_eq!(list["data"][0]["customer"]["name"], "Ada");
        let bearer = format!("Bearer {}", app.test_key());
        let headers = [("authorization", bearer.as_str()), ("stripe-version", "2024-09-30.acacia")];
        let old = app.request("GET", &path, &headers, b"").await.json();
        assert_eq!(old["lines"]["data"][0]["price"]["id"], gold.as_str());
        assert_eq!([&old["subscription"], &old["paid"]], [&sub["id"], &json!(false)]);
    }
}

#[tokio::test]
async fn what_remains_to_be_paid_is_what_is_due_in_every_status() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "balance=-1700").await;
        let paid = invoiced(&app, &who, &gold, "").await;
        let open = invoiced(&app, &who, &gold, OPEN).await;
        let draft = invoiced(&app, &who, &gold, SENT).await;
        let amounts = async |id: &str| {
            let invoice = app.read(&format!("/v1/invoices/{id}")).await;
            let status = invoice["status"].as_str().unwrap().to_owned();
            let amount = |name: &str| invoice[name].as_i64().unwrap();
            (status, [amount("total"), amount("amount_due"), amount("amount_remaining")])
        };
        assert_eq!(amounts(&paid).await, ("paid".to_owned(), [1000, 0, 0]));
        assert_eq!(amounts(&open).await, ("open".to_owned(), [1000, 300, 300]));
        assert_eq!(amounts(&draft).await, ("draft".to_owned(), [1000, 1000, 1000]));
        execute(&app, "UPDATE invoices SET status = 'uncollectible' WHERE id = $1", &open).await;
        assert_eq!(amounts(&open).await, ("uncollectible".to_owned(), [1000, 300, 300]));
        execute(&app, "UPDATE invoices SET status = 'void' WHERE id = $1", &open).await;
        assert_eq!(amounts(&open).await, ("void".to_owned(), [1000, 300, 300]));
    }
}

#[tokio::test]
async fn an_invoice_whose_lines_do_not_come_to_its_total_is_not_shown() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", TEN).await;
        let invoice = invoiced(&app, &customer(&app, "").await, &gold, OPEN).await;
        let sql = "UPDATE invoice_lines SET amount = amount + 1 WHERE invoice = $1";
        execute(&app, sql, &invoice).await;
        assert_eq!(app.get(&format!("/v1/invoices/{invoice}")).await.status, 500);
    }
}

#[tokio::test]
async fn the_other_mode_has_other_invoices_and_subscriptions() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", TEN).await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&gold], OPEN).await;
        let item = ids(&sub["items"])[0].clone();
        let bearer = format!("Bearer {}", app.live_key());
        let headers = [("authorization", bearer.as_str())];
        for path in [
            format!("/v1/subscriptions/{}", id(&sub)),
            format!("/v1/subscription_items/{item}"),
            format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap()),
        ] {
            let said = told(&app.request("GET", &path, &headers, b"").await, 404);
            let hint = "exists in test mode, but a live mode key was used";
            assert!(said[2].contains(hint), "{}", said[2]);
        }
        for path in ["/v1/subscriptions?status=all", "/v1/invoices"] {
            let list = app.request("GET", path, &headers, b"").await.json();
            assert_eq!(list["data"], json!([]), "{path}");
        }
        assert_eq!(ids(&app.read("/v1/invoices").await).len(), 1);
    }
}
