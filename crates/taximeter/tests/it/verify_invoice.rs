//! `taximeter verify-invoice`, on what a server made.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use taximeter_db::{Arg, Db};

use crate::server::{Server, fail, succeed, taximeter};

const DAY_S: i64 = 86_400;

struct Shop {
    server: Server,
    key: String,
}

impl Shop {
    fn post(&self, path: &str, form: &str) -> Value {
        let (status, body) = self.server.post(path, &self.key, form);
        assert_eq!(status, 200, "{path} {form}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.server.get(path, &self.key);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn made(&self, path: &str, form: &str) -> String {
        self.post(path, form)["id"].as_str().unwrap().to_owned()
    }

    fn move_clock(&self, clock: &str, to: i64) {
        let path = format!("/v1/test_helpers/test_clocks/{clock}");
        self.post(&format!("{path}/advance"), &format!("frozen_time={to}"));
        let began = Instant::now();
        while self.get(&path)["status"] != "ready" {
            assert!(began.elapsed() < Duration::from_secs(60), "the clock does not arrive");
            std::thread::yield_now();
        }
    }

    /// A month of a customer on a test clock, invoiced: 13 and 17.5 were used and 1300 canceled, each
    /// at 3.6 beyond the first 7, with a tenth off and 10 % tax on top.
    fn invoice(&self) -> String {
        // 2031-05-01T00:00:00Z
        let start = 1_935_360_000;
        let clock = self.made("/v1/test_helpers/test_clocks", &format!("frozen_time={start}"));
        let customer = self.made("/v1/customers", &format!("test_clock={clock}"));
        let meter = self.made(
            "/v1/billing/meters",
            "display_name=M&event_name=call&default_aggregation[formula]=sum",
        );
        let price = self.made(
            "/v1/prices",
            &format!(
                "currency=usd&billing_scheme=tiered&tiers_mode=graduated&tiers[0][up_to]=7\
                 &tiers[0][unit_amount]=0&tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=3.6\
                 &recurring[interval]=month&recurring[usage_type]=metered\
                 &recurring[meter]={meter}&product_data[name]=Calls"
            ),
        );
        let rate = self.made("/v1/tax_rates", "display_name=VAT&percentage=10&inclusive=false");
        self.made("/v1/coupons", "id=TENTH&percent_off=10&duration=forever");
        self.made(
            "/v1/subscriptions",
            &format!(
                "customer={customer}&items[0][price]={price}&collection_method=send_invoice\
                 &days_until_due=7&default_tax_rates[]={rate}&discounts[0][coupon]=TENTH"
            ),
        );
        let used = |identifier: &str, value: &str, at: i64| {
            self.move_clock(&clock, at);
            let form = format!(
                "event_name=call&identifier={identifier}&payload[stripe_customer_id]={customer}\
                 &payload[value]={value}"
            );
            self.post("/v1/billing/meter_events", &form);
        };
        used("a", "13", start + 7);
        used("c", "1300", start + 101);
        self.post(
            "/v1/billing/meter_event_adjustments",
            "event_name=call&type=cancel&cancel[identifier]=c",
        );
        used("b", "17.5", start + 9 * DAY_S);
        self.move_clock(&clock, start + 31 * DAY_S + 3 * 3_600);
        let list = self.get(&format!("/v1/invoices?customer={customer}&status=open"));
        let invoice = &list["data"][0];
        // 23.5 at 3.6 are 84.6; a tenth of 85 are 9 (8.5); 10 % on 76 are 8.
        assert_eq!(invoice["total"], 84, "{invoice}");
        let late = format!(
            "event_name=call&payload[stripe_customer_id]={customer}&payload[value]=101&timestamp={}",
            start + DAY_S
        );
        self.post("/v1/billing/meter_events", &late);
        invoice["id"].as_str().unwrap().to_owned()
    }

    /// The invoice of June of who took a second seat in May, with 21 of 31 days to go, while there was
    /// half off for a month: the prorations show what was off, and the month ahead has nothing off.
    fn invoice_with_itemized_prorations(&self) -> String {
        let start = 1_935_360_000;
        let clock = self.made("/v1/test_helpers/test_clocks", &format!("frozen_time={start}"));
        let customer = self.made("/v1/customers", &format!("test_clock={clock}"));
        let price = self.made(
            "/v1/prices",
            "currency=usd&unit_amount=3100&recurring[interval]=month&product_data[name]=Seat",
        );
        self.made("/v1/coupons", "id=HALF&percent_off=50&duration=repeating&duration_in_months=1");
        let subscription = self.post(
            "/v1/subscriptions",
            &format!(
                "customer={customer}&items[0][price]={price}&collection_method=send_invoice\
                 &days_until_due=7&discounts[0][coupon]=HALF&billing_mode[type]=flexible\
                 &billing_mode[flexible][proration_discounts]=itemized"
            ),
        );
        let id = subscription["id"].as_str().unwrap();
        let item = subscription["items"]["data"][0]["id"].as_str().unwrap();
        self.move_clock(&clock, start + 10 * DAY_S);
        self.post(
            &format!("/v1/subscriptions/{id}"),
            &format!("items[0][id]={item}&items[0][quantity]=2"),
        );
        self.move_clock(&clock, start + 31 * DAY_S + 3 * 3_600);
        let list = self.get(&format!("/v1/invoices?customer={customer}"));
        let invoice = &list["data"][0];
        // 62.00 for June; of 21.00 back and 42.00 for two seats half was off.
        assert_eq!(invoice["status"], "open", "{invoice}");
        assert_eq!((&invoice["subtotal"], &invoice["total"]), (&8300.into(), &7250.into()));
        invoice["id"].as_str().unwrap().to_owned()
    }
}

async fn tamper(dir: &Path, statements: &[&'static str], invoice: &str) {
    let db = Db::open_sqlite(&dir.join("taximeter.db")).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    for sql in statements {
        assert!(tx.execute(sql, vec![Arg::from(invoice)]).await.unwrap() > 0, "{sql}");
    }
    tx.commit().await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn an_invoice_is_derived_again_from_the_log_and_what_differs_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let server = Server::start(dir, &[]);
    let key = server.keys().into_iter().find(|key| key.starts_with("sk_test_")).unwrap();
    let shop = Shop { server, key };
    let invoice = shop.invoice();
    let itemized = shop.invoice_with_itemized_prorations();
    let said = fail(dir, &["verify-invoice", &invoice]);
    assert!(said.contains("stop it first, or run this on a copy"), "{said}");
    shop.server.stop();
    let told = succeed(dir, &["verify-invoice", &invoice]);
    let equal = format!(
        "{invoice} is what was derived again: 2 metered of 2 lines, from 2 events in the log\n"
    );
    assert_eq!(told, equal);
    let told = succeed(dir, &["verify-invoice", &itemized]);
    assert!(told.starts_with(&format!("{itemized} is what was derived again: ")), "{told}");
    let said = fail(dir, &["verify-invoice", "in_none"]);
    assert!(said.starts_with("error: no invoice is called in_none"), "{said}");
    // A total that does not follow from the lines.
    tamper(dir, &["UPDATE invoices SET total = total + 1 WHERE id = $1"], &invoice).await;
    let args = ["verify-invoice", &invoice, "--json", "--data-dir", dir.to_str().unwrap()];
    let outcome = taximeter(&args);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["equal"], false);
    assert_eq!(report["difference"], "total: the invoice says 85, and 84 was derived");
    // Lines that do not follow from the log.
    let statements = [
        "UPDATE invoices SET subtotal = subtotal + 1 WHERE id = $1",
        "UPDATE invoice_lines SET amount = amount + 1 WHERE invoice = $1 AND position = 1",
    ];
    tamper(dir, &statements, &invoice).await;
    let outcome = taximeter(&args);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let difference = report["difference"].as_str().unwrap();
    assert!(difference.starts_with("amount of il_"), "{difference}");
    assert!(difference.ends_with(": the invoice says 86, and 85 was derived"), "{difference}");
}
