//! An invoice and its lines as clients see them.

use serde_json::{Value, json};
use taximeter_kernel::id::{Id, InvoiceLine, Kind};

use super::{Invoice, LINES_SHOWN, Line, Status};
use crate::error::Result;
use crate::page::{List, Page};
use crate::params::Choice as _;
use crate::subscriptions::CollectionMethod;
use crate::wire::seconds;

/// How long Stripe leaves a draft of a renewal open before it is finalized, in seconds.
const DRAFT_S: i64 = 3_600;

impl Invoice {
    /// Whether it is a preview: it is drawn up in full, and not kept.
    #[must_use]
    pub fn is_preview(&self) -> bool {
        self.id.as_str().starts_with("upcoming_in_")
    }

    /// The object `invoice`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut invoice = self.amounts();
        let rest = self.circumstances();
        if let (Value::Object(invoice), Value::Object(rest)) = (&mut invoice, rest) {
            invoice.extend(rest);
        }
        invoice
    }

    fn amounts(&self) -> Value {
        json!({
            "id": self.id.as_str(),
            "object": "invoice",
            "account_country": null,
            "account_name": null,
            "account_tax_ids": null,
            "amount_due": self.amount_due,
            "amount_overpaid": 0,
            "amount_paid": self.amount_paid,
            "amount_paid_off_stripe": 0,
            "amount_remaining": self.amount_due.saturating_sub(self.amount_paid),
            "amount_shipping": 0,
            "application": null,
            "attempt_count": 0,
            "attempted": self.attempted,
            "auto_advance": self.auto_advance,
            "automatic_tax": {
                "disabled_reason": null,
                "enabled": false,
                "liability": null,
                "provider": null,
                "status": null,
            },
            "automatically_finalizes_at": seconds(self.automatically_finalizes_at),
            "billing_reason": self.billing_reason.as_str(),
            "collection_method": self.collection_method.as_str(),
            "confirmation_secret": null,
            "created": self.created.0,
            "currency": self.currency.code(),
            "custom_fields": null,
            "customer": self.customer.as_str(),
            "customer_account": null,
            "customer_address": self.customer_snapshot.address,
            "customer_email": self.customer_snapshot.email,
            "customer_name": self.customer_snapshot.name,
            "customer_phone": self.customer_snapshot.phone,
            "customer_shipping": self.customer_snapshot.shipping,
            "customer_tax_exempt": self.customer_snapshot.tax_exempt,
            "customer_tax_ids": [],
            "default_payment_method": null,
            "default_source": null,
            "default_tax_rates": [],
            "description": self.description,
            "discounts": [],
            "due_date": seconds(self.due_date),
            "effective_at": seconds(self.finalized_at),
            "ending_balance": self.ending_balance,
            "footer": null,
            "from_invoice": null,
            "hosted_invoice_url": null,
            "invoice_pdf": null,
            "issuer": { "type": "self" },
        })
    }

    fn circumstances(&self) -> Value {
        json!({
            "last_finalization_error": null,
            "latest_revision": null,
            "lines": self.lines_shown(),
            "livemode": self.livemode,
            "metadata": self.metadata,
            "next_payment_attempt": self.next_payment_attempt(),
            "number": self.number,
            "on_behalf_of": null,
            "parent": self.parent(),
            "payment_settings": {
                "default_mandate": null,
                "payment_method_options": null,
                "payment_method_types": null,
            },
            "payments": {
                "object": "list",
                "data": [],
                "has_more": false,
                "url": format!("/v1/invoice_payments?invoice={}", self.id),
            },
            "period_end": self.period.end.0,
            "period_start": self.period.start.0,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "receipt_number": null,
            "rendering": null,
            "shipping_cost": null,
            "shipping_details": null,
            "starting_balance": self.starting_balance,
            "statement_descriptor": null,
            "status": self.status.as_str(),
            "status_transitions": {
                "finalized_at": seconds(self.finalized_at),
                "marked_uncollectible_at": null,
                "paid_at": seconds(self.paid_at),
                "voided_at": seconds(self.voided_at),
            },
            "subtotal": self.subtotal,
            "subtotal_excluding_tax": self.subtotal,
            "test_clock": null,
            "total": self.total,
            "total_discount_amounts": [],
            "total_excluding_tax": self.total,
            "total_pretax_credit_amounts": [],
            "total_taxes": [],
            "webhooks_delivered_at": null,
        })
    }

    /// When a payment is tried next, if one is: as a draft is finalized, or would be in a preview.
    fn next_payment_attempt(&self) -> Option<i64> {
        let automatic = self.collection_method == CollectionMethod::ChargeAutomatically;
        if !automatic || self.status != Status::Draft {
            return None;
        }
        if self.is_preview() {
            return Some(self.created.0.saturating_add(DRAFT_S));
        }
        self.automatically_finalizes_at.map(|at| at.0)
    }

    fn parent(&self) -> Value {
        match &self.subscription {
            None => Value::Null,
            Some(subscription) => json!({
                "quote_details": null,
                "subscription_details": {
                    "metadata": self.subscription_metadata,
                    "subscription": subscription.as_str(),
                },
                "type": "subscription_details",
            }),
        }
    }

    fn lines_url(&self) -> String {
        format!("/v1/invoices/{}/lines", self.id)
    }

    /// The first lines. A preview is not kept, so it shows all it has.
    fn lines_shown(&self) -> Value {
        let shown = if self.is_preview() { self.lines.len() } else { LINES_SHOWN };
        json!({
            "object": "list",
            "data": self.lines.iter().take(shown).map(|l| self.line_wire(l)).collect::<Vec<_>>(),
            "has_more": self.lines.len() > shown,
            "url": self.lines_url(),
        })
    }

    /// One page of the lines. Lines keep the order they have on the invoice.
    ///
    /// # Errors
    /// A 400 when the cursor names no line.
    pub fn page_of_lines(&self, page: &Page) -> Result<List> {
        let lines: Vec<&Line> = self.lines.iter().collect();
        let slice = page.cut_from(lines, InvoiceLine::NOUN, |line| line.id.as_str())?;
        Ok(List {
            url: self.lines_url(),
            has_more: slice.has_more,
            data: slice.rows.into_iter().map(|line| self.line_wire(line)).collect(),
        })
    }

    /// The object `line_item`.
    fn line_wire(&self, line: &Line) -> Value {
        json!({
            "id": line.id.as_str(),
            "object": "line_item",
            "amount": line.amount,
            "currency": self.currency.code(),
            "description": line.description,
            "discount_amounts": [],
            "discountable": true,
            "discounts": [],
            "invoice": self.id.as_str(),
            "livemode": self.livemode,
            "metadata": self.subscription_metadata,
            "parent": {
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null,
                    "proration": false,
                    "proration_details": { "credited_items": null },
                    "subscription": line.subscription.as_ref().map(Id::as_str),
                    "subscription_item": line.subscription_item.as_str(),
                },
                "type": "subscription_item_details",
            },
            "period": { "end": line.period.end.0, "start": line.period.start.0 },
            "pretax_credit_amounts": [],
            "pricing": {
                "price_details": {
                    "price": line.price.as_str(),
                    "product": line.product.as_str(),
                },
                "type": "price_details",
                "unit_amount_decimal": line.unit_amount.map(|amount| amount.to_string()),
            },
            // Whole units only: what is used in part shows in `quantity_decimal`.
            "quantity": i64::try_from(line.quantity.whole()).ok(),
            "quantity_decimal": line.quantity.to_string(),
            "subscription": line.subscription.as_ref().map(Id::as_str),
            "subtotal": line.amount,
            "taxes": [],
        })
    }
}

/// The id of a preview, which is not kept.
pub(super) fn preview_id<K: Kind>(prefix: &str, random: [u8; 32]) -> Id<K> {
    let full: Id<K> = Id::generate(random);
    let tail = full.as_str().rsplit('_').next().unwrap_or("");
    Id::parse(&format!("{prefix}{tail}")).unwrap_or(full)
}
