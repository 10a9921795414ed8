//! A credit note as clients see it.

use serde_json::{Value, json};
use taximeter_kernel::decimal::Decimal;

use super::details::Line;
use super::input::LineType;
use super::{CreditNote, Refunded};
use crate::invoices::{self, DiscountAmount};
use crate::params::Choice as _;
use crate::tax_rates::TaxRate;
use crate::wire::{seconds, without_nulls};

/// How many lines a credit note shows with itself; the rest are read from its `lines`.
const LINES_SHOWN: usize = 10;

fn discounts(amounts: &[DiscountAmount]) -> Vec<Value> {
    let wire = |d: &DiscountAmount| json!({ "amount": d.amount, "discount": d.discount });
    amounts.iter().map(wire).collect()
}

fn pretax_credits(amounts: &[DiscountAmount]) -> Vec<Value> {
    let wire = |d: &DiscountAmount| json!({ "amount": d.amount, "discount": d.discount, "type": "discount" });
    amounts.iter().map(wire).collect()
}

impl CreditNote {
    pub(super) fn lines_url(&self) -> String {
        format!("/v1/credit_notes/{}/lines", self.id)
    }

    /// The object `credit_note`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let details = &self.details;
        let (subtotal, total) = (details.subtotal_minor(), details.total_minor());
        let (within, on_top) = (details.inclusive_tax_minor(), details.exclusive_tax_minor());
        let discounted = details.discount_amounts();
        let refund = |refunded: &Refunded| {
            json!({
                "amount_refunded": refunded.amount,
                "payment_record_refund": null,
                "refund": refunded.refund,
                "type": "refund",
            })
        };
        let shown = details.lines.iter().take(LINES_SHOWN).map(|line| self.line_wire(line));
        json!({
            "id": self.id.as_str(),
            "object": "credit_note",
            "amount": total,
            "amount_shipping": 0,
            "created": self.created.0,
            "currency": self.currency.code(),
            "customer": self.customer.as_str(),
            "customer_account": null,
            "customer_balance_transaction": details.customer_balance_transaction,
            "discount_amount": details.discount_minor(),
            "discount_amounts": discounts(&discounted),
            "effective_at": details.effective_at.unwrap_or(self.created.0),
            "invoice": self.invoice.as_str(),
            "lines": {
                "object": "list",
                "data": shown.collect::<Vec<_>>(),
                "has_more": details.lines.len() > LINES_SHOWN,
                "url": self.lines_url(),
            },
            "livemode": self.livemode,
            "memo": details.memo,
            "metadata": self.metadata,
            "number": self.number,
            "out_of_band_amount": details.out_of_band_amount,
            // There are no pages to print yet, and the SDKs' types know no null here.
            "pdf": "",
            "post_payment_amount": self.post_payment,
            "pre_payment_amount": self.pre_payment,
            "pretax_credit_amounts": pretax_credits(&discounted),
            "reason": details.reason,
            "refunds": details.refunds.iter().map(refund).collect::<Vec<_>>(),
            "shipping_cost": null,
            "status": self.status.as_str(),
            "subtotal": subtotal,
            "subtotal_excluding_tax": subtotal.saturating_sub(within),
            "total": total,
            "total_excluding_tax": total.saturating_sub(on_top).saturating_sub(within),
            "total_taxes": invoices::taxes(&details.taxes()),
            "type": self.kind(),
            "voided_at": seconds(self.voided_at),
        })
    }

    const fn kind(&self) -> &'static str {
        match (self.pre_payment, self.post_payment) {
            (_, 0) => "pre_payment",
            (0, _) => "post_payment",
            _ => "mixed",
        }
    }

    /// The object `credit_note_line_item`.
    pub(super) fn line_wire(&self, line: &Line) -> Value {
        let kind = match line.invoice_line_item {
            Some(_) => LineType::InvoiceLineItem,
            None => LineType::CustomLineItem,
        };
        let named = |rate: &&TaxRate| line.taxes.iter().any(|tax| tax.tax_rate == rate.id.as_str());
        let unit: Option<Decimal> = line.unit_amount.as_ref().and_then(|unit| unit.parse().ok());
        let wire = json!({
            "id": line.id,
            "object": "credit_note_line_item",
            "amount": line.amount,
            "description": line.description,
            "discount_amount": line.discount_minor(),
            "discount_amounts": discounts(&line.discount_amounts),
            "invoice_line_item": line.invoice_line_item,
            "livemode": self.livemode,
            "metadata": line.metadata,
            "pretax_credit_amounts": pretax_credits(&line.discount_amounts),
            "quantity": line.quantity,
            "tax_rates": self.tax_rates.iter().filter(named).map(TaxRate::wire).collect::<Vec<_>>(),
            "taxes": invoices::taxes(&line.taxes),
            "type": kind.as_str(),
            "unit_amount": unit.and_then(Decimal::to_i64),
            "unit_amount_decimal": line.unit_amount,
        });
        without_nulls(wire, &["invoice_line_item"])
    }
}
