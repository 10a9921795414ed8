//! Customers: who is billed.

mod currency;
mod input;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub use currency::{bind_currency, bound_currency};
pub(crate) use input::checked_balance;
pub(crate) use input::checked_custom_fields;
pub use input::{AddressInput, Create, CustomFieldInput, Delete, List, ShippingInput, Update};
use serde_json::Value;
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_kernel::id::{
    Customer as CustomerKind, Discount as DiscountKind, Id, Kind as _, TestClock,
};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::Timestamp;
pub use wire::{Address, CustomField, InvoiceSettings, RenderingOptions, Shipping};

use crate::balance_transactions::{self, BalanceChange};
use crate::catalog::{Presence, Touched};
use crate::ctx::{Ctx, word};
use crate::discounts::{self, Discount};
use crate::error::{Error, Result};
use crate::page::{List as Page, Slice};
use crate::params::{Clear, Text};
use crate::search::{self, Field, FieldKind, FieldValue, Search, Searchable};
use crate::{outbox, payment_methods, stored, subscription_schedules, subscriptions, test_clocks};

crate::choice! {
    /// How a customer is taxed.
    pub enum TaxExempt {
        /// As usual.
        None = "none",
        /// The customer accounts for the tax.
        Reverse = "reverse",
        /// Not at all.
        Exempt = "exempt",
    }
}

/// Who is billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    seq: i64,
    /// Its id.
    pub id: Id<CustomerKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Whether it was deleted: it keeps its id and its invoices, and nothing else is shown.
    pub deleted: bool,
    /// Full name or business name.
    pub name: Option<String>,
    /// Where invoices are sent.
    pub email: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
    /// A note of the operator's.
    pub description: Option<String>,
    /// The name of the business.
    pub business_name: Option<String>,
    /// The name of the person.
    pub individual_name: Option<String>,
    /// Billing address.
    pub address: Option<Address>,
    /// Where goods go.
    pub shipping: Option<Shipping>,
    /// Owed (positive) or in credit (negative), in minor units of `currency`; goes on the next
    /// invoice.
    pub balance: i64,
    /// The one currency this customer is billed in, once there is one.
    pub currency: Option<Currency>,
    /// What is taken off all that it is billed.
    pub discount: Option<Discount>,
    /// The id of that, as the row has it.
    discount_id: Option<Id<DiscountKind>>,
    /// Whether the latest payment failed.
    pub delinquent: bool,
    /// What its invoice numbers begin with.
    pub invoice_prefix: String,
    /// The number that its next invoice gets.
    pub next_invoice_sequence: i64,
    /// What its invoices show.
    pub invoice_settings: InvoiceSettings,
    /// Languages, most wanted first.
    pub preferred_locales: Vec<String>,
    /// How it is taxed.
    pub tax_exempt: TaxExempt,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// The test clock that its time is told by.
    pub test_clock: Option<Id<TestClock>>,
}

impl Row for Customer {
    fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
        Ok(Self {
            seq: cells.get("seq")?,
            id: cells.get("id")?,
            livemode: cells.get("livemode")?,
            deleted: cells.get("deleted")?,
            name: cells.get("name")?,
            email: cells.get("email")?,
            phone: cells.get("phone")?,
            description: cells.get("description")?,
            business_name: cells.get("business_name")?,
            individual_name: cells.get("individual_name")?,
            address: stored::read_optional(cells, "address")?,
            shipping: stored::read_optional(cells, "shipping")?,
            balance: cells.get("balance")?,
            currency: cells.get("currency")?,
            discount: None,
            discount_id: cells.get("discount")?,
            delinquent: cells.get("delinquent")?,
            invoice_prefix: cells.get("invoice_prefix")?,
            next_invoice_sequence: cells.get("next_invoice_sequence")?,
            invoice_settings: stored::read(cells, "invoice_settings")?,
            preferred_locales: stored::read(cells, "preferred_locales")?,
            tax_exempt: word(cells, "tax_exempt")?,
            metadata: stored::read(cells, "metadata")?,
            created: cells.get("created")?,
            test_clock: cells.get("test_clock")?,
        })
    }
}

