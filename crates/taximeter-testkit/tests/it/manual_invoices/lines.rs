//! Lines of drafts: put on, changed, taken off.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::{INVOICES, ITEMS, draft, holds, item, path};
use crate::shop;
use crate::support::{customer, error, id, ids};

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().unwrap();
    lines.iter().map(|line| line["amount"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn lines_are_put_on_changed_and_taken_off_in_bulk() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let pending = item(&app, &customer, "amount=700").await;
        let made = draft(&app, &customer, "").await;
        let path = path(&made);
        let form = format!(
            "lines[0][invoice_item]={}&lines[0][description]=Late&lines[1][amount]=1300\
             &lines[1][metadata][a]=1&invoice_metadata[b]=2",
            id(&pending)
        );
        let now = app.made(&format!("{path}/add_lines"), &form).await;
        assert_eq!(now["metadata"], json!({ "b": "2" }));
        assert_eq!((amounts(&now), &now["total"]), (vec![1300, 700], &json!(2000)));
        assert_eq!(now["lines"]["data"][1]["description"], "Late");
        holds(&now);
        assert_eq!(app.read(&path).await, now);
        let lines = ids(&now["lines"]);
        let form = format!(
            "lines[0][id]={}&lines[0][amount]=1301&lines[1][id]={}&lines[1][quantity]=3",
            lines[0], lines[1]
        );
        let now = app.made(&format!("{path}/update_lines"), &form).await;
        assert_eq!(amounts(&now), [1301, 2100], "three at 700");
        assert_eq!(ids(&now["lines"]), lines);
        let behind = app.read(&format!("{ITEMS}/{}", id(&pending))).await;
        assert_eq!((&behind["amount"], &behind["quantity"]), (&json!(2100), &json!(3)));
        let form = format!(
            "lines[0][id]={}&lines[0][behavior]=delete&lines[1][id]={}&lines[1][behavior]=unassign",
            lines[0], lines[1]
        );
        let now = app.made(&format!("{path}/remove_lines"), &form).await;
        assert_eq!((amounts(&now), &now["total"]), (vec![], &json!(0)));
        let left = app.read(&format!("{ITEMS}?customer={customer}&pending=true")).await;
        assert_eq!(ids(&left), [id(&pending)]);
    }
}

#[tokio::test]
async fn a_line_has_discounts_and_taxes_of_its_own() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let rate = "display_name=VAT&percentage=10&inclusive=false";
        let rate = id(&app.made("/v1/tax_rates", rate).await).to_owned();
        app.made("/v1/coupons", "id=A&percent_off=7").await;
        app.made("/v1/coupons", "id=B&amount_off=100&currency=usd").await;
        let made = draft(&app, &customer, "&discounts[0][coupon]=B").await;
        let path = path(&made);
        let now = app.made(&format!("{path}/add_lines"), "lines[0][amount]=1300").await;
        let line = format!("{path}/lines/{}", ids(&now["lines"])[0]);
        let form =
            format!("discounts[0][coupon]=A&tax_rates[]={rate}&period[start]=7&period[end]=13");
        let changed = app.made(&line, &form).await;
        // 7 % of 1300 are 91; 100 of the invoice's; 10 % on 1109.
        assert_eq!((&changed["subtotal"], &changed["amount"]), (&json!(1300), &json!(1209)));
        assert_eq!(changed["period"], json!({ "start": 7, "end": 13 }));
        assert_eq!(changed["taxes"][0]["amount"], 111);
        let now = app.read(&path).await;
        assert_eq!((&now["subtotal"], &now["total"]), (&json!(1209), &json!(1220)));
        holds(&now);
        let changed = app.made(&line, "discounts=&tax_rates=&discountable=false").await;
        assert_eq!(changed["amount"], 1300);
        assert_eq!(app.read(&path).await["total"], 1300);
    }
}

