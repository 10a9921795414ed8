//! `expand[]`: ids become the objects they name, and parts that are left out by default are put in.
//!
//! What can be expanded is a table, [`rule`]. Everything else of the walk is the same for all
//! resources.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::{Value, json};
use taximeter_kernel::id::Id;

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::params::{Decode as _, Node, Path};
use crate::version::{self, ApiVersion};
use crate::{
    balance_transactions, charges, coupons, credit_notes, customers, discounts, invoice_payments,
    invoices, payment_intents, payment_methods, prices, products, promotion_codes, refunds,
    setup_intents, subscription_schedules, subscriptions, test_clocks,
};

/// The deepest path, in segments (Stripe's bound).
pub const DEPTH_MAX: usize = 4;
/// The most paths of one request.
pub const PATHS_MAX: usize = 50;

/// How a property is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It is the id of such an object.
    Id(Target),
    /// It is there already, and left out unless asked for.
    Included,
    /// It is left out, and read when asked for.
    CustomerSubscriptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Charge,
    BalanceTransaction,
    Coupon,
    CreditNote,
    Customer,
    Discount,
    Invoice,
    PaymentIntent,
    PaymentMethod,
    Price,
    Product,
    PromotionCode,
    Refund,
    SetupIntent,
    Subscription,
    SubscriptionSchedule,
    TestClock,
}

/// What can be expanded: the object, and the property's path within it.
fn rule(object: &str, path: &str) -> Option<How> {
    Some(match (object, path) {
        (
            "subscription"
            | "invoice"
            | "discount"
            | "promotion_code"
            | "customer_balance_transaction"
            | "invoiceitem"
            | "credit_note"
            | "charge"
            | "payment_intent"
            | "payment_method"
            | "refund"
            | "setup_intent"
            | "subscription_schedule",
            "customer",
        ) => How::Id(Target::Customer),
        (
            "subscription" | "subscription_item" | "invoice" | "line_item" | "invoiceitem",
            "discounts",
        )
        | ("invoice", "total_discount_amounts.discount" | "total_pretax_credit_amounts.discount")
        | (
            "line_item" | "credit_note" | "credit_note_line_item",
            "discount_amounts.discount" | "pretax_credit_amounts.discount",
        )
        | ("invoiceitem", "proration_details.discount_amounts.discount") => {
            How::Id(Target::Discount)
        }
        ("discount", "source.coupon") | ("promotion_code", "promotion.coupon") => {
            How::Id(Target::Coupon)
        }
        ("discount", "promotion_code") => How::Id(Target::PromotionCode),
        ("subscription", "pending_setup_intent") => How::Id(Target::SetupIntent),
        ("subscription", "latest_invoice")
        | ("invoice", "latest_revision" | "from_invoice.invoice")
        | (
            "customer_balance_transaction" | "invoiceitem" | "credit_note" | "invoice_payment",
            "invoice",
        ) => How::Id(Target::Invoice),
        (
            "customer" | "subscription" | "subscription_schedule" | "invoice" | "invoiceitem",
            "test_clock",
        ) => How::Id(Target::TestClock),
        ("subscription", "schedule") => How::Id(Target::SubscriptionSchedule),
        ("subscription_schedule", "subscription") => How::Id(Target::Subscription),
        ("subscription_schedule", path) => return rule_of_schedule(path),
        ("invoiceitem", "pricing.price_details.price") => How::Id(Target::Price),
        ("credit_note", "customer_balance_transaction") => How::Id(Target::BalanceTransaction),
        ("credit_note", "refunds.refund") => How::Id(Target::Refund),
        ("customer_balance_transaction", "credit_note") => How::Id(Target::CreditNote),
        ("payment_intent", "latest_charge") | ("refund", "charge") => How::Id(Target::Charge),
        ("charge" | "refund", "payment_intent") | ("invoice_payment", "payment.payment_intent") => {
            How::Id(Target::PaymentIntent)
        }
        ("payment_intent" | "refund" | "setup_intent", "payment_method")
        | ("invoice" | "subscription", "default_payment_method")
        | ("customer", "invoice_settings.default_payment_method") => How::Id(Target::PaymentMethod),
        ("invoice", "parent.subscription_details.subscription") | ("line_item", "subscription") => {
            How::Id(Target::Subscription)
        }
        ("line_item", "pricing.price_details.price") | ("product", "default_price") => {
            How::Id(Target::Price)
        }
        ("price" | "plan", "product") => How::Id(Target::Product),
        ("customer", "subscriptions") => How::CustomerSubscriptions,
        (object, path) if INCLUDED.contains(&(object, path)) => How::Included,
        _ => return None,
    })
}