impl Searchable for Customer {
    const FIELDS: &'static [Field] = &[
        Field { name: "created", kind: FieldKind::Numeric },
        Field { name: "email", kind: FieldKind::Text },
        Field { name: "metadata", kind: FieldKind::Map },
        Field { name: "name", kind: FieldKind::Text },
        Field { name: "phone", kind: FieldKind::Text },
    ];

    fn seq(&self) -> i64 {
        self.seq
    }

    fn field(&self, name: &str) -> FieldValue<'_> {
        match name {
            "created" => FieldValue::Number(self.created.0),
            "email" => self.email.as_deref().into(),
            "metadata" => FieldValue::Map(&self.metadata),
            "name" => self.name.as_deref().into(),
            "phone" => self.phone.as_deref().into(),
            _ => FieldValue::Null,
        }
    }
}

/// Makes a customer.
///
/// # Errors
/// A 400 when the invoice prefix is not one, or another customer has it, or it does not have what
/// its invoices are to be paid with; a 402 when what is attached is declined.
pub async fn create(ctx: &mut Ctx, mut input: Create) -> Result<Customer> {
    input.check(&ctx.caller.version)?;
    let random = ctx.entropy();
    let (coupon, promotion_code) = (input.coupon.take(), input.promotion_code.take());
    let test_clock = match &input.test_clock {
        Some(id) => Some(test_clocks::joined(ctx, id).await?),
        None => None,
    };
    let attach = input.payment_method;
    let mut customer = Customer {
        seq: 0,
        id: ctx.new_id(),
        livemode: ctx.scope().mode.is_live(),
        deleted: false,
        name: input.name.map(Into::into),
        email: input.email.map(Into::into),
        phone: input.phone.map(Into::into),
        description: input.description.map(Into::into),
        business_name: input.business_name.or_none().map(Into::into),
        individual_name: input.individual_name.or_none().map(Into::into),
        address: input.address.or_none().map(Into::into),
        shipping: input.shipping.or_none().map(Into::into),
        balance: 0,
        currency: None,
        discount: None,
        discount_id: None,
        delinquent: false,
        invoice_prefix: match input.invoice_prefix {
            Some(prefix) => input::checked_prefix(prefix)?,
            None => random_prefix(&random),
        },
        next_invoice_sequence: input::checked_sequence(input.next_invoice_sequence, 1)?,
        invoice_settings: input::invoice_settings(input.invoice_settings),
        preferred_locales: input
            .preferred_locales
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect(),
        tax_exempt: input.tax_exempt.or_none().unwrap_or(TaxExempt::None),
        metadata: input.metadata.0,
        created: ctx.now,
        test_clock,
    };
    let default = customer.invoice_settings.default_payment_method.take();
    sql::insert(ctx, &customer).await?;
    ctx.touch(Touched::Customer(customer.id.clone()));
    let default = pays_with(ctx, &customer.id, attach.as_deref(), default).await?;
    customer.invoice_settings.default_payment_method = default;
    if !coupon.is_keep() || promotion_code.is_some() {
        test_clocks::follow(ctx, &customer).await?;
    }
    customer.discount =
        discounts::of_customer(ctx, &customer, coupon.or_none(), promotion_code).await?;
    let kind = BalanceChange::Initial;
    let balance = input.balance.unwrap_or(0);
    balance_transactions::record(ctx, &mut customer, balance, kind, None, None, None).await?;
    let changed = customer.invoice_settings.default_payment_method.is_some();
    if customer.discount.is_some() || customer.balance != 0 || changed {
        sql::update(ctx, &customer).await?;
    }
    outbox::push(ctx, "customer.created", &customer.wire()).await?;
    Ok(customer)
}

/// Attaches what a new customer is made with, and finds what its invoices are paid with.
async fn pays_with(
    ctx: &mut Ctx,
    customer: &Id<CustomerKind>,
    attach: Option<&str>,
    default: Option<String>,
) -> Result<Option<String>> {
    let attached = match attach {
        Some(id) => Some(payment_methods::attach_named(ctx, id, customer).await?),
        None => None,
    };
    let Some(named) = default else { return Ok(None) };
    // The name of what was just attached: of a test card too, which got an id by it.
    let id = match attached.filter(|_| attach == Some(named.as_str())) {
        Some(method) => method.id,
        None => payment_methods::attached(ctx, &named, customer, DEFAULT).await?.id,
    };
    Ok(Some(id.as_str().to_owned()))
}

