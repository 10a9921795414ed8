//! meter_events
