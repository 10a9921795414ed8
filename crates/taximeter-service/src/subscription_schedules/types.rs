//! What a schedule is, and how its phases are kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use taximeter_kernel::id::{
    Customer as CustomerKind, Id, Subscription as SubscriptionKind, SubscriptionSchedule, TestClock,
};
use taximeter_kernel::time::{DAY_S, Timestamp};

use super::input::{EndType, StartType};
use crate::choice;
use crate::customers::CustomField;
use crate::discounts::{Discount, DiscountInput};
use crate::params::Text;
use crate::subscriptions::{
    BillingModeType, CollectionMethod, ItemThresholds, ProrationBehavior, ProrationDiscounts,
    Thresholds,
};
use crate::tax_rates::TaxRate;

/// How long before a schedule ends that is announced, in seconds (Stripe's).
const EXPIRING_S: i64 = 7 * DAY_S;

choice! {
    /// Where a schedule is in its life.
    pub enum Status {
        /// One of its phases is under way.
        Active = "active",
        /// Ended before its time, with its subscription.
        Canceled = "canceled",
        /// All of its phases are over, and so is its subscription.
        Completed = "completed",
        /// Its first phase is still to come.
        NotStarted = "not_started",
        /// It left its subscription to itself.
        Released = "released",
    }
}

choice! {
    /// What becomes of the subscription when the last phase is over.
    pub enum EndBehavior {
        /// It ends.
        Cancel = "cancel",
        /// It goes on by itself.
        Release = "release",
    }
}

choice! {
    /// What the subscription's periods are counted from in a phase.
    pub enum PhaseAnchor {
        /// From what they were counted from, unless no period would begin with the phase.
        Automatic = "automatic",
        /// From the start of the phase.
        PhaseStart = "phase_start",
    }
}

/// Something to be taken off, by name: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// A coupon to redeem.
    pub coupon: Option<String>,
    /// A discount that is there already.
    pub discount: Option<String>,
    /// A promotion code to redeem.
    pub promotion_code: Option<String>,
}

impl Named {
    /// Whether a discount was made by this name.
    #[must_use]
    pub fn names(&self, discount: &Discount) -> bool {
        let by = discount.promotion_code.as_ref().map(Id::as_str);
        self.discount.as_deref().is_some_and(|id| id == discount.id.as_str())
            || self.promotion_code.as_deref().is_some_and(|code| by == Some(code))
            || self
                .coupon
                .as_deref()
                .is_some_and(|id| by.is_none() && id == discount.coupon.id.as_str())
    }
}

impl From<&DiscountInput> for Named {
    fn from(input: &DiscountInput) -> Self {
        let owned = |id: &Option<Text<255>>| id.as_deref().map(str::to_owned);
        Self {
            coupon: owned(&input.coupon),
            discount: owned(&input.discount),
            promotion_code: owned(&input.promotion_code),
        }
    }
}

/// What invoices of a phase show, and when they are due.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseInvoices {
    /// Fields at their head.
    pub custom_fields: Option<Vec<CustomField>>,
    /// How long after they are sent they are due, in days.
    pub days_until_due: Option<i64>,
    /// What they say.
    pub description: Option<String>,
    /// What they say at their foot.
    pub footer: Option<String>,
}

/// A price within a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseItem {
    /// The price.
    pub price: String,
    /// What it is the price of.
    pub product: String,
    /// How many, for a licensed price.
    pub quantity: Option<i64>,
    /// When its usage is billed before its time.
    pub thresholds: Option<ItemThresholds>,
    /// What is taken off its lines.
    pub discounts: Vec<Named>,
    /// What is put on the item's metadata: an empty value takes its key away.
    pub metadata: BTreeMap<String, String>,
    /// What its lines are taxed by.
    pub tax_rates: Vec<String>,
}

/// An end of the time that something sold once is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound<T> {
    /// Which.
    pub r#type: T,
    /// The instant, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
}

