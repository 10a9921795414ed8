//! Invoices by hand: made, changed, their lines put on and taken off, deleted.

mod explained;
mod lines;

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::payments::attached;
use crate::support::{customer, error, id, ids, refused, written};

pub(crate) const INVOICES: &str = "/v1/invoices";
const ITEMS: &str = "/v1/invoiceitems";
const DAY_S: i64 = 86_400;

/// Holds what the parts of every invoice come to against its totals.
pub(crate) fn holds(invoice: &Value) {
    let number = |name: &str| invoice[name].as_i64().unwrap_or_else(|| panic!("{name}: {invoice}"));
    let sum = |list: &Value, of: &str| -> i64 {
        list.as_array().unwrap().iter().map(|part| part[of].as_i64().unwrap()).sum()
    };
    let off = sum(&invoice["total_discount_amounts"], "amount");
    let lines = &invoice["lines"];
    let mut of_lines_off = 0;
    if lines["has_more"] == false {
        assert_eq!(sum(&lines["data"], "amount"), number("subtotal"), "{invoice}");
        for line in lines["data"].as_array().unwrap() {
            of_lines_off += line["subtotal"].as_i64().unwrap() - line["amount"].as_i64().unwrap();
        }
    }
    let taxes = invoice["total_taxes"].as_array().unwrap();
    let exclusive: i64 = taxes
        .iter()
        .filter(|tax| tax["tax_behavior"] == "exclusive")
        .map(|tax| tax["amount"].as_i64().unwrap())
        .sum();
    let total = number("total");
    assert_eq!(number("subtotal") - (off - of_lines_off) + exclusive, total, "{invoice}");
    let (start, due) = (number("starting_balance"), number("amount_due"));
    if invoice["status"] == "draft" {
        assert_eq!((due, &invoice["ending_balance"]), (total.max(0), &Value::Null), "{invoice}");
        return;
    }
    let end = number("ending_balance");
    // What goes in comes out: the balance and the total, or what is due and the balance after.
    assert_eq!(total + start, due + end, "{invoice}");
    let credited = number("pre_payment_credit_notes_amount");
    assert_eq!(number("amount_remaining"), due - number("amount_paid") - credited, "{invoice}");
}

async fn draft(app: &TestApp, customer: &str, more: &str) -> Value {
    app.made(INVOICES, &format!("customer={customer}&currency=usd{more}")).await
}

async fn item(app: &TestApp, customer: &str, more: &str) -> Value {
    app.made(ITEMS, &format!("customer={customer}&currency=usd&{more}")).await
}

fn path(invoice: &Value) -> String {
    format!("{INVOICES}/{}", id(invoice))
}

async fn kinds(app: &TestApp) -> Vec<String> {
    written(app).await.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_draft_is_empty_and_comes_to_nothing_until_something_is_put_on_it() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let pending = item(&app, &customer, "amount=700").await;
        let made = draft(&app, &customer, "").await;
        assert_eq!(made["status"], "draft");
        assert_eq!(made["billing_reason"], "manual");
        assert_eq!(made["lines"]["data"], json!([]));
        assert_eq!(made["total"], 0);
        assert_eq!(made["auto_advance"], false);
        assert_eq!([&made["number"], &made["parent"], &made["due_date"]], [&Value::Null; 3]);
        assert_eq!(
            (&made["period_start"], &made["period_end"]),
            (&made["created"], &made["created"])
        );
        assert_eq!(app.read(&format!("{ITEMS}/{}", id(&pending))).await["invoice"], Value::Null);
        assert_eq!(app.read(&path(&made)).await, made);
        let on = item(&app, &customer, &format!("amount=1300&invoice={}", id(&made))).await;
        assert_eq!(on["invoice"], made["id"]);
        let now = app.read(&path(&made)).await;
        assert_eq!((&now["subtotal"], &now["total"]), (&json!(1300), &json!(1300)));
        assert_eq!(
            now["lines"]["data"][0]["parent"]["invoice_item_details"]["invoice_item"],
            on["id"]
        );
        holds(&now);
        let line = ids(&now["lines"])[0].clone();
        app.made(&format!("{ITEMS}/{}", id(&on)), "amount=1301&description=Work").await;
        let now = app.read(&path(&made)).await;
        assert_eq!((&now["total"], &ids(&now["lines"])[0]), (&json!(1301), &line));
        assert_eq!(now["lines"]["data"][0]["description"], "Work");
        assert_eq!(app.delete(&format!("{ITEMS}/{}", id(&on))).await.status, 200);
        assert_eq!(app.read(&path(&made)).await["total"], 0);
        let told = kinds(&app).await;
        let updates = told.iter().filter(|kind| *kind == "invoice.updated").count();
        assert_eq!(updates, 3, "{told:?}");
    }
}

