//! What the data plane knows of the control plane: meters by event name, customers by id.
//!
//! Kept in memory so that an event costs no SQL statement. This process's own commits are seen at
//! once; another process's (a replica on the same PostgreSQL) within [`CATALOG_TTL_S`]. A customer
//! of a test clock is not kept: what time it is for it is asked of the database for every request,
//! so that every process knows at once that a clock was moved.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use taximeter_kernel::id::{Customer, Id, Scope};
use taximeter_kernel::time::Timestamp;

use crate::meters::Meter;

/// How long an entry serves without being read again, in seconds.
pub const CATALOG_TTL_S: i64 = 5;
/// The most entries of one kind held; past it the catalog starts afresh.
pub const CATALOG_ENTRIES_MAX: usize = 200_000;

/// Something in the catalog that a commit changes.
#[derive(Debug, Clone)]
pub enum Touched {
    /// The meter that counts events of this name.
    Meter(String),
    /// A customer.
    Customer(Id<Customer>),
}

/// What becomes of events of one name.
#[derive(Debug, Clone)]
pub enum Counting {
    /// A meter counts them.
    By(Arc<Meter>),
    /// The meters that counted them are inactive.
    NoMore,
    /// No meter has ever had the name.
    Never,
}

/// Where a customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// In the mode that was asked about.
    Here,
    /// There as well, and its test clock shows this time.
    ByClock(Timestamp),
    /// In the other mode of the account only.
    InOtherMode,
    /// Nowhere, or deleted.
    Nowhere,
}

impl Presence {
    /// What time it is for the customer, if it is here; `world` for those without a clock.
    #[must_use]
    pub const fn time(self, world: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Here => Some(world),
            Self::ByClock(time) => Some(time),
            Self::InOtherMode | Self::Nowhere => None,
        }
    }
}

#[expect(clippy::disallowed_types, reason = "on the path of every event; nothing iterates it")]
type Hash<K, V> = std::collections::HashMap<K, V>;

/// Entries of one kind. By scope first, so that a look needs no key of its own.
#[derive(Debug)]
struct Map<V> {
    scopes: Hash<Scope, Hash<String, Entry<V>>>,
    entries: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    read_at: Timestamp,
}

#[derive(Debug, Default)]
struct Inner {
    /// Grows with every change, so that a row read before a change is not kept after it.
    generation: u64,
    meters: Map<Counting>,
    customers: Map<(Id<Customer>, Presence)>,
}

/// The catalog of one process.
#[derive(Debug, Default)]
pub struct Catalog {
    inner: RwLock<Inner>,
}

/// Customers by id.
type OfScope = Hash<String, Entry<(Id<Customer>, Presence)>>;

/// The customers of one scope that the catalog knows.
#[derive(Debug, Clone, Copy)]
pub struct Customers<'a> {
    entries: Option<&'a OfScope>,
    now: Timestamp,
}

impl<'a> Customers<'a> {
    /// Where the customer is, if the catalog knows.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<(&'a Id<Customer>, Presence)> {
        let entry = self.entries?.get(id).filter(|entry| entry.is_fresh(self.now))?;
        Some((&entry.value.0, entry.value.1))
    }
}

impl<V> Entry<V> {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let age_s = now.0.saturating_sub(self.read_at.0);
        (0..CATALOG_TTL_S).contains(&age_s)
    }
}

/// Taken before a row is read, shown when it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Ticket(u64);

