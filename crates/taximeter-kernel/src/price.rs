//! What a quantity costs: schemes of prices, and the rules a scheme must keep.

use crate::decimal::Decimal;
use crate::money::AMOUNT_MINOR_MAX;

/// The most digits after the point that a unit amount may have, in minor units.
pub const UNIT_AMOUNT_DECIMALS_MAX: u8 = 12;
/// The most tiers of one price. Each tier may become two lines of an invoice, which has 250 at most.
pub const TIERS_MAX: usize = 100;

/// Where the quantity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageType {
    /// The customer's order: billed in advance.
    Licensed,
    /// A meter: billed in arrears.
    Metered,
}

impl UsageType {
    /// The usage type that the wire calls `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Licensed, Self::Metered].into_iter().find(|u| u.as_str() == text)
    }

    /// `licensed` or `metered`, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Licensed => "licensed",
            Self::Metered => "metered",
        }
    }
}

/// How tiers apply to a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TierMode {
    /// Each unit costs what its own tier says. 6 units of "5 at 7.00, then 6.50" cost 41.50.
    Graduated,
    /// Every unit costs what the tier reached says. 6 units of "5 at 7.00, then 6.50" cost 39.00.
    Volume,
}

impl TierMode {
    /// The mode that the wire calls `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Graduated, Self::Volume].into_iter().find(|m| m.as_str() == text)
    }

    /// `graduated` or `volume`, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graduated => "graduated",
            Self::Volume => "volume",
        }
    }
}

/// A span of quantities and what they cost. Its lower end is the tier before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// The last quantity that belongs to the tier; nothing where the tier has no end.
    pub up_to: Option<i64>,
    /// Minor units for each unit of quantity. 3.6 is 3.6 cents in USD.
    pub unit_amount: Option<Decimal>,
    /// Minor units once, when the tier is reached. 900 is 9.00 in USD.
    pub flat_amount: Option<Decimal>,
}

/// What becomes of a package begun but not filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoundQuantity {
    /// It is billed: 101 in packages of 100 are 2.
    Up,
    /// It is free: 199 in packages of 100 are 1.
    Down,
}

impl RoundQuantity {
    /// The rounding that the wire calls `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Up, Self::Down].into_iter().find(|r| r.as_str() == text)
    }

    /// `up` or `down`, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Packages: the price is for `divide_by` units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransformQuantity {
    /// How many units make a package, at least 1.
    pub divide_by: i64,
    /// What becomes of the last, unfilled package.
    pub round: RoundQuantity,
}

/// How a quantity becomes an amount. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// The same for each unit, or for each package of units.
    PerUnit {
        /// Minor units for each unit or package. 0.05 is a twentieth of a cent in USD.
        unit_amount: Decimal,
        /// Packages, if the price is not for single units.
        transform: Option<TransformQuantity>,
    },
    /// Depending on how many.
    Tiered {
        /// How the tiers apply.
        mode: TierMode,
        /// In rising order, the last without an end.
        tiers: Vec<Tier>,
    },
}

/// What is wrong with one amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountFault {
    /// Below 0, where only a charge may stand.
    #[error("is negative")]
    Negative,
    /// More than [`UNIT_AMOUNT_DECIMALS_MAX`] digits after the point.
    #[error("has more than {UNIT_AMOUNT_DECIMALS_MAX} digits after the decimal point")]
    TooManyDecimals,
    /// Beyond [`AMOUNT_MINOR_MAX`] either way.
    #[error("is beyond {AMOUNT_MINOR_MAX}")]
    TooLarge,
    /// A flat amount with a fraction of a minor unit.
    #[error("is not a whole number of minor units")]
    NotWhole,
}

/// The rule that a [`Scheme`] breaks. `index` counts tiers from 0, as the parameter
/// `tiers[0][up_to]` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SchemeError {
    /// The unit amount of a per-unit price is no unit amount.
    #[error("the unit amount {0}")]
    UnitAmount(AmountFault),
    /// A package of less than one unit.
    #[error("a package must hold at least 1 unit")]
    DivideByBelowOne,
    /// A tiered price without tiers.
    #[error("a tiered price needs tiers")]
    NoTiers,
    /// More than [`TIERS_MAX`] tiers.
    #[error("more than {TIERS_MAX} tiers")]
    TooManyTiers,
    /// A tier that ends before it holds one unit.
    #[error("tier {index} must go up to 1 at least")]
    UpToBelowOne {
        /// Which tier.
        index: usize,
    },
    /// A tier that does not go further than the tier before.
    #[error("tier {index} must go further than the tier before")]
    UpToNotIncreasing {
        /// Which tier.
        index: usize,
    },
    /// A tier without an end that is not the last.
    #[error("tier {index} has no end but is not the last")]
    UnboundedBeforeLast {
        /// Which tier.
        index: usize,
    },
    /// The last tier has an end.
    #[error("tier {index} is the last and must have no end")]
    LastTierBounded {
        /// Which tier.
        index: usize,
    },
    /// A tier with neither a unit amount nor a flat amount.
    #[error("tier {index} has neither a unit amount nor a flat amount")]
    TierWithoutAmount {
        /// Which tier.
        index: usize,
    },
    /// The unit amount of a tier is no unit amount.
    #[error("the unit amount of tier {index} {fault}")]
    TierUnitAmount {
        /// Which tier.
        index: usize,
        /// What is wrong with it.
        fault: AmountFault,
    },
    /// The flat amount of a tier is no flat amount.
    #[error("the flat amount of tier {index} {fault}")]
    TierFlatAmount {
        /// Which tier.
        index: usize,
        /// What is wrong with it.
        fault: AmountFault,
    },
}

