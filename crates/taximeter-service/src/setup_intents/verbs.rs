//! What can be done with a setup intent.

use std::collections::BTreeMap;

use taximeter_db::Arg;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Kind as _, SetupIntent as SetupIntentKind,
    Subscription as SubscriptionKind,
};

use super::{
    Cancel, Confirm, Create, Details, List, Retrieve, SetupIntent, Status, Update, Usage, sql,
};
use crate::ctx::Ctx;
use crate::error::{Error, RefusedPayment, Result};
use crate::page::List as Page;
use crate::params::Choice as _;
use crate::payment_intents::{
    Authenticate, Authenticates, LastError, Named, automatic, client_secret,
};
use crate::payment_methods::{self, PaymentMethod};
use crate::payments::{Decline, Provider};
use crate::{customers, outbox, subscriptions, test_clocks};

/// Makes a setup intent, and confirms it where that is asked for.
///
/// # Errors
/// A 400 when what is named is none, a 402 when the payment method is declined.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<SetupIntent> {
    Provider::of(ctx.scope().mode).ready()?;
    let confirm = input.confirm == Some(true);
    if !confirm && input.return_url.is_some() {
        return Err(Error::invalid(
            "The parameter `return_url` can only be used when `confirm` is `true`.",
        )
        .code("setup_intent_invalid_parameter")
        .param("return_url"));
    }
    let named = Named::of(input.allowed_payment_method_types, input.payment_method_types)?;
    let automatic = automatic(input.automatic_payment_methods.as_ref(), &named)?;
    if let Some(id) = input.customer.as_deref() {
        let customer = customers::named(ctx, id, "customer").await?;
        test_clocks::follow(ctx, &customer).await?;
    }
    let id: Id<SetupIntentKind> = ctx.new_id();
    let mut intent = SetupIntent {
        client_secret: client_secret(ctx, id.as_str()),
        id,
        livemode: ctx.scope().mode.is_live(),
        status: Status::RequiresPaymentMethod,
        customer: None,
        payment_method: None,
        usage: input.usage.unwrap_or(Usage::OffSession),
        details: Details {
            allowed_types: named.0,
            automatic_payment_methods: automatic,
            description: input.description.map(Into::into),
            return_url: input.return_url.map(Into::into),
            ..Details::default()
        },
        metadata: input.metadata.0,
        created: ctx.now,
    };
    name_owner(ctx, &mut intent, input.customer.as_deref(), input.payment_method.as_deref())
        .await?;
    sql::insert(ctx, &intent).await?;
    outbox::push(ctx, "setup_intent.created", &intent.wire()).await?;
    if confirm {
        set_up(ctx, &mut intent).await?;
    }
    Ok(intent)
}

/// Makes the setup intent of a subscription that begins with nothing to be paid and nothing to pay
/// with, unless nobody collects in this mode.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn for_subscription(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    subscription: &Id<SubscriptionKind>,
) -> Result<Option<Id<SetupIntentKind>>> {
    if Provider::of(ctx.scope().mode).ready().is_err() {
        return Ok(None);
    }
    let id: Id<SetupIntentKind> = ctx.new_id();
    let intent = SetupIntent {
        client_secret: client_secret(ctx, id.as_str()),
        id,
        livemode: ctx.scope().mode.is_live(),
        status: Status::RequiresPaymentMethod,
        customer: Some(customer.clone()),
        payment_method: None,
        usage: Usage::OffSession,
        details: Details {
            automatic_payment_methods: automatic(None, &Named(None))?,
            subscription: Some(subscription.as_str().to_owned()),
            ..Details::default()
        },
        metadata: BTreeMap::new(),
        created: ctx.now,
    };
    sql::insert(ctx, &intent).await?;
    outbox::push(ctx, "setup_intent.created", &intent.wire()).await?;
    Ok(Some(intent.id))
}

