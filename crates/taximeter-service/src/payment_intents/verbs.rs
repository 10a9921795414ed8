//! What can be done with a payment intent.

use taximeter_db::Arg;
use taximeter_kernel::id::{Id, Kind as _, PaymentIntent as PaymentIntentKind};

use super::input::{self, Authentication as Says};
use super::{
    Authenticate, Authenticated, Authentication, Cancel, Capture, CaptureMethod, Confirm, Create,
    Details, List, Named, Outcome, PaymentIntent, Retrieve, Status, Update, attempt, sql,
};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::page::List as Page;
use crate::params::Choice;
use crate::payment_methods;
use crate::payments::{self, Provider, Session};
use crate::search::{self, Search};
use crate::{charges, customers, test_clocks};

/// Makes a payment intent, and confirms it where that is asked for.
///
/// # Errors
/// A 400 when the amount or what is named is none, a 402 when the payment is declined.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<PaymentIntent> {
    Provider::of(ctx.scope().mode).ready()?;
    let confirm = input.confirm == Some(true);
    check_confirming(&input)?;
    let named = Named::of(input.allowed_payment_method_types, input.payment_method_types)?;
    let automatic = input::automatic(input.automatic_payment_methods.as_ref(), &named)?;
    let amount = input::checked_amount(input.amount, input.currency)?;
    let customer = match input.customer.as_deref() {
        Some(id) => Some(customers::named(ctx, id, "customer").await?),
        None => None,
    };
    if let Some(customer) = &customer {
        test_clocks::follow(ctx, customer).await?;
    }
    let customer = customer.map(|customer| customer.id);
    let method = match input.payment_method.as_deref() {
        Some(id) => Some(payment_methods::taken(ctx, id, customer.as_ref()).await?),
        None => None,
    };
    let id: Id<PaymentIntentKind> = ctx.new_id();
    let mut intent = PaymentIntent {
        seq: 0,
        client_secret: super::client_secret(ctx, id.as_str()),
        id,
        livemode: ctx.scope().mode.is_live(),
        status: match method {
            Some(_) => Status::RequiresConfirmation,
            None => Status::RequiresPaymentMethod,
        },
        amount,
        amount_capturable: 0,
        amount_received: 0,
        currency: input.currency,
        customer,
        payment_method: method.as_ref().map(|method| method.id.clone()),
        latest_charge: None,
        invoice: None,
        capture_method: input.capture_method.unwrap_or(CaptureMethod::AutomaticAsync),
        attempts: 0,
        canceled_at: None,
        details: Details {
            allowed_types: named.0,
            automatic_payment_methods: automatic,
            cancellation_reason: None,
            description: input.description.map(Into::into),
            last_error: None,
            receipt_email: input.receipt_email.map(Into::into),
            return_url: input.return_url.map(Into::into),
            setup_future_usage: input.setup_future_usage,
            shipping: input.shipping.map(Into::into),
            statement_descriptor: input.statement_descriptor.map(Into::into),
            statement_descriptor_suffix: input.statement_descriptor_suffix.map(Into::into),
        },
        metadata: input.metadata.0,
        created: ctx.now,
    };
    super::insert(ctx, &intent).await?;
    if confirm {
        let how = how(input.off_session, input.error_on_requires_action);
        collect(ctx, &mut intent, how).await?;
    }
    Ok(intent)
}

/// What is of use only to an intent that is confirmed at once.
fn check_confirming(input: &Create) -> Result<()> {
    if input.confirm == Some(true) {
        return Ok(());
    }
    for (name, given) in [
        ("error_on_requires_action", input.error_on_requires_action.is_some()),
        ("off_session", input.off_session.is_some()),
        ("return_url", input.return_url.is_some()),
    ] {
        if given {
            return Err(Error::invalid(format!(
                "The parameter `{name}` can only be used when `confirm` is `true`."
            ))
            .code("payment_intent_invalid_parameter")
            .param(name));
        }
    }
    Ok(())
}

fn how(off_session: Option<bool>, error_on_action: Option<bool>) -> (Session, Authentication) {
    match (off_session == Some(true), error_on_action == Some(true)) {
        (true, _) => (Session::Off, Authentication::Refuse),
        (false, true) => (Session::On, Authentication::Refuse),
        (false, false) => (Session::On, Authentication::Wait),
    }
}

