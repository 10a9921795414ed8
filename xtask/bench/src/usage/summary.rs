//! The hourly summary of a month, of a customer with very many events among very many more.

use std::path::Path;
use std::time::Instant;

use taximeter_kernel::aggregate::Usage;
use taximeter_kernel::time::{HOUR_S, Timestamp};
use taximeter_usage::{Engine, Series, UsageQuery};

use super::cast::{AGGREGATION, made_up_customers};
use super::fill::Filled;
use super::options::Options;
use super::quiet::{OTHERS_PERCENT_MAX, Watch};
use super::workload::Workload;
use super::{settings, sizes};
use crate::client::{Client, json};
use crate::figures::{Figures, median, micros};
use crate::words::{Asked, Better, grouped, millis};

/// A month.
const HOURS: i64 = 720;
const WARM_QUERIES: u64 = 2_000;
const COLD_QUERIES: usize = 5;
const HTTP_SUMMARIES: usize = 300;
/// Stripe's bound on a page.
const PAGE_ROWS: usize = 100;

const SUMMARY: Asked = Asked {
    what: "30-day hourly summary of the large customer, p99 in the engine, warm",
    better: Better::Less,
    required: 2_000,
    goal: 500,
    shown: millis,
    unit: " ms",
};

/// Measures in process, then over HTTP.
pub(crate) fn measure(directory: &Path, options: &Options) -> Result<(), String> {
    let filled = Filled::load(directory, options)?;
    let boundaries = boundaries(filled.now_s);
    let (large_events, large_sum) = filled.large;
    println!(
        "summary: 720 hours of a customer with {} events among {}",
        grouped(large_events),
        grouped(filled.events)
    );
    let large = series(&filled, 0, 0)?;
    let mut cold = Vec::new();
    for _ in 0..COLD_QUERIES {
        let usage = filled.home.usage();
        sizes::forget(&usage)?;
        let opening = Instant::now();
        let engine = Engine::open(&usage, settings(options)).map_err(|it| it.to_string())?;
        let opened_us = micros(opening.elapsed());
        // What the opening read is in the cache again.
        sizes::forget(&usage)?;
        let (us, sum) = ask(&engine, &large, &boundaries)?;
        engine.close();
        check(sum, large_sum)?;
        cold.push((opened_us, us));
    }
    println!(
        "  cold (files out of the system's cache, engine just opened): {} ms, at most {} ms; opening \
         took {} ms",
        millis(median(cold.iter().map(|it| it.1))),
        millis(cold.iter().map(|it| it.1).max().unwrap_or(0)),
        millis(median(cold.iter().map(|it| it.0))),
    );
    let engine =
        Engine::open(&filled.home.usage(), settings(options)).map_err(|it| it.to_string())?;
    let watch = Watch::start(Vec::new())?;
    let warm = figures(WARM_QUERIES, |_| ask(&engine, &large, &boundaries).map(|it| it.0))?;
    let of_many = of_many(&engine, &filled, &boundaries)?;
    let used = watch.stop()?;
    engine.close();
    println!(
        "  {} other series, each for the first time: p50 {} ms, p99 {} ms",
        grouped(of_many.count),
        millis(of_many.p50_us),
        millis(of_many.p99_us)
    );
    println!(
        "  the large customer, {} times: p50 {} ms, p99 {} ms; others had {} % of the machine{}",
        grouped(warm.count),
        millis(warm.p50_us),
        millis(warm.p99_us),
        used.others_percent,
        if used.others_percent > OTHERS_PERCENT_MAX { ": DISTURBED" } else { "" },
    );
    println!("{}", SUMMARY.beside(warm.p99_us));
    over_http(&filled, &boundaries)
}

/// Summaries of other customers, as they come in the workload: each is asked for once.
fn of_many(engine: &Engine, filled: &Filled, boundaries: &[Timestamp]) -> Result<Figures, String> {
    let workload = Workload {
        seed: filled.seed,
        customers: filled.customers,
        now_s: filled.now_s,
        spread_s: 0,
        events: filled.events,
        large_each: 2,
    };
    figures(WARM_QUERIES, |number| {
        let draw = workload.draw(2 * number + 1);
        let query = series(filled, draw.meter, draw.customer)?;
        ask(engine, &query, boundaries).map(|it| it.0)
    })
}

fn figures(count: u64, mut ask: impl FnMut(u64) -> Result<u64, String>) -> Result<Figures, String> {
    let started = Instant::now();
    let latencies_us = (0..count).map(&mut ask).collect::<Result<Vec<_>, _>>()?;
    Ok(Figures::of(latencies_us, started.elapsed()))
}

