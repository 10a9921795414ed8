//! What time brings, measured: very many subscriptions that renew at the same instant, and a year of
//! one by a test clock.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::client::{Client, json};
use crate::server::{self, Server};
use crate::words::{Asked, Better, grouped, millis, per_second, tenths};
use crate::{api, disk, figures, machine};

/// How the command line is written.
pub(crate) const USAGE: &str = "\
billing [PART]... [OPTION]... [-- OPTION OF SERVER...]; without a part, all of them
  renewals           subscriptions that all renew at the same instant
  year               a year of one subscription by a test clock, with usage and changes of plan
options
  --subscriptions N  how many renew (100000)
  --lead S           seconds from the last customer to the renewal (by the rate of making customers)
";

const INVOICES: Asked = Asked {
    what: "invoices drawn up, finalized and paid in a second",
    better: Better::More,
    required: 1_000,
    goal: 1_000,
    shown: grouped,
    unit: "/s",
};
const YEAR: Asked = Asked {
    what: "a year of a metered and licensed subscription, median",
    better: Better::Less,
    required: 2_000_000,
    goal: 2_000_000,
    shown: millis,
    unit: " ms",
};
/// How many ask at once while things are made.
const CLIENTS: usize = 8;
/// In minor units: no multiple of the usage's amounts.
const SEAT: u64 = 703;
const TOKEN: u64 = 3;
const EVENT_NAME: &str = "tokens";
const YEARS: usize = 5;
const DAY_S: i64 = 86_400;
/// 2026-01-01T00:00:00Z, where the year begins.
const YEAR_BEGINS: i64 = 1_767_225_600;

/// Measures what the words ask for, below `directory`.
pub(crate) fn run(directory: &Path, words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(directory);
    let directory = directory.map_err(failed)?;
    println!("{}", machine::describe(directory.path()));
    println!("load of the last minute before: {}", machine::load());
    let started = Instant::now();
    let mut command = server::product(&directory.path().join("data"), &options.server)?;
    let server = Server::start(&mut command, &directory.path().join("taximeter.log"))?;
    let mut client = Client::connect(server.address)?;
    let prices = Prices::make(&mut client)?;
    if options.year {
        year(&server, &prices)?;
    }
    if options.renewals {
        let disk = disk::measure(directory.path(), Duration::from_secs(1)).map_err(failed)?;
        println!("the disk by itself: {} synced appends/s", grouped(disk.per_second));
        renewals(&server, &prices, &options, disk.per_second)?;
    }
    println!("load of the last minute after: {}", machine::load());
    println!("Took {} s.", started.elapsed().as_secs());
    server.stop()
}

/// What is measured, and how much of it.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    renewals: bool,
    year: bool,
    subscriptions: usize,
    lead_s: Option<i64>,
    server: Vec<String>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            renewals: false,
            year: false,
            subscriptions: 100_000,
            lead_s: None,
            server: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "renewals" => options.renewals = true,
                "year" => options.year = true,
                "--" => {
                    options.server = words.map(|word| (*word).to_owned()).collect();
                    break;
                }
                "--subscriptions" | "--lead" => {
                    let value = words.next().and_then(|value| value.replace('_', "").parse().ok());
                    let value = value.filter(|value: &u32| *value > 0);
                    let value = value.ok_or_else(|| format!("{word}: not a number\n{USAGE}"))?;
                    if *word == "--lead" {
                        options.lead_s = Some(value.into());
                    } else {
                        options.subscriptions =
                            usize::try_from(value).map_err(|e| e.to_string())?;
                    }
                }
                _ => return Err(format!("{word}: no such part\n{USAGE}")),
            }
        }
        if !options.renewals && !options.year {
            (options.renewals, options.year) = (true, true);
        }
        Ok(options)
    }
}

/// What is subscribed to.
struct Prices {
    seat: String,
    larger_seat: String,
    tokens: String,
}

impl Prices {
    fn make(client: &mut Client) -> Result<Self, String> {
        let meter =
            format!("display_name=Tokens&event_name={EVENT_NAME}&default_aggregation[formula]=sum");
        let meter = made(client, "/v1/billing/meters", &meter)?;
        let product = made(client, "/v1/products", "name=Plan")?;
        let mut price = |amount: u64, more: &str| {
            let form = format!(
                "currency=usd&product={product}&unit_amount={amount}&recurring[interval]=month{more}"
            );
            made(client, "/v1/prices", &form)
        };
        Ok(Self {
            seat: price(SEAT, "")?,
            larger_seat: price(2 * SEAT, "")?,
            tokens: price(
                TOKEN,
                &format!("&recurring[usage_type]=metered&recurring[meter]={meter}"),
            )?,
        })
    }
}

fn made(client: &mut Client, path: &str, form: &str) -> Result<String, String> {
    let object = client.post(path, form)?;
    object["id"].as_str().map(str::to_owned).ok_or_else(|| format!("{path}: no id: {object}"))
}

/// How many tokens the customer at a place uses.
fn tokens_of(place: usize) -> u64 {
    u64::try_from(place % 7).unwrap_or(0) + 1
}

