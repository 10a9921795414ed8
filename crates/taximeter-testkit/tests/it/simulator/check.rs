//! What must hold after every step.

use std::collections::BTreeMap;

use serde_json::Value;
use taximeter_kernel::money::Currency;
use taximeter_testkit::TestApp;

use super::book::{Billed, Book, Customer, ONE, Sub, millionths};
use crate::shop::id;

fn number(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_else(|| panic!("{name} of {object}"))
}

fn sum<'a>(objects: impl IntoIterator<Item = &'a Value>) -> i64 {
    objects.into_iter().map(|object| number(object, "amount")).sum()
}

fn list(object: &Value) -> &Vec<Value> {
    object.as_array().expect("a list")
}

/// The invoices of a customer, newest first, each with all its lines.
pub(super) async fn invoices(app: &TestApp, customer: &str) -> Vec<Value> {
    let found = app.read(&format!("/v1/invoices?customer={customer}&limit=100")).await;
    assert_eq!(found["has_more"], false, "few invoices");
    let mut all = list(&found["data"]).clone();
    for invoice in &mut all {
        if invoice["lines"]["has_more"] == true {
            let path = format!("/v1/invoices/{}/lines?limit=100", id(invoice));
            invoice["lines"] = app.read(&path).await;
        }
    }
    all
}

/// Everything, as bytes: of customers, subscriptions, invoices, pending items and balances.
pub(super) async fn everything(app: &TestApp, book: &Book) -> Vec<String> {
    let mut paths = Vec::new();
    for Customer { id, .. } in &book.customers {
        paths.push(format!("/v1/customers/{id}"));
        paths.push(format!("/v1/customers/{id}/balance_transactions?limit=100"));
        for of in ["invoices", "invoiceitems", "subscriptions"] {
            paths.push(format!("/v1/{of}?customer={id}&limit=100"));
        }
    }
    let mut all = Vec::new();
    for path in paths {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        all.push(String::from_utf8(answer.body).expect("text"));
    }
    all
}

