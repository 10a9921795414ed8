//! Where events may be sent: which addresses, and which URLs.
//!
//! Whoever holds a key chooses URLs, and the server that calls them stands inside somebody's
//! network. So what is called is judged by its address, when it is called, and the names of
//! addresses are judged by nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use taximeter_kernel::id::Mode;
use url::{Host, Url};

use crate::error::{Error, Result};

crate::choice! {
    /// How far the calls of webhooks reach.
    pub enum Reach {
        /// Addresses of the internet.
        Public = "public",
        /// In test mode this machine as well.
        Loopback = "loopback",
        /// In both modes this machine and private networks as well.
        Private = "private",
    }
}

/// What an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The internet.
    Public,
    /// This machine.
    Loopback,
    /// A network of somebody's own.
    Private,
    /// What no webhook is ever at: links, groups, reserved blocks, and where clouds keep the
    /// credentials of their machines.
    Nowhere,
}

/// Where Alibaba's machines find their credentials.
const METADATA_OF_ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// Where Amazon's machines find theirs, by version 6.
const METADATA_OF_AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// Where Google's machines find theirs, by version 6.
const METADATA_OF_GOOGLE: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);

impl Place {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    /// The registries of special-purpose addresses (RFC 6890 and what followed).
    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            _ if address == METADATA_OF_ALIBABA => Self::Nowhere,
            [127, ..] => Self::Loopback,
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Self::Private,
            [0 | 224..=255, ..]
            | [169, 254, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _] => Self::Nowhere,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let embedded = |high: u16, low: u16| {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        };
        match address.segments() {
            _ if [METADATA_OF_AMAZON, METADATA_OF_GOOGLE].contains(&address) => Self::Nowhere,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            // What is really called: an address of version 4 mapped into 6, behind a translator, or
            // behind a relay.
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                embedded(high, low)
            }
            [0x2002, high, low, ..] => embedded(high, low),
            [0xfc00..=0xfdff, ..] => Self::Private,
            // Special protocols (Teredo is one of them) and examples.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, ..] => Self::Nowhere,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Nowhere,
        }
    }
}

impl Reach {
    /// Whether an address may be called.
    #[must_use]
    pub fn allows(self, mode: Mode, address: IpAddr) -> bool {
        self.covers(mode, Place::of(address))
    }

    fn covers(self, mode: Mode, place: Place) -> bool {
        match place {
            Place::Public => true,
            Place::Loopback => self == Self::Private || (self == Self::Loopback && !mode.is_live()),
            Place::Private => self == Self::Private,
            Place::Nowhere => false,
        }
    }
}

/// Why a URL is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NoScheme,
    NoUrl,
    NotSecure,
    Credentials,
    NotPublic,
}

/// Reads a URL that may be called, as far as can be told without asking what its name stands for.
fn read(text: &str, mode: Mode, reach: Reach) -> std::result::Result<Url, Fault> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => return Err(Fault::NoScheme),
        Err(_) => return Err(Fault::NoUrl),
    };
    match url.scheme() {
        "https" => {}
        "http" if mode.is_live() => return Err(Fault::NotSecure),
        "http" => {}
        // `localhost:4242/hook` is a URL, of the scheme `localhost`.
        _ if !text.contains("://") => return Err(Fault::NoScheme),
        _ => return Err(Fault::NoUrl),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::Credentials);
    }
    let place = match url.host() {
        None => return Err(Fault::NoUrl),
        Some(Host::Ipv4(address)) => Place::of_v4(address),
        Some(Host::Ipv6(address)) => Place::of_v6(address),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            if name == "localhost" || name.ends_with(".localhost") {
                Place::Loopback
            } else {
                // Its addresses are looked at when it is called.
                Place::Public
            }
        }
    };
    if reach.covers(mode, place) { Ok(url) } else { Err(Fault::NotPublic) }
}

