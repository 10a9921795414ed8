//! Test and live are two worlds, and so are two accounts.

use taximeter_testkit::TestApp;

use crate::meter_events::event;
use crate::support::{customer, error, id, meter, price, subscription};

/// One object of each resource in the test dataset: what messages call it, its path.
async fn one_of_each(app: &TestApp) -> Vec<(&'static str, String)> {
    let subscription = subscription(app).await;
    let licensed = price(app, "").await;
    let who = subscription["customer"].as_str().unwrap();
    let invoiced = app
        .made(
            "/v1/subscriptions",
            &format!(
                "customer={who}&items[0][price]={licensed}&collection_method=send_invoice\
                 &days_until_due=7"
            ),
        )
        .await;
    let item = &subscription["items"]["data"][0];
    let price = item["price"]["id"].as_str().unwrap();
    let product = item["price"]["product"].as_str().unwrap();
    let meter = item["price"]["recurring"]["meter"].as_str().unwrap();
    let coupon = app.made("/v1/coupons", "percent_off=7").await;
    let code = format!("promotion[type]=coupon&promotion[coupon]={}", id(&coupon));
    let code = app.made("/v1/promotion_codes", &code).await;
    let rate = "display_name=T&percentage=7&inclusive=true";
    let rate = app.made("/v1/tax_rates", rate).await;
    let pending = format!("customer={who}&amount=7&currency=usd");
    let pending = app.made("/v1/invoiceitems", &pending).await;
    let event = id(&app.read("/v1/events?limit=1").await["data"][0]).to_owned();
    vec![
        ("billing meter", format!("/v1/billing/meters/{meter}")),
        ("coupon", format!("/v1/coupons/{}", id(&coupon))),
        ("customer", format!("/v1/customers/{who}")),
        ("event", format!("/v1/events/{event}")),
        ("invoice", format!("/v1/invoices/{}", invoiced["latest_invoice"].as_str().unwrap())),
        ("invoiceitem", format!("/v1/invoiceitems/{}", id(&pending))),
        ("promotion code", format!("/v1/promotion_codes/{}", id(&code))),
        ("tax rate", format!("/v1/tax_rates/{}", id(&rate))),
        ("price", format!("/v1/prices/{price}")),
        ("product", format!("/v1/products/{product}")),
        ("subscription", format!("/v1/subscriptions/{}", id(&subscription))),
        ("subscription_item", format!("/v1/subscription_items/{}", id(item))),
    ]
}

/// `-metadata["x"]:"y"`, which every object answers to.
const NOT_X: &str = "-metadata%5B%22x%22%5D:%22y%22";
const HINT: &str = "; a similar object exists in test mode, but a live mode key was used to make \
                    this request.";

