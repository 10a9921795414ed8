//! What is there before the malformed requests come: something of every kind to name, in both modes.

use std::collections::BTreeMap;

use serde_json::Value;
use taximeter_testkit::TestApp;

/// What the placeholders of the tables stand for.
#[derive(Debug)]
pub(super) struct Places {
    by_name: BTreeMap<&'static str, String>,
    now: i64,
}

impl Places {
    /// Places that name nothing: enough to read a table.
    pub(super) fn pretended() -> Self {
        let kept = TEST.iter().chain(LIVE).map(|step| (step.keep, format!("made_{}", step.keep)));
        let mut by_name: BTreeMap<_, _> = kept.collect();
        by_name.insert("test_key", "sk_test_pretended".to_owned());
        by_name.insert("live_key", "sk_live_pretended".to_owned());
        by_name.insert("token", "mes_token_pretended".to_owned());
        Self { by_name, now: 1_800_000_000 }
    }

    /// Puts in what the placeholders stand for.
    ///
    /// # Panics
    /// When one stands for nothing.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (place, after) = after.split_once("}}").expect("a placeholder that ends");
            out.push_str(before);
            out.push_str(&self.value(place));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn value(&self, place: &str) -> String {
        if place == "nul" {
            return "\0".to_owned();
        }
        if let Some((text, times)) = place.rsplit_once('*') {
            return text.repeat(times.parse().expect("a number of times"));
        }
        if let Some(offset) = place.strip_prefix("now") {
            let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().expect("seconds") };
            return (self.now + offset).to_string();
        }
        self.by_name.get(place).unwrap_or_else(|| panic!("nothing is called {place}")).clone()
    }
}

/// A request, and the name under which the id in its answer is kept, if it is.
struct Step {
    keep: &'static str,
    method: &'static str,
    path: &'static str,
    form: &'static str,
}

const fn made(keep: &'static str, path: &'static str, form: &'static str) -> Step {
    Step { keep, method: "POST", path, form }
}

const fn done(method: &'static str, path: &'static str, form: &'static str) -> Step {
    Step { keep: "", method, path, form }
}

const CUSTOMERS: &str = "/v1/customers";
const EVENTS: &str = "/v1/billing/meter_events";
const BACKFILLS: &str = "/v1/billing/meter_event_backfills";
const HOOKS: &str = "/v1/webhook_endpoints";
const METERS: &str = "/v1/billing/meters";
const PRICES: &str = "/v1/prices";
const SUBSCRIPTIONS: &str = "/v1/subscriptions";
const PAYMENT_METHODS: &str = "/v1/payment_methods";
const PAYMENT_INTENTS: &str = "/v1/payment_intents";
const SETUP_INTENTS: &str = "/v1/setup_intents";

