//! A schedule as clients see it.

use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::types::{DefaultSettings, PhaseAddition, PhaseInvoices, PhaseItem};
use super::{Phase, Schedule};
use crate::params::Choice as _;
use crate::subscriptions::{BillingModeType, CollectionMethod};
use crate::tax_rates::TaxRate;
use crate::wire::{seconds, without_nulls};

impl Schedule {
    /// The object `subscription_schedule`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let outline = &self.outline;
        let current = self.current();
        json!({
            "id": self.id.as_str(),
            "object": "subscription_schedule",
            "application": null,
            "billing_mode": self.billing_mode_wire(),
            "canceled_at": seconds(self.canceled_at),
            "completed_at": seconds(self.completed_at),
            "created": self.created.0,
            "current_phase":
                current.map(|phase| json!({ "end_date": phase.end, "start_date": phase.start })),
            "customer": self.customer.as_str(),
            "customer_account": null,
            "default_settings": outline.settings.wire(),
            "end_behavior": outline.end_behavior.as_str(),
            "livemode": self.livemode,
            "metadata": self.metadata,
            "pause_schedules": [],
            "phases": outline.phases.iter().map(|phase| self.phase_wire(phase)).collect::<Vec<_>>(),
            "released_at": seconds(self.released_at),
            "released_subscription": self.released_subscription.as_ref().map(Id::as_str),
            "status": self.status.as_str(),
            "subscription": self.subscription.as_ref().map(Id::as_str),
            "test_clock": self.test_clock.as_ref().map(Id::as_str),
        })
    }

    fn billing_mode_wire(&self) -> Value {
        let flexible = match self.outline.billing_mode {
            BillingModeType::Classic => Value::Null,
            BillingModeType::Flexible => {
                json!({ "proration_discounts": self.outline.proration_discounts })
            }
        };
        json!({ "flexible": flexible, "type": self.outline.billing_mode.as_str() })
    }

    fn rates_wire(&self, ids: &[String]) -> Vec<Value> {
        let find = |id: &String| self.tax_rates.iter().find(|rate| rate.id.as_str() == id);
        ids.iter().filter_map(find).map(TaxRate::wire).collect()
    }

    fn phase_wire(&self, phase: &Phase) -> Value {
        let additions: Vec<Value> =
            phase.additions.iter().map(|addition| self.addition_wire(addition)).collect();
        let items: Vec<Value> = phase.items.iter().map(|item| self.item_wire(item)).collect();
        let wire = json!({
            "add_invoice_items": additions,
            "application_fee_percent": null,
            "billing_cycle_anchor": phase.anchor,
            "billing_thresholds": phase.thresholds,
            "collection_method": phase.collection_method,
            "currency": phase.currency,
            "default_payment_method": phase.default_payment_method,
            "default_tax_rates": self.rates_wire(&phase.default_tax_rates),
            "description": phase.description,
            "discounts": phase.discounts,
            "end_date": phase.end,
            "invoice_settings":
                phase.invoices.as_ref().map(|invoices| invoices.wire(&Value::Null)),
            "items": items,
            "metadata": phase.metadata,
            "on_behalf_of": null,
            "proration_behavior": phase.proration_behavior.as_str(),
            "start_date": phase.start,
            "transfer_data": null,
            "trial": phase.trial.then_some(true),
            "trial_end": phase.trial_end,
        });
        without_nulls(wire, &["trial"])
    }

    fn item_wire(&self, item: &PhaseItem) -> Value {
        let wire = json!({
            "billing_thresholds": item.thresholds,
            "discounts": item.discounts,
            "metadata": item.metadata,
            "plan": item.price,
            "price": item.price,
            "quantity": item.quantity,
            "tax_rates": self.rates_wire(&item.tax_rates),
        });
        // Usage decides how many a metered price is billed for, so it has no quantity to show.
        without_nulls(wire, &["quantity"])
    }

    fn addition_wire(&self, addition: &PhaseAddition) -> Value {
        json!({
            "discountable": addition.discountable,
            "discounts": addition.discounts,
            "metadata": addition.metadata,
            "period": { "end": addition.end, "start": addition.start },
            "price": addition.price,
            "quantity": addition.quantity,
            "tax_rates": self.rates_wire(&addition.tax_rates),
        })
    }
}

impl DefaultSettings {
    fn wire(&self) -> Value {
        let method = self.collection_method.unwrap_or(CollectionMethod::ChargeAutomatically);
        json!({
            "application_fee_percent": null,
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": self.anchor.as_str(),
            "billing_thresholds": self.thresholds,
            "collection_method": method.as_str(),
            "default_payment_method": self.default_payment_method,
            "description": self.description,
            "invoice_settings": self.invoices.wire(&json!({ "type": "self" })),
            "on_behalf_of": null,
            "transfer_data": null,
        })
    }
}

impl PhaseInvoices {
    fn wire(&self, issuer: &Value) -> Value {
        json!({
            "account_tax_ids": null,
            "custom_fields": self.custom_fields,
            "days_until_due": self.days_until_due,
            "description": self.description,
            "footer": self.footer,
            "issuer": issuer,
        })
    }
}
