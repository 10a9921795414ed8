//! What is sold once along with a subscription: it goes on its next invoice.

use taximeter_kernel::time::{Period, Timestamp};

use super::Subscription;
use crate::choice;
use crate::ctx::Ctx;
use crate::customers::Customer;
use crate::discounts::DiscountInput;
use crate::error::{Error, Result};
use crate::invoice_items::{self, Addition, PriceDataInput};
use crate::params::{Clear, Metadata, Text};

/// The most of them in one request (Stripe's bound).
pub(super) const ADDITIONS_MAX: usize = 20;

choice! {
    /// From when something is.
    pub enum StartType {
        /// When the last period of the items began.
        MaxItemPeriodStart = "max_item_period_start",
        /// Now.
        Now = "now",
        /// An instant.
        Timestamp = "timestamp",
    }
}

choice! {
    /// Until when something is.
    pub enum EndType {
        /// When the first period of the items ends.
        MinItemPeriodEnd = "min_item_period_end",
        /// An instant.
        Timestamp = "timestamp",
    }
}

crate::params! {
    /// From when something is.
    pub struct StartInput {
        /// The instant, where it is one.
        pub timestamp: Option<i64>,
        /// From when.
        pub r#type: StartType,
    }
}

crate::params! {
    /// Until when something is.
    pub struct EndInput {
        /// The instant, where it is one.
        pub timestamp: Option<i64>,
        /// Until when.
        pub r#type: EndType,
    }
}

crate::params! {
    /// The time that something is for.
    pub struct SpanInput {
        /// Until when.
        pub end: EndInput,
        /// From when.
        pub start: StartInput,
    }
}

crate::params! {
    /// What is sold once along with a subscription.
    pub struct AddInvoiceItem {
        /// Whether discounts are taken off it.
        pub discountable: Option<bool>,
        /// What is taken off it alone.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The time it is for: the period that all items are in, if left out.
        pub period: Option<SpanInput>,
        /// Its price.
        pub price: Option<Text<255>>,
        /// A price made for it.
        pub price_data: Option<PriceDataInput>,
        /// How many.
        pub quantity: Option<i64>,
        /// What it alone is taxed by.
        pub tax_rates: Clear<Vec<Text<255>>>,
    }
}

/// The time that something is for, if it was said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

impl SpanInput {
    fn span(&self, now: Timestamp, at: &str) -> Result<Span> {
        let missing = |name: &str| Error::missing(format!("{at}[period][{name}][timestamp]"));
        let start = match self.start.r#type {
            StartType::MaxItemPeriodStart => None,
            StartType::Now => Some(now),
            StartType::Timestamp => {
                Some(Timestamp(self.start.timestamp.ok_or_else(|| missing("start"))?))
            }
        };
        let end = match self.end.r#type {
            EndType::MinItemPeriodEnd => None,
            EndType::Timestamp => {
                Some(Timestamp(self.end.timestamp.ok_or_else(|| missing("end"))?))
            }
        };
        for (sent, word, name) in [
            (self.start.timestamp, self.start.r#type == StartType::Timestamp, "start"),
            (self.end.timestamp, self.end.r#type == EndType::Timestamp, "end"),
        ] {
            if sent.is_some() && !word {
                let path = format!("{at}[period][{name}][timestamp]");
                let message = format!("You can only specify `{path}` with `type=timestamp`.");
                return Err(Error::invalid(message).param(path));
            }
        }
        Ok(Span { start, end })
    }
}

impl Span {
    /// The time itself, for a subscription with its items as they are.
    ///
    /// # Errors
    /// A 400 when it ends before it begins.
    pub(super) fn period(self, sub: &Subscription, now: Timestamp, at: &str) -> Result<Period> {
        let starts = sub.items.iter().map(|item| item.current_period.start);
        let ends = sub.items.iter().map(|item| item.current_period.end);
        let start = self.start.or(starts.max()).unwrap_or(now);
        let end = self.end.or(ends.min()).unwrap_or(now);
        if end < start {
            return Err(Error::invalid("Invalid period: `end` must not be before `start`.")
                .param(format!("{at}[period][end]")));
        }
        Ok(Period { start, end })
    }
}

/// Makes what is asked for pending items of a subscription, whose items are in the periods that they
/// will be in.
///
/// # Errors
/// A 400 when there are too many, or one is against the rules.
pub(super) async fn add(
    ctx: &mut Ctx,
    customer: &Customer,
    sub: &Subscription,
    inputs: Vec<AddInvoiceItem>,
) -> Result<()> {
    if inputs.len() > ADDITIONS_MAX {
        return Err(Error::invalid(format!(
            "You can add at most {ADDITIONS_MAX} invoice items at once."
        ))
        .param("add_invoice_items"));
    }
    for (place, input) in inputs.into_iter().enumerate() {
        let at = format!("add_invoice_items[{place}]");
        let span = input.period.map(|period| period.span(ctx.now, &at)).transpose()?;
        let addition = Addition {
            price: input.price,
            price_data: input.price_data,
            quantity: input.quantity,
            discountable: input.discountable,
            discounts: input.discounts.or_none().unwrap_or_default(),
            tax_rates: input.tax_rates.or_none().unwrap_or_default(),
            metadata: input.metadata.0,
            period: span.unwrap_or_default().period(sub, ctx.now, &at)?,
        };
        invoice_items::add(ctx, customer, sub, addition, &at).await?;
    }
    Ok(())
}
