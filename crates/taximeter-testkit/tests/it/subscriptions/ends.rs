//! Ends that are dates: what lies behind them is not paid for.

use serde_json::{Value, json};
use taximeter_testkit::TestApp;

use super::proration::{april, latest, moved};
use crate::shop::{id, lines, monthly, subscribe};

const DAY: i64 = 86_400;

/// A seat for 30.00 a month of 30 days, from its first day.
struct Seat {
    clock: String,
    who: String,
    start: i64,
    item: String,
    path: String,
}

impl Seat {
    async fn of(app: &TestApp, more: &str) -> Self {
        let (clock, who) = april(app).await;
        let seat = monthly(app, "Seat", "currency=usd&unit_amount=3000").await;
        let start = now(app, &clock).await;
        let more = more.replace("DAY21", &(start + 20 * DAY).to_string());
        let sub = subscribe(app, &who, &[&seat], &more).await;
        let path = format!("/v1/subscriptions/{}", id(&sub));
        Self { clock, who, start, item: id(&sub["items"]["data"][0]), path }
    }

    /// Sets its end to so many days after its start.
    async fn ends(&self, app: &TestApp, days: i64, more: &str) -> Value {
        let at = self.start + days * DAY;
        let sub = app.made(&self.path, &format!("cancel_at={at}{more}")).await;
        assert_eq!(sub["cancel_at"], at);
        sub
    }

    /// What is pending, oldest first.
    async fn pending(&self, app: &TestApp) -> Vec<i64> {
        let path = format!("/v1/invoiceitems?customer={}&pending=true", self.who);
        let items = app.read(&path).await["data"].as_array().unwrap().clone();
        items.iter().rev().map(|item| item["amount"].as_i64().unwrap()).collect()
    }

    async fn balance(&self, app: &TestApp) -> Value {
        app.read(&format!("/v1/customers/{}", self.who)).await["balance"].clone()
    }
}

async fn now(app: &TestApp, clock: &str) -> i64 {
    let clock = app.read(&format!("/v1/test_helpers/test_clocks/{clock}")).await;
    clock["frozen_time"].as_i64().unwrap()
}

fn amounts(invoice: &Value) -> Vec<i64> {
    let mut amounts: Vec<i64> = lines(invoice).into_iter().map(|line| line.2).collect();
    amounts.sort_unstable();
    amounts
}

const NOW: &str = "&proration_behavior=always_invoice";

#[tokio::test]
async fn an_end_within_the_period_gives_the_rest_back_once() {
    for app in TestApp::everywhere().await {
        for mode in ["flexible", "classic"] {
            let seat = Seat::of(&app, &format!("billing_mode[type]={mode}")).await;
            let sub = seat.ends(&app, 20, NOW).await;
            let back = latest(&app, &id(&sub)).await;
            assert_eq!((amounts(&back), &back["status"]), (vec![-1_000], &json!("paid")), "{mode}");
            let line = &back["lines"]["data"][0];
            assert_eq!(line["description"], "Unused time on Seat after 21 Apr 2026");
            let period = (&line["period"]["start"], &line["period"]["end"]);
            let rest = (json!(seat.start + 20 * DAY), json!(seat.start + 30 * DAY));
            assert_eq!(period, (&rest.0, &rest.1));
            // The same again is nothing.
            let again = seat.ends(&app, 20, NOW).await;
            assert_eq!(again["latest_invoice"], sub["latest_invoice"]);
            moved(&app, &seat.clock, 20 * DAY).await;
            let over = app.read(&seat.path).await;
            assert_eq!(over["status"], "canceled");
            assert_eq!(over["latest_invoice"], sub["latest_invoice"]);
            assert_eq!(seat.pending(&app).await, [0_i64; 0]);
            assert_eq!(seat.balance(&app).await, -1_000, "{mode}");
        }
    }
}

#[tokio::test]
async fn an_end_that_is_moved_or_cleared_is_charged_again() {
    for app in TestApp::everywhere().await {
        for mode in ["flexible", "classic"] {
            let seat = Seat::of(&app, &format!("billing_mode[type]={mode}")).await;
            seat.ends(&app, 20, "").await;
            assert_eq!(seat.pending(&app).await, [-1_000], "{mode}");
            seat.ends(&app, 25, "").await;
            seat.ends(&app, 23, "").await;
            assert_eq!(seat.pending(&app).await, [-1_000, 500, -200], "{mode}");
            app.made(&seat.path, "cancel_at=").await;
            assert_eq!(seat.pending(&app).await, [-1_000, 500, -200, 700], "{mode}");
            // An end with the period is none within it.
            app.made(&seat.path, "cancel_at_period_end=true").await;
            app.made(&seat.path, "cancel_at_period_end=false").await;
            moved(&app, &seat.clock, 30 * DAY).await;
            let renewal = latest(&app, seat.path.rsplit('/').next().unwrap()).await;
            assert_eq!(renewal["total"], 3_000, "{mode}");
        }
    }
}