#[tokio::test]
async fn an_id_of_the_other_mode_is_missing_with_a_hint_for_every_resource() {
    for app in TestApp::everywhere().await {
        for (noun, path) in one_of_each(&app).await {
            assert_eq!(app.get(&path).await.status, 200, "{path}");
            let id = path.rsplit('/').next().unwrap();
            let missing = format!("404 resource_missing id: No such {noun}: '{id}'{HINT}");
            assert_eq!(error(&app.live().get(&path).await), missing);
            if noun != "event" && noun != "invoice" {
                assert_eq!(error(&app.live().post(&path, "").await), missing, "POST");
            }
            if ["coupon", "customer", "invoiceitem", "product", "subscription"].contains(&noun) {
                assert_eq!(error(&app.live().delete(&path).await), missing, "DELETE");
            }
            let (list, _) = path.rsplit_once('/').unwrap();
            if noun != "subscription_item" {
                let cursor = app.live().get(&format!("{list}?starting_after={id}")).await;
                let missing =
                    format!("400 resource_missing starting_after: No such {noun}: '{id}'{HINT}");
                assert_eq!(error(&cursor), missing);
                assert_eq!(app.live().read(list).await["data"].as_array().unwrap().len(), 0);
            }
            // Nothing has changed.
            assert_eq!(app.get(&path).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn an_id_of_the_other_mode_as_a_parameter_is_missing_with_a_hint() {
    for app in TestApp::everywhere().await {
        let objects = one_of_each(&app).await;
        let id = |noun: &str| {
            let (_, path) = objects.iter().find(|(n, _)| *n == noun).unwrap();
            path.rsplit('/').next().unwrap().to_owned()
        };
        let live = app.live();
        let customer = live.made("/v1/customers", "").await;
        let customer = customer["id"].as_str().unwrap();
        let metered = "currency=usd&unit_amount=7&recurring[interval]=month";
        let meter = live
            .made(
                "/v1/billing/meters",
                "display_name=M&event_name=e&default_aggregation[formula]=sum",
            )
            .await;
        let meter = meter["id"].as_str().unwrap();
        let cases = [
            (
                "/v1/prices",
                format!("{metered}&product={}", id("product")),
                ("product", "product", 400),
            ),
            (
                "/v1/prices",
                format!(
                    "{metered}&product_data[name]=P&recurring[usage_type]=metered\
                     &recurring[meter]={}",
                    id("billing meter")
                ),
                ("billing meter", "recurring[meter]", 400),
            ),
            (
                "/v1/subscriptions",
                format!("customer={customer}&items[0][price]={}", id("price")),
                ("price", "items[0][price]", 400),
            ),
            // Stripe answers this one as if the customer were in the path.
            (
                "/v1/subscriptions",
                format!("customer={}&items[0][price]={}", id("customer"), id("price")),
                ("customer", "customer", 404),
            ),
            (
                "/v1/invoices/create_preview",
                format!("subscription={}", id("subscription")),
                ("subscription", "subscription", 400),
            ),
        ];
        for (path, form, (noun, param, status)) in cases {
            let missing =
                format!("{status} resource_missing {param}: No such {noun}: '{}'{HINT}", id(noun));
            assert_eq!(error(&live.post(path, &form).await), missing, "{form}");
        }
        live.made("/v1/billing/meter_events", &event(&id("customer"), "7")).await;
        let kept = live.read("/v1/billing/meter_event_errors").await["data"][0].clone();
        let missing = format!("No such customer: '{}'{HINT}", id("customer"));
        assert_eq!(kept["message"], missing);
        let summaries = format!(
            "/v1/billing/meters/{meter}/event_summaries?customer={}&start_time=0&end_time=60",
            id("customer")
        );
        let items = format!("/v1/subscription_items?subscription={}", id("subscription"));
        for (path, noun) in [(summaries, "customer"), (items, "subscription")] {
            let missing =
                format!("400 resource_missing {noun}: No such {noun}: '{}'{HINT}", id(noun));
            assert_eq!(error(&live.get(&path).await), missing);
        }
    }
}

#[tokio::test]
async fn livemode_is_that_of_the_key() {
    let app = TestApp::start().await;
    for (key, live) in [(app.test_key(), false), (app.live_key(), true)] {
        let client = app.with_key(key);
        let customer = client.made("/v1/customers", "").await;
        assert_eq!(customer["livemode"], live);
        let event = client.read("/v1/events").await;
        assert_eq!(event["data"][0]["livemode"], live);
        assert_eq!(event["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_account_sees_nothing_of_another_and_is_not_told_of_it() {
    for app in TestApp::everywhere().await {
        let objects = one_of_each(&app).await;
        let keys = app.another_account("Other").await;
        for key in &keys {
            let other = app.with_key(key);
            for (noun, path) in &objects {
                let (list, id) = path.rsplit_once('/').unwrap();
                let missing = format!("404 resource_missing id: No such {noun}: '{id}'");
                assert_eq!(error(&other.get(path).await), missing);
                if !["event", "invoice"].contains(noun) {
                    assert_eq!(error(&other.post(path, "").await), missing);
                }
                if ["customer", "product", "subscription"].contains(noun) {
                    assert_eq!(error(&other.delete(path).await), missing);
                    let found = other.read(&format!("{list}/search?query={NOT_X}")).await;
                    assert_eq!(found["data"].as_array().unwrap().len(), 0, "{list}");
                }
                if *noun != "subscription_item" {
                    assert_eq!(other.read(list).await["data"].as_array().unwrap().len(), 0);
                    let cursor = other.get(&format!("{list}?ending_before={id}")).await;
                    let missing =
                        format!("400 resource_missing ending_before: No such {noun}: '{id}'");
                    assert_eq!(error(&cursor), missing);
                }
            }
        }
    }
}

#[tokio::test]
async fn two_accounts_may_use_the_same_names_and_count_apart() {
    for app in TestApp::everywhere().await {
        let [key, _] = app.another_account("Other").await;
        let other = app.with_key(&key);
        app.made("/v1/products", "id=gold&name=Gold").await;
        other.made("/v1/products", "id=gold&name=Other+gold").await;
        assert_eq!(app.read("/v1/products/gold").await["name"], "Gold");
        assert_eq!(other.read("/v1/products/gold").await["name"], "Other gold");
        let ours = meter(&app, "e", "sum", "").await;
        let form = "display_name=M&event_name=e&default_aggregation[formula]=sum";
        other.made("/v1/billing/meters", form).await;
        let customer = customer(&app).await;
        let path = "/v1/billing/meter_events";
        other.made(path, &event(&customer, "7")).await;
        let kept = other.read("/v1/billing/meter_event_errors").await["data"][0].clone();
        assert_eq!(kept["message"], format!("No such customer: '{customer}'"));
        app.made(path, &event(&customer, "7")).await;
        let summaries = format!(
            "/v1/billing/meters/{ours}/event_summaries?customer={customer}&start_time=0\
             &end_time=1800000000"
        );
        assert_eq!(app.read(&summaries).await["data"][0]["aggregated_value"], 7);
        let missing = format!("404 resource_missing id: No such billing meter: '{ours}'");
        assert_eq!(error(&other.get(&summaries).await), missing);
    }
}