/// Makes subscriptions that renew at the same instant, lets it come, and holds every invoice against
/// what it must be.
fn renewals(
    server: &Server,
    prices: &Prices,
    options: &Options,
    synced_appends: u64,
) -> Result<(), String> {
    let count = options.subscriptions;
    let mut client = Client::connect(server.address)?;
    // Straight from the renewal to the payment.
    client.post("/v1/billing/settings", "draft_grace_seconds=0&upcoming_days=0")?;
    let began = Instant::now();
    let customers = side_by_side(server, count, |client, _| {
        let form =
            "payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";
        made(client, "/v1/customers", form)
    })?;
    let took = began.elapsed();
    println!("{} customers made, {}/s", grouped(whole(count)), per_second(whole(count), took));
    // A subscription takes about as long as a customer with a payment method.
    let lead = i64::try_from(took.as_secs() * 2 + 15).map_err(|error| error.to_string())?;
    let at = now_s()? + options.lead_s.unwrap_or(lead);
    let began = Instant::now();
    let subscriptions = side_by_side(server, count, |client, place| {
        let form = format!(
            "customer={}&items[0][price]={}&items[1][price]={}&billing_cycle_anchor={at}\
             &proration_behavior=none",
            customers[place], prices.seat, prices.tokens
        );
        let made = made(client, "/v1/subscriptions", &form)?;
        let event = format!(
            "event_name={EVENT_NAME}&payload[stripe_customer_id]={}&payload[value]={}",
            customers[place],
            tokens_of(place)
        );
        client.post(api::EVENTS, &event).map(|_| made)
    })?;
    let took = began.elapsed();
    println!(
        "{} subscriptions made with an event each, {}/s",
        grouped(whole(count)),
        per_second(whole(count), took)
    );
    let left = at - now_s()?;
    if left <= 0 {
        return Err(format!(
            "they renewed before all were made: use --lead {}",
            took.as_secs() + 30
        ));
    }
    println!("they renew in {left} s");
    wait(Duration::from_secs(u64::try_from(left).unwrap_or(0)));
    let before = server.cpu_us()?;
    until_idle(server)?;
    let cpu_us = server.cpu_us()?.saturating_sub(before);
    // The first connection was idle for too long to be open still.
    let done = check(&mut Client::connect(server.address)?, &subscriptions, at)?;
    // To the end of the second of the last payment.
    let took = Duration::from_secs(u64::try_from(done + 1 - at).unwrap_or(1));
    let rate = per_second(whole(count), took);
    println!(
        "{} subscriptions renewed, each once, and paid, in {} s; server CPU {} us an invoice; \
         {} % of the rate of synced appends",
        grouped(whole(count)),
        took.as_secs(),
        cpu_us / whole(count).max(1),
        tenths(rate * 1_000 / synced_appends.max(1)),
    );
    println!("{}", INVOICES.beside(rate));
    Ok(())
}

/// Does something for so many, on some connections, and returns the outcomes in their order.
fn side_by_side<T: Send>(
    server: &Server,
    count: usize,
    make: impl Fn(&mut Client, usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let part = count.div_ceil(CLIENTS).max(1);
    let made = thread::scope(|scope| {
        let work = |first: usize| {
            let make = &make;
            move || {
                let mut client = Client::connect(server.address)?;
                let places = first..(first + part).min(count);
                places.map(|place| make(&mut client, place)).collect::<Result<Vec<T>, String>>()
            }
        };
        let threads: Vec<_> =
            (0..count).step_by(part).map(|first| scope.spawn(work(first))).collect();
        let outcomes = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err("a connection's thread ended".to_owned()))
        });
        outcomes.collect::<Result<Vec<Vec<T>>, String>>()
    })?;
    Ok(made.into_iter().flatten().collect())
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime to block, and time must pass")]
fn wait(time: Duration) {
    thread::sleep(time);
}

/// Waits until the server has had next to nothing to do for three seconds.
fn until_idle(server: &Server) -> Result<(), String> {
    loop {
        let before = server.cpu_us()?;
        wait(Duration::from_secs(3));
        if server.cpu_us()?.saturating_sub(before) < 100_000 {
            return Ok(());
        }
    }
}

/// Holds all invoices against what they must be: one of each subscription, paid, for the next month's
/// seat and what was used. Returns when the last was paid.
fn check(client: &mut Client, subscriptions: &[String], at: i64) -> Result<i64, String> {
    let places: BTreeMap<&str, usize> =
        subscriptions.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut seen = vec![false; subscriptions.len()];
    let (mut last, mut after) = (at, String::new());
    loop {
        let path = format!("/v1/invoices?limit=100&created[gte]={at}{after}");
        let page = json(client.get(&path)?)?;
        let invoices = page["data"].as_array().ok_or("a list without data")?;
        for invoice in invoices {
            let subscription = &invoice["parent"]["subscription_details"]["subscription"];
            let place = subscription.as_str().and_then(|id| places.get(id));
            let Some(&place) = place else { continue };
            let wanted = SEAT + TOKEN * tokens_of(place);
            if invoice["status"] != "paid" || invoice["amount_paid"] != wanted {
                return Err(format!("{subscription} should have paid {wanted}: {invoice}"));
            }
            if std::mem::replace(&mut seen[place], true) {
                return Err(format!("{subscription} has two invoices"));
            }
            let paid = invoice["status_transitions"]["paid_at"].as_i64();
            last = last.max(paid.ok_or("a paid invoice without `paid_at`")?);
        }
        let next = invoices.last().and_then(|invoice| invoice["id"].as_str());
        match next {
            Some(id) if page["has_more"] == true => after = format!("&starting_after={id}"),
            _ => break,
        }
    }
    match seen.iter().filter(|seen| !**seen).count() {
        0 => Ok(last),
        missing => Err(format!("{missing} subscriptions were not invoiced")),
    }
}