/// What is sold once with a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseAddition {
    /// Its price.
    pub price: String,
    /// How many.
    pub quantity: i64,
    /// Whether discounts are taken off it.
    pub discountable: Option<bool>,
    /// What is taken off it alone.
    pub discounts: Vec<Named>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// What it alone is taxed by.
    pub tax_rates: Vec<String>,
    /// From when it is.
    pub start: Bound<StartType>,
    /// Until when it is.
    pub end: Bound<EndType>,
}

/// What a subscription is for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// From here, in seconds,
    pub start: i64,
    /// to here.
    pub end: i64,
    /// Its items.
    pub items: Vec<PhaseItem>,
    /// What is sold once with it.
    pub additions: Vec<PhaseAddition>,
    /// What periods are counted from.
    pub anchor: Option<PhaseAnchor>,
    /// When it is billed before its time.
    pub thresholds: Option<Thresholds>,
    /// How its invoices are collected.
    pub collection_method: Option<CollectionMethod>,
    /// What it is billed in.
    pub currency: String,
    /// What pays its invoices.
    pub default_payment_method: Option<String>,
    /// What its invoices are taxed by.
    pub default_tax_rates: Vec<String>,
    /// What the customer sees the subscription called.
    pub description: Option<String>,
    /// What is taken off its invoices.
    pub discounts: Vec<Named>,
    /// What its invoices show.
    pub invoices: Option<PhaseInvoices>,
    /// What is put on the subscription's metadata: an empty value takes its key away.
    pub metadata: BTreeMap<String, String>,
    /// How going over to it is billed.
    pub proration_behavior: ProrationBehavior,
    /// Whether all of it is a trial.
    pub trial: bool,
    /// Until when it is a trial.
    pub trial_end: Option<i64>,
    /// What was sent empty, and so is not what the schedule or the customer has.
    #[serde(default)]
    pub empty: Empty,
}

/// Which parameters of a phase were sent empty, where that is not the same as left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Empty {
    /// When it is billed before its time.
    pub billing_thresholds: bool,
    /// What the customer sees the subscription called.
    pub description: bool,
    /// What is taken off its invoices.
    pub discounts: bool,
}

impl Phase {
    /// Whether a subscription is the same in both, but for how long.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let apart = |phase: &Self| Self {
            start: 0,
            end: 0,
            additions: Vec::new(),
            anchor: None,
            proration_behavior: ProrationBehavior::None,
            trial: false,
            ..phase.clone()
        };
        apart(self) == apart(other)
    }
}

/// What phases have that say nothing of it themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultSettings {
    /// What periods are counted from.
    pub anchor: PhaseAnchor,
    /// When it is billed before its time.
    pub thresholds: Option<Thresholds>,
    /// How invoices are collected.
    pub collection_method: Option<CollectionMethod>,
    /// What pays invoices.
    pub default_payment_method: Option<String>,
    /// What the customer sees the subscription called.
    pub description: Option<String>,
    /// What invoices show.
    pub invoices: PhaseInvoices,
}

impl Default for DefaultSettings {
    fn default() -> Self {
        Self {
            anchor: PhaseAnchor::Automatic,
            thresholds: None,
            collection_method: Some(CollectionMethod::ChargeAutomatically),
            default_payment_method: None,
            description: None,
            invoices: PhaseInvoices::default(),
        }
    }
}

/// What a schedule plans. Instants are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Which rules the subscription is billed by.
    pub billing_mode: BillingModeType,
    /// How its prorations show discounts, in flexible mode.
    pub proration_discounts: Option<ProrationDiscounts>,
    /// What phases have that say nothing of it.
    pub settings: DefaultSettings,
    /// What becomes of the subscription after the last one.
    pub end_behavior: EndBehavior,
    /// The phases, each beginning where the one before ends.
    pub phases: Vec<Phase>,
    /// The start of the phase that was entered last.
    pub entered: Option<i64>,
    /// The end that was announced.
    pub told_expiring: Option<i64>,
}

/// What time brings a schedule whose subscription has begun. At the same instant, the first of these
/// comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coming {
    /// Its end is near.
    TellExpiring,
    /// The next phase begins, or the last one is over and leaves its subscription to itself.
    Pass,
}