/// What of a schedule's phases can be expanded.
fn rule_of_schedule(path: &str) -> Option<How> {
    let (_, name) = path.rsplit_once('.')?;
    Some(How::Id(match name {
        "price" => Target::Price,
        "coupon" => Target::Coupon,
        "discount" => Target::Discount,
        "promotion_code" => Target::PromotionCode,
        "default_payment_method" => Target::PaymentMethod,
        _ => return None,
    }))
}

/// What is on the wire only when it is asked for.
const INCLUDED: &[(&str, &str)] = &[
    ("coupon", "applies_to"),
    ("coupon", "currency_options"),
    ("price", "tiers"),
    ("price", "currency_options"),
    ("plan", "tiers"),
    ("customer", "cash_balance"),
    ("customer", "invoice_credit_balance"),
    ("customer", "sources"),
    ("customer", "tax"),
    ("customer", "tax_ids"),
    ("invoice", "confirmation_secret"),
    ("invoice", "payments"),
    ("search_result", "total_count"),
];

/// The paths of a request as a tree: `["a.b", "a.c"]` is `a` with `b` and `c` below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expand {
    below: BTreeMap<String, Self>,
}

impl Expand {
    /// Takes the `expand` parameter out of a request.
    ///
    /// # Errors
    /// A 400 when it is no array of paths, or one is too deep.
    pub fn take(params: &mut Node) -> Result<Self> {
        let Node::Map(members) = params else { return Ok(Self::default()) };
        let Some(at) = members.iter().position(|(name, _)| name == "expand") else {
            return Ok(Self::default());
        };
        let (_, node) = members.remove(at);
        let root = Path::ROOT;
        let paths = Vec::<String>::decode(Some(node), root.child("expand"))?;
        if paths.len() > PATHS_MAX {
            return Err(Error::invalid(format!("You can expand at most {PATHS_MAX} properties."))
                .param("expand"));
        }
        let mut expand = Self::default();
        for path in paths {
            expand.add(&path)?;
        }
        Ok(expand)
    }

    /// Adds one dotted path.
    ///
    /// # Errors
    /// A 400 when it is deeper than [`DEPTH_MAX`].
    pub fn add(&mut self, path: &str) -> Result<()> {
        if path.split('.').count() > DEPTH_MAX {
            return Err(Error::invalid(format!(
                "You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}"
            ))
            .code("property_expansion_max_depth"));
        }
        self.at(path);
        Ok(())
    }

    /// What is asked for below a path, which is asked for too from now on.
    fn at(&mut self, path: &str) -> &mut Self {
        let mut node = self;
        for segment in path.split('.') {
            node = node.below.entry(segment.to_owned()).or_default();
        }
        node
    }

    /// The same request with properties asked for where they are in the newest version.
    fn relocated(&self, moved: &[(&str, &str)]) -> Self {
        let mut expand = self.clone();
        for (from, to) in moved {
            if let Some(below) = expand.below.remove(*from) {
                expand.at(to).below.extend(below.below);
            }
        }
        expand
    }

    /// Refuses whatever is asked for: the answer has nothing to expand.
    ///
    /// # Errors
    /// A 400 that names the property.
    pub fn refuse_all(&self) -> Result<()> {
        match self.below.keys().next() {
            None => Ok(()),
            Some(segment) => Err(Error::invalid(format!(
                "This property cannot be expanded because it doesn't exist: {segment}."
            ))),
        }
    }

    fn get(&self, segment: &str) -> Option<&Self> {
        self.below.get(segment)
    }
}

impl crate::params::Decode for String {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        crate::params::Text::<500>::decode(node, path).map(Self::from)
    }

    fn schema() -> crate::params::Schema {
        crate::params::Schema::Leaf
    }
}

/// Expands what is asked for in an answer, and leaves out what is not.
///
/// # Errors
/// A 400 when the answer has no such property, or it cannot be expanded.
pub async fn apply(ctx: &mut Ctx, mut answer: Value, expand: &Expand) -> Result<Value> {
    check_first_segments(&answer, expand, &ctx.caller.version)?;
    walk(ctx, &mut answer, Some(expand), Place::default()).await?;
    Ok(answer)
}

/// Leaves out what nobody asked for, without reading anything.
pub fn prune(answer: &mut Value) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Object(members) => {
            let object = members.get("object").and_then(Value::as_str).unwrap_or("").to_owned();
            members.retain(|name, _| !INCLUDED.contains(&(object.as_str(), name.as_str())));
            members.values_mut().for_each(prune);
        }
        _ => {}
    }
}

