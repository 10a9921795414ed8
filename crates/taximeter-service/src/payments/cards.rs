//! The cards of Stripe's test mode: by number, and by the names under which each use makes a new
//! payment method (`pm_card_visa`) or a token stands for them (`tok_visa`).

use super::provider::Behaviour;

/// A card that the test provider knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestCard {
    /// What follows `pm_card_` and `tok_`.
    pub names: &'static [&'static str],
    /// Its number, which everybody knows and nobody can be charged by.
    pub number: &'static str,
    /// The network's name.
    pub brand: &'static str,
    /// `credit`, `debit` or `prepaid`.
    pub funding: &'static str,
    /// Where it was issued.
    pub country: &'static str,
    /// What it does.
    pub behaviour: Behaviour,
    /// Whether its code is right, once somebody looks.
    pub cvc: Cvc,
}

/// What a bank says of a card's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cvc {
    /// It is right.
    Pass,
    /// It is wrong, and the bank does not mind.
    Fail,
}

impl TestCard {
    /// Its last four digits.
    #[must_use]
    pub fn last4(&self) -> &'static str {
        self.number.get(self.number.len().saturating_sub(4)..).unwrap_or(self.number)
    }

    /// The card that a payment method's or a token's name stands for.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.names.contains(&name))
    }

    /// The card with a number.
    #[must_use]
    pub fn numbered(number: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.number == number)
    }
}

const fn card(
    names: &'static [&'static str],
    number: &'static str,
    brand: &'static str,
    funding: &'static str,
    behaviour: Behaviour,
) -> TestCard {
    TestCard { names, number, brand, funding, country: "US", behaviour, cvc: Cvc::Pass }
}

const fn visa(
    names: &'static [&'static str],
    number: &'static str,
    behaviour: Behaviour,
) -> TestCard {
    card(names, number, "visa", "credit", behaviour)
}

const fn issued_in(
    country: &'static str,
    names: &'static [&'static str],
    number: &'static str,
) -> TestCard {
    TestCard { country, ..visa(names, number, Behaviour::Succeeds) }
}

const OK: Behaviour = Behaviour::Succeeds;

/// Every card, as <https://docs.stripe.com/testing> has them.
pub const CARDS: &[TestCard] = &[
    visa(&["visa", "us"], "4242424242424242", OK),
    card(&["visa_debit"], "4000056655665556", "visa", "debit", OK),
    card(&["mastercard"], "5555555555554444", "mastercard", "credit", OK),
    card(&["mastercard_debit"], "5200828282828210", "mastercard", "debit", OK),
    card(&["mastercard_prepaid"], "5105105105105100", "mastercard", "prepaid", OK),
    card(&["amex"], "378282246310005", "amex", "credit", OK),
    card(&["discover"], "6011111111111117", "discover", "credit", OK),
    card(&["diners"], "3056930009020004", "diners", "credit", OK),
    card(&["jcb"], "3566002020360505", "jcb", "credit", OK),
    card(&["unionpay"], "6200000000000005", "unionpay", "credit", OK),
    issued_in("BR", &["br"], "4000000760000002"),
    issued_in("CA", &["ca"], "4000001240000000"),
    issued_in("MX", &["mx"], "4000004840008001"),
    issued_in("AT", &["at"], "4000000400000008"),
    issued_in("BE", &["be"], "4000000560000004"),
    issued_in("FR", &["fr"], "4000002500000003"),
    issued_in("DE", &["de"], "4000002760000016"),
    issued_in("NL", &["nl"], "4000005280000002"),
    issued_in("GB", &["gb"], "4000008260000000"),
    issued_in("JP", &["jp"], "4000003920000003"),
    TestCard { cvc: Cvc::Fail, ..visa(&["cvcCheckFail"], "4000000000000101", Behaviour::Succeeds) },
    visa(&["chargeDeclined", "visa_chargeDeclined"], "4000000000000002", Behaviour::Declined),
    visa(
        &["chargeDeclinedInsufficientFunds", "visa_chargeDeclinedInsufficientFunds"],
        "4000000000009995",
        Behaviour::InsufficientFunds,
    ),
    visa(
        &["chargeDeclinedLostCard", "visa_chargeDeclinedLostCard"],
        "4000000000009987",
        Behaviour::LostCard,
    ),
    visa(
        &["chargeDeclinedStolenCard", "visa_chargeDeclinedStolenCard"],
        "4000000000009979",
        Behaviour::StolenCard,
    ),
    visa(&["chargeDeclinedExpiredCard"], "4000000000000069", Behaviour::ExpiredCard),
    visa(&["chargeDeclinedIncorrectCvc"], "4000000000000127", Behaviour::IncorrectCvc),
    visa(&["chargeDeclinedProcessingError"], "4000000000000119", Behaviour::ProcessingError),
    visa(
        &["chargeDeclinedVelocityLimitExceeded", "visa_chargeDeclinedVelocityLimitExceeded"],
        "4000000000006975",
        Behaviour::VelocityExceeded,
    ),
    visa(&["chargeDeclinedFraudulent", "radarBlock"], "4100000000000019", Behaviour::Fraudulent),
    visa(&["chargeCustomerFail"], "4000000000000341", Behaviour::DeclinesOnceAttached),
    visa(
        &["authenticationRequired", "threeDSecure2Required"],
        "4000002760003184",
        Behaviour::AuthenticatesAlways,
    ),
    visa(&["threeDSecureRequired"], "4000000000003220", Behaviour::AuthenticatesAlways),
    visa(
        &["authenticationRequiredOnSetup"],
        "4000002500003155",
        Behaviour::AuthenticatesUnlessSetUp,
    ),
    visa(
        &["authenticationRequiredSetupForOffSession"],
        "4000003800000446",
        Behaviour::AuthenticatesOnSession,
    ),
    visa(&["threeDSecureOptional"], "4000000000003055", Behaviour::Succeeds),
    visa(
        &["authenticationRequiredChargeDeclinedInsufficientFunds"],
        "4000008260003178",
        Behaviour::AuthenticatesThenFunds,
    ),
    visa(
        &["threeDSecureRequiredChargeDeclined"],
        "4000008400001629",
        Behaviour::AuthenticatesThenDeclined,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cards_share_a_name_or_a_number() {
        let mut names: Vec<&str> = CARDS.iter().flat_map(|card| card.names).copied().collect();
        let mut numbers: Vec<&str> = CARDS.iter().map(|card| card.number).collect();
        for list in [&mut names, &mut numbers] {
            let count = list.len();
            list.sort_unstable();
            list.dedup();
            assert_eq!(list.len(), count);
        }
    }

    #[test]
    fn every_number_is_that_of_a_card() {
        for card in CARDS {
            assert!(super::super::number::is_valid(card.number), "{}", card.number);
        }
    }

    #[test]
    fn a_card_shows_its_last_four_digits() {
        let last4 = |name| TestCard::named(name).unwrap().last4();
        assert_eq!([last4("visa"), last4("amex"), last4("mastercard")], ["4242", "0005", "4444"]);
        assert_eq!(TestCard::named("visa_gold"), None);
    }
}
