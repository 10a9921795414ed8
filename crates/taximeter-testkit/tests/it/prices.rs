//! Prices through the API.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::catalog::{events, refused};
use crate::shop::{id, ids};

const METER: &str = "display_name=Tokens&default_aggregation[formula]=sum&event_name=";
const TIERS: &str = "currency=usd&billing_scheme=tiered&tiers_mode=graduated\
    &recurring[interval]=month&tiers[0][up_to]=1000&tiers[0][flat_amount]=900\
    &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=3.6";

#[tokio::test]
async fn every_scheme_reads_back_as_it_was_made() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        for form in [
            "currency=usd&unit_amount=4",
            "currency=jpy&unit_amount_decimal=0.000000000007&nickname=Tiny&tax_behavior=exclusive",
            "currency=usd&unit_amount=4&recurring[interval]=week&recurring[interval_count]=3\
             &recurring[trial_period_days]=7&transform_quantity[divide_by]=60\
             &transform_quantity[round]=down&currency_options[eur][unit_amount_decimal]=3.5",
            &format!(
                "{TIERS}&currency_options[eur][tiers][0][up_to]=inf\
                 &currency_options[eur][tiers][0][unit_amount]=3"
            ),
        ] {
            let all = "expand[]=tiers&expand[]=currency_options&expand[]=product";
            let made = app.made("/v1/prices", &format!("{form}&product=gold&{all}")).await;
            assert_eq!(made["product"]["name"], "Gold");
            let read = app.read(&format!("/v1/prices/{}?{all}", id(&made))).await;
            assert_eq!(read, made, "{form}");
            let plain = app.read(&format!("/v1/prices/{}", id(&made))).await;
            assert_eq!(plain.get("tiers"), None);
            assert_eq!(plain.get("currency_options"), None);
            assert_eq!(plain["product"], "gold");
        }
        let listed = app.read("/v1/prices?expand[]=data.tiers").await;
        assert_eq!(listed["data"][0]["tiers"][1]["unit_amount_decimal"], "3.6");
    }
}

#[tokio::test]
async fn a_price_has_exactly_one_product() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        let neither = refused(&app, "/v1/prices", "currency=usd&unit_amount=4").await;
        let message = "You must specify either `product` or `product_data` when creating a price.";
        assert_eq!(neither, ["", "", message]);
        let both = "currency=usd&unit_amount=4&product=gold&product_data[name]=Other";
        let message = "You may only specify one of these parameters: product, product_data.";
        assert_eq!(refused(&app, "/v1/prices", both).await[1..], ["product", message]);
        let nothing = "currency=usd&unit_amount=4&product=prod_nothing";
        assert_eq!(
            refused(&app, "/v1/prices", nothing).await,
            ["resource_missing", "product", "No such product: 'prod_nothing'"]
        );
    }
}

#[tokio::test]
async fn a_metered_price_needs_a_meter_that_takes_events() {
    for app in TestApp::everywhere().await {
        let meter = id(&app.made("/v1/billing/meters", &format!("{METER}tokens")).await);
        let price = "currency=usd&unit_amount=4&product_data[name]=Gold\
            &recurring[interval]=month&recurring[usage_type]=metered";
        let made = app.made("/v1/prices", &format!("{price}&recurring[meter]={meter}")).await;
        assert_eq!(made["recurring"]["meter"], meter.as_str());
        let [code, param, _] =
            refused(&app, "/v1/prices", &format!("{price}&recurring[meter]=mtr_nothing")).await;
        assert_eq!([&*code, &*param], ["resource_missing", "recurring[meter]"]);
        app.made(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
        let [_, param, message] =
            refused(&app, "/v1/prices", &format!("{price}&recurring[meter]={meter}")).await;
        assert_eq!(param, "recurring[meter]");
        assert!(message.contains("is inactive"), "{message}");
    }
}

#[tokio::test]
async fn a_lookup_key_has_one_holder_and_can_be_transferred() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        let form = "currency=usd&unit_amount=4&product=gold&lookup_key=gold_monthly";
        let first = id(&app.made("/v1/prices", form).await);
        let taken = format!("A price (`{first}`) already uses that lookup key.");
        assert_eq!(refused(&app, "/v1/prices", form).await, ["", "lookup_key", &taken]);
        app.made(&format!("/v1/prices/{first}"), "active=false").await;
        assert_eq!(refused(&app, "/v1/prices", form).await[1], "lookup_key");

        let second = id(&app.made("/v1/prices", &format!("{form}&transfer_lookup_key=true")).await);
        let loser = app.read(&format!("/v1/prices/{first}")).await;
        assert_eq!((&loser["lookup_key"], &loser["active"]), (&Value::Null, &json!(false)));
        let happened = events(&app).await;
        let last = &happened[happened.len() - 2..];
        let before = json!({ "lookup_key": "gold_monthly" });
        assert_eq!(last[0], ("price.updated".to_owned(), first.clone(), before));
        assert_eq!((last[1].0.as_str(), &last[1].1), ("price.created", &second));

        let back = format!("/v1/prices/{first}");
        assert_eq!(refused(&app, &back, "lookup_key=gold_monthly").await[1], "lookup_key");
        app.made(&back, "lookup_key=gold_monthly&transfer_lookup_key=true&active=true").await;
        let found = app.read("/v1/prices?lookup_keys[]=gold_monthly&lookup_keys[]=other").await;
        assert_eq!(ids(&found), std::slice::from_ref(&first));
        assert_eq!(app.made(&back, "lookup_key=").await["lookup_key"], Value::Null);
        assert!(ids(&app.read("/v1/prices?lookup_keys[]=gold_monthly").await).is_empty());
    }
}