#[tokio::test]
async fn a_subscriptions_own_line_keeps_its_amount_and_stays_on() {
    for app in TestApp::everywhere().await {
        let who = shop::customer(&app, "").await;
        let gold = shop::monthly(&app, "Gold", "currency=usd&unit_amount=1000").await;
        let more = "collection_method=send_invoice&days_until_due=7&metadata[a]=1";
        let subscription = shop::subscribe(&app, &who, &[&gold], more).await;
        let path = format!("{INVOICES}/{}", subscription["latest_invoice"].as_str().unwrap());
        let shown = app.read(&path).await;
        let line = ids(&shown["lines"])[0].clone();
        let at = format!("{path}/lines/{line}");
        let own = |param: &str| {
            format!(
                "400 - {param}: The `{param}` of a line that a subscription makes cannot be changed. \
                 Add a line instead."
            )
        };
        assert_eq!(error(&app.post(&at, "amount=7").await), own("amount"));
        assert_eq!(error(&app.post(&at, "quantity=7").await), own("quantity"));
        let form = format!("lines[0][id]={line}&lines[0][behavior]=delete");
        assert_eq!(
            error(&app.post(&format!("{path}/remove_lines"), &form).await),
            format!(
                "400 - lines[0][id]: The line `{line}` is made by the subscription and cannot be \
                 removed."
            )
        );
        let changed = app.made(&at, "description=Gold&metadata[b]=2").await;
        assert_eq!(changed["description"], "Gold");
        assert_eq!(changed["metadata"], json!({ "a": "1", "b": "2" }));
        let form = "lines[0][amount]=-300&lines[0][description]=Sorry";
        let now = app.made(&format!("{path}/add_lines"), form).await;
        assert_eq!((amounts(&now), &now["total"]), (vec![-300, 1000], &json!(700)));
        holds(&now);
        let said = error(&app.post(&format!("{path}/lines/il_none"), "amount=7").await);
        assert_eq!(said, "404 resource_missing id: No such line_item: 'il_none'");
    }
}

#[tokio::test]
async fn taxes_of_a_metered_line_stay_on_it_when_usage_is_counted_anew() {
    for app in TestApp::everywhere().await {
        let who = shop::customer(&app, "").await;
        let meter = shop::meter(&app, "call").await;
        let terms = "currency=usd&billing_scheme=tiered&tiers_mode=graduated&tiers[0][up_to]=7\
                     &tiers[0][unit_amount]=0&tiers[1][up_to]=inf&tiers[1][unit_amount]=13";
        let price = shop::metered(&app, &meter, "Calls", terms).await;
        let more = "collection_method=send_invoice&days_until_due=7";
        shop::subscribe(&app, &who, &[&price], more).await;
        shop::used(&app, "call", &who, "8", app.now()).await;
        app.live_s(31 * 86_400 + 60).await;
        let list = app.read(&format!("{INVOICES}?customer={who}&status=draft")).await;
        let path = path(&list["data"][0]);
        assert_eq!(amounts(&list["data"][0]), [0, 13]);
        let rate = "display_name=VAT&percentage=10&inclusive=false";
        let rate = id(&app.made("/v1/tax_rates", rate).await).to_owned();
        let line = ids(&list["data"][0]["lines"])[0].clone();
        let at = format!("{path}/lines/{line}");
        app.made(&at, &format!("tax_rates[]={rate}")).await;
        let said = error(&app.post(&at, "description=D").await);
        assert!(said.starts_with("400 - description: The `description` of a line"), "{said}");
        let late = taximeter_kernel::time::Timestamp(app.now().0 - 86_400);
        shop::used(&app, "call", &who, "10", late).await;
        let now = app.read(&path).await;
        assert_eq!((amounts(&now), &now["total"]), (vec![0, 143], &json!(157)));
        holds(&now);
    }
}

#[tokio::test]
async fn lines_that_cannot_be_are_refused_by_their_place() {
    for app in TestApp::everywhere().await {
        let (who, other) = (customer(&app).await, customer(&app).await);
        let made = draft(&app, &who, "").await;
        let add = format!("{}/add_lines", path(&made));
        let strange = item(&app, &other, "amount=7").await;
        let taken = item(&app, &who, &format!("amount=7&invoice={}", id(&made))).await;
        let euro = app.made(ITEMS, &format!("customer={other}&currency=usd&amount=7")).await;
        assert_eq!(euro["currency"], "usd");
        for (form, expected) in [
            ("", "400 parameter_missing lines: Missing required param: lines.".to_owned()),
            (
                "lines[0][description]=D",
                "400 parameter_missing lines[0][amount]: You must specify one of `amount`, \
                 `pricing`, `price_data` or `unit_amount_decimal`."
                    .to_owned(),
            ),
            (
                &format!("lines[0][amount]=7&lines[1][invoice_item]={}", id(&strange)),
                format!(
                    "400 - lines[1][invoice_item]: The invoice item `{}` does not belong to the \
                     customer `{who}`.",
                    id(&strange)
                ),
            ),
            (
                &format!("lines[0][invoice_item]={}", id(&taken)),
                format!(
                    "400 - lines[0][invoice_item]: The invoice item `{}` is on an invoice already.",
                    id(&taken)
                ),
            ),
        ] {
            assert_eq!(error(&app.post(&add, form).await), expected, "{form}");
        }
        assert_eq!(app.read(&path(&made)).await["total"], 7, "all or nothing");
        let form = format!("customer={other}&currency=usd&amount=7&invoice={}", id(&made));
        assert_eq!(
            error(&app.post(ITEMS, &form).await),
            format!(
                "400 - invoice: The invoice `{}` does not belong to the customer `{other}`.",
                id(&made)
            )
        );
    }
}
