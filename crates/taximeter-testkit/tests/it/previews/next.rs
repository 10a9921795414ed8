//! The next invoice of subscriptions that exist.

use serde_json::{Value, json};
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use crate::shop::{
    self, customer, id, ids, lines, metered, monthly, preview, subscribe, told, used,
};

const DAY_S: i64 = 86_400;
/// 2026-02-15T10:30:00Z and 2026-03-15T10:30:00Z, the ends of a subscription's first two months.
const END: i64 = 1_771_151_400;
const NEXT_END: i64 = 1_773_570_600;
const CENT: &str = "currency=usd&unit_amount=1";

fn line(text: &str, quantity: &str, amount: i64) -> (String, String, i64) {
    (text.to_owned(), quantity.to_owned(), amount)
}

#[tokio::test]
async fn a_preview_is_an_invoice_that_is_nowhere() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let price = metered(&app, &meter, "Unit", CENT).await;
        let who = customer(&app, "name=Ada").await;
        let sub = subscribe(&app, &who, &[&price], "metadata[tier]=7").await;
        let before = shop::latest_event(&app).await;
        let invoice = preview(&app, &sub).await;
        let invoice_id = id(&invoice);
        assert!(invoice_id.starts_with("upcoming_in_"), "{invoice_id}");
        for (name, value) in [
            ("status", json!("draft")),
            ("billing_reason", json!("upcoming")),
            ("number", json!(null)),
            ("created", json!(END)),
            ("period_start", json!(START.0)),
            ("period_end", json!(END)),
            ("next_payment_attempt", json!(END + 3600)),
            ("customer", json!(who)),
            ("customer_name", json!("Ada")),
            ("ending_balance", json!(null)),
            ("hosted_invoice_url", json!(null)),
        ] {
            assert_eq!(invoice[name], value, "{name}");
        }
        assert_eq!(
            invoice["parent"]["subscription_details"],
            json!({ "metadata": { "tier": "7" }, "subscription": sub["id"] })
        );
        let first = &invoice["lines"]["data"][0];
        assert!(id(first).starts_with("il_tmp"), "{first}");
        assert_eq!(first["invoice"], invoice["id"]);
        assert_eq!(first["metadata"], json!({ "tier": "7" }));
        assert_eq!(
            first["pricing"],
            json!({
                "price_details": {
                    "price": price,
                    "product": sub["items"]["data"][0]["price"]["product"],
                },
                "type": "price_details",
                "unit_amount_decimal": "1",
            })
        );
        let item = ids(&sub["items"]);
        assert_eq!(
            first["parent"],
            json!({
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null,
                    "proration": false,
                    "proration_details": { "credited_items": null },
                    "subscription": sub["id"],
                    "subscription_item": item[0],
                },
                "type": "subscription_item_details",
            })
        );
        assert_eq!(told(&app.get(&format!("/v1/invoices/{invoice_id}")).await, 404)[1], "id");
        assert_eq!(app.read("/v1/invoices").await["data"], json!([]));
        assert_eq!(shop::happened(&app, Some(&before)).await, Vec::<String>::new());
        assert_eq!(app.read(&format!("/v1/customers/{who}")).await["next_invoice_sequence"], 1);
    }
}

#[tokio::test]
async fn a_period_has_its_first_second_and_not_its_end() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let price = metered(&app, &meter, "Unit", CENT).await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&price], "").await;
        used(&app, "units", &who, "1000", Timestamp(START.0 - 1)).await;
        used(&app, "units", &who, "7", START).await;
        app.advance_s(END - START.0);
        used(&app, "units", &who, "13", Timestamp(END - 1)).await;
        used(&app, "units", &who, "100", Timestamp(END)).await;
        // The period is over, and its invoice is still the next one.
        let invoice = preview(&app, &sub).await;
        assert_eq!(lines(&invoice), [line("20 × Unit (at $0.01 / month)", "20", 20)]);
        let period = &invoice["lines"]["data"][0]["period"];
        assert_eq!(*period, json!({ "start": START.0, "end": END }));
        assert_eq!(invoice["created"], END);
    }
}

#[tokio::test]
async fn licensed_items_are_billed_ahead_and_metered_ones_behind_newest_first() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let unit = metered(&app, &meter, "Unit", CENT).await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let oil = monthly(&app, "Oil", "currency=usd&unit_amount=700").await;
        let who = customer(&app, "balance=-100000").await;
        let sub = subscribe(&app, &who, &[&gold, &unit, &oil], "items[0][quantity]=0").await;
        used(&app, "units", &who, "31", START).await;
        let invoice = preview(&app, &sub).await;
        assert_eq!(
            lines(&invoice),
            [
                line("1 × Oil (at $7.00 / month)", "1", 700),
                line("31 × Unit (at $0.01 / month)", "31", 31),
                line("0 × Gold (at $10.00 / month)", "0", 0),
            ]
        );
        let (current, next) =
            (json!({ "start": START.0, "end": END }), json!({ "start": END, "end": NEXT_END }));
        let period = |at: usize| invoice["lines"]["data"][at]["period"].clone();
        assert_eq!([period(0), period(1), period(2)], [next.clone(), current, next]);
    }
}

#[tokio::test]
async fn only_items_whose_period_ends_first_are_on_the_next_invoice() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let day = "currency=usd&unit_amount=0&product_data[name]=Day&recurring[interval]=day";
        let day = id(&app.made("/v1/prices", day).await);
        let sub = subscribe(&app, &customer(&app, "").await, &[&day, &gold], "").await;
        let invoice = preview(&app, &sub).await;
        assert_eq!(lines(&invoice), [line("1 × Day (at $0.00 / day)", "1", 0)]);
        let (start, end) = (START.0, START.0 + DAY_S);
        assert_eq!([&invoice["period_start"], &invoice["period_end"]], [start, end]);
    }
}