/// The ends of the 720 hours, the last of which is that of `now_s`.
fn boundaries(now_s: i64) -> Vec<Timestamp> {
    let end = now_s - now_s.rem_euclid(HOUR_S) + HOUR_S;
    (0..=HOURS).map(|hour| Timestamp(end - (HOURS - hour) * HOUR_S)).collect()
}

fn series(filled: &Filled, meter: usize, customer: usize) -> Result<UsageQuery, String> {
    let customer = match filled.known.get(customer) {
        Some(known) => known.clone(),
        None => made_up_customers(customer, customer + 1)?.swap_remove(0),
    };
    let (scope, meter) = (filled.scope.clone(), filled.meters[meter].clone());
    Ok(UsageQuery::of(Series { scope, meter, customer }, AGGREGATION))
}

/// How long it took, in microseconds, and what the hours add up to.
fn ask(
    engine: &Engine,
    query: &UsageQuery,
    boundaries: &[Timestamp],
) -> Result<(u64, u64), String> {
    let before = Instant::now();
    let groups = engine.usage(query, boundaries).map_err(|error| error.to_string())?;
    let us = micros(before.elapsed());
    let hours = groups.first().map_or(&[][..], |group| group.usage.as_slice());
    let whole = |hour: &Usage| u64::try_from(hour.quantity.whole()).unwrap_or(0);
    Ok((us, hours.iter().map(whole).sum()))
}

fn check(sum: u64, expected: u64) -> Result<(), String> {
    if sum == expected {
        return Ok(());
    }
    Err(format!("the hours add up to {sum}, not to {expected}"))
}

/// The same through the API: a summary is eight pages.
fn over_http(filled: &Filled, boundaries: &[Timestamp]) -> Result<(), String> {
    let server = filled.home.start()?;
    let mut client = Client::connect(server.address)?;
    let (meter, customer) = (&filled.meters[0], &filled.known[0]);
    let [start, end] = [boundaries.first(), boundaries.last()].map(|it| it.map_or(0, |at| at.0));
    let first = format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
         &end_time={end}&value_grouping_window=hour&limit={PAGE_ROWS}"
    );
    let (mut pages_us, mut summaries_us, mut first_us) = (Vec::new(), Vec::new(), 0);
    for place in 0..HTTP_SUMMARIES {
        let (pages, sum) = summary(&mut client, &first)?;
        check(sum, filled.large.1)?;
        summaries_us.push(pages.iter().sum());
        if place == 0 {
            first_us = pages.iter().sum();
        }
        pages_us.extend(pages);
    }
    let pages = Figures::of(pages_us, Default::default());
    let summaries = Figures::of(summaries_us, Default::default());
    println!(
        "  over HTTP, at the client, {} pages of {PAGE_ROWS} rows: p50 {} ms, p99 {} ms a page; p50 \
         {} ms, p99 {} ms the whole month; the first month after the start {} ms",
        grouped(pages.count),
        millis(pages.p50_us),
        millis(pages.p99_us),
        millis(summaries.p50_us),
        millis(summaries.p99_us),
        millis(first_us),
    );
    drop(client);
    server.stop()
}

/// How long each page took, and what all rows add up to.
fn summary(client: &mut Client, first: &str) -> Result<(Vec<u64>, u64), String> {
    let (mut pages_us, mut sum, mut path) = (Vec::new(), 0, first.to_owned());
    loop {
        let before = Instant::now();
        let answer = client.get(&path)?;
        pages_us.push(micros(before.elapsed()));
        let page = json(answer)?;
        let rows = page["data"].as_array().map_or(&[][..], Vec::as_slice);
        for row in rows {
            let value = &row["aggregated_value"];
            sum += value.as_u64().ok_or_else(|| format!("no whole value: {row}"))?;
        }
        if page["has_more"] != true {
            return Ok((pages_us, sum));
        }
        let last = rows.last().and_then(|row| row["id"].as_str()).ok_or("a row without an id")?;
        path = format!("{first}&starting_after={last}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_with_the_hour_that_runs() {
        let hours = boundaries(1_800_000_007);
        assert_eq!((hours.len(), hours[720].0), (721, 1_800_003_600));
        assert_eq!(hours[720].0 - hours[0].0, 30 * 86_400);
        assert_eq!(boundaries(1_800_000_000 - 1)[720].0, 1_800_000_000);
    }
}
