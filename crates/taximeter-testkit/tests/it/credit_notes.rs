//! `/v1/credit_notes`: what is taken back of an invoice, before it is paid and after.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use crate::payments::attached;
use crate::support::{customer, error, id, ids, price, refused, written};

const NOTES: &str = "/v1/credit_notes";

/// An open invoice of two lines, 1000 and 2000, with 500 off and 10 % on top: 2750.
struct Bill {
    customer: String,
    invoice: String,
    /// The ids of its lines, that of 1000 first.
    lines: [String; 2],
    rate: String,
}

impl Bill {
    fn path(&self) -> String {
        format!("/v1/invoices/{}", self.invoice)
    }

    /// The form of a credit note of it.
    fn form(&self, more: &str) -> String {
        format!("invoice={}&{more}", self.invoice)
    }

    /// The form of one line that takes back so much of a line of it.
    fn line(&self, place: usize, amount: i64) -> String {
        let line = &self.lines[place];
        self.form(&format!(
            "lines[0][type]=invoice_line_item&lines[0][invoice_line_item]={line}\
             &lines[0][amount]={amount}"
        ))
    }
}

async fn bill(app: &TestApp) -> Bill {
    let customer = customer(app).await;
    let mut prices = Vec::new();
    // The newest item is the first line.
    for amount in [2000, 1000] {
        let form = format!(
            "currency=usd&unit_amount={amount}&product_data[name]=P&recurring[interval]=month"
        );
        prices.push(id(&app.made("/v1/prices", &form).await).to_owned());
    }
    let coupon = app.made("/v1/coupons", "amount_off=500&currency=usd").await;
    let rate = "display_name=VAT&percentage=10&inclusive=false";
    let rate = id(&app.made("/v1/tax_rates", rate).await).to_owned();
    let form = format!(
        "customer={customer}&items[0][price]={}&items[1][price]={}&discounts[0][coupon]={}\
         &default_tax_rates[]={rate}&collection_method=send_invoice&days_until_due=7",
        prices[0],
        prices[1],
        id(&coupon)
    );
    let made = app.made("/v1/subscriptions", &form).await;
    let invoice = made["latest_invoice"].as_str().unwrap().to_owned();
    let open = app.made(&format!("/v1/invoices/{invoice}/finalize"), "").await;
    assert_eq!((&open["status"], &open["total"]), (&json!("open"), &json!(2750)));
    let line = |amount: i64| {
        let lines = open["lines"]["data"].as_array().unwrap();
        id(lines.iter().find(|line| line["amount"] == amount).unwrap()).to_owned()
    };
    Bill { customer, invoice, lines: [line(1000), line(2000)], rate }
}

fn amounts(note: &Value) -> [i64; 6] {
    [
        "subtotal",
        "discount_amount",
        "total_excluding_tax",
        "total",
        "pre_payment_amount",
        "post_payment_amount",
    ]
    .map(|name| note[name].as_i64().unwrap())
}

#[tokio::test]
async fn a_line_is_taken_back_with_its_discounts_and_taxes() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let number = app.read(&bill.path()).await["number"].as_str().unwrap().to_owned();
        let form = bill.line(0, 1000) + "&memo=M&reason=duplicate&metadata[a]=1&email_type=none";
        let made = app.made(NOTES, &form).await;
        let line = &made["lines"]["data"][0];
        let discount = &line["discount_amounts"][0]["discount"];
        let tax = |amount: i64, taxable: i64| {
            json!([{
                "amount": amount,
                "tax_behavior": "exclusive",
                "tax_rate_details": { "tax_rate": bill.rate },
                "taxability_reason": "not_available",
                "taxable_amount": taxable,
                "type": "tax_rate_details",
            }])
        };
        let expected = json!({
            "id": id(&made),
            "object": "credit_note",
            "amount": 917,
            "amount_shipping": 0,
            "created": app.now().0,
            "currency": "usd",
            "customer": bill.customer,
            "customer_account": null,
            "customer_balance_transaction": null,
            "discount_amount": 166,
            "discount_amounts": [{ "amount": 166, "discount": discount }],
            "effective_at": app.now().0,
            "invoice": bill.invoice,
            "lines": {
                "object": "list",
                "data": [line],
                "has_more": false,
                "url": format!("{NOTES}/{}/lines", id(&made)),
            },
            "livemode": false,
            "memo": "M",
            "metadata": { "a": "1" },
            "number": format!("{number}-CN-01"),
            "out_of_band_amount": null,
            "pdf": "",
            "post_payment_amount": 0,
            "pre_payment_amount": 917,
            "pretax_credit_amounts": [{ "amount": 166, "discount": discount, "type": "discount" }],
            "reason": "duplicate",
            "refunds": [],
            "shipping_cost": null,
            "status": "issued",
            "subtotal": 1000,
            "subtotal_excluding_tax": 1000,
            "total": 917,
            "total_excluding_tax": 834,
            "total_taxes": tax(83, 834),
            "type": "pre_payment",
            "voided_at": null,
        });
        assert_eq!(made, expected);
        assert_eq!(line["taxes"], tax(83, 834));
        assert_eq!(line["tax_rates"][0]["percentage"], 10);
        assert_eq!(line["invoice_line_item"], bill.lines[0].as_str());
        assert_eq!(line["type"], "invoice_line_item");
        let invoice = app.read(&bill.path()).await;
        assert_eq!(invoice["pre_payment_credit_notes_amount"], 917);
        assert_eq!(invoice["amount_remaining"], 1833);
        assert_eq!(invoice["status"], "open");
    }
}

