//! How a subscription begins.

use taximeter_kernel::time::Period;

use super::input::{Create, InvoiceSettingsInput, PaymentBehavior, PaymentSettingsInput};
use super::propose::propose;
use super::scheduled::Scheduled;
use super::timing::Timing;
use super::{
    CollectionMethod, InvoiceSettings, PaymentSettings, SUBSCRIPTIONS_PER_CUSTOMER_MAX, Status,
    Subscription, TrialSettings, additions, advance, first, pending, sql, thresholds,
};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::discounts::{self, DiscountInput, Holder};
use crate::error::{Error, Result};
use crate::invoices::{self, BillingReason, Collected, Draft, Invoice};
use crate::params::{Clear, Text};
use crate::{billing_settings, outbox, payment_methods, setup_intents, tax_rates, test_clocks};

const DAYS_UNTIL_DUE_MAX: i64 = 36_500;

/// Makes a subscription and, where the rules say there is one, its first invoice.
///
/// # Errors
/// A 400 when what is asked for is against the rules, a 404 when there is no such customer, a 402
/// when it must be paid and is not.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<Subscription> {
    Box::pin(make(ctx, input, None)).await
}

/// As [`create`], for a schedule: its first invoice is a draft for its time, and nothing has to be
/// paid for it to begin.
///
/// # Errors
/// As [`create`].
pub(crate) async fn begin(
    ctx: &mut Ctx,
    input: Create,
    scheduled: Scheduled,
) -> Result<Subscription> {
    Box::pin(make(ctx, input, Some(scheduled))).await
}

async fn make(
    ctx: &mut Ctx,
    mut input: Create,
    scheduled: Option<Scheduled>,
) -> Result<Subscription> {
    let customer = customers::locked(ctx, &input.customer, "customer").await;
    // Stripe's one exception: here an unknown customer is a 404.
    let customer = customer.map_err(|error| match error.code {
        Some("resource_missing") => error.not_found(),
        _ => error,
    })?;
    test_clocks::follow(ctx, &customer).await?;
    let behavior = input.payment_behavior.unwrap_or(PaymentBehavior::AllowIncomplete);
    if behavior == PaymentBehavior::PendingIfIncomplete {
        return Err(Error::invalid(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a \
             subscription.",
        )
        .param("payment_behavior"));
    }
    let method = input.collection_method.unwrap_or(CollectionMethod::ChargeAutomatically);
    let days_until_due = checked_days(method, input.days_until_due)?;
    let timing = Timing::take(&mut input);
    let mut subscription =
        propose(ctx, &customer, input.items, input.billing_mode, input.currency, "items").await?;
    subscription.collection_method = method;
    subscription.days_until_due = days_until_due;
    subscription.description = input.description.map(Into::into);
    subscription.metadata = input.metadata.0;
    let terms = &mut subscription.terms;
    if let Some(settings) = input.invoice_settings {
        set_invoice_settings(&mut terms.invoice_settings, settings)?;
    }
    if let Some(settings) = input.payment_settings {
        set_payment_settings(&mut terms.payment_settings, settings);
    }
    if let Some(settings) = input.trial_settings {
        terms.trial_settings = TrialSettings {
            missing_payment_method: settings.end_behavior.missing_payment_method,
            billing_cycle_anchor: settings.end_behavior.billing_cycle_anchor,
        };
    }
    let off_session = input.off_session;
    let asked = Asked {
        default_payment_method: input.default_payment_method,
        default_tax_rates: input.default_tax_rates.or_none().unwrap_or_default(),
        discounts: input.discounts.or_none().unwrap_or_default(),
    };
    asked.set(ctx, &mut subscription, &customer).await?;
    timing.set(&mut subscription, ctx.now)?;
    thresholds::set(&mut subscription, input.billing_thresholds)?;
    pending::set(&mut subscription, &input.pending_invoice_item_interval, ctx.now)?;
    let additions = input.add_invoice_items.unwrap_or_default();
    additions::add(ctx, &customer, &subscription, additions).await?;
    let by_schedule = scheduled.is_some();
    if let Some(scheduled) = scheduled {
        scheduled.set(&mut subscription);
    }
    let begin = Begin { behavior, charged: timing.charged, off_session, by_schedule };
    begin.run(ctx, subscription, customer).await
}

/// What was asked for that names other objects.
struct Asked {
    default_payment_method: Option<Text<255>>,
    default_tax_rates: Vec<Text<255>>,
    discounts: Vec<DiscountInput>,
}

