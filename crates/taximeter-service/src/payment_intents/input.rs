//! What a request may say about a payment intent.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::money::{AMOUNT_MINOR_MAX, Currency, format_amount};

use super::{AutomaticPaymentMethods, CaptureMethod, FutureUsage, Shipping};
use crate::customers::AddressInput;
use crate::error::{Error, Result};
use crate::params::{Clear, Metadata, MetadataChange, Range, Text};
use crate::payment_methods::Type;

crate::choice! {
    /// Whether payment methods may send the one who pays elsewhere.
    pub enum AllowRedirects {
        /// They may.
        Always = "always",
        /// They may not.
        Never = "never",
    }
}

crate::choice! {
    /// Why a payment intent is given up.
    pub enum CancellationReason {
        /// Nobody came back.
        Abandoned = "abandoned",
        /// There is another.
        Duplicate = "duplicate",
        /// It looks like fraud.
        Fraudulent = "fraudulent",
        /// The one who pays wants it.
        RequestedByCustomer = "requested_by_customer",
    }
}

crate::choice! {
    /// Whether the one who pays authenticates, where a test has them do it.
    pub enum Authentication {
        /// They do.
        Succeed = "succeed",
        /// They fail to.
        Fail = "fail",
    }
}

crate::params! {
    /// Whether the server chooses the types of payment methods.
    pub struct AutomaticInput {
        /// Whether they may send the one who pays elsewhere.
        pub allow_redirects: Option<AllowRedirects>,
        /// Whether it does.
        pub enabled: bool,
    }
}

crate::params! {
    /// Where goods go, and how.
    pub struct ShippingInput {
        /// The address.
        pub address: AddressInput,
        /// Who carries them.
        pub carrier: Option<Text>,
        /// Who receives them.
        pub name: Text,
        /// Whom to call.
        pub phone: Option<Text>,
        /// What the carrier calls them.
        pub tracking_number: Option<Text>,
    }
}

crate::params! {
    /// What a new payment intent is made of.
    pub struct Create {
        /// What types of payment methods can pay.
        pub allowed_payment_method_types: Option<Vec<Type>>,
        /// How much, in minor units.
        pub amount: i64,
        /// Whether the server chooses the types of payment methods.
        pub automatic_payment_methods: Option<AutomaticInput>,
        /// When the money is taken.
        pub capture_method: Option<CaptureMethod>,
        /// Whether it is confirmed at once.
        pub confirm: Option<bool>,
        /// Of what.
        pub currency: Currency,
        /// Who pays.
        pub customer: Option<Text<255>>,
        /// A note of the operator's.
        pub description: Option<Text<1000>>,
        /// Whether it fails where the one who pays would have to authenticate.
        pub error_on_requires_action: Option<bool>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// Whether the one who pays is away.
        pub off_session: Option<bool>,
        /// What with.
        pub payment_method: Option<Text<255>>,
        /// As `allowed_payment_method_types`, in the versions before it.
        pub payment_method_types: Option<Vec<Type>>,
        /// Where a receipt is sent.
        pub receipt_email: Option<Text<512>>,
        /// Where the one who pays comes back to.
        pub return_url: Option<Text<2048>>,
        /// Whether the payment method is kept.
        pub setup_future_usage: Option<FutureUsage>,
        /// Where goods go.
        pub shipping: Option<ShippingInput>,
        /// What the statement of the one who pays says.
        pub statement_descriptor: Option<Text<22>>,
        /// What it says after that.
        pub statement_descriptor_suffix: Option<Text<22>>,
    }
}

crate::params! {
    /// What of a payment intent changes.
    pub struct Update {
        /// What types of payment methods can pay.
        pub allowed_payment_method_types: Option<Vec<Type>>,
        /// How much, in minor units.
        pub amount: Option<i64>,
        /// When the money is taken.
        pub capture_method: Option<CaptureMethod>,
        /// Of what.
        pub currency: Option<Currency>,
        /// Who pays.
        pub customer: Option<Text<255>>,
        /// A note of the operator's.
        pub description: Clear<Text<1000>>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// What with.
        pub payment_method: Option<Text<255>>,
        /// As `allowed_payment_method_types`, in the versions before it.
        pub payment_method_types: Option<Vec<Type>>,
        /// Where a receipt is sent.
        pub receipt_email: Clear<Text<512>>,
        /// Whether the payment method is kept.
        pub setup_future_usage: Clear<FutureUsage>,
        /// Where goods go.
        pub shipping: Clear<ShippingInput>,
        /// What the statement of the one who pays says.
        pub statement_descriptor: Option<Text<22>>,
        /// What it says after that.
        pub statement_descriptor_suffix: Option<Text<22>>,
    }
}

crate::params! {
    /// How a payment intent is read.
    pub struct Retrieve {
        /// The intent's own secret.
        pub client_secret: Option<Text<255>>,
    }
}

