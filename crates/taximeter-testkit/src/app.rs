//! A whole application in process: router, verbs, database and usage engine, with a clock that a
//! test moves by hand and randomness that repeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, header};
use serde_json::Value;
use taximeter_db::testing::TestDb;
use taximeter_kernel::id::{Account, Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::api_keys::{self, Authenticator, KeyKind, New, Permissions};
use taximeter_service::ctx::{Entropy, Services};
use taximeter_service::{accounts, migrations};
use taximeter_usage::{Engine, Options};
use taximeter_web::{App, router};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::contract;

/// The time at which every test begins: 2026-01-15T10:30:00Z, the middle of a month, an hour and a
/// minute that nothing is aligned with by chance but the second.
pub const START: Timestamp = Timestamp(1_768_473_000);

/// An application of its own for one test.
#[derive(Debug)]
pub struct TestApp {
    router: Router,
    services: Services,
    now: Arc<AtomicI64>,
    account: Id<Account>,
    test_key: String,
    live_key: String,
    // Dropped last: what is in them is closed by then.
    _database: TestDb,
    _usage: TempDir,
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
        let engine = Engine::open(usage.path(), Options::default()).expect("a usage engine");
        database.migrate(migrations::MIGRATIONS).await.expect("a schema");
        let entropy = repeating(7);
        let (account, test_key, live_key) = keys(&database, &entropy).await;
        let services = Services {
            db: (*database).clone(),
            usage: engine,
            catalog: Arc::default(),
            in_flight: Arc::default(),
            entropy,
        };
        let now = Arc::new(AtomicI64::new(START.0));
        let clock = Arc::clone(&now);
        let app = App::new(
            services.clone(),
            Authenticator::new((*database).clone()),
            Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
        );
        Self {
            router: router(app),
            services,
            now,
            account,
            test_key,
            live_key,
            _database: database,
            _usage: usage,
        }
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

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    /// Moves the time on.
    pub fn advance_s(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
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
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        let response = Response { status: parts.status.as_u16(), headers: parts.headers, body };
        // Older versions have other types; their tests say what they expect.
        if newest && path.starts_with("/v") && method != "OPTIONS" {
            let violations = contract::check_body(&response.json());
            assert!(violations.is_empty(), "{method} {path}: {violations:#?}");
        }
        response
    }

    /// Sends a form with the test key.
    pub async fn post(&self, path: &str, form: &str) -> Response {
        let auth = format!("Bearer {}", self.test_key);
        let kind = "application/x-www-form-urlencoded";
        let headers = [("authorization", auth.as_str()), (header::CONTENT_TYPE.as_str(), kind)];
        self.request("POST", path, &headers, form.as_bytes()).await
    }

    /// Reads with the test key.
    pub async fn get(&self, path: &str) -> Response {
        let auth = format!("Bearer {}", self.test_key);
        self.request("GET", path, &[("authorization", auth.as_str())], b"").await
    }

    /// Deletes with the test key.
    pub async fn delete(&self, path: &str) -> Response {
        let auth = format!("Bearer {}", self.test_key);
        self.request("DELETE", path, &[("authorization", auth.as_str())], b"").await
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

async fn keys(database: &TestDb, entropy: &Entropy) -> (Id<Account>, String, String) {
    let mut tx = database.begin().await.expect("a transaction");
    let account = accounts::default_or_create(&mut tx, entropy(), START).await.expect("an account");
    let mut secrets = Vec::new();
    for mode in [Mode::Test, Mode::Live] {
        let new = New {
            scope: Scope { account: account.id.clone(), mode },
            kind: KeyKind::Secret,
            name: None,
            permissions: Permissions::default(),
        };
        let made = api_keys::create(&mut tx, entropy, START, new).await.expect("a key");
        secrets.push(made.1.expose().to_owned());
    }
    tx.commit().await.expect("a commit");
    let live = secrets.pop().expect("two keys");
    (account.id, secrets.pop().expect("two keys"), live)
}
