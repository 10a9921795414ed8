//! `expand[]`: ids become objects, and what is left out by default is put in.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{customer, error, id, price, refused, subscription, unreadable};

const TIERED: &str = "currency=usd&product_data[name]=P&recurring[interval]=month\
    &billing_scheme=tiered&tiers_mode=volume&tiers[0][up_to]=7&tiers[0][unit_amount]=3\
    &tiers[1][up_to]=inf&tiers[1][flat_amount]=100&currency_options[eur][tiers][0][up_to]=inf\
    &currency_options[eur][tiers][0][unit_amount]=5";

#[tokio::test]
async fn ids_become_objects_to_any_depth_that_is_asked_for() {
    for app in TestApp::everywhere().await {
        let made = subscription(&app).await;
        let path = format!("/v1/subscriptions/{}", id(&made));
        assert!(made["customer"].is_string());
        let whole =
            app.read(&format!("{path}?expand[]=customer&expand[]=items.data.price.product")).await;
        assert_eq!(whole["customer"]["object"], "customer");
        assert_eq!(whole["customer"]["id"], made["customer"]);
        let price = &whole["items"]["data"][0]["price"];
        assert_eq!(price["product"]["object"], "product");
        // The plan beside it was not asked for.
        assert!(whole["items"]["data"][0]["plan"]["product"].is_string());
        let deep =
            app.read(&format!("{path}?expand[0]=customer.subscriptions.data.customer")).await;
        let inner = &deep["customer"]["subscriptions"]["data"][0];
        assert_eq!(inner["id"], made["id"]);
        assert_eq!(inner["customer"]["object"], "customer");
        assert_eq!(inner["customer"].get("subscriptions"), None);
    }
}

#[tokio::test]
async fn an_invoice_is_expanded_within_its_subscription_and_back() {
    for app in TestApp::everywhere().await {
        let (price, customer) = (price(&app, "").await, customer(&app).await);
        let form = format!(
            "customer={customer}&items[0][price]={price}&collection_method=send_invoice\
             &days_until_due=7&expand[]=latest_invoice.customer"
        );
        let made = app.made("/v1/subscriptions", &form).await;
        let invoice = &made["latest_invoice"];
        assert_eq!(invoice["object"], "invoice");
        assert_eq!(invoice["customer"]["id"], customer.as_str());
        let path = format!("/v1/invoices/{}", id(invoice));
        let whole = app
            .read(&format!(
                "{path}?expand[]=parent.subscription_details.subscription.customer\
                 &expand[]=lines.data.pricing.price_details"
            ))
            .await;
        let back = &whole["parent"]["subscription_details"]["subscription"];
        assert_eq!(back["id"], made["id"]);
        assert_eq!(back["customer"]["object"], "customer");
    }
}

#[tokio::test]
async fn lists_are_expanded_through_data() {
    for app in TestApp::everywhere().await {
        let made = subscription(&app).await;
        let list = app.read("/v1/subscriptions?expand[]=data.customer").await;
        assert_eq!(list["data"][0]["customer"]["id"], made["customer"]);
        let list = app.read("/v1/prices?expand[]=data.product").await;
        assert_eq!(list["data"][0]["product"]["object"], "product");
        let found =
            app.read("/v1/subscriptions/search?query=status:'active'&expand[]=data.customer").await;
        assert_eq!(found["data"][0]["customer"]["object"], "customer");
    }
}

