//! Credit notes: what is taken back of a finalized invoice, before it is paid or after.

mod details;
mod draw;
mod input;
mod sql;
mod wire;

use std::collections::BTreeMap;

pub use details::{Details, Line, Refunded};
pub use input::{
    Create, EmailType, LINES_MAX, LineInput, LineType, Lines, List, PreviewLines, REFUNDS_MAX,
    Reason, RefundInput, RefundType, Update, Void,
};
use taximeter_db::Arg;
use taximeter_kernel::id::{
    CreditNote as CreditNoteKind, CreditNoteLine, Customer as CustomerKind, Id,
    Invoice as InvoiceKind, Kind as _, Refund as RefundKind,
};
use taximeter_kernel::money::{Currency, format_amount};
use taximeter_kernel::time::Timestamp;

use crate::balance_transactions::{self, BalanceChange};
use crate::ctx::Ctx;
use crate::customers::{self, Customer};
use crate::error::{Error, Kind, Result};
use crate::invoices::{self, Invoice};
use crate::page::{List as Page, Slice};
use crate::params::Choice as _;
use crate::tax_rates::TaxRate;
use crate::{charges, invoice_payments, outbox, payment_intents, payments, refunds, test_clocks};

crate::choice! {
    /// Whether a credit note counts.
    pub enum Status {
        /// It does.
        Issued = "issued",
        /// It was taken back.
        Void = "void",
    }
}

/// What is taken back of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNote {
    /// Its id.
    pub id: Id<CreditNoteKind>,
    /// Whether it is of the live dataset.
    pub livemode: bool,
    /// Of which invoice.
    pub invoice: Id<InvoiceKind>,
    /// Whose.
    pub customer: Id<CustomerKind>,
    /// Its number: that of the invoice, and its place among the invoice's credit notes.
    pub number: String,
    /// Whether it counts.
    pub status: Status,
    /// What its amounts are in.
    pub currency: Currency,
    /// What it takes back of what was still to be paid, in minor units.
    pub pre_payment: i64,
    /// What it takes back of what was paid, in minor units.
    pub post_payment: i64,
    /// What it says beyond that.
    pub details: Details,
    /// The tax rates that its lines name.
    pub tax_rates: Vec<TaxRate>,
    /// The operator's own keys and values.
    pub metadata: BTreeMap<String, String>,
    /// When it was taken back.
    pub voided_at: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

/// How what was paid is given back, in minor units.
struct GivenBack {
    on_balance: i64,
    refunded_now: i64,
    refunded: Vec<Refunded>,
    out_of_band: i64,
}

impl GivenBack {
    fn of(input: &Create) -> Result<Self> {
        for (param, amount) in [
            ("credit_amount", input.credit_amount),
            ("refund_amount", input.refund_amount),
            ("out_of_band_amount", input.out_of_band_amount),
        ] {
            if amount.is_some_and(|amount| amount < 0) {
                return Err(Error::invalid("This value must be greater than or equal to 0.")
                    .code("parameter_invalid_integer")
                    .param(param));
            }
        }
        Ok(Self {
            on_balance: input.credit_amount.unwrap_or(0),
            refunded_now: input.refund_amount.unwrap_or(0),
            refunded: Vec::new(),
            out_of_band: input.out_of_band_amount.unwrap_or(0),
        })
    }

    fn total(&self) -> i64 {
        let refunded = self.refunded.iter().map(|refunded| refunded.amount);
        refunded
            .chain([self.on_balance, self.refunded_now, self.out_of_band])
            .fold(0, i64::saturating_add)
    }
}

/// A credit note that is drawn up and not made yet, with what it is of.
struct Drawn {
    note: CreditNote,
    back: GivenBack,
    invoice: Invoice,
    customer: Customer,
}