#[tokio::test]
async fn of_requests_that_claim_a_lookup_key_together_one_has_it() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        let form = "currency=usd&unit_amount=4&product=gold&lookup_key=one";
        let post = || app.post("/v1/prices", form);
        let answers = tokio::join!(post(), post(), post(), post(), post());
        let mut statuses =
            [&answers.0, &answers.1, &answers.2, &answers.3, &answers.4].map(|a| a.status);
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| [400, 409].contains(status)), "{statuses:?}");
        assert_eq!(ids(&app.read("/v1/prices").await).len(), 1);
    }
}

#[tokio::test]
async fn a_change_of_a_recurring_price_is_also_one_of_its_plan() {
    for app in TestApp::everywhere().await {
        let form = "currency=usd&unit_amount=4&product_data[name]=Gold&recurring[interval]=month";
        let path = format!("/v1/prices/{}", id(&app.made("/v1/prices", form).await));
        app.made(&path, "nickname=Gold&metadata[a]=b").await;
        app.made(&path, "tax_behavior=inclusive").await;
        app.made(&path, "tax_behavior=inclusive&metadata[a]=b").await;
        assert_eq!(refused(&app, &path, "tax_behavior=exclusive").await[1], "tax_behavior");
        assert_eq!(
            refused(&app, &path, "unit_amount=5").await[..2],
            ["parameter_unknown", "unit_amount"]
        );
        let kinds: Vec<String> = events(&app).await.into_iter().map(|event| event.0).collect();
        assert_eq!(
            kinds,
            [
                "product.created",
                "price.created",
                "plan.created",
                "price.updated",
                "plan.updated",
                "price.updated"
            ]
        );
    }
}

#[tokio::test]
async fn currencies_are_added_replaced_and_cleared() {
    for app in TestApp::everywhere().await {
        let form = "currency=usd&unit_amount=4&product_data[name]=Gold";
        let path = format!("/v1/prices/{}", id(&app.made("/v1/prices", form).await));
        let all = "expand[]=currency_options";
        let change = "currency_options[eur][unit_amount]=3&currency_options[jpy][unit_amount]=11";
        let price = app.made(&path, &format!("{change}&{all}")).await;
        assert_eq!(price["currency_options"]["usd"]["unit_amount"], 4);
        assert_eq!(price["currency_options"]["jpy"]["unit_amount"], 11);
        let price =
            app.made(&path, &format!("currency_options[eur][unit_amount_decimal]=3.5&{all}")).await;
        assert_eq!(price["currency_options"]["eur"]["unit_amount_decimal"], "3.5");
        assert_eq!(price["currency_options"]["jpy"]["unit_amount"], 11);
        let customer = id(&app.made("/v1/customers", "name=Jane").await);
        let monthly = "currency=usd&unit_amount=4&product_data[name]=Seat\
            &recurring[interval]=month&currency_options[eur][unit_amount]=3";
        let monthly = id(&app.made("/v1/prices", monthly).await);
        let order = format!(
            "customer={customer}&currency=eur&items[0][price]={monthly}\
             &collection_method=send_invoice&days_until_due=7"
        );
        let subscription = id(&app.made("/v1/subscriptions", &order).await);
        let path_of_monthly = format!("/v1/prices/{monthly}");
        let [_, param, message] = refused(&app, &path_of_monthly, "currency_options=").await;
        assert_eq!(param, "currency_options");
        assert!(message.contains(&subscription), "{message}");
        app.delete(&format!("/v1/subscriptions/{subscription}")).await;
        app.made(&path_of_monthly, "currency_options=").await;

        let price = app.made(&path, &format!("currency_options=&{all}")).await;
        let left: Vec<&String> = price["currency_options"].as_object().unwrap().keys().collect();
        assert_eq!(left, ["usd"]);
    }
}

