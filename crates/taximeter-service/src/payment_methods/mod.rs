//! Payment methods: what customers pay with.

mod input;
mod make;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub use input::{
    Attach, BillingInput, CardChange, CardInput, Create, Detach, Hidden, List, ListOfCustomer,
    Update,
};
pub use make::create;
use taximeter_db::Arg;
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Kind as _, PaymentMethod as PaymentMethodKind,
};
use taximeter_kernel::time::Timestamp;
pub use wire::{BillingDetails, Card};

use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, RefusedPayment, Result};
use crate::page::List as Page;
use crate::params::Choice;
use crate::payments::{Behaviour, Provider};
use crate::{outbox, test_clocks};

crate::choice! {
    /// What a payment method is.
    pub enum Type {
        /// A card.
        Card = "card",
    }
}

crate::choice! {
    /// Whether a payment method may be shown to its owner again.
    pub enum AllowRedisplay {
        /// Wherever they pay.
        Always = "always",
        /// Where they said so.
        Limited = "limited",
        /// Nobody said.
        Unspecified = "unspecified",
    }
}

/// What a customer pays with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    /// Its id.
    pub id: Id<PaymentMethodKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Whose it is, once it is attached.
    pub customer: Option<Id<CustomerKind>>,
    /// What it is.
    pub kind: Type,
    /// What is kept of the card.
    pub card: Card,
    /// What it does when the test provider charges it.
    pub test: Behaviour,
    /// Whether it was set up for payments while its owner is away.
    pub set_up: bool,
    /// Whether it was used without a customer, or detached from one: it cannot be used again.
    pub spent: bool,
    /// Whether it may be shown to its owner again.
    pub allow_redisplay: AllowRedisplay,
    /// Whose it is, as they say.
    pub billing_details: BillingDetails,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
}

/// Reads a payment method whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<PaymentMethod> {
    match sql::find(ctx, id).await? {
        Some(method) => Ok(method),
        None => Err(ctx.no_such_path(PaymentMethodKind::NOUN, id).await?),
    }
}

/// Reads a payment method of a customer, both of whose ids are in the path.
///
/// # Errors
/// A 404 when there is no such customer, or it has no such payment method.
pub async fn retrieve_of_customer(
    ctx: &mut Ctx,
    customer: &str,
    id: &str,
) -> Result<PaymentMethod> {
    let customer = customers::retrieve_any(ctx, customer).await?;
    let method = retrieve(ctx, id).await?;
    if method.customer.as_ref() != Some(&customer.id) {
        return Err(Error::no_such(PaymentMethodKind::NOUN, id, "payment_method").not_found());
    }
    Ok(method)
}

/// Reads a payment method that a customer has, where one is named to pay with later on:
/// `default_payment_method`.
///
/// # Errors
/// A 400 when it has none such.
pub async fn attached(
    ctx: &mut Ctx,
    id: &str,
    customer: &Id<CustomerKind>,
    param: &str,
) -> Result<PaymentMethod> {
    match sql::find(ctx, id).await? {
        Some(method) if method.customer.as_ref() == Some(customer) => Ok(method),
        Some(_) => Err(not_of_customer(id, param)),
        None if ctx.is_in_other_mode(PaymentMethodKind::NOUN, id).await? => {
            Err(ctx.no_such(PaymentMethodKind::NOUN, id, param).await?)
        }
        None => Err(not_of_customer(id, param)),
    }
}

/// Reads a payment method that a customer still has; nothing where it was detached since.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn still_attached(
    ctx: &mut Ctx,
    id: &str,
    customer: &Id<CustomerKind>,
) -> Result<Option<PaymentMethod>> {
    let method = sql::find(ctx, id).await?;
    Ok(method.filter(|method| method.customer.as_ref() == Some(customer)))
}

fn not_of_customer(id: &str, param: &str) -> Error {
    Error::invalid(format!(
        "The customer does not have a payment method with the ID {id}. The payment method must be \
         attached to the customer."
    ))
    .code("resource_missing")
    .param(param)
}

/// Takes a payment method that somebody names to pay with now, for `customer` if there is one: a
/// name that stands for a card makes a new one.
///
/// # Errors
/// A 400 when there is none, it is somebody else's, or it cannot be used again.
pub async fn taken(
    ctx: &mut Ctx,
    id: &str,
    customer: Option<&Id<CustomerKind>>,
) -> Result<PaymentMethod> {
    let method = named(ctx, id, "payment_method").await?;
    if method.spent {
        return Err(spent());
    }
    match (&method.customer, customer) {
        (Some(own), Some(customer)) if own != customer => {
            Err(not_of_customer(id, "payment_method"))
        }
        (Some(_), None) => Err(Error::invalid(format!(
            "The payment method you provided ({id}) is attached to a customer so for security \
             purposes you must provide the customer in the request."
        ))
        .param("payment_method")),
        _ => Ok(method),
    }
}