async fn draw_up(
    ctx: &mut Ctx,
    input: Create,
    invoice: Invoice,
    customer: Customer,
) -> Result<Drawn> {
    check_status(&invoice)?;
    let mut back = GivenBack::of(&input)?;
    let all = sql::of_invoice(ctx, &invoice.id).await?;
    let place = all.len().saturating_add(1);
    let earlier: Vec<CreditNote> =
        all.into_iter().filter(|note| note.status == Status::Issued).collect();
    let lines = match (input.amount, input.lines) {
        (Some(amount), None) => draw::of_amount(ctx, amount)?,
        (None, Some(lines)) if !lines.0.is_empty() => {
            draw::lines(ctx, &invoice, &earlier, lines.0).await?
        }
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: amount, lines.",
            )
            .code("parameters_exclusive")
            .param("amount"));
        }
        (None, _) => {
            return Err(Error::invalid("You must specify one of `amount` or `lines`.")
                .code("parameter_missing")
                .param("amount"));
        }
    };
    for input in input.refunds.map(|refunds| refunds.0).unwrap_or_default() {
        let refunded = linked(ctx, &invoice, &earlier, &back.refunded, input).await?;
        back.refunded.push(refunded);
    }
    let details = Details {
        lines,
        memo: input.memo.map(Into::into),
        reason: input.reason.map(|reason| reason.as_str().to_owned()),
        effective_at: input.effective_at.map(|at| at.0),
        credit_amount: back.on_balance,
        customer_balance_transaction: None,
        out_of_band_amount: (back.out_of_band > 0).then_some(back.out_of_band),
        refunds: back.refunded.clone(),
    };
    let total = details.total_minor();
    check_total(&invoice, &earlier, total)?;
    let open = matches!(invoice.status, invoices::Status::Open | invoices::Status::Uncollectible);
    let remaining = if open { invoice.amount_remaining().max(0) } else { 0 };
    let pre_payment = total.min(remaining);
    let post_payment = total.saturating_sub(pre_payment);
    check_given_back(&back, post_payment, invoice.currency)?;
    let mut note = CreditNote {
        id: ctx.new_id(),
        livemode: invoice.livemode,
        invoice: invoice.id.clone(),
        customer: customer.id.clone(),
        number: format!("{}-CN-{place:02}", invoice.number.as_deref().unwrap_or_default()),
        status: Status::Issued,
        currency: invoice.currency,
        pre_payment,
        post_payment,
        details,
        tax_rates: Vec::new(),
        metadata: input.metadata.0,
        voided_at: None,
        created: ctx.now,
    };
    note.tax_rates = sql::tax_rates_of(ctx, &note.details).await?;
    Ok(Drawn { note, back, invoice, customer })
}

fn check_status(invoice: &Invoice) -> Result<()> {
    match invoice.status {
        invoices::Status::Open | invoices::Status::Paid | invoices::Status::Uncollectible => Ok(()),
        invoices::Status::Draft | invoices::Status::Void => Err(Error::invalid(format!(
            "You can only create a credit note for an invoice that is open, paid or uncollectible. \
             This invoice is {}.",
            invoice.status.as_str()
        ))
        .param("invoice")),
    }
}

/// All credit notes of an invoice together take back no more than it comes to.
fn check_total(invoice: &Invoice, earlier: &[CreditNote], total: i64) -> Result<()> {
    let sum = |note: &CreditNote| note.pre_payment.saturating_add(note.post_payment);
    let before = earlier.iter().map(sum).fold(0, i64::saturating_add);
    let left = invoice.total.saturating_sub(before);
    if total >= 1 && total <= left {
        return Ok(());
    }
    let shown = |minor: i64| format_amount(minor.into(), invoice.currency);
    Err(Error::invalid(format!(
        "The amount of the credit note ({}) must be positive and cannot be greater than what is left \
         of the invoice ({}).",
        shown(total),
        shown(left.max(0))
    ))
    .param("amount"))
}

fn check_given_back(back: &GivenBack, post_payment: i64, currency: Currency) -> Result<()> {
    let given = back.total();
    if given == post_payment {
        return Ok(());
    }
    let shown = |minor: i64| format_amount(minor.into(), currency);
    Err(Error::invalid(format!(
        "The sum of credit amount, refund amount and out of band amount ({}) must equal the post \
         payment amount ({}).",
        shown(given),
        shown(post_payment)
    )))
}