/// Only the first segment is held against the answer, as Stripe does.
fn check_first_segments(answer: &Value, expand: &Expand, version: &ApiVersion) -> Result<()> {
    let is_list = answer["object"] == "list" || answer["object"] == "search_result";
    for segment in expand.below.keys() {
        if is_list && segment == "data" {
            let first = answer["data"].get(0);
            for below in expand.below[segment].below.keys() {
                if let Some(first) = first {
                    check_segment(first, below, version)?;
                }
            }
            continue;
        }
        if is_list && rule(answer["object"].as_str().unwrap_or(""), segment).is_none() {
            return Err(Error::invalid(format!(
                "This property cannot be expanded ({segment}). You may want to try expanding \
                 'data.{segment}' instead."
            )));
        }
        if !is_list {
            check_segment(answer, segment, version)?;
        }
    }
    Ok(())
}

fn check_segment(object: &Value, segment: &str, version: &ApiVersion) -> Result<()> {
    let name = object["object"].as_str().unwrap_or("");
    let known = rule(name, segment).is_some() || version::is_expandable(name, segment, version);
    if object["deleted"] == true || known {
        return Ok(());
    }
    match object.get(segment) {
        // A list or another object whole: what lies in it may be expandable, which is not checked.
        Some(inner) if inner["object"].is_string() => Ok(()),
        Some(_) if CONTAINERS.contains(&segment) => Ok(()),
        // A list of ids or null: nothing there to expand yet.
        Some(Value::Null | Value::Array(_)) if EXPANDABLE_BUT_ABSENT.contains(&segment) => Ok(()),
        Some(_) => Err(Error::invalid(format!("This property cannot be expanded ({segment})."))),
        None => Err(Error::invalid(format!(
            "This property cannot be expanded because it doesn't exist: {segment}."
        ))),
    }
}

/// Members without a name of their own in which Stripe's types have something expandable.
const CONTAINERS: &[&str] = &[
    "automatic_tax",
    "discount_amounts",
    "default_settings",
    "default_tax_rates",
    "invoice_settings",
    "issuer",
    "parent",
    "payment",
    "payment_settings",
    "pending_update",
    "phases",
    "pretax_credit_amounts",
    "pricing",
    "promotion",
    "proration_details",
    "refunds",
    "source",
    "tax_details",
    "total_discount_amounts",
    "total_pretax_credit_amounts",
    "total_taxes",
    "trial_settings",
];

/// Expandable in Stripe's types; here always null or empty so far.
const EXPANDABLE_BUT_ABSENT: &[&str] = &[
    "account_tax_ids",
    "application",
    "default_payment_method",
    "default_source",
    "latest_revision",
    "on_behalf_of",
    "tax_code",
    "test_clock",
];

/// Where the walk is: the nearest object, and the path from it.
#[derive(Debug, Clone, Default)]
struct Place {
    object: String,
    path: String,
}

impl Place {
    fn child(&self, name: &str) -> Self {
        let path =
            if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { object: self.object.clone(), path }
    }
}

type Walk<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

fn walk<'a>(
    ctx: &'a mut Ctx,
    value: &'a mut Value,
    expand: Option<&'a Expand>,
    place: Place,
) -> Walk<'a> {
    Box::pin(async move {
        match value {
            Value::Array(items) => {
                for item in items {
                    walk(ctx, item, expand, place.clone()).await?;
                }
                Ok(())
            }
            Value::Object(_) => walk_object(ctx, value, expand, place).await,
            _ => Ok(()),
        }
    })
}

async fn walk_object(
    ctx: &mut Ctx,
    value: &mut Value,
    expand: Option<&Expand>,
    mut place: Place,
) -> Result<()> {
    let Value::Object(members) = value else { return Ok(()) };
    if let Some(object) = members.get("object").and_then(Value::as_str) {
        place = Place { object: object.to_owned(), path: String::new() };
    }
    members.retain(|name, _| {
        let asked = expand.is_some_and(|e| e.get(name).is_some());
        asked || !INCLUDED.contains(&(place.object.as_str(), name.as_str()))
    });
    let moved = version::moved(&place.object, &ctx.caller.version);
    let at_its_top = place.path.is_empty() && !moved.is_empty();
    let relocated = expand.filter(|_| at_its_top).map(|e| e.relocated(moved));
    let expand = relocated.as_ref().or(expand);
    if let Some(expand) = expand
        && expand.get("subscriptions").is_some()
        && rule(&place.object, "subscriptions") == Some(How::CustomerSubscriptions)
        && let Some(id) = members.get("id").and_then(Value::as_str)
    {
        let list = subscriptions::list_of_customer(ctx, id).await?;
        members.insert("subscriptions".into(), list.into());
    }
    if place.object == "invoice" {
        put_payments(ctx, members, expand).await?;
    }
    for (name, member) in members.iter_mut() {
        let below = expand.and_then(|e| e.get(name));
        let here = place.child(name);
        let whole = version::shows_whole(&here.object, &here.path, &ctx.caller.version);
        if (below.is_some() || whole)
            && let Some(How::Id(target)) = rule(&here.object, &here.path)
            && let Some(id) = member.as_str()
        {
            *member = load(ctx, target, id).await?;
        }
        if below.is_some()
            && let Some(How::Id(target)) = rule(&here.object, &here.path)
            && let Some(members) = member.as_array_mut()
        {
            for member in members {
                if let Some(id) = member.as_str() {
                    *member = load(ctx, target, id).await?;
                }
            }
        }
        walk(ctx, member, below, here).await?;
    }
    Ok(())
}