/// Tries to collect an intent with the payment method it has, and tells the invoice it is for.
async fn collect(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    how: (Session, Authentication),
) -> Result<()> {
    let Some(id) = intent.payment_method.clone() else {
        return Err(Error::invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can \
             either update the PaymentIntent with a payment method and then confirm it again, or \
             confirm it again directly with a payment method or ConfirmationToken.",
        )
        .code("payment_intent_unexpected_state"));
    };
    let method = payment_methods::taken(ctx, id.as_str(), intent.customer.as_ref()).await?;
    match attempt::begin(ctx, intent, method, how).await? {
        Outcome::Declined(error) => {
            tell_invoice_of_failure(ctx, intent).await?;
            Err(error.keeping())
        }
        Outcome::Paid => tell_invoice(ctx, intent).await,
        Outcome::RequiresAction | Outcome::Processing => Ok(()),
    }
}

async fn tell_invoice(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    match (&intent.invoice, intent.status) {
        (Some(invoice), Status::Succeeded) => payments::succeeded(ctx, invoice, intent).await,
        _ => Ok(()),
    }
}

async fn tell_invoice_of_failure(ctx: &mut Ctx, intent: &PaymentIntent) -> Result<()> {
    match &intent.invoice {
        Some(invoice) => payments::failed(ctx, invoice).await,
        None => Ok(()),
    }
}

/// Reads a payment intent, with its secret if one is shown.
///
/// # Errors
/// A 404 when there is none, a 400 when the secret is another's.
pub async fn read(ctx: &mut Ctx, id: &str, input: Retrieve) -> Result<PaymentIntent> {
    let intent = super::retrieve(ctx, id).await?;
    match input.client_secret {
        Some(secret) if *secret != *intent.client_secret => Err(Error::invalid(
            "The client_secret provided does not match the client_secret associated with this \
             PaymentIntent.",
        )
        .code("payment_intent_invalid_parameter")
        .param("client_secret")),
        _ => Ok(intent),
    }
}

/// Reads a payment intent whose id is in the path, held until the transaction ends. From here on
/// it is the time of whoever pays.
async fn locked_path(ctx: &mut Ctx, id: &str) -> Result<PaymentIntent> {
    let found = super::retrieve(ctx, id).await?;
    if let Some(customer) = &found.customer {
        let customer = customers::hold(ctx, customer).await?;
        test_clocks::follow(ctx, &customer).await?;
    }
    // Held only now: the customer comes first.
    Ok(sql::lock(ctx, id).await?.unwrap_or(found))
}

/// Changes a payment intent. What decides about the money changes only until it moves.
///
/// # Errors
/// A 404 when there is none, a 400 when it is past that.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<PaymentIntent> {
    let mut intent = locked_path(ctx, id).await?;
    let named = Named::of(input.allowed_payment_method_types, input.payment_method_types)?;
    let sets = [
        ("amount", input.amount.is_some()),
        ("capture_method", input.capture_method.is_some()),
        ("currency", input.currency.is_some()),
        ("customer", input.customer.is_some()),
        ("payment_method", input.payment_method.is_some()),
        ("payment_method_types", named.0.is_some()),
        ("receipt_email", !input.receipt_email.is_keep()),
        ("setup_future_usage", !input.setup_future_usage.is_keep()),
        ("shipping", !input.shipping.is_keep()),
        ("statement_descriptor", input.statement_descriptor.is_some()),
        ("statement_descriptor_suffix", input.statement_descriptor_suffix.is_some()),
    ];
    for (name, _) in sets.into_iter().filter(|(_, set)| *set) {
        check_changeable(&intent, name)?;
    }
    if input.amount.is_some() || input.currency.is_some() {
        intent.currency = input.currency.unwrap_or(intent.currency);
        let amount = input.amount.unwrap_or(intent.amount);
        intent.amount = input::checked_amount(amount, intent.currency)?;
    }
    intent.capture_method = input.capture_method.unwrap_or(intent.capture_method);
    name_payer(ctx, &mut intent, input.customer.as_deref(), input.payment_method.as_deref())
        .await?;
    name_types(&mut intent, named);
    let details = &mut intent.details;
    input.description.apply(&mut details.description);
    input.receipt_email.apply(&mut details.receipt_email);
    input.setup_future_usage.apply(&mut details.setup_future_usage);
    input.shipping.apply(&mut details.shipping);
    if let Some(text) = input.statement_descriptor {
        details.statement_descriptor = Some(text.into());
    }
    if let Some(text) = input.statement_descriptor_suffix {
        details.statement_descriptor_suffix = Some(text.into());
    }
    input.metadata.apply(&mut intent.metadata)?;
    sql::update(ctx, &intent).await?;
    Ok(intent)
}

