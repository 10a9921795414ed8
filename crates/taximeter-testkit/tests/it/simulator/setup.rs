//! What a simulation begins with: prices, coupons, taxes, customers.

use taximeter_testkit::TestApp;

use super::book::{Book, Customer, ONE, Price, Step, Terms, decimal};
use super::dice::Dice;
use crate::shop::{id, meter};

/// The meter's event name.
pub(super) const EVENT: &str = "tokens";

pub(super) async fn begin(app: &TestApp, dice: &mut Dice) -> Book {
    let mut book = Book { currency: dice.word(&["usd", "jpy", "kwd"]), ..Book::default() };
    let meter = meter(app, EVENT).await;
    let interval = dice.word(&["month", "week"]);
    for number in 0..6 {
        // The first is always of one kind, so that there is something of both.
        let metered = match number {
            0 => true,
            1 => false,
            _ => dice.chance(50),
        };
        let (terms, form) = terms(dice);
        let mut form = format!("currency={}&product_data[name]=P{number}&{form}", book.currency);
        let times = if number == 4 && dice.chance(50) { 2 } else { 1 };
        form += &format!("&recurring[interval]={interval}&recurring[interval_count]={times}");
        if metered {
            form += &format!("&recurring[usage_type]=metered&recurring[meter]={meter}");
        }
        let price = id(&app.made("/v1/prices", &form).await);
        book.prices.push(Price { id: price, metered, times, terms });
    }
    for terms in ["percent_off=12.5&duration=forever", "percent_off=33.33&duration=once"] {
        book.coupons.push(id(&app.made("/v1/coupons", terms).await));
    }
    let amount = format!("amount_off=501&currency={}&duration=forever", book.currency);
    book.coupons.push(id(&app.made("/v1/coupons", &amount).await));
    for (percent, inclusive) in [("19", false), ("7.75", true)] {
        let form = format!("display_name=VAT&percentage={percent}&inclusive={inclusive}");
        book.taxes.push(id(&app.made("/v1/tax_rates", &form).await));
    }
    for _ in 0..=dice.below(2) {
        let customer = customer(app, dice).await;
        book.customers.push(customer);
    }
    book
}

/// A way to charge, and the form that says it. Amounts are whole, or fine to a thousandth.
fn terms(dice: &mut Dice) -> (Terms, String) {
    match dice.below(5) {
        0 => {
            let amount = i128::from(dice.below(9_000));
            (Terms::Unit(amount * ONE), format!("unit_amount={amount}"))
        }
        1 => {
            let amount = i128::from(dice.below(900_000)) * ONE / 1_000;
            (Terms::Unit(amount), format!("unit_amount_decimal={}", decimal(amount)))
        }
        2 => {
            let (amount, of, up) = (dice.below(900), 2 + dice.below(9), dice.chance(50));
            let round = if up { "up" } else { "down" };
            let form = format!(
                "unit_amount={amount}&transform_quantity[divide_by]={of}\
                 &transform_quantity[round]={round}"
            );
            (Terms::Package { amount: i128::from(amount) * ONE, of: of.into(), up }, form)
        }
        kind => {
            let (steps, tiers) = tiers(dice);
            let (terms, mode) = if kind == 3 {
                (Terms::Graduated(steps), "graduated")
            } else {
                (Terms::Volume(steps), "volume")
            };
            (terms, format!("billing_scheme=tiered&tiers_mode={mode}{tiers}"))
        }
    }
}

fn tiers(dice: &mut Dice) -> (Vec<Step>, String) {
    let (mut steps, mut form, mut end) = (Vec::new(), String::new(), 0);
    let count = 1 + dice.below(3);
    for at in 0..count {
        end += 1 + dice.below(20);
        let last = at + 1 == count;
        let up_to = if last { "inf".to_owned() } else { end.to_string() };
        let unit = i128::from(dice.below(900_000)) * ONE / 1_000;
        let flat = dice.chance(40).then(|| i128::from(dice.below(700)) * ONE);
        form += &format!(
            "&tiers[{at}][up_to]={up_to}&tiers[{at}][unit_amount_decimal]={}",
            decimal(unit)
        );
        if let Some(flat) = flat {
            form += &format!("&tiers[{at}][flat_amount]={}", flat / ONE);
        }
        steps.push(Step { up_to: (!last).then_some(end.into()), unit, flat });
    }
    (steps, form)
}

async fn customer(app: &TestApp, dice: &mut Dice) -> Customer {
    let clock = if dice.chance(50) {
        // In any of nine years.
        let at = app.now().0 + (dice.below(9) - 4) * 365 * 86_400 + dice.below(100_000);
        let form = format!("frozen_time={at}");
        Some(id(&app.made("/v1/test_helpers/test_clocks", &form).await))
    } else {
        None
    };
    let form = clock.as_ref().map_or(String::new(), |clock| format!("test_clock={clock}"));
    let who = id(&app.made("/v1/customers", &form).await);
    let sent = dice.chance(25);
    let card = if dice.chance(75) { "pm_card_visa" } else { "pm_card_chargeCustomerFail" };
    if dice.chance(90) {
        pays_with(app, &who, card).await;
    }
    Customer { id: who, clock, sent }
}

/// Makes a card the customer's default.
pub(super) async fn pays_with(app: &TestApp, who: &str, card: &str) {
    let path = format!("/v1/payment_methods/{card}/attach");
    let method = id(&app.made(&path, &format!("customer={who}")).await);
    let form = format!("invoice_settings[default_payment_method]={method}");
    app.made(&format!("/v1/customers/{who}"), &form).await;
}
