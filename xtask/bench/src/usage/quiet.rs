//! What processor time was used, and how much of it by others.

use std::time::Instant;

use crate::figures::micros;
use crate::machine;

/// Beyond this share of the machine for other processes, a round says as much about them, and is
/// repeated.
pub(crate) const OTHERS_PERCENT_MAX: u64 = 5;

/// A measurement that has begun.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    measured_us: u64,
    load_us: u64,
    all_us: u64,
    processes: Vec<String>,
}

/// What was used in the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    /// By what is measured.
    pub(crate) measured_us: u64,
    /// By this process.
    pub(crate) load_us: u64,
    /// The share of the machine that others had.
    pub(crate) others_percent: u64,
}

impl Watch {
    /// From now on; `processes` are what is measured besides this one.
    pub(crate) fn start(processes: Vec<String>) -> Result<Self, String> {
        Ok(Self {
            started: Instant::now(),
            measured_us: sum(&processes),
            load_us: machine::cpu_us("self")?,
            all_us: machine::all_cpu_us()?,
            processes,
        })
    }

    pub(crate) fn stop(self) -> Result<Used, String> {
        let wall_us = micros(self.started.elapsed()) * machine::cores();
        let measured_us = sum(&self.processes).saturating_sub(self.measured_us);
        let load_us = machine::cpu_us("self")?.saturating_sub(self.load_us);
        let all_us = machine::all_cpu_us()?.saturating_sub(self.all_us);
        let others_us = all_us.saturating_sub(measured_us + load_us);
        Ok(Used { measured_us, load_us, others_percent: others_us * 100 / wall_us.max(1) })
    }
}

/// One that has ended in the meantime says nothing any more.
fn sum(processes: &[String]) -> u64 {
    processes.iter().filter_map(|process| machine::cpu_us(process).ok()).sum()
}

/// Measures so many rounds, and again those in which others had too much: as often once more in all.
pub(crate) fn rounds<T>(
    rounds: usize,
    mut measure: impl FnMut(usize) -> Result<T, String>,
    others_percent: impl Fn(&T) -> u64,
) -> Result<Vec<T>, String> {
    let (mut kept, mut repeated) = (Vec::new(), 0);
    while kept.len() < rounds {
        let measured = measure(kept.len() + 1)?;
        if others_percent(&measured) > OTHERS_PERCENT_MAX && repeated < rounds {
            repeated += 1;
            println!("  other processes had {} %: again", others_percent(&measured));
        } else {
            kept.push(measured);
        }
    }
    let disturbed = kept.iter().filter(|it| others_percent(it) > OTHERS_PERCENT_MAX).count();
    println!(
        "medians of {rounds} rounds; {repeated} were repeated because other processes had more \
         than {OTHERS_PERCENT_MAX} % of the machine; of those kept, {disturbed} were disturbed so, \
         at most by {} %",
        kept.iter().map(others_percent).max().unwrap_or(0),
    );
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_is_repeated_but_not_for_ever() {
        let mut shares = [7, 3, 13, 5, 101, 99].into_iter();
        let kept = rounds(3, |_| shares.next().ok_or_else(String::new), |share| *share);
        assert_eq!(kept, Ok(vec![3, 5, 99]));
    }
}