/// Puts a customer and a payment method on what is paid or set up, each if it is named.
///
/// # Errors
/// As [`taken`]; a 400 when there is no such customer.
pub async fn name_payer(
    ctx: &mut Ctx,
    (payer, paid_with): (&mut Option<Id<CustomerKind>>, &mut Option<Id<PaymentMethodKind>>),
    customer: Option<&str>,
    method: Option<&str>,
) -> Result<()> {
    if let Some(id) = customer {
        *payer = Some(customers::named(ctx, id, "customer").await?.id);
    }
    // A new customer must be one whom the payment method fits.
    let kept = paid_with.as_ref().map(|id| id.as_str().to_owned());
    let checked = method.map(str::to_owned).or_else(|| customer.and(kept));
    if let Some(id) = checked {
        *paid_with = Some(taken(ctx, &id, payer.as_ref()).await?.id);
    }
    Ok(())
}

/// A payment method that a parameter names, held until the transaction ends.
async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<PaymentMethod> {
    if let Some(method) = make::cloned(ctx, id).await? {
        return Ok(method);
    }
    match sql::lock(ctx, id).await? {
        Some(method) => Ok(method),
        None => Err(ctx.no_such(PaymentMethodKind::NOUN, id, param).await?),
    }
}

fn spent() -> Error {
    Error::invalid(
        "This PaymentMethod was previously used without being attached to a Customer or was \
         detached from a Customer, and may not be used again.",
    )
}

/// Attaches a payment method to a customer.
///
/// # Errors
/// A 404 when there is none, a 400 when it is somebody else's, a 402 when the card is declined.
pub async fn attach(ctx: &mut Ctx, id: &str, input: Attach) -> Result<PaymentMethod> {
    Provider::of(ctx.scope().mode).ready()?;
    let customer = customers::locked(ctx, &input.customer, "customer").await?;
    test_clocks::follow(ctx, &customer).await?;
    let method = match named(ctx, id, "id").await {
        Ok(method) => method,
        Err(error) if error.code == Some("resource_missing") => return Err(error.not_found()),
        Err(error) => return Err(error),
    };
    attach_to(ctx, method, &customer.id).await
}

/// Attaches a payment method that a customer is made with.
///
/// # Errors
/// As [`attach`], but for a 400 where there is none.
pub(crate) async fn attach_named(
    ctx: &mut Ctx,
    id: &str,
    customer: &Id<CustomerKind>,
) -> Result<PaymentMethod> {
    Provider::of(ctx.scope().mode).ready()?;
    let method = named(ctx, id, "payment_method").await?;
    attach_to(ctx, method, customer).await
}

/// Makes a payment method a customer's.
///
/// # Errors
/// A 400 when it is somebody else's or cannot be used again, a 402 when the card is declined.
pub(crate) async fn attach_to(
    ctx: &mut Ctx,
    mut method: PaymentMethod,
    customer: &Id<CustomerKind>,
) -> Result<PaymentMethod> {
    match &method.customer {
        Some(own) if own == customer => return Ok(method),
        Some(_) => {
            return Err(Error::invalid(
                "The payment method you provided has already been attached to a customer.",
            ));
        }
        None if method.spent => return Err(spent()),
        None => {}
    }
    if let Some(decline) = method.test.refuses_attaching() {
        return Err(decline.error(RefusedPayment::default()));
    }
    if sql::count_of_customer(ctx, customer).await? >= sql::OF_CUSTOMER_MAX {
        let most = sql::OF_CUSTOMER_MAX;
        return Err(Error::invalid(format!(
            "You can attach at most {most} payment methods to a customer."
        ))
        .code("customer_max_payment_methods"));
    }
    method.customer = Some(customer.clone());
    method.check_cvc();
    sql::update(ctx, &method).await?;
    outbox::push(ctx, "payment_method.attached", &method.wire()).await?;
    Ok(method)
}

impl PaymentMethod {
    /// Notes what the bank says of the code, once it was asked.
    fn check_cvc(&mut self) {
        if self.card.cvc_check.as_deref() == Some("unchecked") {
            self.card.cvc_check = Some(self.card.cvc_answer.clone());
        }
    }
}

/// Notes that a payment method paid. One that is nobody's cannot pay again; one that is set up for
/// later becomes the customer's.
///
/// # Errors
/// As [`attach_to`].
pub(crate) async fn used(
    ctx: &mut Ctx,
    method: PaymentMethod,
    keep: Keep<'_>,
) -> Result<PaymentMethod> {
    let mut used = method.clone();
    used.check_cvc();
    match keep {
        Keep::Once => used.spent = used.customer.is_none(),
        Keep::For { customer, off_session } => {
            used.set_up = used.set_up || off_session;
            if used.customer.is_none() {
                return attach_to(ctx, used, customer).await;
            }
        }
    }
    if used != method {
        sql::update(ctx, &used).await?;
    }
    Ok(used)
}

/// Notes that a payment method was set up for payments to come: it becomes the customer's, if
/// there is one.
///
/// # Errors
/// As [`attach_to`].
pub(crate) async fn set_up(
    ctx: &mut Ctx,
    method: PaymentMethod,
    customer: Option<&Id<CustomerKind>>,
    off_session: bool,
) -> Result<()> {
    match customer {
        Some(customer) => {
            used(ctx, method, Keep::For { customer, off_session }).await?;
        }
        None => {
            let mut method = method;
            method.set_up = method.set_up || off_session;
            method.check_cvc();
            sql::update(ctx, &method).await?;
        }
    }
    Ok(())
}

