//! What the process was told, on the command line or in its environment, as values.

pub(crate) mod usage;
mod webhooks;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum as _;
use taximeter_kernel::id::Mode;
use taximeter_service::api_keys::{KeyKind, Secret};
use taximeter_service::meter_events::{EVENTS_PER_REQUEST_MAX, Limits};

use crate::cli::{Command, ServeFlags, StoreFlags};
use crate::failure::Failure;
use crate::logging::{Format, Settings as LogSettings};

/// Where a server listens unless told otherwise: this machine only.
const LISTEN_DEFAULT: &str = "127.0.0.1:4242";
/// What a server logs unless told otherwise. A database's notices are of no use to its owner.
const LOG_DEFAULT: &str = "info,sqlx=warn";
/// Where data is kept unless told otherwise.
const DATA_DIR_DEFAULT: &str = "./taximeter-data";

/// Where data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    /// The data directory.
    pub(crate) data_dir: PathBuf,
    /// The PostgreSQL database that is used instead of the embedded one.
    pub(crate) postgres_url: Option<String>,
}

/// How to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serve {
    /// `host:port`.
    pub(crate) listen: String,
    /// `host:port` of the stream of meter events, when it has one of its own.
    pub(crate) meter_events_listen: Option<String>,
    /// How many events one request may bring.
    pub(crate) limits: Limits,
    /// The usage engine.
    pub(crate) usage: usage::Usage,
    /// How webhooks are sent.
    pub(crate) webhooks: taximeter_service::webhooks::Settings,
    /// A test-mode key to accept.
    pub(crate) secret_key: Option<Secret>,
    /// The files to serve HTTPS with.
    pub(crate) tls: Option<TlsFiles>,
    /// The log.
    pub(crate) log: LogSettings,
}

/// The files to serve HTTPS with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate and those that vouch for it.
    pub(crate) cert: PathBuf,
    /// The certificate's private key.
    pub(crate) key: PathBuf,
}

/// How a variable is read by its name.
type Variables = dyn Fn(&str) -> Option<OsString>;

/// The environment's variables, or a test's.
pub(crate) struct Environment {
    read: Box<Variables>,
}

impl Environment {
    /// The process's own.
    pub(crate) fn of_process() -> Self {
        Self { read: Box::new(|name| std::env::var_os(name)) }
    }

    /// A variable; one that is empty counts as not set.
    fn os(&self, name: &str) -> Option<OsString> {
        (self.read)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(value) = self.os(name) else { return Ok(None) };
        value
            .into_string()
            .map(Some)
            .map_err(|_| Failure::new(format!("{name} is not valid UTF-8")))
    }
}

/// A setting and where it came from, to blame the right one.
struct Given {
    value: String,
    name: &'static str,
}

fn given(
    flag: Option<&String>,
    names: (&'static str, &'static str),
    environment: &Environment,
) -> Result<Option<Given>, Failure> {
    if let Some(value) = flag {
        return Ok(Some(Given { value: value.clone(), name: names.0 }));
    }
    let value = environment.text(names.1)?;
    Ok(value.map(|value| Given { value, name: names.1 }))
}

