//! What the tests of products and prices share.

use serde_json::Value;
use taximeter_db::{Arg, Cells, DbError, Row};
use taximeter_testkit::TestApp;

use crate::shop::id;

/// Posts what must be refused, and takes `[code, param, message]`.
pub(crate) async fn refused(app: &TestApp, path: &str, form: &str) -> [String; 3] {
    let response = app.post(path, form).await;
    assert_eq!(response.status, 400, "{path} {form}");
    let error = &response.json()["error"];
    ["code", "param", "message"].map(|name| error[name].as_str().unwrap_or("").to_owned())
}

/// What happened, oldest first: type, the object's id, and what it was before.
pub(crate) async fn events(app: &TestApp) -> Vec<(String, String, Value)> {
    struct Found(String, String, Value);
    impl Row for Found {
        fn read(cells: &Cells<'_>) -> Result<Self, DbError> {
            let object: String = cells.get("object")?;
            let object: Value = serde_json::from_str(&object).unwrap();
            let before: Option<String> = cells.get("previous_attributes")?;
            let before = before.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
            Ok(Self(cells.get("type")?, id(&object), before))
        }
    }
    let mut tx = app.services().db.begin_read().await.unwrap();
    let sql = "SELECT type, object, previous_attributes FROM events WHERE account = $1 \
               ORDER BY seq LIMIT 1000";
    let rows: Vec<Found> = tx.rows(sql, vec![Arg::from(app.account())]).await.unwrap();
    rows.into_iter().map(|found| (found.0, found.1, found.2)).collect()
}
