//! What a change in the middle of a period gives back and charges, as pending invoice items.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::describe;
use taximeter_kernel::id::{Discount as DiscountKind, Id};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::prorate::{self, ProrationError};
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_kernel::totals::{self, Level, Line as Amount, Reduction};

use super::advance::unbilled_from;
use super::thresholds::usage_lines;
use super::{BillingModeType, Debit, Item, Subscription, periods};
use crate::ctx::Ctx;
use crate::discounts::{self, Discount};
use crate::error::{Error, Result};
use crate::invoice_items::{self, Credited, NewItem, ProrationDetails};
use crate::invoices::{self, too_large, whole_amount};
use crate::products;

/// A change of a subscription's items at an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// When it takes effect: what is before it was used.
    pub(super) at: Timestamp,
    /// Whether it is billed.
    pub(super) billed: bool,
}

impl Change {
    /// Gives back what was charged for the rest of an item's period. `before` is the subscription as
    /// it was charged.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub(super) async fn give_back(
        self,
        ctx: &mut Ctx,
        before: &Subscription,
        item: &Item,
    ) -> Result<()> {
        if !self.billed || item.price.usage_type() == UsageType::Metered {
            return Ok(());
        }
        for debit in charged(ctx, before, item).await? {
            let period = Period { start: Timestamp(debit.start), end: Timestamp(debit.end) };
            let amount = match prorate::of_rest(debit.amount, period, self.at) {
                Ok(amount) => amount,
                // It was for a time that is over, or did not begin.
                Err(ProrationError::OutsidePeriod) if self.at >= period.end => continue,
                Err(ProrationError::OutsidePeriod) => debit.amount,
                Err(error) => return Err(too_large().because(error)),
            };
            let amount = amount.checked_neg().ok_or_else(too_large)?;
            let rest = Period { start: self.at, end: period.end };
            let whole = period.contains(self.at).then_some(period);
            self.put(ctx, before, item, Part { amount, rest, whole, debit: Some(&debit) }).await?;
        }
        Ok(())
    }

    /// Charges an item for the rest of the period it is in, and notes on it what was charged. `after`
    /// is the subscription as it will be.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub(super) async fn charge(
        self,
        ctx: &mut Ctx,
        after: &Subscription,
        item: &mut Item,
    ) -> Result<()> {
        if !self.billed || item.price.usage_type() == UsageType::Metered {
            return Ok(());
        }
        let end = periods::whole_at(after, item, self.at)?.end;
        let end = item.terms.paid_until.map_or(end, |until| end.min(Timestamp(until)));
        let rest = Period { start: self.at, end: end.max(self.at) };
        item.terms.debits = vec![self.charge_part(ctx, after, item, rest).await?];
        Ok(())
    }

    /// Charges an item for a part of the period it is in, and gives what was charged.
    async fn charge_part(
        self,
        ctx: &mut Ctx,
        after: &Subscription,
        item: &Item,
        rest: Period,
    ) -> Result<Debit> {
        let whole = periods::whole_at(after, item, rest.start)?;
        let amount = prorate::of_part(net_amount(ctx, after, item).await?, whole, rest)
            .map_err(|error| too_large().because(error))?;
        let part = Part { amount, rest, whole: Some(whole), debit: None };
        let id = self.put(ctx, after, item, part).await?;
        let (start, end) = (rest.start.0, rest.end.0);
        Ok(Debit { line: None, invoice_item: Some(id), amount, start, end })
    }

    /// Brings what is paid for of the periods that items are in in line with the end that `after` has:
    /// what lies behind it is given back, and what was given back and lies before it is charged again.
    /// Says whether there was anything.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub(super) async fn follow_end(
        self,
        ctx: &mut Ctx,
        before: &Subscription,
        after: &mut Subscription,
    ) -> Result<bool> {
        let ended = (before.cancel_at, before.cancel_at_period_end);
        if ended == (after.cancel_at, after.cancel_at_period_end) {
            return Ok(false);
        }
        let as_it_will_be = after.clone();
        let mut changed = false;
        for item in &mut after.items {
            let end = as_it_will_be.ends_within(item.current_period);
            let was = item.paid_period().end;
            let will = end.unwrap_or(item.current_period.end);
            if will == was || item.price.usage_type() == UsageType::Metered {
                continue;
            }
            if self.billed && will < was {
                let change = Self { at: will, ..self };
                change.give_back(ctx, before, item).await?;
                cut(&mut item.terms.debits, will)?;
            } else if self.billed {
                let change = Self { at: was, ..self };
                let part = Period { start: was, end: will };
                let debit = change.charge_part(ctx, &as_it_will_be, item, part).await?;
                item.terms.debits.push(debit);
            }
            if self.billed || will > was {
                item.terms.paid_until = end.map(|end| end.0);
            }
            changed |= self.billed;
        }
        Ok(changed)
    }

    /// Bills what was used of a metered item until now at the price it has had: in flexible mode. In
    /// classic mode usage before a change is forgotten.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub(super) async fn bill_usage(
        self,
        ctx: &mut Ctx,
        before: &Subscription,
        item: &Item,
    ) -> Result<()> {
        let forgotten = before.billing_mode == BillingModeType::Classic || !self.billed;
        if forgotten || item.price.usage_type() == UsageType::Licensed {
            return Ok(());
        }
        let period = Period { start: unbilled_from(item), end: ctx.now };
        for line in usage_lines(ctx, before, item, period).await? {
            if line.amount == 0 && line.quantity.is_zero() {
                continue;
            }
            let new = NewItem {
                amount: line.amount,
                quantity: line.quantity,
                unit_amount: line.unit_amount,
                description: line.description,
                discountable: line.details.discountable,
                period,
                ..new_item(before, item)
            };
            invoice_items::insert(ctx, new).await?;
        }
        Ok(())
    }

    async fn put(
        self,
        ctx: &mut Ctx,
        sub: &Subscription,
        item: &Item,
        part: Part<'_>,
    ) -> Result<String> {
        let product = products::retrieve_any(ctx, item.price.product.as_str()).await?;
        let quantity = item.quantity.unwrap_or(1);
        let description =
            describe::describe_proration(part.debit.is_some(), quantity, &product.name, self.at);
        let details = ProrationDetails {
            credited_items: part.debit.and_then(credited),
            discount_amounts: Vec::new(),
            whole: part.whole.map(|whole| (whole.start.0, whole.end.0)),
        };
        let new = NewItem {
            amount: part.amount,
            quantity: Decimal::from(quantity),
            description: Some(description),
            period: part.rest,
            proration: Some(details),
            net_amount: Some(part.amount),
            ..new_item(sub, item)
        };
        let made = invoice_items::insert(ctx, new).await?;
        Ok(made.id.as_str().to_owned())
    }
}