#[tokio::test]
async fn what_is_pending_goes_on_when_it_is_asked_for() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        for amount in [700, 1300] {
            item(&app, &customer, &format!("amount={amount}")).await;
        }
        let include = "&pending_invoice_items_behavior=include";
        let made = draft(&app, &customer, include).await;
        let amounts: Vec<&Value> =
            made["lines"]["data"].as_array().unwrap().iter().map(|line| &line["amount"]).collect();
        assert_eq!(amounts, [&json!(1300), &json!(700)], "newest first");
        assert_eq!(made["total"], 2000);
        let open = app.made(&format!("{}/finalize", path(&made)), "").await;
        assert_eq!((&open["status"], &open["amount_due"]), (&json!("open"), &json!(2000)));
        holds(&open);
        assert_eq!(draft(&app, &customer, include).await["lines"]["data"], json!([]));
        item(&app, &customer, "amount=7").await;
        let bearer = format!("Bearer {}", app.test_key());
        let headers = [
            ("authorization", bearer.as_str()),
            ("stripe-version", "2020-08-27"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let form = format!("customer={customer}");
        let old = app.request("POST", INVOICES, &headers, form.as_bytes()).await.json();
        assert_eq!(old["total"], 7, "before 2022-08-01 it does so by itself");
    }
}

#[tokio::test]
async fn a_draft_says_whatever_it_is_told_to_say() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let rate = "display_name=VAT&percentage=10&inclusive=false";
        let rate = id(&app.made("/v1/tax_rates", rate).await).to_owned();
        app.made("/v1/coupons", "id=A&amount_off=300&currency=usd").await;
        let card = attached(&app, "visa", &customer).await;
        let due = app.now().0 + 7 * DAY_S;
        let form = format!(
            "&collection_method=send_invoice&due_date={due}&default_payment_method={card}\
             &default_tax_rates[]={rate}&description=D&discounts[0][coupon]=A&effective_at=1700000007\
             &footer=F&custom_fields[0][name]=PO&custom_fields[0][value]=7&metadata[a]=1\
             &number=X-13&payment_settings[payment_method_types][]=card&rendering[pdf][page_size]=a4\
             &rendering[amount_tax_display]=exclude_tax&statement_descriptor=SHOP"
        );
        let made = draft(&app, &customer, &form).await;
        item(&app, &customer, &format!("amount=2300&invoice={}", id(&made))).await;
        let now = app.read(&path(&made)).await;
        for (name, value) in [
            ("collection_method", json!("send_invoice")),
            ("due_date", json!(due)),
            ("default_payment_method", json!(card)),
            ("description", json!("D")),
            ("effective_at", json!(1_700_000_007)),
            ("footer", json!("F")),
            ("custom_fields", json!([{ "name": "PO", "value": "7" }])),
            ("metadata", json!({ "a": "1" })),
            ("number", json!("X-13")),
            ("statement_descriptor", json!("SHOP")),
            ("subtotal", json!(2300)),
            ("total_excluding_tax", json!(2000)),
            ("total", json!(2200)),
        ] {
            assert_eq!(now[name], value, "{name}");
        }
        assert_eq!(now["default_tax_rates"][0]["id"], rate.as_str());
        assert_eq!(now["payment_settings"]["payment_method_types"], json!(["card"]));
        assert_eq!(now["rendering"]["pdf"]["page_size"], "a4");
        assert_eq!(now["rendering"]["amount_tax_display"], "exclude_tax");
        holds(&now);
        let cleared = "default_tax_rates=&description=&discounts=&effective_at=&footer=\
                       &custom_fields=&metadata=&number=&payment_settings[payment_method_types]=\
                       &rendering[amount_tax_display]=&collection_method=charge_automatically";
        let now = app.made(&path(&made), cleared).await;
        for name in ["description", "effective_at", "footer", "custom_fields", "number", "due_date"]
        {
            assert_eq!(now[name], Value::Null, "{name}");
        }
        assert_eq!((&now["total"], &now["metadata"]), (&json!(2300), &json!({})));
        assert_eq!(now["default_tax_rates"], json!([]));
        let open = app.made(&format!("{}/finalize", path(&made)), "").await;
        assert_eq!(open["total"], 2300);
        assert_eq!(app.read(&path(&made)).await, open);
    }
}

