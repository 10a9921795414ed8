//! Renewals: a period ends, what was used in it and the next one are billed, and the draft goes on by
//! itself.

use serde_json::json;
use taximeter_db::{Kind, args};
use taximeter_kernel::time::Timestamp;
use taximeter_service::jobs::{Pass, run_due};
use taximeter_testkit::{START, TestApp};

use crate::shop::{customer, happened, id, latest_event, lines, meter, metered, monthly};
use crate::shop::{subscribe, used};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

#[tokio::test]
async fn a_renewal_bills_the_usage_of_the_period_that_ended_and_the_quantity_of_the_next() {
    for app in TestApp::everywhere().await {
        let meter = meter(&app, "tokens").await;
        let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount_decimal=0.5").await;
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let customer = customer(&app, "").await;
        let sent = "collection_method=send_invoice&days_until_due=30&items[1][quantity]=3";
        let sub = subscribe(&app, &customer, &[&usage, &seat], sent).await;
        used(&app, "tokens", &customer, "13", Timestamp(START.0 + 5)).await;

        // 2026-02-15T10:30:00Z
        let boundary = sub["items"]["data"][0]["current_period_end"].as_i64().unwrap();
        assert_eq!(boundary, START.0 + 31 * DAY);
        app.live_s(boundary - START.0 - 1).await;
        let before = app.read(&format!("/v1/invoices?subscription={}", id(&sub))).await;
        assert_eq!(before["data"].as_array().unwrap().len(), 1, "the first one only");
        let seen = latest_event(&app).await;

        app.live_s(1).await;
        let sub = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
        let item = &sub["items"]["data"][0];
        assert_eq!(item["current_period_start"], boundary);
        assert_eq!(item["current_period_end"], boundary + 28 * DAY, "2026-03-15T10:30:00Z");
        let draft =
            app.read(&format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap())).await;
        assert_eq!(
            lines(&draft),
            [
                ("3 × Seat (at $7.00 / month)".to_owned(), "3".to_owned(), 2_100),
                ("13 × Tokens (at $0.005 / month)".to_owned(), "13".to_owned(), 7),
            ]
        );
        let periods: Vec<_> = draft["lines"]["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line["period"]["start"].clone(), line["period"]["end"].clone()))
            .collect();
        assert_eq!(periods[0], (json!(boundary), json!(boundary + 28 * DAY)));
        assert_eq!(periods[1], (json!(START.0), json!(boundary)));
        assert_eq!(
            (&draft["status"], &draft["billing_reason"], &draft["auto_advance"]),
            (&json!("draft"), &json!("subscription_cycle"), &json!(true))
        );
        assert_eq!(draft["automatically_finalizes_at"], boundary + HOUR);
        assert_eq!(
            (&draft["period_start"], &draft["period_end"]),
            (&json!(START.0), &json!(boundary))
        );
        assert_eq!(
            happened(&app, Some(&seen)).await,
            ["invoice.created", "customer.subscription.updated"]
        );
    }
}

#[tokio::test]
async fn usage_that_comes_late_is_billed_while_the_invoice_is_a_draft_and_not_after() {
    let app = TestApp::start().await;
    let meter = meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=3").await;
    let customer = customer(&app, "").await;
    let sent = "collection_method=send_invoice&days_until_due=7";
    let sub = subscribe(&app, &customer, &[&usage], sent).await;
    used(&app, "tokens", &customer, "100", Timestamp(START.0 + 7)).await;
    app.live_s(31 * DAY).await;
    let sub = app.read(&format!("/v1/subscriptions/{}", id(&sub))).await;
    let invoice = format!("/v1/invoices/{}", sub["latest_invoice"].as_str().unwrap());
    assert_eq!(app.read(&invoice).await["total"], 300);

    // Of the period that ended; at the boundary itself begins the next one.
    used(&app, "tokens", &customer, "11", Timestamp(START.0 + 31 * DAY - 1)).await;
    used(&app, "tokens", &customer, "1000", Timestamp(START.0 + 31 * DAY)).await;
    assert_eq!(app.read(&invoice).await["total"], 333, "a draft shows what it would bill");

    app.live_s(HOUR).await;
    let open = app.read(&invoice).await;
    assert_eq!((&open["status"], &open["total"]), (&json!("open"), &json!(333)));
    assert_eq!(open["number"].as_str().unwrap().rsplit('-').next(), Some("0001"));
    assert_eq!(open["due_date"], START.0 + 31 * DAY + HOUR + 7 * DAY);

    used(&app, "tokens", &customer, "5", Timestamp(START.0 + 31 * DAY - 1)).await;
    assert_eq!(app.read(&invoice).await["total"], 333, "a finalized invoice never changes");
}