#[tokio::test]
async fn subscriptions_that_share_a_meter_each_bill_all_of_its_usage() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let cent = metered(&app, &meter, "Unit", CENT).await;
        let dear = metered(&app, &meter, "Dear", "currency=usd&unit_amount=7").await;
        let who = customer(&app, "").await;
        let first = subscribe(&app, &who, &[&cent], "").await;
        let second = subscribe(&app, &who, &[&dear], "").await;
        let stranger = customer(&app, "").await;
        used(&app, "units", &who, "13", START).await;
        used(&app, "units", &stranger, "1000", START).await;
        assert_eq!(preview(&app, &first).await["total"], 13);
        assert_eq!(preview(&app, &second).await["total"], 91);
    }
}

#[tokio::test]
async fn a_customers_next_invoice_is_that_of_the_first_period_to_end() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let who = customer(&app, "").await;
        let form = format!("customer={who}");
        let next = async |app: &TestApp| {
            let invoice = app.made("/v1/invoices/create_preview", &form).await;
            invoice["parent"]["subscription_details"]["subscription"].clone()
        };
        let later = DAY_S * 14;
        let first = subscribe(&app, &who, &[&gold], "").await;
        let twin = subscribe(&app, &who, &[&gold], "").await;
        app.advance_s(later);
        let week = "currency=usd&unit_amount=0&product_data[name]=Week&recurring[interval]=week";
        let week = id(&app.made("/v1/prices", week).await);
        let weekly = subscribe(&app, &who, &[&week], "").await;
        assert_eq!(next(&app).await, weekly["id"]);
        app.delete(&format!("/v1/subscriptions/{}", id(&weekly))).await;
        assert_eq!(next(&app).await, first["id"], "the older of two that are due together");
        app.delete(&format!("/v1/subscriptions/{}", id(&first))).await;
        assert_eq!(next(&app).await, twin["id"]);
    }
}

#[tokio::test]
async fn nothing_is_next_for_what_is_over_or_has_not_begun() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let who = customer(&app, "").await;
        let message = format!("No upcoming invoices for customer: {who}");
        let none = ["invoice_upcoming_none", "", message.as_str()];
        let path = "/v1/invoices/create_preview";
        let of_customer = format!("customer={who}");
        assert_eq!(told(&app.post(path, &of_customer).await, 404), none);
        let sub = subscribe(&app, &who, &[&gold], "payment_behavior=default_incomplete").await;
        let of_sub = format!("subscription={}", id(&sub));
        for form in [&of_customer, &of_sub] {
            assert_eq!(told(&app.post(path, form).await, 404), none);
        }
        app.delete(&format!("/v1/subscriptions/{}", id(&sub))).await;
        for form in [&of_customer, &of_sub] {
            assert_eq!(told(&app.post(path, form).await, 404), none);
        }
    }
}

#[tokio::test]
async fn a_preview_shows_what_the_balance_leaves_to_pay() {
    for app in TestApp::everywhere().await {
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let who = customer(&app, "balance=-1300").await;
        let sub = subscribe(&app, &who, &[&gold], "").await;
        let shown = |invoice: &Value| {
            ["starting_balance", "total", "amount_due", "amount_remaining"]
                .map(|name| invoice[name].as_i64().unwrap())
        };
        assert_eq!(shown(&preview(&app, &sub).await), [-300, 1000, 700, 700]);
        app.made(&format!("/v1/customers/{who}"), "balance=70").await;
        assert_eq!(shown(&preview(&app, &sub).await), [70, 1000, 1070, 1070]);
    }
}

#[tokio::test]
async fn clients_before_basil_read_the_upcoming_invoice() {
    for app in TestApp::everywhere().await {
        let meter = shop::meter(&app, "units").await;
        let price = metered(&app, &meter, "Unit", CENT).await;
        let gold = monthly(&app, "Gold", "currency=usd&unit_amount=0").await;
        let who = customer(&app, "").await;
        let sub = subscribe(&app, &who, &[&gold, &price], "").await;
        used(&app, "units", &who, "13", START).await;
        let bearer = format!("Bearer {}", app.test_key());
        let headers = [("authorization", bearer.as_str()), ("stripe-version", "2024-09-30.acacia")];
        for query in [format!("customer={who}"), format!("subscription={}", id(&sub))] {
            let path = format!("/v1/invoices/upcoming?{query}");
            let answer = app.request("GET", &path, &headers, b"").await;
            let invoice = answer.json();
            assert_eq!(answer.status, 200, "{invoice}");
            assert_eq!([&invoice["subscription"], &invoice["total"]], [&sub["id"], &json!(13)]);
            assert_eq!(invoice["lines"]["data"][0]["price"]["id"], price.as_str());
            let path = format!("/v1/invoices/upcoming/lines?{query}&limit=1");
            let page = app.request("GET", &path, &headers, b"").await.json();
            assert_eq!([&page["data"][0]["amount"], &page["has_more"]], [&json!(13), &json!(true)]);
        }
        for path in ["/v1/invoices/upcoming", "/v1/invoices/upcoming/lines"] {
            let said = told(&app.get(&format!("{path}?customer={who}")).await, 404);
            assert!(said[2].contains("create_preview"), "{}", said[2]);
        }
    }
}