/// Whether a price may give money back.
#[derive(Debug, Clone, Copy)]
enum Sign {
    ChargeOnly,
    Any,
}

impl Scheme {
    /// Whether the scheme keeps every rule of a price that a customer is charged.
    ///
    /// # Errors
    /// The first [`SchemeError`] in the order of the tiers.
    pub fn validate(&self) -> Result<(), SchemeError> {
        self.keeps_rules(Sign::ChargeOnly)
    }

    /// Like [`Scheme::validate`], but amounts may be negative, as in the inline price of an invoice
    /// item that gives money back.
    ///
    /// # Errors
    /// The first [`SchemeError`] in the order of the tiers.
    pub fn validate_allowing_negative(&self) -> Result<(), SchemeError> {
        self.keeps_rules(Sign::Any)
    }

    fn keeps_rules(&self, sign: Sign) -> Result<(), SchemeError> {
        match self {
            Self::PerUnit { unit_amount, transform } => {
                unit_amount_is_sound(*unit_amount, sign).map_err(SchemeError::UnitAmount)?;
                match transform {
                    Some(packages) if packages.divide_by < 1 => Err(SchemeError::DivideByBelowOne),
                    Some(_) | None => Ok(()),
                }
            }
            Self::Tiered { mode: TierMode::Graduated | TierMode::Volume, tiers } => {
                tiers_are_in_order(tiers)?;
                for (index, tier) in tiers.iter().enumerate() {
                    tier_amounts_are_sound(index, tier, sign)?;
                }
                Ok(())
            }
        }
    }
}

fn tiers_are_in_order(tiers: &[Tier]) -> Result<(), SchemeError> {
    let Some((last, bounded)) = tiers.split_last() else {
        return Err(SchemeError::NoTiers);
    };
    if tiers.len() > TIERS_MAX {
        return Err(SchemeError::TooManyTiers);
    }
    let mut before = 0;
    for (index, tier) in bounded.iter().enumerate() {
        match tier.up_to {
            None => return Err(SchemeError::UnboundedBeforeLast { index }),
            Some(up_to) if up_to < 1 => return Err(SchemeError::UpToBelowOne { index }),
            Some(up_to) if up_to <= before => return Err(SchemeError::UpToNotIncreasing { index }),
            Some(up_to) => before = up_to,
        }
    }
    match last.up_to {
        Some(_) => Err(SchemeError::LastTierBounded { index: bounded.len() }),
        None => Ok(()),
    }
}

fn tier_amounts_are_sound(index: usize, tier: &Tier, sign: Sign) -> Result<(), SchemeError> {
    if tier.unit_amount.is_none() && tier.flat_amount.is_none() {
        return Err(SchemeError::TierWithoutAmount { index });
    }
    if let Some(amount) = tier.unit_amount {
        unit_amount_is_sound(amount, sign)
            .map_err(|fault| SchemeError::TierUnitAmount { index, fault })?;
    }
    if let Some(amount) = tier.flat_amount {
        flat_amount_is_sound(amount, sign)
            .map_err(|fault| SchemeError::TierFlatAmount { index, fault })?;
    }
    Ok(())
}

fn flat_amount_is_sound(amount: Decimal, sign: Sign) -> Result<(), AmountFault> {
    if !amount.is_whole() {
        return Err(AmountFault::NotWhole);
    }
    unit_amount_is_sound(amount, sign)
}

