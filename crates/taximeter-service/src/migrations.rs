//! The schema, as the steps that build it. A step that has been released is never edited.

use taximeter_db::Migration;

/// Every step, oldest first.
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_accounts", sql: include_str!("../migrations/0001_accounts.sql") },
    Migration { name: "0002_requests", sql: include_str!("../migrations/0002_requests.sql") },
    Migration { name: "0003_catalog", sql: include_str!("../migrations/0003_catalog.sql") },
    Migration { name: "0004_customers", sql: include_str!("../migrations/0004_customers.sql") },
    Migration {
        name: "0005_subscriptions",
        sql: include_str!("../migrations/0005_subscriptions.sql"),
    },
    Migration { name: "0006_invoices", sql: include_str!("../migrations/0006_invoices.sql") },
    Migration { name: "0007_meters", sql: include_str!("../migrations/0007_meters.sql") },
    Migration {
        name: "0008_meter_errors",
        sql: include_str!("../migrations/0008_meter_errors.sql"),
    },
    Migration { name: "0009_corrections", sql: include_str!("../migrations/0009_corrections.sql") },
    Migration { name: "0010_billing", sql: include_str!("../migrations/0010_billing.sql") },
    Migration { name: "0011_payments", sql: include_str!("../migrations/0011_payments.sql") },
    Migration { name: "0012_discounts", sql: include_str!("../migrations/0012_discounts.sql") },
    Migration { name: "0013_webhooks", sql: include_str!("../migrations/0013_webhooks.sql") },
    Migration { name: "0014_schedules", sql: include_str!("../migrations/0014_schedules.sql") },
    Migration {
        name: "0015_test_clock_times",
        sql: include_str!("../migrations/0015_test_clock_times.sql"),
    },
];
