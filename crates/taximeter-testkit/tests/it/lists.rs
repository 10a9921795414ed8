//! Lists: newest first, in pages that neither repeat nor skip.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::support::{customer, id, ids, meter, price, subscription, unreadable};

const CUSTOMERS: &str = "/v1/customers";

/// So many customers, newest first. All are made in the same second.
async fn customers(app: &TestApp, count: usize) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(customer(app).await);
    }
    made.reverse();
    made
}

/// The ids of a page, and whether there is another.
fn page(list: &Value) -> (Vec<String>, bool) {
    (ids(list), list["has_more"].as_bool().unwrap())
}

/// Reads all pages as the SDKs do: from the list's own `url`, after the last id seen.
async fn all_pages(app: &TestApp, first: &str) -> Vec<String> {
    let (_, query) = first.split_once('?').unwrap();
    let mut seen = Vec::new();
    let mut list = app.read(first).await;
    loop {
        seen.extend(ids(&list));
        if list["has_more"] == false {
            return seen;
        }
        let url = list["url"].as_str().unwrap();
        let join = if url.contains('?') { '&' } else { '?' };
        let last = seen.last().unwrap();
        list = app.read(&format!("{url}{join}{query}&starting_after={last}")).await;
    }
}

#[tokio::test]
async fn a_list_is_newest_first_even_within_a_second() {
    for app in TestApp::everywhere().await {
        let all = customers(&app, 12).await;
        let list = app.read(CUSTOMERS).await;
        assert_eq!(list["object"], "list");
        assert_eq!(list["url"], CUSTOMERS);
        assert_eq!(page(&list), (all[..10].to_vec(), true));
    }
}

#[tokio::test]
async fn both_cursors_cut_pages_and_tell_whether_there_are_more() {
    for app in TestApp::everywhere().await {
        let all = customers(&app, 7).await;
        let of = async |query: String| page(&app.read(&format!("{CUSTOMERS}?{query}")).await);
        for (query, from, to, more) in [
            (String::new(), 0, 7, false),
            ("limit=7".into(), 0, 7, false),
            ("limit=6".into(), 0, 6, true),
            (format!("limit=2&starting_after={}", all[2]), 3, 5, true),
            (format!("limit=4&starting_after={}", all[2]), 3, 7, false),
            (format!("starting_after={}", all[6]), 7, 7, false),
            // Newest first going up too: the page ends right before the cursor.
            (format!("limit=2&ending_before={}", all[5]), 3, 5, true),
            (format!("limit=5&ending_before={}", all[5]), 0, 5, false),
            (format!("ending_before={}", all[0]), 0, 0, false),
        ] {
            assert_eq!(of(query.clone()).await, (all[from..to].to_vec(), more), "{query}");
        }
    }
}

#[tokio::test]
async fn a_limit_out_of_range_is_brought_within_it() {
    let app = TestApp::start().await;
    customers(&app, 101).await;
    for (limit, count) in
        [("0", 1), ("-7", 1), ("1", 1), ("100", 100), ("101", 100), ("99999", 100)]
    {
        let list = app.read(&format!("{CUSTOMERS}?limit={limit}")).await;
        assert_eq!(ids(&list).len(), count, "{limit}");
    }
    let integer = "400 parameter_invalid_integer limit: Invalid integer: ten";
    unreadable(&app, &[("/v1/customers?limit=ten", integer)]).await;
}

