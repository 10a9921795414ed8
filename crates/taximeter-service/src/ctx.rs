//! What a verb works with: one transaction, who asks, and what time it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use taximeter_db::{Arg, Db, Row, Tx};
use taximeter_kernel::id::{ApiKey, Id, Kind, Request, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::Engine;

use crate::billing_settings::BillingSettings;
use crate::catalog::{Catalog, Touched};
use crate::error::Result;
use crate::meters::Meter;
use crate::page::{ListSql, Page, Slice};
use crate::prices::Price;
use crate::products::Product;
use crate::version::ApiVersion;
use crate::webhooks::Wanted;

/// Where random bytes come from: the operating system, or a seed in tests.
pub type Entropy = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;

/// What lives as long as the process does.
#[derive(Clone)]
pub struct Services {
    /// The control plane's database.
    pub db: Db,
    /// The data plane.
    pub usage: Engine,
    /// What the data plane needs to know of the control plane, in memory.
    pub catalog: Arc<Catalog>,
    /// What taking in usage needs for as long as the process lives.
    pub intake: Arc<crate::meter_events::Intake>,
    /// Requests being answered, by idempotency key.
    pub in_flight: Arc<crate::idempotency::InFlight>,
    /// What sends events, and those who give it to send.
    pub webhooks: Arc<crate::webhooks::Shared>,
    /// Randomness for ids and secrets.
    pub entropy: Entropy,
    /// Rung when work is put down that is due at once.
    pub work: Arc<tokio::sync::Notify>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("db", &self.db.kind()).finish_non_exhaustive()
    }
}

/// Who asks, and how.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose data.
    pub scope: Scope,
    /// The key that was shown.
    pub key: Id<ApiKey>,
    /// The version of the API the client speaks.
    pub version: ApiVersion,
    /// The name of this request, in the `Request-Id` header.
    pub request: Id<Request>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
    /// Whether it is time that asks: then `key` opens nothing, and no event names the request.
    pub by_time: bool,
}

impl Caller {
    /// Nobody: work that time brings for an account. `request` names it in the log.
    #[must_use]
    pub fn time(scope: Scope, request: Id<Request>) -> Self {
        let (key, version) = (Id::generate([0; 32]), ApiVersion::newest());
        Self { scope, key, version, request, idempotency_key: None, by_time: true }
    }
}

/// What was agreed to before, and so is not refused for having been put out of use since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// Nothing.
    Nothing,
    /// What has these ids.
    These(BTreeSet<String>),
    /// All of it.
    All,
}

/// One request's work. Dropping it without [`Ctx::commit`] undoes everything.
pub struct Ctx {
    /// The transaction.
    pub tx: Tx,
    /// Who asks.
    pub caller: Caller,
    /// The time of the request.
    pub now: Timestamp,
    wall: Timestamp,
    agreed: Agreed,
    rehearsal: bool,
    services: Services,
    touched: Vec<(Scope, Touched)>,
    known: Known,
    told: bool,
    /// Whether work was put down that is due already.
    work_is_due: bool,
}

/// What was read, and is read again and again by work of one transaction. Whoever writes one of these
/// forgets it.
#[derive(Default)]
pub(crate) struct Known {
    /// When it was read, by how much had been undone.
    undone: u64,
    pub(crate) wanted: Option<Arc<Wanted>>,
    pub(crate) billing_settings: Option<BillingSettings>,
    pub(crate) prices: BTreeMap<String, Price>,
    pub(crate) products: BTreeMap<String, Product>,
    pub(crate) meters: BTreeMap<String, Meter>,
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx").field("caller", &self.caller).field("now", &self.now).finish()
    }
}

impl Ctx {
    /// Starts the work of a request that may change things.
    ///
    /// # Errors
    /// A 500 when the database cannot be reached.
    pub async fn begin(services: &Services, caller: Caller, now: Timestamp) -> Result<Self> {
        let tx = services.db.begin().await?;
        Ok(Self::over(tx, services, caller, now))
    }

    /// Starts the work of a request that only reads: one snapshot of everything.
    ///
    /// # Errors
    /// A 500 when the database cannot be reached.
    pub async fn begin_read(services: &Services, caller: Caller, now: Timestamp) -> Result<Self> {
        let tx = services.db.begin_read().await?;
        Ok(Self::over(tx, services, caller, now))
    }

