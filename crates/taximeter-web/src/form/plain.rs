//! Forms of plain pairs, read without a tree and, where nothing is escaped, without a copy.

use std::borrow::Cow;

use super::unescape;

/// A pair's name and its value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The pairs of a form; `None` for one that [`super::parse`] has to judge.
pub(crate) fn pairs(form: &[u8]) -> impl Iterator<Item = Option<Pair<'_>>> {
    // The form is looked at as a whole: most have nothing to unescape, and to find that out pair by
    // pair takes longer than all the rest.
    let whole = std::str::from_utf8(form).ok();
    let escaped = memchr::memchr2(b'%', b'+', form).is_some();
    let mut rest = whole.unwrap_or("");
    let next = move || {
        let at = memchr::memchr(b'&', rest.as_bytes());
        let (pair, after) = at.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        let more = !rest.is_empty();
        rest = after;
        more.then_some(pair)
    };
    let pairs = std::iter::from_fn(next).filter(|pair| !pair.is_empty());
    let unreadable = whole.is_none().then_some(None);
    unreadable.into_iter().chain(pairs.map(move |pair| {
        let at = memchr::memchr(b'=', pair.as_bytes());
        let (name, value) = at.map_or((pair, ""), |at| (&pair[..at], &pair[at + 1..]));
        if escaped {
            return Some((text(name)?, text(value)?));
        }
        Some((Cow::Borrowed(name), Cow::Borrowed(value)))
    }))
}

fn text(escaped: &str) -> Option<Cow<'_, str>> {
    if escaped.contains(['%', '+']) {
        return unescape(escaped.as_bytes()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(escaped))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use taximeter_service::meter_events::{Create, Plain};
    use taximeter_service::params::{Decode as _, Path};

    use super::*;
    use crate::form::parse;

    /// What is read quickly is what the general reader reads, and its tree is the same but for the
    /// order of its members, which nothing depends on.
    fn check(form: &str) -> bool {
        let Some(plain) = Plain::read(pairs(form.as_bytes())) else { return false };
        let tree = parse(form.as_bytes()).unwrap();
        let (mut one, mut other) = (String::new(), String::new());
        tree.canonical(&mut one);
        plain.to_node().canonical(&mut other);
        assert_eq!(one, other, "{form}");
        let create = Plain::from(Create::decode(Some(tree), Path::ROOT).unwrap());
        assert_eq!(create.event_name, plain.event_name, "{form}");
        assert_eq!(create.identifier, plain.identifier, "{form}");
        assert_eq!(create.payload, plain.payload, "{form}");
        assert_eq!(create.timestamp, plain.timestamp, "{form}");
        true
    }

    #[test]
    fn events_as_clients_send_them_are_plain() {
        for form in [
            "event_name=e&payload[c]=cus_7&payload[value]=7",
            "payload%5Bvalue%5D=13&event_name=a+b%26c&payload%5Bc%5D=",
            "event_name=e&identifier=i&timestamp=007&payload[v]=%C3%A9&&",
        ] {
            assert!(check(form), "{form}");
        }
    }

    #[test]
    fn what_is_unusual_or_wrong_is_left_to_the_general_reader() {
        let long = format!("event_name={}&payload[v]=1", "e".repeat(101));
        for form in [
            "",
            "event_name=e",
            "payload[v]=1",
            "event_name=&payload[v]=1",
            "event_name=e&payload=1",
            "event_name=e&payload[]=1",
            "event_name=e&payload[v][w]=1",
            "event_name=e&payload[v=1",
            "event_name=e&payload[v]=1&payload[v]=2",
            "event_name=e&event_name=f&payload[v]=1",
            "event_name=e&payload[v]=1&timestamp=-7",
            "event_name=e&payload[v]=1&timestamp=253402300800",
            "event_name=e&payload[v]=1&timestamp=",
            "event_name=e&payload[v]=1&identifier=",
            "event_name=e&payload[v]=1&expand[]=x",
            "event_name=e&payload[v]=%00",
            "event_name=e&payload[v]=%zz",
            "event_name=e&payload[v]=%FF",
            long.as_str(),
        ] {
            assert!(!check(form), "{form}");
        }
    }

    proptest! {
        #[test]
        fn both_readers_agree_on_any_pairs(
            pairs in prop::collection::vec(
                ("event_name|identifier|timestamp|payload(\\[|%5B)[a-c%0]{0,3}(\\]|%5d)", "[a-z0-9%+é]{0,5}"),
                0..6,
            ),
        ) {
            let form: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            check(&form.join("&"));
        }
    }
}
