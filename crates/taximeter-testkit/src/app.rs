//! A whole application in process: router, verbs, database and usage engine, with a clock that a
//! test moves by hand and randomness that repeats.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use serde_json::Value;
use taximeter_db::Db;
use taximeter_db::testing::TestDb;
use taximeter_kernel::id::{Account, Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::{self, Authenticator, KeyKind, New, Permissions};
use taximeter_service::ctx::{Entropy, Services};
use taximeter_service::{accounts, jobs, migrations};
use taximeter_usage::{Engine, Options};
use taximeter_web::{App, Lane, router};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::{contract, lane};

/// The time at which every test begins: 2026-01-15T10:30:00Z, the middle of a month, an hour and a
/// minute that nothing is aligned with by chance but the second.
pub const START: Timestamp = Timestamp(1_768_473_000);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// An application of its own for one test.
#[derive(Debug)]
pub struct TestApp {
    router: Router,
    lane: Lane,
    services: Services,
    now: Arc<AtomicI64>,
    account: Id<Account>,
    test_key: String,
    live_key: String,
    // Dropped last: what is in them is closed by then.
    database: TestDb,
    usage: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// A header's text, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text header"))
    }
}

impl TestApp {
    /// An application on SQLite.
    pub async fn start() -> Self {
        Self::on(taximeter_db::testing::sqlite().await).await
    }

    /// One application on each kind of database.
    pub async fn everywhere() -> Vec<Self> {
        let mut apps = Vec::new();
        for database in taximeter_db::testing::databases().await {
            apps.push(Self::on(database).await);
        }
        apps
    }

    /// An application on a database that is empty.
    ///
    /// # Panics
    /// When it cannot be put together.
    pub async fn on(database: TestDb) -> Self {
        let usage = TempDir::new().expect("a directory");
        database.migrate(migrations::MIGRATIONS).await.expect("a schema");
        let entropy = repeating(7);
        let mut tx = database.begin().await.expect("a transaction");
        let account = accounts::default_or_create(&mut tx, entropy(), START).await;
        tx.commit().await.expect("a commit");
        let account = account.expect("an account").id;
        let [test_key, live_key] = secret_keys(&database, &entropy, &account).await;
        let services = services((*database).clone(), usage.path(), entropy);
        let now = Arc::new(AtomicI64::new(START.0));
        let (router, lane) = over(&services, &now);
        Self { router, lane, services, now, account, test_key, live_key, database, usage }
    }

    /// The same application in a new process: what was in memory is gone, what is on disk is not,
    /// and the clock goes on.
    ///
    /// # Panics
    /// When it cannot be put together.
    #[must_use]
    pub async fn restart(self) -> Self {
        let Self { router, lane, services: old, now, account, test_key, live_key, database, usage } =
            self;
        drop((router, lane));
        let entropy = Arc::clone(&old.entropy);
        old.usage.close();
        let services = services(database.reopen().await, usage.path(), entropy);
        let (router, lane) = over(&services, &now);
        Self { router, lane, services, now, account, test_key, live_key, database, usage }
    }

    /// The test and the live secret key of an account of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn another_account(&self, name: &str) -> [String; 2] {
        let entropy = &self.services.entropy;
        let mut tx = self.services.db.begin().await.expect("a transaction");
        let account = accounts::create(&mut tx, entropy(), self.now(), name).await;
        tx.commit().await.expect("a commit");
        secret_keys(&self.services.db, entropy, &account.expect("an account").id).await
    }

    /// A key of this account's test dataset, of any kind.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn key(&self, kind: KeyKind, permissions: &str) -> String {
        let new = New {
            scope: Scope { account: self.account.clone(), mode: Mode::Test },
            kind,
            name: None,
            permissions: permissions.parse().expect("permissions"),
        };
        made_key(&self.services.db, &self.services.entropy, new).await
    }

    /// The application as the holder of another key sees it.
    #[must_use]
    pub const fn with_key<'a>(&'a self, key: &'a str) -> Client<'a> {
        Client { app: self, key }
    }

    /// The application as the holder of the live key sees it.
    #[must_use]
    pub fn live(&self) -> Client<'_> {
        self.with_key(&self.live_key)
    }

    /// The secret key of the test dataset.
    #[must_use]
    pub fn test_key(&self) -> &str {
        &self.test_key
    }

    /// The secret key of the live dataset.
    #[must_use]
    pub fn live_key(&self) -> &str {
        &self.live_key
    }

    /// The account of both keys.
    #[must_use]
    pub const fn account(&self) -> &Id<Account> {
        &self.account
    }

    /// What lies under the router.
    #[must_use]
    pub const fn services(&self) -> &Services {
        &self.services
    }

    /// The lane for events.
    #[must_use]
    pub const fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    /// Moves the time on.
    pub fn advance_s(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Does all that is due, as the server's workers would.
    ///
    /// # Panics
    /// When the database cannot be used, or something that is due fails.
    pub async fn work(&self) {
        loop {
            let pass = jobs::run_due(&self.services, self.now()).await.expect("a pass");
            assert_eq!(pass.failed, 0, "work that is due failed");
            if !pass.found_any() {
                return;
            }
        }
    }

    /// Moves the time on, and does all that is due by then.
    pub async fn live_s(&self, seconds: i64) {
        self.advance_s(seconds);
        self.work().await;
    }

    /// Sends a request as it is, and holds what the API answers against Stripe's types.
    ///
    /// # Panics
    /// When the answer breaks the contract.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_vec())).expect("a request");
        let newest = !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("stripe-version"));
        let written = lane::written(&request, body);
        let response = match lane::answer(&self.lane, &written).await {
            // What is refused can be asked again, and must be refused alike.
            Some(quick) if quick.status >= 400 => {
                lane::assert_same(&quick, &self.routed(request).await);
                quick
            }
            Some(quick) => quick,
            None => self.routed(request).await,
        };
        // Older versions have other types; their tests say what they expect.
        if newest && path.starts_with("/v") && method != "OPTIONS" {
            let violations = contract::check_body(&response.json());
            assert!(violations.is_empty(), "{method} {path}: {violations:#?}");
        }
        response
    }

    async fn routed(&self, request: Request<Body>) -> Response {
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        Response { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request with the test key and further headers.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        self.with_key(&self.test_key).send(method, path, headers, body).await
    }

    /// Sends a form with the test key, or JSON on `/v2`.
    pub async fn post(&self, path: &str, form: &str) -> Response {
        self.with_key(&self.test_key).post(path, form).await
    }

    /// Reads with the test key.
    pub async fn get(&self, path: &str) -> Response {
        self.with_key(&self.test_key).get(path).await
    }

    /// Deletes with the test key.
    pub async fn delete(&self, path: &str) -> Response {
        self.with_key(&self.test_key).delete(path).await
    }

    /// Sends a form with the test key and takes the object that must come back.
    ///
    /// # Panics
    /// When something else comes back.
    pub async fn made(&self, path: &str, form: &str) -> Value {
        ok(&self.post(path, form).await)
    }

    /// Reads with the test key what must be there.
    ///
    /// # Panics
    /// When it is not.
    pub async fn read(&self, path: &str) -> Value {
        ok(&self.get(path).await)
    }
}

