//! A discount as clients see it.

use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use super::{Discount, HolderKind};
use crate::wire::seconds;

impl Discount {
    /// The object `discount`, or what is shown of one that was removed.
    #[must_use]
    pub fn wire(&self) -> Value {
        let held_by = |kind: HolderKind| (self.kind == kind).then_some(self.holder.as_str());
        let mut discount = json!({
            "id": self.id.as_str(),
            "object": "discount",
            "checkout_session": null,
            "customer": self.customer.as_str(),
            "customer_account": null,
            "invoice": held_by(HolderKind::Invoice),
            "invoice_item": held_by(HolderKind::InvoiceItem),
            "promotion_code": self.promotion_code.as_ref().map(Id::as_str),
            "source": { "coupon": self.coupon.id.as_str(), "type": "coupon" },
            "start": self.start.0,
            "subscription": held_by(HolderKind::Subscription),
            "subscription_item": held_by(HolderKind::SubscriptionItem),
        });
        if self.removed_at.is_some() {
            discount["deleted"] = true.into();
        } else {
            discount["end"] = seconds(self.end);
        }
        discount
    }
}