impl Catalog {
    // The maps are valid between any two statements, so a panic elsewhere does not spoil them.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for keeping what is read from the database next.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.read().generation)
    }

    /// What becomes of events named `event_name`, if the catalog knows.
    #[must_use]
    pub fn meter(&self, scope: &Scope, event_name: &str, now: Timestamp) -> Option<Counting> {
        self.read().meters.fresh(scope, event_name, now)
    }

    /// Where the customer is, if the catalog knows.
    #[must_use]
    pub fn customer(&self, scope: &Scope, id: &str, now: Timestamp) -> Option<Presence> {
        let inner = self.read();
        let entry = inner.customers.scopes.get(scope)?.get(id)?;
        entry.is_fresh(now).then_some(entry.value.1)
    }

    /// Looks for many customers of one scope at once. Nothing changes in the catalog meanwhile, so
    /// `work` is to be short.
    pub fn look_at_customers<R>(
        &self,
        scope: &Scope,
        now: Timestamp,
        work: impl FnOnce(Customers<'_>) -> R,
    ) -> R {
        let inner = self.read();
        work(Customers { entries: inner.customers.scopes.get(scope), now })
    }

    /// Keeps what was read about the meters of an event name.
    pub fn keep_meter(
        &self,
        ticket: Ticket,
        scope: &Scope,
        event_name: &str,
        meter: Counting,
        now: Timestamp,
    ) {
        let mut inner = self.write();
        if inner.generation == ticket.0 {
            inner.meters.keep(scope, event_name, meter, now);
        }
    }

    /// Keeps what was read about a customer, unless it lives by a test clock.
    pub fn keep_customer(
        &self,
        ticket: Ticket,
        scope: &Scope,
        id: &Id<Customer>,
        presence: Presence,
        now: Timestamp,
    ) {
        if matches!(presence, Presence::ByClock(_)) {
            return;
        }
        let mut inner = self.write();
        if inner.generation == ticket.0 {
            inner.customers.keep(scope, id.as_str(), (id.clone(), presence), now);
        }
    }

    /// Forgets what a commit changes, in every scope that holds it.
    pub fn forget(&self, touched: &[(Scope, Touched)]) {
        if touched.is_empty() {
            return;
        }
        let mut inner = self.write();
        inner.generation += 1;
        for (scope, touched) in touched {
            match touched {
                Touched::Meter(name) => inner.meters.remove(scope, name),
                Touched::Customer(id) => inner.customers.remove(scope, id.as_str()),
            }
        }
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self { scopes: Hash::default(), entries: 0 }
    }
}

impl<V: Clone> Map<V> {
    fn fresh(&self, scope: &Scope, name: &str, now: Timestamp) -> Option<V> {
        let entry = self.scopes.get(scope)?.get(name)?;
        entry.is_fresh(now).then(|| entry.value.clone())
    }

    fn keep(&mut self, scope: &Scope, name: &str, value: V, now: Timestamp) {
        if self.entries >= CATALOG_ENTRIES_MAX {
            *self = Self::default();
        }
        let entries = self.scopes.entry(scope.clone()).or_default();
        if entries.insert(name.to_owned(), Entry { value, read_at: now }).is_none() {
            self.entries += 1;
        }
    }

    fn remove(&mut self, scope: &Scope, name: &str) {
        let Some(entries) = self.scopes.get_mut(scope) else { return };
        if entries.remove(name).is_some() {
            self.entries -= 1;
        }
        if entries.is_empty() {
            self.scopes.remove(scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taximeter_kernel::id::Mode;

    fn scope(account: &str) -> Scope {
        Scope { account: Id::parse(account).unwrap(), mode: Mode::Test }
    }

    #[test]
    fn an_entry_serves_its_own_scope_for_five_seconds() {
        let mut map = Map::default();
        map.keep(&scope("acct_7"), "calls", 13, Timestamp(100));
        for (account, now, found) in [
            ("acct_7", 99, None),
            ("acct_7", 100, Some(13)),
            ("acct_7", 104, Some(13)),
            ("acct_7", 105, None),
            ("acct_8", 100, None),
        ] {
            assert_eq!(
                map.fresh(&scope(account), "calls", Timestamp(now)),
                found,
                "{account} {now}"
            );
        }
    }

    #[test]
    fn what_is_removed_is_neither_found_nor_counted() {
        let (mut map, now) = (Map::default(), Timestamp(100));
        for value in [7, 13] {
            map.keep(&scope("acct_7"), "calls", value, now);
        }
        map.keep(&scope("acct_7"), "bytes", 101, now);
        assert_eq!(map.entries, 2);
        for name in ["calls", "calls", "bytes"] {
            map.remove(&scope("acct_7"), name);
            assert_eq!(map.fresh(&scope("acct_7"), name, now), None);
        }
        assert_eq!((map.entries, map.scopes.len()), (0, 0));
    }

    #[test]
    fn a_customer_of_a_test_clock_is_not_kept() {
        let (catalog, scope, now) = (Catalog::default(), scope("acct_7"), Timestamp(100));
        for (id, presence, known) in [
            ("cus_a", Presence::Here, Some(Presence::Here)),
            ("cus_b", Presence::ByClock(Timestamp(7)), None),
            ("cus_c", Presence::Nowhere, Some(Presence::Nowhere)),
        ] {
            let customer = Id::parse(id).unwrap();
            catalog.keep_customer(catalog.ticket(), &scope, &customer, presence, now);
            assert_eq!(catalog.customer(&scope, id, now), known, "{id}");
        }
    }

    #[test]
    fn a_full_map_starts_afresh() {
        let (mut map, now) = (Map::default(), Timestamp(100));
        for n in 0..=CATALOG_ENTRIES_MAX {
            map.keep(&scope("acct_7"), &n.to_string(), (), now);
        }
        assert_eq!(map.entries, 1);
    }
}