/// A preview without what is made up anew for each.
pub(super) fn without_ids(mut object: Value) -> Value {
    match &mut object {
        Value::Object(fields) => {
            let ids = ["id", "url", "invoice", "invoice_item", "request_log_url"];
            fields.retain(|name, _| !ids.contains(&name.as_str()));
            for field in fields.values_mut() {
                *field = without_ids(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_ids(item.take());
            }
        }
        _ => {}
    }
    object
}

pub(super) async fn all(app: &TestApp, book: &mut Book) {
    for customer in book.customers.clone() {
        let invoices = invoices(app, &customer.id).await;
        for invoice in &invoices {
            adds_up(invoice, list(&invoice["lines"]["data"]));
            settles(invoice);
            never_changes(book, invoice);
        }
        ledger(app, book, &customer.id, &invoices).await;
        for sub in book.subs.clone() {
            if book.customers[sub.customer].id == customer.id {
                cycles_once(book, &sub, &invoices);
                periods(app, book, &sub).await;
            }
        }
        usage(app, book, &customer.id, &invoices).await;
    }
}

/// Of an invoice and its lines: the totals chain.
pub(super) fn adds_up(invoice: &Value, lines: &[Value]) {
    let named = id(invoice);
    assert_eq!(sum(lines), number(invoice, "subtotal"), "{named}: its lines sum to its subtotal");
    let of = |name: &str, place: usize| -> i64 {
        lines
            .iter()
            .map(|line| list(&line[name]).get(place).map_or(0, |o| number(o, "amount")))
            .sum()
    };
    let off = sum(list(&invoice["total_discount_amounts"]));
    let most = lines.iter().map(|line| list(&line["discount_amounts"]).len()).max().unwrap_or(0);
    let of_lines: i64 = (0..most).map(|place| of("discount_amounts", place)).sum();
    assert_eq!(of_lines, off, "{named}: what is taken off lines is what is taken off");
    let taxes = list(&invoice["total_taxes"]);
    let by = |behavior: &str| sum(taxes.iter().filter(|tax| tax["tax_behavior"] == behavior));
    let total = number(invoice, "subtotal") - off + by("exclusive");
    assert_eq!(number(invoice, "total"), total, "{named}: subtotal − discounts + tax = total");
    let without = total - by("exclusive") - by("inclusive");
    assert_eq!(number(invoice, "total_excluding_tax"), without, "{named}: total without tax");
    for line in lines {
        let off = sum(list(&line["discount_amounts"]));
        assert!(
            (0..=number(line, "subtotal").max(0)).contains(&off),
            "{named}: off no more than is there"
        );
    }
}

/// Of an invoice: what is due, what remains and what became of the balance.
fn settles(invoice: &Value) {
    let named = id(invoice);
    let (total, start) = (number(invoice, "total"), number(invoice, "starting_balance"));
    let due = number(invoice, "amount_due");
    if invoice["status"] == "draft" {
        assert!(invoice["ending_balance"].is_null(), "{named}: a draft settles nothing");
        return;
    }
    let (mut expected, mut end) = if total < 0 {
        (0, start + total)
    } else {
        let used = (-start).max(0).min(total);
        (total - used + start.max(0), start + used - start.max(0))
    };
    let currency = Currency::parse(invoice["currency"].as_str().unwrap()).unwrap();
    if expected < currency.minimum_charge_minor().unwrap_or(0) {
        (expected, end) = (0, end + expected);
    }
    assert_eq!(due, expected, "{named}: what is due follows from total and balance");
    assert_eq!(number(invoice, "ending_balance"), end, "{named}: and so does the balance");
    let left =
        due - number(invoice, "amount_paid") - number(invoice, "pre_payment_credit_notes_amount");
    assert_eq!(number(invoice, "amount_remaining"), left, "{named}: what is not paid remains");
    assert!(left >= 0, "{named}: no more is paid than is due");
    if invoice["status"] == "paid" {
        assert_eq!(left, 0, "{named}: nothing remains of what is paid");
    }
}

/// A finalized invoice reads the same for ever, but for how it is paid.
fn never_changes(book: &mut Book, invoice: &Value) {
    if invoice["status"] == "draft" {
        assert!(!book.finalized.contains_key(&id(invoice)), "what is final is no draft again");
        return;
    }
    let mut fixed = invoice.clone();
    let fields = fixed.as_object_mut().unwrap();
    for name in [
        "amount_paid",
        "amount_paid_off_stripe",
        "amount_remaining",
        "attempt_count",
        "attempted",
        "auto_advance",
        "next_payment_attempt",
        "status",
        "status_details",
        "status_transitions",
    ] {
        fields.remove(name);
    }
    match book.finalized.get(&id(invoice)) {
        None => drop(book.finalized.insert(id(invoice), fixed)),
        Some(first) => assert_eq!(first, &fixed, "a finalized invoice never changes"),
    }
}

/// Of a customer: the balance is what the ledger comes to, and the ledger what invoices did.
async fn ledger(app: &TestApp, book: &Book, customer: &str, invoices: &[Value]) {
    let path = format!("/v1/customers/{customer}");
    let balance = number(&app.read(&path).await, "balance");
    let rows = app.read(&format!("{path}/balance_transactions?limit=100")).await;
    assert_eq!(rows["has_more"], false, "few rows");
    let rows = list(&rows["data"]);
    assert_eq!(sum(rows), balance, "{customer}: the rows sum to the balance");
    if let Some(newest) = rows.first() {
        assert_eq!(
            number(newest, "ending_balance"),
            balance,
            "{customer}: the newest ends with it"
        );
    }
    let mut by_invoice: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["invoice"].is_string()) {
        *by_invoice.entry(row["invoice"].as_str().unwrap()).or_default() += number(row, "amount");
    }
    let by_hand = rows.iter().filter(|row| row["type"] == "adjustment");
    let adjusted = book.adjusted.get(customer).copied().unwrap_or(0);
    assert_eq!(sum(by_hand), adjusted, "{customer}: adjustments are what was adjusted");
    for invoice in invoices {
        let did = by_invoice.remove(id(invoice).as_str()).unwrap_or(0);
        let expected = match invoice["status"].as_str().unwrap() {
            "draft" | "void" => 0,
            _ => number(invoice, "ending_balance") - number(invoice, "starting_balance"),
        };
        assert_eq!(did, expected, "{}: the ledger says what it did", id(invoice));
    }
    assert!(by_invoice.is_empty(), "no row of an invoice that is not there: {by_invoice:?}");
}

fn price_of(line: &Value) -> &str {
    line["pricing"]["price_details"]["price"].as_str().unwrap_or("")
}

/// Whether a line is the one of nothing with which classic billing begins for a metered item.
fn is_no_usage_yet(book: &Book, invoice: &Value, line: &Value) -> bool {
    invoice["billing_reason"] == "subscription_create"
        && book.price(price_of(line)).is_some_and(|price| price.metered)
        && number(line, "amount") == 0
}

/// One invoice for each boundary, and no time of an item charged for twice or left out.
fn cycles_once(book: &Book, sub: &Sub, invoices: &[Value]) {
    let of = |invoice: &&Value| {
        invoice["parent"]["subscription_details"]["subscription"] == sub.id.as_str()
    };
    let mut ends: Vec<i64> = Vec::new();
    let mut charged: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for invoice in invoices.iter().filter(of) {
        if invoice["billing_reason"] == "subscription_cycle" {
            ends.push(number(invoice, "period_end"));
        }
        if invoice["status"] == "void" && invoice["billing_reason"] == "subscription_update" {
            // What a change would have billed that was not paid for in time.
            continue;
        }
        let mut of_invoice: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for line in list(&invoice["lines"]["data"]) {
            let item = &line["parent"]["subscription_item_details"];
            // What is free is on another invoice when it costs something and periods begin anew.
            if item.is_object()
                && item["invoice_item"].is_null()
                && number(line, "amount") != 0
                && !is_no_usage_yet(book, invoice, line)
            {
                let period = (number(&line["period"], "start"), number(&line["period"], "end"));
                let price = price_of(line);
                of_invoice.insert(format!("{} {price}", item["subscription_item"]), period);
            }
        }
        for (key, period) in of_invoice {
            charged.entry(key).or_default().push(period);
        }
    }
    let count = ends.len();
    ends.sort_unstable();
    ends.dedup();
    assert_eq!(ends.len(), count, "{}: one invoice for each boundary: {ends:?}", sub.id);
    for (key, mut periods) in charged {
        periods.sort_unstable();
        for pair in periods.windows(2) {
            // What was paid in advance is given back when periods begin anew; usage never is.
            let metered = key.rsplit(' ').next().and_then(|price| book.price(price));
            let given_back = sub.anew && !metered.is_some_and(|price| price.metered);
            let apart = pair[0].1 <= pair[1].0 || given_back;
            assert!(apart, "{} {key}: no time is charged for twice: {periods:?}", sub.id);
        }
    }
}