impl Asked {
    async fn set(self, ctx: &mut Ctx, sub: &mut Subscription, customer: &Customer) -> Result<()> {
        if let Some(id) = &self.default_payment_method {
            let param = "default_payment_method";
            let method = payment_methods::attached(ctx, id, &customer.id, param).await?;
            sub.terms.default_payment_method = Some(method.id.as_str().to_owned());
        }
        let path = "default_tax_rates";
        sub.tax_rates = tax_rates::named(ctx, &self.default_tax_rates, path).await?;
        sub.terms.default_tax_rates =
            sub.tax_rates.iter().map(|rate| rate.id.as_str().to_owned()).collect();
        let holder = Holder::Subscription(&sub.id);
        let currency = sub.currency;
        let made =
            discounts::apply(ctx, holder, customer, currency, self.discounts, "discounts").await?;
        if !ctx.has_agreed_to_all() {
            let fixed = thresholds::fixed_minor(sub)?;
            discounts::check_minimum(ctx, &made, fixed, currency, "discounts").await?;
        }
        sub.terms.discounts = made.iter().map(|made| made.id.as_str().to_owned()).collect();
        Ok(())
    }
}

/// Puts a change on what invoices show.
///
/// # Errors
/// A 400 when there are too many fields.
pub(super) fn set_invoice_settings(
    settings: &mut InvoiceSettings,
    input: InvoiceSettingsInput,
) -> Result<()> {
    match input.custom_fields {
        Clear::Keep => {}
        Clear::Unset => settings.custom_fields = None,
        Clear::Set(fields) => {
            let path = "invoice_settings[custom_fields]";
            settings.custom_fields = Some(customers::checked_custom_fields(fields, path)?);
        }
    }
    input.description.apply(&mut settings.description);
    input.footer.apply(&mut settings.footer);
    Ok(())
}

/// Puts a change on how invoices are paid.
pub(super) fn set_payment_settings(settings: &mut PaymentSettings, input: PaymentSettingsInput) {
    match input.payment_method_types {
        Clear::Keep => {}
        Clear::Unset => settings.payment_method_types = None,
        Clear::Set(types) => {
            settings.payment_method_types = Some(types.into_iter().map(Into::into).collect());
        }
    }
    if let Some(save) = input.save_default_payment_method {
        settings.save_default_payment_method = Some(save);
    }
}

/// `days_until_due` belongs to sent invoices, and only to them.
///
/// # Errors
/// A 400 when they are not together.
pub(crate) fn checked_days(method: CollectionMethod, days: Option<i64>) -> Result<Option<i64>> {
    match (method, days) {
        (CollectionMethod::SendInvoice, None) => Err(Error::invalid(
            "If invoice collection method is 'send_invoice', you must specify 'days_until_due'.",
        )
        .param("days_until_due")),
        (CollectionMethod::ChargeAutomatically, Some(_)) => Err(Error::invalid(
            "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.",
        )
        .param("days_until_due")),
        (CollectionMethod::SendInvoice, Some(days))
            if !(0..=DAYS_UNTIL_DUE_MAX).contains(&days) =>
        {
            Err(Error::invalid(format!(
                "Invalid days_until_due: must be between 0 and {DAYS_UNTIL_DUE_MAX}."
            ))
            .param("days_until_due"))
        }
        (_, days) => Ok(days),
    }
}

/// How a subscription begins to be billed.
struct Begin {
    behavior: PaymentBehavior,
    charged: bool,
    off_session: Option<bool>,
    /// Whether a schedule begins it.
    by_schedule: bool,
}

impl Begin {
    /// Keeps the subscription, draws up its first invoice and collects it.
    async fn run(
        &self,
        ctx: &mut Ctx,
        mut subscription: Subscription,
        before: Customer,
    ) -> Result<Subscription> {
        if !self.by_schedule {
            refuse_too_many(ctx, &before).await?;
        }
        let mut customer = before.clone();
        customer.currency = Some(subscription.currency);
        let mut invoice = self.first_invoice(ctx, &subscription, &customer).await?;
        if let Some(invoice) = &mut invoice {
            invoices::add_up(ctx, invoice).await?;
            let must_pay = !self.by_schedule && must_be_paid_now(invoice, &customer)?;
            if must_pay {
                self.refuse_unpayable(ctx, &customer, &subscription).await?;
                subscription.status = Status::Incomplete;
            }
            subscription.latest_invoice = Some(invoice.id.clone());
        }
        if subscription.status != Status::Incomplete {
            ask_for_method(ctx, &customer, &mut subscription).await?;
        }
        sql::insert(ctx, &subscription).await?;
        outbox::push(ctx, "customer.subscription.created", &subscription.wire()).await?;
        let automatic = subscription.collection_method == CollectionMethod::ChargeAutomatically;
        let collected = automatic && !self.by_schedule;
        if invoice.is_some() && collected {
            // Finalizing the invoice says all at once that changes of the customer.
            customer = before;
        } else {
            customers::save(ctx, &before, &customer).await?;
        }
        if let Some(mut invoice) = invoice {
            invoices::keep_draft(ctx, &mut invoice).await?;
            advance::note_debits(&mut subscription, &invoice);
            for item in &subscription.items {
                sql::update_item(ctx, item).await?;
            }
            if collected {
                self.collect(ctx, &mut invoice, &mut customer).await?;
            }
        }
        let id = subscription.id.as_str();
        // What is due already, such as the news of a short trial's end, does not wait for a clock to be
        // moved.
        let caught_up = Box::pin(advance::catch_up(ctx, id, &mut customer)).await?;
        let subscription =
            caught_up.ok_or_else(|| Error::internal(format!("{id} is not there")))?;
        super::put_down(ctx, &subscription).await?;
        Ok(subscription)
    }

