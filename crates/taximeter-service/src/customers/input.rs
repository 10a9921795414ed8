//! What a request may say about a customer.

use super::{
    Address, CustomField, Customer, InvoiceSettings, RenderingOptions, Shipping, TaxExempt,
};
use crate::error::{Error, Result};
use crate::params::{Clear, Metadata, MetadataChange, Range, Text};
use crate::version::{ApiVersion, BASIL};

const LOCALES_MAX: usize = 20;
/// The most fields at the head of an invoice (Stripe's).
const CUSTOM_FIELDS_MAX: usize = 4;
const SEQUENCE_MAX: i64 = 1_000_000_000;
const BALANCE_MINOR_MAX: i64 = 999_999_999_999;

crate::choice! {
    /// How an invoice shows tax.
    pub enum AmountTaxDisplay {
        /// Apart from the amounts.
        ExcludeTax = "exclude_tax",
        /// In the amounts.
        IncludeInclusiveTax = "include_inclusive_tax",
    }
}

crate::params! {
    /// A postal address.
    pub struct AddressInput {
        /// City, town or village.
        pub city: Option<Text>,
        /// Two-letter country code.
        pub country: Option<Text>,
        /// Street and number.
        pub line1: Option<Text>,
        /// Flat, floor or building.
        pub line2: Option<Text>,
        /// Postal code.
        pub postal_code: Option<Text>,
        /// State, county or province.
        pub state: Option<Text>,
    }
}

crate::params! {
    /// Where goods go.
    pub struct ShippingInput {
        /// The address.
        pub address: AddressInput,
        /// Who receives them.
        pub name: Text,
        /// Whom to call.
        pub phone: Option<Text>,
    }
}

crate::params! {
    /// A field that the customer's invoices show.
    pub struct CustomFieldInput {
        /// What it is called.
        pub name: Text<40>,
        /// What it says.
        pub value: Text<140>,
    }
}

crate::params! {
    /// How the customer's invoices are drawn.
    pub struct RenderingInput {
        /// How tax is shown.
        pub amount_tax_display: Clear<AmountTaxDisplay>,
    }
}

crate::params! {
    /// What the customer's invoices show.
    pub struct InvoiceSettingsInput {
        /// Fields at their head.
        pub custom_fields: Clear<Vec<CustomFieldInput>>,
        /// What they are paid with.
        pub default_payment_method: Option<Text<255>>,
        /// Text at their foot.
        pub footer: Clear<Text>,
        /// How they are drawn.
        pub rendering_options: Clear<RenderingInput>,
    }
}

crate::params! {
    /// What a new customer is made of.
    #[derive(Default)]
    pub struct Create {
        /// Billing address.
        pub address: Clear<AddressInput>,
        /// Owed (positive) or in credit (negative), in minor units.
        pub balance: Option<i64>,
        /// The name of the business.
        pub business_name: Clear<Text<150>>,
        /// A coupon to redeem, in versions before basil.
        pub coupon: Clear<Text<255>>,
        /// A note of the operator's.
        pub description: Option<Text>,
        /// Where invoices are sent.
        pub email: Option<Text<512>>,
        /// The name of the person.
        pub individual_name: Clear<Text<150>>,
        /// What its invoice numbers begin with: 3 to 12 upper-case letters or digits.
        pub invoice_prefix: Option<Text>,
        /// What its invoices show.
        pub invoice_settings: Option<InvoiceSettingsInput>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// Full name or business name.
        pub name: Option<Text<256>>,
        /// The number that its first invoice gets.
        pub next_invoice_sequence: Option<i64>,
        /// What is attached to it.
        pub payment_method: Option<Text<255>>,
        /// Telephone number.
        pub phone: Option<Text>,
        /// Languages, most wanted first.
        pub preferred_locales: Option<Vec<Text>>,
        /// A promotion code to redeem, in versions before basil.
        pub promotion_code: Option<Text<255>>,
        /// Where goods go.
        pub shipping: Clear<ShippingInput>,
        /// How it is taxed.
        pub tax_exempt: Clear<TaxExempt>,
        /// The test clock that tells its time.
        pub test_clock: Option<Text<255>>,
    }
}