crate::params! {
    /// How a payment intent is confirmed.
    pub struct Confirm {
        /// What types of payment methods can pay.
        pub allowed_payment_method_types: Option<Vec<Type>>,
        /// When the money is taken.
        pub capture_method: Option<CaptureMethod>,
        /// Whether it fails where the one who pays would have to authenticate.
        pub error_on_requires_action: Option<bool>,
        /// Whether the one who pays is away.
        pub off_session: Option<bool>,
        /// What with.
        pub payment_method: Option<Text<255>>,
        /// As `allowed_payment_method_types`, in the versions before it.
        pub payment_method_types: Option<Vec<Type>>,
        /// Where a receipt is sent.
        pub receipt_email: Clear<Text<512>>,
        /// Where the one who pays comes back to.
        pub return_url: Option<Text<2048>>,
        /// Whether the payment method is kept.
        pub setup_future_usage: Clear<FutureUsage>,
        /// Where goods go.
        pub shipping: Clear<ShippingInput>,
    }
}

crate::params! {
    /// How what is held is taken.
    pub struct Capture {
        /// How much of it; all unless told.
        pub amount_to_capture: Option<i64>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// What the statement of the one who pays says.
        pub statement_descriptor: Option<Text<22>>,
        /// What it says after that.
        pub statement_descriptor_suffix: Option<Text<22>>,
    }
}

crate::params! {
    /// How a payment intent is given up.
    pub struct Cancel {
        /// Why.
        pub cancellation_reason: Option<CancellationReason>,
    }
}

crate::params! {
    /// What the one who pays does with the authentication that is asked of them.
    pub struct Authenticate {
        /// Whether they authenticate.
        pub outcome: Authentication,
    }
}

crate::params! {
    /// A list of payment intents.
    pub struct List with page {
        /// Only those made in this span.
        pub created: Range,
        /// Only those of this customer.
        pub customer: Option<Text<255>>,
    }
}

impl From<ShippingInput> for Shipping {
    fn from(input: ShippingInput) -> Self {
        Self {
            address: input.address.into(),
            carrier: input.carrier.map(Into::into),
            name: input.name.into(),
            phone: input.phone.map(Into::into),
            tracking_number: input.tracking_number.map(Into::into),
        }
    }
}

/// The types of payment methods that a request names, under their name or their older one.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) Option<Vec<Type>>);

impl Named {
    /// # Errors
    /// A 400 when both names are used, or none is left.
    pub(crate) fn of(allowed: Option<Vec<Type>>, older: Option<Vec<Type>>) -> Result<Self> {
        if allowed.is_some() && older.is_some() {
            return Err(exclusive("allowed_payment_method_types", "payment_method_types"));
        }
        let types = allowed.or(older);
        if types.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("Invalid array: at least one element is needed")
                .param("payment_method_types"));
        }
        Ok(Self(types))
    }
}

fn exclusive(one: &str, other: &str) -> Error {
    Error::invalid(format!("You may only specify one of these parameters: {one}, {other}."))
        .code("parameters_exclusive")
        .param(one)
}

/// Whether the server chooses the types of payment methods: it does, unless they are named.
///
/// # Errors
/// A 400 when both are said, or neither is left.
pub(crate) fn automatic(
    input: Option<&AutomaticInput>,
    named: &Named,
) -> Result<Option<AutomaticPaymentMethods>> {
    match (input, &named.0) {
        (Some(AutomaticInput { enabled: true, .. }), Some(_)) => {
            Err(exclusive("automatic_payment_methods", "payment_method_types"))
        }
        (_, Some(_)) => Ok(None),
        (Some(AutomaticInput { enabled: false, .. }), None) => {
            Err(Error::missing("payment_method_types"))
        }
        (input, None) => {
            let allowed = input.and_then(|input| input.allow_redirects);
            let allow_redirects = allowed.unwrap_or(AllowRedirects::Always);
            Ok(Some(AutomaticPaymentMethods { allow_redirects, enabled: true }))
        }
    }
}

/// An amount that can be charged.
///
/// # Errors
/// A 400 when it is too small for its currency, or too large for any.
pub(super) fn checked_amount(amount: i64, currency: Currency) -> Result<i64> {
    let shown = |minor: i64| {
        format!("{} {}", format_amount(Decimal::from(minor), currency), currency.code())
    };
    if amount < 1 {
        return Err(Error::invalid("This value must be greater than or equal to 1.")
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    if let Some(least) = currency.minimum_charge_minor().filter(|least| amount < *least) {
        return Err(Error::invalid(format!("Amount must be at least {}", shown(least)))
            .code("amount_too_small")
            .param("amount"));
    }
    if amount > AMOUNT_MINOR_MAX {
        let most = shown(AMOUNT_MINOR_MAX);
        return Err(Error::invalid(format!("Amount must be no more than {most}"))
            .code("amount_too_large")
            .param("amount"));
    }
    Ok(amount)
}
