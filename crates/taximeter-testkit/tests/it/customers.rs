//! `/v1/customers`, and with them the rules of parameters that all resources share.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{error, id, refused};

const CUSTOMERS: &str = "/v1/customers";

/// Every parameter of a customer, each with a value of its own.
const FULL: &str = "name=Ada&email=ada@example.com&phone=7&description=D&business_name=B\
    &individual_name=I&balance=-700&invoice_prefix=ADA7&next_invoice_sequence=13\
    &preferred_locales[]=de&preferred_locales[]=en&tax_exempt=reverse\
    &address[line1]=L&address[city]=Bonn&address[country]=DE\
    &shipping[name]=S&shipping[phone]=8&shipping[address][line1]=M\
    &invoice_settings[footer]=F&invoice_settings[custom_fields][0][name]=N\
    &invoice_settings[custom_fields][0][value]=V\
    &invoice_settings[rendering_options][amount_tax_display]=exclude_tax\
    &metadata[a]=1&metadata[b]=2";

#[tokio::test]
async fn a_customer_keeps_all_that_it_is_told() {
    for app in TestApp::everywhere().await {
        let made = app.made(CUSTOMERS, FULL).await;
        assert_eq!(app.read(&format!("{CUSTOMERS}/{}", id(&made))).await, made);
        let address = |line1: &str, city: Value, country: Value| {
            json!({
                "city": city, "country": country, "line1": line1, "line2": null,
                "postal_code": null, "state": null,
            })
        };
        let expected = json!({
            "id": id(&made),
            "object": "customer",
            "address": address("L", "Bonn".into(), "DE".into()),
            "balance": -700,
            "business_name": "B",
            "created": app.now().0,
            "currency": null,
            "customer_account": null,
            "default_source": null,
            "delinquent": false,
            "description": "D",
            "discount": null,
            "email": "ada@example.com",
            "individual_name": "I",
            "invoice_prefix": "ADA7",
            "invoice_settings": {
                "custom_fields": [{ "name": "N", "value": "V" }],
                "default_payment_method": null,
                "footer": "F",
                "rendering_options": { "amount_tax_display": "exclude_tax", "template": null },
            },
            "livemode": false,
            "metadata": { "a": "1", "b": "2" },
            "name": "Ada",
            "next_invoice_sequence": 13,
            "phone": "7",
            "preferred_locales": ["de", "en"],
            "shipping": {
                "address": address("M", Value::Null, Value::Null), "name": "S", "phone": "8",
            },
            "tax_exempt": "reverse",
            "test_clock": null,
        });
        assert_eq!(made, expected);
    }
}

#[tokio::test]
async fn a_customer_needs_nothing() {
    for app in TestApp::everywhere().await {
        let made = app.made(CUSTOMERS, "").await;
        assert!(id(&made).starts_with("cus_"));
        assert_eq!(made["metadata"], json!({}));
        assert_eq!(made["preferred_locales"], json!([]));
        assert_eq!(made["tax_exempt"], "none");
        assert_eq!(made["next_invoice_sequence"], 1);
        assert_eq!(made["invoice_prefix"].as_str().unwrap().len(), 8);
        assert_eq!(made["name"], Value::Null);
    }
}