fn unit_amount_is_sound(amount: Decimal, sign: Sign) -> Result<(), AmountFault> {
    if matches!(sign, Sign::ChargeOnly) && amount.is_negative() {
        return Err(AmountFault::Negative);
    }
    if amount.scale() > UNIT_AMOUNT_DECIMALS_MAX {
        return Err(AmountFault::TooManyDecimals);
    }
    let max = Decimal::from_int(AMOUNT_MINOR_MAX);
    let min = Decimal::from_int(AMOUNT_MINOR_MAX.saturating_neg());
    if amount < min || amount > max { Err(AmountFault::TooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn per_unit(amount: &str) -> Scheme {
        Scheme::PerUnit { unit_amount: dec(amount), transform: None }
    }

    fn package(divide_by: i64) -> Scheme {
        let transform = Some(TransformQuantity { divide_by, round: RoundQuantity::Up });
        Scheme::PerUnit { unit_amount: dec("4"), transform }
    }

    fn tier(up_to: Option<i64>, unit: Option<&str>, flat: Option<&str>) -> Tier {
        Tier { up_to, unit_amount: unit.map(dec), flat_amount: flat.map(dec) }
    }

    fn tiered(tiers: &[Tier]) -> Scheme {
        Scheme::Tiered { mode: TierMode::Volume, tiers: tiers.to_vec() }
    }

    #[test]
    fn a_sound_scheme_is_accepted() {
        let tiers = [tier(Some(1), Some("7"), None), tier(None, Some("0.5"), Some("900"))];
        let most = vec![tier(None, Some("1"), None)];
        for scheme in [
            per_unit("0"),
            per_unit("0.000000000001"),
            per_unit("999999999999"),
            package(1),
            tiered(&tiers),
            tiered(&most),
        ] {
            assert_eq!(scheme.validate(), Ok(()), "{scheme:?}");
        }
    }

    #[test]
    fn a_unit_amount_has_its_bounds() {
        let fault = |amount| match per_unit(amount).validate() {
            Err(SchemeError::UnitAmount(fault)) => Some(fault),
            _ => None,
        };
        assert_eq!(fault("-0.01"), Some(AmountFault::Negative));
        assert_eq!(fault("0.0000000000001"), Some(AmountFault::TooManyDecimals));
        assert_eq!(fault("1000000000000"), Some(AmountFault::TooLarge));
        assert_eq!(fault("999999999999.5"), Some(AmountFault::TooLarge));
    }

    #[test]
    fn a_price_that_gives_money_back_is_accepted_only_where_allowed() {
        assert_eq!(per_unit("-500").validate_allowing_negative(), Ok(()));
        assert_eq!(
            per_unit("-1000000000000").validate_allowing_negative(),
            Err(SchemeError::UnitAmount(AmountFault::TooLarge))
        );
    }

    #[test]
    fn a_package_holds_at_least_one_unit() {
        for divide_by in [0, -7] {
            assert_eq!(package(divide_by).validate(), Err(SchemeError::DivideByBelowOne));
        }
    }

    #[test]
    fn a_broken_rule_of_tiers_names_the_rule_and_the_tier() {
        let end = tier(None, Some("1"), None);
        let to = |up_to| tier(Some(up_to), Some("1"), None);
        let cases: [(&[Tier], SchemeError); 10] = [
            (&[], SchemeError::NoTiers),
            (&[end; TIERS_MAX + 1], SchemeError::TooManyTiers),
            (&[to(0), end], SchemeError::UpToBelowOne { index: 0 }),
            (&[to(5), to(5), end], SchemeError::UpToNotIncreasing { index: 1 }),
            (&[to(5), end, end], SchemeError::UnboundedBeforeLast { index: 1 }),
            (&[to(5), to(7)], SchemeError::LastTierBounded { index: 1 }),
            (&[to(5), tier(None, None, None)], SchemeError::TierWithoutAmount { index: 1 }),
            (
                &[to(5), tier(None, Some("-1"), None)],
                SchemeError::TierUnitAmount { index: 1, fault: AmountFault::Negative },
            ),
            (
                &[tier(None, None, Some("0.5"))],
                SchemeError::TierFlatAmount { index: 0, fault: AmountFault::NotWhole },
            ),
            (
                &[tier(None, None, Some("1000000000000"))],
                SchemeError::TierFlatAmount { index: 0, fault: AmountFault::TooLarge },
            ),
        ];
        for (tiers, error) in cases {
            assert_eq!(tiered(tiers).validate(), Err(error));
        }
    }

    #[test]
    fn the_words_of_the_wire_read_back() {
        for word in ["licensed", "metered"] {
            assert_eq!(UsageType::parse(word).unwrap().as_str(), word);
        }
        for word in ["graduated", "volume"] {
            assert_eq!(TierMode::parse(word).unwrap().as_str(), word);
        }
        for word in ["up", "down"] {
            assert_eq!(RoundQuantity::parse(word).unwrap().as_str(), word);
        }
        assert_eq!(UsageType::parse("Metered"), None);
    }
}
