//! Making payment methods: out of a number, a token, or a name that stands for a card.

use sha2::{Digest as _, Sha256};
use taximeter_kernel::id::{Id, PaymentMethod as Kind};

use super::input::{CardInput, Hidden};
use super::{AllowRedisplay, BillingDetails, Card, Create, PaymentMethod, Type, sql};
use crate::ctx::Ctx;
use crate::error::{self, Error, RefusedPayment, Result};
use crate::payments::cards::{Cvc, TestCard};
use crate::payments::{Provider, number};

/// What the names of cards that are cloned on each use begin with.
const NAMED: &str = "pm_card_";
/// What tokens begin with.
const TOKEN: &str = "tok_";
/// The last year a card may end in.
const EXP_YEAR_MAX: i64 = 2_099;

/// Makes a payment method.
///
/// # Errors
/// A 402 when the card is none, a 400 when nobody collects in this mode.
pub async fn create(ctx: &mut Ctx, input: Create) -> Result<PaymentMethod> {
    Provider::of(ctx.scope().mode).ready()?;
    let Some(card) = input.card else { return Err(Error::missing("card")) };
    let (test, card) = read_card(ctx, card)?;
    let mut billing_details = BillingDetails::default();
    if let Some(input) = input.billing_details {
        input.apply(&mut billing_details);
    }
    let method = PaymentMethod {
        allow_redisplay: input.allow_redisplay.unwrap_or(AllowRedisplay::Unspecified),
        billing_details,
        kind: input.r#type,
        metadata: input.metadata.0,
        ..of_card(ctx, test, card)
    };
    sql::insert(ctx, &method).await?;
    Ok(method)
}

/// A new payment method, where `id` is a name that stands for a card: `pm_card_visa`.
pub(super) async fn cloned(ctx: &mut Ctx, id: &str) -> Result<Option<PaymentMethod>> {
    let Some(test) = id.strip_prefix(NAMED).and_then(TestCard::named) else { return Ok(None) };
    if ctx.scope().mode.is_live() {
        return Ok(None);
    }
    let card = card_of(ctx, test, None)?;
    let method = of_card(ctx, test, card);
    sql::insert(ctx, &method).await?;
    Ok(Some(method))
}

fn of_card(ctx: &Ctx, test: &TestCard, card: Card) -> PaymentMethod {
    let id: Id<Kind> = ctx.new_id();
    PaymentMethod {
        id,
        livemode: ctx.scope().mode.is_live(),
        customer: None,
        kind: Type::Card,
        card,
        test: test.behaviour,
        set_up: false,
        spent: false,
        allow_redisplay: AllowRedisplay::Unspecified,
        billing_details: BillingDetails::default(),
        metadata: std::collections::BTreeMap::new(),
        created: ctx.now,
    }
}

fn read_card(ctx: &Ctx, input: CardInput) -> Result<(&'static TestCard, Card)> {
    let CardInput { cvc, exp_month, exp_year, number, token } = input;
    if let Some(token) = token {
        if number.is_some() || exp_month.is_some() || exp_year.is_some() || cvc.is_some() {
            return Err(Error::invalid(
                "You may only specify one of these parameters: card[token], card[number].",
            )
            .code("parameters_exclusive")
            .param("card[token]"));
        }
        let named = token.strip_prefix(TOKEN).and_then(TestCard::named);
        let test = named.ok_or_else(|| Error::no_such("token", &token, "card[token]"))?;
        return Ok((test, card_of(ctx, test, None)?));
    }
    let Some(Hidden(number)) = number else { return Err(Error::missing("card[number]")) };
    let exp_month = exp_month.ok_or_else(|| Error::missing("card[exp_month]"))?;
    let exp_year = exp_year.ok_or_else(|| Error::missing("card[exp_year]"))?;
    let test = test_card(&number)?;
    let ends = (exp_month, full_year(exp_year));
    check_expiry(ctx, ends)?;
    let mut card = card_of(ctx, test, Some(ends))?;
    if let Some(Hidden(cvc)) = cvc {
        if !(3..=4).contains(&cvc.len()) || !cvc.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused("invalid_cvc", "cvc", "Your card's security code is invalid."));
        }
        card.cvc_check = Some("unchecked".to_owned());
    }
    Ok((test, card))
}