/// Where data is kept.
///
/// # Errors
/// A failure that names the setting at fault.
pub(crate) fn store(flags: &StoreFlags, environment: &Environment) -> Result<Store, Failure> {
    let data_dir = flags
        .data_dir
        .clone()
        .or_else(|| environment.os("TAXIMETER_DATA_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DATA_DIR_DEFAULT));
    let names = ("--database-url", "TAXIMETER_DATABASE_URL");
    let url = given(flags.database_url.as_ref(), names, environment)?;
    if let Some(Given { value, name }) = &url
        && !value.starts_with("postgres://")
        && !value.starts_with("postgresql://")
    {
        // Not shown: it may hold a password all the same.
        return Err(Failure::new(format!("{name} is no PostgreSQL URL"))
            .hint("postgres://user:password@host:5432/database, or leave it out: data is then kept in the data directory"));
    }
    Ok(Store { data_dir, postgres_url: url.map(|given| given.value) })
}

/// How to serve.
///
/// # Errors
/// A failure that names the setting at fault.
pub(crate) fn serve(flags: &ServeFlags, environment: &Environment) -> Result<Serve, Failure> {
    let listen = given(flags.listen.as_ref(), ("--listen", "TAXIMETER_LISTEN"), environment)?
        .unwrap_or(Given { value: LISTEN_DEFAULT.to_owned(), name: "--listen" });
    let names = ("--meter-events-listen", "TAXIMETER_METER_EVENTS_LISTEN");
    let meter_events_listen = given(flags.meter_events_listen.as_ref(), names, environment)?;
    let names = ("--secret-key", "TAXIMETER_SECRET_KEY");
    let secret_key = given(flags.secret_key.as_ref(), names, environment)?;
    Ok(Serve {
        listen: address(listen)?,
        meter_events_listen: meter_events_listen.map(address).transpose()?,
        limits: limits(flags, environment)?,
        usage: usage::of_server(flags, environment)?,
        webhooks: webhooks::settings(&flags.webhooks, environment)?,
        secret_key: secret_key.as_ref().map(test_key).transpose()?,
        tls: tls(flags, environment)?,
        log: log(flags, environment, LOG_DEFAULT)?,
    })
}

fn address(given: Given) -> Result<String, Failure> {
    let port = given.value.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    if matches!(port, Some(Ok(_))) {
        return Ok(given.value);
    }
    Err(Failure::new(format!("{} `{}` is no address", given.name, given.value)).hint(
        "host:port, such as 127.0.0.1:4242, or 0.0.0.0:4242 for all of this machine's addresses",
    ))
}

fn limits(flags: &ServeFlags, environment: &Environment) -> Result<Limits, Failure> {
    let limit = |flag: &Option<String>, names, usual| {
        given(flag.as_ref(), names, environment)?.map_or(Ok(usual), |given| events_max(&given))
    };
    let Limits { stream_events_max, batch_events_max } = Limits::default();
    let stream = ("--stream-events-max", "TAXIMETER_STREAM_EVENTS_MAX");
    let batch = ("--batch-events-max", "TAXIMETER_BATCH_EVENTS_MAX");
    Ok(Limits {
        stream_events_max: limit(&flags.stream_events_max, stream, stream_events_max)?,
        batch_events_max: limit(&flags.batch_events_max, batch, batch_events_max)?,
    })
}

fn events_max(given: &Given) -> Result<usize, Failure> {
    let number = given.value.parse().ok();
    number.filter(|number| (1..=EVENTS_PER_REQUEST_MAX).contains(number)).ok_or_else(|| {
        Failure::new(format!("{} `{}` is no number of events", given.name, given.value))
            .hint(format!("from 1 to {EVENTS_PER_REQUEST_MAX}"))
    })
}

/// What other commands log: nothing but warnings, unless more is asked for.
///
/// # Errors
/// As [`serve`].
pub(crate) fn command_log(
    command: &Command,
    environment: &Environment,
) -> Result<LogSettings, Failure> {
    match command {
        Command::Doctor(flags) => log(flags, environment, "warn"),
        Command::Serve(_)
        | Command::Keys(_)
        | Command::Accounts(_)
        | Command::Migrate(_)
        | Command::Usage(_)
        | Command::VerifyInvoice(_)
        | Command::Version => log(&ServeFlags::default(), environment, "warn"),
    }
}

fn log(
    flags: &ServeFlags,
    environment: &Environment,
    filter: &str,
) -> Result<LogSettings, Failure> {
    let given_filter = given(flags.log.as_ref(), ("--log", "TAXIMETER_LOG"), environment)?;
    let format = match (flags.log_format, environment.text("TAXIMETER_LOG_FORMAT")?) {
        (Some(format), _) => format,
        (None, None) => Format::Auto,
        (None, Some(word)) => Format::from_str(&word, false).map_err(|_| {
            Failure::new(format!("TAXIMETER_LOG_FORMAT `{word}` is no form of the log"))
                .hint("auto, text or json")
        })?,
    };
    Ok(LogSettings {
        filter: given_filter.map_or_else(|| filter.to_owned(), |given| given.value),
        format,
    })
}

/// The key itself is never shown: it may be one that someone meant for elsewhere.
fn test_key(given: &Given) -> Result<Secret, Failure> {
    let Given { value, name } = given;
    let refusal = |why: &str| {
        Failure::new(format!("{name} {why}"))
            .hint("sk_test_ and at least 8 letters, digits or _, such as sk_test_local_development")
    };
    match Secret::parse(value) {
        Ok(secret) if secret.kind() == KeyKind::Secret && secret.mode() == Mode::Test => Ok(secret),
        Ok(secret) if secret.mode() == Mode::Live => Err(Failure::new(format!(
            "{name} is a live-mode key; only a test-mode key can be chosen"
        ))
        .hint("leave it out, and make live keys with `taximeter keys create --live`")),
        Ok(_) => Err(refusal("is not a secret key")),
        Err(_) if value.starts_with("sk_test_") => {
            Err(refusal("is too short, too long, or holds other characters"))
        }
        Err(_) => Err(refusal("does not begin with `sk_test_`")),
    }
}

fn tls(flags: &ServeFlags, environment: &Environment) -> Result<Option<TlsFiles>, Failure> {
    let file = |flag: &Option<PathBuf>, name: &str| {
        flag.clone().or_else(|| environment.os(name).map(PathBuf::from))
    };
    let cert = file(&flags.tls_cert, "TAXIMETER_TLS_CERT");
    let key = file(&flags.tls_key, "TAXIMETER_TLS_KEY");
    match (cert, key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (Some(_), None) => Err(Failure::new("--tls-cert is given without --tls-key")
            .hint("HTTPS needs both: the certificate chain and its private key, as PEM files")),
        (None, Some(_)) => Err(Failure::new("--tls-key is given without --tls-cert")
            .hint("HTTPS needs both: the certificate chain and its private key, as PEM files")),
    }
}

/// Reads a length of time into seconds: `30m` is 1800.
///
/// # Errors
/// What is expected, when it is something else.
pub(crate) fn duration_s(text: &str) -> Result<i64, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "" if number == "0" => 1,
        _ => return Err("write a number and its unit: 90s, 30m, 24h or 7d".to_owned()),
    };
    let number: i64 = number.parse().map_err(|_| "that is no number".to_owned())?;
    number.checked_mul(unit_s).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
fn environment_of(variables: &[(&str, &str)]) -> Environment {
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), OsString::from(*value));
    let variables: Vec<(String, OsString)> = variables.iter().map(variable).collect();
    let read = move |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    Environment { read: Box::new(read) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use environment_of as environment;

    #[test]
    fn without_a_word_it_listens_to_this_machine_only_and_keeps_data_here() {
        let nothing = environment(&[]);
        let store = store(&StoreFlags::default(), &nothing).unwrap();
        assert_eq!(store, Store { data_dir: "./taximeter-data".into(), postgres_url: None });
        let serve = serve(&ServeFlags::default(), &nothing).unwrap();
        assert_eq!(serve.listen, "127.0.0.1:4242");
        assert_eq!((serve.secret_key, serve.tls), (None, None));
        let limits = (serve.limits.stream_events_max, serve.limits.batch_events_max);
        assert_eq!((serve.meter_events_listen, limits), (None, (100, 10_000)));
        assert_eq!((serve.log.filter.as_str(), serve.log.format), ("info,sqlx=warn", Format::Auto));
    }

    #[test]
    fn the_command_line_counts_before_the_environment_and_empty_counts_for_nothing() {
        let environment = environment(&[
            ("TAXIMETER_LISTEN", "127.0.0.1:7"),
            ("TAXIMETER_DATA_DIR", "/data"),
            ("TAXIMETER_DATABASE_URL", ""),
            ("TAXIMETER_LOG_FORMAT", "json"),
        ]);
        let flags = ServeFlags { listen: Some("[::1]:13".to_owned()), ..ServeFlags::default() };
        assert_eq!(serve(&flags, &environment).unwrap().listen, "[::1]:13");
        let settings = serve(&ServeFlags::default(), &environment).unwrap();
        assert_eq!((settings.listen.as_str(), settings.log.format), ("127.0.0.1:7", Format::Json));
        let store = store(&StoreFlags::default(), &environment).unwrap();
        assert_eq!(store, Store { data_dir: "/data".into(), postgres_url: None });
    }

    #[test]
    fn a_setting_at_fault_is_named_where_it_was_given() {
        let rows: [(&'static [(&'static str, &'static str)], &str); 11] = [
            (&[("TAXIMETER_LISTEN", "here")], "TAXIMETER_LISTEN `here` is no address"),
            (&[("TAXIMETER_LISTEN", "here:70000")], "TAXIMETER_LISTEN `here:70000` is no address"),
            (
                &[("TAXIMETER_METER_EVENTS_LISTEN", "4243")],
                "TAXIMETER_METER_EVENTS_LISTEN `4243` is no address",
            ),
            (
                &[("TAXIMETER_STREAM_EVENTS_MAX", "10001")],
                "TAXIMETER_STREAM_EVENTS_MAX `10001` is no number of events",
            ),
            (
                &[("TAXIMETER_BATCH_EVENTS_MAX", "0")],
                "TAXIMETER_BATCH_EVENTS_MAX `0` is no number of events",
            ),
            (
                &[("TAXIMETER_SECRET_KEY", "sk_test_1234567")],
                "TAXIMETER_SECRET_KEY is too short, too long, or holds other characters",
            ),
            (
                &[("TAXIMETER_SECRET_KEY", "secret")],
                "TAXIMETER_SECRET_KEY does not begin with `sk_test_`",
            ),
            (
                &[("TAXIMETER_SECRET_KEY", "sk_live_12345678")],
                "TAXIMETER_SECRET_KEY is a live-mode key; only a test-mode key can be chosen",
            ),
            (
                &[("TAXIMETER_SECRET_KEY", "pk_test_12345678")],
                "TAXIMETER_SECRET_KEY is not a secret key",
            ),
            (&[("TAXIMETER_TLS_CERT", "c.pem")], "--tls-cert is given without --tls-key"),
            (
                &[("TAXIMETER_LOG_FORMAT", "xml")],
                "TAXIMETER_LOG_FORMAT `xml` is no form of the log",
            ),
        ];
        for (variables, message) in rows {
            let failure = serve(&ServeFlags::default(), &environment(variables)).unwrap_err();
            assert_eq!(failure.line(), message);
        }
    }

    #[test]
    fn a_database_url_at_fault_is_not_shown() {
        let environment = environment(&[("TAXIMETER_DATABASE_URL", "mysql://me:hunter2@db/x")]);
        let failure = store(&StoreFlags::default(), &environment).unwrap_err();
        assert_eq!(failure.line(), "TAXIMETER_DATABASE_URL is no PostgreSQL URL");
    }

    #[test]
    fn a_length_of_time_has_a_unit() {
        for (text, seconds) in
            [("0", 0), ("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)]
        {
            assert_eq!(duration_s(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "7", "h", "-1h", "1.5h", "1w", "99999999999999999999s", "999999999999999999d"]
        {
            assert!(duration_s(text).is_err(), "{text}");
        }
    }
}
