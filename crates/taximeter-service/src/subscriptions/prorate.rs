//! What a change in the middle of a period gives back and charges, as pending invoice items.

use taximeter_kernel::decimal::{Decimal, Rounding, mul_div_round};
use taximeter_kernel::describe;
use taximeter_kernel::discount::Discount as Taken;
use taximeter_kernel::id::{Discount as DiscountKind, Id};
use taximeter_kernel::price::UsageType;
use taximeter_kernel::prorate;
use taximeter_kernel::time::{Period, Timestamp};
use taximeter_kernel::totals::{self, Level, Line as Amount, Reduction};

use super::advance::unbilled_from;
use super::thresholds::usage_lines;
use super::{BillingModeType, Debit, Item, ProrationDiscounts, Subscription, periods};
use crate::coupons::Duration;
use crate::ctx::Ctx;
use crate::discounts::{self, Discount};
use crate::error::{Error, Result};
use crate::invoice_items::{self, Credited, NewItem, ProrationDetails};
use crate::invoices::{self, too_large, whole_amount};
use crate::{customers, products};

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
    /// it was charged. Returns what was charged, with what of it is given back.
    ///
    /// # Errors
    /// A 400 when an amount does not fit.
    pub(super) async fn give_back(
        self,
        ctx: &mut Ctx,
        before: &Subscription,
        item: &Item,
    ) -> Result<Vec<Debit>> {
        if !self.billed || item.price.usage_type() == UsageType::Metered {
            return Ok(item.terms.debits.clone());
        }
        let mut debits = charged(ctx, before, item).await?;
        for debit in &mut debits {
            let period = Period { start: Timestamp(debit.start), end: Timestamp(debit.end) };
            let until = given_from(ctx, debit).await?;
            // It was for a time that is over, or is given back already.
            if self.at >= until || until <= period.start {
                continue;
            }
            let net = Net { amount: debit.amount, discounts: debit.discounts.clone() };
            let net = net.between(period, self.at, until)?.given_back()?;
            let rest = Period { start: self.at, end: until };
            let whole = period.contains(self.at).then_some(period);
            let part = Part { net, rest, whole, debit: Some(debit) };
            let credit = self.put(ctx, before, item, part).await?;
            debit.given.push((credit, self.at.0));
        }
        if before.billing_mode == BillingModeType::Flexible {
            return Ok(debits);
        }
        // What was charged is reckoned anew each time, until the subscription is billed by the other
        // rules: they must know what of it is given back.
        let given: Vec<_> = debits.into_iter().flat_map(|debit| debit.given).collect();
        let mut kept = item.terms.debits.clone();
        for debit in &mut kept {
            debit.given.extend(given.iter().cloned());
        }
        Ok(kept)
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
        let debit = self.charge_part(ctx, after, item, rest).await?;
        item.terms.debits.push(debit);
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
        let net = net_amount(ctx, after, item).await?.of_part(whole, rest)?;
        let Net { amount, discounts } = net.clone();
        let part = Part { net, rest, whole: Some(whole), debit: None };
        let id = self.put(ctx, after, item, part).await?;
        let (start, end) = (rest.start.0, rest.end.0);
        let given = Vec::new();
        Ok(Debit { line: None, invoice_item: Some(id), amount, discounts, start, end, given })
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
            if item.price.usage_type() == UsageType::Metered {
                // Nothing is paid for it; what is paid for after a change of its price is until then.
                item.terms.paid_until = end.map(|end| end.0);
                continue;
            }
            if will == was {
                continue;
            }
            if self.billed && will < was {
                let change = Self { at: will, ..self };
                item.terms.debits = change.give_back(ctx, before, item).await?;
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
                discounts: invoices::parsed(&item.terms.discounts)?,
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
        let net_amount = Some(part.net.amount);
        let (amount, discount_amounts) = match sub.proration_discounts {
            Some(ProrationDiscounts::Itemized) => (part.net.gross()?, part.net.discounts),
            Some(ProrationDiscounts::Included) | None => (part.net.amount, Vec::new()),
        };
        let details = ProrationDetails {
            credited_items: part.debit.and_then(credited),
            discount_amounts,
            whole: part.whole.map(|whole| (whole.start.0, whole.end.0)),
        };
        let new = NewItem {
            amount,
            quantity: Decimal::from(quantity),
            description: Some(description),
            period: part.rest,
            proration: Some(details),
            net_amount,
            ..new_item(sub, item)
        };
        let made = invoice_items::insert(ctx, new).await?;
        Ok(made.id.as_str().to_owned())
    }
}

