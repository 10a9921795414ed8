//! An invoice and its lines as clients see them.

use serde_json::{Value, json};
use taximeter_kernel::id::{Id, InvoiceLine, Kind};

use super::details::{DiscountAmount, TaxAmount};
use super::{Invoice, LINES_SHOWN, Line, Status};
use crate::error::Result;
use crate::page::{List, Page};
use crate::params::Choice as _;
use crate::wire::{seconds, without_nulls};

impl Invoice {
    /// Whether it is a preview: it is drawn up in full, and not kept.
    #[must_use]
    pub fn is_preview(&self) -> bool {
        self.id.as_str().starts_with("upcoming_in_")
    }

    /// What is still to be paid, in minor units.
    #[must_use]
    pub const fn amount_remaining(&self) -> i64 {
        let paid = self.amount_paid.saturating_add(self.details.pre_payment_credit_notes);
        self.amount_due.saturating_sub(paid)
    }

    /// The object `invoice`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut invoice = self.amounts();
        let rest = self.circumstances();
        if let (Value::Object(invoice), Value::Object(rest)) = (&mut invoice, rest) {
            invoice.extend(rest);
        }
        without_nulls(invoice, &["status_details", "threshold_reason"])
    }

    fn amounts(&self) -> Value {
        let details = &self.details;
        json!({
            "id": self.id.as_str(),
            "object": "invoice",
            "account_country": null,
            "account_name": null,
            "account_tax_ids": null,
            "amount_due": self.amount_due,
            "amount_overpaid": 0,
            "amount_paid": self.amount_paid,
            "amount_paid_off_stripe": details.paid_off_stripe,
            "amount_remaining": self.amount_remaining(),
            "amount_shipping": 0,
            "application": null,
            "attempt_count": details.attempt_count,
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
            "custom_fields": details.custom_fields,
            "customer": (!self.details.of_nobody).then(|| self.customer.as_str()),
            "customer_account": null,
            "customer_address": self.customer_snapshot.address,
            "customer_email": self.customer_snapshot.email,
            "customer_name": self.customer_snapshot.name,
            "customer_phone": self.customer_snapshot.phone,
            "customer_shipping": self.customer_snapshot.shipping,
            "customer_tax_exempt": self.customer_snapshot.tax_exempt,
            "customer_tax_ids": [],
            "default_payment_method": details.default_payment_method,
            "default_source": null,
            "default_tax_rates": self.default_tax_rates(),
            "description": self.description,
            "discounts": details.discounts,
            "due_date": seconds(self.due_date),
            "effective_at": details.effective_at.or(self.finalized_at.map(|at| at.0)),
            "ending_balance": self.ending_balance,
            "footer": details.footer,
            "from_invoice": details.from_invoice.as_ref().map(|invoice| {
                json!({ "action": "revision", "invoice": invoice })
            }),
            "hosted_invoice_url": null,
            "invoice_pdf": null,
            "issuer": { "type": "self" },
        })
    }

    fn circumstances(&self) -> Value {
        let details = &self.details;
        let within = details.inclusive_tax;
        json!({
            "last_finalization_error": details.last_finalization_error.as_ref().map(|error| {
                json!({
                    "code": error.code,
                    "message": error.message,
                    "type": "invalid_request_error",
                })
            }),
            "latest_revision": details.latest_revision,
            "lines": self.lines_shown(),
            "livemode": self.livemode,
            "metadata": self.metadata,
            "next_payment_attempt": self.details.next_payment_attempt,
            "number": self.number,
            "on_behalf_of": null,
            "parent": self.parent(),
            "payment_settings": {
                "default_mandate": null,
                "payment_method_options": null,
                "payment_method_types": details.payment_method_types,
            },
            "payments": {
                "object": "list",
                "data": [],
                "has_more": false,
                "url": format!("/v1/invoice_payments?invoice={}", self.id),
            },
            "period_end": self.period.end.0,
            "period_start": self.period.start.0,
            "post_payment_credit_notes_amount": details.post_payment_credit_notes,
            "pre_payment_credit_notes_amount": details.pre_payment_credit_notes,
            "receipt_number": null,
            "rendering": self.rendering(),
            "shipping_cost": null,
            "shipping_details": null,
            "starting_balance": self.starting_balance,
            "statement_descriptor": details.statement_descriptor,
            "status": self.status.as_str(),
            "status_details": (self.status == Status::Uncollectible).then(|| json!({
                "uncollectible": { "reason": details.uncollectible_reason },
            })),
            "status_transitions": {
                "finalized_at": seconds(self.finalized_at),
                "marked_uncollectible_at": details.marked_uncollectible_at,
                "paid_at": seconds(self.paid_at),
                "voided_at": seconds(self.voided_at),
            },
            "subtotal": self.subtotal,
            "subtotal_excluding_tax": self.subtotal.saturating_sub(within),
            "test_clock": self.test_clock.as_ref().map(Id::as_str),
            "threshold_reason": details.threshold_reason.as_ref().map(|reason| {
                let items = reason.item_reasons.iter();
                let items = items.map(|(lines, usage)| {
                    json!({ "line_item_ids": lines, "usage_gte": usage })
                });
                json!({
                    "amount_gte": reason.amount_gte,
                    "item_reasons": items.collect::<Vec<_>>(),
                })
            }),
            "total": self.total,
            "total_discount_amounts": discount_amounts(&details.total_discount_amounts),
            "total_excluding_tax": details.total_excluding_tax.unwrap_or(self.total),
            "total_pretax_credit_amounts": pretax_credits(&details.total_discount_amounts),
            "total_taxes": taxes(&details.total_taxes),
            "webhooks_delivered_at": null,
        })
    }

    fn default_tax_rates(&self) -> Vec<Value> {
        let default = &self.details.default_tax_rates;
        let rates = self.tax_rates.iter();
        let rates = rates.filter(|rate| default.iter().any(|id| id == rate.id.as_str()));
        rates.map(crate::tax_rates::TaxRate::wire).collect()
    }

    fn rendering(&self) -> Value {
        let details = &self.details;
        if details.amount_tax_display.is_none() && details.page_size.is_none() {
            return Value::Null;
        }
        json!({
            "amount_tax_display": details.amount_tax_display,
            "pdf": details.page_size.as_ref().map(|size| json!({ "page_size": size })),
            "template": null,
            "template_version": null,
        })
    }

    fn parent(&self) -> Value {
        match &self.subscription {
            None => Value::Null,
            Some(subscription) => {
                let mut details = json!({
                    "metadata": self.subscription_metadata,
                    "subscription": subscription.as_str(),
                });
                if let Some(date) = self.details.proration_date {
                    details["subscription_proration_date"] = date.into();
                }
                json!({
                    "quote_details": null,
                    "subscription_details": details,
                    "type": "subscription_details",
                })
            }
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
    pub(super) fn line_wire(&self, line: &Line) -> Value {
        let details = &line.details;
        let metadata = match (&details.metadata, &line.subscription_item) {
            (Some(own), _) => json!(own),
            (None, Some(_)) => json!(self.subscription_metadata),
            (None, None) => json!({}),
        };
        json!({
            "id": line.id.as_str(),
            "object": "line_item",
            "amount": line.amount,
            "currency": self.currency.code(),
            "description": line.description,
            "discount_amounts": discount_amounts(&details.discount_amounts),
            "discountable": details.discountable,
            "discounts": details.discounts,
            "invoice": self.id.as_str(),
            "livemode": self.livemode,
            "metadata": metadata,
            "parent": line.parent(),
            "period": { "end": line.period.end.0, "start": line.period.start.0 },
            "pretax_credit_amounts": pretax_credits(&details.discount_amounts),
            "pricing": line.pricing(),
            // Whole units only: what is used in part shows in `quantity_decimal`.
            "quantity": i64::try_from(line.quantity.whole()).ok(),
            "quantity_decimal": line.quantity.to_string(),
            "subscription": line.subscription.as_ref().map(Id::as_str),
            "subtotal": details.gross.unwrap_or(line.amount),
            "taxes": taxes(&details.taxes),
        })
    }
}

impl Line {
    fn parent(&self) -> Value {
        let credited = self.details.credited.as_ref().map(
            |credited| json!({ "invoice": credited.invoice, "invoice_line_items": credited.lines }),
        );
        let subscription = self.subscription.as_ref().map(Id::as_str);
        if let Some(item) = &self.subscription_item {
            return json!({
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": self.invoice_item,
                    "proration": self.details.proration,
                    "proration_details": { "credited_items": credited },
                    "subscription": subscription,
                    "subscription_item": item.as_str(),
                },
                "type": "subscription_item_details",
            });
        }
        json!({
            "invoice_item_details": {
                "invoice_item": self.invoice_item,
                "proration": self.details.proration,
                "proration_details": { "credited_items": credited },
                "subscription": subscription,
            },
            "subscription_item_details": null,
            "type": "invoice_item_details",
        })
    }

    fn pricing(&self) -> Value {
        let (Some(price), Some(product)) = (&self.price, &self.product) else { return Value::Null };
        json!({
            "price_details": { "price": price.as_str(), "product": product.as_str() },
            "type": "price_details",
            "unit_amount_decimal": self.unit_amount.map(|amount| amount.to_string()),
        })
    }
}