#[tokio::test]
async fn cursors_that_name_nothing_or_each_other_are_refused() {
    let app = TestApp::start().await;
    let both = "400 parameters_exclusive starting_after: You may only specify one of these \
                parameters: starting_after, ending_before.";
    for (list, noun) in [
        ("/v1/customers", "customer"),
        ("/v1/billing/meters", "billing meter"),
        ("/v1/products", "product"),
        ("/v1/prices", "price"),
        ("/v1/subscriptions", "subscription"),
        ("/v1/invoices", "invoice"),
        ("/v1/events", "event"),
    ] {
        let query = |query: &str| format!("{list}?{query}");
        let missing =
            |param: &str| format!("400 resource_missing {param}: No such {noun}: 'nothing'");
        unreadable(
            &app,
            &[
                (&query("starting_after=nothing"), &missing("starting_after")),
                (&query("ending_before=nothing"), &missing("ending_before")),
                (&query("starting_after=a&ending_before=b"), both),
            ],
        )
        .await;
        let empty = json!({ "object": "list", "data": [], "has_more": false, "url": list });
        assert_eq!(app.read(list).await, empty);
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_objects_arrive() {
    for app in TestApp::everywhere().await {
        let all = customers(&app, 5).await;
        let first = app.read("/v1/customers?limit=2").await;
        customers(&app, 3).await;
        let second = app.read(&format!("/v1/customers?limit=2&starting_after={}", all[1])).await;
        customers(&app, 1).await;
        let third = app.read(&format!("/v1/customers?limit=2&starting_after={}", all[3])).await;
        let seen = [ids(&first), ids(&second), ids(&third)].concat();
        assert_eq!(seen, all);
        assert_eq!(third["has_more"], false);
        // A deleted object is in no list, but still marks its place.
        app.delete(&format!("{CUSTOMERS}/{}", all[2])).await;
        let after = app.read(&format!("{CUSTOMERS}?starting_after={}", all[2])).await;
        assert_eq!(ids(&after), all[3..]);
        assert!(!ids(&app.read("/v1/customers?limit=100").await).contains(&all[2]));
    }
}

#[tokio::test]
async fn every_list_pages_through_its_own_url() {
    for app in TestApp::everywhere().await {
        let meters: Vec<String> = {
            let mut made = Vec::new();
            for name in ["a", "b", "c"] {
                made.insert(0, meter(&app, name, "sum", "").await);
            }
            made
        };
        let mut prices = Vec::new();
        for _ in 0..3 {
            prices.insert(0, price(&app, "").await);
        }
        let customer = customer(&app).await;
        let mut form =
            format!("customer={customer}&collection_method=send_invoice&days_until_due=7");
        for (place, price) in prices.iter().rev().enumerate() {
            form.push_str(&format!("&items[{place}][price]={price}"));
        }
        let made = app.made("/v1/subscriptions", &form).await;
        let more = app.made("/v1/subscriptions", &form).await;
        assert_eq!(all_pages(&app, "/v1/billing/meters?limit=1").await, meters);
        assert_eq!(all_pages(&app, "/v1/prices?limit=2").await, prices);
        assert_eq!(all_pages(&app, "/v1/products?limit=2").await.len(), 3);
        assert_eq!(all_pages(&app, "/v1/subscriptions?limit=1").await, [id(&more), id(&made)]);
        // Items are the one list that is oldest first.
        let items = ids(&made["items"]);
        let path = format!("/v1/subscription_items?subscription={}&limit=1", id(&made));
        assert_eq!(all_pages(&app, &path).await, items);
        assert_eq!(all_pages(&app, "/v1/invoices?limit=1").await.len(), 2);
        let invoice = made["latest_invoice"].as_str().unwrap();
        let lines = ids(&app.read(&format!("/v1/invoices/{invoice}")).await["lines"]);
        assert_eq!(lines.len(), 3);
        assert_eq!(all_pages(&app, &format!("/v1/invoices/{invoice}/lines?limit=1")).await, lines);
        let events = ids(&app.read("/v1/events?limit=100").await);
        assert_eq!(all_pages(&app, "/v1/events?limit=5").await, events);
        let listed = app.read(&format!("{CUSTOMERS}/{customer}?expand[]=subscriptions")).await;
        let url = listed["subscriptions"]["url"].as_str().unwrap();
        assert_eq!(ids(&app.read(url).await), [id(&more), id(&made)]);
    }
}

#[tokio::test]
async fn a_list_is_narrowed_by_when_its_objects_were_made() {
    for app in TestApp::everywhere().await {
        let mut made = Vec::new();
        for _ in 0..4 {
            made.insert(0, customer(&app).await);
            app.advance_s(10);
        }
        let at = |n: i64| START.0 + n;
        for (query, expected) in [
            (format!("created={}", at(10)), &made[2..3]),
            (format!("created={}", at(11)), &[]),
            (format!("created[gt]={}", at(10)), &made[..2]),
            (format!("created[gte]={}", at(10)), &made[..3]),
            (format!("created[lt]={}", at(10)), &made[3..]),
            (format!("created[lte]={}", at(10)), &made[2..]),
            (format!("created%5Bgte%5D={}&created[lt]={}", at(10), at(30)), &made[1..3]),
            (format!("created[gt]={}&created[gte]={}", at(0), at(20)), &made[..2]),
            (format!("created[gte]={}&created[lt]={}", at(30), at(10)), &[]),
        ] {
            let list = app.read(&format!("{CUSTOMERS}?{query}")).await;
            assert_eq!(ids(&list), expected, "{query}");
        }
        unreadable(
            &app,
            &[
                (
                    "/v1/customers?created[after]=7",
                    "400 parameter_unknown created[after]: Received unknown parameter: \
                     created[after]",
                ),
                (
                    "/v1/customers?created[gt]=x",
                    "400 parameter_invalid_integer created[gt]: Invalid integer: x",
                ),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn customers_are_narrowed_by_exactly_their_email() {
    for app in TestApp::everywhere().await {
        let one = app.made(CUSTOMERS, "email=a@example.com").await;
        let other = app.made(CUSTOMERS, "email=A@example.com").await;
        app.made(CUSTOMERS, "").await;
        for (email, expected) in [("a@example.com", id(&one)), ("A@example.com", id(&other))] {
            let list = app.read(&format!("{CUSTOMERS}?email={email}")).await;
            assert_eq!(ids(&list), [expected]);
        }
        assert_eq!(ids(&app.read("/v1/customers?email=a").await), [""; 0]);
    }
}

#[tokio::test]
async fn subscriptions_and_invoices_are_narrowed_by_their_customer() {
    for app in TestApp::everywhere().await {
        let made = subscription(&app).await;
        let who = made["customer"].as_str().unwrap();
        let other = customer(&app).await;
        for (customer, expected) in [(who, vec![id(&made)]), (&other, vec![])] {
            let list = app.read(&format!("/v1/subscriptions?customer={customer}")).await;
            assert_eq!(ids(&list), expected);
            let list = app.read(&format!("/v1/invoices?customer={customer}")).await;
            assert_eq!(ids(&list), [""; 0]);
        }
    }
}