#[tokio::test]
async fn boundaries_are_counted_from_the_anchor_and_not_from_each_other() {
    let app = TestApp::start().await;
    // 2026-01-31T10:30:00Z
    app.advance_s(16 * DAY);
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let customer = customer(&app, "").await;
    let sent = "collection_method=send_invoice&days_until_due=30";
    let sub = id(&subscribe(&app, &customer, &[&seat], sent).await);
    let mut ends = Vec::new();
    for days in [28, 31, 30, 31] {
        app.live_s(days * DAY).await;
        let sub = app.read(&format!("/v1/subscriptions/{sub}")).await;
        ends.push(sub["items"]["data"][0]["current_period_end"].as_i64().unwrap());
    }
    let at = |text: &str| Timestamp::from_rfc3339(text).unwrap().0;
    assert_eq!(
        ends,
        [
            at("2026-03-31T10:30:00Z"),
            at("2026-04-30T10:30:00Z"),
            at("2026-05-31T10:30:00Z"),
            at("2026-06-30T10:30:00Z"),
        ]
    );
}

#[tokio::test]
async fn periods_that_ended_while_nobody_worked_are_billed_one_by_one() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let customer = customer(&app, "").await;
    let sent = "collection_method=send_invoice&days_until_due=30";
    let sub = id(&subscribe(&app, &customer, &[&seat], sent).await);
    app.live_s(31 * DAY + 28 * DAY + 31 * DAY + 3).await;
    let invoices = app.read(&format!("/v1/invoices?subscription={sub}")).await;
    let cycles: Vec<_> = invoices["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|invoice| invoice["billing_reason"] == "subscription_cycle")
        .map(|invoice| invoice["period_end"].as_i64().unwrap())
        .collect();
    let first = START.0 + 31 * DAY;
    assert_eq!(cycles, [first + 59 * DAY, first + 28 * DAY, first]);
}

#[tokio::test]
async fn an_invoice_that_nothing_pays_is_tried_again_and_then_ends_its_subscription() {
    let app = TestApp::start().await;
    let meter = meter(&app, "tokens").await;
    let usage = metered(&app, &meter, "Tokens", "currency=usd&unit_amount=3").await;
    let customer = customer(&app, "").await;
    let sub = id(&subscribe(&app, &customer, &[&usage], "").await);
    used(&app, "tokens", &customer, "100", Timestamp(START.0 + 7)).await;
    app.live_s(31 * DAY).await;
    app.live_s(HOUR).await;
    let path = format!("/v1/subscriptions/{sub}");
    let status = async || app.read(&path).await["status"].as_str().unwrap().to_owned();
    assert_eq!(status().await, "past_due");
    let open = app.read("/v1/invoices?status=open").await["data"][0].clone();
    assert_eq!((&open["attempt_count"], &open["attempted"]), (&json!(1), &json!(true)));
    assert_eq!(open["next_payment_attempt"], START.0 + 31 * DAY + HOUR + 3 * DAY);
    assert_eq!(app.read(&format!("/v1/customers/{customer}")).await["delinquent"], true);
    for (days, attempts) in [(3, 2), (5, 3)] {
        app.live_s(days * DAY).await;
        let open = app.read("/v1/invoices?status=open").await["data"][0].clone();
        assert_eq!(open["attempt_count"], attempts);
        assert_eq!(status().await, "past_due");
    }
    app.live_s(7 * DAY).await;
    let ended = app.read(&path).await;
    assert_eq!(ended["status"], "canceled");
    assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
    let open = app.read("/v1/invoices?status=open").await["data"][0].clone();
    assert_eq!((&open["attempt_count"], &open["next_payment_attempt"]), (&json!(4), &json!(null)));
}