/// An amount after discounts, and what each of them took off.
#[derive(Debug, Clone)]
struct Net {
    amount: i64,
    discounts: Vec<(String, i64)>,
}

impl Net {
    /// What falls on a part of the time that it is for.
    fn of_part(&self, period: Period, part: Period) -> Result<Self> {
        self.each(|amount| {
            prorate::of_part(amount, period, part).map_err(|error| too_large().because(error))
        })
    }

    /// What falls on the time between two instants: 1000 for 30 days are 333 from the 20th to the end,
    /// and 1000 from before the first.
    fn between(&self, period: Period, from: Timestamp, until: Timestamp) -> Result<Self> {
        self.each(|amount| {
            let rest = rest_from(amount, period, from)?;
            rest.checked_sub(rest_from(amount, period, until)?).ok_or_else(too_large)
        })
    }

    fn given_back(&self) -> Result<Self> {
        self.each(|amount| amount.checked_neg().ok_or_else(too_large))
    }

    fn each(&self, of: impl Fn(i64) -> Result<i64>) -> Result<Self> {
        let mut discounts = Vec::with_capacity(self.discounts.len());
        for (discount, amount) in &self.discounts {
            discounts.push((discount.clone(), of(*amount)?));
        }
        Ok(Self { amount: of(self.amount)?, discounts })
    }

    fn gross(&self) -> Result<i64> {
        let mut amounts = self.discounts.iter().map(|(_, amount)| *amount);
        amounts.try_fold(self.amount, i64::checked_add).ok_or_else(too_large)
    }
}

struct Part<'a> {
    net: Net,
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

/// What of an amount is for the time from an instant to the end of the period that it is for.
fn rest_from(amount: i64, period: Period, at: Timestamp) -> Result<i64> {
    if at >= period.end {
        return Ok(0);
    }
    if at <= period.start {
        return Ok(amount);
    }
    prorate::of_rest(amount, period, at).map_err(|error| too_large().because(error))
}

/// From when on a debit is given back already, by an invoice item that is still there.
async fn given_from(ctx: &mut Ctx, debit: &Debit) -> Result<Timestamp> {
    let mut from = debit.end;
    for (credit, at) in &debit.given {
        if *at < from && item_amount(ctx, credit).await?.is_some() {
            from = *at;
        }
    }
    Ok(Timestamp(from))
}

/// What was charged for the time of an item: in flexible mode what really was, in classic mode what
/// it costs as it is.
async fn charged(ctx: &mut Ctx, before: &Subscription, item: &Item) -> Result<Vec<Debit>> {
    if before.billing_mode == BillingModeType::Flexible {
        let mut debits = Vec::new();
        for debit in &item.terms.debits {
            // As it stands now: a draft may have changed since, an invoice may be taken back.
            match amount_of(ctx, debit).await? {
                Some(amount) if amount == debit.amount => debits.push(debit.clone()),
                Some(amount) => {
                    debits.push(Debit { amount, discounts: Vec::new(), ..debit.clone() });
                }
                None => {}
            }
        }
        return Ok(debits);
    }
    let paid = item.paid_period();
    let (start, end) = (paid.start.0, paid.end.0);
    let whole = periods::whole_at(before, item, paid.start)?;
    let net = net_amount(ctx, before, item).await?;
    let Net { amount, discounts } = if paid == whole { net } else { net.of_part(whole, paid)? };
    let line = item.terms.debits.first().and_then(|debit| debit.line.clone());
    let given = Vec::new();
    Ok(vec![Debit { line, invoice_item: None, amount, discounts, start, end, given }])
}

/// What a line or an invoice item charges, after discounts; nothing where it is gone or taken back.
async fn amount_of(ctx: &mut Ctx, debit: &Debit) -> Result<Option<i64>> {
    if let Some((invoice, line)) = &debit.line {
        return invoices::charged_by(ctx, invoice, line).await;
    }
    match &debit.invoice_item {
        Some(id) => item_amount(ctx, id).await,
        None => Ok(None),
    }
}

/// What an invoice item comes to; nothing where it was deleted, or its invoice taken back.
async fn item_amount(ctx: &mut Ctx, id: &str) -> Result<Option<i64>> {
    let Some(item) = invoice_items::find(ctx, id).await? else { return Ok(None) };
    match &item.invoice {
        Some(invoice) if invoices::is_void(ctx, invoice.as_str()).await? => Ok(None),
        _ => Ok(Some(item.net_amount.unwrap_or(item.amount))),
    }
}

