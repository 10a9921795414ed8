//! Schedules: what subscriptions will be, phase by phase.
//!
//! All start on 2026-01-15 with seats at 31.00 and pro seats at 62.00 a month, so that a day of the
//! first period is 1.00 and 2.00.

mod billing;
mod create;
mod ending;
mod phases;
mod refused;
mod update;

use serde_json::Value;
use taximeter_testkit::TestApp;

use crate::shop::{customer, id, lines, monthly};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const PATH: &str = "/v1/subscription_schedules";

/// A customer with a card, and two prices.
struct Shop {
    app: TestApp,
    customer: String,
    seat: String,
    pro: String,
}

impl Shop {
    async fn open(app: TestApp) -> Self {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=3100").await;
        let pro = monthly(&app, "Pro", "currency=usd&unit_amount=6200").await;
        let card = "payment_method=pm_card_visa\
                    &invoice_settings[default_payment_method]=pm_card_visa";
        let customer = customer(&app, card).await;
        Self { app, customer, seat, pro }
    }

    /// Makes a schedule of the customer.
    async fn schedule(&self, form: &str) -> Value {
        self.app.made(PATH, &format!("customer={}&{form}", self.customer)).await
    }

    /// A month of a seat, then pro seats, as phases.
    fn seat_then_pro(&self) -> String {
        format!(
            "phases[0][items][0][price]={}&phases[0][duration][interval]=month\
             &phases[1][items][0][price]={}&phases[1][duration][interval]=month",
            self.seat, self.pro
        )
    }

    async fn read(&self, schedule: &Value) -> Value {
        self.app.read(&format!("{PATH}/{}", id(schedule))).await
    }

    /// The subscription of a schedule.
    async fn sub(&self, schedule: &Value) -> Value {
        let schedule = self.read(schedule).await;
        let either = schedule["subscription"].as_str();
        let id = either.or(schedule["released_subscription"].as_str()).unwrap();
        self.app.read(&format!("/v1/subscriptions/{id}")).await
    }

    /// The invoice that it got last.
    async fn latest(&self, schedule: &Value) -> Value {
        let sub = self.sub(schedule).await;
        self.app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await
    }

    /// Of all its invoices, oldest first, why and what.
    async fn billed(&self, schedule: &Value) -> Vec<(String, Vec<i64>)> {
        let sub = self.sub(schedule).await;
        let path = format!("/v1/invoices?limit=100&subscription={}", id(&sub));
        let list = self.app.read(&path).await;
        let invoices = list["data"].as_array().unwrap().iter().rev();
        let one = |invoice: &Value| {
            (invoice["billing_reason"].as_str().unwrap().to_owned(), amounts(invoice))
        };
        invoices.map(one).collect()
    }

    /// What is pending, oldest first.
    async fn pending(&self) -> Vec<i64> {
        let path = format!("/v1/invoiceitems?customer={}&pending=true", self.customer);
        let list = self.app.read(&path).await;
        let items = list["data"].as_array().unwrap().iter().rev();
        items.map(|item| item["amount"].as_i64().unwrap()).collect()
    }
}

/// The amounts of an invoice's lines.
fn amounts(invoice: &Value) -> Vec<i64> {
    lines(invoice).into_iter().map(|(_, _, amount)| amount).collect()
}

fn at(text: &str) -> i64 {
    taximeter_kernel::time::Timestamp::from_rfc3339(text).unwrap().0
}
