//! A test clock as clients see it.

use serde_json::{Value, json};

use super::{Status, TestClock};
use crate::params::Choice as _;

impl TestClock {
    /// The object `test_helpers.test_clock`.
    #[must_use]
    pub fn wire(&self) -> Value {
        let target = self.target.filter(|_| self.status == Status::Advancing);
        let details = target
            .map_or_else(|| json!({}), |at| json!({ "advancing": { "target_frozen_time": at.0 } }));
        json!({
            "id": self.id.as_str(),
            "object": "test_helpers.test_clock",
            "created": self.created.0,
            "deletes_after": self.deletes_after.0,
            "frozen_time": self.frozen_time.0,
            "livemode": false,
            "name": self.name,
            "status": self.status.as_str(),
            "status_details": details,
        })
    }

    pub(super) fn deleted_wire(&self) -> Value {
        json!({ "id": self.id.as_str(), "object": "test_helpers.test_clock", "deleted": true })
    }
}
