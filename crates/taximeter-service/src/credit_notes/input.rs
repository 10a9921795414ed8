//! What a request may say about a credit note.

use taximeter_kernel::decimal::Decimal;
use taximeter_kernel::time::Timestamp;

use crate::params::{Clear, Metadata, MetadataChange, Range, Text};
use crate::products::AtMost;

/// The most lines of one credit note.
pub const LINES_MAX: usize = 250;
/// The most refunds that one credit note is linked to.
pub const REFUNDS_MAX: usize = 100;

crate::choice! {
    /// Why something is taken back.
    pub enum Reason {
        /// It was billed twice.
        Duplicate = "duplicate",
        /// It was billed to somebody who did not want it.
        Fraudulent = "fraudulent",
        /// The order changed.
        OrderChange = "order_change",
        /// It was not good enough.
        ProductUnsatisfactory = "product_unsatisfactory",
    }
}

crate::choice! {
    /// What a line takes back.
    pub enum LineType {
        /// Something that the invoice has no line of.
        CustomLineItem = "custom_line_item",
        /// A line of the invoice, or a part of it.
        InvoiceLineItem = "invoice_line_item",
    }
}

crate::choice! {
    /// What is sent to the customer.
    pub enum EmailType {
        /// Nothing.
        None = "none",
    }
}

crate::choice! {
    /// What a credit note is linked to.
    pub enum RefundType {
        /// A refund.
        Refund = "refund",
    }
}

crate::params! {
    /// One line of what is taken back.
    pub struct LineInput {
        /// How much of an invoice's line, before discounts and tax that comes on top.
        pub amount: Option<i64>,
        /// What it says, when it is none of the invoice's.
        pub description: Option<Text>,
        /// Which line of the invoice.
        pub invoice_line_item: Option<Text<255>>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// How many.
        pub quantity: Option<i64>,
        /// What it is taxed by, when it is none of the invoice's.
        pub tax_rates: Clear<Vec<Text<255>>>,
        /// What it takes back.
        pub r#type: LineType,
        /// What each costs, in whole minor units, when it is none of the invoice's.
        pub unit_amount: Option<i64>,
        /// What each costs, in minor units with up to 12 decimals, when it is none of the invoice's.
        pub unit_amount_decimal: Option<Decimal>,
    }
}

crate::params! {
    /// A refund that gave back what the credit note takes back.
    pub struct RefundInput {
        /// How much of it; all of it unless told.
        pub amount_refunded: Option<i64>,
        /// Which.
        pub refund: Option<Text<255>>,
        /// That it is one.
        pub r#type: Option<RefundType>,
    }
}

crate::params! {
    /// What a new credit note is made of.
    pub struct Create {
        /// What it comes to, in minor units, when it has no lines.
        pub amount: Option<i64>,
        /// What of it goes on the customer's balance.
        pub credit_amount: Option<i64>,
        /// The date that it bears.
        pub effective_at: Option<Timestamp>,
        /// What is sent to the customer.
        pub email_type: Option<EmailType>,
        /// Of which invoice.
        pub invoice: Text<255>,
        /// What it takes back, line by line.
        pub lines: Option<AtMost<LineInput, LINES_MAX>>,
        /// What it says to the customer.
        pub memo: Option<Text>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What of it is given back otherwise than through us.
        pub out_of_band_amount: Option<i64>,
        /// Why.
        pub reason: Option<Reason>,
        /// What of it is refunded now.
        pub refund_amount: Option<i64>,
        /// What of it was refunded already.
        pub refunds: Option<AtMost<RefundInput, REFUNDS_MAX>>,
    }
}

crate::params! {
    /// The lines of a credit note that is not made.
    pub struct PreviewLines with page {
        /// What it comes to, in minor units, when it has no lines.
        pub amount: Option<i64>,
        /// What of it goes on the customer's balance.
        pub credit_amount: Option<i64>,
        /// The date that it bears.
        pub effective_at: Option<Timestamp>,
        /// What is sent to the customer.
        pub email_type: Option<EmailType>,
        /// Of which invoice.
        pub invoice: Text<255>,
        /// What it takes back, line by line.
        pub lines: Option<AtMost<LineInput, LINES_MAX>>,
        /// What it says to the customer.
        pub memo: Option<Text>,
        /// The operator's own keys and values.
        pub metadata: Metadata,
        /// What of it is given back otherwise than through us.
        pub out_of_band_amount: Option<i64>,
        /// Why.
        pub reason: Option<Reason>,
        /// What of it is refunded now.
        pub refund_amount: Option<i64>,
        /// What of it was refunded already.
        pub refunds: Option<AtMost<RefundInput, REFUNDS_MAX>>,
    }
}

impl From<PreviewLines> for Create {
    fn from(input: PreviewLines) -> Self {
        Self {
            amount: input.amount,
            credit_amount: input.credit_amount,
            effective_at: input.effective_at,
            email_type: input.email_type,
            invoice: input.invoice,
            lines: input.lines,
            memo: input.memo,
            metadata: input.metadata,
            out_of_band_amount: input.out_of_band_amount,
            reason: input.reason,
            refund_amount: input.refund_amount,
            refunds: input.refunds,
        }
    }
}

crate::params! {
    /// What of a credit note changes.
    pub struct Update {
        /// What it says to the customer.
        pub memo: Option<Text>,
        /// The operator's own keys and values.
        pub metadata: MetadataChange,
    }
}

crate::params! {
    /// A list of credit notes.
    pub struct List with page {
        /// Only those made in this span.
        pub created: Range,
        /// Only those of this customer.
        pub customer: Option<Text<255>>,
        /// Only those of this invoice.
        pub invoice: Option<Text<255>>,
    }
}

crate::params! {
    /// The lines of a credit note.
    pub struct Lines with page {}
}

crate::params! {
    /// Voiding takes no parameters.
    pub struct Void {}
}
