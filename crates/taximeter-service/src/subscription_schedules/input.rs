//! What a request may say about a schedule.

use taximeter_kernel::calendar::Interval;
use taximeter_kernel::money::Currency;

use super::{EndBehavior, PhaseAnchor};
use crate::choice;
use crate::customers::CustomFieldInput;
use crate::discounts::DiscountInput;
use crate::error::{Error, Result};
use crate::invoice_items::PriceDataInput;
use crate::params::{
    Clear, Decode, Metadata, MetadataChange, Node, OrWord, Path, Range, Schema, Text,
};
use crate::prices::PriceData;
use crate::subscriptions::{
    BillingModeInput, CollectionMethod, ItemThresholdsInput, Now, ProrationBehavior,
    ThresholdsInput,
};

choice! {
    /// From when something sold once is.
    pub enum StartType {
        /// When the last period of the items began.
        MaxItemPeriodStart = "max_item_period_start",
        /// When the phase begins.
        PhaseStart = "phase_start",
        /// An instant.
        Timestamp = "timestamp",
    }
}

choice! {
    /// Until when something sold once is.
    pub enum EndType {
        /// When the first period of the items ends.
        MinItemPeriodEnd = "min_item_period_end",
        /// When the phase ends.
        PhaseEnd = "phase_end",
        /// An instant.
        Timestamp = "timestamp",
    }
}

crate::params! {
    /// From when something is.
    pub struct StartInput {
        /// The instant, where it is one.
        pub timestamp: Option<i64>,
        /// From when.
        pub r#type: StartType,
    }
}

crate::params! {
    /// Until when something is.
    pub struct EndInput {
        /// The instant, where it is one.
        pub timestamp: Option<i64>,
        /// Until when.
        pub r#type: EndType,
    }
}

crate::params! {
    /// The time that something is for.
    pub struct SpanInput {
        /// Until when.
        pub end: EndInput,
        /// From when.
        pub start: StartInput,
    }
}

crate::params! {
    /// What is sold once with a phase.
    pub struct AdditionInput {
        /// Whether discounts are taken off it.
        pub discountable: Option<bool>,
        /// What is taken off it alone.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// The time it is for: the period that all items are in, if left out.
        pub period: Option<SpanInput>,
        /// Its price.
        pub price: Option<Text<255>>,
        /// A price made for it.
        pub price_data: Option<PriceDataInput>,
        /// How many.
        pub quantity: Option<i64>,
        /// What it alone is taxed by.
        pub tax_rates: Clear<Vec<Text<255>>>,
    }
}

crate::params! {
    /// A price within a phase.
    pub struct ItemInput {
        /// When its usage is billed before its time.
        pub billing_thresholds: Clear<ItemThresholdsInput>,
        /// What is taken off its lines.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// What is put on the item's metadata.
        pub metadata: MetadataChange,
        /// The price, by its old name.
        pub plan: Option<Text<255>>,
        /// The price.
        pub price: Option<Text<255>>,
        /// A price made for it.
        pub price_data: Option<PriceData>,
        /// How many, for a licensed price.
        pub quantity: Option<i64>,
        /// What its lines are taxed by, instead of the phase's rates.
        pub tax_rates: Clear<Vec<Text<255>>>,
    }
}

crate::params! {
    /// What invoices show, and when they are due.
    #[derive(Default)]
    pub struct InvoicesInput {
        /// Fields at their head.
        pub custom_fields: Clear<Vec<CustomFieldInput>>,
        /// How long after they are sent they are due, in days.
        pub days_until_due: Option<i64>,
        /// What they say.
        pub description: Clear<Text<1500>>,
        /// What they say at their foot.
        pub footer: Clear<Text>,
    }
}

crate::params! {
    /// How long a phase lasts.
    pub struct DurationInput {
        /// The unit of the calendar.
        pub interval: Interval,
        /// How many of them; 1 unless told otherwise.
        pub interval_count: Option<i64>,
    }
}

crate::params! {
    /// What a subscription is for a time.
    pub struct PhaseInput {
        /// What is sold once with it.
        pub add_invoice_items: Option<Vec<AdditionInput>>,
        /// What periods are counted from.
        pub billing_cycle_anchor: Option<PhaseAnchor>,
        /// When it is billed before its time.
        pub billing_thresholds: Clear<ThresholdsInput>,
        /// How its invoices are collected.
        pub collection_method: Option<CollectionMethod>,
        /// What it is billed in, if its prices have several currencies.
        pub currency: Option<Currency>,
        /// What pays its invoices.
        pub default_payment_method: Option<Text<255>>,
        /// What its invoices are taxed by.
        pub default_tax_rates: Clear<Vec<Text<255>>>,
        /// What the customer sees the subscription called.
        pub description: Clear<Text<500>>,
        /// What is taken off its invoices.
        pub discounts: Clear<Vec<DiscountInput>>,
        /// How long it lasts,
        pub duration: Option<DurationInput>,
        /// or when it ends,
        pub end_date: Option<OrWord<Now, i64>>,
        /// What its invoices show.
        pub invoice_settings: Option<InvoicesInput>,
        /// Its items.
        pub items: Vec<ItemInput>,
        /// or how many of its prices' periods it lasts, as versions before clover say it.
        pub iterations: Option<i64>,
        /// What is put on the subscription's metadata.
        pub metadata: MetadataChange,
        /// How going over to it is billed.
        pub proration_behavior: Option<ProrationBehavior>,
        /// When it begins.
        pub start_date: Option<OrWord<Now, i64>>,
        /// Whether all of it is a trial.
        pub trial: Option<bool>,
        /// Until when it is a trial.
        pub trial_end: Option<OrWord<Now, i64>>,
    }
}