/// The periods of a subscription's items follow each other without a gap.
async fn periods(app: &TestApp, book: &mut Book, sub: &Sub) {
    let now = app.read(&format!("/v1/subscriptions/{}", sub.id)).await;
    for item in list(&now["items"]["data"]) {
        let seen = (number(item, "current_period_start"), number(item, "current_period_end"));
        assert!(seen.0 <= seen.1, "a period begins before it ends");
        let known = book.periods.entry(id(item)).or_default();
        let Some(last) = known.last().copied() else {
            known.push(seen);
            continue;
        };
        if last == seen {
            continue;
        }
        let follows = seen.0 >= last.1 || (seen.0 == last.0);
        assert!(follows || sub.anew, "{}: {seen:?} follows {last:?}", sub.id);
        known.push(seen);
    }
}

/// Subscription item and price, invoice, period and lines.
type LinesOfUsage<'a> = (String, String, (i64, i64), Vec<&'a Value>);

/// Of what was used: each line of usage bills what the book counted, at what the price says, and no
/// two of an item bill the same time.
async fn usage(app: &TestApp, book: &mut Book, customer: &str, invoices: &[Value]) {
    let mut found: Vec<LinesOfUsage<'_>> = Vec::new();
    for invoice in invoices.iter().filter(|invoice| invoice["status"] != "draft") {
        for line in list(&invoice["lines"]["data"]) {
            let details = &line["parent"]["subscription_item_details"];
            let plain = details.is_object() && details["invoice_item"].is_null();
            if !plain || is_no_usage_yet(book, invoice, line) {
                continue;
            }
            let price = price_of(line);
            let key = format!("{} {price}", details["subscription_item"].as_str().unwrap());
            let period = (number(&line["period"], "start"), number(&line["period"], "end"));
            let of = found.iter_mut().find(|f| f.0 == key && f.1 == id(invoice) && f.2 == period);
            match of {
                Some(of) => of.3.push(line),
                None => found.push((key, id(invoice), period, vec![line])),
            }
        }
    }
    for (key, invoice, period, lines) in found {
        let price = key.split_once(' ').unwrap().1;
        let Some(price) = book.price(price).cloned() else { continue };
        let known = book.billed.entry(key.clone()).or_default();
        if known.iter().any(|billed| billed.invoice == invoice && billed.period == period) {
            continue;
        }
        known.push(Billed { period, invoice: invoice.clone() });
        if lines.iter().any(|line| line["description"].as_str().unwrap_or("").contains("rial")) {
            continue;
        }
        let quantity: i128 = if price.metered {
            lines.iter().map(|line| millionths(line["quantity_decimal"].as_str().unwrap())).sum()
        } else {
            i128::from(number(lines[0], "quantity")) * ONE
        };
        if price.metered {
            let used = book.usage(customer, period);
            assert_eq!(quantity, used, "{invoice} {key} {period:?}: all that was used is billed");
            let cost: i64 = lines.iter().map(|line| number(line, "subtotal")).sum();
            assert_eq!(
                cost,
                price.cost(quantity),
                "{invoice} {key} {price:?}: it costs what the price says"
            );
        }
    }
    // What a change billed of usage is an item of its own, counted when it was made.
    let items = app.read(&format!("/v1/invoiceitems?customer={customer}&limit=100")).await;
    for item in list(&items["data"]) {
        let price = item["pricing"]["price_details"]["price"].as_str().unwrap_or("").to_owned();
        let Some(price) = book.price(&price).cloned().filter(|price| price.metered) else {
            continue;
        };
        let period = (number(&item["period"], "start"), number(&item["period"], "end"));
        if !item["parent"].is_object() || !book.items.insert(id(item)) {
            continue;
        }
        let quantity = millionths(item["quantity_decimal"].as_str().unwrap());
        let used = book.usage(customer, period);
        assert!(quantity <= used, "{item}: no more is billed than was used");
        if matches!(price.terms, super::book::Terms::Unit(_) | super::book::Terms::Package { .. }) {
            assert_eq!(quantity, used, "{item}: what was used until a change is billed");
            assert_eq!(number(item, "amount"), price.cost(quantity), "{item}: at its price");
        }
    }
}