#[tokio::test]
async fn an_empty_text_unsets_what_can_be_unset() {
    for app in TestApp::everywhere().await {
        let made = app.made(CUSTOMERS, FULL).await;
        let path = format!("{CUSTOMERS}/{}", id(&made));
        for (param, field, cleared) in [
            ("name", "name", Value::Null),
            ("email", "email", Value::Null),
            ("phone", "phone", Value::Null),
            ("description", "description", Value::Null),
            ("address", "address", Value::Null),
            ("shipping", "shipping", Value::Null),
            ("preferred_locales", "preferred_locales", json!([])),
            ("tax_exempt", "tax_exempt", "none".into()),
            ("metadata", "metadata", json!({})),
            // Absent rather than null, in Stripe's types.
            ("business_name", "business_name", Value::Null),
            ("individual_name", "individual_name", Value::Null),
        ] {
            assert_ne!(app.read(&path).await[field], cleared, "{param}");
            assert_eq!(app.made(&path, &format!("{param}=")).await[field], cleared, "{param}");
        }
        for (param, field) in [
            ("invoice_settings[footer]", "footer"),
            ("invoice_settings[custom_fields]", "custom_fields"),
            ("invoice_settings[rendering_options]", "rendering_options"),
        ] {
            let changed = app.made(&path, &format!("{param}=")).await;
            assert_eq!(changed["invoice_settings"][field], Value::Null, "{param}");
        }
        for param in ["balance", "invoice_prefix", "next_invoice_sequence", "invoice_settings"] {
            let answer = error(&app.post(&path, &format!("{param}=")).await);
            assert!(
                answer.starts_with("400 ") && answer.contains(&format!(" {param}: ")),
                "{answer}"
            );
        }
        let empty = "400 parameter_invalid_empty balance: You passed an empty string for \
                     'balance'. We assume empty values are an attempt to unset a parameter; \
                     however 'balance' cannot be unset. You should remove 'balance' from your \
                     request or supply a non-empty value.";
        assert_eq!(error(&app.post(&path, "balance=").await), empty);
    }
}

#[tokio::test]
async fn what_is_not_sent_stays_and_arrays_are_replaced_whole() {
    for app in TestApp::everywhere().await {
        let made = app.made(CUSTOMERS, FULL).await;
        let path = format!("{CUSTOMERS}/{}", id(&made));
        let changed = app.made(&path, "preferred_locales[]=fr").await;
        let mut expected = made.clone();
        expected["preferred_locales"] = json!(["fr"]);
        assert_eq!(changed, expected);
        assert_eq!(app.made(&path, "invoice_settings[footer]=G").await["invoice_settings"], {
            let mut settings = made["invoice_settings"].clone();
            settings["footer"] = "G".into();
            settings
        });
    }
}

#[tokio::test]
async fn metadata_is_merged_key_by_key() {
    for app in TestApp::everywhere().await {
        let made = app.made(CUSTOMERS, "metadata[a]=1&metadata[b]=2").await;
        let path = format!("{CUSTOMERS}/{}", id(&made));
        for (form, expected) in [
            ("metadata[c]=3", json!({ "a": "1", "b": "2", "c": "3" })),
            ("metadata[a]=4&metadata[b]=", json!({ "a": "4", "c": "3" })),
            ("metadata[nothing]=", json!({ "a": "4", "c": "3" })),
            ("name=N", json!({ "a": "4", "c": "3" })),
            ("metadata=", json!({})),
            ("metadata[0]=x&metadata[z]=%C3%A9", json!({ "0": "x", "z": "é" })),
        ] {
            assert_eq!(app.made(&path, form).await["metadata"], expected, "{form}");
        }
    }
}

#[tokio::test]
async fn metadata_has_bounds() {
    let app = TestApp::start().await;
    let keys = |range: std::ops::Range<usize>| -> String {
        range.map(|n| format!("metadata[k{n}]=v&")).collect()
    };
    let (key, value) = ("k".repeat(40), "v".repeat(500));
    let made = app.made(CUSTOMERS, &format!("metadata[{key}]={value}&{}", keys(0..49))).await;
    let path = format!("{CUSTOMERS}/{}", id(&made));
    let many = "400 - metadata: You can only have up to 50 metadata keys on an object; this would \
                make 51.";
    assert_eq!(error(&app.post(CUSTOMERS, &keys(0..51)).await), many);
    assert_eq!(error(&app.post(&path, &keys(49..50)).await), many);
    // One out, one in.
    app.made(&path, &format!("{}metadata[k0]=", keys(49..50))).await;
    let long_key = format!("metadata[k{key}]=v");
    let long_value = format!("metadata[k1]=v{value}");
    let shown = format!("{}…", "v".repeat(60));
    refused(
        &app,
        &[
            (
                &path,
                &long_key,
                &format!("400 - metadata: Metadata keys can be at most 40 characters: k{key}"),
            ),
            (
                &path,
                &long_value,
                &format!(
                    "400 - metadata[k1]: Invalid string: {shown}; must be at most 500 characters"
                ),
            ),
            (&path, "metadata[a][b]=c", "400 - metadata[a]: Invalid string"),
            (&path, "metadata=x", "400 - metadata: Invalid object"),
            (&path, "metadata[]=x", "400 - metadata: Invalid object"),
        ],
    )
    .await;
}

