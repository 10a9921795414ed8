//! What phases say besides prices: discounts, what is sold once, how invoices are collected.

use serde_json::json;
use taximeter_testkit::{START, TestApp};

use super::{DAY, HOUR, Shop, amounts, at};
use crate::shop::id;

#[tokio::test]
async fn a_discount_of_a_phase_is_over_with_it() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form = "percent_off=50&duration=forever&id=HALF";
        shop.app.made("/v1/coupons", form).await;
        let form = format!("{}&phases[0][discounts][0][coupon]=HALF", shop.seat_then_pro());
        let schedule = shop.schedule(&form).await;
        assert_eq!(
            schedule["phases"][0]["discounts"],
            json!([{ "coupon": "HALF", "discount": null, "promotion_code": null }])
        );
        assert_eq!(shop.latest(&schedule).await["total"], 1_550);
        assert_eq!(shop.app.read("/v1/coupons/HALF").await["times_redeemed"], 1);
        shop.app.live_s(31 * DAY).await;
        assert_eq!(shop.latest(&schedule).await["total"], 6_200);
        assert_eq!(shop.sub(&schedule).await["discounts"], json!([]));
    }
}

#[tokio::test]
async fn a_phase_can_do_without_the_discount_of_its_customer() {
    let shop = Shop::open(TestApp::start().await).await;
    shop.app.made("/v1/coupons", "percent_off=50&duration=forever&id=HALF").await;
    let older = [("stripe-version", "2024-06-20")];
    let path = format!("/v1/customers/{}", shop.customer);
    assert_eq!(shop.app.send("POST", &path, &older, "coupon=HALF").await.status, 200);
    let form = format!("{}&phases[1][discounts]=", shop.seat_then_pro());
    let schedule = shop.schedule(&form).await;
    assert_eq!(shop.latest(&schedule).await["total"], 1_550);
    shop.app.live_s(31 * DAY).await;
    assert_eq!(shop.latest(&schedule).await["total"], 6_200);
}

#[tokio::test]
async fn what_is_sold_once_with_a_phase_is_on_its_first_invoice() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let form = "currency=usd&unit_amount=900&product_data[name]=Setup";
        let setup = id(&shop.app.made("/v1/prices", form).await);
        let form = format!(
            "{}&phases[0][add_invoice_items][0][price]={setup}\
             &phases[1][add_invoice_items][0][price]={setup}\
             &phases[1][add_invoice_items][0][quantity]=2\
             &phases[1][add_invoice_items][0][period][start][type]=phase_start\
             &phases[1][add_invoice_items][0][period][end][type]=phase_end",
            shop.seat_then_pro()
        );
        let schedule = shop.schedule(&form).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [900, 3_100]);
        shop.app.live_s(31 * DAY).await;
        let renewed = shop.latest(&schedule).await;
        assert_eq!(amounts(&renewed), [1_800, 6_200]);
        let period = &renewed["lines"]["data"][0]["period"];
        let (feb, mar) = (at("2026-02-15T10:30:00Z"), at("2026-03-15T10:30:00Z"));
        assert_eq!((&period["start"], &period["end"]), (&json!(feb), &json!(mar)));
        shop.app.live_s(28 * DAY).await;
        assert_eq!(amounts(&shop.latest(&schedule).await), [6_200], "once");
    }
}

#[tokio::test]
async fn what_a_phase_does_not_say_its_schedule_does() {
    for app in TestApp::everywhere().await {
        let shop = Shop::open(app).await;
        let rate = "display_name=VAT&percentage=20&inclusive=false";
        let rate = id(&shop.app.made("/v1/tax_rates", rate).await);
        let form = format!(
            "{}&default_settings[collection_method]=send_invoice\
             &default_settings[invoice_settings][days_until_due]=7\
             &default_settings[invoice_settings][footer]=Thanks\
             &default_settings[description]=Plan&phases[0][metadata][stage]=1\
             &phases[0][metadata][gone]=x&phases[1][metadata][stage]=2&phases[1][metadata][gone]=\
             &phases[1][default_tax_rates][0]={rate}&phases[1][description]=Pro+plan\
             &phases[1][collection_method]=charge_automatically",
            shop.seat_then_pro()
        );
        let schedule = shop.schedule(&form).await;
        assert_eq!(schedule["default_settings"]["invoice_settings"]["days_until_due"], 7);
        assert_eq!(schedule["phases"][0]["collection_method"], json!(null));
        let sub = shop.sub(&schedule).await;
        assert_eq!(
            (&sub["collection_method"], &sub["days_until_due"]),
            (&json!("send_invoice"), &json!(7))
        );
        assert_eq!(
            (&sub["description"], &sub["metadata"]),
            (&json!("Plan"), &json!({ "stage": "1", "gone": "x" }))
        );
        shop.app.live_s(HOUR).await;
        let first = shop.latest(&schedule).await;
        assert_eq!((&first["status"], &first["footer"]), (&json!("open"), &json!("Thanks")));
        assert_eq!(first["due_date"], START.0 + HOUR + 7 * DAY);

        shop.app.live_s(31 * DAY - HOUR).await;
        let sub = shop.sub(&schedule).await;
        assert_eq!(
            (&sub["collection_method"], &sub["days_until_due"]),
            (&json!("charge_automatically"), &json!(null))
        );
        assert_eq!(
            (&sub["description"], &sub["metadata"]),
            (&json!("Pro plan"), &json!({ "stage": "2" }))
        );
        let renewed = shop.latest(&schedule).await;
        assert_eq!((&renewed["subtotal"], &renewed["total"]), (&json!(6_200), &json!(7_440)));
    }
}

#[tokio::test]
async fn a_price_that_is_sold_no_more_is_still_that_of_the_phase_agreed_to() {
    let shop = Shop::open(TestApp::start().await).await;
    shop.app.made("/v1/coupons", "percent_off=50&duration=forever&id=HALF").await;
    let form = format!("{}&phases[1][discounts][0][coupon]=HALF", shop.seat_then_pro());
    let schedule = shop.schedule(&form).await;
    shop.app.made(&format!("/v1/prices/{}", shop.pro), "active=false").await;
    assert_eq!(shop.app.delete("/v1/coupons/HALF").await.status, 200);
    shop.app.live_s(31 * DAY).await;
    // The coupon cannot be redeemed any more, so nothing is taken off.
    assert_eq!(shop.latest(&schedule).await["total"], 6_200);
}

#[tokio::test]
async fn classic_subscriptions_have_schedules_too() {
    let shop = Shop::open(TestApp::start().await).await;
    let form = "currency=usd&unit_amount=37200&recurring[interval]=year&product_data[name]=Year";
    let year = id(&shop.app.made("/v1/prices", form).await);
    let form = format!(
        "billing_mode[type]=classic&phases[0][items][0][price]={}\
         &phases[0][duration][interval]=month&phases[1][items][0][price]={year}",
        shop.seat
    );
    let schedule = shop.schedule(&form).await;
    assert_eq!(schedule["billing_mode"], json!({ "flexible": null, "type": "classic" }));
    shop.app.live_s(31 * DAY).await;
    let invoice = shop.latest(&schedule).await;
    assert_eq!(amounts(&invoice), [37_200]);
    assert_eq!(shop.sub(&schedule).await["billing_cycle_anchor"], at("2026-02-15T10:30:00Z"));
}
