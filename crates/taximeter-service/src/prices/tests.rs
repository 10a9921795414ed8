//! Prices without a database: what is accepted, what is refused and how, what is shown and kept.

mod accepted;
mod kept;
mod refused;
mod shown;

use super::*;
use crate::params::{Node, Path};

/// The parameters that `a[b]=1&a[c]=2` carries.
fn form(text: &str) -> Node {
    let mut root = Node::empty();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        let names: Vec<&str> = name.split('[').map(|name| name.trim_end_matches(']')).collect();
        put(&mut root, &names, value);
    }
    root
}

fn put(node: &mut Node, names: &[&str], value: &str) {
    let [name, below @ ..] = names else {
        *node = Node::Text(value.to_owned());
        return;
    };
    let Node::Map(members) = node else { panic!("{name} is in no map") };
    let at = members.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        members.push(((*name).to_owned(), Node::empty()));
        members.len() - 1
    });
    put(&mut members[at].1, below, value);
}

/// The terms of a new price, as far as no database is needed to check them.
fn terms(text: &str) -> Result<Terms> {
    Create::decode(Some(form(text)), Path::ROOT)?.take_asked().check(Path::ROOT)
}

fn price(text: &str) -> Price {
    let terms = terms(text).unwrap();
    Price {
        seq: 7,
        id: Id::parse("price_7").unwrap(),
        livemode: false,
        product: Id::parse("prod_7").unwrap(),
        active: true,
        inline: false,
        currency: terms.currency,
        scheme: terms.scheme,
        recurring: terms.recurring,
        currency_options: terms.currency_options,
        lookup_key: None,
        nickname: None,
        tax_behavior: terms.tax_behavior,
        metadata: BTreeMap::new(),
        created: Timestamp(1_700_000_000),
    }
}

/// The price after a change.
fn changed(price: &Price, text: &str) -> Result<Price> {
    let mut changed = price.clone();
    Update::decode(Some(form(text)), Path::ROOT)?.apply(&mut changed)?;
    Ok(changed)
}

fn currency_of(code: &str) -> Currency {
    Currency::parse(code).unwrap()
}

const MONTHLY: &str = "recurring[interval]=month";
const TIERED: &str = "currency=usd&billing_scheme=tiered&recurring[interval]=month";
