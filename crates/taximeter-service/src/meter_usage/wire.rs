//! Meter usage as clients see it.

use serde_json::{Value, json};

use super::Told;
use crate::ctx::Ctx;
use crate::number::json_number;
use crate::page::List;

/// The object `billing.analytics.meter_usage`, of Stripe's public preview.
pub(super) fn usage(ctx: &Ctx, rows: Vec<Told>) -> Value {
    let livemode = ctx.scope().mode.is_live();
    let list = List {
        url: "/v1/billing/analytics/meter_usage".to_owned(),
        has_more: false,
        data: rows.into_iter().map(row).collect(),
    };
    json!({
        "object": "billing.analytics.meter_usage",
        "livemode": livemode,
        // Every event that was acknowledged is in it.
        "refreshed_at": ctx.now.0,
        "rows": Value::from(list),
    })
}

fn row(told: Told) -> Value {
    let Told { row, name, meter, dimensions } = told;
    let mut object = json!({
        "id": format!("mtrusgrow_{name}"),
        "object": "billing.analytics.meter_usage_row",
        "dimensions": dimensions,
        "ends_at": row.period.end.0,
        "meter": meter,
        "starts_at": row.period.start.0,
        "value": json_number(row.usage.quantity),
    });
    if row.usage.approximate {
        object["approximate"] = true.into();
    }
    object
}
