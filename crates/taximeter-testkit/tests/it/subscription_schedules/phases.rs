//! How a phase follows another.

use serde_json::json;
use taximeter_kernel::time::Timestamp;
use taximeter_testkit::{START, TestApp};

use super::{DAY, Shop, amounts, at};
use crate::shop::{happened, id, latest_event, lines, meter, metered, used};

#[tokio::test]
async fn each_phase_begins_with_a_renewal_of_its_own_prices() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form = format!(
            "{}&phases[2][items][0][price]={}&phases[2][items][0][quantity]=2",
            shop.seat_then_pro(),
            shop.pro
        );
        let schedule = shop.schedule(&form).await;
        let item = id(&shop.sub(&schedule).await["items"]["data"][0]);
        shop.app.live_s(31 * DAY - 1).await;
        let seen = latest_event(&shop.app).await;
        shop.app.live_s(1).await;
        let renewed = shop.latest(&schedule).await;
        assert_eq!(
            lines(&renewed),
            [("1 × Pro (at $62.00 / month)".to_owned(), "1".to_owned(), 6_200)]
        );
        assert_eq!(
            (&renewed["status"], &renewed["billing_reason"]),
            (&json!("draft"), &json!("subscription_cycle"))
        );
        let (feb, mar) = (at("2026-02-15T10:30:00Z"), at("2026-03-15T10:30:00Z"));
        assert_eq!(shop.read(&schedule).await["current_phase"]["start_date"], feb);
        assert_eq!(
            happened(&shop.app, Some(&seen)).await,
            ["subscription_schedule.updated", "invoice.created", "customer.subscription.updated"]
        );
        let pro = shop.sub(&schedule).await["items"]["data"][0].clone();
        assert_ne!(id(&pro), item, "another product is another item");
        assert_eq!(
            (&pro["current_period_start"], &pro["current_period_end"]),
            (&json!(feb), &json!(mar))
        );

        shop.app.live_s(28 * DAY).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [12_400]);
        assert_eq!(id(&shop.sub(&schedule).await["items"]["data"][0]), id(&pro), "the same price");
        // After the last one, on 15 April, it goes on by itself.
        shop.app.live_s(31 * DAY).await;
        assert_eq!(shop.read(&schedule).await["status"], "released");
        assert_eq!(amounts(&shop.latest(&schedule).await), [12_400]);
        assert_eq!(shop.billed(&schedule).await.len(), 4);
        assert_eq!(shop.pending().await, [0; 0]);
    }
}

#[tokio::test]
async fn usage_before_a_phase_is_billed_at_the_price_it_had() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let meter = meter(&shop.app, "tokens").await;
        let old = metered(&shop.app, &meter, "Tokens", "currency=usd&unit_amount=3").await;
        let new = metered(&shop.app, &meter, "Tokens", "currency=usd&unit_amount=5").await;
        let form = format!(
            "phases[0][items][0][price]={old}&phases[0][duration][interval]=month\
             &phases[1][items][0][price]={new}&phases[1][duration][interval]=month"
        );
        let schedule = shop.schedule(&form).await;
        used(&shop.app, "tokens", &shop.customer, "13", Timestamp(START.0 + 5)).await;
        shop.app.live_s(31 * DAY).await;
        let boundary = shop.app.now();
        // Late, but in the draft's hour.
        used(&shop.app, "tokens", &shop.customer, "4", Timestamp(boundary.0 - 1)).await;
        used(&shop.app, "tokens", &shop.customer, "7", boundary).await;
        let renewed = shop.latest(&schedule).await;
        assert_eq!(
            lines(&renewed),
            [("17 × Tokens (at $0.03 / month)".to_owned(), "17".to_owned(), 51)]
        );
        shop.app.live_s(28 * DAY).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [35]);
    }
}

/// A seat for ten days, and then pro ones by these terms.
async fn ten_days(shop: &Shop, terms: &str) -> serde_json::Value {
    let form = format!(
        "phases[0][items][0][price]={}&phases[0][end_date]={}\
         &phases[1][items][0][price]={}&phases[1][duration][interval]=year&{terms}",
        shop.seat,
        START.0 + 10 * DAY,
        shop.pro
    );
    let schedule = shop.schedule(&form).await;
    shop.app.live_s(10 * DAY).await;
    schedule
}

