//! The whole measurement: in turn, so that what disturbs one disturbs all.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::figures::{Figures, median, micros};
use crate::load::{Keyed, Load};
use crate::server::{self, Server};
use crate::{api, disk, load, machine};

/// How often everything is measured.
const ROUNDS: usize = 5;
const CONNECTIONS: [usize; 3] = [1, 16, 128];
/// How long one measurement takes, without its warm-up.
const DURATION: Duration = Duration::from_secs(3);
const DISK_DURATION: Duration = Duration::from_secs(1);
const CUSTOMERS: usize = 100;
/// Beyond this share of the machine's processor time for other processes, a measurement says as
/// much about them, and is repeated.
const OTHERS_PERCENT_MAX: u64 = 5;
/// So many repetitions in all: with them everything takes less than four minutes.
const REPETITIONS_MAX: usize = 20;

/// What is put under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// Reads the body and answers a text.
    Bare,
    /// Parses the form and answers what Taximeter does.
    Parsing,
    Taximeter(Keyed),
}

/// The two floors first: the others are compared with them.
const SUBJECTS: [Subject; 4] = [
    Subject::Bare,
    Subject::Parsing,
    Subject::Taximeter(Keyed::No),
    Subject::Taximeter(Keyed::Yes),
];

impl Subject {
    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum",
            Self::Parsing => "bare axum, parsing",
            Self::Taximeter(Keyed::No) => "Taximeter",
            Self::Taximeter(Keyed::Yes) => "Taximeter, Idempotency-Key",
        }
    }
}

/// One measurement of one subject.
#[derive(Debug, Clone, Copy)]
struct Sample {
    figures: Figures,
    /// Processor time of the server per request, in tenths of a microsecond.
    cpu_tenth_us: u64,
    /// What part of the machine's processor time went to processes that are not measured.
    others_percent: u64,
}

/// Processor time since the start of the server, of the load, and of the machine.
struct Usage {
    server_us: u64,
    load_us: u64,
    all_us: u64,
}

/// Everything that runs while it is measured.
struct Bench {
    bare: Server,
    parsing: Server,
    taximeter: Server,
    meter: String,
    customers: Arc<[String]>,
    /// How many events were sent of each customer.
    sent: Vec<u64>,
    repetitions: usize,
    runtime: tokio::runtime::Runtime,
}

/// Measures the server that lies beside this program. It is given `options` besides its own, and a
/// data directory below `directory`.
pub(crate) fn run(directory: &Path, options: &[&str]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(directory);
    let directory = directory.map_err(failed)?;
    let started = Instant::now();
    println!("{}", machine::describe(directory.path()));
    println!("load of the last minute before: {}", machine::load());
    let mut bench = Bench::start(directory.path(), options)?;
    let (mut disks, mut samples) = (Vec::new(), vec![Vec::new(); CONNECTIONS.len()]);
    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}");
        disks.push(disk::measure(directory.path(), DISK_DURATION).map_err(failed)?);
        for (connections, samples) in CONNECTIONS.into_iter().zip(&mut samples) {
            let mut row = Vec::new();
            for subject in SUBJECTS {
                row.push(bench.measure_in_quiet(subject, connections)?);
            }
            samples.push(row);
        }
    }
    println!("load of the last minute after: {}\n", machine::load());
    print(&samples, &disks);
    let all = || samples.iter().flatten().flatten();
    println!(
        "{} of {} measurements were repeated, because other processes had more than \
         {OTHERS_PERCENT_MAX} % of the machine; of those kept, {} were disturbed so, at most by {} %.",
        bench.repetitions,
        all().count() + bench.repetitions,
        all().filter(|sample| sample.others_percent > OTHERS_PERCENT_MAX).count(),
        all().map(|sample| sample.others_percent).max().unwrap_or(0),
    );
    bench.finish()?;
    println!("Took {} s.", started.elapsed().as_secs());
    Ok(())
}