#[tokio::test]
async fn a_past_due_subscription_is_active_once_its_invoice_is_paid_out_of_band() {
    let app = TestApp::start().await;
    let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
    let customer = customer(&app, "").await;
    let sent = "collection_method=send_invoice&days_until_due=3";
    let sub = id(&subscribe(&app, &customer, &[&seat], sent).await);
    app.live_s(HOUR).await;
    let open = app.read("/v1/invoices?status=open").await["data"][0].clone();
    let seen = latest_event(&app).await;
    app.live_s(3 * DAY).await;
    let path = format!("/v1/subscriptions/{sub}");
    assert_eq!(app.read(&path).await["status"], "past_due");
    assert_eq!(
        happened(&app, Some(&seen)).await,
        ["invoice.overdue", "customer.updated", "customer.subscription.updated"]
    );
    let paid = app.made(&format!("/v1/invoices/{}/pay", id(&open)), "paid_out_of_band=true").await;
    assert_eq!(
        (&paid["status"], &paid["amount_paid"], &paid["amount_paid_off_stripe"]),
        (&json!("paid"), &json!(700), &json!(700))
    );
    assert_eq!(app.read(&path).await["status"], "active");
    assert_eq!(app.read(&format!("/v1/customers/{customer}")).await["delinquent"], false);
}

#[tokio::test]
async fn work_that_waits_for_a_customer_does_not_hold_its_job() {
    for app in TestApp::everywhere().await {
        let db = app.services().db.clone();
        if db.kind() == Kind::Sqlite {
            // One writes at a time.
            continue;
        }
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let customer = customer(&app, "").await;
        let sent = "collection_method=send_invoice&days_until_due=30";
        let sub = id(&subscribe(&app, &customer, &[&seat], sent).await);
        app.advance_s(31 * DAY);

        let mut request = db.begin().await.unwrap();
        let held = "SELECT id FROM customers WHERE id = $1";
        request.rows_for_update::<String>(held, args![&customer]).await.unwrap();
        let services = app.services().clone();
        let now = app.now();
        let worker = tokio::spawn(async move { run_due(&services, now).await });
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        // In a transaction of its own each time: within one, the answer stays what it was.
        while db.begin().await.unwrap().one::<i64>(waiting, args![]).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        let free = "SELECT subject FROM jobs WHERE subject = $1";
        let free = request.rows_unclaimed::<String>(free, args![&sub]).await.unwrap();
        assert_eq!(free, [sub.as_str()], "the request can put the job down again");
        request.commit().await.unwrap();
        assert_eq!(worker.await.unwrap().unwrap(), Pass { done: 1, failed: 0 });
    }
}

#[tokio::test]
async fn workers_side_by_side_renew_each_subscription_once() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        let customer = customer(&app, "").await;
        let sent = "collection_method=send_invoice&days_until_due=30";
        for _ in 0..7 {
            subscribe(&app, &customer, &[&seat], sent).await;
        }
        app.advance_s(31 * DAY);
        let work = || async {
            loop {
                let pass = run_due(app.services(), app.now()).await.expect("a pass");
                assert_eq!(pass.failed, 0);
                if !pass.found_any() {
                    return pass;
                }
            }
        };
        tokio::join!(work(), work(), work(), work());
        app.work().await;
        let all = app.read(&format!("/v1/invoices?customer={customer}&limit=100")).await;
        let count = |reason: &str| {
            let all = all["data"].as_array().unwrap().iter();
            all.filter(|invoice| invoice["billing_reason"] == reason).count()
        };
        assert_eq!((count("subscription_create"), count("subscription_cycle")), (7, 7));
    }
}

#[tokio::test]
async fn the_day_a_sent_invoice_is_due_is_announced_once_and_as_many_days_ahead_as_is_set() {
    for app in TestApp::everywhere().await {
        let seat = monthly(&app, "Seat", "currency=usd&unit_amount=700").await;
        for (setting, ahead) in [(None, 3), (Some(7), 7), (Some(0), 0)] {
            if let Some(days) = setting {
                app.made("/v1/billing/settings", &format!("will_be_due_days={days}")).await;
            }
            let customer = customer(&app, "").await;
            let sent = "collection_method=send_invoice&days_until_due=13";
            let sub = subscribe(&app, &customer, &[&seat], sent).await;
            let invoice = sub["latest_invoice"].as_str().unwrap();
            app.made(&format!("/v1/invoices/{invoice}/finalize"), "").await;
            let seen = latest_event(&app).await;
            app.live_s((13 - ahead) * DAY - 1).await;
            assert_eq!(happened(&app, Some(&seen)).await, [""; 0], "{ahead}");
            app.live_s(ahead * DAY).await;
            let told = happened(&app, Some(&seen)).await;
            let due = vec!["invoice.will_be_due"; usize::from(ahead > 0)];
            assert_eq!(told, due, "{ahead}");
            app.live_s(1).await;
            assert!(happened(&app, Some(&seen)).await.contains(&"invoice.overdue".to_owned()));
            app.delete(&format!("/v1/subscriptions/{}", id(&sub))).await;
        }
    }
}
