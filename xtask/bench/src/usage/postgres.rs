//! What others do: a row for each event, in a table of PostgreSQL with nine indexes.
//!
//! The table is ours, in the shape that billing systems keep events in: the client's identifier is
//! unique, and lists, aggregates and deletions each have an index. All that does not matter is in its
//! favour: it is emptied before each round, its statement is prepared, rows come as bytes that were
//! made beforehand and in the order of identifiers, so that no two transactions wait for each other.

use std::thread;
use std::time::Instant;

use taximeter_kernel::time::Timestamp;

use super::quiet::Watch;
use super::wire::{Place, Session, Type, call};
use super::workload::{METERS, MODELS, REGIONS, Workload};
use crate::figures::{Figures, micros};
use crate::words::{grouped, per_second};

const CONNECTIONS: u64 = 4;
const ROWS_PER_INSERT: u64 = 100;
const CUSTOMERS: usize = 1_000;
const TABLE: &str = "
DROP TABLE IF EXISTS events;
CREATE TABLE events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization text NOT NULL,
    identifier text NOT NULL,
    customer text NOT NULL,
    code text NOT NULL,
    happened_at timestamptz NOT NULL,
    value numeric NOT NULL,
    properties jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX ON events (organization, customer, identifier);
CREATE INDEX ON events (organization, code);
CREATE INDEX ON events (organization, happened_at);
CREATE INDEX ON events (customer);
CREATE INDEX ON events (organization, customer, code, happened_at);
CREATE INDEX ON events (customer, happened_at);
CREATE INDEX ON events (created_at);
CREATE INDEX ON events (happened_at);
";
const COLUMNS: [Type; 7] =
    [Type::Text, Type::Text, Type::Text, Type::Text, Type::TimestampTz, Type::Numeric, Type::Jsonb];
const SETTINGS: &str = "SELECT name, current_setting(name) FROM pg_settings WHERE name IN \
    ('server_version', 'fsync', 'synchronous_commit', 'shared_buffers', 'max_wal_size', \
    'full_page_writes') ORDER BY name";

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) per_second: u64,
    /// Of a batch.
    pub(crate) p50_us: u64,
    /// Of the server's processes, per row, in tenths of a microsecond.
    pub(crate) cpu_tenth_us: u64,
    pub(crate) others_percent: u64,
}

/// A server, and what is inserted there.
#[derive(Debug)]
pub(crate) struct Peer {
    place: Place,
    /// The calls of each connection.
    calls: Vec<Vec<Vec<u8>>>,
    rows: u64,
    new: u64,
    sum: u64,
}

impl Peer {
    /// Connects and makes the calls.
    pub(crate) fn prepare(url: &str, rows: u64) -> Result<Self, String> {
        let place = Place::parse(url)?;
        let settings = Session::open(&place)?.query(SETTINGS)?;
        let settings: Vec<String> = settings.iter().map(|row| row.join(" ")).collect();
        println!(
            "PostgreSQL: {} rows a round, {ROWS_PER_INSERT} an INSERT and transaction, \
             {CONNECTIONS} connections; {}",
            grouped(rows),
            settings.join(", ")
        );
        let workload = Workload {
            seed: 13,
            customers: CUSTOMERS,
            now_s: super::now_s()?,
            spread_s: 0,
            events: rows,
            large_each: 0,
        };
        let mut calls = vec![Vec::new(); usize::try_from(CONNECTIONS).unwrap_or(1)];
        let (mut first, mut sum) = (0, 0);
        while first < rows {
            let end = (first + ROWS_PER_INSERT).min(rows);
            let connection = usize::try_from(first / ROWS_PER_INSERT % CONNECTIONS).unwrap_or(0);
            calls[connection].push(insert(&workload, first, end));
            first = end;
        }
        for number in (0..rows).filter(|number| workload.is_new(*number)) {
            sum += u64::try_from(workload.draw(number).value).unwrap_or(0);
        }
        Ok(Self { place, calls, rows, new: workload.count_new(0, rows), sum })
    }