#[tokio::test]
async fn a_phase_within_a_period_gives_back_and_charges_as_it_says() {
    for (behavior, pending, renewal) in [
        ("create_prorations", vec![-2_100, 4_200], vec![-2_100, 4_200, 6_200]),
        ("none", vec![], vec![6_200]),
    ] {
        let shop = Shop::open(TestApp::start().await).await;
        let terms = format!("phases[1][proration_behavior]={behavior}");
        let schedule = ten_days(&shop, &terms).await;
        assert_eq!(shop.pending().await, pending, "{behavior}");
        assert_eq!(shop.billed(&schedule).await.len(), 1);
        shop.app.live_s(21 * DAY).await;
        let mut billed = amounts(&shop.latest(&schedule).await);
        billed.sort_unstable();
        assert_eq!(billed, renewal, "{behavior}");
    }
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let schedule = ten_days(&shop, "phases[1][proration_behavior]=always_invoice").await;
        let invoice = shop.latest(&schedule).await;
        assert_eq!(
            (&invoice["status"], &invoice["billing_reason"], &invoice["total"]),
            (&json!("paid"), &json!("subscription_update"), &json!(2_100))
        );
        assert_eq!(invoice["created"], START.0 + 10 * DAY);
        assert_eq!(shop.pending().await, [0; 0]);
    }
}

#[tokio::test]
async fn what_is_next_is_shown_as_the_next_phase_has_it_and_nothing_is_done() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form = format!(
            "{}&phases[1][proration_behavior]=always_invoice&phases[2][items][0][price]={}\
             &phases[2][proration_behavior]=always_invoice&phases[1][duration][interval]=week",
            shop.seat_then_pro(),
            shop.seat
        );
        let form = form.replacen("&phases[1][duration][interval]=month", "", 1);
        let schedule = shop.schedule(&form).await;
        let sub = shop.sub(&schedule).await;
        for named in [format!("subscription={}", id(&sub)), format!("schedule={}", id(&schedule))] {
            let next = shop.app.made("/v1/invoices/create_preview", &named).await;
            assert_eq!(amounts(&next), [6_200]);
            assert_eq!(next["created"], at("2026-02-15T10:30:00Z"));
        }
        assert_eq!(shop.read(&schedule).await, schedule);
        assert_eq!(shop.sub(&schedule).await, sub);
        shop.app.live_s(24 * DAY).await;
        let told = shop.app.read("/v1/events?type=invoice.upcoming").await;
        assert_eq!(told["data"][0]["data"]["object"]["total"], 6_200);

        // A phase within the next period, a week on: three of its four weeks are left.
        shop.app.live_s(8 * DAY).await;
        let charges = shop.app.read("/v1/charges").await;
        let form = format!("schedule={}", id(&schedule));
        let next = shop.app.made("/v1/invoices/create_preview", &form).await;
        assert_eq!(amounts(&next).iter().sum::<i64>(), 2_325 - 4_650);
        assert_eq!(shop.app.read("/v1/charges").await, charges);
        assert_eq!(shop.sub(&schedule).await["status"], "active");
    }
}

#[tokio::test]
async fn periods_begin_with_a_phase_that_says_so() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let schedule = ten_days(&shop, "phases[1][billing_cycle_anchor]=phase_start").await;
        let sub = shop.sub(&schedule).await;
        let start = START.0 + 10 * DAY;
        assert_eq!(sub["billing_cycle_anchor"], start);
        assert_eq!(sub["items"]["data"][0]["current_period_end"], at("2026-02-25T10:30:00Z"));
        let mut billed = amounts(&shop.latest(&schedule).await);
        billed.sort_unstable();
        assert_eq!(billed, [-2_100, 6_200]);
        shop.app.live_s(31 * DAY).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [6_200]);
    }
}