/// The parameter that names what a customer's invoices are paid with.
const DEFAULT: &str = "invoice_settings[default_payment_method]";

/// Eight characters of the 32 that are hard to misread, 40 bits.
fn random_prefix(random: &[u8; 32]) -> String {
    const READABLE: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRTUVWXY";
    random.iter().take(8).map(|b| char::from(READABLE[usize::from(b % 32)])).collect()
}

/// Reads a customer whose id is in the path, even a deleted one.
///
/// # Errors
/// A 404 when there never was one.
pub async fn retrieve_any(ctx: &mut Ctx, id: &str) -> Result<Customer> {
    match sql::find(ctx, id).await? {
        Some(customer) => Ok(customer),
        None => Err(ctx.no_such_path(CustomerKind::NOUN, id).await?),
    }
}

/// Reads a customer whose id came as a parameter.
///
/// # Errors
/// A 400 when there is none, or it was deleted.
pub async fn named(ctx: &mut Ctx, id: &str, param: &str) -> Result<Customer> {
    match sql::find(ctx, id).await? {
        Some(customer) if !customer.deleted => Ok(customer),
        Some(_) => Err(Error::no_such(CustomerKind::NOUN, id, param)),
        None => Err(ctx.no_such(CustomerKind::NOUN, id, param).await?),
    }
}

/// Reads a customer, even a deleted one, and holds it until the transaction ends: whoever works on
/// what is a customer's holds the customer first, so that no two wait for each other.
///
/// # Errors
/// A 404 when there never was one.
pub(crate) async fn hold(ctx: &mut Ctx, id: &Id<CustomerKind>) -> Result<Customer> {
    sql::lock(ctx, id.as_str()).await?;
    retrieve_any(ctx, id.as_str()).await
}

/// As [`named`], held until the transaction ends: for those who read its balance or its next
/// invoice number and write them back.
///
/// # Errors
/// As [`named`].
pub async fn locked(ctx: &mut Ctx, id: &str, param: &str) -> Result<Customer> {
    sql::lock(ctx, id).await?;
    named(ctx, id, param).await
}

/// As [`locked`], of a customer that is known to have been there: it may be deleted since.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn locked_any(ctx: &mut Ctx, id: &str) -> Result<Customer> {
    sql::lock(ctx, id).await?;
    retrieve_any(ctx, id).await
}

/// Whether an event may name this customer, and what time it is for it.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn presence(ctx: &mut Ctx, id: &str) -> Result<Presence> {
    match sql::there(ctx, id).await? {
        Some(sql::There { deleted: true, .. }) => Ok(Presence::Nowhere),
        Some(sql::There { clock_time: Some(time), .. }) => Ok(Presence::ByClock(time)),
        Some(sql::There { clock_time: None, .. }) => Ok(Presence::Here),
        None if ctx.is_in_other_mode(CustomerKind::NOUN, id).await? => Ok(Presence::InOtherMode),
        None => Ok(Presence::Nowhere),
    }
}

/// Reads a customer whose id is in the path, and holds it until the work is done.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve_locked(ctx: &mut Ctx, id: &str) -> Result<Customer> {
    sql::lock(ctx, id).await?;
    let customer = retrieve_any(ctx, id).await?;
    if customer.deleted {
        return Err(Error::no_such_path(CustomerKind::NOUN, id));
    }
    Ok(customer)
}

