//! Drawing up credit notes: what of the invoice's lines is taken back, with its discounts and taxes.

use taximeter_kernel::decimal::{Decimal, Rounding, mul_div_round, mul_round};
use taximeter_kernel::id::{CreditNoteLine, Id};
use taximeter_kernel::money::AMOUNT_MINOR_MAX;
use taximeter_kernel::price::UNIT_AMOUNT_DECIMALS_MAX;
use taximeter_kernel::tax::{self, Behavior};

use super::CreditNote;
use super::details::Line;
use super::input::{LineInput, LineType};
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::invoices::{self, DiscountAmount, Invoice, TaxAmount};
use crate::params::Clear;
use crate::tax_rates;

fn refuse(param: impl Into<String>, message: impl Into<String>) -> Error {
    Error::invalid(message).param(param)
}

/// The lines of a new credit note. `earlier` are those of the invoice that count.
pub(super) async fn lines(
    ctx: &mut Ctx,
    invoice: &Invoice,
    earlier: &[CreditNote],
    inputs: Vec<LineInput>,
) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::with_capacity(inputs.len());
    for (place, input) in inputs.into_iter().enumerate() {
        let at = format!("lines[{place}]");
        let line = match input.r#type {
            LineType::InvoiceLineItem => of_invoice(ctx, invoice, earlier, &lines, input, &at)?,
            LineType::CustomLineItem => custom(ctx, invoice, input, &at).await?,
        };
        lines.push(line);
    }
    Ok(lines)
}

/// The one line of a credit note that says only what it comes to: nothing of it is tax.
pub(super) fn of_amount(ctx: &Ctx, amount: i64) -> Result<Vec<Line>> {
    if !(1..=AMOUNT_MINOR_MAX).contains(&amount) {
        return Err(Error::invalid("This value must be greater than or equal to 1.")
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    let mut line = empty(ctx);
    line.amount = amount;
    line.quantity = Some(1);
    line.unit_amount = Some(amount.to_string());
    Ok(vec![line])
}

fn empty(ctx: &Ctx) -> Line {
    let id: Id<CreditNoteLine> = ctx.new_id();
    Line {
        id: id.as_str().to_owned(),
        amount: 0,
        description: None,
        invoice_line_item: None,
        quantity: None,
        unit_amount: None,
        discount_amounts: Vec::new(),
        taxes: Vec::new(),
        metadata: std::collections::BTreeMap::new(),
    }
}

/// What stands before a line of the invoice: what of it was taken back.
fn taken_back(earlier: &[CreditNote], now: &[Line], line: &str) -> i64 {
    let before = earlier.iter().flat_map(|note| &note.details.lines);
    let same = |other: &&Line| other.invoice_line_item.as_deref() == Some(line);
    before.chain(now).filter(same).map(|other| other.amount).fold(0, i64::saturating_add)
}

fn of_invoice(
    ctx: &Ctx,
    invoice: &Invoice,
    earlier: &[CreditNote],
    now: &[Line],
    input: LineInput,
    at: &str,
) -> Result<Line> {
    let member = |name: &str| format!("{at}[{name}]");
    let custom_only = [
        ("description", input.description.is_some()),
        ("tax_rates", !input.tax_rates.is_keep()),
        ("unit_amount", input.unit_amount.is_some()),
        ("unit_amount_decimal", input.unit_amount_decimal.is_some()),
    ];
    if let Some((name, _)) = custom_only.into_iter().find(|(_, sent)| *sent) {
        let message = format!("`{name}` is only valid when `type` is `custom_line_item`.");
        return Err(refuse(member(name), message));
    }
    let param = member("invoice_line_item");
    let id: String = input.invoice_line_item.ok_or_else(|| Error::missing(param.clone()))?.into();
    let billed = invoice
        .lines
        .iter()
        .find(|line| line.id.as_str() == id)
        .ok_or_else(|| Error::no_such("line_item", &id, param))?;
    // Discounts of the line itself are in its amount; what is credited is what was billed.
    let gross = billed.amount;
    let amount = match (input.amount, input.quantity) {
        (Some(amount), None) => amount,
        (None, Some(quantity)) => part(gross, quantity.into(), billed.quantity)?,
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: amount, quantity.",
            )
            .code("parameters_exclusive")
            .param(member("amount")));
        }
        (None, None) => return Err(Error::missing(member("amount"))),
    };
    let before = taken_back(earlier, now, &id);
    let left = gross.saturating_sub(before);
    if amount < 1 || amount > left {
        let name = if input.quantity.is_some() { "quantity" } else { "amount" };
        let message = format!(
            "The credit of the line `{id}` must be between 1 and {left}, which is what is left of \
             it."
        );
        return Err(refuse(member(name), message));
    }
    // Cumulative, so that parts of a line never come to more or less than the line.
    let after = before.saturating_add(amount);
    let share = |whole: i64| -> Result<i64> {
        let of = |amount: i64| part(whole, amount.into(), gross.into());
        Ok(of(after)?.saturating_sub(of(before)?))
    };
    let mut line = empty(ctx);
    line.amount = amount;
    line.description.clone_from(&billed.description);
    line.invoice_line_item = Some(id);
    line.quantity = input.quantity;
    if input.quantity.is_some() {
        line.unit_amount = billed.unit_amount.map(|unit| unit.to_string());
    }
    line.metadata = input.metadata.0;
    for discount in invoice_level(billed) {
        let amount = share(discount.amount)?;
        line.discount_amounts.push(DiscountAmount { amount, discount: discount.discount.clone() });
    }
    for tax in &billed.details.taxes {
        line.taxes.push(TaxAmount {
            amount: share(tax.amount)?,
            taxable_amount: share(tax.taxable_amount)?,
            ..tax.clone()
        });
    }
    Ok(line)
}