/// A phase of a new schedule, which begins where the one before ends.
#[derive(Debug, Clone)]
pub struct NewPhaseInput(pub PhaseInput);

const START_DATE: &str = "start_date";

impl Decode for NewPhaseInput {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let phase = PhaseInput::decode(node, path)?;
        if phase.start_date.is_some() {
            let full = path.child(START_DATE).to_string();
            return Err(Error::invalid(format!("Received unknown parameter: {full}"))
                .code("parameter_unknown")
                .param(full));
        }
        for (given, name) in [(&phase.end_date, "end_date"), (&phase.trial_end, "trial_end")] {
            if matches!(given, Some(OrWord::Word(Now::Now))) {
                let full = path.child(name).to_string();
                return Err(Error::invalid("Invalid integer: now").param(full));
            }
        }
        Ok(Self(phase))
    }

    fn schema() -> Schema {
        match PhaseInput::schema() {
            Schema::Fields(mut fields) => {
                fields.retain(|(name, _)| *name != START_DATE);
                Schema::Fields(fields)
            }
            other => other,
        }
    }
}

/// A phase of a schedule that is only looked at: it says nothing of what invoices show.
#[derive(Debug, Clone)]
pub struct PreviewedPhase(pub PhaseInput);

const INVOICES: &str = "invoice_settings";
const DAYS: &str = "days_until_due";

impl Decode for PreviewedPhase {
    fn decode(node: Option<Node>, path: Path<'_>) -> Result<Self> {
        let phase = PhaseInput::decode(node, path)?;
        if let Some(shown) = &phase.invoice_settings {
            for (given, name) in [
                (!shown.custom_fields.is_keep(), "custom_fields"),
                (!shown.description.is_keep(), "description"),
                (!shown.footer.is_keep(), "footer"),
            ] {
                if given {
                    let full = path.child(INVOICES).child(name).to_string();
                    return Err(Error::invalid(format!("Received unknown parameter: {full}"))
                        .code("parameter_unknown")
                        .param(full));
                }
            }
        }
        Ok(Self(phase))
    }

    fn schema() -> Schema {
        let mut schema = PhaseInput::schema();
        if let Schema::Fields(fields) = &mut schema {
            for (_, of_invoices) in fields.iter_mut().filter(|(name, _)| *name == INVOICES) {
                if let Schema::Fields(shown) = of_invoices {
                    shown.retain(|(name, _)| *name == DAYS);
                }
            }
        }
        schema
    }
}

crate::params! {
    /// What phases have that say nothing of it themselves.
    pub struct SettingsInput {
        /// What periods are counted from.
        pub billing_cycle_anchor: Option<PhaseAnchor>,
        /// When it is billed before its time.
        pub billing_thresholds: Clear<ThresholdsInput>,
        /// How invoices are collected.
        pub collection_method: Option<CollectionMethod>,
        /// What pays invoices.
        pub default_payment_method: Option<Text<255>>,
        /// What the customer sees the subscription called.
        pub description: Clear<Text<500>>,
        /// What invoices show.
        pub invoice_settings: Option<InvoicesInput>,
    }
}

crate::params! {
    /// What a new schedule is made of: a customer and phases, or a subscription.
    pub struct Create {
        /// Which rules the subscription is billed by.
        pub billing_mode: Option<BillingModeInput>,
        /// Whose subscription.
        pub customer: Option<Text<255>>,
        /// What phases have that say nothing of it.
        pub default_settings: Option<SettingsInput>,
        /// What becomes of the subscription after the last phase; it goes on unless told otherwise.
        pub end_behavior: Option<EndBehavior>,
        /// A subscription that is there already.
        pub from_subscription: Option<Text<255>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// What the subscription is, one time after another.
        pub phases: Option<Vec<NewPhaseInput>>,
        /// When the first phase begins; now unless told otherwise.
        pub start_date: Option<OrWord<Now, i64>>,
    }
}

crate::params! {
    /// What of a schedule changes.
    pub struct Update {
        /// What phases have that say nothing of it.
        pub default_settings: Option<SettingsInput>,
        /// What becomes of the subscription after the last phase.
        pub end_behavior: Option<EndBehavior>,
        /// Keys and values to change.
        pub metadata: MetadataChange,
        /// The phases that are under way or to come, and any that are over.
        pub phases: Option<Vec<PhaseInput>>,
        /// How a change of the phase that is under way is billed.
        pub proration_behavior: Option<ProrationBehavior>,
    }
}

crate::params! {
    /// How a schedule ends together with its subscription.
    pub struct Cancel {
        /// Whether usage that was not billed yet is billed now; it is unless told otherwise.
        pub invoice_now: Option<bool>,
        /// Whether unused time is given back; it is unless told otherwise.
        pub prorate: Option<bool>,
    }
}

crate::params! {
    /// How a schedule leaves its subscription to itself.
    pub struct Release {
        /// Whether the subscription still ends when the schedule would have ended it.
        pub preserve_cancel_date: Option<bool>,
    }
}

crate::params! {
    /// A list of schedules.
    pub struct List with page {
        /// Only those that were canceled in this span.
        pub canceled_at: Range,
        /// Only those that were over in this span.
        pub completed_at: Range,
        /// Only those made in this span.
        pub created: Range,
        /// Only those of this customer; those of customers of test clocks only so.
        pub customer: Option<Text<255>>,
        /// Only those that were released in this span.
        pub released_at: Range,
        /// Only those that have not started.
        pub scheduled: Option<bool>,
    }
}