/// Changes a customer.
///
/// # Errors
/// A 404 when there is none, a 400 when what is asked for is against the rules.
pub async fn update(ctx: &mut Ctx, id: &str, mut input: Update) -> Result<Customer> {
    input.check(&ctx.caller.version)?;
    let before = retrieve_locked(ctx, id).await?;
    let default = input.invoice_settings.as_ref().and_then(|s| s.default_payment_method.as_ref());
    if let Some(named) = default {
        payment_methods::attached(ctx, named, &before.id, DEFAULT).await?;
    }
    let mut customer = before.clone();
    let (coupon, promotion_code) = (input.coupon.take(), input.promotion_code.take());
    let balance = input.balance;
    if balance.is_some() || !coupon.is_keep() || promotion_code.is_some() {
        test_clocks::follow(ctx, &before).await?;
    }
    input.apply(&mut customer)?;
    if let Some(balance) = balance {
        let change = checked_balance(balance)?.saturating_sub(customer.balance);
        let kind = BalanceChange::Adjustment;
        balance_transactions::record(ctx, &mut customer, change, kind, None, None, None).await?;
    }
    change_discount(ctx, &mut customer, coupon, promotion_code).await?;
    save(ctx, &before, &customer).await?;
    Ok(customer)
}

/// Versions before basil give a customer its discount by a parameter. A new one takes the place of
/// the old.
async fn change_discount(
    ctx: &mut Ctx,
    customer: &mut Customer,
    coupon: Clear<Text<255>>,
    promotion_code: Option<Text<255>>,
) -> Result<()> {
    let emptied = matches!(coupon, Clear::Unset);
    let new = discounts::of_customer(ctx, customer, coupon.or_none(), promotion_code).await?;
    if !emptied && new.is_none() {
        return Ok(());
    }
    if let Some(old) = std::mem::replace(&mut customer.discount, new) {
        discounts::remove(ctx, &old.id).await?;
    }
    Ok(())
}

/// Writes a changed customer, and the event that tells of it.
///
/// # Errors
/// A 400 when another customer has the invoice prefix.
pub async fn save(ctx: &mut Ctx, before: &Customer, customer: &Customer) -> Result<()> {
    if before == customer {
        return Ok(());
    }
    sql::update(ctx, customer).await?;
    ctx.touch(Touched::Customer(customer.id.clone()));
    outbox::push_update(ctx, "customer.updated", &before.wire(), &customer.wire()).await
}

/// Deletes a customer: its subscriptions are canceled at once, what it pays with is detached, its
/// invoices stay.
///
/// # Errors
/// A 404 when there is none.
pub async fn delete(ctx: &mut Ctx, id: &str, _: Delete) -> Result<Value> {
    let customer = retrieve_locked(ctx, id).await?;
    let theirs = test_clocks::time_of(ctx, &customer.id).await?;
    let world = std::mem::replace(&mut ctx.now, theirs);
    Box::pin(subscriptions::cancel_all_of_customer(ctx, &customer.id)).await?;
    subscription_schedules::cancel_all_of_customer(ctx, &customer.id).await?;
    ctx.now = world;
    payment_methods::detach_all(ctx, &customer).await?;
    let deleted = Customer { deleted: true, ..customer.clone() };
    sql::update(ctx, &deleted).await?;
    ctx.touch(Touched::Customer(customer.id.clone()));
    outbox::push(ctx, "customer.deleted", &customer.wire()).await?;
    Ok(deleted.wire())
}

/// Lists customers, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Text(input.email.clone().map(Into::into)),
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.test_clock.as_deref()),
    ];
    let page = input.page()?;
    let mut slice: Slice<Customer> =
        ctx.page(&page, CustomerKind::NOUN, (sql::SEQ, sql::LIST), filters).await?;
    for customer in &mut slice.rows {
        sql::complete(ctx, customer).await?;
    }
    Ok(Page {
        url: "/v1/customers".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(Customer::wire).collect(),
    })
}

/// Searches customers.
///
/// # Errors
/// A 400 when the query is malformed.
pub async fn search(ctx: &mut Ctx, input: Search) -> Result<Value> {
    let mut found = search::run::<Customer>(ctx, &input, sql::ALL).await?;
    for customer in &mut found.rows {
        sql::complete(ctx, customer).await?;
    }
    Ok(found.wire("/v1/customers/search", Customer::wire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_invoice_prefix_is_eight_readable_characters() {
        assert_eq!(random_prefix(&[0; 32]), "00000000");
        assert_eq!(random_prefix(&[255; 32]), "YYYYYYYY");
    }
}