#[tokio::test]
async fn unknown_parameters_are_named_with_the_one_that_was_meant() {
    let app = TestApp::start().await;
    let unknown =
        |param: &str| format!("400 parameter_unknown {param}: Received unknown parameter: {param}");
    for (form, expected) in [
        ("foo=1", unknown("foo")),
        ("nam=N", format!("{}. Did you mean name?", unknown("nam"))),
        ("descripton=D", format!("{}. Did you mean description?", unknown("descripton"))),
        ("address[lin1]=x", format!("{}. Did you mean line1?", unknown("address[lin1]"))),
        ("shipping[address][foo]=x", unknown("shipping[address][foo]")),
        (
            "invoice_settings[custom_fields][1][foo]=x&invoice_settings[custom_fields][0][name]=n\
             &invoice_settings[custom_fields][0][value]=v",
            unknown("invoice_settings[custom_fields][1][foo]"),
        ),
        ("source=tok_visa", unknown("source")),
    ] {
        assert_eq!(error(&app.post(CUSTOMERS, form).await), expected, "{form}");
    }
    let gone = app.delete("/v1/customers/cus_x?foo=1").await;
    assert_eq!(error(&gone), unknown("foo"));
}

#[tokio::test]
async fn the_rules_of_each_parameter_are_checked() {
    let app = TestApp::start().await;
    let made = app.made(CUSTOMERS, "invoice_prefix=TAKEN").await;
    let path = format!("{CUSTOMERS}/{}", id(&made));
    let prefix = "400 - invoice_prefix: Invalid invoice_prefix: must be 3 to 12 upper-case letters \
                  or digits.";
    for (form, expected) in [
        (
            "tax_exempt=all",
            "400 - tax_exempt: Invalid tax_exempt: must be one of none, reverse, or exempt",
        ),
        ("balance=1.5", "400 parameter_invalid_integer balance: Invalid integer: 1.5"),
        (
            "balance=1000000000000",
            "400 - balance: Invalid balance: must be between -999999999999 and 999999999999.",
        ),
        ("invoice_prefix=ab", prefix),
        ("invoice_prefix=ABCDEFGHIJKLM", prefix),
        (
            "next_invoice_sequence=0",
            "400 - next_invoice_sequence: Invalid next_invoice_sequence: must be between 1 and \
             1000000000.",
        ),
        (
            "shipping[name]=S",
            "400 parameter_missing shipping[address]: Missing required param: shipping[address].",
        ),
        ("address=x", "400 - address: Invalid object"),
        ("preferred_locales=de", "400 - preferred_locales: Invalid array"),
    ] {
        for path in [CUSTOMERS, &path] {
            assert_eq!(error(&app.post(path, form).await), expected, "{path} {form}");
        }
    }
    let taken = "400 - invoice_prefix: Another customer already uses this invoice prefix.";
    assert_eq!(error(&app.post(CUSTOMERS, "invoice_prefix=TAKEN").await), taken);
}

#[tokio::test]
async fn a_deleted_customer_leaves_a_stub_and_its_subscriptions_end() {
    for app in TestApp::everywhere().await {
        let subscription = crate::support::subscription(&app).await;
        let customer = subscription["customer"].as_str().unwrap();
        let path = format!("{CUSTOMERS}/{customer}");
        let stub = json!({ "id": customer, "object": "customer", "deleted": true });
        assert_eq!(app.delete(&path).await.json(), stub);
        assert_eq!(app.read(&path).await, stub);
        let missing = format!("404 resource_missing id: No such customer: '{customer}'");
        assert_eq!(error(&app.post(&path, "name=N").await), missing);
        assert_eq!(error(&app.delete(&path).await), missing);
        let read = app.read(&format!("/v1/subscriptions/{}", id(&subscription))).await;
        assert_eq!(read["status"], "canceled");
    }
}