/// Puts a customer and a payment method on an intent, each if it is named.
async fn name_owner(
    ctx: &mut Ctx,
    intent: &mut SetupIntent,
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

/// Tries to set the intent's payment method up.
async fn set_up(ctx: &mut Ctx, intent: &mut SetupIntent) -> Result<()> {
    let Some(id) = intent.payment_method.clone() else {
        return Err(Error::invalid(
            "You cannot confirm this SetupIntent because it's missing a payment method. Update the \
             SetupIntent with a payment method and then confirm it again.",
        )
        .code("setup_intent_unexpected_state"));
    };
    let method = payment_methods::taken(ctx, id.as_str(), intent.customer.as_ref()).await?;
    if let Some(decline) = method.test.refuses_attaching() {
        return Err(declined(ctx, intent, &method, decline).await?.keeping());
    }
    if method.test.authenticates_setup() {
        intent.status = Status::RequiresAction;
        intent.details.last_error = None;
        sql::update(ctx, intent).await?;
        return outbox::push(ctx, "setup_intent.requires_action", &intent.wire()).await;
    }
    succeed(ctx, intent, method).await
}

async fn succeed(ctx: &mut Ctx, intent: &mut SetupIntent, method: PaymentMethod) -> Result<()> {
    let off_session = intent.usage == Usage::OffSession;
    let set_up = method.id.clone();
    payment_methods::set_up(ctx, method, intent.customer.as_ref(), off_session).await?;
    intent.status = Status::Succeeded;
    intent.details.last_error = None;
    sql::update(ctx, intent).await?;
    outbox::push(ctx, "setup_intent.succeeded", &intent.wire()).await?;
    match &intent.details.subscription {
        Some(subscription) => {
            subscriptions::set_up_with(ctx, subscription, &intent.id, &set_up).await
        }
        None => Ok(()),
    }
}

/// Records that the payment method was declined, and makes the error that tells of it.
async fn declined(
    ctx: &mut Ctx,
    intent: &mut SetupIntent,
    method: &PaymentMethod,
    decline: Decline,
) -> Result<Error> {
    let shown = method.wire();
    intent.status = Status::RequiresPaymentMethod;
    intent.payment_method = None;
    intent.details.last_error =
        Some(LastError { decline, charge: None, payment_method: shown.clone() });
    sql::update(ctx, intent).await?;
    outbox::push(ctx, "setup_intent.setup_failed", &intent.wire()).await?;
    Ok(decline.error(RefusedPayment {
        payment_method: Some(shown),
        setup_intent: Some(intent.wire()),
        ..RefusedPayment::default()
    }))
}

/// Reads a setup intent whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<SetupIntent> {
    match sql::find(ctx, id).await? {
        Some(intent) => Ok(intent),
        None => Err(ctx.no_such_path(SetupIntentKind::NOUN, id).await?),
    }
}

/// Reads a setup intent, with its secret if one is shown.
///
/// # Errors
/// A 404 when there is none, a 400 when the secret is another's.
pub async fn read(ctx: &mut Ctx, id: &str, input: Retrieve) -> Result<SetupIntent> {
    let intent = retrieve(ctx, id).await?;
    match input.client_secret {
        Some(secret) if *secret != *intent.client_secret => Err(Error::invalid(
            "The client_secret provided does not match the client_secret associated with this \
             SetupIntent.",
        )
        .code("setup_intent_invalid_parameter")
        .param("client_secret")),
        _ => Ok(intent),
    }
}

/// Reads a setup intent whose id is in the path, held until the transaction ends. From here on it
/// is the time of its customer.
async fn locked_path(ctx: &mut Ctx, id: &str) -> Result<SetupIntent> {
    let found = retrieve(ctx, id).await?;
    if let Some(customer) = &found.customer {
        let customer = customers::hold(ctx, customer).await?;
        test_clocks::follow(ctx, &customer).await?;
    }
    // Held only now: the customer comes first.
    Ok(sql::lock(ctx, id).await?.unwrap_or(found))
}

fn wrong_state(intent: &SetupIntent, (verb, done): (&str, &str), allowed: &str) -> Error {
    Error::invalid(format!(
        "You cannot {verb} this SetupIntent because it has a status of {}. Only a SetupIntent with \
         one of the following statuses may be {done}: {allowed}.",
        intent.status.as_str()
    ))
    .code("setup_intent_unexpected_state")
}

const OPEN: &str = "requires_payment_method, requires_confirmation, requires_action";

