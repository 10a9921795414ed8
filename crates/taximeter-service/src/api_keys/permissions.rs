//! What a restricted key may do: per resource nothing, read, or write.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The resources on which a restricted key can be given permissions, as Stripe names them in
/// `rak_customer_write`.
pub const RESOURCES: &[&str] = &[
    "billing_meter",
    "billing_meter_event",
    "billing_meter_event_adjustment",
    "billing_settings",
    "charge",
    "coupon",
    "credit_note",
    "customer",
    "event",
    "invoice",
    "payment_intent",
    "payment_method",
    "price",
    "product",
    "promotion_code",
    "setup_intent",
    "subscription",
    "tax_rate",
    "test_clock",
    "webhook",
];

/// How far a permission goes. Writing includes reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Retrieve, list, search.
    Read,
    /// Everything.
    Write,
}

impl Access {
    /// `read` or `write`, as permissions spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The permissions of a restricted key. The other kinds have none: a secret key may do everything.
///
/// Written as `customer=write,price=read`, in lists, in the database and on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeMap<&'static str, Access>);

/// A text that is no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPermission {
    /// It has not the form `resource=access`.
    #[error(
        "`{0}` is no permission: write `resource=read` or `resource=write`, such as `customer=write`"
    )]
    Form(String),
    /// The resource is none.
    #[error("no resource is called `{0}`; there are: {resources}", resources = RESOURCES.join(", "))]
    Resource(String),
    /// The access is neither `none`, `read` nor `write`.
    #[error("no access is called `{0}`: write `none`, `read` or `write`")]
    Access(String),
}

impl Permissions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they include this access to this resource.
    #[must_use]
    pub fn allow(&self, resource: &str, access: Access) -> bool {
        self.0.get(resource).is_some_and(|given| *given >= access)
    }

    /// Takes the permissions of `other` too; where both speak of a resource, `other` decides.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl FromStr for Permissions {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        let mut permissions = Self::default();
        if text.is_empty() {
            return Ok(permissions);
        }
        for part in text.split(',') {
            let (name, access) =
                part.split_once('=').ok_or_else(|| InvalidPermission::Form(part.to_owned()))?;
            let resource = RESOURCES
                .iter()
                .find(|known| **known == name)
                .ok_or_else(|| InvalidPermission::Resource(name.to_owned()))?;
            match access {
                "none" => permissions.0.remove(resource),
                "read" => permissions.0.insert(resource, Access::Read),
                "write" => permissions.0.insert(resource, Access::Write),
                other => return Err(InvalidPermission::Access(other.to_owned())),
            };
        }
        Ok(permissions)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (resource, access)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{resource}={}", access.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_includes_reading_and_nothing_else_is_included() {
        let permissions: Permissions = "customer=write,price=read".parse().unwrap();
        assert!(permissions.allow("customer", Access::Read));
        assert!(permissions.allow("customer", Access::Write));
        assert!(permissions.allow("price", Access::Read));
        assert!(!permissions.allow("price", Access::Write));
        assert!(!permissions.allow("product", Access::Read));
        assert!(!permissions.allow("cust", Access::Read));
    }

    #[test]
    fn permissions_are_written_in_one_way() {
        for (text, written) in [
            ("", ""),
            ("price=read,customer=write", "customer=write,price=read"),
            ("customer=read,customer=write", "customer=write"),
            ("customer=write,customer=none", ""),
        ] {
            let permissions: Permissions = text.parse().unwrap();
            assert_eq!(permissions.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(permissions), "{text}");
        }
    }

    #[test]
    fn what_is_no_permission_is_refused_by_name() {
        for (text, message) in [
            ("customer", "`customer` is no permission"),
            ("customer=write,", "`` is no permission"),
            ("custmer=write", "no resource is called `custmer`; there are: billing_meter,"),
            ("customer=all", "no access is called `all`"),
        ] {
            let error = text.parse::<Permissions>().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn resources_are_in_order_and_named_once() {
        assert!(RESOURCES.is_sorted_by(|a, b| a < b));
    }
}