struct Part<'a> {
    amount: i64,
    rest: Period,
    /// What it is the rest of.
    whole: Option<Period>,
    /// What is given back, if it is not a charge.
    debit: Option<&'a Debit>,
}

fn new_item(sub: &Subscription, item: &Item) -> NewItem {
    let rates = (!item.tax_rates.is_empty()).then(|| item.tax_rates.clone());
    NewItem {
        customer: sub.customer.clone(),
        currency: sub.currency,
        amount: 0,
        quantity: Decimal::ONE,
        unit_amount: None,
        price: Some(item.price.id.clone()),
        product: Some(item.price.product.clone()),
        description: None,
        discountable: false,
        discounts: Vec::new(),
        tax_rates: rates,
        period: item.current_period,
        subscription: Some(sub.id.clone()),
        subscription_item: Some(item.id.clone()),
        invoice: None,
        proration: None,
        net_amount: None,
        metadata: std::collections::BTreeMap::new(),
    }
}

fn credited(debit: &Debit) -> Option<Credited> {
    if let Some((invoice, line)) = &debit.line {
        let (invoice, invoice_line_items) = (invoice.clone(), vec![line.clone()]);
        return Some(Credited::InvoiceLineItems { invoice, invoice_line_items });
    }
    let invoice_item = debit.invoice_item.clone()?;
    Some(Credited::InvoiceItem { invoice_item })
}