/// The application as the holder of one key sees it.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    app: &'a TestApp,
    key: &'a str,
}

impl Client<'_> {
    /// Sends a request with further headers. A body is a form on `/v1` and JSON on `/v2`.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let auth = format!("Bearer {}", self.key);
        let kind = if path.starts_with("/v2/") { JSON } else { FORM };
        let mut all = vec![("authorization", auth.as_str())];
        if !body.is_empty() {
            all.push((header::CONTENT_TYPE.as_str(), kind));
        }
        all.extend(headers);
        self.app.request(method, path, &all, body.as_bytes()).await
    }

    /// Sends a form, or JSON on `/v2`.
    pub async fn post(&self, path: &str, body: &str) -> Response {
        self.send("POST", path, &[], body).await
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], "").await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Response {
        self.send("DELETE", path, &[], "").await
    }

    /// Sends a form and takes the object that must come back.
    ///
    /// # Panics
    /// When something else comes back.
    pub async fn made(&self, path: &str, form: &str) -> Value {
        ok(&self.post(path, form).await)
    }

    /// Reads what must be there.
    ///
    /// # Panics
    /// When it is not.
    pub async fn read(&self, path: &str) -> Value {
        ok(&self.get(path).await)
    }
}

fn ok(response: &Response) -> Value {
    let body = String::from_utf8_lossy(&response.body).into_owned();
    assert_eq!(response.status, 200, "{body}");
    response.json()
}

/// Bytes that look random and are the same in every run.
fn repeating(seed: u64) -> Entropy {
    let state = Arc::new(AtomicU64::new(seed));
    Arc::new(move || {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            let mixed = mix(state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst));
            chunk.copy_from_slice(&mixed.to_le_bytes());
        }
        bytes
    })
}

/// The finalizer of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn services(db: Db, usage: &Path, entropy: Entropy) -> Services {
    Services {
        db,
        usage: Engine::open(usage, Options::default()).expect("a usage engine"),
        catalog: Arc::default(),
        intake: Arc::default(),
        in_flight: Arc::default(),
        webhooks: Arc::default(),
        entropy,
        work: Arc::default(),
    }
}

fn over(services: &Services, now: &Arc<AtomicI64>) -> (Router, Lane) {
    let clock = Arc::clone(now);
    let app = App::new(
        services.clone(),
        Authenticator::new(services.db.clone()),
        Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
    );
    (router(app.clone()), Lane::new(app))
}

async fn secret_keys(db: &Db, entropy: &Entropy, account: &Id<Account>) -> [String; 2] {
    let new = |mode| New {
        scope: Scope { account: account.clone(), mode },
        kind: KeyKind::Secret,
        name: None,
        permissions: Permissions::default(),
    };
    let test = made_key(db, entropy, new(Mode::Test)).await;
    [test, made_key(db, entropy, new(Mode::Live)).await]
}

async fn made_key(db: &Db, entropy: &Entropy, new: New) -> String {
    let mut tx = db.begin().await.expect("a transaction");
    let made = api_keys::create(&mut tx, entropy, START, new).await.expect("a key");
    tx.commit().await.expect("a commit");
    made.1.expose().to_owned()
}