#[tokio::test]
async fn parts_of_a_line_come_to_the_line_and_an_invoice_of_which_nothing_is_left_is_paid() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        // 334 off 2000 and 167 on 1666, halved: 167 and 84, then 167 and 83.
        for (place, amount, expected) in [
            (1, 1000, [1000, 167, 833, 917, 917, 0]),
            (1, 1000, [1000, 167, 833, 916, 916, 0]),
            (0, 1000, [1000, 166, 834, 917, 917, 0]),
        ] {
            let made = app.made(NOTES, &bill.line(place, amount)).await;
            assert_eq!(amounts(&made), expected);
        }
        let invoice = app.read(&bill.path()).await;
        assert_eq!(invoice["amount_remaining"], 0);
        assert_eq!(invoice["amount_paid"], 0);
        assert_eq!(invoice["status"], "paid");
        let none = format!(
            "400 - lines[0][amount]: The credit of the line `{}` must be between 1 and 0, which is \
             what is left of it.",
            bill.lines[0]
        );
        assert_eq!(error(&app.post(NOTES, &bill.line(0, 1)).await), none);
        let kinds: Vec<String> = written(&app).await.into_iter().map(|e| e.kind).collect();
        let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
        assert_eq!((count("credit_note.created"), count("invoice.paid")), (3, 1));
        let numbers = app.read(&format!("{NOTES}?invoice={}", bill.invoice)).await;
        assert!(numbers["data"][0]["number"].as_str().unwrap().ends_with("-CN-03"));
    }
}

#[tokio::test]
async fn what_was_paid_is_given_back_on_the_balance_or_out_of_band() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        app.made(&format!("{}/pay", bill.path()), "paid_out_of_band=true").await;
        let form = bill.line(0, 1000);
        let unequal = "400 - -: The sum of credit amount, refund amount and out of band amount \
                       ($7.00) must equal the post payment amount ($9.17).";
        assert_eq!(error(&app.post(NOTES, &format!("{form}&credit_amount=700")).await), unequal);
        let none = "400 - refund_amount: There is no payment of this invoice to refund. Use \
                    `credit_amount` or `out_of_band_amount` instead.";
        assert_eq!(error(&app.post(NOTES, &format!("{form}&refund_amount=917")).await), none);
        let both = format!("{form}&credit_amount=700&out_of_band_amount=217");
        let made = app.made(NOTES, &both).await;
        assert_eq!(amounts(&made), [1000, 166, 834, 917, 0, 917]);
        assert_eq!(
            (&made["type"], &made["out_of_band_amount"]),
            (&json!("post_payment"), &json!(217))
        );
        let customer = app.read(&format!("/v1/customers/{}", bill.customer)).await;
        assert_eq!(customer["balance"], -700);
        let rows = format!("/v1/customers/{}/balance_transactions", bill.customer);
        let row = &app.read(&rows).await["data"][0];
        assert_eq!(row["id"], made["customer_balance_transaction"]);
        assert_eq!((&row["amount"], &row["type"]), (&json!(-700), &json!("credit_note")));
        assert_eq!((&row["credit_note"], &row["invoice"]), (&made["id"], &made["invoice"]));
        let invoice = app.read(&bill.path()).await;
        assert_eq!(invoice["post_payment_credit_notes_amount"], 917);
        assert_eq!((&invoice["status"], &invoice["amount_remaining"]), (&json!("paid"), &json!(0)));
        let path = format!("{NOTES}/{}?expand[]=customer_balance_transaction", id(&made));
        let whole = app.read(&path).await;
        assert_eq!(whole["customer_balance_transaction"]["object"], "customer_balance_transaction");
        let voided = "400 - -: You can only void a credit note of an open invoice that has given \
                      nothing back.";
        assert_eq!(error(&app.post(&format!("{NOTES}/{}/void", id(&made)), "").await), voided);
    }
}

