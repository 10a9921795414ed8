//! What a start finds or makes: the default account and a key to begin with.

use taximeter_db::Db;
use taximeter_kernel::id::{Account as AccountKind, Id, Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_service::accounts;
use taximeter_service::api_keys::{self, KeyKind, New, Permissions, Secret};
use taximeter_service::ctx::Entropy;
use taximeter_service::error::Result;

/// The keys that a start can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Just made; never shown again.
    Made {
        /// For trying out.
        test: Secret,
        /// For real customers.
        live: Secret,
    },
    /// The one that was given.
    Given(Secret),
    /// There are some, and nobody knows their secrets any more.
    Known,
}

/// Makes sure of a default account and of a key to it: `given`, or else, if there has never been a
/// key, a new one of each mode.
///
/// # Errors
/// A 400 when `given` belongs to another account, a 500 when the database cannot be written.
pub(crate) async fn prepare(
    db: &Db,
    entropy: &Entropy,
    now: Timestamp,
    given: Option<&Secret>,
) -> Result<Keys> {
    let mut tx = db.begin().await?;
    let account = accounts::default_or_create(&mut tx, entropy(), now).await?;
    let keys = match given {
        Some(secret) => {
            api_keys::accept(&mut tx, entropy, now, &account.id, secret).await?;
            Keys::Given(secret.clone())
        }
        None if api_keys::any(&mut tx, &account.id).await? => Keys::Known,
        None => {
            let mut make = async |mode| {
                let new = first_key(&account.id, mode);
                api_keys::create(&mut tx, entropy, now, new).await.map(|(_, secret)| secret)
            };
            Keys::Made { test: make(Mode::Test).await?, live: make(Mode::Live).await? }
        }
    };
    tx.commit().await?;
    Ok(keys)
}

fn first_key(account: &Id<AccountKind>, mode: Mode) -> New {
    New {
        scope: Scope { account: account.clone(), mode },
        kind: KeyKind::Secret,
        name: Some("made at first start".to_owned()),
        permissions: Permissions::default(),
    }
}