#[tokio::test]
async fn tax_rates_of_an_invoice_show_after_it_is_finalized_too() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let rate = "display_name=VAT&percentage=10&inclusive=false";
        let rate = id(&app.made("/v1/tax_rates", rate).await).to_owned();
        let made = draft(&app, &customer, &format!("&default_tax_rates[]={rate}")).await;
        item(&app, &customer, &format!("amount=1300&invoice={}", id(&made))).await;
        app.made(&format!("{}/finalize", path(&made)), "").await;
        let open = app.read(&path(&made)).await;
        assert_eq!(
            (&open["total"], &open["default_tax_rates"][0]["id"]),
            (&json!(1430), &json!(rate))
        );
        let void = app.made(&format!("{}/void", path(&made)), "").await;
        assert_eq!(void["default_tax_rates"][0]["id"], rate.as_str());
    }
}

#[tokio::test]
async fn a_finalized_invoice_changes_in_how_it_is_paid_and_its_metadata_only() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let made = draft(&app, &customer, "").await;
        let path = path(&made);
        item(&app, &customer, &format!("amount=1300&invoice={}", id(&made))).await;
        let item = app.read(&format!("{ITEMS}?invoice={}", id(&made))).await["data"][0].clone();
        let open = app.made(&format!("{path}/finalize"), "").await;
        let line = ids(&open["lines"])[0].clone();
        let fixed = |param: &str| {
            format!("400 invoice_not_editable {param}: This invoice is no longer editable.")
        };
        for (form, param) in [
            ("description=D", "description"),
            ("footer=", "footer"),
            ("due_date=1900000000", "due_date"),
            ("discounts=", "discounts"),
            ("number=7", "number"),
            ("metadata[a]=1&default_tax_rates=", "default_tax_rates"),
        ] {
            assert_eq!(error(&app.post(&path, form).await), fixed(param), "{form}");
        }
        let on = format!("customer={customer}&currency=usd&amount=7&invoice={}", id(&made));
        assert_eq!(error(&app.post(ITEMS, &on).await), fixed("invoice"));
        let of_item = format!("{ITEMS}/{}", id(&item));
        assert_eq!(error(&app.post(&of_item, "amount=7").await), fixed("invoice"));
        assert_eq!(error(&app.delete(&of_item).await), fixed("invoice"));
        let of_line = format!("{path}/lines/{line}");
        assert_eq!(error(&app.post(&of_line, "amount=7").await), fixed("-"));
        assert_eq!(
            error(&app.delete(&path).await),
            "400 - -: You can only delete draft invoices. This invoice isn't a draft."
        );
        let card = attached(&app, "visa", &customer).await;
        let form = format!(
            "metadata[a]=1&default_payment_method={card}&auto_advance=true\
             &payment_settings[payment_method_types][]=card"
        );
        let now = app.made(&path, &form).await;
        assert_eq!((&now["metadata"], &now["auto_advance"]), (&json!({ "a": "1" }), &json!(true)));
        app.work().await;
        let paid = app.read(&path).await;
        assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(1300)));
        holds(&paid);
        assert_eq!(app.made(&path, "metadata[b]=2").await["metadata"], json!({"a": "1", "b": "2"}));
        assert_eq!(error(&app.post(&path, "auto_advance=true").await), fixed("auto_advance"));
    }
}

#[tokio::test]
async fn a_draft_that_advances_is_finalized_and_collected_when_its_time_comes() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let card = attached(&app, "visa", &customer).await;
        let made =
            draft(&app, &customer, &format!("&auto_advance=true&default_payment_method={card}"))
                .await;
        let at = app.now().0 + 3_600;
        assert_eq!(made["automatically_finalizes_at"], at);
        assert_eq!(made["next_payment_attempt"], at);
        item(&app, &customer, &format!("amount=1300&invoice={}", id(&made))).await;
        let later = at + 7;
        let form = format!("automatically_finalizes_at={later}");
        assert_eq!(app.made(&path(&made), &form).await["automatically_finalizes_at"], later);
        app.live_s(3_601).await;
        assert_eq!(app.read(&path(&made)).await["status"], "draft");
        app.live_s(7).await;
        let paid = app.read(&path(&made)).await;
        assert_eq!((&paid["status"], &paid["amount_paid"]), (&json!("paid"), &json!(1300)));
        let kept = draft(&app, &customer, "&auto_advance=true").await;
        let now = app.made(&path(&kept), "auto_advance=false").await;
        assert_eq!(now["automatically_finalizes_at"], Value::Null);
        app.live_s(3_700).await;
        assert_eq!(app.read(&path(&kept)).await["status"], "draft");
    }
}