/// Lives a year of one subscription by a test clock, some times, and prints the median.
fn year(server: &Server, prices: &Prices) -> Result<(), String> {
    let mut took = Vec::new();
    for _ in 0..YEARS {
        took.push(figures::micros(live_a_year(server, prices)?));
    }
    println!("years took {} ms", took.iter().map(|us| millis(*us)).collect::<Vec<_>>().join(", "));
    println!("{}", YEAR.beside(figures::median(took)));
    Ok(())
}

/// A month for each step: usage, and every fourth month the other plan. Its invoices must come to what
/// was used and subscribed to.
fn live_a_year(server: &Server, prices: &Prices) -> Result<Duration, String> {
    let mut client = Client::connect(server.address)?;
    let began = Instant::now();
    let clock = format!("frozen_time={YEAR_BEGINS}");
    let clock = made(&mut client, "/v1/test_helpers/test_clocks", &clock)?;
    let form = format!(
        "test_clock={clock}&payment_method=pm_card_visa\
         &invoice_settings[default_payment_method]=pm_card_visa"
    );
    let customer = made(&mut client, "/v1/customers", &form)?;
    let form = format!(
        "customer={customer}&items[0][price]={}&items[1][price]={}",
        prices.seat, prices.tokens
    );
    let subscription = client.post("/v1/subscriptions", &form)?;
    let id = subscription["id"].as_str().ok_or("no subscription")?.to_owned();
    let seat = subscription["items"]["data"][0]["id"].as_str().ok_or("no item")?.to_owned();
    // The first month is paid when it begins.
    let (mut wanted, mut plan) = (SEAT, SEAT);
    for month in 1..=12_u64 {
        let used = month * 13;
        let event = format!(
            "event_name={EVENT_NAME}&payload[stripe_customer_id]={customer}&payload[value]={used}"
        );
        client.post(api::EVENTS, &event)?;
        if month % 4 == 0 {
            let other = if plan == SEAT { &prices.larger_seat } else { &prices.seat };
            plan = if plan == SEAT { 2 * SEAT } else { SEAT };
            let form =
                format!("items[0][id]={seat}&items[0][price]={other}&proration_behavior=none");
            client.post(&format!("/v1/subscriptions/{id}"), &form)?;
        }
        wanted += used * TOKEN + plan;
        advance(&mut client, &clock, month)?;
    }
    let took = began.elapsed();
    let path = format!("/v1/invoices?limit=100&subscription={id}");
    let invoices = json(client.get(&path)?)?;
    let invoices = invoices["data"].as_array().ok_or("a list without data")?;
    let paid = invoices.iter().map(|invoice| invoice["amount_paid"].as_u64().unwrap_or(0));
    let paid: u64 = paid.sum();
    if (invoices.len(), paid) != (13, wanted) {
        let count = invoices.len();
        return Err(format!("a year came to {paid} on {count} invoices, not to {wanted} on 13"));
    }
    Ok(took)
}

/// Moves a clock to two hours after so many months, when the draft of the renewal is over, and waits.
fn advance(client: &mut Client, clock: &str, months: u64) -> Result<(), String> {
    let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31_i64];
    let months = usize::try_from(months).map_err(|error| error.to_string())?;
    let days: i64 = days.iter().take(months).sum();
    let to = YEAR_BEGINS + days * DAY_S + 7_200;
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    client.post(&format!("{path}/advance"), &format!("frozen_time={to}"))?;
    loop {
        let state: Value = json(client.get(&path)?)?;
        match state["status"].as_str() {
            Some("ready") => return Ok(()),
            Some("advancing") => {}
            _ => return Err(format!("the clock failed: {state}")),
        }
    }
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "renewals are due by the time of the world")]
fn now_s() -> Result<i64, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    i64::try_from(since.as_secs()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_part_all_is_measured() {
        let options = Options::parse(&["--subscriptions", "1_000"]).unwrap();
        assert_eq!((options.renewals, options.year, options.subscriptions), (true, true, 1_000));
        let options = Options::parse(&["year", "--", "--log", "warn"]).unwrap();
        assert_eq!((options.renewals, options.year), (false, true));
        assert_eq!(options.server, ["--log", "warn"]);
        assert!(Options::parse(&["--lead"]).is_err());
        assert!(Options::parse(&["days"]).is_err());
    }
}
