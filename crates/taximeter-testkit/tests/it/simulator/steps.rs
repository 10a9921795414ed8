//! What may happen. What is refused must leave everything as it was, and nothing may break.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use taximeter_db::Kind;
use taximeter_testkit::{Response, TestApp};

use super::book::{Book, Sub, Used, decimal};
use super::check;
use super::dice::Dice;
use super::setup::{EVENT, pays_with};
use crate::shop::id;

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Work is cut short at one of so many waits: those of a change, or of some renewals.
const CUT_WITHIN: i64 = 150;

pub(super) async fn step(app: &TestApp, dice: &mut Dice, book: &mut Book, told: &mut Vec<String>) {
    if book.subs.is_empty() || (book.subs.len() < 3 && dice.chance(10)) {
        return subscribe(app, dice, book, told).await;
    }
    match dice.below(100) {
        0..25 => use_some(app, dice, book, told).await,
        25..50 => pass_time(app, dice, book, told).await,
        50..75 => change(app, dice, book, told).await,
        75..80 => cancel(app, dice, book, told).await,
        80..88 => by_hand(app, dice, book, told).await,
        88..94 => preview(app, dice, book, told).await,
        _ => to_the_boundary(app, dice, book, told).await,
    }
}

/// Sends a change; says whether it was taken. A refusal must leave everything as it was, but for the
/// attempt to pay that is kept with a 402.
async fn tried(
    app: &TestApp,
    dice: &mut Dice,
    book: &Book,
    told: &mut Vec<String>,
    (path, form): (&str, &str),
) -> Option<Value> {
    // Reading everything takes long, so not each time.
    let mut looks = told.len().is_multiple_of(3);
    let before = if looks { check::everything(app, book).await } else { Vec::new() };
    let (method, form) = if form == "DELETE" { ("DELETE", "") } else { ("POST", form) };
    let key = format!("sent after {}", told.len());
    let headers = [("idempotency-key", key.as_str())];
    let send = || Box::pin(app.send(method, path, &headers, form));
    if dice.chance(25) {
        // What was done of it is not known to who sent it, and it is sent again.
        let done = cut_short(app, send(), dice.below(CUT_WITHIN), told).await;
        looks &= method == "POST" || !done;
    }
    let answer = send().await;
    note(told, path, form, &answer);
    match answer.status {
        200 => Some(answer.json()),
        400 | 404 | 429 if looks => {
            assert_eq!(check::everything(app, book).await, before, "a refusal changes nothing");
            None
        }
        400 | 402 | 404 | 429 => None,
        other => panic!("{path} {form}: {other} {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// Lets work go on until it has waited so often, and then ends it, as a crash does. Says whether it
/// was done by then.
async fn cut_short<F: Future + Unpin>(
    app: &TestApp,
    mut work: F,
    waits: i64,
    told: &mut Vec<String>,
) -> bool {
    let mut left = waits;
    let done = poll_fn(|context| match Pin::new(&mut work).poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await;
    told.push(format!("cut short after {waits}, done: {done}"));
    drop(work);
    undone(app).await;
    done
}

/// Waits until PostgreSQL has undone what was cut short, as it does when a process ends.
async fn undone(app: &TestApp) {
    let db = &app.services().db;
    let busy = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                AND state <> 'idle' AND pid <> pg_backend_pid()";
    while db.kind() == Kind::Postgres {
        let mut tx = db.begin_read().await.unwrap();
        if tx.one::<i64>(busy, Vec::new()).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn note(told: &mut Vec<String>, path: &str, form: &str, answer: &Response) {
    let error = if answer.status == 200 {
        String::new()
    } else {
        answer.json()["error"]["message"].as_str().unwrap_or("?").to_owned()
    };
    told.push(format!("{path} {form} -> {} {error}", answer.status));
}

async fn now_of(app: &TestApp, book: &Book, customer: usize) -> i64 {
    match &book.customers[customer].clock {
        None => app.now().0,
        Some(clock) => {
            let path = format!("/v1/test_helpers/test_clocks/{clock}");
            app.read(&path).await["frozen_time"].as_i64().unwrap()
        }
    }
}

async fn subscribe(app: &TestApp, dice: &mut Dice, book: &mut Book, told: &mut Vec<String>) {
    let customer = usize::try_from(dice.below(2)).unwrap() % book.customers.len();
    let who = book.customers[customer].clone();
    let mut form = format!("customer={}", who.id);
    let first = dice.below(6);
    for at in 0..=dice.below(3) {
        let price = &book.prices[usize::try_from((first + at) % 6).unwrap()];
        form += &format!("&items[{at}][price]={}", price.id);
        if !price.metered {
            form += &format!("&items[{at}][quantity]={}", dice.below(13));
        }
    }
    if who.sent {
        form += "&collection_method=send_invoice&days_until_due=7";
    }
    let classic = dice.chance(20);
    form += if classic { "&billing_mode[type]=classic" } else { "&billing_mode[type]=flexible" };
    let trial = dice.chance(15);
    if trial {
        form += &format!("&trial_period_days={}", 1 + dice.below(9));
    }
    if dice.chance(35) {
        form += &format!("&discounts[0][coupon]={}", dice.pick(&book.coupons));
    }
    if dice.chance(35) {
        form += &format!("&default_tax_rates[0]={}", dice.pick(&book.taxes));
    }
    form += dice.word(&["", "", "&payment_behavior=default_incomplete"]);
    if dice.chance(10) {
        let at = now_of(app, book, customer).await + dice.below(5) * DAY + 7;
        form += &format!("&billing_cycle_anchor={at}");
        form += dice.word(&["", "&proration_behavior=none"]);
    }
    if let Some(made) = tried(app, dice, book, told, ("/v1/subscriptions", &form)).await {
        let anew = form.contains("billing_cycle_anchor");
        book.subs.push(Sub { id: id(&made), customer, anew, lets_go: trial || classic });
    }
}

async fn use_some(app: &TestApp, dice: &mut Dice, book: &mut Book, told: &mut Vec<String>) {
    for _ in 0..=dice.below(4) {
        let customer = usize::try_from(dice.below(2)).unwrap() % book.customers.len();
        let now = now_of(app, book, customer).await;
        // Of now, late, and a little ahead.
        let how = dice.below(5);
        let at = match how {
            0 | 4 => now,
            1 => now - dice.below(40 * DAY),
            2 => now - dice.below(2 * HOUR),
            _ => now + dice.below(300),
        };
        let value = match dice.below(4) {
            0 => -i128::from(dice.below(9_000)),
            1 => i128::from(dice.below(50_000)) * 1_000,
            _ => i128::from(dice.below(40)) * 1_000_000,
        };
        let known = dice.chance(20).then(|| book.identifiers.last().cloned()).flatten();
        let identifier = known.map_or_else(|| format!("e{}", book.identifiers.len()), |(_, i)| i);
        let who = book.customers[customer].id.clone();
        let mut form = format!(
            "event_name={EVENT}&payload[stripe_customer_id]={who}&payload[value]={}\
             &identifier={identifier}",
            decimal(value)
        );
        if how != 4 {
            form += &format!("&timestamp={at}");
        }
        let answer = app.post("/v1/billing/meter_events", &form).await;
        note(told, "use", &form, &answer);
        let is_new = !book.identifiers.contains(&(who.clone(), identifier.clone()));
        let counts = is_new && at >= now - 35 * DAY;
        assert_eq!(answer.status, if counts { 200 } else { 400 }, "by the time of the customer");
        if counts {
            assert_eq!(answer.json()["timestamp"], at);
            book.identifiers.insert((who.clone(), identifier));
            book.used.push(Used { customer: who, at, value });
        }
    }
}

async fn pass_time(app: &TestApp, dice: &mut Dice, book: &Book, told: &mut Vec<String>) {
    let seconds = match dice.below(5) {
        0 => dice.below(2 * HOUR) + 1,
        1 => HOUR,
        2 => dice.below(5 * DAY) + 1,
        _ => dice.below(40 * DAY) + 1,
    };
    pass(app, dice, book, seconds, told).await;
}

/// Lets time pass for everyone: the world's, and each clock's.
async fn pass(app: &TestApp, dice: &mut Dice, book: &Book, seconds: i64, told: &mut Vec<String>) {
    told.push(format!("{seconds} s pass"));
    // In boxes: what the work holds is large.
    if dice.chance(25) {
        app.advance_s(seconds);
        cut_short(app, Box::pin(app.work()), dice.below(CUT_WITHIN), told).await;
        Box::pin(app.work()).await;
    } else {
        Box::pin(app.live_s(seconds)).await;
    }
    for customer in 0..book.customers.len() {
        let Some(clock) = &book.customers[customer].clock else { continue };
        let path = format!("/v1/test_helpers/test_clocks/{clock}");
        let target = now_of(app, book, customer).await + seconds;
        let answer = app.post(&format!("{path}/advance"), &format!("frozen_time={target}")).await;
        note(told, "advance", &target.to_string(), &answer);
        while dice.chance(25) {
            cut_short(app, Box::pin(app.work()), dice.below(CUT_WITHIN), told).await;
        }
        Box::pin(app.work()).await;
        assert_eq!(app.read(&path).await["status"], "ready", "a clock arrives");
    }
}

/// One of the subscriptions, as it reads.
async fn one(app: &TestApp, dice: &mut Dice, book: &Book) -> (usize, Value) {
    let count = i64::try_from(book.subs.len()).unwrap();
    let place = usize::try_from(dice.below(count)).unwrap();
    (place, app.read(&format!("/v1/subscriptions/{}", book.subs[place].id)).await)
}

async fn change(app: &TestApp, dice: &mut Dice, book: &mut Book, told: &mut Vec<String>) {
    let (place, sub) = one(app, dice, book).await;
    let customer = book.subs[place].customer;
    let now = now_of(app, book, customer).await;
    let items = sub["items"]["data"].as_array().unwrap();
    let item = dice.pick(items).clone();
    let price = dice.pick(&book.prices).clone();
    let (mut anew, mut lets_go) = (false, false);
    let mut form = match dice.below(10) {
        0..2 => format!("items[0][id]={}&items[0][quantity]={}", id(&item), dice.below(13)),
        2..4 => {
            // Another interval begins the periods anew.
            let old = book.price(item["price"]["id"].as_str().unwrap());
            anew = old.is_none_or(|old| old.times != price.times);
            format!("items[0][id]={}&items[0][price]={}", id(&item), price.id)
        }
        4 => format!("items[0][price]={}", price.id),
        5 if items.len() > 1 => {
            format!("items[0][id]={}&items[0][deleted]=true", id(&item))
        }
        5 => "billing_cycle_anchor=unchanged".to_owned(),
        6 => {
            anew = true;
            "billing_cycle_anchor=now".to_owned()
        }
        7 => {
            (anew, lets_go) = (true, true);
            let end = now + dice.below(9 * DAY) + 1;
            dice.pick(&[format!("trial_end={end}"), "trial_end=now".to_owned()]).clone()
        }
        8 => {
            let how = dice.pick(&["void", "mark_uncollectible", "keep_as_draft"]);
            let end = now + dice.below(40 * DAY) + 1;
            dice.pick(&[
                format!("pause_collection[behavior]={how}"),
                format!("pause_collection[behavior]={how}&pause_collection[resumes_at]={end}"),
                "pause_collection=".to_owned(),
            ])
            .clone()
        }
        _ => {
            let end = now + dice.below(40 * DAY) + 1;
            dice.pick(&[
                "cancel_at_period_end=true".to_owned(),
                "cancel_at_period_end=false".to_owned(),
                format!("cancel_at={end}"),
                "cancel_at=".to_owned(),
            ])
            .clone()
        }
    };
    let behavior = *dice.pick(&["", "", "none", "always_invoice", "create_prorations"]);
    if !behavior.is_empty() {
        form += &format!("&proration_behavior={behavior}");
        lets_go |= behavior == "none";
    }
    form += dice.word(&[
        "",
        "",
        "",
        "&payment_behavior=error_if_incomplete",
        "&payment_behavior=pending_if_incomplete",
    ]);
    let path = format!("/v1/subscriptions/{}", id(&sub));
    // Even what was refused with a 402 may have been kept.
    drop(tried(app, dice, book, told, (&path, &form)).await);
    book.subs[place].anew |= anew;
    book.subs[place].lets_go |= lets_go;
}

async fn cancel(app: &TestApp, dice: &mut Dice, book: &Book, told: &mut Vec<String>) {
    let (_, sub) = one(app, dice, book).await;
    let how = dice.pick(&["", "?invoice_now=true", "?invoice_now=true&prorate=true"]);
    let path = format!("/v1/subscriptions/{}{how}", id(&sub));
    drop(tried(app, dice, book, told, (&path, "DELETE")).await);
}

/// What is done with invoices and balances by hand.
async fn by_hand(app: &TestApp, dice: &mut Dice, book: &mut Book, told: &mut Vec<String>) {
    let customer = dice.pick(&book.customers).id.clone();
    let invoices = check::invoices(app, &customer).await;
    match dice.below(4) {
        0 => {
            let amount = dice.below(4_001) - 2_000;
            let path = format!("/v1/customers/{customer}/balance_transactions");
            let form = format!("amount={amount}&currency={}", book.currency);
            if tried(app, dice, book, told, (&path, &form)).await.is_some() {
                *book.adjusted.entry(customer).or_default() += amount;
            }
        }
        1 => {
            let amount = dice.below(4_001) - 2_000;
            let form = format!("customer={customer}&amount={amount}&currency={}", book.currency);
            drop(tried(app, dice, book, told, ("/v1/invoiceitems", &form)).await);
        }
        2 => {
            let card = dice.pick(&["pm_card_visa", "pm_card_chargeCustomerFail"]);
            told.push(format!("{customer} pays with {card}"));
            pays_with(app, &customer, card).await;
        }
        _ if invoices.is_empty() => {}
        _ => {
            let invoice = id(dice.pick(&invoices));
            let (verb, form) = *dice.pick(&[
                ("finalize", ""),
                ("pay", ""),
                ("pay", "paid_out_of_band=true"),
                ("void", ""),
                ("mark_uncollectible", ""),
            ]);
            drop(
                tried(app, dice, book, told, (&format!("/v1/invoices/{invoice}/{verb}"), form))
                    .await,
            );
        }
    }
}

async fn preview(app: &TestApp, dice: &mut Dice, book: &Book, told: &mut Vec<String>) {
    let (_, sub) = one(app, dice, book).await;
    let mut form = format!("subscription={}", id(&sub));
    let item = id(dice.pick(sub["items"]["data"].as_array().unwrap()));
    let price = dice.pick(&book.prices).id.clone();
    let of = "subscription_details[items][0]";
    match dice.below(4) {
        0 => form += &format!("&{of}[id]={item}&{of}[price]={price}"),
        1 => form += "&subscription_details[billing_cycle_anchor]=now",
        2 => form += &format!("&{of}[id]={item}&{of}[deleted]=true"),
        _ => {}
    }
    let before = check::everything(app, book).await;
    let path = "/v1/invoices/create_preview";
    let (one, again) = (app.post(path, &form).await, app.post(path, &form).await);
    note(told, path, &form, &one);
    assert!(one.status < 500, "a preview is given or refused: {:?}", one.json());
    let plain = |answer: &Response| check::without_ids(answer.json());
    assert_eq!(plain(&one), plain(&again), "a preview is the same when asked for again");
    assert_eq!(check::everything(app, book).await, before, "a preview changes nothing");
    if one.status == 200 {
        check::adds_up(&one.json(), one.json()["lines"]["data"].as_array().unwrap());
    }
}

/// A preview of the next renewal, and the renewal: both come to the same.
async fn to_the_boundary(app: &TestApp, dice: &mut Dice, book: &Book, told: &mut Vec<String>) {
    let (place, sub) = one(app, dice, book).await;
    let plain = sub["status"] == "active"
        && sub["cancel_at"].is_null()
        && sub["pause_collection"].is_null()
        && book.subs.iter().filter(|s| s.customer == book.subs[place].customer).count() == 1;
    let customer = book.customers[book.subs[place].customer].id.clone();
    let drafts = check::invoices(app, &customer).await;
    // A draft may use up what is taken off once before the renewal does.
    if !plain || drafts.iter().any(|invoice| invoice["status"] == "draft") {
        return;
    }
    let items = sub["items"]["data"].as_array().unwrap();
    let end = items.iter().map(|item| item["current_period_end"].as_i64().unwrap()).min().unwrap();
    let form = format!("subscription={}", id(&sub));
    let preview = app.made("/v1/invoices/create_preview", &form).await;
    let now = now_of(app, book, book.subs[place].customer).await;
    pass(app, dice, book, end - now, told).await;
    told.push(format!("{} renews", id(&sub)));
    let invoices = check::invoices(app, &customer).await;
    let renewal = invoices.iter().find(|invoice| {
        invoice["billing_reason"] == "subscription_cycle" && invoice["period_end"] == end
    });
    let of = |invoice: &Value| ["subtotal", "total"].map(|name| invoice[name].clone());
    // A failing card may have ended it before.
    if let Some(renewal) = renewal {
        assert_eq!(of(renewal), of(&preview), "a renewal comes to what its preview said");
    }
}