/// Refuses a URL to which nothing is sent.
///
/// # Errors
/// A 400 in Stripe's words, where they are known.
pub(super) fn check(text: &str, mode: Mode, reach: Reach) -> Result<()> {
    let Err(fault) = read(text, mode, reach) else { return Ok(()) };
    let message = match fault {
        Fault::NoScheme => "Invalid URL: An explicit scheme (such as https) must be provided.",
        Fault::NoUrl => "Invalid URL: it must be an http or https URL with a host.",
        Fault::NotSecure => "Invalid URL: it must begin with https:// in live mode.",
        Fault::Credentials => "Invalid URL: it must not hold a user name or password.",
        Fault::NotPublic => {
            "Invalid URL: URL must be publicly accessible. Consider using a tool like the Stripe \
             CLI to test webhooks locally."
        }
    };
    Err(Error::invalid(message).code("url_invalid").param("url"))
}

/// A URL to call, checked again: what was allowed when it was given may be allowed no longer.
#[must_use]
pub fn to_call(text: &str, mode: Mode, reach: Reach) -> Option<Url> {
    read(text, mode, reach).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of test and live mode may call an address, by reach.
    fn allowed(address: &str) -> [(bool, bool); 3] {
        let address: IpAddr = address.parse().unwrap();
        let by =
            |reach: Reach| (reach.allows(Mode::Test, address), reach.allows(Mode::Live, address));
        [by(Reach::Public), by(Reach::Loopback), by(Reach::Private)]
    }

    #[test]
    fn the_internet_can_be_called_by_all() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert_eq!(allowed(address), [(true, true); 3], "{address}");
        }
    }

    #[test]
    fn this_machine_can_be_called_in_test_mode_unless_it_is_forbidden() {
        for address in ["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "2002:7f00:1::"]
        {
            let expected = [(false, false), (true, false), (true, true)];
            assert_eq!(allowed(address), expected, "{address}");
        }
    }

    #[test]
    fn a_private_network_can_be_called_only_where_it_is_allowed() {
        for address in [
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.7.13",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fdff::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            let expected = [(false, false), (false, false), (true, true)];
            assert_eq!(allowed(address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_place_for_a_webhook_is_never_called() {
        for address in [
            "0.0.0.0",
            "0.0.0.1",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.7",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert_eq!(allowed(address), [(false, false); 3], "{address}");
        }
    }

    #[test]
    fn a_url_is_judged_by_what_it_says() {
        let check = |text: &str, test: Option<Fault>, live: Option<Fault>| {
            let fault = |mode| read(text, mode, Reach::Loopback).err();
            assert_eq!((fault(Mode::Test), fault(Mode::Live)), (test, live), "{text}");
        };
        let both = |text, fault| check(text, fault, fault);
        both("https://example.com/hook?a=1", None);
        both("https://1.1.1.1", None);
        check("http://example.com", None, Some(Fault::NotSecure));
        check("http://localhost:4242/hook", None, Some(Fault::NotSecure));
        check("https://localhost", None, Some(Fault::NotPublic));
        check("https://a.localhost.", None, Some(Fault::NotPublic));
        check("https://[::1]:7", None, Some(Fault::NotPublic));
        // However an address is written.
        for loopback in ["https://2130706433", "https://0x7f.1", "https://0177.0.0.1"] {
            check(loopback, None, Some(Fault::NotPublic));
        }
        both("https://10.0.0.1", Some(Fault::NotPublic));
        both("https://[::ffff:169.254.169.254]/latest", Some(Fault::NotPublic));
        both("https://me@example.com", Some(Fault::Credentials));
        both("https://:pw@example.com", Some(Fault::Credentials));
        both("ftp://example.com", Some(Fault::NoUrl));
        both("https://", Some(Fault::NoUrl));
        both("https://a b", Some(Fault::NoUrl));
        both("example.com/hook", Some(Fault::NoScheme));
        both("localhost:4242/hook", Some(Fault::NoScheme));
        both("", Some(Fault::NoScheme));
    }
}