fn check_open(intent: &SetupIntent, verb: (&str, &str)) -> Result<()> {
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {
            Ok(())
        }
        Status::Canceled | Status::Succeeded => Err(wrong_state(intent, verb, OPEN)),
    }
}

/// Changes a setup intent. What is set up, and for whom, changes only until it is.
///
/// # Errors
/// A 404 when there is none, a 400 when it is past that.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<SetupIntent> {
    let mut intent = locked_path(ctx, id).await?;
    let named = Named::of(input.allowed_payment_method_types, input.payment_method_types)?;
    if input.customer.is_some() || input.payment_method.is_some() || named.0.is_some() {
        check_open(&intent, ("update", "updated"))?;
    }
    name_owner(ctx, &mut intent, input.customer.as_deref(), input.payment_method.as_deref())
        .await?;
    name_types(&mut intent, named);
    input.description.apply(&mut intent.details.description);
    input.metadata.apply(&mut intent.metadata)?;
    sql::update(ctx, &intent).await?;
    Ok(intent)
}

/// Puts the types of payment methods on an intent, if they are named: the server no longer chooses.
fn name_types(intent: &mut SetupIntent, named: Named) {
    if named.0.is_some() {
        intent.details.allowed_types = named.0;
        intent.details.automatic_payment_methods = None;
    }
}

/// Confirms a setup intent: the owner agrees, and the payment method is tried.
///
/// # Errors
/// A 404 when there is none, a 400 when it is past that, a 402 when it is declined.
pub async fn confirm(ctx: &mut Ctx, id: &str, input: Confirm) -> Result<SetupIntent> {
    Provider::of(ctx.scope().mode).ready()?;
    let mut intent = locked_path(ctx, id).await?;
    check_open(&intent, ("confirm", "confirmed"))?;
    name_types(&mut intent, Named::of(input.allowed_payment_method_types, None)?);
    name_owner(ctx, &mut intent, None, input.payment_method.as_deref()).await?;
    if let Some(url) = input.return_url {
        intent.details.return_url = Some(url.into());
    }
    set_up(ctx, &mut intent).await?;
    Ok(intent)
}

/// Has the owner authenticate, or fail to: what a browser does in Stripe's test mode.
///
/// # Errors
/// A 404 when there is none, a 400 when nothing is asked of them.
pub async fn authenticate(ctx: &mut Ctx, id: &str, input: Authenticate) -> Result<SetupIntent> {
    Provider::of(ctx.scope().mode).ready()?;
    let mut intent = locked_path(ctx, id).await?;
    let (Status::RequiresAction, Some(method)) = (intent.status, intent.payment_method.clone())
    else {
        return Err(wrong_state(
            &intent,
            ("authenticate", "authenticated"),
            Status::RequiresAction.as_str(),
        ));
    };
    let method = payment_methods::taken(ctx, method.as_str(), intent.customer.as_ref()).await?;
    match input.outcome {
        Authenticates::Succeed => succeed(ctx, &mut intent, method).await?,
        Authenticates::Fail => {
            let decline = Decline::SetupAuthenticationFailed;
            // The browser is told by the intent.
            let _told = declined(ctx, &mut intent, &method, decline).await?;
        }
    }
    Ok(intent)
}

/// Gives a setup intent up.
///
/// # Errors
/// A 404 when there is none, a 400 when it is past that.
pub async fn cancel(ctx: &mut Ctx, id: &str, input: Cancel) -> Result<SetupIntent> {
    let mut intent = locked_path(ctx, id).await?;
    check_open(&intent, ("cancel", "canceled"))?;
    intent.status = Status::Canceled;
    intent.details.cancellation_reason =
        input.cancellation_reason.map(|reason| reason.as_str().to_owned());
    sql::update(ctx, &intent).await?;
    outbox::push(ctx, "setup_intent.canceled", &intent.wire()).await?;
    Ok(intent)
}

/// Lists setup intents, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.payment_method.as_deref()),
    ];
    let page = input.page()?;
    let slice = ctx.page(&page, SetupIntentKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let data = slice.rows.iter().map(SetupIntent::wire).collect();
    Ok(Page { url: "/v1/setup_intents".to_owned(), has_more: slice.has_more, data })
}
