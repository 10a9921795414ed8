//! Products through the API.

use serde_json::{Value, json};
use taximeter_testkit::{START, TestApp};

use crate::catalog::{events, refused};
use crate::shop::{encoded, id, ids};

#[tokio::test]
async fn a_product_is_made_read_changed_and_deleted() {
    for app in TestApp::everywhere().await {
        let made = app
            .made(
                "/v1/products",
                "name=Gold&images[0]=https://example.com/a.png&marketing_features[0][name]=Fast\
                 &package_dimensions[height]=1.5&package_dimensions[length]=2\
                 &package_dimensions[weight]=0.07&package_dimensions[width]=13&shippable=true\
                 &statement_descriptor=GOLD&tax_code=txcd_10103001&unit_label=token\
                 &url=https://example.com&metadata[a]=b&description=By+the+token",
            )
            .await;
        let path = format!("/v1/products/{}", id(&made));
        assert_eq!(app.read(&path).await, made);
        assert_eq!(made["package_dimensions"]["weight"], json!(0.07));
        assert_eq!(made["tax_details"]["tax_code"], "txcd_10103001");

        app.advance_s(7);
        let changed = app.made(&path, "name=Silver&metadata[a]=&description=&active=false").await;
        assert_eq!(changed["name"], "Silver");
        assert_eq!(changed["metadata"], json!({}));
        assert_eq!(changed["updated"].as_i64().unwrap(), made["updated"].as_i64().unwrap() + 7);
        assert_eq!(app.made(&path, "name=Silver").await, changed);

        let gone = app.delete(&path).await.json();
        assert_eq!(gone, json!({ "id": id(&made), "object": "product", "deleted": true }));
        assert_eq!(app.get(&path).await.status, 404);
        assert_eq!(app.delete(&path).await.status, 404);

        let happened = events(&app).await;
        let kinds: Vec<&str> = happened.iter().map(|(kind, ..)| kind.as_str()).collect();
        assert_eq!(kinds, ["product.created", "product.updated", "product.deleted"]);
        let before = json!({
            "active": true, "description": "By the token", "metadata": { "a": "b" }, "name": "Gold",
            "updated": START.0,
        });
        assert_eq!(happened[1].2, before);
    }
}

#[tokio::test]
async fn an_id_of_the_callers_choosing_is_free_only_once() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        let [code, param, message] = refused(&app, "/v1/products", "name=Again&id=gold").await;
        assert_eq!([&*code, &*param], ["resource_already_exists", "id"]);
        assert_eq!(message, "Product already exists.");
        let inline = "currency=usd&unit_amount=4&product_data[name]=Again&product_data[id]=gold";
        let [_, param, _] = refused(&app, "/v1/prices", inline).await;
        assert_eq!(param, "product_data[id]");
    }
}

#[tokio::test]
async fn a_default_price_is_made_with_its_product_and_stays_one_that_can_be_bought() {
    for app in TestApp::everywhere().await {
        let product = app
            .made(
                "/v1/products",
                "name=Seat&default_price_data[currency]=usd&default_price_data[unit_amount]=1500\
                 &default_price_data[recurring][interval]=month&default_price_data[metadata][a]=b\
                 &default_price_data[currency_options][eur][unit_amount]=1300&expand[]=default_price",
            )
            .await;
        let price = &product["default_price"];
        assert_eq!(price["unit_amount"], 1500);
        assert_eq!(price["metadata"], json!({ "a": "b" }));
        assert_eq!(price["product"], product["id"]);
        let kinds: Vec<String> = events(&app).await.into_iter().map(|event| event.0).collect();
        assert_eq!(kinds, ["product.created", "price.created", "plan.created"]);

        let path = format!("/v1/prices/{}", id(price));
        let [.., message] = refused(&app, &path, "active=false").await;
        assert_eq!(
            message,
            "This price cannot be archived because it is the default price of its product."
        );
        let path_of_product = format!("/v1/products/{}", id(&product));
        let freed = app.made(&path_of_product, "default_price=").await;
        assert_eq!(freed["default_price"], Value::Null);
        app.made(&path, "active=false").await;
        let wanted = format!("default_price={}", id(price));
        assert_eq!(refused(&app, &path_of_product, &wanted).await[1], "default_price");
        app.made(&path, "active=true").await;
        assert_eq!(app.made(&path_of_product, &wanted).await["default_price"], price["id"]);

        let other = app.made("/v1/products", "name=Other").await;
        let path_of_other = format!("/v1/products/{}", id(&other));
        assert_eq!(refused(&app, &path_of_other, &wanted).await[1], "default_price");
        let nothing = refused(&app, &path_of_other, "default_price=price_nothing").await;
        assert_eq!(
            nothing,
            ["resource_missing", "default_price", "No such price: 'price_nothing'"]
        );
    }
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    for app in TestApp::everywhere().await {
        let faulty =
            "name=Seat&default_price_data[currency]=usd&default_price_data[unit_amount]=-1";
        assert_eq!(
            refused(&app, "/v1/products", faulty).await[1],
            "default_price_data[unit_amount]"
        );
        app.made("/v1/prices", "currency=usd&unit_amount=4&product_data[name]=A&lookup_key=k")
            .await;
        let taken = "currency=usd&unit_amount=4&product_data[name]=B&lookup_key=k";
        assert_eq!(refused(&app, "/v1/prices", taken).await[1], "lookup_key");
        assert_eq!(app.read("/v1/products").await["data"].as_array().unwrap().len(), 1);
        assert_eq!(events(&app).await.len(), 2);
    }
}