/// The test card that has the number; blanks and dashes are left out.
fn test_card(number: &str) -> Result<&'static TestCard> {
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if !number::is_valid(&digits) {
        return Err(refused("incorrect_number", "number", "Your card number is incorrect."));
    }
    TestCard::numbered(&digits).ok_or_else(|| {
        let told = "Your card was declined. Your request was in test mode, but used a non test \
                    card. For a list of valid test cards, visit: https://stripe.com/docs/testing.";
        let decline_code = Some("test_mode_live_card");
        refused("card_declined", "number", told)
            .of_payment(RefusedPayment { decline_code, ..RefusedPayment::default() })
    })
}

/// A year of two digits is one of this century.
const fn full_year(year: i64) -> i64 {
    match year {
        0..=99 => year.saturating_add(2_000),
        _ => year,
    }
}

/// Whether a card can still be used: it can until its month ends.
///
/// # Errors
/// A 402 when the month is none, or over.
pub(super) fn check_expiry(ctx: &Ctx, (month, year): (i64, i64)) -> Result<()> {
    let invalid_month =
        || refused("invalid_expiry_month", "exp_month", "Your card's expiration month is invalid.");
    if !(1..=12).contains(&month) {
        return Err(invalid_month());
    }
    let (now_month, now_year) = month_of(ctx)?;
    if !(now_year..=EXP_YEAR_MAX).contains(&year) {
        let told = "Your card's expiration year is invalid.";
        return Err(refused("invalid_expiry_year", "exp_year", told));
    }
    if year == now_year && month < now_month {
        return Err(invalid_month());
    }
    Ok(())
}

/// The month and the year it is.
fn month_of(ctx: &Ctx) -> Result<(i64, i64)> {
    let date = ctx.now.to_rfc3339();
    let part = |from: usize, to: usize| date.get(from..to).and_then(|text| text.parse().ok());
    match (part(5, 7), part(0, 4)) {
        (Some(month), Some(year)) => Ok((month, year)),
        _ => Err(Error::internal(format!("no date: {date}"))),
    }
}

fn card_of(ctx: &Ctx, test: &TestCard, ends: Option<(i64, i64)>) -> Result<Card> {
    let (exp_month, exp_year) = match ends {
        Some(ends) => ends,
        None => {
            let (month, year) = month_of(ctx)?;
            (month, year.saturating_add(1))
        }
    };
    let cvc_answer = match test.cvc {
        Cvc::Pass => "pass",
        Cvc::Fail => "fail",
    };
    Ok(Card {
        brand: test.brand.to_owned(),
        country: test.country.to_owned(),
        cvc_check: None,
        cvc_answer: cvc_answer.to_owned(),
        exp_month,
        exp_year,
        fingerprint: fingerprint(ctx, test.number),
        funding: test.funding.to_owned(),
        last4: test.last4().to_owned(),
    })
}

/// Sixteen letters and digits that are the same for the same number within an account and mode.
fn fingerprint(ctx: &Ctx, number: &str) -> String {
    let scope = ctx.scope();
    let text = format!("{} {} {number}", scope.account, scope.mode.as_str());
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let whole: Id<Kind> = Id::generate(digest);
    let tail = whole.as_str().rsplit('_').next().unwrap_or("");
    tail.chars().take(16).collect()
}

/// A card that cannot be one: 402, blaming a parameter.
fn refused(code: &'static str, param: &str, message: &str) -> Error {
    Error::new(error::Kind::Card, message).code(code).param(param)
}
