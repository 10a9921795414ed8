//! What the data plane knows of the control plane: meters by event name, customers by id.
//!
//! Kept in memory so that an event costs no SQL statement. This process's own commits are seen at
//! once; another process's (a replica on the same PostgreSQL) within [`CATALOG_TTL_S`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// In the other mode of the account only.
    InOtherMode,
    /// Nowhere, or deleted.
    Nowhere,
}

#[expect(clippy::disallowed_types, reason = "on the path of every event; nothing iterates it")]
type Map<V> = std::collections::HashMap<(Scope, String), Entry<V>>;

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
    customers: Map<Presence>,
}

/// The catalog of one process.
#[derive(Debug, Default)]
pub struct Catalog {
    inner: Mutex<Inner>,
}

/// Taken before a row is read, shown when it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Ticket(u64);

impl Catalog {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // The maps are valid between any two statements, so a panic elsewhere does not spoil them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for keeping what is read from the database next.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.inner().generation)
    }

    /// What becomes of events named `event_name`, if the catalog knows.
    #[must_use]
    pub fn meter(&self, scope: &Scope, event_name: &str, now: Timestamp) -> Option<Counting> {
        fresh(&self.inner().meters, scope, event_name, now)
    }

    /// Where the customer is, if the catalog knows.
    #[must_use]
    pub fn customer(&self, scope: &Scope, id: &str, now: Timestamp) -> Option<Presence> {
        fresh(&self.inner().customers, scope, id, now)
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
        let mut inner = self.inner();
        if inner.generation == ticket.0 {
            keep(&mut inner.meters, scope, event_name, meter, now);
        }
    }

    /// Keeps what was read about a customer.
    pub fn keep_customer(
        &self,
        ticket: Ticket,
        scope: &Scope,
        id: &str,
        presence: Presence,
        now: Timestamp,
    ) {
        let mut inner = self.inner();
        if inner.generation == ticket.0 {
            keep(&mut inner.customers, scope, id, presence, now);
        }
    }

    /// Forgets what a commit changes, in every scope that holds it.
    pub fn forget(&self, touched: &[(Scope, Touched)]) {
        if touched.is_empty() {
            return;
        }
        let mut inner = self.inner();
        inner.generation += 1;
        for (scope, touched) in touched {
            match touched {
                Touched::Meter(name) => {
                    inner.meters.remove(&(scope.clone(), name.clone()));
                }
                Touched::Customer(id) => {
                    inner.customers.remove(&(scope.clone(), id.to_string()));
                }
            }
        }
    }
}

fn fresh<V: Clone>(map: &Map<V>, scope: &Scope, name: &str, now: Timestamp) -> Option<V> {
    let entry = map.get(&(scope.clone(), name.to_owned()))?;
    let age_s = now.0.saturating_sub(entry.read_at.0);
    (0..CATALOG_TTL_S).contains(&age_s).then(|| entry.value.clone())
}

fn keep<V>(map: &mut Map<V>, scope: &Scope, name: &str, value: V, now: Timestamp) {
    if map.len() >= CATALOG_ENTRIES_MAX {
        map.clear();
    }
    map.insert((scope.clone(), name.to_owned()), Entry { value, read_at: now });
}