/// Takes off what was charged what of it was given back: for the time from an instant on.
fn cut(debits: &mut Vec<Debit>, at: Timestamp) -> Result<()> {
    debits.retain(|debit| debit.start < at.0);
    for debit in debits.iter_mut().filter(|debit| debit.end > at.0) {
        let period = Period { start: Timestamp(debit.start), end: Timestamp(debit.end) };
        let back = prorate::of_rest(debit.amount, period, at)
            .map_err(|error| too_large().because(error))?;
        debit.amount = debit.amount.checked_sub(back).ok_or_else(too_large)?;
        debit.end = at.0;
    }
    Ok(())
}

/// What was charged for the time of an item: in flexible mode what really was, in classic mode what
/// it costs as it is.
async fn charged(ctx: &mut Ctx, before: &Subscription, item: &Item) -> Result<Vec<Debit>> {
    if before.billing_mode == BillingModeType::Flexible {
        return Ok(item.terms.debits.clone());
    }
    let paid = item.paid_period();
    let (start, end) = (paid.start.0, paid.end.0);
    let whole = periods::whole_at(before, item, paid.start)?;
    let amount = net_amount(ctx, before, item).await?;
    let amount = if paid == whole {
        amount
    } else {
        prorate::of_part(amount, whole, paid).map_err(|error| too_large().because(error))?
    };
    let line = item.terms.debits.first().and_then(|debit| debit.line.clone());
    Ok(vec![Debit { line, invoice_item: None, amount, start, end }])
}

/// What an item costs for a whole period after the discounts of its own and of its subscription, of
/// which it has its share.
async fn net_amount(ctx: &mut Ctx, sub: &Subscription, item: &Item) -> Result<i64> {
    let mut amounts = Vec::new();
    let mut place = None;
    let mut licensed = Vec::new();
    let others = sub.items.iter().filter(|other| other.id != item.id);
    for other in others.chain([item]) {
        if let Some(amount) = whole_amount(sub, other)? {
            if other.id == item.id {
                place = Some(amounts.len());
            }
            amounts.push(Amount { subtotal_minor: amount, discountable: true });
            licensed.push(other);
        }
    }
    let mut reductions = Vec::new();
    let of_sub = read(ctx, &sub.terms.discounts).await?;
    for discount in of_sub {
        reductions.extend(reduction(sub, &discount, Level::Invoice, &licensed, None));
    }
    for (at, other) in licensed.iter().enumerate() {
        for discount in read(ctx, &other.terms.discounts).await? {
            reductions.extend(reduction(sub, &discount, Level::Lines, &licensed, Some(at)));
        }
    }
    let totals =
        totals::discounted(&amounts, &reductions).map_err(|error| too_large().because(error))?;
    let net = place.and_then(|place| totals.nets_minor().nth(place));
    net.ok_or_else(|| Error::internal("an item that is not licensed is prorated"))
}

async fn read(ctx: &mut Ctx, ids: &[String]) -> Result<Vec<Discount>> {
    let ids: Vec<Id<DiscountKind>> = invoices::parsed(ids)?;
    let mut discounts = discounts::of(ctx, &ids).await?;
    discounts.retain(|discount| discount.active_at(ctx.now));
    Ok(discounts)
}

fn reduction(
    sub: &Subscription,
    discount: &Discount,
    level: Level,
    items: &[&Item],
    only: Option<usize>,
) -> Option<Reduction> {
    let covers = |(at, item): (usize, &&Item)| {
        only.is_none_or(|only| only == at) && discount.coupon.covers(&item.price.product)
    };
    discount.of_lines(sub.currency, level, items.iter().enumerate().map(covers).collect())
}