/// What discounts of the whole invoice take off a line: those of its own are in its amount.
fn invoice_level(line: &invoices::Line) -> impl Iterator<Item = &DiscountAmount> {
    let own = &line.details.discounts;
    line.details.discount_amounts.iter().filter(|amount| !own.contains(&amount.discount))
}

/// `whole × part ÷ of`: 7 of 10 units of a line of 1000 are 700.
fn part(whole: i64, part: Decimal, of: Decimal) -> Result<i64> {
    if of.is_zero() {
        return Ok(0);
    }
    mul_div_round(whole.into(), part, of, Rounding::HalfAwayFromZero)
        .map_err(|error| invoices::too_large().because(error))
}

async fn custom(ctx: &mut Ctx, invoice: &Invoice, input: LineInput, at: &str) -> Result<Line> {
    let member = |name: &str| format!("{at}[{name}]");
    let invoice_only = [
        ("amount", input.amount.is_some()),
        ("invoice_line_item", input.invoice_line_item.is_some()),
    ];
    if let Some((name, _)) = invoice_only.into_iter().find(|(_, sent)| *sent) {
        let message = format!("`{name}` is only valid when `type` is `invoice_line_item`.");
        return Err(refuse(member(name), message));
    }
    let (unit, name) = match (input.unit_amount, input.unit_amount_decimal) {
        (Some(whole), None) => (Decimal::from(whole), "unit_amount"),
        (None, Some(exact)) => (exact, "unit_amount_decimal"),
        (None, None) => return Err(Error::missing(member("unit_amount"))),
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
            )
            .code("parameters_exclusive")
            .param(member("unit_amount")));
        }
    };
    let description = input.description.ok_or_else(|| Error::missing(member("description")))?;
    let quantity = input.quantity.unwrap_or(1);
    let amount = mul_round(unit, quantity.into(), Rounding::HalfAwayFromZero)
        .map_err(|error| invoices::too_large().because(error))?;
    let fits = unit.scale() <= UNIT_AMOUNT_DECIMALS_MAX && (1..=AMOUNT_MINOR_MAX).contains(&amount);
    if !fits || quantity < 1 {
        let message = format!(
            "Invalid {name}: the line must come to between 1 and {AMOUNT_MINOR_MAX}, and have at \
             most {UNIT_AMOUNT_DECIMALS_MAX} digits after the point."
        );
        return Err(refuse(member(name), message));
    }
    let mut line = empty(ctx);
    line.amount = amount;
    line.description = Some(description.into());
    line.quantity = Some(quantity);
    line.unit_amount = Some(unit.to_string());
    line.metadata = input.metadata.0;
    if let Clear::Set(ids) = input.tax_rates {
        let exempt = match invoice.customer_snapshot.tax_exempt.as_str() {
            "exempt" => Some("customer_exempt"),
            "reverse" => Some("reverse_charge"),
            _ => None,
        };
        for rate in tax_rates::named(ctx, &ids, &member("tax_rates")).await? {
            let inclusive = rate.behavior == Behavior::Inclusive;
            let tax = match exempt {
                Some(_) => 0,
                None => tax::tax(amount, rate.percentage, rate.behavior)
                    .map_err(|error| invoices::too_large().because(error))?,
            };
            let within = if inclusive { tax } else { 0 };
            let taxable = if exempt.is_some() { 0 } else { amount.saturating_sub(within) };
            line.taxes.push(TaxAmount {
                amount: tax,
                inclusive,
                tax_rate: rate.id.as_str().to_owned(),
                taxable_amount: taxable,
                taxability_reason: exempt.unwrap_or("not_available").to_owned(),
            });
        }
    }
    Ok(line)
}