#[tokio::test]
async fn a_list_of_prices_has_its_filters() {
    for app in TestApp::everywhere().await {
        let meter = id(&app.made("/v1/billing/meters", &format!("{METER}tokens")).await);
        app.made("/v1/products", "name=Gold&id=gold").await;
        app.made("/v1/products", "name=Seat&id=seat").await;
        let mut made = Vec::new();
        for form in [
            "currency=usd&unit_amount=4&product=gold&lookup_key=one",
            "currency=eur&unit_amount=4&product=seat&recurring[interval]=week&lookup_key=two",
            "currency=usd&unit_amount=4&product=seat&active=false",
            &format!(
                "currency=usd&unit_amount=4&product=gold&recurring[interval]=month\
                 &recurring[usage_type]=metered&recurring[meter]={meter}"
            ),
        ] {
            made.push(id(&app.made("/v1/prices", form).await));
            app.advance_s(13);
        }
        let customer = id(&app.made("/v1/customers", "name=Jane").await);
        let inline = format!(
            "customer={customer}&collection_method=send_invoice&days_until_due=7\
             &items[0][price_data][currency]=usd&items[0][price_data][product]=seat\
             &items[0][price_data][unit_amount]=13&items[0][price_data][recurring][interval]=month"
        );
        let subscription = app.made("/v1/subscriptions", &inline).await;
        let price = &subscription["items"]["data"][0]["price"];
        assert_eq!((&price["active"], &price["unit_amount"]), (&json!(false), &json!(13)));

        let start = taximeter_testkit::app::START.0;
        for (query, found) in [
            ("", &[3, 1, 0][..]),
            ("?active=true", &[3, 1, 0]),
            ("?active=false", &[2]),
            ("?currency=USD", &[3, 0]),
            ("?product=seat", &[1]),
            ("?type=recurring", &[3, 1]),
            ("?type=one_time", &[0]),
            ("?recurring[interval]=week", &[1]),
            ("?recurring[usage_type]=metered", &[3]),
            ("?recurring[usage_type]=licensed", &[1]),
            (&format!("?recurring[meter]={meter}"), &[3]),
            ("?lookup_keys[]=two&lookup_keys[]=one", &[1, 0]),
            ("?lookup_keys[]=none", &[]),
            ("?limit=1", &[3]),
            (&format!("?starting_after={}&limit=1", made[3]), &[1]),
            (&format!("?ending_before={}&limit=1", made[0]), &[1]),
            (&format!("?created[gt]={start}&created[lte]={}", start + 13), &[1]),
        ] {
            let wanted: Vec<&String> = found.iter().map(|at: &usize| &made[*at]).collect();
            let list = app.read(&format!("/v1/prices{query}")).await;
            assert_eq!(ids(&list).iter().collect::<Vec<_>>(), wanted, "{query}");
        }
        for (query, param) in [
            ("product=nothing", "product"),
            ("recurring[meter]=nothing", "recurring[meter]"),
            ("currency=xyz", "currency"),
            ("starting_after=nothing", "starting_after"),
        ] {
            let response = app.get(&format!("/v1/prices?{query}")).await;
            assert_eq!(
                (response.status, response.json()["error"]["param"].as_str()),
                (400, Some(param))
            );
        }
    }
}

#[tokio::test]
async fn a_search_of_prices_has_its_fields() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        let form = "unit_amount=4&product=gold";
        let a = app
            .made("/v1/prices", &format!("{form}&currency=usd&lookup_key=One&metadata[a]=b"))
            .await;
        let b = app
            .made(
                "/v1/prices",
                &format!("{form}&currency=eur&active=false&recurring[interval]=day"),
            )
            .await;
        let (a, b) = (id(&a), id(&b));
        for (query, found) in [
            ("product:%22gold%22", vec![&b, &a]),
            ("currency:%22usd%22", vec![&a]),
            ("lookup_key:%22one%22", vec![&a]),
            ("lookup_key:null", vec![&b]),
            ("metadata[%22a%22]:%22b%22", vec![&a]),
            ("type:%22recurring%22", vec![&b]),
            ("active:%22false%22", vec![&b]),
        ] {
            let page = app.read(&format!("/v1/prices/search?query={query}")).await;
            assert_eq!(ids(&page).iter().collect::<Vec<_>>(), found, "{query}");
        }
    }
}

#[tokio::test]
async fn a_price_that_is_not_there_is_not_found() {
    for app in TestApp::everywhere().await {
        for response in
            [app.get("/v1/prices/price_x").await, app.post("/v1/prices/price_x", "").await]
        {
            assert_eq!(response.status, 404);
            let error = &response.json()["error"];
            assert_eq!(error["message"], "No such price: 'price_x'");
            assert_eq!(error["param"], "id");
        }
        assert_eq!(app.delete("/v1/prices/price_x").await.status, 404);
    }
}