    /// Goes on in a transaction that has begun: work that time brings is claimed before it is known
    /// whose it is.
    pub(crate) fn in_transaction(
        tx: Tx,
        services: &Services,
        caller: Caller,
        now: Timestamp,
    ) -> Self {
        Self::over(tx, services, caller, now)
    }

    /// Turns to the work of an account, in the same transaction.
    pub(crate) fn work_for(&mut self, scope: &Scope, now: Timestamp) {
        self.now = now;
        if self.caller.scope != *scope {
            self.caller.scope = scope.clone();
            self.forget_read();
        }
    }

    /// Forgets what was read.
    fn forget_read(&mut self) {
        self.known = Known { undone: self.tx.undone(), ..Known::default() };
    }

    /// What was read in this transaction, and not undone since.
    pub(crate) fn known(&mut self) -> &mut Known {
        if self.known.undone != self.tx.undone() {
            self.forget_read();
        }
        &mut self.known
    }

    fn over(tx: Tx, services: &Services, caller: Caller, now: Timestamp) -> Self {
        Self {
            tx,
            caller,
            now,
            wall: now,
            agreed: Agreed::Nothing,
            rehearsal: false,
            services: services.clone(),
            touched: Vec::new(),
            known: Known::default(),
            told: false,
            work_is_due: false,
        }
    }

    /// Makes the work last. Nothing after this can fail.
    ///
    /// # Errors
    /// A 500 when the database did not take it; then nothing of it happened.
    pub async fn commit(self) -> Result<()> {
        let Self { tx, services, touched, told, work_is_due, .. } = self;
        // Forgotten on both sides of the commit: before it, so that a reader of the old rows
        // cannot put them back; after it, so that one who did must read again.
        services.catalog.forget(&touched);
        let _after = Forget { catalog: services.catalog, touched };
        tx.commit().await?;
        if told {
            services.webhooks.wake();
        }
        if work_is_due {
            services.work.notify_one();
        }
        Ok(())
    }

    /// Makes the work so far last, and goes on in a new transaction: where something outside the
    /// database is done between two steps that must not be lost. Rows that were held are let go.
    ///
    /// # Errors
    /// A 500 when the database did not take it, or is gone since.
    pub async fn checkpoint(&mut self) -> Result<()> {
        // Only to hold the place: there is no transaction between the two.
        let between = self.services.db.begin_read().await?;
        let so_far = std::mem::replace(&mut self.tx, between);
        so_far.commit().await?;
        if std::mem::take(&mut self.told) {
            self.services.webhooks.wake();
        }
        self.tx = self.services.db.begin().await?;
        self.forget_read();
        Ok(())
    }

    /// When this work began, whatever time a test clock makes of [`Ctx::now`]: for what is sent,
    /// tried again, or kept for so long.
    #[must_use]
    pub const fn wall(&self) -> Timestamp {
        self.wall
    }

    /// From now on all that is done is only looked at, and undone: nobody is asked for money by it.
    pub(crate) const fn rehearse(&mut self) {
        self.rehearsal = true;
    }

    /// Whether all that is done is undone.
    pub(crate) const fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    /// Says what was agreed to before, until that is said anew, and gives what was.
    pub(crate) const fn agree(&mut self, agreed: Agreed) -> Agreed {
        std::mem::replace(&mut self.agreed, agreed)
    }

    /// Whether all that is asked for was agreed to before.
    pub(crate) const fn has_agreed_to_all(&self) -> bool {
        matches!(self.agreed, Agreed::All)
    }

    /// Whether it was agreed to what has this id.
    pub(crate) fn has_agreed_to(&self, id: &str) -> bool {
        match &self.agreed {
            Agreed::Nothing => false,
            Agreed::These(ids) => ids.contains(id),
            Agreed::All => true,
        }
    }

    /// What sends events.
    #[must_use]
    pub fn webhooks(&self) -> &crate::webhooks::Shared {
        &self.services.webhooks
    }

