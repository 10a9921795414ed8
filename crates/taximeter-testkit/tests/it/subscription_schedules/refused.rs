//! Schedules that are against the rules.

use taximeter_testkit::{START, TestApp};

use super::{DAY, PATH, Shop};
use crate::shop::{customer, id, refused, subscribe};

/// Each of these must be refused at this parameter, and leave nothing.
async fn check(shop: &Shop, cases: &[(String, &str)]) {
    for (form, param) in cases {
        let form = format!("customer={}&start_date=now&{form}", shop.customer);
        let told = refused(&shop.app, PATH, &form).await;
        assert_eq!(told[1], *param, "{form}: {}", told[2]);
    }
    assert_eq!(shop.app.read(PATH).await["data"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn each_rule_of_prices_and_time_is_told_where_it_is_broken() {
    let shop = Shop::open(TestApp::start().await).await;
    let (seat, pro) = (&shop.seat, &shop.pro);
    let eur = crate::shop::monthly(&shop.app, "Euro", "currency=eur&unit_amount=700").await;
    let once = "currency=usd&unit_amount=900&product_data[name]=Setup";
    let once = id(&shop.app.made("/v1/prices", once).await);
    let item = format!("phases[0][items][0][price]={seat}");
    let cases = [
        (String::new(), "phases"),
        ("phases[0][items][0][quantity]=2".to_owned(), "phases[0][items][0][price]"),
        ("phases[0][items][0][price]=price_none".to_owned(), "phases[0][items][0][price]"),
        (format!("phases[0][items][0][price]={once}"), "phases[0][items][0][price]"),
        (format!("{item}&phases[0][items][0][quantity]=-1"), "phases[0][items][0][quantity]"),
        (format!("{item}&phases[0][end_date]={}", START.0 - 1), "phases[0][end_date]"),
        (format!("{item}&phases[0][start_date]={}", START.0), "phases[0][start_date]"),
        (format!("{item}&phases[0][end_date]=now"), "phases[0][end_date]"),
        (
            format!("{item}&phases[0][duration][interval]=month&phases[0][end_date]=5"),
            "phases[0][end_date]",
        ),
        (
            format!(
                "{item}&phases[0][duration][interval]=month&phases[0][duration][interval_count]=0"
            ),
            "phases[0][duration][interval_count]",
        ),
        (format!("{item}&phases[1][items][0][price]={pro}"), "phases[0][end_date]"),
        (
            format!("{item}&phases[0][duration][interval]=week&phases[1][items][0][price]={eur}"),
            "phases[1][currency]",
        ),
        (format!("{item}&phases[0][currency]=eur"), "phases[0][items][0][price]"),
        (format!("{item}&phases[0][trial_end]={}", START.0 + 400 * DAY), "phases[0][trial_end]"),
        (
            format!("{item}&phases[0][trial]=true&phases[0][billing_cycle_anchor]=phase_start"),
            "phases[0][billing_cycle_anchor]",
        ),
    ];
    check(&shop, &cases).await;
}

#[tokio::test]
async fn each_rule_of_what_else_a_phase_says_is_told_where_it_is_broken() {
    let shop = Shop::open(TestApp::start().await).await;
    let once = "currency=usd&unit_amount=900&product_data[name]=Setup";
    let once = id(&shop.app.made("/v1/prices", once).await);
    let pro = &shop.pro;
    let item = format!("phases[0][items][0][price]={}", shop.seat);
    let cases = [
        (
            format!("{item}&phases[0][collection_method]=send_invoice"),
            "phases[0][invoice_settings][days_until_due]",
        ),
        (
            format!("{item}&phases[0][invoice_settings][days_until_due]=7"),
            "phases[0][invoice_settings][days_until_due]",
        ),
        (format!("{item}&phases[0][discounts][0][coupon]=NONE"), "phases[0][discounts][0][coupon]"),
        (
            format!("{item}&phases[0][items][0][discounts][0][coupon]=NONE"),
            "phases[0][items][0][discounts][0][coupon]",
        ),
        (
            format!("{item}&phases[0][default_tax_rates][0]=txr_none"),
            "phases[0][default_tax_rates][0]",
        ),
        (
            format!("{item}&phases[0][default_payment_method]=pm_none"),
            "phases[0][default_payment_method]",
        ),
        (
            format!("{item}&phases[0][billing_thresholds][amount_gte]=49"),
            "phases[0][billing_thresholds][amount_gte]",
        ),
        (
            format!("{item}&phases[0][add_invoice_items][0][price]={pro}"),
            "phases[0][add_invoice_items][0][price]",
        ),
        (
            format!(
                "{item}&phases[0][add_invoice_items][0][price]={once}\
                 &phases[0][add_invoice_items][0][period][start][type]=phase_start\
                 &phases[0][add_invoice_items][0][period][end][type]=timestamp\
                 &phases[0][add_invoice_items][0][period][end][timestamp]=7"
            ),
            "phases[0][add_invoice_items][0][period][end]",
        ),
        (format!("{item}&end_behavior=renew"), "end_behavior"),
        (format!("{item}&phases[0][automatic_tax][enabled]=true"), "phases[0][automatic_tax]"),
        (
            format!("{item}&default_settings[collection_method]=send_invoice"),
            "phases[0][invoice_settings][days_until_due]",
        ),
    ];
    check(&shop, &cases).await;
}

#[tokio::test]
async fn a_schedule_can_have_ten_phases() {
    let shop = Shop::open(TestApp::start().await).await;
    let phases = |count: usize| -> String {
        let one = |place| {
            format!(
                "&phases[{place}][items][0][price]={}&phases[{place}][duration][interval]=month",
                shop.seat
            )
        };
        (0..count).map(one).collect()
    };
    let form = format!("customer={}{}", shop.customer, phases(11));
    assert_eq!(refused(&shop.app, PATH, &form).await[1], "phases");
    let form = format!("start_date=now{}", phases(10));
    assert_eq!(shop.schedule(&form).await["phases"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn a_schedule_is_of_a_subscription_or_of_a_customer() {
    let shop = Shop::open(TestApp::start().await).await;
    let sub = id(&subscribe(&shop.app, &shop.customer, &[&shop.seat], "").await);
    let from = format!("from_subscription={sub}");
    let both = refused(&shop.app, PATH, &format!("{from}&metadata[a]=7")).await;
    assert_eq!(both[2], "You cannot set `metadata` if `from_subscription` is set.");
    let none = refused(&shop.app, PATH, "from_subscription=sub_none").await;
    assert_eq!([&*none[1], &*none[2]], ["from_subscription", "No such subscription: 'sub_none'"]);
    let schedule = shop.app.made(PATH, &from).await;
    let again = refused(&shop.app, PATH, &from).await;
    assert_eq!(
        again[2],
        format!(
            "You cannot migrate a subscription that is already attached to a schedule: `{}`.",
            id(&schedule)
        )
    );
    shop.app.delete(&format!("/v1/subscriptions/{sub}")).await;
    let over = refused(&shop.app, PATH, &from).await;
    assert_eq!(
        over[2],
        "You cannot migrate a subscription that is currently in the `canceled` status."
    );
    assert_eq!(refused(&shop.app, PATH, "start_date=now").await[1], "customer");
}

#[tokio::test]
async fn a_subscription_to_come_binds_its_customer_to_its_currency() {
    let shop = Shop::open(TestApp::start().await).await;
    let who = customer(&shop.app, "").await;
    let form = format!(
        "customer={who}&start_date={}&phases[0][items][0][price]={}",
        START.0 + DAY,
        shop.seat
    );
    let schedule = shop.app.made(PATH, &form).await;
    assert_eq!(shop.app.read(&format!("/v1/customers/{who}")).await["currency"], "usd");
    let form = format!("schedule={}", id(&schedule));
    let first = shop.app.made("/v1/invoices/create_preview", &form).await;
    assert_eq!(first["total"], 3_100, "its first invoice, though there is no subscription yet");
    let eur = crate::shop::monthly(&shop.app, "Euro", "currency=eur&unit_amount=700").await;
    let form = format!("customer={who}&items[0][price]={eur}");
    let told = refused(&shop.app, "/v1/subscriptions", &form).await;
    assert!(told[2].starts_with("You cannot combine currencies on a single customer."), "{told:?}");
    shop.app.made(&format!("{PATH}/{}/cancel", id(&schedule)), "").await;
    let of_it = format!("schedule={}", id(&schedule));
    let no_preview = refused(&shop.app, "/v1/invoices/create_preview", &of_it).await;
    assert_eq!(no_preview[1], "schedule", "there never will be a subscription");
    let sent = format!("{form}&collection_method=send_invoice&days_until_due=7");
    shop.app.made("/v1/subscriptions", &sent).await;
}