/// Whether a field that decides about the money can change still.
fn check_changeable(intent: &PaymentIntent, name: &'static str) -> Result<()> {
    let refuse = |message: String| {
        Err(Error::invalid(message).code("payment_intent_unexpected_state").param(name))
    };
    let of_invoice = matches!(name, "amount" | "capture_method" | "currency" | "customer");
    if of_invoice && intent.invoice.is_some() {
        return refuse(format!(
            "You cannot update the {name} of this PaymentIntent because it was created by an \
             Invoice."
        ));
    }
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {
            Ok(())
        }
        Status::Processing | Status::RequiresCapture | Status::Canceled | Status::Succeeded => {
            refuse(format!(
                "This PaymentIntent's {name} could not be updated because it has a status of {}. \
                 You may only update the {name} of a PaymentIntent with one of the following \
                 statuses: requires_payment_method, requires_confirmation, requires_action.",
                intent.status.as_str()
            ))
        }
    }
}

/// Puts a customer and a payment method on an intent, each if it is named.
async fn name_payer(
    ctx: &mut Ctx,
    intent: &mut PaymentIntent,
    customer: Option<&str>,
    method: Option<&str>,
) -> Result<()> {
    let held = (&mut intent.customer, &mut intent.payment_method);
    payment_methods::name_payer(ctx, held, customer, method).await?;
    if method.is_some() {
        intent.status = Status::RequiresConfirmation;
    }
    Ok(())
}

/// Puts the types of payment methods on an intent, if they are named: the server no longer chooses.
fn name_types(intent: &mut PaymentIntent, named: Named) {
    if named.0.is_some() {
        intent.details.allowed_types = named.0;
        intent.details.automatic_payment_methods = None;
    }
}

/// Confirms a payment intent: the one who pays agrees, and the money is asked for.
///
/// # Errors
/// A 404 when there is none, a 400 when it is past that, a 402 when the payment is declined.
pub async fn confirm(ctx: &mut Ctx, id: &str, input: Confirm) -> Result<PaymentIntent> {
    Provider::of(ctx.scope().mode).ready()?;
    let mut intent = locked_path(ctx, id).await?;
    check_confirmable(&intent)?;
    let named = Named::of(input.allowed_payment_method_types, input.payment_method_types)?;
    name_payer(ctx, &mut intent, None, input.payment_method.as_deref()).await?;
    if let Some(capture_method) = input.capture_method {
        check_changeable(&intent, "capture_method")?;
        intent.capture_method = capture_method;
    }
    name_types(&mut intent, named);
    let details = &mut intent.details;
    input.receipt_email.apply(&mut details.receipt_email);
    input.setup_future_usage.apply(&mut details.setup_future_usage);
    input.shipping.apply(&mut details.shipping);
    if let Some(url) = input.return_url {
        details.return_url = Some(url.into());
    }
    let how = how(input.off_session, input.error_on_requires_action);
    collect(ctx, &mut intent, how).await?;
    Ok(intent)
}

fn check_confirmable(intent: &PaymentIntent) -> Result<()> {
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {
            Ok(())
        }
        Status::Succeeded | Status::RequiresCapture => Err(Error::invalid(
            "You cannot confirm this PaymentIntent because it has already succeeded after being \
             previously confirmed.",
        )
        .code("payment_intent_unexpected_state")),
        Status::Processing | Status::Canceled => Err(super::wrong_state(
            intent,
            ("confirm", "confirmed"),
            "requires_confirmation, requires_action",
        )),
    }
}

