//! A subscription and its items as clients see them.

use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::{
    BillingModeType, CancellationDetails, InvoiceSettings, Item, Paused, PaymentSettings,
    Subscription,
};
use crate::params::Choice;
use crate::tax_rates::TaxRate;
use crate::wire::{seconds, without_nulls};

impl Subscription {
    /// The object `subscription`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let terms = &self.terms;
        let object = json!({
            "id": self.id.as_str(),
            "object": "subscription",
            "application": null,
            "application_fee_percent": null,
            "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
            "billing_cycle_anchor": self.billing_cycle_anchor.0,
            "billing_cycle_anchor_config": terms.anchor_config,
            "billing_mode": self.billing_mode_wire(),
            "billing_schedules": [],
            "billing_thresholds": terms.billing_thresholds,
            "cancel_at": seconds(self.cancel_at),
            "cancel_at_period_end": self.cancel_at_period_end,
            "canceled_at": seconds(self.canceled_at),
            "cancellation_details": self.cancellation.wire(),
            "collection_method": self.collection_method.as_str(),
            "created": self.created.0,
            "currency": self.currency.code(),
            "customer": self.customer.as_str(),
            "customer_account": null,
            "days_until_due": self.days_until_due,
            "default_payment_method": terms.default_payment_method,
            "default_source": null,
            "default_tax_rates": self.tax_rates.iter().map(TaxRate::wire).collect::<Vec<_>>(),
            "description": self.description,
            "discounts": terms.discounts,
            "ended_at": seconds(self.ended_at),
            "invoice_settings": terms.invoice_settings.wire(),
            "items": self.items_wire(),
            "latest_invoice": self.latest_invoice.as_ref().map(Id::as_str),
            "livemode": self.livemode,
            "managed_payments": null,
            "metadata": self.metadata,
            "next_pending_invoice_item_invoice": terms.next_pending_invoice,
            "on_behalf_of": null,
            "pause_collection": terms.pause_collection,
            "payment_settings": terms.payment_settings.wire(),
            "pending_invoice_item_interval": terms.pending_interval,
            "pending_setup_intent": terms.pending_setup_intent,
            "pending_update": self.pending_update_wire(),
            "schedule": terms.schedule,
            "start_date": self.start_date.0,
            "status": self.status.as_str(),
            "status_details": terms.paused.map(Paused::wire),
            "test_clock": self.test_clock.as_ref().map(Id::as_str),
            "transfer_data": null,
            "trial_end": seconds(self.trial_end),
            "trial_settings": {
                "end_behavior": {
                    "billing_cycle_anchor": terms.trial_settings.billing_cycle_anchor,
                    "missing_payment_method": terms.trial_settings.missing_payment_method,
                },
            },
            "trial_start": seconds(self.trial_start),
        });
        without_nulls(object, &["status_details"])
    }

    fn items_wire(&self) -> Value {
        json!({
            "object": "list",
            "data": self.items.iter().map(Item::wire).collect::<Vec<_>>(),
            "has_more": false,
            "url": format!("/v1/subscription_items?subscription={}", self.id),
        })
    }

    fn pending_update_wire(&self) -> Option<Value> {
        let update = self.terms.pending_update.as_ref().filter(|update| update.shown)?;
        Some(update.wire(self.pending_items.as_deref()))
    }

    fn billing_mode_wire(&self) -> Value {
        let flexible = match self.billing_mode {
            BillingModeType::Classic => Value::Null,
            BillingModeType::Flexible => {
                json!({ "proration_discounts": self.proration_discounts.map(Choice::as_str) })
            }
        };
        let mode = json!({
            "flexible": flexible,
            "type": self.billing_mode.as_str(),
            "updated_at": seconds(self.billing_mode_updated_at),
        });
        without_nulls(mode, &["updated_at"])
    }
}

impl InvoiceSettings {
    fn wire(&self) -> Value {
        json!({
            "account_tax_ids": null,
            "custom_fields": self.custom_fields,
            "description": self.description,
            "footer": self.footer,
            "issuer": { "type": "self" },
        })
    }
}

impl PaymentSettings {
    fn wire(&self) -> Value {
        json!({
            "payment_method_options": null,
            "payment_method_types": self.payment_method_types,
            "save_default_payment_method":
                self.save_default_payment_method.map_or("off", Choice::as_str),
        })
    }
}

impl Paused {
    fn wire(self) -> Value {
        json!({
            "paused": {
                "subscription": { "type": self.reason },
                "transitioned_at": self.transitioned_at,
                "type": "subscription",
            },
        })
    }
}

impl CancellationDetails {
    fn wire(&self) -> Value {
        json!({
            "comment": self.comment,
            "feedback": self.feedback.map(Choice::as_str),
            "feedback_option": null,
            "reason": self.reason,
        })
    }
}

impl Item {
    /// The object `subscription_item`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let mut item = json!({
            "id": self.id.as_str(),
            "object": "subscription_item",
            "billing_thresholds": self.terms.billing_thresholds,
            "created": self.created.0,
            "current_period_end": self.current_period.end.0,
            "current_period_start": self.current_period.start.0,
            "current_trial": null,
            "discounts": self.terms.discounts,
            "metadata": self.metadata,
            "plan": self.price.plan_wire(),
            "price": self.price.wire(),
            "subscription": self.subscription.as_str(),
            "tax_rates": self.tax_rates.iter().map(TaxRate::wire).collect::<Vec<_>>(),
        });
        // Usage decides how many a metered price is billed for, so it has no quantity to show.
        if let (Some(quantity), Value::Object(members)) = (self.quantity, &mut item) {
            members.insert("quantity".to_owned(), quantity.into());
        }
        item
    }
}