#[tokio::test]
async fn a_year_after_months_is_a_year_from_there() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form =
            "currency=usd&unit_amount=37200&recurring[interval]=year&product_data[name]=Year";
        let year = id(&shop.app.made("/v1/prices", form).await);
        let form = format!(
            "phases[0][items][0][price]={}&phases[0][duration][interval]=month\
             &phases[0][duration][interval_count]=2&phases[1][items][0][price]={year}",
            shop.seat
        );
        let schedule = shop.schedule(&form).await;
        shop.app.live_s(59 * DAY).await;
        let (start, end) = (at("2026-03-15T10:30:00Z"), at("2027-03-15T10:30:00Z"));
        let invoice = shop.latest(&schedule).await;
        assert_eq!(amounts(&invoice), [37_200]);
        let period = &invoice["lines"]["data"][0]["period"];
        assert_eq!((&period["start"], &period["end"]), (&json!(start), &json!(end)));
        assert_eq!(shop.sub(&schedule).await["billing_cycle_anchor"], start);
        assert_eq!(shop.read(&schedule).await["current_phase"]["end_date"], end, "one period");
    }
}

#[tokio::test]
async fn a_phase_of_trial_is_free_and_the_next_one_is_not() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form = format!("{}&phases[0][trial]=true", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        let feb = at("2026-02-15T10:30:00Z");
        assert_eq!(schedule["phases"][0]["trial_end"], feb);
        let sub = shop.sub(&schedule).await;
        assert_eq!((&sub["status"], &sub["trial_end"]), (&json!("trialing"), &json!(feb)));
        assert_eq!(amounts(&shop.latest(&schedule).await), [0]);
        shop.app.live_s(31 * DAY).await;
        let sub = shop.sub(&schedule).await;
        assert_eq!((&sub["status"], &sub["billing_cycle_anchor"]), (&json!("active"), &json!(feb)));
        let invoice = shop.latest(&schedule).await;
        assert_eq!(
            (&invoice["billing_reason"], amounts(&invoice)),
            (&json!("subscription_cycle"), vec![6_200])
        );
    }
}

#[tokio::test]
async fn a_trial_within_a_phase_ends_within_it() {
    let shop = Shop::open(TestApp::start().await).await;
    let end = START.0 + 7 * DAY;
    let form = format!("{}&phases[0][trial_end]={end}", shop.seat_then_pro());
    let schedule = shop.schedule(&form).await;
    shop.app.live_s(7 * DAY).await;
    assert_eq!(amounts(&shop.latest(&schedule).await), [3_100]);
    assert_eq!(shop.sub(&schedule).await["billing_cycle_anchor"], end);
    // The next phase begins within its period, on 15 February: 7 of 31 days are left.
    shop.app.live_s(24 * DAY).await;
    assert_eq!(shop.pending().await, [-700, 1_400]);
}

#[tokio::test]
async fn time_by_a_test_clock_brings_phases_at_their_own_instants() {
    for app in TestApp::everywhere().await {
        let mut shop = Shop::open(app).await;
        let began = at("2025-04-01T00:00:00Z");
        let clock = format!("frozen_time={began}");
        let clock = id(&shop.app.made("/v1/test_helpers/test_clocks", &clock).await);
        let card = "payment_method=pm_card_visa\
                    &invoice_settings[default_payment_method]=pm_card_visa";
        shop.customer =
            crate::shop::customer(&shop.app, &format!("{card}&test_clock={clock}")).await;
        let start = at("2025-04-11T00:00:00Z");
        let form = format!("{}&start_date={start}&end_behavior=cancel", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        assert_eq!(schedule["test_clock"], json!(clock));
        let list = shop.app.read(super::PATH).await;
        assert_eq!(crate::shop::ids(&list), [""; 0], "those of clocks are listed by customer");
        for to in ["2025-04-20T00:00:00Z", "2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z"] {
            let path = format!("/v1/test_helpers/test_clocks/{clock}/advance");
            shop.app.made(&path, &format!("frozen_time={}", at(to))).await;
            shop.app.work().await;
        }
        assert_eq!(
            shop.billed(&schedule).await,
            [
                ("subscription_create".to_owned(), vec![3_100]),
                ("subscription_cycle".to_owned(), vec![6_200])
            ]
        );
        let done = shop.read(&schedule).await;
        let end = at("2025-06-11T00:00:00Z");
        assert_eq!((&done["status"], &done["completed_at"]), (&json!("completed"), &json!(end)));
        assert_eq!(shop.sub(&schedule).await["ended_at"], end);
    }
}