    /// What the account's endpoints want, read once.
    pub(crate) async fn wanted(&mut self) -> Result<Arc<Wanted>> {
        if let Some(wanted) = &self.known().wanted {
            return Ok(Arc::clone(wanted));
        }
        let wanted = Arc::new(Wanted::read(self).await?);
        self.known().wanted = Some(Arc::clone(&wanted));
        Ok(wanted)
    }

    /// Notes that there is something to send once this is committed.
    pub(crate) const fn tell(&mut self) {
        self.told = true;
    }

    /// Whose data.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.caller.scope
    }

    /// The usage engine.
    #[must_use]
    pub const fn usage(&self) -> &Engine {
        &self.services.usage
    }

    /// A new id.
    #[must_use]
    pub fn new_id<K: Kind>(&self) -> Id<K> {
        Id::generate((self.services.entropy)())
    }

    /// Random bytes for what is not an id.
    #[must_use]
    pub fn entropy(&self) -> [u8; 32] {
        (self.services.entropy)()
    }

    /// Notes that work was put down which is due, so that it is looked for once this lasts.
    pub(crate) const fn ring(&mut self) {
        self.work_is_due = true;
    }

    /// Notes that something the data plane keeps in memory changes with this work.
    pub fn touch(&mut self, touched: Touched) {
        let scope = self.scope().clone();
        self.touched.push((scope, touched));
    }

    /// `$1` and `$2` of every statement: the account and the mode.
    #[must_use]
    pub fn key_args(&self) -> Vec<Arg> {
        let scope = self.scope();
        vec![Arg::from(&scope.account), Arg::from(scope.mode.is_live())]
    }

    /// `$1`, `$2` and what follows.
    #[must_use]
    pub fn args<const N: usize>(&self, more: [Arg; N]) -> Vec<Arg> {
        let mut args = self.key_args();
        args.extend(more);
        args
    }

    /// Reads one page of a resource. `seq_sql` finds the cursor's row: `$3` is its id.
    ///
    /// # Errors
    /// A 400 when the cursor names nothing.
    pub async fn page<T: Row, const N: usize>(
        &mut self,
        page: &Page,
        noun: &str,
        sql: (&'static str, ListSql),
        filters: [Arg; N],
    ) -> Result<Slice<T>> {
        let (seq_sql, list_sql) = sql;
        let mut cursor_seq = None;
        if let Some((id, param)) = page.cursor() {
            let args = self.args([Arg::from(id)]);
            let found: Option<i64> = self.tx.optional(seq_sql, args).await?;
            if found.is_none() {
                return Err(self.no_such(noun, id, param).await?);
            }
            cursor_seq = found;
        }
        let (below, above) = page.seq_bounds(cursor_seq);
        let mut args = self.args([below, above, Arg::from(page.rows())]);
        args.extend(filters);
        let rows = self.tx.rows(list_sql.of(page.direction()), args).await?;
        Ok(page.cut(rows))
    }
}

/// Forgets when it is dropped, so also when the client has gone while its work was committed.
struct Forget {
    catalog: Arc<Catalog>,
    touched: Vec<(Scope, Touched)>,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.catalog.forget(&self.touched);
    }
}

/// Reads a word column back into its enum.
///
/// # Errors
/// [`taximeter_db::DbError::Malformed`] when the database holds another word.
pub fn word<C: crate::params::Choice>(
    cells: &taximeter_db::Cells<'_>,
    column: &'static str,
) -> Result<C, taximeter_db::DbError> {
    let text: String = cells.get(column)?;
    C::from_word(&text).ok_or_else(|| malformed(column, "word", &text))
}

/// Reads a word column that may be null.
///
/// # Errors
/// [`taximeter_db::DbError::Malformed`] when the database holds another word.
pub fn optional_word<C: crate::params::Choice>(
    cells: &taximeter_db::Cells<'_>,
    column: &'static str,
) -> Result<Option<C>, taximeter_db::DbError> {
    let text: Option<String> = cells.get(column)?;
    text.map(|text| C::from_word(&text).ok_or_else(|| malformed(column, "word", &text))).transpose()
}

/// The error of a column that holds what its type could not have written.
#[must_use]
pub fn malformed(column: &str, wanted: &'static str, found: &str) -> taximeter_db::DbError {
    let source = format!("found `{found}`").into();
    taximeter_db::DbError::Malformed { column: column.to_owned(), wanted, source }
}