#[tokio::test]
async fn what_changes_before_an_end_is_billed_until_then() {
    for app in TestApp::everywhere().await {
        for mode in ["flexible", "classic"] {
            let seat = Seat::of(&app, &format!("billing_mode[type]={mode}")).await;
            seat.ends(&app, 20, "").await;
            moved(&app, &seat.clock, 10 * DAY).await;
            let form = format!("items[0][id]={}&items[0][quantity]=2", seat.item);
            app.made(&seat.path, &form).await;
            // Ten of the days that are left to the one seat, and to two.
            assert_eq!(seat.pending(&app).await, [-1_000, -1_000, 2_000], "{mode}");
            app.made(&seat.path, "cancel_at=").await;
            assert_eq!(seat.pending(&app).await, [-1_000, -1_000, 2_000, 2_000], "{mode}");
            seat.ends(&app, 20, "").await;
            let more = monthly(&app, "More", "currency=usd&unit_amount=300").await;
            app.made(&seat.path, &format!("items[0][price]={more}")).await;
            assert_eq!(seat.pending(&app).await[4..], [-2_000, 100], "{mode}");
            let over = app.delete(&format!("{}?prorate=true", seat.path)).await;
            assert_eq!(over.status, 200);
            assert_eq!(seat.pending(&app).await[6..], [-2_000, -100], "{mode}: and no more");
        }
    }
}

#[tokio::test]
async fn a_period_in_which_it_ends_is_charged_until_then() {
    for app in TestApp::everywhere().await {
        let seat = Seat::of(&app, "").await;
        // Ten days of the 31 of May: 967.7.
        let sub = seat.ends(&app, 40, NOW).await;
        assert_eq!(seat.pending(&app).await, [0_i64; 0], "nothing of this period is given back");
        let form = format!("subscription={}", id(&sub));
        let preview = app.made("/v1/invoices/create_preview", &form).await;
        assert_eq!(amounts(&preview), [968]);
        moved(&app, &seat.clock, 30 * DAY).await;
        let renewal = latest(&app, &id(&sub)).await;
        assert_eq!(amounts(&renewal), [968]);
        assert_eq!(renewal["lines"]["data"][0]["period"]["end"], seat.start + 40 * DAY);
        app.made(&seat.path, "cancel_at=").await;
        assert_eq!(seat.pending(&app).await, [2_032], "the other 21 days");
    }
}

#[tokio::test]
async fn a_first_period_in_which_it_ends_is_charged_until_then_unless_nothing_is_prorated() {
    for app in TestApp::everywhere().await {
        for (more, paid) in [("", 2_000), ("&proration_behavior=none", 3_000)] {
            let seat = Seat::of(&app, &format!("cancel_at=DAY21{more}")).await;
            let sub = app.read(&seat.path).await;
            assert_eq!(amounts(&latest(&app, &id(&sub)).await), [paid]);
            moved(&app, &seat.clock, 20 * DAY).await;
            assert_eq!(app.read(&seat.path).await["status"], "canceled");
            assert_eq!(seat.pending(&app).await, [0_i64; 0]);
        }
    }
}

#[tokio::test]
async fn periods_that_begin_anew_are_charged_until_an_end_that_is_set_with_them() {
    let app = TestApp::start().await;
    let seat = Seat::of(&app, "").await;
    moved(&app, &seat.clock, 15 * DAY).await;
    let sub = seat.ends(&app, 30, &format!("&billing_cycle_anchor=now{NOW}")).await;
    // Half of the old period back, half of the new one charged.
    assert_eq!(amounts(&latest(&app, &id(&sub)).await), [-1_500, 1_500]);
    let preview = format!("subscription={}&subscription_details[cancel_at]=", id(&sub));
    let preview = app.made("/v1/invoices/create_preview", &preview).await;
    assert!(amounts(&preview).contains(&1_500), "what is charged again: {preview}");
}