/// What becomes of a payment method that was used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep<'a> {
    /// It was for once, unless it is a customer's already.
    Once,
    /// It is a customer's from now on.
    For {
        /// Whose.
        customer: &'a Id<CustomerKind>,
        /// Whether it pays while they are away.
        off_session: bool,
    },
}

/// Changes a payment method.
///
/// # Errors
/// A 404 when there is none, a 400 when it is nobody's, a 402 when the card would be over.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<PaymentMethod> {
    let Some(before) = sql::lock(ctx, id).await? else {
        return Err(ctx.no_such_path(PaymentMethodKind::NOUN, id).await?);
    };
    if before.customer.is_none() {
        return Err(Error::invalid(
            "You must save this PaymentMethod to a customer before you can update it.",
        ));
    }
    let mut method = before.clone();
    if let Some(allow) = input.allow_redisplay {
        method.allow_redisplay = allow;
    }
    if let Some(billing) = input.billing_details {
        billing.apply(&mut method.billing_details);
    }
    if let Some(card) = input.card {
        method.card.exp_month = card.exp_month.unwrap_or(method.card.exp_month);
        method.card.exp_year = card.exp_year.unwrap_or(method.card.exp_year);
        make::check_expiry(ctx, (method.card.exp_month, method.card.exp_year))?;
    }
    input.metadata.apply(&mut method.metadata)?;
    if method != before {
        sql::update(ctx, &method).await?;
    }
    outbox::push_update(ctx, "payment_method.updated", &before.wire(), &method.wire()).await?;
    Ok(method)
}

/// Detaches a payment method from its customer. It cannot be used again.
///
/// # Errors
/// A 404 when there is none, a 400 when it is nobody's.
pub async fn detach(ctx: &mut Ctx, id: &str, _: Detach) -> Result<PaymentMethod> {
    let unattached = || {
        Error::invalid(
            "The payment method you provided is not attached to a customer so detachment is \
             impossible.",
        )
    };
    let owner = retrieve(ctx, id).await?.customer.ok_or_else(unattached)?;
    // The customer first, as attaching does: two who wait for each other wait for ever.
    let before = customers::locked(ctx, owner.as_str(), "customer").await?;
    let method = sql::lock(ctx, id).await?.filter(|m| m.customer.as_ref() == Some(&owner));
    let method = method.ok_or_else(unattached)?;
    let mut customer = before.clone();
    let default = &mut customer.invoice_settings.default_payment_method;
    if default.as_deref() == Some(method.id.as_str()) {
        *default = None;
    }
    customers::save(ctx, &before, &customer).await?;
    detach_from(ctx, method).await
}

async fn detach_from(ctx: &mut Ctx, mut method: PaymentMethod) -> Result<PaymentMethod> {
    let before = method.wire();
    method.customer = None;
    method.spent = true;
    sql::update(ctx, &method).await?;
    outbox::push_update(ctx, "payment_method.detached", &before, &method.wire()).await?;
    Ok(method)
}

/// Detaches whatever a customer pays with, who is being deleted.
///
/// # Errors
/// A 500 when the database does not take it.
pub(crate) async fn detach_all(ctx: &mut Ctx, customer: &Customer) -> Result<()> {
    for method in sql::lock_of_customer(ctx, &customer.id).await? {
        detach_from(ctx, method).await?;
    }
    Ok(())
}

/// Lists payment methods, newest first.
///
/// # Errors
/// A 400 when a cursor or the customer names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    if let Some(customer) = &input.customer {
        customers::named(ctx, customer, "customer").await?;
    }
    let page = input.page()?;
    let filters = [
        Arg::from(input.allow_redisplay.map(Choice::as_str)),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.r#type.map(Choice::as_str)),
    ];
    read_page(ctx, &page, filters, "/v1/payment_methods".to_owned()).await
}

/// Lists a customer's payment methods, newest first.
///
/// # Errors
/// A 404 when there is no such customer, a 400 when a cursor names nothing.
pub async fn list_of_customer(
    ctx: &mut Ctx,
    customer: &str,
    input: ListOfCustomer,
) -> Result<Page> {
    let customer = customers::retrieve_any(ctx, customer).await?;
    let page = input.page()?;
    let filters = [
        Arg::from(input.allow_redisplay.map(Choice::as_str)),
        Arg::from(&customer.id),
        Arg::from(input.r#type.map(Choice::as_str)),
    ];
    let url = format!("/v1/customers/{}/payment_methods", customer.id);
    read_page(ctx, &page, filters, url).await
}

async fn read_page(
    ctx: &mut Ctx,
    page: &crate::page::Page,
    filters: [Arg; 3],
    url: String,
) -> Result<Page> {
    let slice = ctx.page(page, PaymentMethodKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    let data = slice.rows.iter().map(PaymentMethod::wire).collect();
    Ok(Page { url, has_more: slice.has_more, data })
}