/// A refund of a payment of this invoice, as far as no other credit note is linked to it.
async fn linked(
    ctx: &mut Ctx,
    invoice: &Invoice,
    earlier: &[CreditNote],
    now: &[Refunded],
    input: RefundInput,
) -> Result<Refunded> {
    const PARAM: &str = "refunds";
    let id: String = input.refund.ok_or_else(|| Error::missing("refunds[refund]"))?.into();
    let refund = match refunds::retrieve(ctx, &id).await {
        Err(error) if error.kind == Kind::NotFound => {
            return Err(Error::no_such(RefundKind::NOUN, &id, PARAM));
        }
        found => found?,
    };
    let payments = payments::of_invoice(ctx, &invoice.id).await?;
    if !payments.iter().any(|payment| payment.payment_intent == refund.payment_intent) {
        let message = format!("The refund `{id}` is not of a payment of this invoice.");
        return Err(Error::invalid(message).param(PARAM));
    }
    let linked = earlier.iter().flat_map(|note| &note.details.refunds).chain(now);
    let used = linked.filter(|other| other.refund == id).map(|other| other.amount);
    let left = refund.amount.saturating_sub(used.fold(0, i64::saturating_add));
    let amount = input.amount_refunded.unwrap_or(left);
    if amount < 1 || amount > left {
        let message = format!("Of the refund `{id}` between 1 and {left} can be linked.");
        return Err(Error::invalid(message).param(PARAM));
    }
    Ok(Refunded { refund: id, amount })
}

/// Makes a credit note: what is still to be paid becomes less, and what was paid is given back.
///
/// # Errors
/// A 400 when there is no such invoice, it is a draft or void, the note takes back more than there
/// is, or what is given back is not what it takes back of what was paid.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<CreditNote> {
    let found = invoices::locked_with_customer(ctx, &input.invoice).await?;
    let Some((invoice, customer)) = found else {
        return Err(ctx.no_such(InvoiceKind::NOUN, &input.invoice, "invoice").await?);
    };
    test_clocks::follow(ctx, &customer).await?;
    let Drawn { mut note, back, mut invoice, mut customer } =
        draw_up(ctx, input, invoice, customer).await?;
    if back.refunded_now > 0 {
        let refund =
            refund(ctx, &invoice, back.refunded_now, note.details.reason.as_deref()).await?;
        note.details.refunds.push(refund);
    }
    if back.on_balance > 0 {
        let before = customer.clone();
        let row = balance_transactions::record(
            ctx,
            &mut customer,
            back.on_balance.saturating_neg(),
            BalanceChange::CreditNote,
            Some(&invoice.id),
            Some(&note.id),
            None,
        )
        .await?;
        note.details.customer_balance_transaction = row.map(|row| row.id.as_str().to_owned());
        customers::save(ctx, &before, &customer).await?;
    }
    sql::insert(ctx, &note).await?;
    let (pre, post) = (note.pre_payment, note.post_payment);
    invoices::credited(ctx, &mut invoice, &mut customer, pre, post).await?;
    outbox::push(ctx, "credit_note.created", &note.wire()).await?;
    Ok(note)
}

/// Refunds a part of what paid an invoice.
async fn refund(
    ctx: &mut Ctx,
    invoice: &Invoice,
    amount: i64,
    reason: Option<&str>,
) -> Result<Refunded> {
    const PARAM: &str = "refund_amount";
    let reason = match reason {
        Some("duplicate") => Some(refunds::Reason::Duplicate),
        Some("fraudulent") => Some(refunds::Reason::Fraudulent),
        Some(_) => Some(refunds::Reason::RequestedByCustomer),
        None => None,
    };
    for payment in payments::of_invoice(ctx, &invoice.id).await? {
        if payment.status != invoice_payments::Status::Paid {
            continue;
        }
        let intent = payment_intents::locked(ctx, payment.payment_intent.as_str(), PARAM).await?;
        let Some(charge) = intent.latest_charge else { continue };
        let charge = charges::locked(ctx, charge.as_str(), PARAM).await?;
        let refund =
            refunds::give_back(ctx, charge, Some(amount), (reason, BTreeMap::new())).await?;
        return Ok(Refunded { refund: refund.id.as_str().to_owned(), amount });
    }
    Err(Error::invalid(
        "There is no payment of this invoice to refund. Use `credit_amount` or \
         `out_of_band_amount` instead.",
    )
    .param(PARAM))
}

/// Draws up a credit note without making it.
///
/// # Errors
/// Those of [`create`].
pub async fn preview(ctx: &mut Ctx, input: Create) -> Result<CreditNote> {
    let Some(invoice) = invoices::find(ctx, &input.invoice).await? else {
        return Err(ctx.no_such(InvoiceKind::NOUN, &input.invoice, "invoice").await?);
    };
    let customer = customers::retrieve_any(ctx, invoice.customer.as_str()).await?;
    Ok(draw_up(ctx, input, invoice, customer).await?.note)
}