/// What of an invoice is read only when it is asked for: how it is paid. Before basil, an invoice
/// named its payment intent.
async fn put_payments(
    ctx: &mut Ctx,
    members: &mut serde_json::Map<String, Value>,
    expand: Option<&Expand>,
) -> Result<()> {
    let asked = |name: &str| expand.is_some_and(|expand| expand.get(name).is_some());
    let names_intent = ctx.caller.version.is_before(version::BASIL);
    if !(names_intent || asked("payments") || asked("confirmation_secret")) {
        return Ok(());
    }
    let Some(Ok(id)) = members.get("id").and_then(Value::as_str).map(Id::parse) else {
        return Ok(());
    };
    let payments = invoice_payments::of_invoice(ctx, &id).await?;
    let current = payments.iter().rfind(|p| p.status != invoice_payments::Status::Canceled);
    if asked("payments") {
        let data: Vec<Value> =
            payments.iter().map(invoice_payments::InvoicePayment::wire).collect();
        members.entry("payments").and_modify(|list| list["data"] = data.into());
    }
    if asked("confirmation_secret") {
        let secret = current.filter(|p| p.status == invoice_payments::Status::Open).map(
            |payment| json!({ "client_secret": payment.client_secret, "type": "payment_intent" }),
        );
        members.insert("confirmation_secret".into(), secret.into());
    }
    if names_intent && let Some(payment) = current {
        let intent = payment.payment_intent.as_str();
        let below = expand.and_then(|expand| expand.get("payment_intent"));
        let shown = match below {
            None => intent.into(),
            Some(below) => {
                let mut whole = load(ctx, Target::PaymentIntent, intent).await?;
                walk(ctx, &mut whole, Some(below), Place::default()).await?;
                whole
            }
        };
        members.insert("payment_intent".into(), shown);
    }
    Ok(())
}

async fn load(ctx: &mut Ctx, target: Target, id: &str) -> Result<Value> {
    match target {
        Target::Charge => Ok(charges::retrieve(ctx, id).await?.wire()),
        Target::BalanceTransaction => Ok(balance_transactions::retrieve_any(ctx, id).await?.wire()),
        Target::CreditNote => Ok(credit_notes::retrieve(ctx, id).await?.wire()),
        Target::Coupon => Ok(coupons::retrieve_any(ctx, id).await?.wire()),
        Target::Discount => Ok(discounts::retrieve_any(ctx, id).await?.wire()),
        Target::PromotionCode => Ok(promotion_codes::retrieve(ctx, id).await?.wire()),
        Target::Customer => Ok(customers::retrieve_any(ctx, id).await?.wire()),
        Target::Invoice => Ok(invoices::retrieve(ctx, id).await?.wire()),
        Target::PaymentIntent => Ok(payment_intents::retrieve(ctx, id).await?.wire()),
        Target::PaymentMethod => Ok(payment_methods::retrieve(ctx, id).await?.wire()),
        Target::Price => Ok(prices::retrieve(ctx, id).await?.wire()),
        Target::Product => Ok(products::retrieve_any(ctx, id).await?.wire()),
        Target::Refund => Ok(refunds::retrieve(ctx, id).await?.wire()),
        Target::SetupIntent => Ok(setup_intents::retrieve(ctx, id).await?.wire()),
        Target::Subscription => Ok(subscriptions::retrieve(ctx, id).await?.wire()),
        Target::SubscriptionSchedule => Ok(subscription_schedules::retrieve(ctx, id).await?.wire()),
        Target::TestClock => Ok(test_clocks::retrieve(ctx, id).await?.wire()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_deeper_than_four_segments_is_refused() {
        let mut expand = Expand::default();
        assert!(expand.add("data.items.data.price").is_ok());
        let error = expand.add("data.items.data.price.product").unwrap_err();
        assert_eq!(error.code, Some("property_expansion_max_depth"));
    }
}