#[tokio::test]
async fn what_a_card_paid_is_refunded_to_it() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let card = attached(&app, "visa", &bill.customer).await;
        let paid =
            app.made(&format!("{}/pay", bill.path()), &format!("payment_method={card}")).await;
        assert_eq!(paid["status"], "paid");
        let form = bill.line(0, 1000) + "&refund_amount=917&reason=order_change";
        let made = app.made(NOTES, &form).await;
        let refund = &made["refunds"][0];
        assert_eq!((&refund["amount_refunded"], &refund["type"]), (&json!(917), &json!("refund")));
        let path = format!("{NOTES}/{}?expand[]=refunds.refund", id(&made));
        let whole = &app.read(&path).await["refunds"][0]["refund"];
        assert_eq!(
            (&whole["amount"], &whole["reason"]),
            (&json!(917), &json!("requested_by_customer"))
        );
        // One that was made before is linked, no more of it than there is.
        let intent = whole["payment_intent"].as_str().unwrap();
        let form = format!("payment_intent={intent}&amount=1000");
        let earlier = app.made("/v1/refunds", &form).await;
        let form = format!(
            "amount=700&refunds[0][refund]={}&refunds[0][amount_refunded]=700",
            id(&earlier)
        );
        let linked = app.made(NOTES, &bill.form(&form)).await;
        assert_eq!(linked["refunds"][0]["refund"], earlier["id"]);
        let over = format!(
            "400 - refunds: Of the refund `{}` between 1 and 300 can be linked.",
            id(&earlier)
        );
        assert_eq!(error(&app.post(NOTES, &bill.form(&form)).await), over);
        let charge = whole["charge"].as_str().unwrap();
        assert_eq!(app.read(&format!("/v1/charges/{charge}")).await["amount_refunded"], 1917);
    }
}

#[tokio::test]
async fn an_invoice_paid_in_part_is_credited_first_then_given_back() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        app.made(NOTES, &bill.form("amount=2000")).await;
        app.made(&format!("{}/pay", bill.path()), "paid_out_of_band=true").await;
        let left = "400 - amount: The amount of the credit note ($7.51) must be positive and cannot \
                    be greater than what is left of the invoice ($7.50).";
        assert_eq!(error(&app.post(NOTES, &bill.form("amount=751")).await), left);
        let made = app.made(NOTES, &bill.form("amount=750&credit_amount=750")).await;
        assert_eq!(amounts(&made), [750, 0, 750, 750, 0, 750]);
        let line = &made["lines"]["data"][0];
        assert_eq!((&line["type"], &line["taxes"]), (&json!("custom_line_item"), &json!([])));
    }
}

#[tokio::test]
async fn a_custom_line_has_taxes_of_its_own() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let rate = "display_name=VAT&percentage=19&inclusive=true";
        let rate = id(&app.made("/v1/tax_rates", rate).await).to_owned();
        let form = bill.form(&format!(
            "lines[0][type]=custom_line_item&lines[0][description]=D&lines[0][quantity]=3\
             &lines[0][unit_amount_decimal]=434.9&lines[0][tax_rates][]={rate}\
             &lines[1][type]=custom_line_item&lines[1][description]=E&lines[1][unit_amount]=100\
             &lines[1][tax_rates][]={}",
            bill.rate
        ));
        let made = app.made(NOTES, &form).await;
        // 1304.7 is 1305, of which 208 are tax; 100 and 10.
        assert_eq!(amounts(&made), [1405, 0, 1197, 1415, 1415, 0]);
        assert_eq!(made["subtotal_excluding_tax"], 1197);
        let lines = app.read(&format!("{NOTES}/{}/lines?limit=1", id(&made))).await;
        assert_eq!(
            (lines["data"].as_array().unwrap().len(), &lines["has_more"]),
            (1, &json!(true))
        );
        let line = &lines["data"][0];
        assert_eq!(
            (&line["unit_amount"], &line["unit_amount_decimal"]),
            (&Value::Null, &json!("434.9"))
        );
        assert_eq!(line["taxes"][0]["taxable_amount"], 1097);
        assert_eq!(line.get("invoice_line_item"), None);
    }
}

#[tokio::test]
async fn a_preview_shows_what_would_be_and_leaves_nothing() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let query = bill.line(1, 2000);
        let shown = app.read(&format!("{NOTES}/preview?{query}")).await;
        assert_eq!(amounts(&shown), [2000, 334, 1666, 1833, 1833, 0]);
        let lines = app.read(&format!("{NOTES}/preview/lines?{query}")).await;
        assert_eq!(lines["data"][0]["discount_amount"], 334);
        assert_eq!(ids(&app.read(NOTES).await), Vec::<String>::new());
        assert_eq!(app.read(&bill.path()).await["amount_remaining"], 2750);
    }
}