crate::params! {
    /// What of a customer changes.
    #[derive(Default)]
    pub struct Update {
        /// Billing address.
        pub address: Clear<AddressInput>,
        /// Owed (positive) or in credit (negative), in minor units.
        pub balance: Option<i64>,
        /// The name of the business.
        pub business_name: Clear<Text<150>>,
        /// A coupon to redeem, in versions before basil; empty removes the discount.
        pub coupon: Clear<Text<255>>,
        /// A note of the operator's.
        pub description: Clear<Text>,
        /// Where invoices are sent.
        pub email: Clear<Text<512>>,
        /// The name of the person.
        pub individual_name: Clear<Text<150>>,
        /// What its invoice numbers begin with.
        pub invoice_prefix: Option<Text>,
        /// What its invoices show.
        pub invoice_settings: Option<InvoiceSettingsInput>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
        /// Full name or business name.
        pub name: Clear<Text<256>>,
        /// The number that its next invoice gets.
        pub next_invoice_sequence: Option<i64>,
        /// Telephone number.
        pub phone: Clear<Text>,
        /// Languages, most wanted first.
        pub preferred_locales: Clear<Vec<Text>>,
        /// A promotion code to redeem, in versions before basil.
        pub promotion_code: Option<Text<255>>,
        /// Where goods go.
        pub shipping: Clear<ShippingInput>,
        /// How it is taxed.
        pub tax_exempt: Clear<TaxExempt>,
    }
}

crate::params! {
    /// A list of customers.
    pub struct List with page {
        /// Only customers made in this span.
        pub created: Range,
        /// Only customers with exactly this email.
        pub email: Option<Text<512>>,
        /// Only customers whose time this test clock tells; without it, only those who have none.
        pub test_clock: Option<Text<255>>,
    }
}

crate::params! {
    /// Deleting takes no parameters.
    pub struct Delete {}
}

impl From<AddressInput> for Address {
    fn from(input: AddressInput) -> Self {
        Self {
            city: input.city.map(Into::into),
            country: input.country.map(Into::into),
            line1: input.line1.map(Into::into),
            line2: input.line2.map(Into::into),
            postal_code: input.postal_code.map(Into::into),
            state: input.state.map(Into::into),
        }
    }
}

impl From<ShippingInput> for Shipping {
    fn from(input: ShippingInput) -> Self {
        Self {
            address: input.address.into(),
            name: input.name.into(),
            phone: input.phone.map(Into::into),
        }
    }
}

impl From<CustomFieldInput> for CustomField {
    fn from(input: CustomFieldInput) -> Self {
        Self { name: input.name.into(), value: input.value.into() }
    }
}

/// The fields that a request at `path` wants at the head of invoices.
///
/// # Errors
/// A 400 when there are too many.
pub(crate) fn checked_custom_fields(
    fields: Vec<CustomFieldInput>,
    path: &str,
) -> Result<Vec<CustomField>> {
    if fields.len() > CUSTOM_FIELDS_MAX {
        return Err(Error::invalid(format!(
            "An invoice can have at most {CUSTOM_FIELDS_MAX} custom fields."
        ))
        .param(path));
    }
    Ok(fields.into_iter().map(Into::into).collect())
}

/// The settings of a new customer.
pub(super) fn invoice_settings(input: Option<InvoiceSettingsInput>) -> InvoiceSettings {
    let mut settings = InvoiceSettings::default();
    if let Some(input) = input {
        apply_settings(input, &mut settings);
    }
    settings
}

fn apply_settings(input: InvoiceSettingsInput, settings: &mut InvoiceSettings) {
    input.footer.apply(&mut settings.footer);
    if let Some(id) = input.default_payment_method {
        settings.default_payment_method = Some(id.into());
    }
    match input.custom_fields {
        Clear::Keep => {}
        Clear::Unset => settings.custom_fields = None,
        Clear::Set(fields) => {
            settings.custom_fields = Some(fields.into_iter().map(Into::into).collect());
        }
    }
    match input.rendering_options {
        Clear::Keep => {}
        Clear::Unset => settings.rendering_options = None,
        Clear::Set(rendering) => {
            use crate::params::Choice as _;
            let display = rendering.amount_tax_display.or_none().map(|d| d.as_str().to_owned());
            settings.rendering_options =
                Some(RenderingOptions { amount_tax_display: display, template: None });
        }
    }
}

/// An invoice prefix, if it is one.
pub(super) fn checked_prefix(prefix: Text) -> Result<String> {
    let text = String::from(prefix);
    let plain = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !plain || !(3..=12).contains(&text.len()) {
        return Err(Error::invalid(
            "Invalid invoice_prefix: must be 3 to 12 upper-case letters or digits.",
        )
        .param("invoice_prefix"));
    }
    Ok(text)
}