#[tokio::test]
async fn a_product_with_prices_is_not_deleted() {
    for app in TestApp::everywhere().await {
        let price =
            app.made("/v1/prices", "currency=usd&unit_amount=4&product_data[name]=Gold").await;
        let path = format!("/v1/products/{}", price["product"].as_str().unwrap());
        let response = app.delete(&path).await;
        assert_eq!(response.status, 400);
        assert_eq!(
            response.json()["error"]["message"],
            "This product cannot be deleted because it has one or more user-created prices."
        );
        assert_eq!(app.get(&path).await.status, 200);
    }
}

#[tokio::test]
async fn a_list_of_products_has_its_filters() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=A&id=a&url=https://example.com/a").await;
        app.advance_s(13);
        app.made("/v1/products", "name=B&id=b&shippable=true&active=false").await;
        app.advance_s(13);
        app.made("/v1/products", "name=C&id=c&type=good&shippable=false").await;
        let start = START.0;
        for (query, found) in [
            ("", &["c", "b", "a"][..]),
            ("?active=true", &["c", "a"]),
            ("?active=false", &["b"]),
            ("?shippable=true", &["b"]),
            ("?shippable=false", &["c"]),
            ("?type=good", &["c"]),
            ("?type=service", &["b", "a"]),
            ("?url=https://example.com/a", &["a"]),
            ("?ids[]=a&ids[]=c&ids[]=nothing", &["c", "a"]),
            ("?ids[0]=a", &["a"]),
            ("?limit=1", &["c"]),
            ("?limit=2&starting_after=c", &["b", "a"]),
            ("?ending_before=a&limit=1", &["b"]),
            (&format!("?created[gt]={start}"), &["c", "b"]),
            (&format!("?created[gte]={start}&created[lt]={}", start + 26), &["b", "a"]),
            (&format!("?created={start}"), &["a"]),
        ] {
            let list = app.read(&format!("/v1/products{query}")).await;
            assert_eq!(ids(&list), found, "{query}");
        }
        let both = app.get("/v1/products?ids[]=a&starting_after=b").await;
        assert_eq!((both.status, both.json()["error"]["param"].as_str()), (400, Some("ids")));
        let unknown = app.get("/v1/products?starting_after=nothing").await.json();
        assert_eq!(unknown["error"]["code"], "resource_missing");
    }
}

#[tokio::test]
async fn a_search_of_products_has_its_fields() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold+tokens&id=a&metadata[tier]=gold").await;
        app.made("/v1/products", "name=Seat&id=b&active=false&description=One+gold+seat").await;
        for (query, found) in [
            ("name~\"TOK\"", &["a"][..]),
            ("description:\"gold\"", &["b"]),
            ("active:\"true\"", &["a"]),
            ("active:false OR metadata[\"tier\"]:\"gold\"", &["b", "a"]),
            ("shippable:null", &["b", "a"]),
            ("-url:null", &[]),
        ] {
            let query = encoded(query);
            let page = app.read(&format!("/v1/products/search?query={query}")).await;
            assert_eq!(ids(&page), found, "{query}");
        }
        let other = app.get("/v1/products/search?query=unit_label:%22x%22").await;
        assert_eq!((other.status, other.json()["error"]["param"].as_str()), (400, Some("query")));
    }
}

#[tokio::test]
async fn the_other_mode_has_other_products() {
    for app in TestApp::everywhere().await {
        app.made("/v1/products", "name=Gold&id=gold").await;
        let auth = format!("Bearer {}", app.live_key());
        let live = [("authorization", auth.as_str())];
        let missing = app.request("GET", "/v1/products/gold", &live, b"").await;
        assert_eq!(missing.status, 404);
        assert_eq!(
            missing.json()["error"]["message"],
            "No such product: 'gold'; a similar object exists in test mode, but a live mode key was \
             used to make this request."
        );
        assert!(ids(&app.request("GET", "/v1/products", &live, b"").await.json()).is_empty());
        let form = [live[0], ("content-type", "application/x-www-form-urlencoded")];
        let same = app.request("POST", "/v1/products", &form, b"name=Live&id=gold").await;
        assert_eq!(same.status, 200);
        assert_eq!(app.read("/v1/products/gold").await["name"], "Gold");
    }
}