/// What an item costs for a whole period after the discounts of its own and of its subscription, of
/// which it has its share: by size in flexible mode, in classic mode evenly with the items that
/// the subscription has.
async fn net_amount(ctx: &mut Ctx, sub: &Subscription, item: &Item) -> Result<Net> {
    let mut amounts = Vec::new();
    let mut licensed = Vec::new();
    let others = sub.items.iter().filter(|other| other.id != item.id);
    for other in others.chain([item]) {
        if let Some(amount) = whole_amount(sub, other)? {
            amounts.push(Amount { subtotal_minor: amount, discountable: true });
            licensed.push(other);
        }
    }
    let last = licensed.len().checked_sub(1);
    let place = last.ok_or_else(|| Error::internal("an item that is not licensed is prorated"))?;
    let mut reductions: Vec<(Discount, Reduction)> = Vec::new();
    // Where a subscription has none of its own, its customer's is taken off, as on its invoices.
    let mut of_sub = read(ctx, &sub.terms.discounts).await?;
    if sub.terms.inherits_discount() {
        let customer = customers::retrieve_any(ctx, sub.customer.as_str()).await?;
        of_sub.extend(customer.discount.filter(|discount| lasts(discount, ctx.now)));
    }
    for discount in of_sub {
        let of_all = reduction(sub, &discount, Level::Invoice, &licensed, None);
        let of_all = match sub.billing_mode {
            BillingModeType::Flexible => of_all,
            BillingModeType::Classic => {
                of_all.map(|all| evenly(all, sub, &licensed, place)).transpose()?
            }
        };
        reductions.extend(of_all.map(|reduction| (discount, reduction)));
    }
    for (at, other) in licensed.iter().enumerate() {
        for discount in read(ctx, &other.terms.discounts).await? {
            let own = reduction(sub, &discount, Level::Lines, &licensed, Some(at));
            reductions.extend(own.map(|reduction| (discount, reduction)));
        }
    }
    let (discounts, reductions): (Vec<Discount>, Vec<Reduction>) = reductions.into_iter().unzip();
    let totals =
        totals::discounted(&amounts, &reductions).map_err(|error| too_large().because(error))?;
    let line = totals.lines().get(place);
    let line = line.ok_or_else(|| Error::internal("an item that is prorated has no amount"))?;
    let taken = discounts.iter().zip(&line.discounts_minor).filter(|(_, amount)| **amount != 0);
    let taken = taken.map(|(discount, amount)| (discount.id.as_str().to_owned(), *amount));
    Ok(Net { amount: line.net_minor, discounts: taken.collect() })
}

/// An amount off all items, as the even share of the one at `place`: of those that it covers and the
/// subscription has. One that goes has none to share with but them.
fn evenly(
    mut all: Reduction,
    sub: &Subscription,
    licensed: &[&Item],
    place: usize,
) -> Result<Reduction> {
    let Taken::Amount(amount) = all.discount else { return Ok(all) };
    let stays = |item: &&Item| sub.items.iter().any(|held| held.id == item.id);
    let covered = licensed.iter().zip(&all.lines).filter(|(item, covers)| **covers && stays(item));
    let among = i64::try_from(covered.count()).map_err(Error::internal)?.max(1);
    let (amount, among) = (Decimal::from(amount), Decimal::from(among));
    let share = mul_div_round(amount, Decimal::ONE, among, Rounding::HalfAwayFromZero);
    all.discount = Taken::Amount(share.map_err(|error| too_large().because(error))?);
    for (at, covers) in all.lines.iter_mut().enumerate() {
        *covers &= at == place;
    }
    Ok(all)
}

async fn read(ctx: &mut Ctx, ids: &[String]) -> Result<Vec<Discount>> {
    let ids: Vec<Id<DiscountKind>> = invoices::parsed(ids)?;
    let mut discounts = discounts::of(ctx, &ids).await?;
    discounts.retain(|discount| lasts(discount, ctx.now));
    Ok(discounts)
}

/// Whether a discount is taken off what is prorated: one of a single use is for one invoice, and is
/// still there for the next renewal.
fn lasts(discount: &Discount, at: Timestamp) -> bool {
    discount.active_at(at) && discount.coupon.duration != Duration::Once
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