/// The number of the next invoice, never below `least`: two invoices must not share one.
pub(super) fn checked_sequence(sequence: Option<i64>, least: i64) -> Result<i64> {
    let sequence = sequence.unwrap_or(least);
    if (least..=SEQUENCE_MAX).contains(&sequence) {
        return Ok(sequence);
    }
    Err(Error::invalid(format!(
        "Invalid next_invoice_sequence: must be between {least} and {SEQUENCE_MAX}."
    ))
    .param("next_invoice_sequence"))
}

/// A balance within bounds.
pub(crate) fn checked_balance(balance: i64) -> Result<i64> {
    if (-BALANCE_MINOR_MAX..=BALANCE_MINOR_MAX).contains(&balance) {
        return Ok(balance);
    }
    Err(Error::invalid(format!(
        "Invalid balance: must be between -{BALANCE_MINOR_MAX} and {BALANCE_MINOR_MAX}."
    ))
    .param("balance"))
}

fn too_many(param: &str, max: usize) -> Error {
    Error::invalid(format!("Invalid array: at most {max} elements are accepted")).param(param)
}

impl Create {
    /// Rules that go beyond a single parameter's type.
    pub(super) fn check(&self, version: &ApiVersion) -> Result<()> {
        check_version(&self.coupon, self.promotion_code.as_ref(), version)?;
        if self.preferred_locales.as_ref().is_some_and(|locales| locales.len() > LOCALES_MAX) {
            return Err(too_many("preferred_locales", LOCALES_MAX));
        }
        self.balance.map_or(Ok(0), checked_balance)?;
        check_settings(self.invoice_settings.as_ref())
    }
}

fn check_settings(settings: Option<&InvoiceSettingsInput>) -> Result<()> {
    if let Some(InvoiceSettingsInput { custom_fields: Clear::Set(fields), .. }) = settings
        && fields.len() > CUSTOM_FIELDS_MAX
    {
        return Err(too_many("invoice_settings[custom_fields]", CUSTOM_FIELDS_MAX));
    }
    Ok(())
}

/// Since basil a customer is given no discount.
fn check_version(
    coupon: &Clear<Text<255>>,
    promotion_code: Option<&Text<255>>,
    version: &ApiVersion,
) -> Result<()> {
    let param = match (coupon.is_keep(), promotion_code) {
        (false, _) => "coupon",
        (true, Some(_)) => "promotion_code",
        (true, None) => return Ok(()),
    };
    if version.is_before(BASIL) {
        return Ok(());
    }
    Err(Error::invalid(format!("Received unknown parameter: {param}"))
        .code("parameter_unknown")
        .param(param)
        .before_execution())
}

impl Update {
    /// Rules that go beyond a single parameter's type.
    pub(super) fn check(&self, version: &ApiVersion) -> Result<()> {
        check_version(&self.coupon, self.promotion_code.as_ref(), version)
    }

    /// Puts the change on a customer.
    pub(super) fn apply(self, customer: &mut Customer) -> Result<()> {
        check_settings(self.invoice_settings.as_ref())?;
        self.name.apply(&mut customer.name);
        self.email.apply(&mut customer.email);
        self.phone.apply(&mut customer.phone);
        self.description.apply(&mut customer.description);
        self.business_name.apply(&mut customer.business_name);
        self.individual_name.apply(&mut customer.individual_name);
        self.address.apply(&mut customer.address);
        self.shipping.apply(&mut customer.shipping);
        if let Some(prefix) = self.invoice_prefix {
            customer.invoice_prefix = checked_prefix(prefix)?;
        }
        let least = customer.next_invoice_sequence;
        customer.next_invoice_sequence = checked_sequence(self.next_invoice_sequence, least)?;
        if let Some(settings) = self.invoice_settings {
            apply_settings(settings, &mut customer.invoice_settings);
        }
        match self.preferred_locales {
            Clear::Keep => {}
            Clear::Unset => customer.preferred_locales.clear(),
            Clear::Set(locales) if locales.len() > LOCALES_MAX => {
                return Err(too_many("preferred_locales", LOCALES_MAX));
            }
            Clear::Set(locales) => {
                customer.preferred_locales = locales.into_iter().map(Into::into).collect();
            }
        }
        match self.tax_exempt {
            Clear::Keep => {}
            Clear::Unset => customer.tax_exempt = TaxExempt::None,
            Clear::Set(tax_exempt) => customer.tax_exempt = tax_exempt,
        }
        self.metadata.apply(&mut customer.metadata)
    }
}
