//! What a price is kept as, and read back from.

use super::*;
use crate::prices::stored::{StoredOptions, StoredScheme};

fn graduated() -> Price {
    price(&format!(
        "{TIERED}&tiers_mode=graduated&tiers[0][up_to]=1000&tiers[0][flat_amount]=900\
         &tiers[1][up_to]=inf&tiers[1][unit_amount_decimal]=3.6\
         &currency_options[eur][tiers][0][up_to]=inf\
         &currency_options[eur][tiers][0][unit_amount_decimal]=3.1\
         &currency_options[eur][tax_behavior]=exclusive"
    ))
}

fn package() -> Price {
    price(
        "currency=usd&unit_amount_decimal=0.000000000007&transform_quantity[divide_by]=100\
         &transform_quantity[round]=up&currency_options[jpy][unit_amount]=11",
    )
}

#[test]
fn every_scheme_reads_back_as_it_was() {
    for price in [graduated(), package(), price("currency=usd&unit_amount=4")] {
        assert_eq!(StoredScheme::from(&price.scheme).read(), Some(price.scheme));
    }
}

#[test]
fn every_currency_option_reads_back_as_it_was() {
    for price in [graduated(), package(), price("currency=usd&unit_amount=4")] {
        let text = serde_json::to_string(&StoredOptions::from(&price.currency_options)).unwrap();
        let stored: StoredOptions = serde_json::from_str(&text).unwrap();
        assert_eq!(stored.read(&price.scheme), Some(price.currency_options), "{text}");
    }
}

#[test]
fn the_columns_are_these() {
    use erased::Json as _;
    let scheme = StoredScheme::from(&graduated().scheme);
    assert_eq!(
        scheme.tiers.json(),
        r#"[{"up_to":1000,"unit_amount":null,"flat_amount":"900"},{"up_to":null,"unit_amount":"3.6","flat_amount":null}]"#
    );
    let scheme = StoredScheme::from(&package().scheme);
    assert_eq!(scheme.unit_amount.json(), r#""0.000000000007""#);
    assert_eq!(scheme.transform.json(), r#"{"divide_by":100,"round":"up"}"#);
    assert_eq!(
        StoredOptions::from(&package().currency_options).json(),
        r#"{"jpy":{"unit_amount":"11","tax_behavior":"unspecified"}}"#
    );
}

/// Anything that serde writes, behind one type.
mod erased {
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

#[test]
fn columns_that_break_a_rule_are_not_billed_by() {
    let per_unit = StoredScheme::from(&package().scheme);
    let tiered = StoredScheme::from(&graduated().scheme);
    let both = StoredScheme { tiers: tiered.tiers.clone(), ..per_unit.clone() };
    let negative =
        StoredScheme { unit_amount: Some(Exact("-1".parse().unwrap())), ..per_unit.clone() };
    let nothing = StoredScheme { unit_amount: None, ..per_unit };
    let packaged_tiers = StoredScheme {
        transform: StoredScheme::from(&package().scheme).transform,
        ..tiered.clone()
    };
    let modeless = StoredScheme { tiers_mode: None, ..tiered };
    for stored in [both, negative, nothing, packaged_tiers, modeless] {
        assert_eq!(stored.clone().read(), None, "{stored:?}");
    }
}