/// What the test mode holds.
const TEST: &[Step] = &[
    made("cus", CUSTOMERS, "name=Ada&invoice_prefix=ADA1815"),
    made("cus_idle", CUSTOMERS, "name=Grace"),
    made("cus_deleted", CUSTOMERS, "name=Gone"),
    done("DELETE", "/v1/customers/{{cus_deleted}}", ""),
    made("prod", "/v1/products", "name=Tokens"),
    made("prod_bare", "/v1/products", "name=Bare&id=gold"),
    made("mtr", METERS, "display_name=Calls&event_name=calls&default_aggregation[formula]=sum"),
    made("mtr_quiet", METERS, "display_name=Q&event_name=quiet&default_aggregation[formula]=sum"),
    done("POST", "/v1/billing/meters/{{mtr_quiet}}/deactivate", ""),
    made(
        "mtr_retired",
        METERS,
        "display_name=R&event_name=heired&default_aggregation[formula]=sum",
    ),
    done("POST", "/v1/billing/meters/{{mtr_retired}}/deactivate", ""),
    made("mtr_heir", METERS, "display_name=H&event_name=heired&default_aggregation[formula]=sum"),
    made(
        "price",
        PRICES,
        "product={{prod}}&currency=usd&unit_amount=700&recurring[interval]=month\
         &lookup_key=taken&tax_behavior=inclusive",
    ),
    made("price_once", PRICES, "product={{prod}}&currency=usd&unit_amount=700"),
    made(
        "price_eur",
        PRICES,
        "product={{prod}}&currency=eur&unit_amount=700&recurring[interval]=month",
    ),
    made(
        "price_old",
        PRICES,
        "product={{prod}}&currency=usd&unit_amount=1300&recurring[interval]=month&active=false",
    ),
    made(
        "price_metered",
        PRICES,
        "product={{prod}}&currency=usd&unit_amount=4&recurring[interval]=month\
         &recurring[usage_type]=metered&recurring[meter]={{mtr}}",
    ),
    made(
        "price_weekly",
        PRICES,
        "product={{prod}}&currency=usd&unit_amount=4&recurring[interval]=week",
    ),
    made("sub", SUBSCRIPTIONS, "customer={{cus}}&items[0][price]={{price_metered}}"),
    made("sub_over", SUBSCRIPTIONS, "customer={{cus}}&items[0][price]={{price_metered}}"),
    done("DELETE", "/v1/subscriptions/{{sub_over}}", ""),
    done(
        "POST",
        "/v1/billing/meter_events",
        "event_name=calls&identifier=taken&payload[stripe_customer_id]={{cus}}&payload[value]=7",
    ),
    done(
        "POST",
        EVENTS,
        "event_name=calls&identifier=twice&payload[stripe_customer_id]={{cus}}&payload[value]=3",
    ),
    done(
        "POST",
        EVENTS,
        "event_name=calls&identifier=twice&payload[stripe_customer_id]={{cus_idle}}&payload[value]=3",
    ),
    made("backfill", BACKFILLS, "meter={{mtr}}&timeframe_start=0&timeframe_end=86400"),
    made("backfill_over", BACKFILLS, "meter={{mtr}}&timeframe_start=0&timeframe_end=86400"),
    done("POST", "/v1/billing/meter_event_backfills/{{backfill_over}}/discard", ""),
    done(
        "POST",
        EVENTS,
        "event_name=calls&identifier=lost&payload[stripe_customer_id]=cus_none&payload[value]=7",
    ),
    made("hook", HOOKS, "url=https://example.com/hook&enabled_events[]=*"),
    made("hook_off", HOOKS, "url=https://example.com/hook&enabled_events[]=*"),
    done("POST", "/v1/webhook_endpoints/{{hook_off}}", "disabled=true"),
    made("hook_deleted", HOOKS, "url=https://example.com/hook&enabled_events[]=*"),
    done("DELETE", "/v1/webhook_endpoints/{{hook_deleted}}", ""),
    made("cus_pays", CUSTOMERS, "name=Payer"),
    made("pm", "/v1/payment_methods/pm_card_visa/attach", "customer={{cus_pays}}"),
    made("pm_loose", PAYMENT_METHODS, "type=card&card[token]=tok_visa"),
    made("pm_spent", "/v1/payment_methods/pm_card_visa/attach", "customer={{cus_pays}}"),
    done("POST", "/v1/payment_methods/{{pm_spent}}/detach", ""),
    made("pi", PAYMENT_INTENTS, "amount=701&currency=usd"),
    made(
        "pi_paid",
        PAYMENT_INTENTS,
        "amount=701&currency=usd&payment_method=pm_card_visa&confirm=true",
    ),
    made(
        "pi_held",
        PAYMENT_INTENTS,
        "amount=701&currency=usd&payment_method=pm_card_visa&confirm=true&capture_method=manual",
    ),
    made("pi_gone", PAYMENT_INTENTS, "amount=701&currency=usd"),
    done("POST", "/v1/payment_intents/{{pi_gone}}/cancel", ""),
    made("seti", SETUP_INTENTS, ""),
    made("seti_done", SETUP_INTENTS, "confirm=true&payment_method=pm_card_visa"),
    made("re", "/v1/refunds", "payment_intent={{pi_paid}}&amount=7"),
    made("coupon", "/v1/coupons", "id=SEVEN&percent_off=7"),
    made("coupon_usd", "/v1/coupons", "id=USD&amount_off=7&currency=usd"),
    made("coupon_over", "/v1/coupons", "id=OVER&percent_off=7"),
    made(
        "promo",
        "/v1/promotion_codes",
        "promotion[type]=coupon&promotion[coupon]=SEVEN&code=TAKEN",
    ),
    done("DELETE", "/v1/coupons/OVER", ""),
    made("txr", "/v1/tax_rates", "display_name=VAT&percentage=7&inclusive=true"),
    made("txr_top", "/v1/tax_rates", "display_name=VAT&percentage=7&inclusive=false"),
    made("cus_owes", CUSTOMERS, "name=Owes"),
    made("cbtxn", "/v1/customers/{{cus_owes}}/balance_transactions", "amount=7&currency=eur"),
    made("ii", "/v1/invoiceitems", "customer={{cus}}&amount=7&currency=usd"),
];

