//! Previews of what a schedule bills next: as it stands, as it would be changed, or one that does not
//! exist yet.

use super::Invoice;
use taximeter_kernel::id::{Id, Invoice as InvoiceKind};

use super::preview::{How, ScheduleDetails, made_at_once, next_of_subscription};
use crate::ctx::Ctx;
use crate::customers;
use crate::error::{Error, Result};
use crate::params::Text;
use crate::subscription_schedules::{self, Schedule};
use crate::{subscriptions, test_clocks};

/// Whose next invoice is asked for.
pub(super) struct Scheduled {
    /// The schedule; a new one of the customer's, if none.
    pub(super) schedule: Option<Text<255>>,
    pub(super) customer: Option<Text<255>>,
    pub(super) details: ScheduleDetails,
}

impl Scheduled {
    /// Draws it up, as all previews to be undone: the invoice that a change or the first phase makes at
    /// once, if it makes one, or the next one. Where the schedule is still to begin, it begins.
    pub(super) async fn next(self, ctx: &mut Ctx, how: How) -> Result<Invoice> {
        let Self { schedule, customer, details } = self;
        let customer = customer.as_deref();
        match schedule {
            Some(id) => {
                let before = subscription_schedules::named(ctx, &id, "schedule").await?;
                if customer.is_some_and(|customer| customer != before.customer.as_str()) {
                    let message = format!("The schedule {} is not one of this customer.", &*id);
                    return Err(Error::invalid(message).param("schedule"));
                }
                let mut billed = None;
                if let Some(subscription) = &before.subscription {
                    let subscription = subscriptions::retrieve(ctx, subscription.as_str()).await?;
                    billed = subscription.latest_invoice;
                }
                let after = match details.update()? {
                    None => before.clone(),
                    Some(update) => {
                        let made = Box::pin(subscription_schedules::update(ctx, &id, update)).await;
                        made.map_err(|error| error.within("schedule_details"))?
                    }
                };
                let mut invoice = next_of(ctx, after, billed.as_ref(), how).await?;
                if before.subscription.is_none() {
                    invoice.forget_subscription();
                }
                Ok(invoice)
            }
            None => {
                let Some(id) = customer else { return Err(Error::missing("customer")) };
                let customer = customers::locked(ctx, id, "customer").await?;
                let new = details.create(&customer)?;
                let made = Box::pin(subscription_schedules::create(ctx, new)).await;
                let made = made.map_err(|error| error.within("schedule_details"))?;
                let mut invoice = next_of(ctx, made, None, how).await?;
                invoice.forget_subscription();
                Ok(invoice)
            }
        }
    }
}

/// The invoice that a schedule has made and that was not there before, or the next one that it makes.
async fn next_of(
    ctx: &mut Ctx,
    schedule: Schedule,
    billed: Option<&Id<InvoiceKind>>,
    how: How,
) -> Result<Invoice> {
    let customer = customers::retrieve_any(ctx, schedule.customer.as_str()).await?;
    test_clocks::follow(ctx, &customer).await?;
    let subscription =
        Box::pin(subscription_schedules::begun_ahead(ctx, schedule, &customer)).await?;
    let customer = customers::retrieve_any(ctx, customer.id.as_str()).await?;
    match subscription.latest_invoice.clone() {
        Some(made) if billed != Some(&made) => {
            made_at_once(ctx, &customer, made.as_str(), how).await
        }
        _ => next_of_subscription(ctx, &customer, &subscription, how).await,
    }
}