#[tokio::test]
async fn a_draft_that_is_deleted_takes_its_items_along() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let made = draft(&app, &customer, "&auto_advance=true").await;
        let on = item(&app, &customer, &format!("amount=700&invoice={}", id(&made))).await;
        let gone = app.delete(&path(&made)).await.json();
        assert_eq!(gone, json!({ "id": made["id"], "object": "invoice", "deleted": true }));
        assert_eq!(app.get(&path(&made)).await.status, 404);
        assert_eq!(app.get(&format!("{ITEMS}/{}", id(&on))).await.status, 404);
        assert_eq!(kinds(&app).await.last().unwrap(), "invoice.deleted");
        app.live_s(4_000).await;
        let subscription = crate::support::subscription(&app).await;
        let who = subscription["customer"].as_str().unwrap();
        let form = format!("customer={who}&subscription={}", id(&subscription));
        let of_subscription = app.made(INVOICES, &form).await;
        assert_eq!(
            of_subscription["parent"]["subscription_details"]["subscription"],
            subscription["id"]
        );
        assert_eq!(
            error(&app.delete(&path(&of_subscription)).await),
            "400 - -: You can't delete invoices created by subscriptions. Finalize it and void it \
             instead."
        );
    }
}

#[tokio::test]
async fn only_the_pending_items_of_a_subscription_go_on_an_invoice_for_it() {
    for app in TestApp::everywhere().await {
        let subscription = crate::support::subscription(&app).await;
        let who = subscription["customer"].as_str().unwrap();
        item(&app, who, "amount=700").await;
        item(&app, who, &format!("amount=1300&subscription={}", id(&subscription))).await;
        let form = format!(
            "customer={who}&subscription={}&pending_invoice_items_behavior=include",
            id(&subscription)
        );
        let made = app.made(INVOICES, &form).await;
        assert_eq!((&made["total"], &made["currency"]), (&json!(1300), &json!("usd")));
    }
}

#[tokio::test]
async fn voiding_gives_back_the_balance_that_went_in() {
    for app in TestApp::everywhere().await {
        let customer = id(&app.made("/v1/customers", "balance=-500").await).to_owned();
        let made = draft(&app, &customer, "").await;
        item(&app, &customer, &format!("amount=1300&invoice={}", id(&made))).await;
        let open = app.made(&format!("{}/finalize", path(&made)), "").await;
        assert_eq!((&open["amount_due"], &open["ending_balance"]), (&json!(800), &json!(0)));
        holds(&open);
        holds(&app.made(&format!("{}/void", path(&made)), "").await);
        let negative = draft(&app, &customer, "").await;
        item(&app, &customer, &format!("amount=-300&invoice={}", id(&negative))).await;
        let paid = app.made(&format!("{}/finalize", path(&negative)), "").await;
        assert_eq!((&paid["status"], &paid["ending_balance"]), (&json!("paid"), &json!(-800)));
        holds(&paid);
        let ledger = format!("/v1/customers/{customer}/balance_transactions");
        let rows = app.read(&ledger).await["data"].as_array().unwrap().clone();
        let amounts: Vec<i64> = rows.iter().map(|row| row["amount"].as_i64().unwrap()).collect();
        assert_eq!(amounts, [-300, -500, 500, -500]);
        let who = app.read(&format!("/v1/customers/{customer}")).await;
        assert_eq!(who["balance"], amounts.iter().sum::<i64>());
        assert_eq!(rows[0]["ending_balance"], who["balance"]);
    }
}

#[tokio::test]
async fn how_an_invoice_is_paid_shows_when_it_is_asked_for() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let made = draft(&app, &customer, "").await;
        item(&app, &customer, &format!("amount=1300&invoice={}", id(&made))).await;
        app.made(&format!("{}/finalize", path(&made)), "").await;
        let query = "?expand[]=payments.data.payment.payment_intent&expand[]=confirmation_secret";
        let open = app.read(&format!("{}{query}", path(&made))).await;
        let payment = &open["payments"]["data"][0];
        assert_eq!(
            (&payment["amount_requested"], &payment["status"]),
            (&json!(1300), &json!("open"))
        );
        let intent = &payment["payment"]["payment_intent"];
        assert_eq!(open["confirmation_secret"]["client_secret"], intent["client_secret"]);
        assert_eq!(open["confirmation_secret"]["type"], "payment_intent");
        let bearer = format!("Bearer {}", app.test_key());
        let headers = [("authorization", bearer.as_str()), ("stripe-version", "2024-09-30.acacia")];
        let old = app.request("GET", &path(&made), &headers, b"").await.json();
        assert_eq!(old["payment_intent"], intent["id"]);
        assert_eq!(old["lines"]["data"][0]["type"], "invoiceitem");
        let whole = format!("{}?expand[]=payment_intent.customer", path(&made));
        let old = app.request("GET", &whole, &headers, b"").await.json();
        assert_eq!(old["payment_intent"]["customer"]["id"], customer.as_str());
        app.made(&format!("{}/pay", path(&made)), "paid_out_of_band=true").await;
        let paid = app.read(&format!("{}{query}", path(&made))).await;
        assert_eq!(paid["payments"]["data"][0]["status"], "canceled");
        assert_eq!(paid["confirmation_secret"], Value::Null);
    }
}