/// Has the one who pays authenticate, or fail to: what a browser does in Stripe's test mode.
///
/// # Errors
/// A 404 when there is none, a 400 when nothing is asked of them.
pub async fn authenticate(ctx: &mut Ctx, id: &str, input: Authenticate) -> Result<PaymentIntent> {
    Provider::of(ctx.scope().mode).ready()?;
    let mut intent = locked_path(ctx, id).await?;
    let (Status::RequiresAction, Some(method)) = (intent.status, intent.payment_method.clone())
    else {
        return Err(super::wrong_state(
            &intent,
            ("authenticate", "authenticated"),
            "requires_action",
        ));
    };
    let authenticated = match input.outcome {
        Says::Succeed => Authenticated::Yes,
        Says::Fail => Authenticated::No,
    };
    let method = payment_methods::taken(ctx, method.as_str(), intent.customer.as_ref()).await?;
    match attempt::resume(ctx, &mut intent, method, authenticated).await? {
        Outcome::Paid => tell_invoice(ctx, &intent).await?,
        // The browser is told by the intent.
        Outcome::Declined(_) => tell_invoice_of_failure(ctx, &intent).await?,
        Outcome::RequiresAction | Outcome::Processing => {}
    }
    Ok(intent)
}

/// Takes what is held, or a part of it; the rest is let go.
///
/// # Errors
/// A 404 when there is none, a 400 when nothing is held, or less than is to be taken.
pub async fn capture(ctx: &mut Ctx, id: &str, input: Capture) -> Result<PaymentIntent> {
    let mut intent = locked_path(ctx, id).await?;
    let (Status::RequiresCapture, Some(charge)) = (intent.status, intent.latest_charge.clone())
    else {
        return Err(Error::invalid(format!(
            "This PaymentIntent could not be captured because it has a status of {}. Only a \
             PaymentIntent with one of the following statuses may be captured: requires_capture.",
            intent.status.as_str()
        ))
        .code("payment_intent_unexpected_state"));
    };
    let amount = input.amount_to_capture.unwrap_or(intent.amount_capturable);
    if !(1..=intent.amount_capturable).contains(&amount) {
        return Err(Error::invalid(format!(
            "The amount to capture must be between 1 and the amount that can be captured, {}.",
            intent.amount_capturable
        ))
        .code(if amount < 1 { "parameter_invalid_integer" } else { "amount_too_large" })
        .param("amount_to_capture"));
    }
    charges::capture(ctx, &charge, amount).await?;
    intent.status = Status::Succeeded;
    intent.amount_capturable = 0;
    intent.amount_received = amount;
    if let Some(text) = input.statement_descriptor {
        intent.details.statement_descriptor = Some(text.into());
    }
    if let Some(text) = input.statement_descriptor_suffix {
        intent.details.statement_descriptor_suffix = Some(text.into());
    }
    input.metadata.apply(&mut intent.metadata)?;
    sql::update(ctx, &intent).await?;
    attempt::succeeded(ctx, &intent).await?;
    Ok(intent)
}

/// Gives a payment intent up.
///
/// # Errors
/// A 404 when there is none, a 400 when it is past that, or an invoice's.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<PaymentIntent> {
    let mut intent = locked_path(ctx, id).await?;
    if intent.invoice.is_some() {
        return Err(Error::invalid(
            "You cannot cancel this PaymentIntent because it was created by an Invoice. Void the \
             Invoice instead.",
        )
        .code("payment_intent_unexpected_state"));
    }
    let reason = input.cancellation_reason.map(Choice::as_str);
    super::give_up(ctx, &mut intent, reason).await?;
    Ok(intent)
}

/// Lists payment intents, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.customer.as_deref()),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, PaymentIntentKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let data = slice.rows.iter().map(PaymentIntent::wire).collect();
    Ok(Page { url: "/v1/payment_intents".to_owned(), has_more: slice.has_more, data })
}

/// Searches payment intents.
///
/// # Errors
/// A 400 when the query is malformed.
pub async fn search(ctx: &mut Ctx, input: Search) -> Result<serde_json::Value> {
    let found = search::run::<PaymentIntent>(ctx, &input, sql::ALL).await?;
    Ok(found.wire("/v1/payment_intents/search", PaymentIntent::wire))
}