impl Bench {
    fn start(directory: &Path, options: &[&str]) -> Result<Self, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let mut command = server::product(&directory.join("data"), &options)?;
        let taximeter = Server::start(&mut command, &directory.join("taximeter.log"))?;
        let (meter, customers) = api::prepare(taximeter.address, CUSTOMERS)?;
        let bytes = api::answer_bytes(taximeter.address, &customers[0])?;
        let mut sent = vec![0; customers.len()];
        sent[0] = 1;
        let mut command = Command::new(&this);
        command.arg("bare").arg(bytes.to_string());
        let bare = Server::start(&mut command, &directory.join("bare.log"))?;
        let mut command = Command::new(this);
        let parsing = Server::start(command.arg("parsing"), &directory.join("parsing.log"))?;
        // What it answers must be as long as the real answer, or it is no measure.
        let parsed = api::answer_bytes(parsing.address, &customers[0])?;
        if parsed != bytes {
            return Err(format!("the bare server answers {parsed} bytes and Taximeter {bytes}"));
        }
        // One thread for the load: the servers need the rest.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok(Self {
            bare,
            parsing,
            taximeter,
            meter,
            customers: customers.into(),
            sent,
            repetitions: 0,
            runtime,
        })
    }

    /// Measures, again if others took too much of the machine.
    fn measure_in_quiet(&mut self, subject: Subject, connections: usize) -> Result<Sample, String> {
        loop {
            let sample = self.measure(subject, connections)?;
            if sample.others_percent <= OTHERS_PERCENT_MAX || self.repetitions == REPETITIONS_MAX {
                return Ok(sample);
            }
            self.repetitions += 1;
        }
    }

    fn measure(&mut self, subject: Subject, connections: usize) -> Result<Sample, String> {
        let keyed = match subject {
            Subject::Bare | Subject::Parsing => Keyed::No,
            Subject::Taximeter(keyed) => keyed,
        };
        let load = Load {
            address: self.server(subject).address,
            connections,
            duration: DURATION,
            keyed,
            customers: Arc::clone(&self.customers),
        };
        let (before, started) = (self.usage(subject)?, Instant::now());
        let outcome = self.runtime.block_on(load::run(&load));
        let outcome = outcome.map_err(|error| format!("{}: {error}", subject.name()))?;
        let (after, took) = (self.usage(subject)?, started.elapsed());
        let cpu_us = after.server_us.saturating_sub(before.server_us);
        let all_us = after.all_us.saturating_sub(before.all_us);
        let others_us = all_us.saturating_sub(cpu_us + after.load_us - before.load_us);
        let cores = std::thread::available_parallelism()
            .map_or(1, |it| u64::try_from(it.get()).unwrap_or(1));
        // The processor time of the warm-up is in it, so its requests are too.
        let requests: u64 = outcome.sent.iter().sum();
        if let Subject::Taximeter(_) = subject {
            for (sum, count) in self.sent.iter_mut().zip(&outcome.sent) {
                *sum += count;
            }
        }
        Ok(Sample {
            figures: outcome.figures,
            cpu_tenth_us: cpu_us * 10 / requests.max(1),
            others_percent: others_us * 100 / (micros(took) * cores).max(1),
        })
    }

    /// The processor time used so far.
    fn usage(&self, subject: Subject) -> Result<Usage, String> {
        Ok(Usage {
            server_us: self.server(subject).cpu_us()?,
            load_us: machine::cpu_us("self")?,
            all_us: machine::all_cpu_us()?,
        })
    }

    const fn server(&self, subject: Subject) -> &Server {
        match subject {
            Subject::Bare => &self.bare,
            Subject::Parsing => &self.parsing,
            Subject::Taximeter(_) => &self.taximeter,
        }
    }

    /// Holds the totals against what was sent, and stops the server.
    fn finish(self) -> Result<(), String> {
        for (customer, sent) in self.customers.iter().zip(&self.sent) {
            let total = api::total(self.taximeter.address, &self.meter, customer)?;
            let expected = sent * api::VALUE;
            if total != expected {
                return Err(format!("{customer} used {expected}, and {total} was counted"));
            }
        }
        let sent: u64 = self.sent.iter().sum();
        println!("All answers were 200, and the totals are those of the {sent} events sent.");
        self.taximeter.stop()
    }
}

fn print(samples: &[Vec<Vec<Sample>>], disks: &[Figures]) {
    println!(
        "| connections | server | requests/s | lowest to highest | p50 µs | p99 µs | server CPU \
         µs/request | of bare | of bare, parsing |\n|--:|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for (connections, rounds) in CONNECTIONS.iter().zip(samples) {
        for (place, subject) in SUBJECTS.into_iter().enumerate() {
            let of = |value: fn(&Sample) -> u64| rounds.iter().map(move |row| value(&row[place]));
            let rates = || of(|sample| sample.figures.per_second);
            let cpu_tenth_us = median(of(|sample| sample.cpu_tenth_us));
            // In one round both were disturbed alike, so it is the ratios that are comparable.
            let per_mille = |floor: usize| {
                median(rounds.iter().map(|row| {
                    row[place].figures.per_second * 1_000 / row[floor].figures.per_second.max(1)
                }))
            };
            let (of_bare, of_parsing) = (per_mille(0), per_mille(1));
            println!(
                "| {connections} | {} | {} | {} to {} | {} | {} | {}.{} | {}.{} % | {}.{} % |",
                subject.name(),
                median(rates()),
                rates().min().unwrap_or(0),
                rates().max().unwrap_or(0),
                median(of(|sample| sample.figures.p50_us)),
                median(of(|sample| sample.figures.p99_us)),
                cpu_tenth_us / 10,
                cpu_tenth_us % 10,
                of_bare / 10,
                of_bare % 10,
                of_parsing / 10,
                of_parsing % 10,
            );
        }
    }
    let of = |value: fn(&Figures) -> u64| disks.iter().map(value);
    println!(
        "\nThe disk by itself, appends of {} bytes with fdatasync after each: {}/s ({} to {}), \
         p50 {} µs, p99 {} µs\nMedians of {ROUNDS} rounds; {} s each, one event per request.",
        disk::APPEND_BYTES,
        median(of(|it| it.per_second)),
        of(|it| it.per_second).min().unwrap_or(0),
        of(|it| it.per_second).max().unwrap_or(0),
        median(of(|it| it.p50_us)),
        median(of(|it| it.p99_us)),
        DURATION.as_secs(),
    );
}