    /// The invoice with which a subscription begins. In flexible mode there is none when nothing is
    /// billed in advance.
    async fn first_invoice(
        &self,
        ctx: &mut Ctx,
        subscription: &Subscription,
        customer: &Customer,
    ) -> Result<Option<Invoice>> {
        let lines = first::lines(ctx, subscription, self.charged).await?;
        let draft = Draft {
            customer,
            subscription,
            billing_reason: BillingReason::SubscriptionCreate,
            period: Period { start: ctx.now, end: ctx.now },
            created: ctx.now,
            lines,
        };
        let mut invoice = draft.invoice(ctx.new_id())?;
        invoices::sweep_pending(ctx, &mut invoice).await?;
        if invoice.lines.is_empty() {
            return Ok(None);
        }
        if self.by_schedule || invoice.collection_method == CollectionMethod::SendInvoice {
            let grace = billing_settings::retrieve(ctx).await?.draft_grace_s;
            invoice.set_going(ctx.now, grace);
        }
        Ok(Some(invoice))
    }

    /// What is to be paid at once needs something to pay with, unless the client brings it later.
    async fn refuse_unpayable(
        &self,
        ctx: &mut Ctx,
        customer: &Customer,
        subscription: &Subscription,
    ) -> Result<()> {
        if self.behavior == PaymentBehavior::DefaultIncomplete {
            return Ok(());
        }
        let default = subscription.terms.default_payment_method.as_deref();
        if invoices::can_be_charged(ctx, customer, default).await? {
            return Ok(());
        }
        Err(invoices::no_payment_source())
    }

    async fn collect(
        &self,
        ctx: &mut Ctx,
        invoice: &mut Invoice,
        customer: &mut Customer,
    ) -> Result<()> {
        invoices::finalize_held(ctx, invoice, customer).await?;
        let is_open = invoice.status == invoices::Status::Open;
        if !is_open || self.behavior == PaymentBehavior::DefaultIncomplete {
            return Ok(());
        }
        let off_session = self.off_session.unwrap_or(false);
        match invoices::collect(ctx, invoice, customer, None, off_session).await? {
            Collected::NotPaid(error) if self.behavior == PaymentBehavior::ErrorIfIncomplete => {
                Err(error)
            }
            Collected::Paid | Collected::NotPaid(_) => Ok(()),
        }
    }
}

/// Where nothing is to be paid yet, the customer can be asked at once for what will pay later.
async fn ask_for_method(
    ctx: &mut Ctx,
    customer: &Customer,
    subscription: &mut Subscription,
) -> Result<()> {
    let automatic = subscription.collection_method == CollectionMethod::ChargeAutomatically;
    let default = subscription.terms.default_payment_method.as_deref();
    if !automatic || invoices::can_be_charged(ctx, customer, default).await? {
        return Ok(());
    }
    let asked = setup_intents::for_subscription(ctx, &customer.id, &subscription.id).await?;
    subscription.terms.pending_setup_intent = asked.map(|asked| asked.as_str().to_owned());
    Ok(())
}

/// Whether a first invoice has an amount to be paid before the subscription begins.
fn must_be_paid_now(invoice: &Invoice, customer: &Customer) -> Result<bool> {
    let automatic = invoice.collection_method == CollectionMethod::ChargeAutomatically;
    Ok(automatic && invoice.settlement(customer)?.amount_due > 0)
}

/// Holds the number of a customer's subscriptions, begun or scheduled, against the bound.
///
/// # Errors
/// A 400 when there are as many already.
pub(crate) async fn refuse_too_many(ctx: &mut Ctx, customer: &Customer) -> Result<()> {
    let current = sql::count_of_customer(ctx, &customer.id).await?;
    if current < SUBSCRIPTIONS_PER_CUSTOMER_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Customer {} already has the maximum {SUBSCRIPTIONS_PER_CUSTOMER_MAX} current subscriptions.",
        customer.id
    ))
    .code("customer_max_subscriptions")
    .param("customer"))
}
