//! Stripe's search query language.

use serde_json::Value;
use taximeter_testkit::{START, TestApp};

use crate::shop::encoded;
use crate::support::{error, id, ids, price};

async fn found(app: &TestApp, resource: &str, query: &str) -> Value {
    app.read(&format!("/v1/{resource}/search?query={}&limit=100", encoded(query))).await
}

async fn refused(app: &TestApp, resource: &str, query: &str) -> String {
    error(&app.get(&format!("/v1/{resource}/search?query={}", encoded(query))).await)
}

/// The names of the customers found, newest first.
async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let found = found(app, "customers", query).await;
    let name = |customer: &Value| customer["name"].as_str().unwrap_or("-").to_owned();
    found["data"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn every_rule_of_the_grammar_holds() {
    for app in TestApp::everywhere().await {
        for form in [
            "name=Ada+King+Lovelace&email=ada@example.com&metadata[tier]=gold",
            "name=Grace&email=GRACE@example.com&metadata[tier]=silver&metadata[o'k]=a\"b",
            "phone=555-0101&metadata[tier]=gold",
        ] {
            app.made("/v1/customers", form).await;
            app.advance_s(10);
        }
        let (ada, grace, none) = ("Ada King Lovelace", "Grace", "-");
        for (query, expected) in [
            // Exact, in any case, in either quote.
            (r#"name:"Grace""#, &[grace][..]),
            ("name:'grace'", &[grace]),
            ("email:'grace@EXAMPLE.com'", &[grace]),
            // All the words in their order.
            ("name:'ada lovelace'", &[ada]),
            ("name:'lovelace ada'", &[]),
            ("name:'Lovelac'", &[]),
            // A part of three characters or more.
            ("name~'lovel'", &[ada]),
            ("email~'EXAMPLE'", &[grace, ada]),
            ("phone~'0101'", &[none]),
            // Metadata; quotes inside quotes.
            (r#"metadata["tier"]:"gold""#, &[none, ada]),
            (r#"metadata["o'k"]:"a\"b""#, &[grace]),
            ("metadata['tier']:'GOLD'", &[none, ada]),
            // Absent and present.
            ("name:null", &[none]),
            ("-name:null", &[grace, ada]),
            (r#"metadata["o'k"]:null"#, &[none, ada]),
            (r#"-metadata["o'k"]:null"#, &[grace]),
            ("-email:'ada@example.com'", &[none, grace]),
            // AND, OR and a space, in any case.
            (r#"metadata["tier"]:"gold" AND name:"ada""#, &[ada]),
            (r#"metadata["tier"]:"gold" name:"ada""#, &[ada]),
            (r#"metadata["tier"]:"gold" and -name:null"#, &[ada]),
            ("name:'grace' OR phone:'555-0101'", &[none, grace]),
            ("name:'grace' or name:'ada king lovelace'", &[grace, ada]),
        ] {
            assert_eq!(names(&app, query).await, expected, "{query}");
        }
        let second = START.0 + 10;
        for (query, expected) in [
            (format!("created:{second}"), &[grace][..]),
            (format!("created={second}"), &[grace]),
            (format!("created>{second}"), &[none]),
            (format!("created>='{second}'"), &[none, grace]),
            (format!("created<{second}"), &[ada]),
            (format!(r#"created<="{second}""#), &[grace, ada]),
            (format!("-created<={second}"), &[none]),
            (format!("created>{} created<{}", START.0, START.0 + 20), &[grace]),
        ] {
            assert_eq!(names(&app, &query).await, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn a_query_that_is_none_is_refused_with_the_reason() {
    let app = TestApp::start().await;
    let eleven = ["name:'abc'"; 11].join(" AND ");
    for (query, expected) in [
        (
            "nme:'a'",
            "Field `nme` is an unsupported search field for this resource. Supported \
                     fields: created, email, metadata, name, phone.",
        ),
        ("name", "Expected an operator after `name`."),
        ("name:", "String values must be quoted: ``."),
        ("name:Jane", "String values must be quoted: `Jane`."),
        ("name:'Jane", "A quoted value in the search query is not closed."),
        ("name>'a'", "Field `name` does not support this operator."),
        ("name='abc'", "Field `name` does not support this operator."),
        ("created~'123'", "Field `created` does not support this operator."),
        ("created>'yesterday'", "Field `created` needs a number, not `yesterday`."),
        ("created>null", "`null` can only be used with the `:` operator."),
        ("name~'ab'", "A substring needs at least 3 characters: `ab`."),
        ("metadata:'a'", "Field `metadata` needs a key: metadata[\"key\"]:\"value\"."),
        ("metadata[a]:'a'", "Field `metadata` needs a key: metadata[\"key\"]:\"value\"."),
        ("name:'a' AND name:'b' OR name:'c'", "A search query cannot combine AND and OR."),
        ("name:'a' name:'b' OR name:'c'", "A search query cannot combine AND and OR."),
        (&eleven, "A search query can have at most 10 clauses."),
    ] {
        assert_eq!(
            refused(&app, "customers", query).await,
            format!("400 - query: {expected}"),
            "{query}"
        );
    }
    let missing = "400 parameter_missing query: Missing required param: query.";
    assert_eq!(error(&app.get("/v1/customers/search").await), missing);
    let token = app.get("/v1/customers/search?query=created%3E0&page=x").await;
    assert_eq!(error(&token), "400 - page: Invalid pagination cursor");
    let cursor = app.get("/v1/customers/search?query=created%3E0&starting_after=x").await;
    assert!(error(&cursor).starts_with("400 parameter_unknown starting_after: "));
}

#[tokio::test]
async fn a_search_goes_on_page_by_page_and_counts_the_whole() {
    for app in TestApp::everywhere().await {
        let mut made = Vec::new();
        for n in 0..7 {
            let customer = app.made("/v1/customers", &format!("metadata[n]={}", n % 2)).await;
            if n % 2 == 0 {
                made.insert(0, id(&customer).to_owned());
            }
        }
        let query = encoded(r#"metadata["n"]:"0""#);
        let path = format!("/v1/customers/search?query={query}&limit=3&expand[]=total_count");
        let first = app.read(&path).await;
        assert_eq!(first["object"], "search_result");
        assert_eq!(first["url"], "/v1/customers/search");
        assert_eq!((ids(&first), &first["has_more"]), (made[..3].to_vec(), &true.into()));
        assert_eq!(first["total_count"], 4);
        let page = first["next_page"].as_str().unwrap();
        let second = app.read(&format!("{path}&page={page}")).await;
        assert_eq!((ids(&second), &second["has_more"]), (made[3..].to_vec(), &false.into()));
        assert_eq!((&second["next_page"], &second["total_count"]), (&Value::Null, &4.into()));
    }
}

#[tokio::test]
async fn a_search_sees_what_was_just_written_and_nothing_deleted() {
    for app in TestApp::everywhere().await {
        let customer = app.made("/v1/customers", "name=Ada").await;
        let path = format!("/v1/customers/{}", id(&customer));
        assert_eq!(names(&app, "name:'ada'").await, ["Ada"]);
        app.made(&path, "name=Grace").await;
        assert_eq!(names(&app, "name:'ada'").await.len(), 0);
        assert_eq!(names(&app, "name:'grace'").await, ["Grace"]);
        app.delete(&path).await;
        assert_eq!(names(&app, "name:'grace'").await.len(), 0);
    }
}

#[tokio::test]
async fn each_resource_has_its_fields() {
    for app in TestApp::everywhere().await {
        let price = price(&app, "&metadata[k]=v&lookup_key=gold").await;
        let product = app.read(&format!("/v1/prices/{price}")).await["product"].clone();
        let customer = app.made("/v1/customers", "metadata[k]=v").await;
        let form = format!(
            "customer={}&items[0][price]={price}&collection_method=send_invoice\
             &days_until_due=7&metadata[k]=v",
            id(&customer)
        );
        let subscription = app.made("/v1/subscriptions", &form).await;
        let product = product.as_str().unwrap();
        let invoice = subscription["latest_invoice"].as_str().unwrap();
        let of_customer =
            format!("customer:'{}' total>=700 subscription:'{}'", id(&customer), id(&subscription));
        for (resource, query, expected) in [
            ("prices", format!("product:'{product}' active:'true' type:'recurring'"), &*price),
            ("prices", "lookup_key:'gold' currency:'usd' metadata['k']:'v'".into(), &price),
            ("products", "name:'P' active:'true' -shippable:'true' url:null".into(), product),
            (
                "subscriptions",
                "status:'active' canceled_at:null metadata['k']:'v'".into(),
                id(&subscription),
            ),
            ("invoices", "status:'draft' currency:'usd' number:null".into(), invoice),
            ("invoices", of_customer, invoice),
        ] {
            assert_eq!(ids(&found(&app, resource, &query).await), [expected], "{resource} {query}");
        }
        for (resource, field) in [
            ("products", "created"),
            ("prices", "created"),
            ("subscriptions", "customer"),
            ("invoices", "email"),
        ] {
            let answer = refused(&app, resource, &format!("{field}:'x'")).await;
            assert!(answer.contains("is an unsupported search field"), "{answer}");
        }
    }
}

/// Customers numbered from 1, written past the API: through it they would take a minute.
async fn many_customers(app: &TestApp, count: i64) {
    let mut tx = app.services().db.begin().await.unwrap();
    let sql = "INSERT INTO customers (account, livemode, id, deleted, name, balance, delinquent, \
               invoice_prefix, next_invoice_sequence, invoice_settings, preferred_locales, \
               tax_exempt, metadata, created) \
               WITH RECURSIVE numbered (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL \
               SELECT n + 1 FROM numbered WHERE n < $3) \
               SELECT $1, $2, 'cus_' || n, $2, 'number ' || n, 0, $2, 'P' || n, 1, '{}', '[]', \
               'none', '{}', n FROM numbered ORDER BY n";
    let args = vec![app.account().into(), false.into(), count.into()];
    tx.execute(sql, args).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_search_goes_on_beyond_what_it_counts() {
    for app in TestApp::everywhere().await {
        many_customers(&app, 10_007).await;
        let count = app
            .read("/v1/customers/search?query=created%3E0&limit=1&expand[]=total_count")
            .await["total_count"]
            .clone();
        assert_eq!(count, 10_000);
        // A page ends before the fifth oldest; the next one is the rest of any search.
        let few = encoded("name:'number 5' OR name:'number 4'");
        let page = app.read(&format!("/v1/customers/search?query={few}&limit=1")).await;
        let page = page["next_page"].as_str().unwrap();
        let rest = format!("/v1/customers/search?query=created%3E0&page={page}&limit=3");
        let rest = app.read(&rest).await;
        assert_eq!(ids(&rest), ["cus_4", "cus_3", "cus_2"]);
        assert_eq!(rest["has_more"], true);
    }
}