/// What the live mode holds.
const LIVE: &[Step] = &[
    made("cus_live", CUSTOMERS, "name=Paying"),
    made("coupon_live", "/v1/coupons", "id=LIVE&percent_off=7"),
    made("prod_live", "/v1/products", "name=Sold"),
    made("mtr_live", METERS, "display_name=C&event_name=calls&default_aggregation[formula]=sum"),
    made(
        "price_live",
        PRICES,
        "product={{prod_live}}&currency=usd&unit_amount=4&recurring[interval]=month\
         &recurring[usage_type]=metered&recurring[meter]={{mtr_live}}",
    ),
    made("sub_live", SUBSCRIPTIONS, "customer={{cus_live}}&items[0][price]={{price_live}}"),
];

/// Makes everything.
pub(super) async fn make(app: &TestApp) -> Places {
    let (test_key, live_key) = (app.test_key().to_owned(), app.live_key().to_owned());
    let by_name = BTreeMap::from([("test_key", test_key.clone()), ("live_key", live_key.clone())]);
    let mut places = Places { by_name, now: 0 };
    for (key, steps) in [(&live_key, LIVE), (&test_key, TEST)] {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str())];
        for Step { keep, method, path, form } in steps {
            let (path, form) = (places.fill(path), places.fill(form));
            let answer = send(app, method, &path, &headers, &form).await;
            if !keep.is_empty() {
                let id = answer["id"].as_str().expect("an id").to_owned();
                places.by_name.insert(keep, id);
                // The clock stands still, so whatever was made was made now.
                places.now =
                    answer.get("created").unwrap_or(&answer["date"]).as_i64().expect("a time");
            }
        }
    }
    let session = send(app, "POST", "/v2/billing/meter_event_session", &[], "").await;
    let token = session["authentication_token"].as_str().expect("a token").to_owned();
    places.by_name.insert("token", token);
    let key = [("Idempotency-Key", "used")];
    send(app, "POST", "/v1/customers", &key, "name=Once").await;
    let event = "event_name=calls&payload[stripe_customer_id]={{cus}}&payload[value]=13";
    let key = [("Idempotency-Key", "used-for-event")];
    send(app, "POST", "/v1/billing/meter_events", &key, &places.fill(event)).await;
    places
}

/// Sends a well-formed request, as the test mode unless a header says otherwise.
///
/// # Panics
/// When it is refused.
pub(super) async fn send(
    app: &TestApp,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    form: &str,
) -> Value {
    let authorization = format!("Bearer {}", app.test_key());
    let mut headers = headers.to_vec();
    if !headers.iter().any(|(name, _)| *name == "Authorization") {
        headers.push(("Authorization", &authorization));
    }
    if !form.is_empty() {
        headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    }
    let response = app.request(method, path, &headers, form.as_bytes()).await;
    let shown = String::from_utf8_lossy(&response.body);
    assert_eq!(response.status, 200, "{method} {path} {form}: {shown}");
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{method} {path}: {shown}"))
}
