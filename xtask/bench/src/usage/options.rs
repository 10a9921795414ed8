//! What to measure, as the command line says it.

use std::path::PathBuf;

/// How the command line is written.
pub(crate) const USAGE: &str = "\
usage [PART]... [OPTION]... [-- OPTION OF SERVER...]; without a part, all of them
  stream      a burst through /v2/billing/meter_event_stream
  sustained   many more, with what the engine does beside; --direct goes past HTTP
  postgres    a table of events in PostgreSQL, and the ratio of a burst to it
  engine      the engine alone, and raw appends of the same bytes
  fill        make the data directory that the parts below measure
  disk        bytes on disk per event
  memory      memory at the end of the fill
  summary     the hourly summary of a customer with a million events
  restart     from SIGKILL under load to ready
options
  --events N            how many events (stream, engine 5000000; sustained 50000000; fill 100000000)
  --rounds N            how often (5; sustained 1)
  --connections N       of the load (24)
  --in-flight N         batches that wait at once, of the engine's parts (8)
  --batch N             events appended together, of the engine's parts (1000)
  --customers N         (stream 1000; others 100000)
  --large-events N      how many events the fill's large customer has (1000000)
  --spread-days N       the fill's events arrive over so many days (0: all in one hour)
  --data DIR            the directory to fill, or that was filled (.xtask/bench-filled)
  --memory MIB          the engine's setting, of the parts in process
  --tail N              events sent before the last SIGKILL (900000)
  --postgres-events N   rows of a round (500000)
  --postgres-url URL    a server to use; without it one is started
  --direct              see sustained
";

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Stream,
    Sustained,
    Postgres,
    Engine,
    Fill,
    Disk,
    Memory,
    Summary,
    Restart,
}

const PARTS: [(&str, Part); 9] = [
    ("stream", Part::Stream),
    ("postgres", Part::Postgres),
    ("sustained", Part::Sustained),
    ("engine", Part::Engine),
    ("fill", Part::Fill),
    ("memory", Part::Memory),
    ("disk", Part::Disk),
    ("summary", Part::Summary),
    ("restart", Part::Restart),
];

/// What to measure, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) parts: Vec<Part>,
    pub(crate) events: Option<u64>,
    pub(crate) rounds: Option<usize>,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) batch: u64,
    pub(crate) customers: Option<usize>,
    pub(crate) large_events: u64,
    pub(crate) spread_days: u64,
    pub(crate) data: Option<PathBuf>,
    pub(crate) memory_mib: Option<usize>,
    pub(crate) tail: u64,
    pub(crate) postgres_events: u64,
    pub(crate) postgres_url: Option<String>,
    pub(crate) direct: bool,
    /// The server's own.
    pub(crate) server: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parts: PARTS.iter().map(|(_, part)| *part).collect(),
            events: None,
            rounds: None,
            connections: 24,
            in_flight: 8,
            batch: 1_000,
            customers: None,
            large_events: 1_000_000,
            spread_days: 0,
            data: None,
            memory_mib: None,
            tail: 900_000,
            postgres_events: 500_000,
            postgres_url: None,
            direct: false,
            server: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the words after `usage`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut parts = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some((_, part)) = PARTS.iter().find(|(name, _)| name == word) {
                parts.push(*part);
                continue;
            }
            if *word == "--" {
                options.server = words.map(|word| (*word).to_owned()).collect();
                break;
            }
            if *word == "--direct" {
                options.direct = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word}: no such part, or no value\n{USAGE}"))?;
            options.set(word, value)?;
        }
        if !parts.is_empty() {
            options.parts = parts;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        fn number<T: std::str::FromStr + Default + PartialEq>(value: &str) -> Result<T, String> {
            let number = value.replace('_', "").parse().ok().filter(|it| *it != T::default());
            number.ok_or_else(|| format!("`{value}` is no whole number above 0"))
        }
        match name {
            "--events" => self.events = Some(number(value)?),
            "--rounds" => self.rounds = Some(number(value)?),
            "--connections" => self.connections = number(value)?,
            "--in-flight" => self.in_flight = number(value)?,
            "--batch" => self.batch = number(value)?,
            "--customers" => self.customers = Some(number(value)?),
            "--large-events" => self.large_events = number(value)?,
            "--spread-days" => self.spread_days = number(value)?,
            "--data" => self.data = Some(value.into()),
            "--memory" => self.memory_mib = Some(number(value)?),
            "--tail" => self.tail = number(value)?,
            "--postgres-events" => self.postgres_events = number(value)?,
            "--postgres-url" => self.postgres_url = Some(value.to_owned()),
            _ => return Err(format!("{name}: no such option\n{USAGE}")),
        }
        Ok(())
    }

    pub(crate) fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// How long the fill's events take to arrive.
    pub(crate) const fn spread_s(&self) -> u64 {
        self.spread_days * 86_400
    }

    /// How often a part is measured that is repeated.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_options_are_read_in_any_order() {
        let words = ["--events", "5_000", "disk", "--direct", "stream", "--", "--log", "warn"];
        let options = Options::parse(&words).unwrap();
        assert_eq!(options.parts, [Part::Disk, Part::Stream]);
        assert_eq!((options.events, options.direct), (Some(5_000), true));
        assert_eq!(options.server, ["--log", "warn"]);
        assert_eq!(Options::parse(&[]).unwrap(), Options::default());
    }

    #[test]
    fn a_word_too_many_is_named() {
        for words in [["streams"].as_slice(), &["--events"], &["--events", "0"], &["--evens", "7"]]
        {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }
}
