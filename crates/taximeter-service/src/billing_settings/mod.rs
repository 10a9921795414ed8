//! How an account bills: what Stripe has as settings of the account in its dashboard.

mod sql;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taximeter_kernel::money::Currency;
use taximeter_kernel::time::{DAY_S, HOUR_S};

use crate::ctx::Ctx;
use crate::error::{Error, Result};

/// The longest time a draft stays open for late usage, in seconds (Stripe's bound).
const GRACE_MAX_S: i64 = 72 * HOUR_S;
/// The most retries of a payment.
const RETRIES_MAX: usize = 8;
/// The longest time between two tries, in days.
const RETRY_DAYS_MAX: i64 = 30;
/// The longest time ahead that a renewal is announced, in days.
const UPCOMING_DAYS_MAX: i64 = 45;
/// The longest time ahead that the day an invoice is due is announced, in days.
const WILL_BE_DUE_DAYS_MAX: i64 = 45;

crate::choice! {
    /// What becomes of a subscription whose invoice could not be collected.
    pub enum AfterRetries {
        /// It ends.
        Cancel = "cancel",
        /// It goes on, and its invoices stay drafts.
        Unpaid = "unpaid",
        /// It goes on as it is.
        PastDue = "past_due",
    }
}

/// How an account bills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BillingSettings {
    /// How long the draft of a renewal stays open for late usage, in seconds.
    pub draft_grace_s: i64,
    /// After how many days each further try to collect an invoice is made, counted from the one
    /// before.
    pub retry_after_days: Vec<i64>,
    /// What becomes of the subscription after the last one.
    pub after_retries: AfterRetries,
    /// What an invoice is in where neither the request nor its customer says.
    #[serde(with = "code")]
    pub default_currency: Currency,
    /// How many days ahead `invoice.upcoming` announces a renewal; 0 for not at all.
    pub upcoming_days: i64,
    /// How many days ahead `invoice.will_be_due` announces the day an invoice is due; 0 for not at all.
    pub will_be_due_days: i64,
}

impl Default for BillingSettings {
    /// An hour of grace, tries after 3, 5 and 7 days, and then the end: as Stripe has them, for an
    /// account in the United States.
    fn default() -> Self {
        Self {
            draft_grace_s: HOUR_S,
            retry_after_days: vec![3, 5, 7],
            after_retries: AfterRetries::Cancel,
            default_currency: Currency::USD,
            upcoming_days: 7,
            will_be_due_days: 3,
        }
    }
}

impl BillingSettings {
    /// How long after a failed try the next one is made, in seconds: 259,200 (3 days) after the first
    /// by default. Nothing after the last.
    #[must_use]
    pub fn retry_after_s(&self, attempts: i64) -> Option<i64> {
        let place = usize::try_from(attempts.checked_sub(1)?).ok()?;
        self.retry_after_days.get(place).and_then(|days| days.checked_mul(DAY_S))
    }

    /// The object `billing.settings`, ours.
    #[must_use]
    pub fn wire(&self) -> Value {
        json!({
            "object": "billing.settings",
            "after_retries": self.after_retries,
            "default_currency": self.default_currency.code(),
            "draft_grace_seconds": self.draft_grace_s,
            "retry_after_days": self.retry_after_days,
            "upcoming_days": self.upcoming_days,
            "will_be_due_days": self.will_be_due_days,
        })
    }
}

crate::params! {
    /// What of the settings changes.
    pub struct Update {
        /// What becomes of a subscription whose invoice could not be collected.
        pub after_retries: Option<AfterRetries>,
        /// What an invoice is in where neither the request nor its customer says.
        pub default_currency: Option<Currency>,
        /// How long the draft of a renewal stays open for late usage, in seconds.
        pub draft_grace_seconds: Option<i64>,
        /// After how many days each further try to collect is made.
        pub retry_after_days: Option<Vec<i64>>,
        /// How many days ahead a renewal is announced; 0 for not at all.
        pub upcoming_days: Option<i64>,
        /// How many days ahead the day an invoice is due is announced; 0 for not at all.
        pub will_be_due_days: Option<i64>,
    }
}

/// Reads the settings of the account, once in a piece of work.
///
/// # Errors
/// A 500 when the database cannot be read.
pub async fn retrieve(ctx: &mut Ctx) -> Result<BillingSettings> {
    if let Some(known) = &ctx.known().billing_settings {
        return Ok(known.clone());
    }
    let settings = sql::find(ctx).await?.unwrap_or_default();
    ctx.known().billing_settings = Some(settings.clone());
    Ok(settings)
}

/// Reads the settings, as the API has them.
///
/// # Errors
/// As [`retrieve`].
pub async fn show(ctx: &mut Ctx, _: crate::params::Nothing) -> Result<Value> {
    Ok(retrieve(ctx).await?.wire())
}

/// Changes the settings. They hold for what happens from now on.
///
/// # Errors
/// A 400 when one is outside its bounds.
pub async fn update(ctx: &mut Ctx, input: Update) -> Result<Value> {
    let mut settings = retrieve(ctx).await?;
    let Update {
        after_retries,
        default_currency,
        draft_grace_seconds,
        retry_after_days,
        upcoming_days,
        will_be_due_days,
    } = input;
    if let Some(after) = after_retries {
        settings.after_retries = after;
    }
    if let Some(currency) = default_currency {
        settings.default_currency = currency;
    }
    if let Some(grace) = draft_grace_seconds {
        settings.draft_grace_s = within(grace, GRACE_MAX_S, "draft_grace_seconds")?;
    }
    if let Some(days) = retry_after_days {
        if days.len() > RETRIES_MAX {
            let message = format!("There can be at most {RETRIES_MAX} retries.");
            return Err(Error::invalid(message).param("retry_after_days"));
        }
        for (place, day) in days.iter().enumerate() {
            within(
                day.saturating_sub(1),
                RETRY_DAYS_MAX - 1,
                &format!("retry_after_days[{place}]"),
            )?;
        }
        settings.retry_after_days = days;
    }
    if let Some(days) = upcoming_days {
        settings.upcoming_days = within(days, UPCOMING_DAYS_MAX, "upcoming_days")?;
    }
    if let Some(days) = will_be_due_days {
        settings.will_be_due_days = within(days, WILL_BE_DUE_DAYS_MAX, "will_be_due_days")?;
    }
    sql::save(ctx, &settings).await?;
    let wire = settings.wire();
    ctx.known().billing_settings = Some(settings);
    Ok(wire)
}

/// A currency in the column of settings: its code.
mod code {
    use serde::{Deserialize as _, Deserializer, Serializer, de};
    use taximeter_kernel::money::Currency;

    pub(super) fn serialize<S: Serializer>(currency: &Currency, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(currency.code())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Currency, D::Error> {
        let code = String::deserialize(from)?;
        Currency::parse(&code).map_err(de::Error::custom)
    }
}

fn within(value: i64, most: i64, param: &str) -> Result<i64> {
    if (0..=most).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(format!("Invalid {param}: out of bounds.")).param(param))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_tried_again_after_three_five_and_seven_days_and_then_no_more() {
        let settings = BillingSettings::default();
        let tried = [0, 1, 2, 3, 4].map(|attempts| settings.retry_after_s(attempts));
        assert_eq!(tried, [None, Some(259_200), Some(432_000), Some(604_800), None]);
    }
}
