//! The settings of the usage engine.

use taximeter_usage::Options;

use super::{Environment, Given, duration_s, given};
use crate::cli::{ServeFlags, UsageFlags};
use crate::failure::Failure;
use crate::terminal::bytes_shown;

const MIB: u64 = 1_024 * 1_024;
/// What waits to be committed may take half of it.
const MEMORY_BYTES_MIN: u64 = 128 * MIB;
/// More than any machine has, so it is a slip.
const MEMORY_BYTES_MAX: u64 = 1_024 * 1_024 * MIB;
/// For so long it is promised that an identifier is counted once, and an event may be late.
const RETENTION_S_MIN: i64 = 35 * 86_400;
/// The set of combinations that a customer has is looked at as a whole.
const SERIES_MAX_MAX: usize = 100_000;

/// How the usage engine is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Sizes and bounds.
    pub(crate) options: Options,
    /// How long events are kept, in seconds, when not for ever.
    pub(crate) retention_s: Option<i64>,
}

/// How the usage engine of a server is run.
///
/// # Errors
/// A failure that names the setting at fault.
pub(crate) fn of_server(flags: &ServeFlags, environment: &Environment) -> Result<Usage, Failure> {
    let UsageFlags { usage_memory, usage_retention, series_max } = &flags.usage;
    let retention = ("--usage-retention", "TAXIMETER_USAGE_RETENTION");
    let retention = given(usage_retention.as_ref(), retention, environment)?;
    let series = ("--series-max", "TAXIMETER_SERIES_MAX");
    let series = given(series_max.as_ref(), series, environment)?;
    let mut options = options(usage_memory.as_ref(), environment)?;
    if let Some(given) = &series {
        options.series_max = number_of_series(given)?;
    }
    Ok(Usage { options, retention_s: retention.as_ref().map(retention_s).transpose()? })
}

/// How the usage engine of a command is run, which records nothing.
///
/// # Errors
/// A failure that names the setting at fault.
pub(crate) fn options(
    memory: Option<&String>,
    environment: &Environment,
) -> Result<Options, Failure> {
    let names = ("--usage-memory", "TAXIMETER_USAGE_MEMORY");
    let mut options = Options::default();
    if let Some(given) = given(memory, names, environment)? {
        options.memory_bytes = memory_bytes(&given)?;
    }
    Ok(options)
}

fn memory_bytes(given: &Given) -> Result<usize, Failure> {
    let Given { value, name } = given;
    let bytes = size_bytes(value).ok_or_else(|| {
        Failure::new(format!("{name} `{value}` is no size"))
            .hint("write a number and its unit: 512MiB or 4GiB")
    })?;
    if bytes < MEMORY_BYTES_MIN {
        let least = bytes_shown(MEMORY_BYTES_MIN);
        return Err(Failure::new(format!("{name} `{value}` is too little"))
            .hint(format!("{least} at least: what waits to be committed may take half of that")));
    }
    let bytes = if bytes > MEMORY_BYTES_MAX { None } else { usize::try_from(bytes).ok() };
    bytes.ok_or_else(|| {
        Failure::new(format!("{name} `{value}` is more than there can be"))
            .hint(format!("{} at most", bytes_shown(MEMORY_BYTES_MAX)))
    })
}

/// `512MiB` is 536,870,912; nothing where that is no size.
fn size_bytes(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "KiB" => 1_024,
        "MiB" => MIB,
        "GiB" => 1_024 * MIB,
        "TiB" => 1_024 * 1_024 * MIB,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn retention_s(given: &Given) -> Result<i64, Failure> {
    let Given { value, name } = given;
    let seconds = duration_s(value).map_err(|expected| {
        Failure::new(format!("{name} `{value}` is no length of time")).hint(expected)
    })?;
    if seconds < RETENTION_S_MIN {
        return Err(Failure::new(format!("{name} `{value}` is too short")).hint(
            "35d at least, or leave it out to keep all events: for 35 days an event may come in \
             late, and an identifier is promised to be counted once",
        ));
    }
    Ok(seconds)
}

fn number_of_series(given: &Given) -> Result<usize, Failure> {
    let Given { value, name } = given;
    let number = value.parse().ok();
    number.filter(|number| (1..=SERIES_MAX_MAX).contains(number)).ok_or_else(|| {
        Failure::new(format!("{name} `{value}` is no number of combinations"))
            .hint(format!("from 1 to {SERIES_MAX_MAX}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment_of;

    #[test]
    fn without_a_word_all_events_are_kept_in_a_gibibyte() {
        let usage = of_server(&ServeFlags::default(), &environment_of(&[])).unwrap();
        assert_eq!(usage, Usage { options: Options::default(), retention_s: None });
        assert_eq!((usage.options.memory_bytes, usage.options.series_max), (1 << 30, 1_000));
    }

    #[test]
    fn what_is_given_is_taken() {
        let environment = environment_of(&[
            ("TAXIMETER_USAGE_MEMORY", "3GiB"),
            ("TAXIMETER_USAGE_RETENTION", "400d"),
            ("TAXIMETER_SERIES_MAX", "7"),
        ]);
        let usage = of_server(&ServeFlags::default(), &environment).unwrap();
        assert_eq!((usage.options.memory_bytes, usage.options.series_max), (3 << 30, 7));
        assert_eq!(usage.retention_s, Some(400 * 86_400));
        let usage = UsageFlags {
            usage_memory: Some("129MiB".to_owned()),
            usage_retention: Some("35d".to_owned()),
            series_max: None,
        };
        let flags = ServeFlags { usage, ..ServeFlags::default() };
        let usage = of_server(&flags, &environment).unwrap();
        assert_eq!((usage.options.memory_bytes, usage.options.series_max), (129 << 20, 7));
        assert_eq!(usage.retention_s, Some(35 * 86_400));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (name, value, message) in [
            ("TAXIMETER_USAGE_MEMORY", "1024", "`1024` is no size"),
            ("TAXIMETER_USAGE_MEMORY", "1GB", "`1GB` is no size"),
            ("TAXIMETER_USAGE_MEMORY", "0.5GiB", "`0.5GiB` is no size"),
            ("TAXIMETER_USAGE_MEMORY", "99999999999TiB", "`99999999999TiB` is no size"),
            ("TAXIMETER_USAGE_MEMORY", "127MiB", "`127MiB` is too little"),
            ("TAXIMETER_USAGE_MEMORY", "7TiB", "`7TiB` is more than there can be"),
            ("TAXIMETER_USAGE_RETENTION", "400", "`400` is no length of time"),
            ("TAXIMETER_USAGE_RETENTION", "0", "`0` is too short"),
            ("TAXIMETER_USAGE_RETENTION", "839h", "`839h` is too short"),
            ("TAXIMETER_SERIES_MAX", "0", "`0` is no number of combinations"),
            ("TAXIMETER_SERIES_MAX", "100001", "`100001` is no number of combinations"),
        ] {
            let environment = environment_of(&[(name, value)]);
            let failure = of_server(&ServeFlags::default(), &environment).unwrap_err();
            assert_eq!(failure.line(), format!("{name} {message}"));
            assert!(failure.way_out().is_some(), "{message}");
        }
    }
}