/// The lines of a credit note that is not made.
///
/// # Errors
/// Those of [`create`], and a 400 when a cursor names no line.
pub async fn preview_lines(ctx: &mut Ctx, input: PreviewLines) -> Result<Page> {
    let page = input.page()?;
    let note = preview(ctx, input.into()).await?;
    let mut list = page_of(&note, &page)?;
    list.url = "/v1/credit_notes/preview/lines".to_owned();
    Ok(list)
}

fn page_of(note: &CreditNote, page: &crate::page::Page) -> Result<Page> {
    let lines: Vec<&Line> = note.details.lines.iter().collect();
    let slice = page.cut_from(lines, CreditNoteLine::NOUN, |line| line.id.as_str())?;
    Ok(Page {
        url: note.lines_url(),
        has_more: slice.has_more,
        data: slice.rows.into_iter().map(|line| note.line_wire(line)).collect(),
    })
}

/// Reads a credit note whose id is in the path.
///
/// # Errors
/// A 404 when there is none.
pub async fn retrieve(ctx: &mut Ctx, id: &str) -> Result<CreditNote> {
    match sql::find(ctx, id).await? {
        Some(note) => Ok(note),
        None => Err(ctx.no_such_path(CreditNoteKind::NOUN, id).await?),
    }
}

/// Lists the lines of a credit note.
///
/// # Errors
/// A 404 when there is none, a 400 when a cursor names no line.
pub async fn lines(ctx: &mut Ctx, id: &str, input: Lines) -> Result<Page> {
    let note = retrieve(ctx, id).await?;
    page_of(&note, &input.page()?)
}

/// Changes what a credit note says, never what it comes to.
///
/// # Errors
/// A 404 when there is none.
pub async fn update(ctx: &mut Ctx, id: &str, input: Update) -> Result<CreditNote> {
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    let mut note = before.clone();
    if let Some(memo) = input.memo {
        note.details.memo = Some(memo.into());
    }
    input.metadata.apply(&mut note.metadata)?;
    if note != before {
        sql::update(ctx, &note).await?;
        outbox::push_update(ctx, "credit_note.updated", &before.wire(), &note.wire()).await?;
    }
    Ok(note)
}

/// Takes a credit note back: what it had taken off is to be paid again.
///
/// # Errors
/// A 404 when there is none, a 400 when it gave something back or its invoice is not open.
pub async fn void(ctx: &mut Ctx, id: &str, _: Void) -> Result<CreditNote> {
    let seen = retrieve(ctx, id).await?;
    let found = invoices::locked_with_customer(ctx, seen.invoice.as_str()).await?;
    let (mut invoice, customer) =
        found.ok_or_else(|| Error::internal(format!("{} has no invoice", seen.id)))?;
    test_clocks::follow(ctx, &customer).await?;
    sql::lock(ctx, id).await?;
    let before = retrieve(ctx, id).await?;
    if before.status == Status::Void {
        return Err(Error::invalid("This credit note is already void."));
    }
    if before.post_payment > 0 || invoice.status != invoices::Status::Open {
        return Err(Error::invalid(
            "You can only void a credit note of an open invoice that has given nothing back.",
        ));
    }
    let note = CreditNote { status: Status::Void, voided_at: Some(ctx.now), ..before.clone() };
    sql::update(ctx, &note).await?;
    invoices::uncredited(ctx, &mut invoice, &customer, note.pre_payment).await?;
    outbox::push(ctx, "credit_note.voided", &note.wire()).await?;
    Ok(note)
}

/// Lists credit notes, newest first.
///
/// # Errors
/// A 400 when a cursor names nothing.
pub async fn list(ctx: &mut Ctx, input: List) -> Result<Page> {
    let filters = [
        Arg::Int(input.created.min),
        Arg::Int(input.created.max),
        Arg::from(input.customer.as_deref()),
        Arg::from(input.invoice.as_deref()),
    ];
    let page = input.page()?;
    let noun = CreditNoteKind::NOUN;
    let mut slice: Slice<CreditNote> =
        ctx.page(&page, noun, (sql::SEQ, sql::LIST), filters).await?;
    for note in &mut slice.rows {
        note.tax_rates = sql::tax_rates_of(ctx, &note.details).await?;
    }
    Ok(Page {
        url: "/v1/credit_notes".to_owned(),
        has_more: slice.has_more,
        data: slice.rows.iter().map(CreditNote::wire).collect(),
    })
}