#[tokio::test]
async fn what_is_left_out_by_default_is_put_in_when_asked_for() {
    for app in TestApp::everywhere().await {
        let price = app.made("/v1/prices", TIERED).await;
        let customer = app.made("/v1/customers", "").await;
        for (object, path, names) in [
            (&price, format!("/v1/prices/{}", id(&price)), &["tiers", "currency_options"][..]),
            (
                &customer,
                format!("/v1/customers/{}", id(&customer)),
                &["cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax_ids"],
            ),
        ] {
            for name in names {
                assert_eq!(object.get(name), None, "{name}");
                let one = app.read(&format!("{path}?expand[]={name}")).await;
                assert!(one.get(name).is_some(), "{name}");
                let others = names.iter().filter(|other| *other != name);
                assert_eq!(others.filter(|other| one.get(other).is_some()).count(), 0);
            }
        }
        let list = app.read("/v1/prices?expand[]=data.tiers&expand[]=data.currency_options").await;
        assert_eq!(list["data"][0]["tiers"][0]["up_to"], 7);
        assert_eq!(list["data"][0]["tiers"][1]["up_to"], Value::Null);
        let options = list["data"][0]["currency_options"].as_object().unwrap();
        assert_eq!(options.keys().collect::<Vec<_>>(), ["usd", "eur"]);
        let form = format!("customer={}&items[0][price]={}", id(&customer), id(&price));
        let form = format!(
            "{form}&items[0][quantity]=0&collection_method=send_invoice&days_until_due=7&expand[]=items.data.price.tiers"
        );
        let made = app.made("/v1/subscriptions", &form).await;
        assert_eq!(made["items"]["data"][0]["price"]["tiers"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_search_counts_what_it_found_only_when_asked() {
    for app in TestApp::everywhere().await {
        for _ in 0..3 {
            customer(&app).await;
        }
        let query = "/v1/customers/search?query=created%3E0&limit=1";
        assert_eq!(app.read(query).await.get("total_count"), None);
        assert_eq!(app.read(&format!("{query}&expand[]=total_count")).await["total_count"], 3);
    }
}

#[tokio::test]
async fn what_cannot_be_expanded_is_refused_in_stripes_words() {
    let app = TestApp::start().await;
    let customer = customer(&app).await;
    let missing = |name: &str| {
        format!("400 - -: This property cannot be expanded because it doesn't exist: {name}.")
    };
    let cannot = |name: &str| format!("400 - -: This property cannot be expanded ({name}).");
    let path = format!("/v1/customers/{customer}?expand[]=");
    for (path, expected) in [
        (format!("{path}metadata"), cannot("metadata")),
        (format!("{path}name"), cannot("name")),
        (format!("{path}id"), cannot("id")),
        (format!("{path}created"), cannot("created")),
        (format!("{path}foo"), missing("foo")),
        (format!("{path}foo.bar"), missing("foo")),
        ("/v1/customers?expand[]=data.foo".to_owned(), missing("foo")),
        (
            "/v1/customers?expand[]=sources".to_owned(),
            "400 - -: This property cannot be expanded (sources). You may want to try expanding \
             'data.sources' instead."
                .to_owned(),
        ),
        (
            "/v1/customers?expand[]=total_count".to_owned(),
            "400 - -: This property cannot be expanded (total_count). You may want to try \
             expanding 'data.total_count' instead."
                .to_owned(),
        ),
        (
            format!("{path}a.b.c.d.e"),
            "400 property_expansion_max_depth -: You cannot expand more than 4 levels of a \
             property. Property: a.b.c.d.e"
                .to_owned(),
        ),
        (format!("/v1/customers/{customer}?expand=sources"), "400 - expand: Invalid array".into()),
    ] {
        unreadable(&app, &[(&path, &expected)]).await;
    }
    refused(
        &app,
        &[
            ("/v1/customers", "expand[]=foo", &missing("foo")),
            (&format!("/v1/customers/{customer}"), "name=N&expand[]=foo", &missing("foo")),
        ],
    )
    .await;
    let read = app.read(&format!("/v1/customers/{customer}")).await;
    assert_eq!(read["name"], Value::Null);
}

#[tokio::test]
async fn expanding_works_on_every_verb() {
    for app in TestApp::everywhere().await {
        let made = app.made("/v1/customers", "name=N&expand[]=tax_ids").await;
        assert_eq!(made["tax_ids"]["data"], json!([]));
        let path = format!("/v1/customers/{}", id(&made));
        let changed = app.made(&path, "name=M&expand[]=subscriptions").await;
        assert_eq!(changed["subscriptions"]["data"], json!([]));
        let subscription = subscription(&app).await;
        let path = format!("/v1/subscriptions/{}", id(&subscription));
        let ended = app.delete(&format!("{path}?expand[]=customer")).await;
        assert_eq!(ended.json()["customer"]["object"], "customer");
        // A body is taken on DELETE too.
        let another = app.made("/v1/products", "name=P").await;
        let path = format!("/v1/products/{}", id(&another));
        let gone = app.send("DELETE", &path, &[], "expand[]=nothing").await;
        assert_eq!(gone.json()["deleted"], true, "{}", gone.json());
    }
}

#[tokio::test]
async fn a_deleted_customer_is_expanded_to_its_stub() {
    for app in TestApp::everywhere().await {
        let made = subscription(&app).await;
        let who = made["customer"].as_str().unwrap();
        app.delete(&format!("/v1/customers/{who}")).await;
        let path = format!("/v1/subscriptions/{}?expand[]=customer", id(&made));
        let stub = json!({ "id": who, "object": "customer", "deleted": true });
        assert_eq!(app.read(&path).await["customer"], stub);
        assert_eq!(app.read(&format!("/v1/customers/{who}?expand[]=sources")).await, stub);
        let again = app.delete(&format!("/v1/customers/{who}")).await;
        assert_eq!(error(&again), format!("404 resource_missing id: No such customer: '{who}'"));
    }
}
