//! Invoice items on invoices: what is pending is put on the next one.

use taximeter_kernel::id::{Id, InvoiceItem as InvoiceItemKind};

use super::details::{Credited, DiscountAmount, LineDetails};
use super::{Invoice, Line};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::invoice_items::{self, InvoiceItem};

/// Puts what is pending for a customer before the lines of a draft: of a subscription's, what is for
/// it or for none. What is in another currency waits for an invoice in it.
///
/// # Errors
/// A 500 when the database cannot be read.
pub(crate) async fn sweep_pending(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let subscription = invoice.subscription.clone();
    let pending = invoice_items::pending(ctx, &invoice.customer, subscription.as_ref()).await?;
    let swept = pending.into_iter().filter(|item| item.currency == invoice.currency);
    let mut lines: Vec<Line> = swept.map(|item| line_of(ctx, &item)).collect();
    lines.append(&mut invoice.lines);
    invoice.lines = lines;
    Ok(())
}

/// Puts what is pending on a draft that is made by hand: of a subscription's, only what is for it;
/// else all that is in its currency.
pub(super) async fn sweep_own(ctx: &mut Ctx, invoice: &mut Invoice) -> Result<()> {
    let pending = invoice_items::pending(ctx, &invoice.customer, None).await?;
    let swept = pending.into_iter().filter(|item| {
        let own = invoice.subscription.is_none() || item.subscription == invoice.subscription;
        own && item.currency == invoice.currency
    });
    let lines: Vec<Line> = swept.map(|item| line_of(ctx, &item)).collect();
    invoice.lines.extend(lines);
    Ok(())
}

/// Notes on the items of an invoice that is kept that they are on it.
pub(super) async fn claim(ctx: &mut Ctx, invoice: &Invoice) -> Result<()> {
    let ids = invoice.lines.iter().filter_map(|line| line.invoice_item.as_deref());
    let ids: Result<Vec<Id<InvoiceItemKind>>> =
        ids.map(|id| Id::parse(id).map_err(Error::internal)).collect();
    invoice_items::claim(ctx, &ids?, &invoice.id).await
}

/// What discounts took off a proration, where it shows them beside its amount.
fn itemized(item: &InvoiceItem) -> Vec<DiscountAmount> {
    let taken = item.proration.iter().flat_map(|proration| &proration.discount_amounts);
    taken
        .map(|(discount, amount)| DiscountAmount { amount: *amount, discount: discount.clone() })
        .collect()
}

/// The line that an item is on an invoice.
pub(super) fn line_of(ctx: &Ctx, item: &InvoiceItem) -> Line {
    let texts = |ids: &[Id<taximeter_kernel::id::Discount>]| -> Vec<String> {
        ids.iter().map(|id| id.as_str().to_owned()).collect()
    };
    let rates = item.tax_rates.iter().flatten().map(|rate| rate.id.as_str().to_owned());
    let credited = item.proration.as_ref().and_then(|proration| proration.credited_items.as_ref());
    let credited = credited.and_then(|credited| match credited {
        invoice_items::Credited::InvoiceItem { .. } => None,
        invoice_items::Credited::InvoiceLineItems { invoice, invoice_line_items } => {
            Some(Credited { invoice: invoice.clone(), lines: invoice_line_items.clone() })
        }
    });
    Line {
        id: ctx.new_id(),
        amount: item.amount,
        quantity: item.quantity,
        description: item.description.clone(),
        period: item.period,
        price: item.price.clone(),
        product: item.product.clone(),
        unit_amount: item.unit_amount,
        subscription: item.subscription.clone(),
        subscription_item: item.subscription_item.clone(),
        invoice_item: Some(item.id.as_str().to_owned()),
        details: LineDetails {
            discountable: item.discountable,
            discounts: texts(&item.discounts),
            tax_rates: rates.collect(),
            metadata: Some(item.metadata.clone()),
            proration: item.proration.is_some(),
            itemized: itemized(item),
            credited,
            ..LineDetails::default()
        },
    }
}