fn discount_amounts(amounts: &[DiscountAmount]) -> Vec<Value> {
    let wire = |d: &DiscountAmount| json!({ "amount": d.amount, "discount": d.discount });
    amounts.iter().map(wire).collect()
}

/// What is taken off before tax, discounts among them.
fn pretax_credits(amounts: &[DiscountAmount]) -> Vec<Value> {
    let wire = |d: &DiscountAmount| json!({ "amount": d.amount, "discount": d.discount, "type": "discount" });
    amounts.iter().map(wire).collect()
}

pub(crate) fn taxes(amounts: &[TaxAmount]) -> Vec<Value> {
    let wire = |tax: &TaxAmount| {
        json!({
            "amount": tax.amount,
            "tax_behavior": if tax.inclusive { "inclusive" } else { "exclusive" },
            "tax_rate_details": { "tax_rate": tax.tax_rate },
            "taxability_reason": tax.taxability_reason,
            "taxable_amount": tax.taxable_amount,
            "type": "tax_rate_details",
        })
    };
    amounts.iter().map(wire).collect()
}

/// The id of a preview, which is not kept.
pub(super) fn preview_id<K: Kind>(prefix: &str, random: [u8; 32]) -> Id<K> {
    let full: Id<K> = Id::generate(random);
    let tail = full.as_str().rsplit('_').next().unwrap_or("");
    Id::parse(&format!("{prefix}{tail}")).unwrap_or(full)
}