#[tokio::test]
async fn a_voided_credit_note_counts_no_more() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let made = app.made(NOTES, &bill.line(0, 700)).await;
        let path = format!("{NOTES}/{}", id(&made));
        let changed = app.made(&path, "memo=N&metadata[b]=2").await;
        assert_eq!((&changed["memo"], &changed["metadata"]), (&json!("N"), &json!({ "b": "2" })));
        let voided = app.made(&format!("{path}/void"), "").await;
        assert_eq!(
            (&voided["status"], &voided["voided_at"]),
            (&json!("void"), &json!(app.now().0))
        );
        let again = "400 - -: This credit note is already void.";
        assert_eq!(error(&app.post(&format!("{path}/void"), "").await), again);
        let invoice = app.read(&bill.path()).await;
        assert_eq!(invoice["amount_remaining"], 2750);
        // The line can be taken back whole again, under the next number.
        let next = app.made(NOTES, &bill.line(0, 1000)).await;
        assert!(next["number"].as_str().unwrap().ends_with("-CN-02"));
        assert_eq!(next["total"], 917);
        let list = app.read(&format!("{NOTES}?customer={}", bill.customer)).await;
        assert_eq!(ids(&list), [id(&next), id(&made)]);
        let kinds: Vec<String> = written(&app).await.into_iter().map(|e| e.kind).collect();
        assert!(
            ["credit_note.updated", "credit_note.voided"]
                .iter()
                .all(|kind| kinds.iter().any(|k| k == kind))
        );
    }
}

#[tokio::test]
async fn before_basil_a_credit_note_has_taxes_of_another_form() {
    for app in TestApp::everywhere().await {
        let bill = bill(&app).await;
        let older = [("stripe-version", "2025-02-24.acacia")];
        let made = app.send("POST", NOTES, &older, &bill.line(0, 1000)).await.json();
        assert_eq!(made["refund"], Value::Null);
        assert_eq!(made["tax_amounts"][0]["tax_rate"], bill.rate.as_str());
        assert_eq!(made["tax_amounts"][0]["inclusive"], false);
        assert_eq!((made.get("refunds"), made.get("total_taxes")), (None, None));
    }
}

#[tokio::test]
async fn a_credit_note_that_breaks_a_rule_is_refused() {
    let app = TestApp::start().await;
    let bill = bill(&app).await;
    let draft = {
        let price = price(&app, "").await;
        let form = format!(
            "customer={}&items[0][price]={price}&collection_method=send_invoice&days_until_due=7",
            bill.customer
        );
        let made = app.made("/v1/subscriptions", &form).await;
        made["latest_invoice"].as_str().unwrap().to_owned()
    };
    refused(
        &app,
        &[
            (
                NOTES,
                &format!("invoice={draft}&amount=7"),
                "400 - invoice: You can only create a credit note for an invoice that is open, paid \
                 or uncollectible. This invoice is draft.",
            ),
            (
                NOTES,
                &format!("{}&amount=7", bill.line(0, 7)),
                "400 parameters_exclusive amount: You may only specify one of these parameters: \
                 amount, lines.",
            ),
            (
                NOTES,
                &bill.form("amount=2751"),
                "400 - amount: The amount of the credit note ($27.51) must be positive and cannot be \
                 greater than what is left of the invoice ($27.50).",
            ),
            (
                NOTES,
                &bill.form("amount=7&credit_amount=7"),
                "400 - -: The sum of credit amount, refund amount and out of band amount ($0.07) \
                 must equal the post payment amount ($0.00).",
            ),
            (
                NOTES,
                &bill.form(
                    "lines[0][type]=invoice_line_item&lines[0][invoice_line_item]=il_x\
                     &lines[0][amount]=7",
                ),
                "400 resource_missing lines[0][invoice_line_item]: No such line_item: 'il_x'",
            ),
            (
                NOTES,
                &format!("{}&lines[0][quantity]=1", bill.line(0, 7)),
                "400 parameters_exclusive lines[0][amount]: You may only specify one of these \
                 parameters: amount, quantity.",
            ),
            (
                NOTES,
                &format!("{}&lines[0][description]=D", bill.line(0, 7)),
                "400 - lines[0][description]: `description` is only valid when `type` is \
                 `custom_line_item`.",
            ),
            (
                NOTES,
                &bill.form("lines[0][type]=custom_line_item&lines[0][unit_amount]=7"),
                "400 parameter_missing lines[0][description]: Missing required param: \
                 lines[0][description].",
            ),
        ],
    )
    .await;
    assert_eq!(ids(&app.read(NOTES).await), Vec::<String>::new());
}
