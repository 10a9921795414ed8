//! The error of an id that names nothing in this mode: Stripe's, with its hint when the other mode
//! has such an object.

use taximeter_db::Arg;
use taximeter_kernel::id::{
    Charge, Coupon, CreditNote, Customer, CustomerBalanceTransaction, Event, Invoice, InvoiceItem,
    InvoicePayment, Kind, Meter, MeterEventBackfill, PaymentIntent, PaymentMethod, Price, Product,
    PromotionCode, Refund, SetupIntent, Subscription, SubscriptionItem, SubscriptionSchedule,
    TaxRate, WebhookEndpoint,
};

use crate::ctx::Ctx;
use crate::error::{Error, Result};

/// Looks for an id in the other mode of the same account.
macro_rules! in_other_mode {
    ($table:literal) => {
        concat!("SELECT id FROM ", $table, " WHERE account = $1 AND livemode <> $2 AND id = $3")
    };
}

/// The statement that looks for an object, by what messages call it. Objects that are not rows of
/// their own have none.
fn look(noun: &str) -> Option<&'static str> {
    Some(match noun {
        Charge::NOUN => in_other_mode!("charges"),
        Coupon::NOUN => {
            "SELECT id FROM coupons WHERE account = $1 AND livemode <> $2 AND id = $3 \
             AND NOT deleted"
        }
        CreditNote::NOUN => in_other_mode!("credit_notes"),
        Customer::NOUN => in_other_mode!("customers"),
        CustomerBalanceTransaction::NOUN => in_other_mode!("customer_balance_transactions"),
        Event::NOUN => in_other_mode!("events"),
        Invoice::NOUN => in_other_mode!("invoices"),
        InvoiceItem::NOUN => in_other_mode!("invoice_items"),
        InvoicePayment::NOUN => in_other_mode!("invoice_payments"),
        Meter::NOUN => in_other_mode!("meters"),
        MeterEventBackfill::NOUN => in_other_mode!("meter_event_backfills"),
        PaymentIntent::NOUN => in_other_mode!("payment_intents"),
        PaymentMethod::NOUN => in_other_mode!("payment_methods"),
        Price::NOUN => in_other_mode!("prices"),
        Product::NOUN => in_other_mode!("products"),
        Refund::NOUN => in_other_mode!("refunds"),
        SetupIntent::NOUN => in_other_mode!("setup_intents"),
        PromotionCode::NOUN => in_other_mode!("promotion_codes"),
        Subscription::NOUN => in_other_mode!("subscriptions"),
        SubscriptionItem::NOUN => in_other_mode!("subscription_items"),
        SubscriptionSchedule::NOUN => in_other_mode!("subscription_schedules"),
        TaxRate::NOUN => in_other_mode!("tax_rates"),
        WebhookEndpoint::NOUN => {
            concat!(in_other_mode!("webhook_endpoints"), " AND NOT deleted")
        }
        _ => return None,
    })
}

impl Ctx {
    /// `No such customer: 'cus_x'`, for an id that came as a parameter (400).
    ///
    /// # Errors
    /// A 500 when the database cannot be read.
    pub async fn no_such(
        &mut self,
        noun: &str,
        id: &str,
        param: impl Into<String>,
    ) -> Result<Error> {
        let elsewhere = self.is_in_other_mode(noun, id).await?;
        Ok(Error::no_such(noun, id, param).in_other_mode(elsewhere, self.scope().mode))
    }

    /// `No such customer: 'cus_x'`, for an id in the path (404).
    ///
    /// # Errors
    /// A 500 when the database cannot be read.
    pub async fn no_such_path(&mut self, noun: &str, id: &str) -> Result<Error> {
        Ok(self.no_such(noun, id, "id").await?.not_found())
    }

    /// Whether the other mode has such an object.
    ///
    /// # Errors
    /// A 500 when the database cannot be read.
    pub async fn is_in_other_mode(&mut self, noun: &str, id: &str) -> Result<bool> {
        let Some(sql) = look(noun) else { return Ok(false) };
        let args = self.args([Arg::from(id)]);
        let found: Option<String> = self.tx.optional(sql, args).await?;
        Ok(found.is_some())
    }
}