/// What a subscription will be, phase by phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub(super) seq: i64,
    /// Its id.
    pub id: Id<SubscriptionSchedule>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Whose subscription.
    pub customer: Id<CustomerKind>,
    /// Where it is in its life.
    pub status: Status,
    /// The subscription, once it has begun, and until it is released.
    pub subscription: Option<Id<SubscriptionKind>>,
    /// The subscription that was released.
    pub released_subscription: Option<Id<SubscriptionKind>>,
    /// The test clock that its time is told by.
    pub test_clock: Option<Id<TestClock>>,
    /// What it plans.
    pub outline: Outline,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was canceled.
    pub canceled_at: Option<Timestamp>,
    /// When it was over.
    pub completed_at: Option<Timestamp>,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// The tax rates that its phases name.
    pub tax_rates: Vec<TaxRate>,
}

impl Schedule {
    /// When its first phase begins.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        Timestamp(self.outline.phases.first().map_or(self.created.0, |phase| phase.start))
    }

    /// When its last phase ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        Timestamp(self.outline.phases.last().map_or(self.created.0, |phase| phase.end))
    }

    /// Whether it can still change anything.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.status, Status::Active | Status::NotStarted)
    }

    /// The phase that was entered last, while it is active.
    #[must_use]
    pub fn current(&self) -> Option<&Phase> {
        let entered = self.outline.entered.filter(|_| self.status == Status::Active)?;
        self.outline.phases.iter().find(|phase| phase.start == entered)
    }

    /// The phase after that.
    #[must_use]
    pub fn following(&self) -> Option<&Phase> {
        let entered = self.outline.entered.filter(|_| self.status == Status::Active)?;
        self.outline.phases.iter().find(|phase| phase.start > entered)
    }

    /// The phases that are not over: the one that was entered last and those after it.
    pub(crate) fn to_come(&self) -> impl Iterator<Item = (usize, &Phase)> {
        let from = self.current().map_or(i64::MIN, |current| current.start);
        self.outline.phases.iter().enumerate().filter(move |(_, phase)| phase.start >= from)
    }

    /// The ids of the prices and tax rates that those name.
    pub(crate) fn names_to_come(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (_, phase) in self.to_come() {
            let items = phase.items.iter().map(|item| (&item.price, &item.tax_rates));
            let additions = phase.additions.iter().map(|sold| (&sold.price, &sold.tax_rates));
            for (price, rates) in items.chain(additions) {
                names.insert(price.clone());
                names.extend(rates.iter().cloned());
            }
            names.extend(phase.default_tax_rates.iter().cloned());
        }
        names
    }

    /// What those take off.
    pub(crate) fn discounts_to_come(&self) -> Vec<Named> {
        let mut names = Vec::new();
        for (_, phase) in self.to_come() {
            let items = phase.items.iter().map(|item| &item.discounts);
            let additions = phase.additions.iter().map(|sold| &sold.discounts);
            let all = items.chain(additions).chain([&phase.discounts]);
            names.extend(all.flatten().cloned());
        }
        names
    }

    /// When the subscription ends with it, if it does.
    #[must_use]
    pub fn ends_subscription(&self) -> Option<Timestamp> {
        (self.outline.end_behavior == EndBehavior::Cancel).then(|| self.end())
    }

    /// What time brings it next, once it has begun. The end of its subscription is the
    /// subscription's own.
    pub(crate) fn coming(&self) -> Option<(Timestamp, Coming)> {
        if self.status != Status::Active {
            return None;
        }
        let end = self.end();
        let last = self.ends_subscription().is_none().then_some(end);
        let pass = self.following().map(|phase| Timestamp(phase.start)).or(last);
        let near = Timestamp(end.0.saturating_sub(EXPIRING_S));
        let told = self.outline.told_expiring == Some(end.0) || near < self.start();
        let near = (!told).then_some((near, Coming::TellExpiring));
        near.into_iter().chain(pass.map(|at| (at, Coming::Pass))).min()
    }
}