#[tokio::test]
async fn an_invoice_of_a_test_clock_lives_by_it() {
    for app in TestApp::everywhere().await {
        let frozen = app.now().0 + 40 * DAY_S;
        let clock =
            app.made("/v1/test_helpers/test_clocks", &format!("frozen_time={frozen}")).await;
        let form = format!("test_clock={}", id(&clock));
        let customer = id(&app.made("/v1/customers", &form).await).to_owned();
        let made = draft(&app, &customer, "&collection_method=send_invoice&days_until_due=7").await;
        assert_eq!((&made["created"], &made["test_clock"]), (&json!(frozen), &clock["id"]));
        assert_eq!(made["due_date"], frozen + 7 * DAY_S);
        let told = written(&app).await;
        assert_eq!(told.last().unwrap().object["created"], frozen);
    }
}

#[tokio::test]
async fn an_invoice_of_who_has_no_currency_yet_is_in_that_of_the_account() {
    for app in TestApp::everywhere().await {
        for (setting, code) in [(None, "usd"), (Some("eur"), "eur")] {
            if let Some(currency) = setting {
                let form = format!("default_currency={currency}");
                let settings = app.made("/v1/billing/settings", &form).await;
                assert_eq!(settings["default_currency"], currency);
            }
            let customer = customer(&app).await;
            let made = app.made(INVOICES, &format!("customer={customer}")).await;
            assert_eq!(made["currency"], code, "{made}");
            let form = format!("customer={customer}&invoice={}&amount=700", id(&made));
            app.made(ITEMS, &form).await;
            assert_eq!(app.read(&path(&made)).await["total"], 700);
        }
    }
}

#[tokio::test]
async fn what_an_invoice_cannot_be_is_refused() {
    for app in TestApp::everywhere().await {
        let customer = customer(&app).await;
        let made = draft(&app, &customer, "").await;
        let path = path(&made);
        let with = |more: &str| format!("customer={customer}&currency=usd&{more}");
        let past = format!("automatically_finalizes_at={}", app.now().0);
        let far = format!("automatically_finalizes_at={}", app.now().0 + 6 * 366 * DAY_S);
        let both = with("collection_method=send_invoice&days_until_due=1&due_date=1900000000");
        let finalizes = "400 - automatically_finalizes_at: Invalid automatically_finalizes_at: must \
                         be in the future, and at most 5 years ahead.";
        refused(
            &app,
            &[
                (INVOICES, "", "400 parameter_missing customer: Missing required param: customer."),
                (
                    INVOICES,
                    &with("due_date=1900000000"),
                    "400 - due_date: You can only specify 'due_date' if invoice collection method is \
                     'send_invoice'.",
                ),
                (
                    INVOICES,
                    &with("collection_method=send_invoice"),
                    "400 - days_until_due: If invoice collection method is 'send_invoice', you must \
                     specify 'due_date' or 'days_until_due'.",
                ),
                (
                    INVOICES,
                    &both,
                    "400 parameters_exclusive days_until_due: You may only specify one of these \
                     parameters: days_until_due, due_date.",
                ),
                (
                    INVOICES,
                    &with("collection_method=send_invoice&due_date=7"),
                    "400 - due_date: Invalid due_date: must be in the future.",
                ),
                (&path, &past, finalizes),
                (&path, &far, finalizes),
                (
                    &path,
                    "auto_advance=false&automatically_finalizes_at=1900000000",
                    "400 - automatically_finalizes_at: You cannot specify \
                     'automatically_finalizes_at' with 'auto_advance' set to false.",
                ),
                (
                    INVOICES,
                    &with("number=123456789012345678901234567"),
                    "400 - number: Invalid string: 123456789012345678901234567; must be at most 26 \
                     characters",
                ),
                (
                    INVOICES,
                    &with("statement_descriptor=7"),
                    "400 - statement_descriptor: Invalid statement descriptor: must contain at least \
                     one letter",
                ),
                (
                    INVOICES,
                    &with("transfer_data[destination]=acct_7"),
                    "400 parameter_unknown transfer_data: Received unknown parameter: transfer_data",
                ),
            ],
        )
        .await;
    }
}
