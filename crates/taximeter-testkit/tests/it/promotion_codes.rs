//! `/v1/promotion_codes`

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::support::{customer, error, id, ids, refused, written};

const CODES: &str = "/v1/promotion_codes";
const COUPONS: &str = "/v1/coupons";
const ACACIA: &str = "2025-02-24.acacia";

/// The form of a promotion code for a new coupon, `more` being what the coupon is told besides.
async fn promotion(app: &TestApp, more: &str) -> String {
    let coupon = app.made(COUPONS, &format!("percent_off=7{more}")).await;
    format!("promotion[type]=coupon&promotion[coupon]={}", id(&coupon))
}

#[tokio::test]
async fn a_promotion_code_keeps_all_that_it_is_told() {
    for app in TestApp::everywhere().await {
        let (promotion, customer) = (promotion(&app, "&id=C").await, customer(&app).await);
        let at = app.now().0 + 1_000;
        let form = format!(
            "{promotion}&code=Save-7&customer={customer}&expires_at={at}&max_redemptions=3\
             &metadata[a]=1&restrictions[first_time_transaction]=true\
             &restrictions[minimum_amount]=1300&restrictions[minimum_amount_currency]=usd\
             &restrictions[currency_options][eur][minimum_amount]=1200"
        );
        let made = app.made(CODES, &form).await;
        let expected = json!({
            "id": id(&made),
            "object": "promotion_code",
            "active": true,
            "code": "Save-7",
            "created": app.now().0,
            "customer": customer,
            "customer_account": null,
            "expires_at": at,
            "livemode": false,
            "max_redemptions": 3,
            "metadata": { "a": "1" },
            "promotion": { "coupon": "C", "type": "coupon" },
            "restrictions": {
                "currency_options": {
                    "eur": { "minimum_amount": 1200 }, "usd": { "minimum_amount": 1300 },
                },
                "first_time_transaction": true,
                "minimum_amount": 1300,
                "minimum_amount_currency": "usd",
            },
            "times_redeemed": 0,
        });
        assert_eq!(made, expected);
        let path = format!("{CODES}/{}", id(&made));
        let whole = app.read(&format!("{path}?expand[]=promotion.coupon&expand[]=customer")).await;
        assert_eq!(whole["promotion"]["coupon"]["percent_off"], 7);
        assert_eq!(whole["customer"]["object"], "customer");
        let change = "metadata[b]=2&restrictions[currency_options][gbp][minimum_amount]=1100";
        let changed = app.made(&path, change).await;
        assert_eq!(changed["metadata"], json!({ "a": "1", "b": "2" }));
        let least = &changed["restrictions"]["currency_options"];
        assert_eq!(least["gbp"]["minimum_amount"], 1100);
        assert_eq!(least["eur"]["minimum_amount"], 1200);
        // From the second on in which it expires it is over.
        app.advance_s(999);
        assert_eq!(app.read(&path).await["active"], true);
        app.advance_s(1);
        assert_eq!(app.read(&path).await["active"], false);
        let kinds: Vec<String> = written(&app).await.into_iter().map(|e| e.kind).collect();
        assert_eq!(kinds[2..], ["promotion_code.created", "promotion_code.updated"]);
    }
}

#[tokio::test]
async fn a_code_is_made_up_unless_it_is_said() {
    for app in TestApp::everywhere().await {
        let made = app.made(CODES, &promotion(&app, "").await).await;
        let code = made["code"].as_str().unwrap();
        assert!(code.len() == 8 && code.bytes().all(|b| b.is_ascii_alphanumeric()), "{code}");
        assert_eq!(made["restrictions"]["first_time_transaction"], false);
        assert_eq!(made["restrictions"].get("currency_options"), None);
    }
}

#[tokio::test]
async fn an_active_code_is_one_of_a_kind_in_any_case() {
    for app in TestApp::everywhere().await {
        let promotion = promotion(&app, "").await;
        let (one, other) = (customer(&app).await, customer(&app).await);
        let make = async |more: &str| app.post(CODES, &format!("{promotion}{more}")).await;
        let taken = |code: &str| {
            format!(
                "400 resource_already_exists code: An active promotion code with `code: {code}` \
                 already exists."
            )
        };
        // Two customers may have the same, who has it may not have it twice, nor everyone.
        let first = make(&format!("&code=vip&customer={one}")).await.json();
        assert_eq!(make(&format!("&code=ViP&customer={other}")).await.status, 200);
        assert_eq!(error(&make(&format!("&code=VIP&customer={one}")).await), taken("VIP"));
        assert_eq!(error(&make("&code=Vip").await), taken("Vip"));
        let inactive = make("&code=vip&active=false").await.json();
        let path = format!("{CODES}/{}", id(&inactive));
        assert_eq!(error(&app.post(&path, "active=true").await), taken("vip"));
        // One that was ended lets go of it.
        app.made(&format!("{CODES}/{}", id(&first)), "active=false").await;
        assert_eq!(make(&format!("&code=VIP&customer={one}")).await.status, 200);
        let end = app.now().0 + 7;
        assert_eq!(make(&format!("&code=soon&expires_at={end}")).await.status, 200);
        assert_eq!(error(&make("&code=SOON").await), taken("SOON"));
        app.advance_s(7);
        assert_eq!(make("&code=SOON").await.status, 200);
    }
}