    /// Inserts all rows into an empty table, and holds their number and sum against what was sent.
    pub(crate) fn round(&self) -> Result<Round, String> {
        let mut session = Session::open(&self.place)?;
        session.query(TABLE)?;
        session.query("CHECKPOINT")?;
        let mut sessions = Vec::new();
        for calls in &self.calls {
            let mut session = Session::open(&self.place)?;
            session.prepare(&statement(ROWS_PER_INSERT), &types(ROWS_PER_INSERT))?;
            sessions.push((session, calls));
        }
        let watch = Watch::start(processes(&session)?)?;
        let started = Instant::now();
        // The sessions outlive the watch: of a process that has ended nobody says what it used.
        let latencies_us = thread::scope(|scope| {
            let threads: Vec<_> = sessions
                .iter_mut()
                .map(|(session, calls)| scope.spawn(move || insert_all(session, calls)))
                .collect();
            let mut latencies_us = Vec::new();
            for thread in threads {
                let latencies = thread.join().map_err(|_| "a connection's thread panicked")?;
                latencies_us.extend(latencies?);
            }
            Ok::<_, String>(latencies_us)
        })?;
        let took = started.elapsed();
        let used = watch.stop()?;
        let counted = session.query("SELECT count(*)::text, sum(value)::text FROM events")?;
        let expected = vec![vec![self.new.to_string(), self.sum.to_string()]];
        if counted != expected {
            return Err(format!("PostgreSQL counted {counted:?}, not {expected:?}"));
        }
        let p50_us = Figures::of(latencies_us, took).p50_us;
        let per_second = per_second(self.rows, took);
        let cpu_tenth_us = used.measured_us * 10 / self.rows.max(1);
        Ok(Round { per_second, p50_us, cpu_tenth_us, others_percent: used.others_percent })
    }
}

fn insert_all(session: &mut Session, calls: &[Vec<u8>]) -> Result<Vec<u64>, String> {
    let mut latencies_us = Vec::with_capacity(calls.len());
    for call in calls {
        let before = Instant::now();
        session.run(call)?;
        latencies_us.push(micros(before.elapsed()));
    }
    Ok(latencies_us)
}

fn types(rows: u64) -> Vec<Type> {
    (0..rows).flat_map(|_| COLUMNS).collect()
}

fn statement(rows: u64) -> String {
    let width = COLUMNS.len();
    let row = |row: usize| {
        let places: Vec<String> =
            (1..=width).map(|column| format!("${}", row * width + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..usize::try_from(rows).unwrap_or(0)).map(row).collect();
    format!(
        "INSERT INTO events (organization, identifier, customer, code, happened_at, value, \
         properties) VALUES {} ON CONFLICT DO NOTHING",
        rows.join(", ")
    )
}

/// A call that inserts events; the last one is repeated where there are too few.
fn insert(workload: &Workload, first: u64, end: u64) -> Vec<u8> {
    let last = end.saturating_sub(1);
    let mut rows: Vec<[String; 7]> =
        (first..first + ROWS_PER_INSERT).map(|it| row(workload, it.min(last))).collect();
    rows.sort_by(|one, other| one[1].cmp(&other[1]));
    let parameters: Vec<&str> = rows.iter().flatten().map(String::as_str).collect();
    call(&parameters)
}

fn row(workload: &Workload, number: u64) -> [String; 7] {
    let ready = workload.ready(number);
    let draw = ready.draw;
    let (region, model) = (REGIONS[draw.region], MODELS[draw.model]);
    [
        "org_bench".to_owned(),
        String::from_utf8_lossy(&ready.identifier).into_owned(),
        format!("cus_bench{:09}", draw.customer),
        format!("bench_usage_{}", draw.meter % METERS),
        Timestamp(draw.timestamp_s).to_rfc3339(),
        draw.value.to_string(),
        format!(r#"{{"value":"{}","region":"{region}","model":"{model}"}}"#, draw.value),
    ]
}

/// All processes of the server, so that they are not taken for others'.
fn processes(session: &Session) -> Result<Vec<String>, String> {
    let parent = crate::machine::parent(&session.process.to_string())?;
    let mut processes = crate::machine::children(&parent)?;
    processes.push(parent);
    Ok(processes)
}