#[tokio::test]
async fn promotion_codes_are_listed_by_what_they_are() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let by = app.now().0 + 7;
        let lasting = promotion(&app, "&id=LASTS").await;
        let ending = promotion(&app, &format!("&id=ENDS&redeem_by={by}")).await;
        let mut made = Vec::new();
        for form in [
            format!("{lasting}&code=A"),
            format!("{lasting}&code=B&customer={customer}"),
            format!("{lasting}&code=C&active=false"),
            format!("{ending}&code=D"),
        ] {
            made.push(id(&app.made(CODES, &form).await).to_owned());
        }
        app.advance_s(8);
        for (query, expected) in [
            ("", &[3, 2, 1, 0][..]),
            ("active=true", &[1, 0]),
            ("active=false", &[3, 2]),
            ("code=a", &[0]),
            ("coupon=ENDS", &[3]),
            ("coupon=NONE", &[]),
            (&format!("customer={customer}"), &[1]),
        ] {
            let expected: Vec<_> = expected.iter().map(|at: &usize| made[*at].clone()).collect();
            assert_eq!(ids(&app.read(&format!("{CODES}?{query}")).await), expected, "{query}");
        }
        app.delete(&format!("{COUPONS}/LASTS")).await;
        assert_eq!(ids(&app.read(&format!("{CODES}?active=true")).await), Vec::<String>::new());
        let path = format!("{CODES}/{}?expand[]=promotion.coupon", made[0]);
        let read = app.read(&path).await;
        assert_eq!(read["active"], false);
        assert_eq!(read["promotion"]["coupon"]["valid"], false);
    }
}

#[tokio::test]
async fn before_clover_a_promotion_code_has_its_coupon_itself() {
    for app in TestApp::everywhere().await {
        app.made(COUPONS, "id=C&percent_off=7").await;
        let older = [("stripe-version", ACACIA)];
        let made = app.send("POST", CODES, &older, "coupon=C&code=A").await.json();
        assert_eq!(made["coupon"]["id"], "C");
        assert_eq!(made["coupon"]["percent_off"], 7);
        assert_eq!(made.get("promotion"), None);
        let path = format!("{CODES}/{}", id(&made));
        assert_eq!(app.read(&path).await["promotion"]["coupon"], "C");
        let deeper = format!("{path}?expand[]=coupon.applies_to");
        let read = app.send("GET", &deeper, &older, "").await.json();
        assert_eq!(read["coupon"]["id"], "C");
        assert_eq!(read["coupon"].get("applies_to"), None, "it is not restricted");
        let unknown = "400 parameter_unknown coupon: Received unknown parameter: coupon. Did you \
                       mean promotion[coupon]?";
        assert_eq!(error(&app.post(CODES, "coupon=C&code=B").await), unknown);
    }
}

#[tokio::test]
async fn a_promotion_code_that_breaks_a_rule_is_refused() {
    let app = TestApp::start().await;
    let by = app.now().0 + 1_000;
    let limited = promotion(&app, &format!("&id=L&redeem_by={by}&max_redemptions=3")).await;
    let made = app.made(CODES, &format!("{limited}&code=A&active=false")).await;
    let path = format!("{CODES}/{}", id(&made));
    app.made(COUPONS, "id=OVER&percent_off=7").await;
    let over = app.made(CODES, "promotion[type]=coupon&promotion[coupon]=OVER&active=false").await;
    let over = format!("{CODES}/{}", id(&over));
    app.delete(&format!("{COUPONS}/OVER")).await;
    refused(
        &app,
        &[
            (
                CODES,
                "promotion[type]=coupon&promotion[coupon]=NONE",
                "400 resource_missing promotion[coupon]: No such coupon: 'NONE'",
            ),
            (
                CODES,
                &format!("{limited}&expires_at={}", by + 1),
                "400 - expires_at: `expires_at` cannot be after the coupon's `redeem_by`.",
            ),
            (
                CODES,
                &format!("{limited}&max_redemptions=4"),
                "400 - max_redemptions: `max_redemptions` cannot be greater than the coupon's \
                 `max_redemptions`.",
            ),
            (
                CODES,
                &format!("{limited}&restrictions[minimum_amount]=7"),
                "400 parameter_missing restrictions[minimum_amount_currency]: Missing required \
                 param: restrictions[minimum_amount_currency].",
            ),
            (
                CODES,
                &format!(
                    "{limited}&restrictions[minimum_amount]=7\
                     &restrictions[minimum_amount_currency]=usd\
                     &restrictions[currency_options][usd][minimum_amount]=8"
                ),
                "400 - restrictions[currency_options][usd]: Each currency must be different from \
                 the `minimum_amount_currency`.",
            ),
            (
                &path,
                "restrictions[currency_options][usd][minimum_amount]=8",
                "400 - restrictions[currency_options]: `currency_options` is only supported with \
                 `minimum_amount`.",
            ),
            (
                &over,
                "active=true",
                "400 - active: This promotion code cannot be activated because it or its coupon \
                 cannot be redeemed any more.",
            ),
        ],
    )
    .await;
    assert_eq!(app.made(&path, "active=true").await["active"], Value::Bool(true));
}
